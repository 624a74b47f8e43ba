//! The leases this worker holds, until when it may trust them, and how long their jobs had waited.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::job::{JobFence, lease_of, member};

#[derive(Debug)]
struct Entry {
    queue: Arc<str>,
    trusted_until: Instant,
    /// When a loop that stands still holds it no longer; `None` for a job that may run for as long as it likes.
    hard_deadline: Option<Instant>,
    asked_to_stop: bool,
}

/// A registry shared by the calls that take and end leases and the thread that extends them.
///
/// Trust runs from the *start* of the request that got or extended a lease, by the monotonic clock: the deadline in Redis is
/// later than that, whatever the network did.
#[derive(Debug)]
pub struct Held {
    trust: Duration,
    leases: Mutex<HashMap<String, Entry>>,
    /// Leases taken since they were last counted, and for how many ms in all their jobs had been ready.
    waits: Mutex<(u64, u64)>,
}

impl Held {
    /// An empty registry whose leases are trusted for `trust` from the start of the request that got them.
    #[must_use]
    pub fn new(trust: Duration) -> Self {
        Self { trust, leases: Mutex::default(), waits: Mutex::default() }
    }

    /// Takes leases that a request begun at `began` has got, each with how long its job may run, ms (0: as long as it likes).
    pub fn add(&self, queue: &str, leases: impl Iterator<Item = (JobFence, u64)>, began: Instant) {
        let queue: Arc<str> = queue.into();
        let trusted_until = began + self.trust;
        let mut held = self.lock();
        for ((job_id, fence), timeout_ms) in leases {
            // A lease's time more than its own: for what the job waited here, and for a loop that turns to cancel and settle it.
            let limit = Duration::from_millis(timeout_ms) + self.trust;
            let hard_deadline = (timeout_ms > 0).then(|| began.checked_add(limit)).flatten();
            let entry = Entry { queue: Arc::clone(&queue), trusted_until, hard_deadline, asked_to_stop: false };
            held.insert(member(&job_id, fence), entry);
        }
    }

    /// Counts leases whose jobs had been ready for `waited_ms` in all.
    pub(crate) fn waited(&self, leases: usize, waited_ms: u64) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        *waits = (waits.0 + leases as u64, waits.1 + waited_ms);
    }

    /// What was counted since this was last asked: leases, and ms in all.
    pub(crate) fn take_waits(&self) -> (u64, u64) {
        std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops tracking leases.
    pub fn drop_leases<'a>(&self, leases: impl Iterator<Item = (&'a str, u64)>) {
        let mut held = self.lock();
        for (job_id, fence) in leases {
            held.remove(&member(job_id, fence));
        }
    }

    /// How many leases are tracked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members to extend, by queue. Of a loop that is `wedged` by `now` those are left out whose hard deadline is over: nothing
    /// else would ever end them, and they run again elsewhere once they have expired.
    #[must_use]
    pub fn by_queue(&self, wedged: Option<Instant>) -> BTreeMap<Arc<str>, Vec<String>> {
        let mut queues: BTreeMap<Arc<str>, Vec<String>> = BTreeMap::new();
        for (member, entry) in self.lock().iter() {
            if let (Some(now), Some(deadline)) = (wedged, entry.hard_deadline)
                && deadline <= now
            {
                continue;
            }
            queues.entry(Arc::clone(&entry.queue)).or_default().push(member.clone());
        }
        queues
    }

    /// Trusts these leases anew, from a request begun at `began`; those settled meanwhile stay gone.
    pub fn extended(&self, members: &[String], began: Instant) {
        let trusted_until = began + self.trust;
        let mut held = self.lock();
        for member in members {
            if let Some(entry) = held.get_mut(member) {
                entry.trusted_until = trusted_until;
            }
        }
    }

    /// Gives up leases that are gone; those that were still tracked, with their queues.
    pub fn lost(&self, members: &[String]) -> Vec<(Arc<str>, JobFence)> {
        let mut held = self.lock();
        members.iter().filter_map(|member| Some((held.remove(member)?.queue, lease_of(member)?))).collect()
    }

    /// Gives up leases whose trust has ended.
    pub fn take_untrusted(&self, now: Instant) -> Vec<(Arc<str>, JobFence)> {
        let mut untrusted = Vec::new();
        self.lock().retain(|member, entry| {
            if entry.trusted_until > now {
                return true;
            }
            untrusted.extend(lease_of(member).map(|lease| (Arc::clone(&entry.queue), lease)));
            false
        });
        untrusted
    }

    /// Those of these leases that are told for the first time to stop.
    pub fn asked_to_stop(&self, members: &[String]) -> Vec<(Arc<str>, JobFence)> {
        let mut held = self.lock();
        let mut fresh = Vec::new();
        for member in members {
            if let Some(entry) = held.get_mut(member).filter(|entry| !entry.asked_to_stop) {
                entry.asked_to_stop = true;
                fresh.extend(lease_of(member).map(|lease| (Arc::clone(&entry.queue), lease)));
            }
        }
        fresh
    }

    /// A panic of another thread leaves the map whole: every change to it is a single call.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(began: Instant) -> Held {
        let held = Held::new(Duration::from_secs(10));
        held.add("q", [(("a".to_owned(), 1), 0), (("b".to_owned(), 4), 5000)].into_iter(), began);
        held
    }

    #[test]
    fn a_wedged_loop_keeps_no_lease_beyond_its_hard_deadline() {
        let began = Instant::now();
        let held = held(began);
        let extended = |wedged| held.by_queue(wedged).into_values().next().map_or(0, |members| members.len());
        assert_eq!(extended(None), 2, "a loop that turns ends its jobs itself");
        assert_eq!(extended(Some(began + Duration::from_secs(14))), 2);
        assert_eq!(extended(Some(began + Duration::from_secs(15))), 1, "5 s, and 10 s of trust");
    }

    #[test]
    fn trust_ends_once() {
        let began = Instant::now();
        let held = held(began);
        assert!(held.take_untrusted(began + Duration::from_secs(9)).is_empty());
        assert_eq!(held.take_untrusted(began + Duration::from_secs(10)).len(), 2);
        assert!(held.take_untrusted(began + Duration::from_secs(11)).is_empty());
    }

    #[test]
    fn extending_moves_trust_and_revives_nothing() {
        let began = Instant::now();
        let held = held(began);
        held.drop_leases([("b", 4)].into_iter());
        held.extended(&["a:1".to_owned(), "b:4".to_owned()], began + Duration::from_secs(5));
        assert_eq!(held.len(), 1);
        assert!(held.take_untrusted(began + Duration::from_secs(14)).is_empty());
    }

    #[test]
    fn a_stop_is_told_once() {
        let held = held(Instant::now());
        assert_eq!(held.asked_to_stop(&["a:1".to_owned()]).len(), 1);
        assert!(held.asked_to_stop(&["a:1".to_owned()]).is_empty());
    }
}
