//! The thread that keeps the leases of a process alive.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{sleep_until, timeout};

use crate::{
    beat::Beat,
    error::{Error, Result},
    event::Event,
    extend::lost_event,
    heartbeat::{Hub, Left, Member, Rhythm},
    keys::Keys,
    link::Link,
    options::Options,
    process::ProcessMeter,
    server::time_ms,
};

/// How often trust is looked at between beats, at the least.
const WATCH: Duration = Duration::from_millis(100);
/// How long taking back signs of life may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the thread has.
pub(crate) struct Beating {
    hub: Arc<Hub>,
    keys: Keys,
    options: Options,
    rhythm: Rhythm,
    meter: ProcessMeter,
    link: Option<Link>,
    /// The server's time, ms, and when it was asked.
    clock: (i64, Instant),
    down: bool,
}

impl Beating {
    pub(crate) fn new(hub: Arc<Hub>, keys: Keys, options: Options, rhythm: Rhythm) -> Self {
        let meter = ProcessMeter::new();
        Self { hub, keys, options, rhythm, meter, link: None, clock: (0, Instant::now()), down: false }
    }

    /// Beats until everybody has left.
    pub(crate) async fn run(mut self) {
        let hub = Arc::clone(&self.hub);
        let interval = self.rhythm.interval();
        // When the next beat of all is planned, and when it is sent: later than planned while the server is away.
        let mut planned = Instant::now();
        let mut next = planned;
        let mut first = true;
        loop {
            let changes = hub.changes();
            self.forget(changes.left).await;
            if changes.over {
                return;
            }
            let now = Instant::now();
            let everybody = hub.everybody();
            if now >= next {
                self.meter.look();
                if self.beat(&everybody, planned).await {
                    // After a pause of the whole process there is nothing to catch up. Fleets that were started at once spread out.
                    let phase = if first { 0.5 + 0.5 * fastrand::f64() } else { 1.0 };
                    planned = (planned.min(now) + interval.mul_f64(phase)).max(Instant::now() + interval / 2);
                    first = false;
                    next = planned;
                } else {
                    next = Instant::now() + soon(interval);
                }
            } else if !changes.joined.is_empty() && !self.beat(&changes.joined, now).await {
                next = next.min(Instant::now() + soon(interval));
            }
            tell_untrusted(&everybody);
            let look = next.min(Instant::now() + WATCH.max(interval / 10));
            tokio::select! {
                () = sleep_until(look.into()) => {}
                () = hub.changed.notified() => {}
            }
        }
    }

    /// One beat of these members; whether all went well.
    async fn beat(&mut self, members: &[Arc<Member>], planned: Instant) -> bool {
        let began = Instant::now();
        let outcome = {
            // A beat that takes long must not hold up the watch over trust: both run at the same time.
            let beat = self.send(members, planned);
            tokio::pin!(beat);
            loop {
                tokio::select! {
                    outcome = &mut beat => break outcome,
                    () = sleep_until((Instant::now() + WATCH).into()) => tell_untrusted(members),
                }
            }
        };
        if let Err(error) = &outcome
            && matches!(error, Error::Unavailable { .. } | Error::Untrusted { .. })
            && !self.down
        {
            for member in members {
                (member.events)(Event::RedisDown);
            }
        }
        if outcome.is_ok() {
            self.hub.beaten(began);
        }
        self.down = outcome.is_err();
        outcome.is_ok()
    }

    async fn send(&mut self, members: &[Arc<Member>], planned: Instant) -> Result<()> {
        let link = match &self.link {
            Some(link) => link,
            None => self.link.insert(Link::connect(&self.options).await?),
        };
        if self.clock.0 == 0 {
            self.clock = (time_ms(link).await?, Instant::now());
        }
        let beat = Beat {
            keys: &self.keys,
            lease_ms: self.options.lease_ms,
            rhythm: self.rhythm,
            members,
            usage: self.meter.usage,
            clock: self.clock,
            planned,
        };
        if let Some(now_ms) = beat.send(link).await? {
            self.clock = (now_ms, Instant::now());
        }
        Ok(())
    }

    /// Takes back the signs of life of those who leave, their series too; those of the dead stay until they expire.
    async fn forget(&self, left: Vec<Left>) {
        let Some(link) = self.link.as_ref().filter(|_| !left.is_empty()) else { return };
        let mut pipeline = redis::Pipeline::new();
        let mut roster = redis::cmd("ZREM");
        roster.arg(self.keys.roster());
        for one in &left {
            pipeline.cmd("DEL").arg(self.keys.heartbeat(&one.worker_id)).arg(self.keys.series(&one.worker_id));
            roster.arg(&one.worker_id);
        }
        pipeline.add_command(roster);
        let _ = timeout(FAREWELL, link.pipeline("heartbeat", &pipeline, left.len() + 1)).await;
    }
}

/// Sooner than the next beat, with jitter: trust is running out, and so it is for every other worker.
fn soon(interval: Duration) -> Duration {
    interval.mul_f64(0.1 + 0.15 * fastrand::f64()).min(Duration::from_secs(1))
}

fn tell_untrusted(members: &[Arc<Member>]) {
    let now = Instant::now();
    for member in members {
        for (queue, lease) in member.held.take_untrusted(now) {
            (member.events)(lost_event(&queue, lease));
        }
    }
}
