//! Calls under way: each has a token, under which its future waits for `Core.drain`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use pyo3::{intern, prelude::*};
use tenure_core::{Error, Event, EventSink, Result};

use crate::{
    completion::{Answer, Completions, Done},
    error::exception,
    runtime::{assert_same_process, lock, spawn},
    types,
};

pub(crate) struct Calls {
    process: u32,
    completions: Arc<Completions>,
    /// By token; only the loop's thread touches them, so the runtime never holds a Python object.
    futures: Mutex<HashMap<u64, Py<PyAny>>>,
    next_token: AtomicU64,
}

impl Calls {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            process: std::process::id(),
            completions: Completions::new()?,
            futures: Mutex::default(),
            next_token: AtomicU64::new(0),
        })
    }

    pub(crate) fn assert_same_process(&self) -> PyResult<()> {
        assert_same_process(self.process)
    }

    pub(crate) fn fileno(&self) -> i32 {
        self.completions.fileno()
    }

    /// Where events go that no call asked for.
    pub(crate) fn sink(&self) -> EventSink {
        let completions = Arc::clone(&self.completions);
        Arc::new(move |event: Event| completions.push(Done::Event(event)))
    }

    /// Runs an operation; its future is completed by a later `drain`.
    pub(crate) fn run(
        &self,
        done: Py<PyAny>,
        operation: impl Future<Output = Result<Answer>> + Send + 'static,
    ) -> PyResult<()> {
        self.assert_same_process()?;
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        lock(&self.futures).insert(token, done);
        let completions = Arc::clone(&self.completions);
        spawn(async move { completions.push(Done::Call(token, operation.await)) })
    }

    /// Completes the futures of what has finished; the events that came besides.
    pub(crate) fn drain(&self, py: Python<'_>) -> PyResult<Vec<types::Event>> {
        let mut events = Vec::new();
        for done in self.completions.take() {
            match done {
                Done::Call(token, result) => self.complete(py, token, result)?,
                Done::Event(event) => events.push(event.into()),
            }
        }
        Ok(events)
    }

    /// Fails what is under way, to be seen by a last `drain`.
    pub(crate) fn close(&self) {
        let pending: Vec<u64> = lock(&self.futures).keys().copied().collect();
        for token in pending {
            let error = Error::Unavailable { reason: "closed".to_owned() };
            self.completions.push(Done::Call(token, Err(error)));
        }
    }

    fn complete(&self, py: Python<'_>, token: u64, result: Result<Answer>) -> PyResult<()> {
        let Some(future) = lock(&self.futures).remove(&token) else { return Ok(()) };
        let future = future.into_bound(py);
        // A caller that was cancelled wants no answer.
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        match result {
            Ok(answer) => future.call_method1(intern!(py, "set_result"), (answer.into_python(py)?,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (exception(error).into_value(py),))?,
        };
        Ok(())
    }
}
