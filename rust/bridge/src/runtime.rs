//! The one tokio runtime of the process. Its thread never asks for Python's lock.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::PyResult;
use tokio::runtime::{Builder, Runtime};

use crate::error::{ForkedProcess, RedisUnavailable};

static RUNTIME: OnceLock<(u32, Runtime)> = OnceLock::new();

/// Starts a task on the runtime, which is started with the first one. One worker thread is enough: it only moves bytes.
///
/// A forked child has the memory of the runtime but none of its threads: every call would wait for ever, so it is refused.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> PyResult<()> {
    if RUNTIME.get().is_none() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tenure-core")
            .enable_all()
            .build()
            .map_err(|error| RedisUnavailable::new_err(format!("the runtime cannot be started: {error}")))?;
        // Two threads may race here; the loser's runtime is shut down, and nothing runs on it yet.
        if let Err((_, loser)) = RUNTIME.set((std::process::id(), runtime)) {
            loser.shutdown_background();
        }
    }
    if let Some((process, runtime)) = RUNTIME.get() {
        assert_same_process(*process)?;
        runtime.handle().spawn(task);
    }
    Ok(())
}

/// Refuses a process that is not the one that `started` what is being used.
pub(crate) fn assert_same_process(started: u32) -> PyResult<()> {
    let here = std::process::id();
    if here == started {
        return Ok(());
    }
    Err(ForkedProcess::new_err(format!(
        "tenure was started in process {started} and cannot be used in its fork {here}: open it after forking, or spawn instead"
    )))
}

/// A lock whose holder panicked is taken all the same: what these locks guard is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
