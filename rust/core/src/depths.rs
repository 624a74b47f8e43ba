//! Figures: how deep a queue is, how far the server is away, which workers beat.

use std::{collections::HashMap, time::Instant};

use redis::{Pipeline, Value};

use crate::{
    error::{Error, Result},
    store::{CHUNK, Store},
};

/// How many entries each structure of a queue has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depths {
    /// Ready, priority 4-5.
    pub high: u64,
    /// Ready, priority 2-3.
    pub medium: u64,
    /// Ready, priority 1.
    pub low: u64,
    /// Waiting for a time.
    pub scheduled: u64,
    /// Leased.
    pub processing: u64,
    /// Taken back, PostgreSQL not asked yet.
    pub rescue: u64,
    /// Dead letters.
    pub dead: u64,
    /// Descriptors.
    pub jobs: u64,
    /// Workers that wait for work.
    pub idle: u64,
    /// Ready in lanes, whatever their priority.
    pub laned: u64,
    /// Lanes that wait for a limit of their key.
    pub parked: u64,
}

impl Store {
    /// The queue's depths, in one round trip.
    pub async fn depths(&self, queue: &str) -> Result<Depths> {
        let keys = self.keys.queue(queue)?;
        let [high, medium, low] = &keys.bands;
        let mut pipeline = Pipeline::new();
        for key in [high, medium, low, &keys.scheduled, &keys.processing, &keys.rescue, &keys.dead, &keys.idle] {
            pipeline.cmd("ZCARD").arg(key);
        }
        pipeline.cmd("HLEN").arg(&keys.jobs);
        pipeline.cmd("ZCARD").arg(&keys.lanes.queue);
        // lanes that wait, without the entries that say where they stand
        pipeline.cmd("ZLEXCOUNT").arg(&keys.lanes.parked).arg("[key|").arg("+");
        let answers = self.link.pipeline("depths", &pipeline, 11).await?;
        let mut numbers = answers.into_iter().map(|answer| match answer {
            Value::Int(number) => Ok(u64::try_from(number).unwrap_or_default()),
            other => Err(other
                .extract_error()
                .map_or_else(|error| Error::from_redis("depths", &error), |_| Error::unexpected_reply("depths"))),
        });
        let mut next = || numbers.next().unwrap_or_else(|| Err(Error::unexpected_reply("depths")));
        Ok(Depths {
            high: next()?,
            medium: next()?,
            low: next()?,
            scheduled: next()?,
            processing: next()?,
            rescue: next()?,
            dead: next()?,
            idle: next()?,
            jobs: next()?,
            laned: next()?,
            parked: next()?,
        })
    }

    /// One round trip, ms.
    pub async fn ping(&self) -> Result<f64> {
        let began = Instant::now();
        self.link.query("ping", &redis::cmd("PING")).await?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }

    /// The health samples of those workers whose heartbeats live. The keys lie in many slots, so each is read by itself, in a pipeline.
    pub async fn beats(&self, worker_ids: &[String]) -> Result<HashMap<String, Vec<u8>>> {
        let mut alive = HashMap::new();
        for chunk in worker_ids.chunks(CHUNK) {
            let mut pipeline = Pipeline::new();
            for worker_id in chunk {
                pipeline.cmd("GET").arg(self.keys.heartbeat(worker_id));
            }
            let answers = self.link.pipeline("beats", &pipeline, chunk.len()).await?;
            for (worker_id, answer) in chunk.iter().zip(answers) {
                // A refusal (no permission, wrong type) is not a dead worker.
                let answer = answer.extract_error().map_err(|error| Error::from_redis("beats", &error))?;
                if let Value::BulkString(sample) = answer {
                    alive.insert(worker_id.clone(), sample);
                }
            }
        }
        Ok(alive)
    }
}
