//! What is known of the server before it is trusted.

use std::{net::IpAddr, time::Instant};

use redis::{ConnectionAddr, IntoConnectionInfo, Value};

use crate::{
    error::{Error, Result},
    link::Link,
    options::Options,
};

/// Who answered, and how it is set up. What the server will not tell is `unknown`, 0 or false.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// `redis` or `valkey`.
    pub product: String,
    /// The product's own version.
    pub version: String,
    /// `noeviction` is the one that keeps jobs.
    pub maxmemory_policy: String,
    /// Bytes; 0 for no limit.
    pub maxmemory: u64,
    /// A password was asked for.
    pub password_set: bool,
    /// The URL names this machine.
    pub loopback: bool,
    /// The server keeps a log of its writes.
    pub appendonly: bool,
    /// One round trip, ms.
    pub round_trip_ms: f64,
    /// The server's clock, ms.
    pub time_ms: i64,
}

pub(crate) async fn ask(link: &Link, options: &Options) -> Result<ServerInfo> {
    let began = Instant::now();
    let time_ms = time_ms(link).await?;
    let round_trip_ms = began.elapsed().as_secs_f64() * 1000.0;
    let info = info(link).await?;
    let field = |key: &str| info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim);
    let (product, version) = match (field("valkey_version"), field("redis_version")) {
        (Some(version), _) => ("valkey", version),
        (None, version) => ("redis", version.unwrap_or("unknown")),
    };
    let connection = options.url.as_str().into_connection_info().map_err(|_| Error::unexpected_reply("url"))?;
    Ok(ServerInfo {
        product: product.to_owned(),
        version: version.to_owned(),
        maxmemory_policy: field("maxmemory_policy").unwrap_or("unknown").to_owned(),
        maxmemory: field("maxmemory").and_then(|bytes| bytes.parse().ok()).unwrap_or_default(),
        password_set: connection.redis_settings().password().is_some(),
        loopback: is_loopback(connection.addr()),
        appendonly: field("aof_enabled") == Some("1"),
        round_trip_ms,
        time_ms,
    })
}

/// The server's clock, ms.
pub(crate) async fn time_ms(link: &Link) -> Result<i64> {
    milliseconds(link.query("time", &redis::cmd("TIME")).await?)
}

/// The answer to `TIME`, ms.
pub(crate) fn milliseconds(time: Value) -> Result<i64> {
    let (seconds, micros): (i64, i64) = redis::from_redis_value(time).map_err(|_| Error::unexpected_reply("time"))?;
    Ok(seconds * 1000 + micros / 1000)
}

/// What the server says of itself, empty where it does not tell (an access list). `INFO` and not `CONFIG GET`, which many a managed
/// service forbids and which, allowed to a user, shows the server's password.
async fn info(link: &Link) -> Result<String> {
    match link.query("info", &redis::cmd("INFO")).await {
        Ok(Value::VerbatimString { text, .. }) => Ok(text),
        Ok(value) => redis::from_redis_value(value).map_err(|_| Error::unexpected_reply("info")),
        Err(Error::Refused { reason, .. }) if reason.starts_with("NOPERM") => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn is_loopback(address: &ConnectionAddr) -> bool {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => {
            let host = host.trim_matches(['[', ']']);
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        ConnectionAddr::Unix(_) => true,
        _ => false,
    }
}
