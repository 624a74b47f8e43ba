//! Verbs that push jobs: `enqueue`, `requeue`, and `rebuild`, which is `requeue` on a queue that is not built yet.

use std::borrow::Borrow;

use redis::Cmd;

use crate::{
    error::{Error, Result},
    job::Descriptor,
    script::{ENQUEUE, REQUEUE, Verb},
    store::{CHUNK, Store},
};

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
        self.push(&ENQUEUE, queue, jobs, None).await
    }

    /// Pushes jobs that may sit somewhere already; their last leases are no longer tracked.
    pub async fn requeue<J: Borrow<Descriptor> + Sync>(&self, queue: &str, jobs: &[J]) -> Result<Pushed> {
        self.held.drop_leases(jobs.iter().map(|job| (job.borrow().job_id.as_str(), job.borrow().fence)));
        self.push(&REQUEUE, queue, jobs, Some("0")).await
    }

    /// As [`requeue`](Self::requeue), on a queue that has no generation yet.
    pub async fn rebuild<J: Borrow<Descriptor> + Sync>(&self, queue: &str, jobs: &[J]) -> Result<Pushed> {
        self.push(&REQUEUE, queue, jobs, Some("1")).await
    }

    async fn push<J: Borrow<Descriptor> + Sync>(
        &self,
        verb: &'static Verb,
        queue: &str,
        jobs: &[J],
        rebuilding: Option<&str>,
    ) -> Result<Pushed> {
        for job in jobs {
            job.borrow().validate()?;
        }
        let keys = self.keys.queue(queue)?;
        let inbox_prefix = self.keys.inbox_prefix();
        let mut total = Pushed::default();
        for chunk in jobs.chunks(CHUNK) {
            let fill = |command: &mut Cmd| {
                command.arg(queue).arg(&inbox_prefix);
                if let Some(flag) = rebuilding {
                    command.arg(flag);
                }
                for job in chunk {
                    let job: &Descriptor = job.borrow();
                    let time = if job.ready { -job.run_at_ms } else { job.run_at_ms };
                    command.arg(&job.job_id).arg(job.priority).arg(job.fence).arg(time).arg(job.encode());
                }
            };
            let mut reply = self.link.script(verb, &keys, fill).await?;
            let mut count = || reply.count().ok_or_else(|| Error::unexpected_reply(verb.name));
            total.ready += count()?;
            total.scheduled += count()?;
            total.skipped += count()?;
            total.woken += count()?;
        }
        Ok(total)
    }
}
