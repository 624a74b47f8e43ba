//! What a script call costs before it is sent and after it was answered; no server takes part.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use redis::{Cmd, Value};
use tenure_core::{
    Descriptor, Keys,
    ids::new_ids,
    script::{ENQUEUE, LEASE, Reply},
};

use crate::descriptor::descriptor;

const JOBS: usize = 100;

pub fn bench(criterion: &mut Criterion) {
    let keys = Keys::new("bench").unwrap();
    let jobs: Vec<Descriptor> = new_ids(JOBS).into_iter().map(descriptor).collect();
    let mut group = criterion.benchmark_group("script");
    group.bench_function("keys of a queue", |bencher| bencher.iter(|| keys.queue(black_box("default")).unwrap()));
    let queue = keys.queue("default").unwrap();
    let (leasing, pushing) = (queue.named(LEASE.keys), queue.named(ENQUEUE.keys));
    group.bench_function("call of lease", |bencher| {
        bencher.iter(|| {
            let mut call = LEASE.call(black_box(&leasing));
            call.arg(JOBS).arg(30_000).arg("worker").arg(100).arg("default").arg("bench:worker:");
            call.get_packed_command()
        });
    });
    group.throughput(Throughput::Elements(JOBS as u64));
    group.bench_function("call of enqueue, 100 jobs", |bencher| {
        bencher.iter(|| enqueue(&pushing, black_box(&jobs)).get_packed_command());
    });
    let reply = leased(&jobs);
    group.bench_function("reply of lease, 100 jobs", |bencher| {
        bencher.iter_batched(|| reply.clone(), |reply| picked_apart(reply).unwrap(), BatchSize::SmallInput);
    });
    group.finish();
}

fn enqueue(keys: &[&str], jobs: &[Descriptor]) -> Cmd {
    let mut call = ENQUEUE.call(keys);
    call.arg("default").arg("bench:worker:");
    for job in jobs {
        call.arg(&job.job_id).arg(job.priority).arg(job.fence).arg(job.run_at_ms).arg(job.encode());
    }
    call
}

/// What the server would answer.
fn leased(jobs: &[Descriptor]) -> Value {
    let mut items = vec![Value::BulkString(b"LEASED".to_vec()), Value::Int(1_732_390_000_123), Value::Int(-1)];
    items.push(Value::Int(0));
    for job in jobs {
        items.push(Value::BulkString(job.job_id.clone().into_bytes()));
        items.push(Value::BulkString(job.encode()));
    }
    Value::Array(items)
}

fn picked_apart(value: Value) -> Option<Vec<Descriptor>> {
    let mut reply = Reply::new(value)?;
    let (_now, _due, _exhausted) = (reply.number()?, reply.number()?, reply.number()?);
    let mut jobs = Vec::with_capacity(JOBS);
    while let Some(job_id) = reply.text() {
        jobs.push(Descriptor::decode(&job_id, &reply.bytes()?)?);
    }
    Some(jobs)
}
