//! What crosses, as frozen classes. Their documentation is in `_core.pyi`.

use std::sync::Arc;

use pyo3::{
    prelude::*,
    types::{PyBytes, PyList, PyString, PyTuple},
};
use tenure_core::Attributes;

/// A job as Redis holds it.
#[pyclass(frozen, module = "tenure._core")]
pub(crate) struct Descriptor(pub(crate) Arc<tenure_core::Descriptor>);

#[pymethods]
impl Descriptor {
    #[new]
    #[pyo3(signature = (*, job_id, job_type, priority, fence, attempts, max_retries, timeout_ms, run_at_ms, payload, ready = false, payload_format = "json", mode = "before", tenant = "", requires = "", limit_key = "", cost = 1000, deadline_ms = 0))]
    #[expect(clippy::too_many_arguments, reason = "keywords all, one per field")]
    fn new(
        job_id: String,
        job_type: String,
        priority: u8,
        fence: u64,
        attempts: u32,
        max_retries: u32,
        timeout_ms: u64,
        run_at_ms: i64,
        payload: &[u8],
        ready: bool,
        payload_format: &str,
        mode: &str,
        tenant: &str,
        requires: &str,
        limit_key: &str,
        cost: u64,
        deadline_ms: i64,
    ) -> PyResult<Self> {
        let job = tenure_core::Descriptor {
            job_id,
            job_type,
            priority,
            fence,
            attempts,
            max_retries,
            timeout_ms,
            run_at_ms,
            payload: payload.to_vec(),
            ready,
            payload_format: payload_format.to_owned(),
            mode: mode.to_owned(),
            attributes: Attributes {
                tenant: tenant.to_owned(),
                requires: requires.to_owned(),
                limit_key: limit_key.to_owned(),
                cost,
                deadline_ms,
            },
        };
        job.validate().map_err(crate::error::exception)?;
        Ok(Self(Arc::new(job)))
    }

    fn like(&self, job_id: String, payload: &[u8]) -> PyResult<Self> {
        let job = tenure_core::Descriptor { job_id, payload: payload.to_vec(), ..(*self.0).clone() };
        job.validate().map_err(crate::error::exception)?;
        Ok(Self(Arc::new(job)))
    }

    #[getter]
    fn job_id(&self) -> &str {
        &self.0.job_id
    }

    #[getter]
    fn job_type(&self) -> &str {
        &self.0.job_type
    }

    #[getter]
    fn priority(&self) -> u8 {
        self.0.priority
    }

    #[getter]
    fn fence(&self) -> u64 {
        self.0.fence
    }

    #[getter]
    fn attempts(&self) -> u32 {
        self.0.attempts
    }

    #[getter]
    fn max_retries(&self) -> u32 {
        self.0.max_retries
    }

    #[getter]
    fn timeout_ms(&self) -> u64 {
        self.0.timeout_ms
    }

    #[getter]
    fn run_at_ms(&self) -> i64 {
        self.0.run_at_ms
    }

    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.payload)
    }

    #[getter]
    fn payload_format(&self) -> &str {
        &self.0.payload_format
    }

    #[getter]
    fn mode(&self) -> &str {
        &self.0.mode
    }

    #[getter]
    fn tenant(&self) -> &str {
        &self.0.attributes.tenant
    }

    #[getter]
    fn requires(&self) -> &str {
        &self.0.attributes.requires
    }

    #[getter]
    fn limit_key(&self) -> &str {
        &self.0.attributes.limit_key
    }

    #[getter]
    fn cost(&self) -> u64 {
        self.0.attributes.cost
    }

    #[getter]
    fn deadline_ms(&self) -> i64 {
        self.0.attributes.deadline_ms
    }
}

/// The right to run a job. Its fields are Python objects already: a worker reads each several times, and a getter that made a new
/// one each time would cost more than the class.
#[pyclass(frozen, get_all, module = "tenure._core")]
pub(crate) struct Lease {
    key: Py<PyTuple>,
    job_id: Py<PyString>,
    queue: Py<PyString>,
    fence: u64,
    attempt: u32,
    job_type: Py<PyString>,
    priority: u8,
    max_retries: u32,
    timeout_ms: u64,
    run_at_ms: i64,
    payload: Py<PyBytes>,
    payload_format: Py<PyString>,
    mode: Py<PyString>,
    tenant: Py<PyString>,
    requires: Py<PyString>,
}

impl Lease {
    fn new(py: Python<'_>, queue: &Bound<'_, PyString>, lease: &tenure_core::Lease) -> PyResult<Self> {
        let job = &lease.job;
        let job_id = PyString::new(py, &job.job_id);
        Ok(Self {
            key: (&job_id, lease.fence).into_pyobject(py)?.unbind(),
            job_id: job_id.unbind(),
            queue: queue.clone().unbind(),
            fence: lease.fence,
            attempt: lease.attempt,
            // few different ones: interned, they are shared by all leases and found in dicts by identity
            job_type: PyString::intern(py, &job.job_type).unbind(),
            priority: job.priority,
            max_retries: job.max_retries,
            timeout_ms: job.timeout_ms,
            run_at_ms: job.run_at_ms,
            payload: PyBytes::new(py, &job.payload).unbind(),
            payload_format: PyString::intern(py, &job.payload_format).unbind(),
            mode: PyString::intern(py, &job.mode).unbind(),
            tenant: PyString::intern(py, &job.attributes.tenant).unbind(),
            requires: PyString::intern(py, &job.attributes.requires).unbind(),
        })
    }
}

/// What a lease call brought.
#[pyclass(frozen, get_all, module = "tenure._core")]
pub(crate) struct LeaseBatch {
    leases: Py<PyList>,
    now_ms: i64,
    next_due_ms: i64,
    exhausted: bool,
}

impl LeaseBatch {
    pub(crate) fn new(py: Python<'_>, batch: &tenure_core::LeaseBatch) -> PyResult<Self> {
        let queue = PyString::intern(py, batch.leases.first().map_or("", |lease| lease.queue.as_str()));
        let leases = batch
            .leases
            .iter()
            .map(|lease| Py::new(py, Lease::new(py, &queue, lease)?))
            .collect::<PyResult<Vec<_>>>()?;
        Ok(Self {
            leases: PyList::new(py, leases)?.unbind(),
            now_ms: batch.now_ms,
            next_due_ms: batch.next_due_ms,
            exhausted: batch.exhausted,
        })
    }
}

/// Declares a frozen class with the fields of a struct of the core, and the conversion.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[pyclass(frozen, get_all, module = "tenure._core")]
        pub(crate) struct $name {
            $($field: $kind),+
        }

        impl From<tenure_core::$name> for $name {
            fn from(value: tenure_core::$name) -> Self {
                Self { $($field: value.$field),+ }
            }
        }
    };
}

mirror!(
    /// What became of pushed jobs.
    Pushed { ready: usize, scheduled: usize, skipped: usize, woken: usize }
);
mirror!(
    /// How deep a queue is.
    Depths {
        high: u64,
        medium: u64,
        low: u64,
        scheduled: u64,
        processing: u64,
        rescue: u64,
        dead: u64,
        jobs: u64,
        idle: u64,
        laned: u64,
        parked: u64,
    }
);
mirror!(
    /// What there is in the lanes of a queue.
    Lanes { classes: Vec<(String, u64)>, limits: Vec<(String, u64, u64)>, tenants: Vec<(String, u64)> }
);
mirror!(
    /// Who answered.
    ServerInfo {
        product: String,
        version: String,
        maxmemory_policy: String,
        maxmemory: u64,
        password_set: bool,
        loopback: bool,
        appendonly: bool,
        round_trip_ms: f64,
        time_ms: i64,
    }
);

/// What no call asked for.
#[pyclass(frozen, get_all, module = "tenure._core")]
pub(crate) struct Event {
    kind: &'static str,
    queue: String,
    job_id: String,
    fence: u64,
    text: String,
}

impl Event {
    fn new(kind: &'static str, queue: String, job_id: String, fence: u64) -> Self {
        Self { kind, queue, job_id, fence, text: String::new() }
    }

    fn saying(kind: &'static str, text: String) -> Self {
        Self { text, ..Self::new(kind, String::new(), String::new(), 0) }
    }
}

impl From<tenure_core::Event> for Event {
    fn from(event: tenure_core::Event) -> Self {
        use tenure_core::Event as E;
        match event {
            E::Wake { queue } => Self::new("wake", queue, String::new(), 0),
            E::Cancel { queue, job_id, fence } => Self::new("cancel", queue, job_id, fence),
            E::Lost { queue, job_id, fence } => Self::new("lost", queue, job_id, fence),
            E::Settled { queue, job_id } => Self::new("settled", queue, job_id, 0),
            E::NoGeneration { queue } => Self::new("no_generation", queue, String::new(), 0),
            E::Control { text } => Self::saying("control", text),
            E::Answer { text } => Self::saying("answer", text),
            E::Reconnected => Self::new("reconnected", String::new(), String::new(), 0),
            // `Event` may grow: whatever is not known here at least says that the connection is worth a look
            _ => Self::new("redis_down", String::new(), String::new(), 0),
        }
    }
}
