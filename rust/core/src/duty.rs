//! The verb that lets one worker at a time maintain a queue.

use crate::{
    error::{Error, Result},
    script::DUTY,
    store::Store,
};

impl Store {
    /// Takes or keeps the maintenance duty of a queue for `ttl_ms`; 0 if this worker has it, else how long another still holds it, ms.
    pub async fn duty(&self, queue: &str, ttl_ms: u64) -> Result<usize> {
        let keys = self.keys.queue(queue)?;
        let mut reply = self
            .link
            .script(&DUTY, &keys, |command| {
                command.arg(&self.options.worker_id).arg(ttl_ms);
            })
            .await?;
        reply.count().ok_or_else(|| Error::unexpected_reply(DUTY.name))
    }
}
