//! A worker's place in the heartbeat of its process.
//!
//! All workers of a process that speak to the same server in the same way share one thread and one connection: a beat is one
//! pipeline, however many there are. The thread has a runtime of its own and never asks for Python's lock: neither a busy event loop
//! nor a stalled hot path can cost a lease. What it cannot see by itself is whether an event loop still turns; so each loop moves
//! a counter ([`Heartbeat::tick`]), and a sample whose counter stands still says `wedged`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::{
    beating::Beating,
    error::{Error, Result},
    event::EventSink,
    held::Held,
    keys::Keys,
    options::Options,
    pulse::Pulse,
    sample::Sampler,
};

/// How often a beat comes, and what it leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Between two beats, ms.
    pub interval_ms: u64,
    /// How long a worker counts as alive after one, ms.
    pub ttl_ms: u64,
    /// How many samples of each worker are kept.
    pub history: usize,
}

impl Rhythm {
    /// With a history of 60 samples.
    #[must_use]
    pub fn new(interval_ms: u64, ttl_ms: u64) -> Self {
        Self { interval_ms, ttl_ms, history: 60 }
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    fn validate(&self) -> Result<()> {
        if self.interval_ms == 0 || self.ttl_ms <= self.interval_ms {
            let limit = format!("more than interval_ms {}", self.interval_ms);
            return Err(Error::invalid("heartbeat ttl_ms", limit, self.ttl_ms));
        }
        if self.history == 0 {
            return Err(Error::invalid("heartbeat history", "at least 1", self.history));
        }
        Ok(())
    }
}

/// One worker as the thread sees it.
pub(crate) struct Member {
    pub worker_id: String,
    pub held: Arc<Held>,
    pub events: EventSink,
    pub pulse: Pulse,
    pub sampler: Mutex<Sampler>,
}

/// The workers that share a thread.
pub(crate) struct Hub {
    /// What they have in common; the worker id is nobody's.
    options: Options,
    rhythm: Rhythm,
    process: u32,
    members: Mutex<Members>,
    pub changed: Notify,
    born: Instant,
    /// When the latest beat that came through was sent, ms after birth.
    beaten_ms: AtomicU64,
}

#[derive(Default)]
struct Members {
    beating: Vec<Arc<Member>>,
    joined: Vec<Arc<Member>>,
    left: Vec<Left>,
}

/// One that leaves; dropping it says that nothing of it is left.
pub(crate) struct Left {
    pub worker_id: String,
    _gone: Sender<()>,
}

/// What has changed since the thread last looked.
pub(crate) struct Changes {
    pub joined: Vec<Arc<Member>>,
    pub left: Vec<Left>,
    /// Nobody is there any more: the thread ends, and whoever comes next starts another.
    pub over: bool,
}

static HUBS: Mutex<Vec<Arc<Hub>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of another thread leaves the lists whole: every change to them is a single call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Everybody, those who have just joined included.
    pub(crate) fn everybody(&self) -> Vec<Arc<Member>> {
        lock(&self.members).beating.clone()
    }

    /// Takes note of who has come and gone.
    pub(crate) fn changes(self: &Arc<Self>) -> Changes {
        let mut hubs = lock(&HUBS);
        let mut members = lock(&self.members);
        let joined = std::mem::take(&mut members.joined);
        members.beating.extend(joined.iter().cloned());
        let left = std::mem::take(&mut members.left);
        let over = members.beating.is_empty();
        if over {
            hubs.retain(|hub| !Arc::ptr_eq(hub, self));
        }
        Changes { joined, left, over }
    }

    /// A beat that was sent then has come through.
    pub(crate) fn beaten(&self, sent: Instant) {
        let at = sent.saturating_duration_since(self.born).as_millis();
        self.beaten_ms.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn join(&self, member: Arc<Member>) {
        lock(&self.members).joined.push(member);
        self.changed.notify_one();
    }

    fn leave(&self, member: &Arc<Member>) -> Receiver<()> {
        let (gone, told) = channel();
        let mut members = lock(&self.members);
        let before = members.beating.len() + members.joined.len();
        members.beating.retain(|one| !Arc::ptr_eq(one, member));
        members.joined.retain(|one| !Arc::ptr_eq(one, member));
        if members.beating.len() + members.joined.len() < before {
            members.left.push(Left { worker_id: member.worker_id.clone(), _gone: gone });
        }
        drop(members);
        self.changed.notify_one();
        told
    }
}

/// A worker that beats.
pub struct Heartbeat {
    member: Arc<Member>,
    hub: Arc<Hub>,
}

impl Heartbeat {
    /// Joins the heartbeat of the process, or begins it; the first beat is sent at once. `profile` is a JSON object whose fields
    /// every sample has besides.
    pub fn start(options: Options, held: Arc<Held>, events: EventSink, rhythm: Rhythm, profile: &str) -> Result<Self> {
        rhythm.validate()?;
        options.validate()?;
        let pulse = Pulse::new(rhythm.interval());
        pulse.describe(profile)?;
        let worker_id = options.worker_id.clone();
        let member = Arc::new(Member { worker_id, held, events, pulse, sampler: Mutex::new(Sampler::new()) });
        let common = Options { worker_id: "nobody".to_owned(), ..options };
        let process = std::process::id();
        let mut hubs = lock(&HUBS);
        let same = |hub: &&Arc<Hub>| hub.process == process && hub.rhythm == rhythm && hub.options == common;
        if let Some(hub) = hubs.iter().find(same).cloned() {
            hub.join(Arc::clone(&member));
            return Ok(Self { member, hub });
        }
        let (members, changed) = (Mutex::default(), Notify::new());
        let (born, beaten_ms) = (Instant::now(), AtomicU64::new(0));
        let hub = Arc::new(Hub { options: common.clone(), rhythm, process, members, changed, born, beaten_ms });
        hub.join(Arc::clone(&member));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::unavailable)?;
        let beating = Beating::new(Arc::clone(&hub), Keys::new(common.prefix.clone())?, common, rhythm);
        std::thread::Builder::new()
            .name("tenure-heartbeat".to_owned())
            .spawn(move || runtime.block_on(beating.run()))
            .map_err(Error::unavailable)?;
        hubs.push(Arc::clone(&hub));
        Ok(Self { member, hub })
    }

    /// The event loop turns; what it is doing, and how many attempts have ended and failed since the start, goes into the next sample.
    pub fn tick(&self, running: usize, capacity: usize, ended: u64, failed: u64) {
        self.member.pulse.tick(running, capacity, ended, failed);
    }

    /// What every sample says of this worker besides from now on, a JSON object.
    pub fn describe(&self, profile: &str) -> Result<()> {
        self.member.pulse.describe(profile)
    }

    /// Whether the event loop has stopped turning.
    #[must_use]
    pub fn wedged(&self) -> bool {
        self.member.pulse.wedged()
    }

    /// How well the worker was at its latest beat, 0 to 100, as its sample says.
    #[must_use]
    pub fn score(&self) -> u8 {
        self.member.pulse.score()
    }

    /// For how long nobody can have heard of this worker: since the latest beat that came through was sent.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let beaten = Duration::from_millis(self.hub.beaten_ms.load(Ordering::Relaxed));
        self.hub.born.elapsed().saturating_sub(beaten)
    }

    /// Leaves, takes back the sign of life and waits for both; may be called twice.
    pub fn stop(&self) {
        // The thread answers by dropping the other end.
        let _ = self.hub.leave(&self.member).recv();
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let _ = self.hub.leave(&self.member);
    }
}
