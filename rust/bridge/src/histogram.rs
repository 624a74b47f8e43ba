//! The class `Histogram`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::{prelude::*, types::PyBytes};

use crate::error::exception;

#[pyclass(frozen, module = "tenure._core")]
pub(crate) struct Histogram(Mutex<tenure_core::Histogram>);

impl Histogram {
    fn lock(&self) -> MutexGuard<'_, tenure_core::Histogram> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Histogram {
    #[new]
    fn new() -> PyResult<Self> {
        tenure_core::Histogram::new().map(|inner| Self(Mutex::new(inner))).map_err(exception)
    }

    fn record(&self, seconds: f64) {
        self.lock().record(seconds);
    }

    fn percentile(&self, q: f64) -> f64 {
        self.lock().percentile(q)
    }

    fn merge(&self, other: &Self) {
        let other = other.lock().clone();
        self.lock().merge(&other);
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.lock().count()).unwrap_or(usize::MAX)
    }

    #[getter]
    fn max(&self) -> f64 {
        self.lock().max()
    }

    #[getter]
    fn mean(&self) -> f64 {
        self.lock().mean()
    }

    fn dumps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.lock().dumps().map_err(exception)?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    fn loads(data: &[u8]) -> PyResult<Self> {
        tenure_core::Histogram::loads(data).map(|inner| Self(Mutex::new(inner))).map_err(exception)
    }
}
