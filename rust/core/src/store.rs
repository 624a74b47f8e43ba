//! One process's hot path: a connection, the key names and the leases held. Each verb hangs its method on [`Store`].

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use redis::Cmd;

use crate::{
    error::{Error, Result},
    held::Held,
    keys::{Keys, QueueKeys},
    link::Link,
    options::Options,
    script::{Reply, Verb},
    server::ServerInfo,
};

/// The most jobs of one script call: five arguments each, and managed services refuse calls of many thousand.
pub(crate) const CHUNK: usize = 200;

/// A handle on the hot path; clones share everything.
#[derive(Clone)]
pub struct Store {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    pub(crate) options: Arc<Options>,
    pub(crate) held: Arc<Held>,
    /// Queues that had lanes when they were last asked: which script to call first.
    laned: Arc<Mutex<HashSet<String>>>,
}

/// A verb as queues without lanes know it, and as those with lanes do. Each says when a queue is the other's, and has done nothing then.
pub(crate) struct Pair {
    /// For queues without lanes.
    pub plain: &'static Verb,
    /// For queues with lanes.
    pub laned: &'static Verb,
}

/// How often a queue may change between two tries before a call gives up: a change takes an operator, or a first or last job.
const TRIES: usize = 6;

impl Store {
    /// Connects, and says who answered.
    pub async fn connect(options: Options, held: Arc<Held>) -> Result<(Self, ServerInfo)> {
        options.validate()?;
        let link = Link::connect(&options).await?;
        let server = crate::server::ask(&link, &options).await?;
        let keys = Keys::new(options.prefix.clone())?;
        Ok((Self { link, keys, options: Arc::new(options), held, laned: Arc::default() }, server))
    }

    /// An empty registry fit for these options.
    #[must_use]
    pub fn held_for(options: &Options) -> Arc<Held> {
        Arc::new(Held::new(options.trust()))
    }

    /// Calls the one of a pair that fits the queue; `fill` is told whether that is the one for lanes.
    pub(crate) async fn script_of(
        &self,
        pair: &Pair,
        keys: &QueueKeys,
        must_have_lanes: bool,
        fill: impl Fn(&mut Cmd, bool),
    ) -> Result<Reply> {
        let mut laned = must_have_lanes || self.known_lanes().contains(&keys.queue);
        for _ in 0..TRIES {
            let verb = if laned { pair.laned } else { pair.plain };
            let reply = self.link.script(verb, keys, |command| fill(command, laned)).await?;
            match reply.status.as_str() {
                "LANED" => self.known_lanes().insert(keys.queue.clone()),
                "PLAIN" => self.known_lanes().remove(&keys.queue),
                _ => return Ok(reply),
            };
            laned = !laned;
        }
        Err(Error::unavailable("the queue keeps changing"))
    }

    fn known_lanes(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.laned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
