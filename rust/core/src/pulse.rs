//! What an event loop says of itself between two beats; the heartbeat thread reads it without asking.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// A loop that has not moved its counter for this many beats is wedged.
const WEDGED_AFTER_BEATS: u32 = 3;

/// The loop's own account of one worker.
#[derive(Debug)]
pub(crate) struct Pulse {
    born: Instant,
    wedged_after: Duration,
    ticked_ms: AtomicU64,
    running: AtomicUsize,
    capacity: AtomicUsize,
    ended: AtomicU64,
    failed: AtomicU64,
    /// Of the latest sample.
    score: AtomicU8,
    profile: Mutex<String>,
}

/// What one look at a pulse finds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Vitals {
    pub running: usize,
    pub capacity: usize,
    /// Attempts that have ended, since the start.
    pub ended: u64,
    /// Those of them that failed.
    pub failed: u64,
    pub tick_age: Duration,
    pub wedged: bool,
}

impl Pulse {
    /// A loop that ticked just now.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            born: Instant::now(),
            wedged_after: interval * WEDGED_AFTER_BEATS,
            ticked_ms: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            capacity: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            score: AtomicU8::new(100),
            profile: Mutex::default(),
        }
    }

    /// The loop turns, and says what it is doing.
    pub(crate) fn tick(&self, running: usize, capacity: usize, ended: u64, failed: u64) {
        let age = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ticked_ms.store(age, Ordering::Relaxed);
        self.running.store(running, Ordering::Relaxed);
        self.capacity.store(capacity, Ordering::Relaxed);
        self.ended.store(ended, Ordering::Relaxed);
        self.failed.store(failed, Ordering::Relaxed);
    }

    /// What goes into every sample as it is: the fields of a JSON object.
    pub(crate) fn describe(&self, profile: &str) -> Result<()> {
        let fields = profile.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let fields = fields.ok_or_else(|| Error::invalid("profile", "a JSON object", profile))?;
        fields.clone_into(&mut self.profile.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// The fields of the profile, without braces.
    pub(crate) fn profile(&self) -> String {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything at once.
    pub(crate) fn vitals(&self) -> Vitals {
        let tick_age = self.age();
        Vitals {
            running: self.running.load(Ordering::Relaxed),
            capacity: self.capacity.load(Ordering::Relaxed),
            ended: self.ended.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            tick_age,
            wedged: tick_age > self.wedged_after,
        }
    }

    /// The worker's score as of the beat that is being sent.
    pub(crate) fn scored(&self, score: u8) {
        self.score.store(score, Ordering::Relaxed);
    }

    /// The score of the latest beat; 100 before the first.
    pub(crate) fn score(&self) -> u8 {
        self.score.load(Ordering::Relaxed)
    }

    /// Whether the loop has stopped turning.
    pub(crate) fn wedged(&self) -> bool {
        self.age() > self.wedged_after
    }

    fn age(&self) -> Duration {
        let ticked = Duration::from_millis(self.ticked_ms.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(ticked)
    }
}
