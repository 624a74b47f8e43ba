//! Verbs against a real server, whole: call, script, reply. Under a prefix of its own, which is empty again afterwards.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use tenure_core::{Descriptor, JobFence, Keys, Options, Store, ids::new_ids};
use tokio::runtime::Runtime;

use crate::descriptor::descriptor;

const QUEUE: &str = "core";
const JOBS: usize = 100;

pub fn bench(criterion: &mut Criterion, url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prefix = format!("bench-{}", new_ids(1).remove(0));
    let options = Options { prefix: prefix.clone(), ..Options::new(url, new_ids(1).remove(0)) };
    let (store, _) = runtime.block_on(Store::connect(options.clone(), Store::held_for(&options))).unwrap();
    runtime.block_on(store.set_generation(QUEUE)).unwrap();
    let mut group = criterion.benchmark_group("server, 100 jobs");
    group.throughput(Throughput::Elements(JOBS as u64));
    for verb in ["enqueue", "lease", "acknowledge"] {
        group.bench_function(verb, |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| round(&runtime, &store, verb)).sum());
        });
    }
    group.finish();
    forget(url, &prefix);
}

/// The life of a hundred jobs; how long the one verb took.
fn round(runtime: &Runtime, store: &Store, measured: &str) -> Duration {
    let jobs: Vec<Descriptor> = new_ids(JOBS).into_iter().map(descriptor).collect();
    runtime.block_on(async {
        let began = Instant::now();
        assert_eq!(store.enqueue(QUEUE, &jobs).await.unwrap().ready, JOBS);
        let pushed = Instant::now();
        let leases = store.lease(QUEUE, JOBS, "").await.unwrap().leases;
        let taken = Instant::now();
        let held: Vec<JobFence> = leases.into_iter().map(|lease| (lease.job.job_id, lease.fence)).collect();
        let ending = Instant::now();
        assert_eq!(store.acknowledge(QUEUE, &held).await.unwrap(), JOBS);
        match measured {
            "enqueue" => pushed - began,
            "lease" => taken - pushed,
            _ => ending.elapsed(),
        }
    })
}

fn forget(url: &str, prefix: &str) {
    let queue = Keys::new(prefix).unwrap().queue(QUEUE).unwrap();
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    redis::cmd("DEL").arg(&[queue.generation, queue.processing, queue.jobs, queue.idle]).exec(&mut connection).unwrap();
}
