//! Stores that fall silent, fail over, restart, run out of memory or refuse, and what a caller sees of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{Server, eventually, ids, job, listening, proxy::Proxy, sink, wait_for};
use redis::Commands as _;
use tenure_core::{Descriptor, Error, Event, Heartbeat, Options, Rhythm, Store};

const Q: &str = "q";

fn impatient(server: &Server, proxy: &Proxy) -> Options {
    Options {
        url: proxy.url.clone(),
        lease_ms: 3_000,
        margin_ms: 300,
        connect_timeout_ms: 300,
        command_timeout_ms: 300,
        ..server.options("one")
    }
}

#[tokio::test]
async fn a_connection_that_went_silent_is_left() {
    let server = Server::start();
    let proxy = Proxy::start(server.socket());
    let (store, _) = server.store_of(&impatient(&server, &proxy)).await;
    proxy.silence();
    assert!(matches!(store.ping().await, Err(Error::Unavailable { .. })));
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_beat_leaves_a_silent_connection_before_its_leases_end() {
    let server = Server::start();
    let proxy = Proxy::start(server.socket());
    let options = impatient(&server, &proxy);
    let held = Store::held_for(&options);
    let (store, _) = Store::connect(options.clone(), Arc::clone(&held)).await.unwrap();
    store.set_generation(Q).await.unwrap();
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    store.lease(Q, 1, "").await.unwrap();
    let (events, told) = sink();
    let heartbeat =
        Heartbeat::start(options.clone(), Arc::clone(&held), events, Rhythm::new(100, 1_000), "{}").unwrap();
    let mut raw = server.raw();
    let mut deadline =
        || raw.zscore::<_, _, f64>(format!("{}:{{{Q}}}:processing-queue", options.prefix), "a:1").unwrap();
    proxy.silence();
    let silenced = deadline();
    eventually("the lease was extended by more than a lease since", || deadline() > silenced + 3_500.0);
    assert!(!told.try_iter().any(|event| matches!(event, Event::Lost { .. })));
    heartbeat.stop();
}

#[tokio::test]
async fn a_primary_that_became_a_replica_is_left_for_the_new_one() {
    let (old, new) = (Server::start(), Server::start());
    let proxy = Proxy::start(old.socket());
    let (store, _) = old.store_of(&impatient(&old, &proxy)).await;
    store.set_generation(Q).await.unwrap();
    proxy.lead_to(new.socket());
    let _: () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).query(&mut old.raw()).unwrap();
    assert!(matches!(store.set_generation(Q).await, Err(Error::Unavailable { .. })));
    store.set_generation(Q).await.unwrap();
}

#[tokio::test]
async fn a_server_that_restarted_meanwhile_costs_no_call() {
    let server = Server::start();
    let (store, _, _) = server.store().await;
    let server = Arc::new(server);
    server.kill();
    server.up();
    // polled from another thread, so that the connection's own task can run meanwhile
    let watched = Arc::clone(&server);
    let reconnected = move || {
        let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut watched.raw()).unwrap();
        clients.lines().count() == 2
    };
    tokio::task::spawn_blocking(move || eventually("the store reconnected by itself", reconnected)).await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn memory_that_ran_out_refuses_new_jobs_and_costs_no_lease() {
    let server = Server::start();
    let (store, _, options) = server.store().await;
    store.set_generation(Q).await.unwrap();
    let jobs: Vec<Descriptor> =
        (0..60).map(|n| Descriptor { payload: vec![b'x'; 20_000], ..job(&format!("j{n:02}"), 3) }).collect();
    store.enqueue(Q, &jobs).await.unwrap();
    let held = Store::held_for(&options);
    let (worker, _) = Store::connect(options.clone(), Arc::clone(&held)).await.unwrap();
    worker.lease(Q, 4, "").await.unwrap();
    let mut raw = server.raw();
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1mb").query(&mut raw).unwrap();
    let (events, told) = sink();
    let heartbeat = Heartbeat::start(options.clone(), Arc::clone(&held), events, Rhythm::new(50, 400), "{}").unwrap();

    let error = store.enqueue(Q, &[job("z", 3)]).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { reason, .. } if reason.contains("OOM")), "{error}");
    assert!(!raw.hexists::<_, _, bool>(format!("{}:{{{Q}}}:jobs", options.prefix), "z").unwrap());
    assert_eq!(worker.lease(Q, 1, "").await.unwrap().leases.len(), 1);
    assert_eq!(worker.acknowledge(Q, &[("j00".into(), 1)]).await.unwrap(), 1);
    worker.bury(Q, &[("j01".into(), 1)]).await.unwrap();
    worker.rescue(Q, 10, 1_000).await.unwrap();
    worker.restore(Q, &[("r".into(), 4)], false, &[] as &[Descriptor]).await.unwrap();
    assert_eq!(worker.duty(Q, 1_000).await.unwrap(), 0);
    worker.cancel_running(Q, "j02", 1, "one").await.unwrap();
    wait_for(&told, |event| matches!(event, Event::Cancel { job_id, .. } if job_id == "j02"));

    let deadline = |raw: &mut redis::Connection| -> f64 {
        raw.zscore(format!("{}:{{{Q}}}:processing-queue", options.prefix), "j03:1").unwrap()
    };
    let before = deadline(&mut raw);
    eventually("leases are extended", || deadline(&mut raw) > before + 600.0);
    assert!(!told.try_iter().any(|event| matches!(event, Event::Lost { .. })));
    heartbeat.stop();
}

#[tokio::test]
async fn a_refused_question_is_no_dead_worker() {
    let server = Server::start();
    let (store, _, options) = server.store().await;
    let _: () = server.raw().lpush(format!("{}:worker:one:heartbeat", options.prefix), "not a beat").unwrap();
    assert!(matches!(store.beats(&["one".into()]).await, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn jobs_that_a_lease_made_ready_and_left_wake_the_idle() {
    let server = Server::start();
    let options = server.options("one");
    let (idle, _) = server.store_of(&options).await;
    let (busy, _) = server.store_of(&Options { worker_id: "two".into(), ..options.clone() }).await;
    idle.set_generation(Q).await.unwrap();
    let (_inbox, told) = listening(&options);
    assert!(idle.lease(Q, 10, "").await.unwrap().exhausted);
    let mut raw = server.raw();
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query(&mut raw).unwrap();
    let due = seconds * 1_000 + micros / 1_000 + 50;
    let jobs: Vec<Descriptor> = (0..3).map(|n| Descriptor { run_at_ms: due, ..job(&format!("j{n}"), 3) }).collect();
    assert_eq!(busy.enqueue(Q, &jobs).await.unwrap().scheduled, 3);
    eventually("they are due", || {
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query(&mut raw).unwrap();
        seconds * 1_000 + micros / 1_000 >= due
    });
    assert_eq!(ids(&busy.lease(Q, 1, "").await.unwrap()), ["j0"]);
    wait_for(&told, |event| matches!(event, Event::Wake { queue } if queue == Q));
}

#[tokio::test]
async fn a_rebuild_wakes_nobody() {
    let server = Server::start();
    let options = server.options("one");
    let (store, _) = server.store_of(&options).await;
    store.set_generation(Q).await.unwrap();
    let (_inbox, told) = listening(&options);
    assert!(store.lease(Q, 10, "").await.unwrap().exhausted);
    assert_eq!(store.rebuild(Q, &[job("a", 3)]).await.unwrap().woken, 0);
    // what is told of first, a moment later, is the push that may be leased
    assert_eq!(store.enqueue(Q, &[job("b", 3)]).await.unwrap().woken, 1);
    wait_for(&told, |event| matches!(event, Event::Wake { .. }));
    assert!(told.recv_timeout(Duration::from_millis(1)).is_err());
}

#[tokio::test]
async fn the_forgotten_are_roused_as_far_as_there_is_work() {
    let server = Server::start();
    let options = server.options("one");
    let (store, _) = server.store_of(&options).await;
    store.set_generation(Q).await.unwrap();
    let (_inbox, told) = listening(&options);
    assert!(store.lease(Q, 10, "").await.unwrap().exhausted);
    let _: () = redis::cmd("FLUSHALL").query(&mut server.raw()).unwrap();
    store.rebuild(Q, &[job("a", 3)]).await.unwrap();
    assert!(matches!(store.rouse(Q, &["one".into()]).await, Err(Error::NoGeneration { .. })));
    store.set_generation(Q).await.unwrap();
    // one job, so one worker; "gone" has no inbox and is passed over
    assert_eq!(store.rouse(Q, &["gone".into(), "one".into()]).await.unwrap(), 1);
    wait_for(&told, |event| matches!(event, Event::Wake { queue } if queue == Q));
    assert_eq!(ids(&store.lease(Q, 1, "").await.unwrap()), ["a"]);
    // nothing is ready: they are entered, and the next push wakes them
    assert_eq!(store.rouse(Q, &["one".into()]).await.unwrap(), 0);
    assert_eq!(store.enqueue(Q, &[job("b", 3)]).await.unwrap().woken, 1);
}
