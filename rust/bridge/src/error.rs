//! Exceptions: created here, mapped here.

use pyo3::{PyErr, create_exception, exceptions::PyException, exceptions::PyValueError};
use tenure_core::Error;

create_exception!(tenure._core, TenureCoreError, PyException, "Base of what the core raises.");
create_exception!(
    tenure._core,
    RedisUnavailable,
    TenureCoreError,
    "Redis cannot be asked; the outcome may be unknown."
);
create_exception!(tenure._core, RedisUntrusted, RedisUnavailable, "The connection to Redis could not be made secure.");
create_exception!(tenure._core, RedisRefused, TenureCoreError, "Redis answered with an error; nothing was written.");
create_exception!(
    tenure._core,
    NoGeneration,
    TenureCoreError,
    "The queue must be rebuilt from PostgreSQL; args[0] names it."
);
create_exception!(tenure._core, ForkedProcess, TenureCoreError, "The core was started in another process.");

/// What an error of the core is in Python.
pub(crate) fn exception(error: Error) -> PyErr {
    match error {
        Error::Unavailable { reason } => RedisUnavailable::new_err(reason),
        Error::Untrusted { reason } => RedisUntrusted::new_err(reason),
        Error::Refused { reason, .. } => RedisRefused::new_err(reason),
        Error::NoGeneration { queue } => NoGeneration::new_err(queue),
        other => PyValueError::new_err(other.to_string()),
    }
}
