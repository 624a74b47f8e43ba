//! Names of keys and channels. Nothing else in the project builds one.
//!
//! The braces around the queue are a Redis Cluster hash tag: all keys of a queue share a slot, so one script may touch
//! them. Queue names are checked where a [`Keys`] is asked for a queue, so no name can leave its part of the key space.

use crate::{error::Result, options::name};

/// Builds the names under one prefix.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Names under `prefix`, which may hold ASCII letters, digits, `_`, `-` and `.`.
    pub fn new(prefix: impl Into<String>) -> Result<Self> {
        let prefix = prefix.into();
        name("prefix", &prefix)?;
        Ok(Self { prefix })
    }

    /// The names of one queue.
    pub fn queue(&self, queue: &str) -> Result<QueueKeys> {
        name("queue", queue)?;
        let base = format!("{}:{{{queue}}}:", self.prefix);
        let of = |suffix: &str| format!("{base}{suffix}");
        Ok(QueueKeys {
            queue: queue.to_owned(),
            bands: [of("high-priority-queue"), of("medium-priority-queue"), of("low-priority-queue")],
            scheduled: of("scheduled-queue"),
            processing: of("processing-queue"),
            rescue: of("rescue-queue"),
            dead: of("dead-letter-queue"),
            jobs: of("jobs"),
            generation: of("generation"),
            idle: of("idle"),
            cancelled: of("cancelled"),
            duty: of("duty"),
            settled_channel: of("settled"),
        })
    }

    /// The heartbeat key of a worker.
    #[must_use]
    pub fn heartbeat(&self, worker_id: &str) -> String {
        format!("{}:worker:{worker_id}:heartbeat", self.prefix)
    }

    /// The list of a worker's latest samples, newest first.
    #[must_use]
    pub fn series(&self, worker_id: &str) -> String {
        format!("{}:worker:{worker_id}:samples", self.prefix)
    }

    /// The sorted set of workers by when they were last heard of, ms.
    #[must_use]
    pub fn roster(&self) -> String {
        format!("{}:fleet:roster", self.prefix)
    }

    /// The holder of a leadership of the fleet.
    pub fn leader(&self, leadership: &str) -> Result<String> {
        name("leadership", leadership)?;
        Ok(format!("{}:fleet:leader:{leadership}", self.prefix))
    }

    /// The channel on which one worker is woken and told of cancellations.
    #[must_use]
    pub fn inbox(&self, worker_id: &str) -> String {
        format!("{}{worker_id}{}", self.inbox_prefix(), Self::INBOX_SUFFIX)
    }

    /// The channel on which one worker is steered: apart from its inbox, to which whoever enqueues must be able to write.
    #[must_use]
    pub fn control(&self, worker_id: &str) -> String {
        format!("{}{worker_id}:control", self.inbox_prefix())
    }

    /// What stands before the worker id in an inbox channel; scripts put the id of an idle worker behind it.
    #[must_use]
    pub fn inbox_prefix(&self) -> String {
        format!("{}:worker:", self.prefix)
    }

    /// What stands behind the worker id in an inbox channel.
    pub const INBOX_SUFFIX: &str = ":inbox";

    /// The queue of a settled channel, `None` for any other channel.
    pub(crate) fn queue_of_settled<'a>(&self, channel: &'a str) -> Option<&'a str> {
        channel.strip_prefix(self.prefix.as_str())?.strip_prefix(":{")?.strip_suffix("}:settled")
    }
}

/// The names that belong to one queue; all of them share one hash slot.
#[derive(Debug, Clone)]
pub struct QueueKeys {
    /// The queue itself.
    pub queue: String,
    /// Sorted sets of ready job ids: high (priority 4-5), medium (2-3), low (1).
    pub bands: [String; 3],
    /// Sorted set of job ids by the time at which they become ready, ms.
    pub scheduled: String,
    /// Sorted set of live leases, `job_id:fence` by deadline, ms.
    pub processing: String,
    /// Sorted set of expired leases, by the time at which another rescuer may take them, ms.
    pub rescue: String,
    /// Sorted set of dead letters' ids by the time of their death, ms.
    pub dead: String,
    /// Hash of job id to descriptor.
    pub jobs: String,
    /// Present if the queue was built from PostgreSQL.
    pub generation: String,
    /// Sorted set of waiting workers' ids by free slots.
    pub idle: String,
    /// Set of leases, `job_id:fence`, asked to stop.
    pub cancelled: String,
    /// Holder of the maintenance duty.
    pub duty: String,
    /// Channel that names settled jobs.
    pub settled_channel: String,
}

impl QueueKeys {
    /// The keys that a script names, in its order.
    #[must_use]
    pub fn named(&self, names: &[&'static str]) -> Vec<&str> {
        names.iter().map(|name| self.one(name)).collect()
    }

    /// Every key of the queue.
    pub(crate) fn all(&self) -> [&str; 12] {
        let [high, medium, low] = &self.bands;
        [
            high,
            medium,
            low,
            &self.scheduled,
            &self.processing,
            &self.rescue,
            &self.dead,
            &self.jobs,
            &self.generation,
            &self.idle,
            &self.cancelled,
            &self.duty,
        ]
    }

    fn one(&self, name: &'static str) -> &str {
        match name {
            "generation" => &self.generation,
            "high" => &self.bands[0],
            "medium" => &self.bands[1],
            "low" => &self.bands[2],
            "scheduled" => &self.scheduled,
            "processing" => &self.processing,
            "rescue" => &self.rescue,
            "dead" => &self.dead,
            "jobs" => &self.jobs,
            "idle" => &self.idle,
            "cancelled" => &self.cancelled,
            "duty" => &self.duty,
            other => unreachable!("no key has this name: {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_documentation() {
        let keys = Keys::new("gap006").unwrap();
        let queue = keys.queue("default").unwrap();
        assert_eq!(queue.bands[0], "gap006:{default}:high-priority-queue");
        assert_eq!(queue.dead, "gap006:{default}:dead-letter-queue");
        assert_eq!(keys.heartbeat("w"), "gap006:worker:w:heartbeat");
        assert_eq!(keys.series("w"), "gap006:worker:w:samples");
        assert_eq!(keys.roster(), "gap006:fleet:roster");
        assert_eq!(keys.leader("registry").unwrap(), "gap006:fleet:leader:registry");
        assert_eq!(keys.queue_of_settled(&queue.settled_channel), Some("default"));
    }

    #[test]
    fn a_queue_cannot_leave_its_part_of_the_key_space() {
        let keys = Keys::new("gap006").unwrap();
        for queue in ["", "a:b", "a}b", "a*", "a b", "a\nb"] {
            assert!(keys.queue(queue).is_err(), "{queue}");
        }
    }
}
