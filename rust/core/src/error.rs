//! Everything that can go wrong, sorted by what the caller should do about it.

use std::fmt::Display;

use redis::{ErrorKind, RedisError};

use crate::tls::is_insecure;

/// Short for a result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. No text ever holds a URL or a password.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Connection refused, lost or timed out. The outcome of the call may be unknown: it may have been applied.
    /// Every verb but `lease` may simply be repeated; leases whose reply was lost come back through rescue.
    #[error("redis is unavailable: {reason}")]
    Unavailable {
        /// What the connection said.
        reason: String,
    },
    /// The connection could not be made secure: the server's certificate is not trusted, expired or another host's, or TLS failed.
    #[error("redis is not trusted: {reason}")]
    Untrusted {
        /// What the check said.
        reason: String,
    },
    /// The server answered with an error (WRONGTYPE, OOM, NOPERM, MISCONF, ...). Nothing was written.
    #[error("redis refused {verb}: {reason}")]
    Refused {
        /// The verb that was refused.
        verb: &'static str,
        /// The server's own text, beginning with its error code.
        reason: String,
    },
    /// The queue is not, or no longer, built from PostgreSQL. Nothing was read or written.
    #[error("queue has no generation, rebuild it from postgresql: {queue}")]
    NoGeneration {
        /// The queue to rebuild.
        queue: String,
    },
    /// A value that no verb accepts, found before anything was sent.
    #[error("invalid {field}, {limit}: {value}")]
    Invalid {
        /// The field that holds the value.
        field: &'static str,
        /// What is allowed.
        limit: String,
        /// The value that was given, shortened.
        value: String,
    },
}

impl Error {
    /// An [`Error::Invalid`]; the value is shortened, since it may be a whole payload.
    pub(crate) fn invalid(field: &'static str, limit: impl Into<String>, value: impl Display) -> Self {
        const SHOWN: usize = 80;
        let mut value = value.to_string();
        if let Some((cut, _)) = value.char_indices().nth(SHOWN) {
            value.truncate(cut);
            value.push('…');
        }
        Self::Invalid { field, limit: limit.into(), value }
    }

    /// An [`Error::Unavailable`].
    pub(crate) fn unavailable(reason: impl Display) -> Self {
        Self::Unavailable { reason: reason.to_string() }
    }

    /// Sorts an error of the client library: an answer of the server is a refusal, all else is absence.
    ///
    /// A server that is loading, out of its cluster, or busy in a script answers, but only says "not now": absence.
    pub(crate) fn from_redis(verb: &'static str, error: &RedisError) -> Self {
        const NOT_NOW: [&str; 6] = ["LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY"];
        let code = error.code().unwrap_or_default();
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension if !NOT_NOW.contains(&code) => {
                let detail = error.detail().unwrap_or_default();
                let reason = if detail.starts_with(code) { detail.to_owned() } else { format!("{code} {detail}") };
                Self::Refused { verb, reason }
            }
            ErrorKind::AuthenticationFailed => Self::Refused { verb, reason: format!("authentication failed: {code}") },
            ErrorKind::InvalidClientConfig => {
                Self::invalid("redis url", "redis://, rediss:// or unix://", error.category())
            }
            _ if is_insecure(&error.to_string()) => Self::Untrusted { reason: error.to_string() },
            _ => Self::unavailable(error),
        }
    }

    /// A reply that no script of this crate sends: another version of a script under the same hash cannot be, so the
    /// server is not what it says it is.
    pub(crate) fn unexpected_reply(verb: &'static str) -> Self {
        Self::Refused { verb, reason: "unexpected reply".to_owned() }
    }
}
