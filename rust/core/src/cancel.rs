//! Verbs that cancel: `cancel_queued` before a job is run, `cancel_running` while it is.

use crate::{
    error::{Error, Result},
    job::member,
    script::{CANCEL, STOP},
    store::{CHUNK, Store},
};

/// How long a running job stays marked: far longer than any beat.
const KEEP_MARK_MS: u64 = 3_600_000;

impl Store {
    /// Takes jobs that PostgreSQL has cancelled out of the queue; how many stood in it.
    pub async fn cancel_queued(&self, queue: &str, job_ids: &[String]) -> Result<usize> {
        let keys = self.keys.queue(queue)?;
        let mut removed = 0;
        for chunk in job_ids.chunks(CHUNK) {
            let mut reply = self
                .link
                .script(&CANCEL, &keys, |command| {
                    command.arg(queue).arg(self.keys.inbox_prefix()).arg(&keys.settled_channel).arg(chunk);
                })
                .await?;
            removed += reply.count().ok_or_else(|| Error::unexpected_reply(CANCEL.name))?;
        }
        Ok(removed)
    }

    /// Asks the worker that runs a job to stop it; how many inboxes heard it (its beat tells it otherwise).
    pub async fn cancel_running(&self, queue: &str, job_id: &str, fence: u64, worker_id: &str) -> Result<usize> {
        let keys = self.keys.queue(queue)?;
        let lease = member(job_id, fence);
        let mut reply = self
            .link
            .script(&STOP, &keys, |command| {
                command
                    .arg(&lease)
                    .arg(self.keys.inbox(worker_id))
                    .arg(format!("cancel {lease} {queue}"))
                    .arg(KEEP_MARK_MS);
            })
            .await?;
        reply.count().ok_or_else(|| Error::unexpected_reply(STOP.name))
    }
}
