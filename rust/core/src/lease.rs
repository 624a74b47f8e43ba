//! The verb that takes jobs.

use std::time::Instant;

use crate::{
    class::check_offered,
    error::{Error, Result},
    job::Descriptor,
    script::{LANE_LEASE, LEASE},
    store::{Pair, Store},
};

/// Due jobs that one lease call makes ready at most; the maintenance duty promotes the rest.
const PROMOTE_LIMIT: usize = 100;
/// The most jobs of one lease call, bounded by what Lua can unpack.
const MOST: usize = 1000;

const PAIR: Pair = Pair { plain: &LEASE, laned: &LANE_LEASE };

/// The right to run a job until its deadline.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The queue it came from.
    pub queue: String,
    /// The fence of this lease: one above the descriptor's.
    pub fence: u64,
    /// Which run this is, from 1.
    pub attempt: u32,
    /// The job as it stood in the queue.
    pub job: Descriptor,
}

/// What a lease call brought.
#[derive(Debug, Clone)]
pub struct LeaseBatch {
    /// Best priority first.
    pub leases: Vec<Lease>,
    /// The server's time, ms.
    pub now_ms: i64,
    /// When the next scheduled job is due, ms; -1 for none or not asked.
    pub next_due_ms: i64,
    /// The queue ran out: this worker is entered as idle and will be woken.
    pub exhausted: bool,
}

impl Store {
    /// Takes up to `want` jobs (at most 1000) that a worker with these capabilities and free resources can run (see
    /// [`class`](crate::class)), best priority first. They are tracked from here on.
    ///
    /// If the reply is lost the leases are nobody's and come back through rescue.
    pub async fn lease(&self, queue: &str, want: usize, offers: &str) -> Result<LeaseBatch> {
        check_offered(offers)?;
        let keys = self.keys.queue(queue)?;
        let began = Instant::now();
        let mut reply = self
            .script_of(&PAIR, &keys, false, |command, _| {
                command
                    .arg(want.clamp(1, MOST))
                    .arg(self.options.lease_ms)
                    .arg(&self.options.worker_id)
                    .arg(PROMOTE_LIMIT)
                    .arg(queue)
                    .arg(self.keys.inbox_prefix())
                    .arg(offers);
            })
            .await?;
        let unexpected = || Error::unexpected_reply(LEASE.name);
        let now_ms = reply.number().ok_or_else(unexpected)?;
        let next_due_ms = reply.number().ok_or_else(unexpected)?;
        let exhausted = reply.number().ok_or_else(unexpected)? == 1;
        let mut leases = Vec::new();
        while let Some(job_id) = reply.text() {
            let text = reply.bytes().ok_or_else(unexpected)?;
            let job = Descriptor::decode(&job_id, &text).ok_or_else(unexpected)?;
            leases.push(Lease { queue: queue.to_owned(), fence: job.fence + 1, attempt: job.attempts + 1, job });
        }
        let waited = leases
            .iter()
            .map(|lease| u64::try_from(now_ms.saturating_sub(lease.job.run_at_ms)).unwrap_or_default())
            .sum();
        self.held.waited(leases.len(), waited);
        self.held.add(queue, leases.iter().map(|lease| (lease.job.job_id.clone(), lease.fence)), began);
        Ok(LeaseBatch { leases, now_ms, next_due_ms, exhausted })
    }
}
