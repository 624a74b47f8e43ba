//! The hot path of `tenure`, without Python: ready queues, leases and heartbeats on Redis or Valkey.
//!
//! `PostgreSQL` is the durable truth; everything here can be rebuilt from it. What this crate promises is narrower:
//! every verb is one script, a script changes nothing unless all its checks passed, and a lease that this process can
//! no longer trust is reported by [`Event::Lost`] before its deadline in Redis is over.
//!
//! # Layout
//! - [`options`], [`error`], [`event`]: what goes in, what comes out, what nobody asked for
//! - [`keys`]: the only place that builds names of keys and channels
//! - [`job`]: a job as Redis holds it (descriptor); [`class`]: what it requires and a worker offers
//! - [`policy`]: the order, the shares and the limits of a queue; [`lanes`]: what operators see of them
//! - [`script`]: the Lua files of `lua/`, their keys and their replies
//! - `link`: one connection that reconnects for ever and never hangs; `tls`: what its URL says about certificates
//! - one typed caller a verb: `enqueue`, [`lease`], `acknowledge`, `extend`, `rescue`, `promote`, `cancel`, `reconcile`, `duty`,
//!   `depths`, `fleet`; they hang their methods on [`store::Store`]
//! - [`held`]: the leases a worker holds and until when it may trust them
//! - [`heartbeat`]: the workers that share the process's heartbeat; `beating`: the thread that keeps them alive, `beat` what it sends,
//!   `sample`, `pulse`, `process` what that says
//! - [`inbox`]: the subscription that hears wake-ups and settled jobs
//! - [`server`]: what is known of the server before it is trusted
//! - [`backoff`], [`ids`], [`histogram`]: retry delays, job ids, latency histograms
//!
//! Units: every `*_ms` is integer milliseconds; times are those of the Redis server unless said otherwise.

pub mod backoff;
pub mod class;
pub mod error;
pub mod event;
pub mod heartbeat;
pub mod held;
pub mod histogram;
pub mod ids;
pub mod inbox;
pub mod job;
pub mod keys;
pub mod lanes;
pub mod lease;
pub mod options;
pub mod policy;
pub mod script;
pub mod server;
pub mod store;

mod acknowledge;
mod beat;
mod beating;
mod cancel;
mod control;
mod depths;
mod duty;
mod enqueue;
mod extend;
mod fleet;
mod link;
mod process;
mod promote;
mod pulse;
mod reconcile;
mod rescue;
mod sample;
mod tls;

pub use depths::Depths;
pub use enqueue::Pushed;
pub use error::{Error, Result};
pub use event::{Event, EventSink};
pub use heartbeat::{Heartbeat, Rhythm};
pub use held::Held;
pub use histogram::Histogram;
pub use inbox::Inbox;
pub use job::{Attributes, Descriptor, JobFence};
pub use keys::Keys;
pub use lanes::Lanes;
pub use lease::{Lease, LeaseBatch};
pub use options::Options;
pub use policy::{Policy, PolicyChange};
pub use server::ServerInfo;
pub use store::Store;
