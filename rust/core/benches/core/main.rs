//! What the parts of the core cost without Python: `cargo bench --package tenure-core`.
//!
//! With `-- --test` each runs once, to show that it works. The parts that need a server run where `TENURE_BENCH_REDIS_URL` names one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

mod backoff;
mod descriptor;
mod histogram;
mod script;
mod server;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    backoff::bench(&mut criterion);
    descriptor::bench(&mut criterion);
    histogram::bench(&mut criterion);
    script::bench(&mut criterion);
    if let Ok(url) = std::env::var("TENURE_BENCH_REDIS_URL") {
        server::bench(&mut criterion, &url);
    }
    criterion.final_summary();
}
