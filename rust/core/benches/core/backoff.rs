//! The delay before a retry, for each way of leaving it to chance.

use std::hint::black_box;

use criterion::Criterion;
use tenure_core::backoff::{Jitter, backoff_ms};

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("backoff");
    for (name, jitter) in [("full", Jitter::Full), ("equal", Jitter::Equal), ("none", Jitter::None)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| backoff_ms(black_box(3), 1000, black_box(2.0), 60_000, jitter, black_box(0.5)).unwrap());
        });
    }
    group.finish();
}
