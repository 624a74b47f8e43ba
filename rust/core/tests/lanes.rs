//! Lanes through the callers: what a process sees of a queue that gets lanes, has limits and loses them again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{Server, ids, job, listening, wait_for};
use redis::Commands as _;
use tenure_core::{Attributes, Descriptor, Error, Event, Policy, PolicyChange, Store};

const Q: &str = "q";
const NO_LANES: &[Descriptor] = &[];

async fn built(server: &Server) -> (Store, String) {
    let (store, _, options) = server.store().await;
    assert!(store.set_generation(Q).await.unwrap());
    (store, format!("{}:{{{Q}}}", options.prefix))
}

fn of(tenant: &str, requires: &str, id: &str) -> Descriptor {
    let attributes = Attributes { tenant: tenant.to_owned(), requires: requires.to_owned(), ..Attributes::default() };
    Descriptor { attributes, ..job(id, 3) }
}

fn policy(fields: &[(&str, &str)]) -> Policy {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_queue_gets_lanes_with_its_first_job_that_needs_them_and_loses_them_with_its_last() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    let mut raw = server.raw();
    store.enqueue(Q, &[job("plain", 3)]).await.unwrap();
    let generation = |raw: &mut redis::Connection| raw.get::<_, String>(format!("{keys}:generation")).unwrap();
    assert!(generation(&mut raw).parse::<u64>().is_ok());
    store.enqueue(Q, &[of("acme", "", "theirs"), job("more", 3)]).await.unwrap();
    assert_eq!(generation(&mut raw), "laned");
    let depths = store.depths(Q).await.unwrap();
    assert_eq!((depths.medium, depths.laned, depths.parked), (2, 1, 0));
    let batch = store.lease(Q, 5, "").await.unwrap();
    assert_eq!(batch.leases.len(), 3);
    assert_eq!(batch.leases.iter().filter(|lease| lease.job.attributes.tenant == "acme").count(), 1);
    let leases: Vec<_> = ["plain", "theirs"].map(|id| (id.to_owned(), 1)).into();
    assert_eq!(store.acknowledge(Q, &leases).await.unwrap(), 2);
    assert_eq!(generation(&mut raw), "laned", "a lease still counts");
    assert_eq!(store.bury(Q, &[("more".into(), 1)]).await.unwrap(), 1);
    assert!(generation(&mut raw).parse::<u64>().is_ok());
    let left: Vec<String> = raw.keys(format!("{keys}:lane-*")).unwrap();
    assert_eq!(left, Vec::<String>::new());
    // who believes that the queue has lanes finds out, and so does who believes that it has none
    store.enqueue(Q, &[job("again", 3)]).await.unwrap();
    assert_eq!(ids(&store.lease(Q, 1, "").await.unwrap()), ["again"]);
    assert_eq!(store.depths(Q).await.unwrap().dead, 1);
}

#[tokio::test]
async fn a_worker_gets_what_it_can_run_and_is_woken_for_nothing_else() {
    let server = Server::start();
    let (options, other) = (server.options("one"), server.options("two"));
    let other = tenure_core::Options { prefix: options.prefix.clone(), ..other };
    let (store, _) = server.store_of(&options).await;
    let (gpu, _) = server.store_of(&other).await;
    let (_inbox, told) = listening(&other);
    store.set_generation(Q).await.unwrap();
    assert!(store.lease(Q, 1, "").await.unwrap().exhausted);
    assert!(gpu.lease(Q, 1, "gpu;cpu=4").await.unwrap().exhausted);
    let pushed = store.enqueue(Q, &[of("", "tpu", "nobodys")]).await.unwrap();
    assert_eq!((pushed.ready, pushed.woken), (1, 0));
    assert_eq!(store.enqueue(Q, &[of("", ";cpu=8", "large")]).await.unwrap().woken, 0);
    assert_eq!(store.enqueue(Q, &[of("", "gpu;cpu=3", "theirs")]).await.unwrap().woken, 1);
    wait_for(&told, |event| *event == Event::Wake { queue: Q.to_owned() });
    assert!(store.lease(Q, 5, "").await.unwrap().leases.is_empty());
    assert!(gpu.lease(Q, 5, "gpu;cpu=2.5").await.unwrap().leases.is_empty(), "it has less left than is needed");
    assert_eq!(ids(&gpu.lease(Q, 5, "gpu;cpu=3").await.unwrap()), ["theirs"]);
    let lanes = store.lanes(Q).await.unwrap();
    let mut classes = lanes.classes.clone();
    classes.sort();
    assert_eq!(classes, [(";cpu=8".to_owned(), 1), ("tpu".to_owned(), 1)]);
    assert!(matches!(gpu.lease(Q, 1, "b,a").await, Err(Error::Invalid { field: "offers", .. })));
}

#[tokio::test]
async fn limits_hold_and_are_given_back() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    let limits = policy(&[("limit|tenant|acme", "2"), ("limit|type|type", "5")]);
    assert_eq!(store.set_policy(Q, &limits, false).await.unwrap(), PolicyChange::Set);
    assert_eq!(store.set_policy(Q, &limits, false).await.unwrap(), PolicyChange::Same);
    let odd = policy(&[("limit|worker|w", "2")]);
    assert!(matches!(store.set_policy(Q, &odd, false).await, Err(Error::Invalid { field: "policy field", .. })));
    let jobs: Vec<_> = (0..4).map(|number| of("acme", "", &format!("a{number}"))).collect();
    store.enqueue(Q, &jobs).await.unwrap();
    store.enqueue(Q, &[job("b0", 3), job("b1", 3)]).await.unwrap();
    let batch = store.lease(Q, 9, "").await.unwrap();
    assert_eq!(batch.leases.len(), 4);
    assert_eq!(batch.leases.iter().filter(|lease| lease.job.attributes.tenant == "acme").count(), 2);
    assert!(batch.exhausted);
    let lanes = store.lanes(Q).await.unwrap();
    assert!(lanes.limits.contains(&("tenant|acme".to_owned(), 2, 1)), "{lanes:?}");
    assert!(lanes.limits.contains(&("type|type".to_owned(), 4, 0)), "{lanes:?}");
    assert_eq!(store.depths(Q).await.unwrap().parked, 1);
    // a retry and an end give back what they held
    let one = batch.leases.iter().find(|lease| lease.job.attributes.tenant == "acme").unwrap();
    store.requeue(Q, &[Descriptor { fence: 1, ..one.job.clone() }]).await.unwrap();
    assert_eq!(store.lease(Q, 9, "").await.unwrap().leases.len(), 1);
    assert_eq!(store.cancel_queued(Q, &["a3".into()]).await.unwrap(), 1);
    let change = policy(&[("order", "deadline")]);
    assert_eq!(store.set_policy(Q, &change, false).await.unwrap(), PolicyChange::Rebuild);
}

#[tokio::test]
async fn what_ran_when_redis_was_lost_counts_again() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    let limits = policy(&[("limit|tenant|*", "2")]);
    store.set_policy(Q, &limits, false).await.unwrap();
    let jobs: Vec<_> = (0..4).map(|number| of("acme", "", &format!("a{number}"))).collect();
    store.enqueue(Q, &jobs).await.unwrap();
    assert_eq!(store.lease(Q, 1, "").await.unwrap().leases.len(), 1);
    let _: () = redis::cmd("FLUSHALL").query(&mut server.raw()).unwrap();
    assert!(matches!(store.set_policy(Q, &limits, false).await, Err(Error::NoGeneration { .. })));
    assert_eq!(store.set_policy(Q, &limits, true).await.unwrap(), PolicyChange::Set);
    store.rebuild(Q, &jobs[1..]).await.unwrap();
    let running = [Descriptor { fence: 1, payload: Vec::new(), ..jobs[0].clone() }];
    assert_eq!(store.restore(Q, &[("elsewhere".into(), 4)], true, &running).await.unwrap(), 2);
    assert_eq!(store.restore(Q, &[], true, &running).await.unwrap(), 0, "it counts once");
    assert!(store.set_generation(Q).await.unwrap());
    assert_eq!(server.raw().get::<_, String>(format!("{keys}:generation")).unwrap(), "laned");
    assert_eq!(store.lease(Q, 9, "").await.unwrap().leases.len(), 1);
    assert_eq!(store.missing(Q, &[("a2".into(), 0), ("a3".into(), 0), ("x".into(), 0)]).await.unwrap(), ["x"]);
    assert_eq!(store.acknowledge(Q, &[("a0".into(), 1)]).await.unwrap(), 1);
    assert_eq!(store.lease(Q, 9, "").await.unwrap().leases.len(), 1);
}

#[tokio::test]
async fn a_paused_queue_with_lanes_is_one_again() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    assert!(store.pause(Q, true, false).await.unwrap());
    store.enqueue(Q, &[of("acme", "gpu", "a")]).await.unwrap();
    let generation = || server.raw().get::<_, String>(format!("{keys}:generation")).unwrap();
    assert_eq!(generation(), "paused laned");
    assert!(store.lease(Q, 1, "gpu").await.unwrap().leases.is_empty());
    assert!(!store.pause(Q, true, false).await.unwrap());
    assert!(store.pause(Q, false, false).await.unwrap());
    assert_eq!(generation(), "laned");
    assert_eq!(store.lease(Q, 1, "gpu").await.unwrap().leases.len(), 1);
    assert!(store.pause(Q, true, false).await.unwrap());
    store.acknowledge(Q, &[("a".into(), 1)]).await.unwrap();
    assert_eq!(generation(), "paused");
    // declared built and paused at once, it keeps what it was built with
    store.forget_queue(Q).await.unwrap();
    store.rebuild(Q, &[of("acme", "", "a")]).await.unwrap();
    assert!(store.pause(Q, true, true).await.unwrap());
    assert_eq!(generation(), "paused laned");
    store.forget_queue(Q).await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut server.raw()).unwrap();
    assert_eq!(keys, Vec::<String>::new());
    assert_eq!(store.restore(Q, &[], true, NO_LANES).await.unwrap(), 0);
}

#[tokio::test]
async fn a_scheduled_job_with_attributes_finds_its_lane() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    let later = Descriptor { run_at_ms: 4_000_000_000_000, ..of("acme", "gpu", "later") };
    assert_eq!(store.enqueue(Q, &[later]).await.unwrap().scheduled, 1);
    assert_eq!(store.promote(Q, 10).await.unwrap(), (0, 4_000_000_000_000));
    let _: () = server.raw().zadd(format!("{keys}:scheduled-queue"), "later", 1).unwrap();
    assert_eq!(store.promote(Q, 10).await.unwrap(), (1, -1));
    assert!(store.lease(Q, 1, "").await.unwrap().leases.is_empty());
    assert_eq!(ids(&store.lease(Q, 1, "gpu").await.unwrap()), ["later"]);
}

#[tokio::test]
async fn without_memory_leases_are_taken_and_ended_and_nothing_is_pushed_by_halves() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    store.set_policy(Q, &policy(&[("limit|tenant|*", "1")]), false).await.unwrap();
    store.enqueue(Q, &[of("acme", "gpu", "a"), of("acme", "gpu", "b")]).await.unwrap();
    let mut raw = server.raw();
    let memory = |bytes: &str, raw: &mut redis::Connection| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(raw).unwrap();
    };
    memory("1", &mut raw);
    let error = store.enqueue(Q, &[of("other", "tpu", "c")]).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { reason, .. } if reason.contains("OOM")), "{error}");
    let lease = store.lease(Q, 5, "gpu").await.unwrap();
    assert_eq!(ids(&lease), ["a"]);
    assert_eq!(store.acknowledge(Q, &[("a".into(), 1)]).await.unwrap(), 1);
    assert_eq!(ids(&store.lease(Q, 5, "gpu").await.unwrap()), ["b"]);
    memory("0", &mut raw);
    let members: Vec<String> = raw.zrange(format!("{keys}:lane-queue"), 0, -1).unwrap();
    assert_eq!(members, Vec::<String>::new());
    assert_eq!(store.acknowledge(Q, &[("b".into(), 1)]).await.unwrap(), 1);
}
