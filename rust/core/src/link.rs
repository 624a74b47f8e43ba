//! One connection that reconnects for ever and never hangs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{
    Client, Cmd, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError, RedisResult, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::{error::Elapsed, timeout};

use crate::{
    error::{Error, Result},
    keys::QueueKeys,
    options::Options,
    script::{Reply, Verb},
    tls::certificates,
};

/// A client for the URL; nothing is connected yet.
pub(crate) fn client(options: &Options) -> Result<Client> {
    // Two providers in one process would make rustls panic; the first one that was installed stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = options.url.as_str();
    let client = match certificates(url)? {
        None => Client::open(url),
        Some(named) => Client::build_with_tls(url, named),
    };
    // The client library's own message may repeat the URL, and with it the password.
    client.map_err(|_| Error::invalid("redis_url", "redis://, rediss:// or unix://", "(hidden)"))
}

/// The same, in the protocol in which the manager is told of a closed socket at once: with RESP2 it finds out by the failure of the
/// next call, which may come long after the server is back.
fn resp3(options: &Options) -> Result<Client> {
    let info = client(options)?.get_connection_info().clone();
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    // A pipeline is several small writes: they must not wait for the acknowledgement of the first.
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let info = info.set_redis_settings(redis).set_tcp_settings(tcp);
    info.into_connection_info().and_then(Client::open).map_err(|error| Error::from_redis("connect", &error))
}

/// A connection shared by all calls of one owner; clones use the same socket.
///
/// The manager below reconnects when the socket says that it is closed. It keeps a socket that says nothing at all (half open: a
/// peer or a firewall that went without a word) for as long as the kernel does, a quarter of an hour; and it keeps one to a
/// primary that became a replica. So a call that hears nothing in time, or READONLY, puts a fresh manager in its place.
#[derive(Clone)]
pub(crate) struct Link {
    client: Client,
    config: ConnectionManagerConfig,
    current: Arc<Mutex<Current>>,
    patience: Duration,
}

struct Current {
    manager: ConnectionManager,
    /// Counts managers, so that many calls that time out at once replace theirs once.
    epoch: u64,
}

impl Link {
    /// Connects.
    pub(crate) async fn connect(options: &Options) -> Result<Self> {
        let patience = options.command_timeout();
        // One quick second try only: while the server is down a call fails soon, and the next call tries again.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_connection_timeout(Some(options.connect_timeout()))
            .set_response_timeout(Some(patience));
        let client = resp3(options)?;
        let connecting = ConnectionManager::new_with_config(client.clone(), config.clone());
        let manager = timeout(options.connect_timeout() * 2, connecting)
            .await
            .map_err(|_| Error::unavailable("connecting timed out"))?
            .map_err(|error| Error::from_redis("connect", &error))?;
        Ok(Self { client, config, current: Arc::new(Mutex::new(Current { manager, epoch: 0 })), patience })
    }

    /// One command.
    pub(crate) async fn query(&self, verb: &'static str, command: &Cmd) -> Result<Value> {
        self.send(command).await?.map_err(|error| Error::from_redis(verb, &error))
    }

    /// Several commands in one round trip; an error of one does not hide the answers of the others.
    pub(crate) async fn pipeline(&self, verb: &'static str, pipeline: &Pipeline, count: usize) -> Result<Vec<Value>> {
        let (mut manager, epoch) = self.current();
        let answer = timeout(self.patience, manager.req_packed_commands(pipeline, 0, count)).await;
        let answers = self.heard(epoch, answer)?.map_err(|error| Error::from_redis(verb, &error))?;
        // Here an error is one of the answers.
        if answers.iter().any(|answer| matches!(answer, Value::ServerError(error) if error.code() == "READONLY")) {
            self.replace(epoch);
        }
        Ok(answers)
    }

    /// One script on one queue.
    pub(crate) async fn script(
        &self,
        verb: &'static Verb,
        queue: &QueueKeys,
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<Reply> {
        checked(verb, queue, self.call(verb, &queue.named(verb.keys), arguments).await?)
    }

    /// One script; a server that does not know it is taught it, once.
    pub(crate) async fn call(
        &self,
        verb: &'static Verb,
        keys: &[&str],
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<Value> {
        let mut command = verb.call(keys);
        arguments(&mut command);
        let answer = match self.send(&command).await? {
            Err(error) if is_no_script(&error) => {
                self.query(verb.name, &verb.load()).await?;
                self.send(&command).await?
            }
            answer => answer,
        };
        answer.map_err(|error| Error::from_redis(verb.name, &error))
    }

    async fn send(&self, command: &Cmd) -> Result<Result<Value, RedisError>> {
        let (mut manager, epoch) = self.current();
        let answer = timeout(self.patience, manager.req_packed_command(command)).await;
        // The connection hands an error of the server over as a value.
        self.heard(epoch, answer.map(|answer| answer.and_then(Value::extract_error)))
    }

    fn current(&self) -> (ConnectionManager, u64) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (current.manager.clone(), current.epoch)
    }

    fn heard<T>(&self, epoch: u64, answer: Result<RedisResult<T>, Elapsed>) -> Result<RedisResult<T>> {
        match answer {
            Err(_) => {
                self.replace(epoch);
                Err(Error::unavailable("timed out"))
            }
            Ok(Err(error)) => {
                if error.is_timeout() || error.code() == Some("READONLY") {
                    self.replace(epoch);
                }
                Ok(Err(error))
            }
            answered => answered.map_err(|_| Error::unavailable("timed out")),
        }
    }

    /// Leaves the socket; the next call connects anew. Calls under way keep theirs and end by their own timeouts.
    fn replace(&self, epoch: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.epoch != epoch {
            return;
        }
        if let Ok(manager) = ConnectionManager::new_lazy_with_config(self.client.clone(), self.config.clone()) {
            *current = Current { manager, epoch: epoch + 1 };
        }
    }
}

/// Whether the server does not know a script; then it has not run, so that sending it again applies it once.
pub(crate) fn is_no_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// A reply of a script, unless the queue has no generation.
pub(crate) fn checked(verb: &'static Verb, queue: &QueueKeys, value: Value) -> Result<Reply> {
    let reply = checked_fleet(verb, value)?;
    if reply.status == "NO_GENERATION" {
        return Err(Error::NoGeneration { queue: queue.queue.clone() });
    }
    Ok(reply)
}

/// A reply of a script that concerns no queue.
pub(crate) fn checked_fleet(verb: &'static Verb, value: Value) -> Result<Reply> {
    let value = value.extract_error().map_err(|error| Error::from_redis(verb.name, &error))?;
    Reply::new(value).ok_or_else(|| Error::unexpected_reply(verb.name))
}
