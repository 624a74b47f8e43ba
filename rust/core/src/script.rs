//! The Lua files: one per verb, known by their hash, with their keys written once.
//!
//! A verb's `keys` are words of [`QueueKeys`](crate::keys::QueueKeys), or name what is the fleet's, in the order in which the script expects them. A test compares them with the header
//! of the file.

use std::sync::LazyLock;

use redis::{Cmd, Value};

/// One script.
#[derive(Debug)]
pub struct Verb {
    /// The name of its file.
    pub name: &'static str,
    /// Its keys, in order.
    pub keys: &'static [&'static str],
    /// The file itself, with its header.
    pub file: &'static str,
    /// What the server is sent: the shared parts it needs, then the file.
    pub source: &'static str,
    hash: LazyLock<String>,
}

macro_rules! lane_keys {
    ($($more:literal),*) => {
        ["generation", "high", "medium", "low", "scheduled", "processing", "jobs", "idle", "rescue", "lane-queue", "lane-entries", "lane-heads", "lane-turns", "lane-tenants", "lane-parked", "lane-resume", "lane-used", "lane-rates", "lane-holds", "lane-policy", "lane-classes", "lane-means", "lane-idle" $(, $more)*]
    };
}

// Where the server's memory has run out, a script that `grows` it is refused before its first command, so that nothing is written
// by halves; one that `keeps` it runs: leases must be taken, extended and ended all the same. One that only `reads` may be called
// by who may not write.
macro_rules! verb {
    // of a queue with lanes: all that their scripts share, and what one has besides
    ($(#[$doc:meta])* $constant:ident $memory:ident, $name:literal, $keys:expr, with lanes $(, $more:literal)*) => {
        verb!(
            $(#[$doc])* $constant $memory, $name, $keys, "offers", "lane_keys", "lane_order", "lane_classes",
            "lane_limits", "lane_turns", "lane_entries", "lane_ready", "lane_wake", "lane_release", "lane_promote" $(, $more)*
        );
    };
    ($(#[$doc:meta])* $constant:ident grows, $($rest:tt)+) => {
        verb!($(#[$doc])* $constant, "#!lua\n", $($rest)+);
    };
    ($(#[$doc:meta])* $constant:ident reads, $($rest:tt)+) => {
        verb!($(#[$doc])* $constant, "#!lua flags=no-writes\n", $($rest)+);
    };
    ($(#[$doc:meta])* $constant:ident keeps, $($rest:tt)+) => {
        verb!($(#[$doc])* $constant, "#!lua flags=allow-oom\n", $($rest)+);
    };
    ($(#[$doc:meta])* $constant:ident, $first:literal, $name:literal, $keys:expr $(, $include:literal)*) => {
        $(#[$doc])*
        pub static $constant: Verb = Verb {
            name: $name,
            keys: &$keys,
            file: include_str!(concat!("../lua/", $name, ".lua")),
            source: concat!(
                $first,
                include_str!("../lua/include/queue.lua"),
                $(include_str!(concat!("../lua/include/", $include, ".lua")),)*
                include_str!(concat!("../lua/", $name, ".lua"))
            ),
            hash: LazyLock::new(|| redis::Script::new($constant.source).get_hash().to_owned()),
        };
    };
}

/// What scripts of queues with lanes are given.
const WITH_LANES: [&str; 23] = lane_keys!();

verb!(
    /// Push new jobs.
    ENQUEUE grows, "enqueue", ["generation", "high", "medium", "low", "scheduled", "processing", "jobs", "idle"], "put"
);
verb!(
    /// Push jobs that may sit somewhere already.
    REQUEUE grows, "requeue", ["generation", "high", "medium", "low", "scheduled", "processing", "jobs", "idle", "rescue"], "put"
);
verb!(
    /// Take ready jobs.
    LEASE keeps,
    "lease",
    ["generation", "high", "medium", "low", "scheduled", "processing", "jobs", "idle", "rescue", "lane-idle"],
    "offers"
);
verb!(
    /// Forget leases of ended jobs.
    ACKNOWLEDGE keeps, "acknowledge", ["generation", "processing", "rescue", "jobs", "cancelled"], "forget"
);
verb!(
    /// Acknowledge dead letters.
    BURY keeps, "bury", ["generation", "processing", "rescue", "jobs", "cancelled", "dead"], "forget"
);
verb!(
    /// Extend live leases.
    EXTEND keeps, "extend", ["generation", "processing", "cancelled"]
);
verb!(
    /// Lease nothing of a queue, or again.
    PAUSE keeps, "pause", ["generation", "idle", "lane-policy", "lane-tenants", "lane-holds", "lane-idle"]
);
verb!(
    /// Take back expired leases.
    RESCUE keeps, "rescue", ["generation", "processing", "rescue"]
);
verb!(
    /// Make due jobs ready.
    PROMOTE keeps, "promote", WITH_LANES, with lanes
);
verb!(
    /// Take cancelled jobs out.
    CANCEL keeps, "cancel", WITH_LANES, with lanes
);
verb!(
    /// Ask a worker to stop a job.
    STOP keeps, "stop", ["generation", "cancelled"]
);
verb!(
    /// Which waiting jobs are not here.
    MISSING keeps, "missing", ["generation", "high", "medium", "low", "scheduled", "processing", "rescue", "lane-entries"]
);
verb!(
    /// Which waiting jobs are ready at another priority here.
    ASTRAY keeps, "astray", ["generation", "high", "medium", "low", "jobs", "lane-entries"]
);
verb!(
    /// Give running jobs a lease.
    RESTORE keeps, "restore", WITH_LANES, with lanes
);
verb!(
    /// Declare the queue built.
    GENERATION keeps, "generation", ["generation", "lane-policy", "lane-tenants", "lane-holds"]
);
verb!(
    /// Enter and wake workers that were forgotten.
    ROUSE keeps, "rouse", WITH_LANES, with lanes
);
verb!(
    /// Push jobs into a queue with lanes.
    LANE_PUSH grows, "lane_push", WITH_LANES, with lanes, "put"
);
verb!(
    /// Take ready jobs of a queue with lanes.
    LANE_LEASE keeps, "lane_lease", WITH_LANES, with lanes, "lane_heap", "lane_pages", "lane_taken"
);
verb!(
    /// Acknowledge or bury in a queue with lanes.
    LANE_ACKNOWLEDGE keeps, "lane_acknowledge", lane_keys!("cancelled", "dead"), with lanes, "forget"
);
verb!(
    /// Replace the policy of a queue.
    SET_POLICY grows, "set_policy", WITH_LANES, with lanes
);
verb!(
    /// What there is in the lanes.
    LANES reads, "lanes", WITH_LANES, with lanes
);
verb!(
    /// Hold the maintenance duty.
    DUTY keeps, "duty", ["duty"]
);
verb!(
    /// Enter workers in the roster.
    PRESENT keeps, "present", ["roster"]
);
verb!(
    /// Give up a leadership.
    RESIGN keeps, "resign", ["leader"]
);

/// How a script begins that only reads.
const READS: &str = "#!lua flags=no-writes\n";

/// Every script there is.
pub static VERBS: [&Verb; 24] = [
    &ENQUEUE,
    &REQUEUE,
    &LEASE,
    &ACKNOWLEDGE,
    &BURY,
    &EXTEND,
    &RESCUE,
    &PROMOTE,
    &CANCEL,
    &STOP,
    &MISSING,
    &ASTRAY,
    &RESTORE,
    &GENERATION,
    &PAUSE,
    &ROUSE,
    &LANE_PUSH,
    &LANE_LEASE,
    &LANE_ACKNOWLEDGE,
    &SET_POLICY,
    &LANES,
    &DUTY,
    &PRESENT,
    &RESIGN,
];

impl Verb {
    /// The call by hash; arguments follow the keys.
    #[must_use]
    pub fn call(&self, keys: &[&str]) -> Cmd {
        debug_assert_eq!(keys.len(), self.keys.len(), "keys of {}", self.name);
        let mut command = redis::cmd(if self.source.starts_with(READS) { "EVALSHA_RO" } else { "EVALSHA" });
        command.arg(self.hash.as_str()).arg(keys.len()).arg(keys);
        command
    }

    /// The command that makes the server know the script.
    #[must_use]
    pub fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.source);
        command
    }
}

/// A script's reply: a status word, then what follows it.
#[derive(Debug)]
pub struct Reply {
    /// For example `LEASED`.
    pub status: String,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    /// Picks a reply apart; `None` if it is none.
    #[must_use]
    pub fn new(value: Value) -> Option<Self> {
        let Value::Array(items) = value else { return None };
        let mut rest = items.into_iter();
        let status = text(rest.next()?)?;
        Some(Self { status, rest })
    }

    /// The next item as a number.
    pub fn number(&mut self) -> Option<i64> {
        match self.rest.next()? {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The next item as a count.
    pub fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// The next item as text.
    pub fn text(&mut self) -> Option<String> {
        text(self.rest.next()?)
    }

    /// The next item as bytes.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        match self.rest.next()? {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The next item as a list of texts.
    pub fn texts(&mut self) -> Option<Vec<String>> {
        match self.rest.next()? {
            Value::Array(items) => items.into_iter().map(text).collect(),
            _ => None,
        }
    }

    /// Everything that is left as texts.
    pub fn rest(&mut self) -> Option<Vec<String>> {
        self.rest.by_ref().map(text).collect()
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
