//! What needs no server: ids, delays, the text of the migrations.

use include_dir::{Dir, include_dir};
use pyo3::prelude::*;
use tenure_core::backoff;

use crate::error::exception;

static MIGRATIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations");

/// Rising `UUIDv7`s.
#[pyfunction]
pub(crate) fn new_ids(count: usize) -> Vec<String> {
    tenure_core::ids::new_ids(count)
}

/// The delay before a retry.
#[pyfunction]
#[pyo3(signature = (attempt, base_ms = 1000, factor = 2.0, cap_ms = 60_000, jitter = "full"))]
pub(crate) fn backoff_ms(attempt: u32, base_ms: u64, factor: f64, cap_ms: u64, jitter: &str) -> PyResult<u64> {
    let jitter = jitter.parse().map_err(exception)?;
    backoff::backoff_ms(attempt, base_ms, factor, cap_ms, jitter, fastrand::f64()).map_err(exception)
}

/// Name, way up and way down of every migration, in their order.
#[pyfunction]
pub(crate) fn migrations() -> Vec<(String, &'static str, &'static str)> {
    let text = |name: &str| MIGRATIONS.get_file(name).and_then(include_dir::File::contents_utf8);
    let mut found: Vec<_> = MIGRATIONS
        .files()
        .filter_map(|file| {
            let name = file.path().to_str()?.strip_suffix(".up.sql")?;
            Some((name.to_owned(), file.contents_utf8()?, text(&format!("{name}.down.sql")).unwrap_or_default()))
        })
        .collect();
    found.sort();
    found
}
