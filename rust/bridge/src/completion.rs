//! What finished, on its way from the runtime to the event loop.
//!
//! The runtime's thread only pushes plain Rust values under a short lock, and signals the loop when the queue was empty: many
//! completions, one wake-up. Python objects are made in `Core.drain`, on the loop's thread.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use pyo3::{IntoPyObjectExt as _, prelude::*, types::PyBytes, types::PyDict};
use tenure_core::{Depths, Error, Event, JobFence, Lanes, LeaseBatch, PolicyChange, Pushed, ServerInfo};

use crate::{runtime::lock, types, wakeup::Wakeup};

/// What a call answered.
pub(crate) enum Answer {
    Flag(bool),
    Count(usize),
    Millis(f64),
    Texts(Vec<String>),
    Leases(Vec<JobFence>),
    Promoted((usize, i64)),
    Pushed(Pushed),
    Batch(LeaseBatch),
    Server(ServerInfo),
    Depths(Depths),
    Lanes(Lanes),
    Policy(PolicyChange),
    Beats(HashMap<String, Vec<u8>>),
    Roster(Vec<(String, u64)>),
    Heard((i64, Vec<(String, i64)>)),
    Series(HashMap<String, Vec<String>>),
}

/// One thing for the loop to see.
pub(crate) enum Done {
    Call(u64, Result<Answer, Error>),
    Event(Event),
}

/// The queue between the runtime and one event loop.
pub(crate) struct Completions {
    queue: Mutex<Vec<Done>>,
    wakeup: Wakeup,
}

impl Completions {
    pub(crate) fn new() -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self { queue: Mutex::new(Vec::new()), wakeup: Wakeup::new()? }))
    }

    pub(crate) fn fileno(&self) -> i32 {
        self.wakeup.fileno()
    }

    pub(crate) fn push(&self, done: Done) {
        let mut queue = lock(&self.queue);
        let was_empty = queue.is_empty();
        queue.push(done);
        drop(queue);
        if was_empty {
            self.wakeup.signal();
        }
    }

    /// Everything that waits. The signal is cleared first: what is pushed after that signals anew.
    pub(crate) fn take(&self) -> Vec<Done> {
        self.wakeup.clear();
        std::mem::take(&mut *lock(&self.queue))
    }
}

impl Answer {
    /// The answer as a Python object.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::Flag(flag) => flag.into_bound_py_any(py),
            Self::Count(count) => count.into_bound_py_any(py),
            Self::Millis(millis) => millis.into_bound_py_any(py),
            Self::Texts(texts) => texts.into_bound_py_any(py),
            Self::Leases(leases) => leases.into_bound_py_any(py),
            Self::Promoted(promoted) => promoted.into_bound_py_any(py),
            Self::Pushed(pushed) => types::Pushed::from(pushed).into_bound_py_any(py),
            Self::Batch(batch) => types::LeaseBatch::new(py, &batch)?.into_bound_py_any(py),
            Self::Server(server) => types::ServerInfo::from(server).into_bound_py_any(py),
            Self::Depths(depths) => types::Depths::from(depths).into_bound_py_any(py),
            Self::Lanes(lanes) => types::Lanes::from(lanes).into_bound_py_any(py),
            Self::Policy(PolicyChange::Same) => "same".into_bound_py_any(py),
            Self::Policy(PolicyChange::Set) => "set".into_bound_py_any(py),
            Self::Policy(PolicyChange::Rebuild) => "rebuild".into_bound_py_any(py),
            Self::Roster(roster) => roster.into_bound_py_any(py),
            Self::Heard(heard) => heard.into_bound_py_any(py),
            Self::Series(series) => series.into_bound_py_any(py),
            Self::Beats(beats) => {
                let alive = PyDict::new(py);
                for (worker_id, sample) in beats {
                    alive.set_item(worker_id, PyBytes::new(py, &sample))?;
                }
                alive.into_bound_py_any(py)
            }
        }
    }
}
