//! The heartbeat thread, from when it is started until it is stopped; before and after there is nothing to tell.

use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use tenure_core::{EventSink, Heartbeat, Held, Options, Rhythm};

use crate::{error::exception, runtime::lock};

#[derive(Default)]
pub(crate) struct Thread(Mutex<Option<Heartbeat>>);

impl Thread {
    pub(crate) fn start(
        &self,
        options: &Options,
        held: &Arc<Held>,
        sink: EventSink,
        rhythm: Rhythm,
        profile: &str,
    ) -> PyResult<()> {
        let mut heartbeat = lock(&self.0);
        if heartbeat.is_none() {
            let started = Heartbeat::start(options.clone(), Arc::clone(held), sink, rhythm, profile);
            *heartbeat = Some(started.map_err(exception)?);
        }
        Ok(())
    }

    pub(crate) fn stop(&self, py: Python<'_>) {
        let heartbeat = lock(&self.0).take();
        if let Some(heartbeat) = heartbeat {
            // The thread is waited for; it may be in the middle of a round trip.
            py.detach(|| heartbeat.stop());
        }
    }

    pub(crate) fn describe(&self, profile: &str) -> PyResult<()> {
        self.with(|heartbeat| heartbeat.describe(profile)).unwrap_or(Ok(())).map_err(exception)
    }

    pub(crate) fn tick(&self, running: usize, capacity: usize, ended: u64, failed: u64) {
        self.with(|heartbeat| heartbeat.tick(running, capacity, ended, failed));
    }

    pub(crate) fn wedged(&self) -> bool {
        self.with(Heartbeat::wedged).unwrap_or(false)
    }

    pub(crate) fn score(&self) -> u8 {
        self.with(Heartbeat::score).unwrap_or(100)
    }

    pub(crate) fn silence_ms(&self) -> u64 {
        let silence = self.with(Heartbeat::silence).unwrap_or_default();
        u64::try_from(silence.as_millis()).unwrap_or(u64::MAX)
    }

    fn with<T>(&self, ask: impl FnOnce(&Heartbeat) -> T) -> Option<T> {
        lock(&self.0).as_ref().map(ask)
    }
}
