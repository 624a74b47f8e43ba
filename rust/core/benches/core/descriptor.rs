//! A job to and from the text that Redis holds, with a payload of 200 bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tenure_core::{Descriptor, ids::new_ids};

/// A ready job.
pub fn descriptor(job_id: String) -> Descriptor {
    Descriptor {
        job_id,
        job_type: "thumbnail".to_owned(),
        priority: 3,
        fence: 0,
        attempts: 0,
        max_retries: 5,
        timeout_ms: 30_000,
        run_at_ms: 1_732_390_000_123,
        ready: true,
        payload: vec![b'x'; 200],
        payload_format: "json".to_owned(),
        mode: "before".to_owned(),
        attributes: tenure_core::Attributes::default(),
    }
}

pub fn bench(criterion: &mut Criterion) {
    let job = descriptor(new_ids(1).remove(0));
    let text = job.encode();
    assert_eq!(Descriptor::decode(&job.job_id, &text).as_ref(), Some(&job));
    let mut group = criterion.benchmark_group("descriptor");
    group.throughput(Throughput::Elements(1));
    group.bench_function("validate", |bencher| bencher.iter(|| black_box(&job).validate().unwrap()));
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(&job).encode()));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Descriptor::decode(black_box(&job.job_id), black_box(&text)).unwrap());
    });
    group.finish();
}
