//! Verbs that forget what PostgreSQL knows as ended: `acknowledge`, `bury`, `forget_dead`.

use crate::{
    error::{Error, Result},
    job::{JobFence, member},
    script::{ACKNOWLEDGE, BURY, LANE_ACKNOWLEDGE},
    store::{CHUNK, Pair, Store},
};

const ACKNOWLEDGING: Pair = Pair { plain: &ACKNOWLEDGE, laned: &LANE_ACKNOWLEDGE };
const BURYING: Pair = Pair { plain: &BURY, laned: &LANE_ACKNOWLEDGE };

impl Store {
    /// Forgets leases of ended jobs and tells who waits for them; how many were there. Idempotent.
    pub async fn acknowledge(&self, queue: &str, leases: &[JobFence]) -> Result<usize> {
        self.end(&ACKNOWLEDGING, false, queue, leases).await
    }

    /// As [`acknowledge`](Self::acknowledge), and enters the jobs in the dead letter queue.
    pub async fn bury(&self, queue: &str, leases: &[JobFence]) -> Result<usize> {
        self.end(&BURYING, true, queue, leases).await
    }

    /// Stops tracking leases that were lost; no I/O.
    pub fn drop_leases(&self, leases: &[JobFence]) {
        self.held.drop_leases(leases.iter().map(|(job_id, fence)| (job_id.as_str(), *fence)));
    }

    /// Takes jobs out of the dead letter queue; how many were there.
    pub async fn forget_dead(&self, queue: &str, job_ids: &[String]) -> Result<usize> {
        let keys = self.keys.queue(queue)?;
        let mut removed = 0;
        for chunk in job_ids.chunks(CHUNK) {
            let value = self.link.query("forget_dead", redis::cmd("ZREM").arg(&keys.dead).arg(chunk)).await?;
            removed += redis::from_redis_value::<usize>(value).map_err(|_| Error::unexpected_reply("forget_dead"))?;
        }
        Ok(removed)
    }

    async fn end(&self, pair: &Pair, bury: bool, queue: &str, leases: &[JobFence]) -> Result<usize> {
        // PostgreSQL has the outcome: the lease need not live any longer, whatever becomes of this call.
        self.drop_leases(leases);
        let keys = self.keys.queue(queue)?;
        let mut removed = 0;
        for chunk in leases.chunks(CHUNK) {
            let mut reply = self
                .script_of(pair, &keys, false, |command, laned| {
                    if laned {
                        command.arg(queue).arg(self.keys.inbox_prefix());
                    }
                    command.arg(&keys.settled_channel);
                    if laned {
                        command.arg(u8::from(bury));
                    }
                    for (job_id, fence) in chunk {
                        command.arg(member(job_id, *fence));
                    }
                })
                .await?;
            removed += reply.count().ok_or_else(|| Error::unexpected_reply(pair.plain.name))?;
        }
        Ok(removed)
    }
}
