//! One connection that reconnects for ever and never hangs.

use std::time::Duration;

use redis::{
    Client, Cmd, Pipeline, RedisError, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::timeout;

use crate::{
    error::{Error, Result},
    keys::QueueKeys,
    options::Options,
    script::{Reply, Verb},
};

/// A client for the URL; nothing is connected yet.
pub(crate) fn client(options: &Options) -> Result<Client> {
    // Two providers in one process would make rustls panic; the first one that was installed stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The client library's own message may repeat the URL, and with it the password.
    Client::open(options.url.as_str())
        .map_err(|_| Error::invalid("redis_url", "redis://, rediss:// or unix://", "(hidden)"))
}

/// A connection shared by all calls of one owner; clones use the same socket.
#[derive(Clone)]
pub(crate) struct Link {
    manager: ConnectionManager,
    patience: Duration,
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
        let connecting = ConnectionManager::new_with_config(client(options)?, config);
        let manager = timeout(options.connect_timeout() * 2, connecting)
            .await
            .map_err(|_| Error::unavailable("connecting timed out"))?
            .map_err(|error| Error::from_redis("connect", &error))?;
        Ok(Self { manager, patience })
    }

    /// One command.
    pub(crate) async fn query(&self, verb: &'static str, command: &Cmd) -> Result<Value> {
        self.send(command).await?.map_err(|error| Error::from_redis(verb, &error))
    }

    /// Several commands in one round trip; an error of one does not hide the answers of the others.
    pub(crate) async fn pipeline(&self, verb: &'static str, pipeline: &Pipeline, count: usize) -> Result<Vec<Value>> {
        let mut manager = self.manager.clone();
        match timeout(self.patience, manager.req_packed_commands(pipeline, 0, count)).await {
            Err(_) => Err(Error::unavailable("timed out")),
            Ok(answer) => answer.map_err(|error| Error::from_redis(verb, &error)),
        }
    }

    /// One script on one queue; a server that does not know it is taught it, once.
    pub(crate) async fn script(
        &self,
        verb: &'static Verb,
        queue: &QueueKeys,
        arguments: impl FnOnce(&mut Cmd),
    ) -> Result<Reply> {
        let mut command = verb.call(&queue.named(verb.keys));
        arguments(&mut command);
        let answer = match self.send(&command).await? {
            Err(error) if is_no_script(&error) => {
                self.query(verb.name, &verb.load()).await?;
                self.send(&command).await?
            }
            answer => answer,
        };
        let value = answer.map_err(|error| Error::from_redis(verb.name, &error))?;
        checked(verb, queue, value)
    }

    async fn send(&self, command: &Cmd) -> Result<Result<Value, RedisError>> {
        let mut manager = self.manager.clone();
        let answer = timeout(self.patience, manager.req_packed_command(command))
            .await
            .map_err(|_| Error::unavailable("timed out"))?;
        // The connection hands an error of the server over as a value.
        Ok(answer.and_then(Value::extract_error))
    }
}

/// Whether the server does not know a script; then it has not run, so that sending it again applies it once.
pub(crate) fn is_no_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// A reply of a script, unless the queue has no generation.
pub(crate) fn checked(verb: &'static Verb, queue: &QueueKeys, value: Value) -> Result<Reply> {
    let value = value.extract_error().map_err(|error| Error::from_redis(verb.name, &error))?;
    let reply = Reply::new(value).ok_or_else(|| Error::unexpected_reply(verb.name))?;
    if reply.status == "NO_GENERATION" {
        return Err(Error::NoGeneration { queue: queue.queue.clone() });
    }
    Ok(reply)
}
