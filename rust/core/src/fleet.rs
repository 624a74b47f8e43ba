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
        let age = |heard: f64| u64::try_from(now_ms.saturating_sub(heard as i64)).unwrap_or_default();
        Ok(entries.into_iter().map(|(worker_id, heard)| (worker_id, age(heard))).collect())
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
