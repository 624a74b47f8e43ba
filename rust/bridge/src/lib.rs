//! `tenure._core`: the core as Python sees it. The only crate that knows pyo3.
//!
//! # Layout
//! - `runtime`: the one tokio runtime of the process, and the refusal of forks
//! - `wakeup`: the file descriptor by which the runtime wakes an event loop
//! - `completion`: what finished, on its way from the runtime to the loop
//! - `calls`: calls under way, and the futures that wait for them
//! - `connection`, `heartbeat`: the store and the heartbeat thread, while they are there
//! - `core`: the class `Core`, one per event loop, the doorway to these
//! - `types`: what crosses, as frozen classes
//! - `error`: exceptions, created and mapped in one place
//! - `functions`, `histogram`: what needs no server

mod calls;
mod completion;
mod connection;
mod core;
mod error;
mod functions;
mod heartbeat;
mod histogram;
mod runtime;
mod types;
mod wakeup;

use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::{
        core::Core,
        error::{ForkedProcess, NoGeneration, RedisRefused, RedisUnavailable, RedisUntrusted, TenureCoreError},
        functions::{backoff_ms, migrations, new_ids},
        histogram::Histogram,
        types::{Depths, Descriptor, Event, Lanes, Lease, LeaseBatch, Pushed, ServerInfo},
    };

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("debug_build", cfg!(debug_assertions))
    }
}
