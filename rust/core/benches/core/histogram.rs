//! Counting latencies, and asking for the tail of a million of them.

use std::hint::black_box;

use criterion::Criterion;
use tenure_core::Histogram;

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("histogram");
    let mut counted = Histogram::new().unwrap();
    let mut seconds = 1e-6;
    group.bench_function("record", |bencher| {
        bencher.iter(|| {
            // From 1 us up to a second and again, so that no single bucket stays in the cache.
            seconds = if seconds > 1.0 { 1e-6 } else { seconds * 1.01 };
            counted.record(black_box(seconds));
        });
    });
    let mut million = Histogram::new().unwrap();
    (0..1_000_000_u32).for_each(|n| million.record(f64::from(n % 50_000) * 1e-6));
    group
        .bench_function("percentile 99.9 of a million", |bencher| bencher.iter(|| million.percentile(black_box(99.9))));
    let other = million.clone();
    group.bench_function("merge", |bencher| bencher.iter(|| million.merge(black_box(&other))));
    group.bench_function("dumps", |bencher| bencher.iter(|| black_box(&other).dumps().unwrap()));
    group.finish();
}
