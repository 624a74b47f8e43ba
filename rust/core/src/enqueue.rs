//! Verbs that push jobs: `enqueue`, `requeue`, and `rebuild`, which is `requeue` on a queue that is not built yet.

use std::borrow::Borrow;

use redis::Cmd;

use crate::{
    error::{Error, Result},
    job::Descriptor,
    script::{ENQUEUE, LANE_PUSH, REQUEUE},
    store::{CHUNK, Pair, Store},
};

const ENQUEUEING: Pair = Pair { plain: &ENQUEUE, laned: &LANE_PUSH };
const REQUEUEING: Pair = Pair { plain: &REQUEUE, laned: &LANE_PUSH };
/// A rebuild finds out by what the queue is built with whether it has lanes.
const REBUILDING: Pair = Pair { plain: &LANE_PUSH, laned: &LANE_PUSH };

/// What became of pushed jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Jobs that can be leased now.
    pub ready: usize,
    /// Jobs that wait for a time.
    pub scheduled: usize,
    /// Jobs that are being run already.
    pub skipped: usize,
    /// Idle workers that were woken.
    pub woken: usize,
}

impl Store {
    /// Pushes new jobs and wakes idle workers. Idempotent on job and fence.
    pub async fn enqueue<J: Borrow<Descriptor> + Sync>(&self, queue: &str, jobs: &[J]) -> Result<Pushed> {
        self.push(&ENQUEUEING, "enqueue", queue, jobs).await
    }

    /// Pushes jobs that may sit somewhere already; their last leases are no longer tracked.
    pub async fn requeue<J: Borrow<Descriptor> + Sync>(&self, queue: &str, jobs: &[J]) -> Result<Pushed> {
        self.held.drop_leases(jobs.iter().map(|job| (job.borrow().job_id.as_str(), job.borrow().fence)));
        self.push(&REQUEUEING, "requeue", queue, jobs).await
    }

    /// As [`requeue`](Self::requeue), on a queue that has no generation yet.
    pub async fn rebuild<J: Borrow<Descriptor> + Sync>(&self, queue: &str, jobs: &[J]) -> Result<Pushed> {
        self.push(&REBUILDING, "rebuild", queue, jobs).await
    }

    async fn push<J: Borrow<Descriptor> + Sync>(
        &self,
        pair: &Pair,
        verb: &str,
        queue: &str,
        jobs: &[J],
    ) -> Result<Pushed> {
        for job in jobs {
            job.borrow().validate()?;
        }
        let keys = self.keys.queue(queue)?;
        let inbox_prefix = self.keys.inbox_prefix();
        let mut total = Pushed::default();
        for chunk in jobs.chunks(CHUNK) {
            let has_lanes = verb == "rebuild" || chunk.iter().any(|job| job.borrow().is_laned());
            let fill = |command: &mut Cmd, laned: bool| {
                command.arg(queue).arg(&inbox_prefix);
                if laned {
                    command.arg(verb);
                }
                for job in chunk {
                    let job: &Descriptor = job.borrow();
                    let time = if job.ready { -job.run_at_ms } else { job.run_at_ms };
                    command.arg(&job.job_id).arg(job.priority).arg(job.fence).arg(time).arg(job.encode());
                }
            };
            let mut reply = self.script_of(pair, &keys, has_lanes, fill).await?;
            let mut count = || reply.count().ok_or_else(|| Error::unexpected_reply(pair.plain.name));
            total.ready += count()?;
            total.scheduled += count()?;
            total.skipped += count()?;
            total.woken += count()?;
        }
        Ok(total)
    }
}
