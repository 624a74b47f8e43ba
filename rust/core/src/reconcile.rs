//! Verbs that bring Redis after PostgreSQL: `missing`, `restore`, the generation of a queue, and `forget_queue`.

use std::borrow::Borrow;

use crate::{
    error::{Error, Result},
    job::{Descriptor, JobFence, member},
    script::{GENERATION, MISSING, PAUSE, RESTORE, ROUSE},
    store::{CHUNK, Store},
};

impl Store {
    /// Which of these waiting jobs (id, current fence) this queue does not have.
    pub async fn missing(&self, queue: &str, jobs: &[JobFence]) -> Result<Vec<String>> {
        let keys = self.keys.queue(queue)?;
        let mut missing = Vec::new();
        for chunk in jobs.chunks(CHUNK) {
            let mut reply = self
                .link
                .script(&MISSING, &keys, |command| {
                    for (job_id, fence) in chunk {
                        command.arg(job_id).arg(member(job_id, fence + 1));
                    }
                })
                .await?;
            missing.extend(reply.rest().ok_or_else(|| Error::unexpected_reply(MISSING.name))?);
        }
        Ok(missing)
    }

    /// Gives running jobs (id, fence) that have no lease here one of full length; how many. With `rebuilding` the queue need not be
    /// built. `lanes` are those that have attributes or stand in a queue with limits, with the fence of the lease: they count for their limits
    /// again.
    pub async fn restore<J: Borrow<Descriptor> + Sync>(
        &self,
        queue: &str,
        leases: &[JobFence],
        rebuilding: bool,
        lanes: &[J],
    ) -> Result<usize> {
        let keys = self.keys.queue(queue)?;
        let parts = leases.chunks(CHUNK).map(|part| (part, [].as_slice()));
        let mut restored = 0;
        for (leases, lanes) in parts.chain(lanes.chunks(CHUNK).map(|part| ([].as_slice(), part))) {
            let mut reply = self
                .link
                .script(&RESTORE, &keys, |command| {
                    command.arg(u8::from(rebuilding)).arg(self.options.lease_ms).arg(leases.len());
                    for (job_id, fence) in leases {
                        command.arg(member(job_id, *fence));
                    }
                    for job in lanes {
                        let job: &Descriptor = job.borrow();
                        command.arg(member(&job.job_id, job.fence)).arg(job.encode());
                    }
                })
                .await?;
            restored += reply.count().ok_or_else(|| Error::unexpected_reply(RESTORE.name))?;
        }
        Ok(restored)
    }

    /// Declares the queue built; false if it was before.
    pub async fn set_generation(&self, queue: &str) -> Result<bool> {
        let keys = self.keys.queue(queue)?;
        let mut reply = self.link.script(&GENERATION, &keys, |_| {}).await?;
        Ok(reply.number().ok_or_else(|| Error::unexpected_reply(GENERATION.name))? == 1)
    }

    /// Leases nothing of the queue from now on, or again; false if that was so before. With `building` the queue is declared built by it.
    pub async fn pause(&self, queue: &str, paused: bool, building: bool) -> Result<bool> {
        let keys = self.keys.queue(queue)?;
        let mut reply = self
            .link
            .script(&PAUSE, &keys, |command| {
                command.arg(u8::from(paused)).arg(u8::from(building));
            })
            .await?;
        Ok(reply.number().ok_or_else(|| Error::unexpected_reply(PAUSE.name))? == 1)
    }

    /// Enters as idle those of these workers that the server has forgotten, and wakes as many as the ready jobs need; how many. Without
    /// any, those wake who are entered already.
    pub async fn rouse(&self, queue: &str, workers: &[String]) -> Result<usize> {
        let keys = self.keys.queue(queue)?;
        let mut woken = 0;
        let chunks: Vec<&[String]> = if workers.is_empty() { vec![&[]] } else { workers.chunks(CHUNK).collect() };
        for chunk in chunks {
            let mut reply = self
                .link
                .script(&ROUSE, &keys, |command| {
                    command.arg(queue).arg(self.keys.inbox_prefix()).arg(chunk);
                })
                .await?;
            woken += reply.count().ok_or_else(|| Error::unexpected_reply(ROUSE.name))?;
        }
        Ok(woken)
    }

    /// Whether the queue is built.
    pub async fn has_generation(&self, queue: &str) -> Result<bool> {
        let keys = self.keys.queue(queue)?;
        let value = self.link.query("has_generation", redis::cmd("EXISTS").arg(&keys.generation)).await?;
        redis::from_redis_value(value).map_err(|_| Error::unexpected_reply("has_generation"))
    }

    /// Removes all that is here of a queue, its generation too; how many keys there were. For a queue that PostgreSQL
    /// has no jobs of any more: where it has, the next script finds no generation and the queue is rebuilt.
    pub async fn forget_queue(&self, queue: &str) -> Result<usize> {
        let keys = self.keys.queue(queue)?;
        let value = self.link.query("forget_queue", redis::cmd("UNLINK").arg(&keys.all())).await?;
        redis::from_redis_value(value).map_err(|_| Error::unexpected_reply("forget_queue"))
    }
}
