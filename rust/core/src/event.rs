//! What happens without having been asked for.

use std::sync::Arc;

/// One thing that happened on the subscription or in the heartbeat thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The queue got ready jobs while this worker was registered as idle: lease now.
    Wake {
        /// The queue that has work.
        queue: String,
    },
    /// A running job was asked to stop; its lease is still ours.
    Cancel {
        /// The queue of the job.
        queue: String,
        /// The job to stop.
        job_id: String,
        /// The fence of the lease under which it runs.
        fence: u64,
    },
    /// A lease is gone or can no longer be trusted: its handler must stop and may settle nothing. Told once a lease.
    Lost {
        /// The queue of the job.
        queue: String,
        /// The job whose lease was lost.
        job_id: String,
        /// The fence of the lost lease.
        fence: u64,
    },
    /// A watched job reached its end.
    Settled {
        /// The queue of the job.
        queue: String,
        /// The job that ended.
        job_id: String,
    },
    /// Somebody asks this worker for something.
    Control {
        /// Who asks, the question's id, the verb and its argument, with spaces between.
        text: String,
    },
    /// A worker answers what was asked of it.
    Answer {
        /// The question's id and what is answered, with a space between.
        text: String,
    },
    /// The subscription is (again) in place: what was said in between was not heard, so look for yourself.
    Reconnected,
    /// The subscription or the heartbeat connection was lost. Told once an outage and connection.
    RedisDown,
    /// The queue has leases of ours but no generation: it must be rebuilt from PostgreSQL.
    NoGeneration {
        /// The queue to rebuild.
        queue: String,
    },
}

/// Receives events on whatever thread they arise on: it must not block and must not call back.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;
