//! The verb that makes due jobs ready.

use crate::{
    error::{Error, Result},
    script::PROMOTE,
    store::Store,
};

impl Store {
    /// Makes up to `limit` (at most 1000) due jobs ready and wakes idle workers for them. How many, and when the next one is due in ms
    /// of the server's clock, or -1.
    pub async fn promote(&self, queue: &str, limit: usize) -> Result<(usize, i64)> {
        let keys = self.keys.queue(queue)?;
        let mut reply = self
            .link
            .script(&PROMOTE, &keys, |command| {
                command.arg(queue).arg(self.keys.inbox_prefix()).arg(limit.clamp(1, 1000));
            })
            .await?;
        let unexpected = || Error::unexpected_reply(PROMOTE.name);
        Ok((reply.count().ok_or_else(unexpected)?, reply.number().ok_or_else(unexpected)?))
    }
}
