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
            lanes: LaneKeys {
                queue: of("lane-queue"),
                entries: of("lane-entries"),
                heads: of("lane-heads"),
                turns: of("lane-turns"),
                tenants: of("lane-tenants"),
                parked: of("lane-parked"),
                resume: of("lane-resume"),
                used: of("lane-used"),
                rates: of("lane-rates"),
                holds: of("lane-holds"),
                policy: of("lane-policy"),
                classes: of("lane-classes"),
                means: of("lane-means"),
                idle: of("lane-idle"),
            },
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
    /// What only a queue with lanes has, or with workers that offer something.
    pub lanes: LaneKeys,
    /// Channel that names settled jobs.
    pub settled_channel: String,
}

/// The names of what a queue with lanes has besides; `docs/lanes.md` says what a lane is. Sorted sets are ordered by their members unless a score
/// is named.
#[derive(Debug, Clone)]
pub struct LaneKeys {
    /// Sorted set of ready jobs, lane by lane.
    pub queue: String,
    /// Hash of job id to its member in `queue`.
    pub entries: String,
    /// Sorted set of the first job of each lane that waits for no limit of its key.
    pub heads: String,
    /// Sorted set of the tenants that have heads, by virtual time.
    pub turns: String,
    /// Hash of the virtual times.
    pub tenants: String,
    /// Sorted set of the lanes that wait for a limit of their key.
    pub parked: String,
    /// Sorted set of rate limits by the time at which their next token is there, ms.
    pub resume: String,
    /// Hash of limit to the number of leases that count for it, and of tenant and resource to the amount they hold.
    pub used: String,
    /// Sorted set of rate limits by the time at which they are full again, microseconds.
    pub rates: String,
    /// Hash of lease, `job_id:fence`, to what it counts for.
    pub holds: String,
    /// Hash of the policy.
    pub policy: String,
    /// Hash of class to its number, of classes with ready jobs.
    pub classes: String,
    /// Hash of job type to its mean duration, ms.
    pub means: String,
    /// Sorted set of idle workers that offer something, by what they offer.
    pub idle: String,
}

impl QueueKeys {
    /// The keys that a script names, in its order.
    #[must_use]
    pub fn named(&self, names: &[&'static str]) -> Vec<&str> {
        names.iter().map(|name| self.one(name)).collect()
    }

    /// Every key of the queue.
    pub(crate) fn all(&self) -> [&str; 26] {
        let [high, medium, low] = &self.bands;
        let lanes = &self.lanes;
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
            &lanes.queue,
            &lanes.entries,
            &lanes.heads,
            &lanes.turns,
            &lanes.tenants,
            &lanes.parked,
            &lanes.resume,
            &lanes.used,
            &lanes.rates,
            &lanes.holds,
            &lanes.policy,
            &lanes.classes,
            &lanes.means,
            &lanes.idle,
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
            "lane-queue" => &self.lanes.queue,
            "lane-entries" => &self.lanes.entries,
            "lane-heads" => &self.lanes.heads,
            "lane-turns" => &self.lanes.turns,
            "lane-tenants" => &self.lanes.tenants,
            "lane-parked" => &self.lanes.parked,
            "lane-resume" => &self.lanes.resume,
            "lane-used" => &self.lanes.used,
            "lane-rates" => &self.lanes.rates,
            "lane-holds" => &self.lanes.holds,
            "lane-policy" => &self.lanes.policy,
            "lane-classes" => &self.lanes.classes,
            "lane-means" => &self.lanes.means,
            "lane-idle" => &self.lanes.idle,
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
