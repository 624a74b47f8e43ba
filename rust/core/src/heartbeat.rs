//! The thread that keeps this process's leases alive.
//!
//! It has a connection and a runtime of its own and never asks for Python's lock: neither a busy event loop nor a stalled hot path
//! can cost a lease. What it cannot see by itself is whether the event loop still turns; so the loop moves a counter
//! ([`Heartbeat::tick`]), and a sample whose counter stands still says `wedged`.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::sleep_until};

use crate::{
    error::{Error, Result},
    event::{Event, EventSink},
    extend::{Beat, lost_event},
    held::Held,
    keys::Keys,
    link::Link,
    options::Options,
};

/// A loop that has not moved its counter for this many beats is wedged.
const WEDGED_AFTER_BEATS: u32 = 3;
/// How often trust is looked at between beats, at the least.
const WATCH: Duration = Duration::from_millis(100);

/// What the event loop says of itself.
#[derive(Debug)]
struct Pulse {
    born: Instant,
    ticked_ms: AtomicU64,
    running: AtomicUsize,
    capacity: AtomicUsize,
}

impl Pulse {
    fn age(&self) -> Duration {
        let ticked = Duration::from_millis(self.ticked_ms.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(ticked)
    }
}

/// A running heartbeat thread.
pub struct Heartbeat {
    pulse: Arc<Pulse>,
    interval: Duration,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Heartbeat {
    /// Starts the thread; the first beat is sent at once.
    pub fn start(options: Options, held: Arc<Held>, events: EventSink, interval_ms: u64, ttl_ms: u64) -> Result<Self> {
        if interval_ms == 0 || ttl_ms <= interval_ms {
            return Err(Error::invalid("heartbeat ttl_ms", format!("more than interval_ms {interval_ms}"), ttl_ms));
        }
        let pulse = Arc::new(Pulse {
            born: Instant::now(),
            ticked_ms: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            capacity: AtomicUsize::new(0),
        });
        let interval = Duration::from_millis(interval_ms);
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::unavailable)?;
        let keys = Keys::new(options.prefix.clone())?;
        let beating = Beating { options, keys, held, events, pulse: Arc::clone(&pulse), interval, ttl_ms, stopped };
        let thread = std::thread::Builder::new()
            .name("tenure-heartbeat".to_owned())
            .spawn(move || runtime.block_on(beating.run()))
            .map_err(Error::unavailable)?;
        Ok(Self { pulse, interval, stop, thread: Mutex::new(Some(thread)) })
    }

    /// The event loop turns; what it is doing goes into the next sample.
    pub fn tick(&self, running: usize, capacity: usize) {
        let age = u64::try_from(self.pulse.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pulse.ticked_ms.store(age, Ordering::Relaxed);
        self.pulse.running.store(running, Ordering::Relaxed);
        self.pulse.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Whether the event loop has stopped turning.
    #[must_use]
    pub fn wedged(&self) -> bool {
        self.pulse.age() > self.interval * WEDGED_AFTER_BEATS
    }

    /// Ends the thread, takes back the sign of life and waits for both; may be called twice.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

struct Beating {
    options: Options,
    keys: Keys,
    held: Arc<Held>,
    events: EventSink,
    pulse: Arc<Pulse>,
    interval: Duration,
    ttl_ms: u64,
    stopped: watch::Receiver<bool>,
}

impl Beating {
    async fn run(mut self) {
        let mut link: Option<Link> = None;
        let mut down = false;
        let mut next = Instant::now();
        loop {
            if Instant::now() >= next {
                // A beat that takes long must not hold up the watch over trust: both run at the same time.
                let beat = self.beat(&mut link);
                tokio::pin!(beat);
                let outcome = loop {
                    tokio::select! {
                        outcome = &mut beat => break outcome,
                        () = sleep_until((Instant::now() + WATCH).into()) => tell_untrusted(&self.held, &self.events),
                    }
                };
                if let Err(error) = outcome {
                    if matches!(error, Error::Unavailable { .. } | Error::Untrusted { .. }) && !down {
                        (self.events)(Event::RedisDown);
                    }
                    down = true;
                    // Sooner than the next beat, with jitter: trust is running out, and so it is for every other worker.
                    let part = self.interval.mul_f64(0.1 + 0.15 * fastrand::f64());
                    next = Instant::now() + part.min(Duration::from_secs(1));
                } else {
                    down = false;
                    next += self.interval;
                    // After a pause of the whole process there is nothing to catch up.
                    next = next.max(Instant::now() + self.interval / 2);
                }
            }
            tell_untrusted(&self.held, &self.events);
            let look = next.min(Instant::now() + WATCH.max(self.interval / 10));
            tokio::select! {
                () = sleep_until(look.into()) => {}
                changed = self.stopped.changed() => {
                    if changed.is_err() || *self.stopped.borrow() {
                        break;
                    }
                }
            }
        }
        if let Some(link) = link {
            let key = self.keys.heartbeat(&self.options.worker_id);
            let forget = redis::cmd("DEL").arg(key).to_owned();
            let _ = tokio::time::timeout(Duration::from_secs(1), link.query("heartbeat", &forget)).await;
        }
    }

    async fn beat(&self, link: &mut Option<Link>) -> Result<()> {
        let connected = match link.take() {
            Some(connected) => connected,
            None => Link::connect(&self.options).await?,
        };
        let connected = link.insert(connected);
        let beat = Beat {
            options: &self.options,
            keys: &self.keys,
            held: &self.held,
            events: &self.events,
            ttl_ms: self.ttl_ms,
        };
        beat.send(connected, self.sample().as_bytes()).await
    }

    /// The health sample, JSON: what is run, what could be, and whether the event loop turns.
    fn sample(&self) -> String {
        let age = self.pulse.age();
        format!(
            r#"{{"pid":{},"running":{},"capacity":{},"held":{},"tick_age_ms":{},"wedged":{}}}"#,
            std::process::id(),
            self.pulse.running.load(Ordering::Relaxed),
            self.pulse.capacity.load(Ordering::Relaxed),
            self.held.len(),
            age.as_millis(),
            age > self.interval * WEDGED_AFTER_BEATS
        )
    }
}

fn tell_untrusted(held: &Held, events: &EventSink) {
    for (queue, lease) in held.take_untrusted(Instant::now()) {
        events(lost_event(&queue, lease));
    }
}
