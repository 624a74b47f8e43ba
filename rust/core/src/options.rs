//! How a process of tenure speaks to Redis.

use std::{fmt, time::Duration};

use crate::error::{Error, Result};

/// Settings of one process. `Debug` shows no URL, for it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// `redis://`, `rediss://` or `unix://` URL, with user, password and database where needed.
    pub url: String,
    /// The id of this worker incarnation; it names the inbox and the heartbeat key.
    pub worker_id: String,
    /// First part of every key. Defaults to `gap006`.
    pub prefix: String,
    /// How long a lease lives without being extended, ms. Defaults to `30_000`.
    pub lease_ms: u64,
    /// How much earlier than that this process stops trusting its lease, ms. Defaults to `2_000`.
    pub margin_ms: u64,
    /// How long one attempt to connect may take, ms. Defaults to `5_000`.
    pub connect_timeout_ms: u64,
    /// How long one command may take before it fails as unavailable, ms. Defaults to `5_000`.
    pub command_timeout_ms: u64,
}

impl Options {
    /// The settings with every default.
    #[must_use]
    pub fn new(url: impl Into<String>, worker_id: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            worker_id: worker_id.into(),
            prefix: "gap006".to_owned(),
            lease_ms: 30_000,
            margin_ms: 2_000,
            connect_timeout_ms: 5_000,
            command_timeout_ms: 5_000,
        }
    }

    /// Refuses what cannot work, before anything is connected.
    pub fn validate(&self) -> Result<()> {
        if self.lease_ms == 0 {
            return Err(Error::invalid("lease_ms", "at least 1", self.lease_ms));
        }
        if self.margin_ms >= self.lease_ms {
            return Err(Error::invalid("margin_ms", format!("less than lease_ms {}", self.lease_ms), self.margin_ms));
        }
        for (field, value) in
            [("connect_timeout_ms", self.connect_timeout_ms), ("command_timeout_ms", self.command_timeout_ms)]
        {
            if value == 0 {
                return Err(Error::invalid(field, "at least 1", value));
            }
        }
        name("worker_id", &self.worker_id)?;
        name("prefix", &self.prefix)
    }

    /// How long a fresh lease is trusted, counted from the start of the request that got it.
    pub(crate) fn trust(&self) -> Duration {
        Duration::from_millis(self.lease_ms.saturating_sub(self.margin_ms))
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn command_timeout(&self) -> Duration {
        Duration::from_millis(self.command_timeout_ms)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("worker_id", &self.worker_id)
            .field("prefix", &self.prefix)
            .field("lease_ms", &self.lease_ms)
            .field("margin_ms", &self.margin_ms)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("command_timeout_ms", &self.command_timeout_ms)
            .finish_non_exhaustive()
    }
}

/// Names become parts of keys and channel messages: what could end the part early, or the hash tag, is refused.
pub(crate) fn name(field: &'static str, value: &str) -> Result<()> {
    const LIMIT: usize = 128;
    let fits = (1..=LIMIT).contains(&value.len());
    let clean = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if fits && clean {
        return Ok(());
    }
    Err(Error::invalid(field, format!("1 to {LIMIT} of a-z A-Z 0-9 _ - ."), value))
}
