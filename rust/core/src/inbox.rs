//! The subscription: wake-ups, cancellations and what else is asked of this worker, ends of the jobs that somebody here waits for.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{interval, timeout},
};

use crate::{
    error::{Error, Result},
    event::{Event, EventSink},
    job::lease_of,
    keys::Keys,
    link::client,
    options::Options,
};

/// How often the connection is tried, so that one that is half open is noticed.
const PROBE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The jobs that somebody here waits for, by queue. Messages name every job that ends; only these are told on.
#[derive(Debug, Default)]
struct Watched(Mutex<HashMap<String, HashSet<String>>>);

impl Watched {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashSet<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Wish {
    Listen,
    Obey,
    Queue(String),
}

/// A handle on the subscription of one process.
pub struct Inbox {
    watched: Arc<Watched>,
    wishes: UnboundedSender<Wish>,
}

impl Inbox {
    /// A handle, and the task to run for as long as the handle lives. Nothing is connected before the first wish.
    pub fn new(options: Options, keys: Keys, events: EventSink) -> (Self, impl Future<Output = ()> + Send) {
        let watched = Arc::new(Watched::default());
        let (wishes, receiver) = unbounded_channel();
        let inbox = Self { watched: Arc::clone(&watched), wishes };
        let listening = Listening {
            options,
            keys,
            events,
            watched,
            wished: receiver,
            inbox: false,
            control: false,
            queues: HashSet::new(),
        };
        (inbox, listening.run())
    }

    /// Subscribes to this worker's own inbox.
    pub fn listen(&self) {
        let _ = self.wishes.send(Wish::Listen);
    }

    /// Subscribes to the channel on which this worker is steered.
    pub fn obey(&self) {
        let _ = self.wishes.send(Wish::Obey);
    }

    /// Waits for the end of a job. The first watch of a queue subscribes to it; [`Event::Reconnected`] says when that is done.
    pub fn watch(&self, queue: &str, job_id: &str) {
        let mut watched = self.watched.lock();
        if let Some(jobs) = watched.get_mut(queue) {
            jobs.insert(job_id.to_owned());
            return;
        }
        watched.insert(queue.to_owned(), HashSet::from([job_id.to_owned()]));
        let _ = self.wishes.send(Wish::Queue(queue.to_owned()));
    }

    /// Waits no longer.
    pub fn unwatch(&self, queue: &str, job_id: &str) {
        if let Some(jobs) = self.watched.lock().get_mut(queue) {
            jobs.remove(job_id);
        }
    }
}

struct Listening {
    options: Options,
    keys: Keys,
    events: EventSink,
    watched: Arc<Watched>,
    wished: UnboundedReceiver<Wish>,
    inbox: bool,
    control: bool,
    queues: HashSet<String>,
}

/// Why a connection was left.
enum Left {
    Closed,
    Broken,
}

impl Listening {
    async fn run(mut self) {
        let mut pause = Duration::from_millis(50);
        while !self.inbox && !self.control && self.queues.is_empty() {
            let Some(wish) = self.wished.recv().await else { return };
            self.note(wish);
        }
        loop {
            let connected = timeout(self.options.connect_timeout(), self.connect()).await;
            if let Ok(Ok((sink, stream))) = connected {
                pause = Duration::from_millis(50);
                (self.events)(Event::Reconnected);
                if matches!(self.hear(sink, stream).await, Left::Closed) {
                    return;
                }
                (self.events)(Event::RedisDown);
            } else if self.wished.is_closed() {
                return;
            }
            // Jitter: every worker of the fleet lost the same server at the same instant.
            tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The channels to subscribe to for a wish.
    fn note(&mut self, wish: Wish) -> Vec<String> {
        match wish {
            Wish::Listen => {
                self.inbox = true;
                vec![self.keys.inbox(&self.options.worker_id)]
            }
            Wish::Obey => {
                self.control = true;
                vec![self.keys.control(&self.options.worker_id)]
            }
            Wish::Queue(queue) => {
                let Ok(keys) = self.keys.queue(&queue) else { return Vec::new() };
                self.queues.insert(queue);
                vec![keys.settled_channel]
            }
        }
    }

    async fn connect(&self) -> Result<(redis::aio::PubSubSink, redis::aio::PubSubStream)> {
        let connection =
            client(&self.options)?.get_async_pubsub().await.map_err(|error| Error::from_redis("subscribe", &error))?;
        let (mut sink, stream) = connection.split();
        let mut channels = Vec::new();
        if self.inbox {
            channels.push(self.keys.inbox(&self.options.worker_id));
        }
        if self.control {
            channels.push(self.keys.control(&self.options.worker_id));
        }
        for queue in &self.queues {
            channels.push(self.keys.queue(queue)?.settled_channel);
        }
        sink.subscribe(&channels).await.map_err(|error| Error::from_redis("subscribe", &error))?;
        Ok((sink, stream))
    }

    async fn hear(&mut self, mut sink: redis::aio::PubSubSink, mut stream: redis::aio::PubSubStream) -> Left {
        let mut probe = interval(PROBE);
        loop {
            tokio::select! {
                message = stream.next() => match message {
                    Some(message) => self.tell(message.get_channel_name(), message.get_payload_bytes()),
                    None => return Left::Broken,
                },
                wish = self.wished.recv() => {
                    let Some(wish) = wish else { return Left::Closed };
                    let channels = self.note(wish);
                    if channels.is_empty() {
                        continue;
                    }
                    match timeout(self.options.command_timeout(), sink.subscribe(&channels)).await {
                        Ok(Ok(())) => (self.events)(Event::Reconnected),
                        _ => return Left::Broken,
                    }
                }
                _ = probe.tick() => {
                    let alive = timeout(self.options.command_timeout(), sink.ping::<redis::Value>()).await;
                    if !matches!(alive, Ok(Ok(_))) {
                        return Left::Broken;
                    }
                }
            }
        }
    }

    fn tell(&self, channel: &str, payload: &[u8]) {
        let Ok(text) = std::str::from_utf8(payload) else { return };
        if let Some(queue) = self.keys.queue_of_settled(channel) {
            let watched = self.watched.lock();
            let Some(jobs) = watched.get(queue).filter(|jobs| !jobs.is_empty()) else { return };
            for job_id in text.split('\n').filter(|job_id| jobs.contains(*job_id)) {
                (self.events)(Event::Settled { queue: queue.to_owned(), job_id: job_id.to_owned() });
            }
            return;
        }
        if self.control && channel == self.keys.control(&self.options.worker_id) {
            (self.events)(Event::Control { text: text.to_owned() });
            return;
        }
        if let Some(answer) = text.strip_prefix("answer ") {
            (self.events)(Event::Answer { text: answer.to_owned() });
            return;
        }
        let mut words = text.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("wake"), Some(queue), None) => (self.events)(Event::Wake { queue: queue.to_owned() }),
            (Some("cancel"), Some(member), Some(queue)) => {
                if let Some((job_id, fence)) = lease_of(member) {
                    (self.events)(Event::Cancel { queue: queue.to_owned(), job_id, fence });
                }
            }
            _ => {}
        }
    }
}
