//! The verb that takes expired leases back.

use crate::{
    error::{Error, Result},
    job::{JobFence, lease_of},
    script::RESCUE,
    store::Store,
};

impl Store {
    /// Takes back up to `limit` (at most 1000) expired leases. No other rescuer is given them for `grace_ms`; PostgreSQL decides what
    /// becomes of their jobs, then `requeue`, `acknowledge` or `bury` removes them.
    pub async fn rescue(&self, queue: &str, limit: usize, grace_ms: u64) -> Result<Vec<JobFence>> {
        let keys = self.keys.queue(queue)?;
        let mut reply = self
            .link
            .script(&RESCUE, &keys, |command| {
                command.arg(limit.clamp(1, 1000)).arg(grace_ms);
            })
            .await?;
        let members = reply.rest().ok_or_else(|| Error::unexpected_reply(RESCUE.name))?;
        Ok(members.iter().filter_map(|member| lease_of(member)).collect())
    }
}
