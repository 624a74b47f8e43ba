//! What concerns the whole fleet and no queue: who was heard of when, their series, and who leads.

use std::collections::HashMap;

use redis::Pipeline;

use crate::{
    error::{Error, Result},
    link::checked_fleet,
    script::{DUTY, RESIGN},
    server::milliseconds,
    store::{CHUNK, Store},
};

impl Store {
    /// Every worker that was heard of lately, and how long ago, ms by the server's clock. 10,000 take the server 3 ms.
    pub async fn roster(&self) -> Result<Vec<(String, u64)>> {
        let (now_ms, entries) = self.heard().await?;
        let age = |heard_ms: i64| u64::try_from(now_ms.saturating_sub(heard_ms)).unwrap_or_default();
        Ok(entries.into_iter().map(|(worker_id, heard_ms)| (worker_id, age(heard_ms))).collect())
    }

    /// The server's time, ms, and when by it every worker was heard of last.
    pub async fn heard(&self) -> Result<(i64, Vec<(String, i64)>)> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("TIME");
        pipeline.cmd("ZRANGE").arg(self.keys.roster()).arg(0).arg(-1).arg("WITHSCORES");
        let mut answers = self.link.pipeline("roster", &pipeline, 2).await?.into_iter();
        let mut next = || {
            let answer = answers.next().ok_or_else(|| Error::unexpected_reply("roster"))?;
            answer.extract_error().map_err(|error| Error::from_redis("roster", &error))
        };
        let now_ms = milliseconds(next()?)?;
        let entries: Vec<(String, f64)> =
            redis::from_redis_value(next()?).map_err(|_| Error::unexpected_reply("roster"))?;
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
        let whole = |heard: f64| heard as i64;
        Ok((now_ms, entries.into_iter().map(|(worker_id, heard)| (worker_id, whole(heard))).collect()))
    }

    /// Wakes these workers for this queue no more until they ask it for jobs again; how many were idle in it.
    pub async fn pass_over(&self, queue: &str, worker_ids: &[String]) -> Result<usize> {
        let keys = self.keys.queue(queue)?;
        let mut were = 0;
        for chunk in worker_ids.chunks(CHUNK) {
            let value = self.link.query("pass_over", redis::cmd("ZREM").arg(&keys.idle).arg(chunk)).await?;
            were += redis::from_redis_value::<usize>(value).map_err(|_| Error::unexpected_reply("pass_over"))?;
        }
        Ok(were)
    }

    /// The series of these workers, newest sample first: JSON arrays, see `beat`.
    pub async fn series(&self, worker_ids: &[String]) -> Result<HashMap<String, Vec<String>>> {
        let mut found = HashMap::new();
        for chunk in worker_ids.chunks(CHUNK) {
            let mut pipeline = Pipeline::new();
            for worker_id in chunk {
                pipeline.cmd("LRANGE").arg(self.keys.series(worker_id)).arg(0).arg(-1);
            }
            let answers = self.link.pipeline("series", &pipeline, chunk.len()).await?;
            for (worker_id, answer) in chunk.iter().zip(answers) {
                let answer = answer.extract_error().map_err(|error| Error::from_redis("series", &error))?;
                let lines: Vec<String> =
                    redis::from_redis_value(answer).map_err(|_| Error::unexpected_reply("series"))?;
                found.insert(worker_id.clone(), lines);
            }
        }
        Ok(found)
    }

    /// Takes or keeps the leadership called `name` for `ttl_ms`; 0 if this process has it, else how long another still holds it, ms.
    pub async fn lead(&self, name: &str, ttl_ms: u64) -> Result<usize> {
        let key = self.keys.leader(name)?;
        let call = |command: &mut redis::Cmd| {
            command.arg(&self.options.worker_id).arg(ttl_ms);
        };
        let value = self.link.call(&DUTY, &[&key], call).await?;
        checked_fleet(&DUTY, value)?.count().ok_or_else(|| Error::unexpected_reply(DUTY.name))
    }

    /// Gives the leadership called `name` up, if this process has it.
    pub async fn resign(&self, name: &str) -> Result<bool> {
        let key = self.keys.leader(name)?;
        let call = |command: &mut redis::Cmd| {
            command.arg(&self.options.worker_id);
        };
        let value = self.link.call(&RESIGN, &[&key], call).await?;
        let held = checked_fleet(&RESIGN, value)?.number().ok_or_else(|| Error::unexpected_reply(RESIGN.name))?;
        Ok(held == 1)
    }
}
