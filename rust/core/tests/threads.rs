//! The heartbeat thread and the inbox, against a real server that dies and comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Server, eventually, job, listening, sink, wait_for};
use redis::Commands as _;
use tenure_core::{Event, Heartbeat, Options, Store};

const Q: &str = "q";

#[tokio::test]
async fn leases_are_extended_for_as_long_as_the_thread_beats() {
    let server = Server::start();
    let options = server.options("one");
    let held = Store::held_for(&options);
    let (store, _) = Store::connect(options.clone(), Arc::clone(&held)).await.unwrap();
    store.set_generation(Q).await.unwrap();
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    let (events, told) = sink();
    let heartbeat = Heartbeat::start(options.clone(), Arc::clone(&held), events, 50, 500).unwrap();
    store.lease(Q, 1).await.unwrap();
    let deadline = |raw: &mut redis::Connection| -> Option<f64> {
        raw.zscore(format!("{}:{{{Q}}}:processing-queue", options.prefix), "a:1").unwrap()
    };
    let mut raw = server.raw();
    let first = deadline(&mut raw).unwrap();
    eventually("the deadline moved by a whole lease", || deadline(&mut raw).unwrap() > first + 600.0);
    assert_eq!(store.beats(&["one".into(), "two".into()]).await.unwrap().len(), 1);
    // taken back by somebody: told once, and tracked no longer
    let _: () = raw.zrem(format!("{}:{{{Q}}}:processing-queue", options.prefix), "a:1").unwrap();
    wait_for(&told, |event| matches!(event, Event::Lost { job_id, fence: 1, .. } if job_id == "a"));
    assert!(held.is_empty());
    heartbeat.stop();
    heartbeat.stop();
    assert!(store.beats(&["one".into()]).await.unwrap().is_empty());
}

#[tokio::test]
async fn trust_ends_by_itself_when_the_server_is_gone() {
    let server = Server::start();
    let options = server.options("one");
    let held = Store::held_for(&options);
    let (store, _) = Store::connect(options.clone(), Arc::clone(&held)).await.unwrap();
    store.set_generation(Q).await.unwrap();
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    let (events, told) = sink();
    let heartbeat = Heartbeat::start(options, Arc::clone(&held), events, 50, 500).unwrap();
    store.lease(Q, 1).await.unwrap();
    server.kill();
    wait_for(&told, |event| matches!(event, Event::Lost { .. }));
    heartbeat.stop();
}

#[tokio::test]
async fn a_lease_outlives_a_loss_of_the_queue_until_its_trust_ends() {
    let server = Server::start();
    let options = server.options("one");
    let held = Store::held_for(&options);
    let (store, _) = Store::connect(options.clone(), Arc::clone(&held)).await.unwrap();
    store.set_generation(Q).await.unwrap();
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    let (events, told) = sink();
    let heartbeat = Heartbeat::start(options, Arc::clone(&held), events, 50, 500).unwrap();
    store.lease(Q, 1).await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query(&mut server.raw()).unwrap();
    wait_for(&told, |event| matches!(event, Event::NoGeneration { queue } if queue == Q));
    assert_eq!(held.len(), 1);
    store.restore(Q, &[("a".into(), 1)], true).await.unwrap();
    store.set_generation(Q).await.unwrap();
    heartbeat.stop();
    assert_eq!(held.len(), 1);
}

#[tokio::test]
async fn a_cancellation_comes_by_the_beat_where_the_inbox_is_deaf() {
    let server = Server::start();
    let options = server.options("one");
    let held = Store::held_for(&options);
    let (store, _) = Store::connect(options.clone(), Arc::clone(&held)).await.unwrap();
    store.set_generation(Q).await.unwrap();
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    let (events, told) = sink();
    let heartbeat = Heartbeat::start(options, held, events, 50, 500).unwrap();
    store.lease(Q, 1).await.unwrap();
    assert_eq!(store.cancel_running(Q, "a", 1, "one").await.unwrap(), 0);
    wait_for(&told, |event| matches!(event, Event::Cancel { job_id, fence: 1, .. } if job_id == "a"));
    heartbeat.stop();
}

#[tokio::test]
async fn a_loop_that_stands_still_is_wedged() {
    let server = Server::start();
    let options = server.options("one");
    let heartbeat = Heartbeat::start(options.clone(), Store::held_for(&options), sink().0, 20, 500).unwrap();
    heartbeat.tick(1, 2);
    assert!(!heartbeat.wedged());
    eventually("wedged", || heartbeat.wedged());
    heartbeat.tick(1, 2);
    assert!(!heartbeat.wedged());
    heartbeat.stop();
}

#[tokio::test]
async fn an_enqueue_wakes_at_most_as_many_workers_as_it_brought_jobs() {
    let server = Server::start();
    let options = server.options("one");
    let (store, _) = server.store_of(&options).await;
    store.set_generation(Q).await.unwrap();
    let other_options = Options { worker_id: "two".into(), ..options.clone() };
    let (other, _) = server.store_of(&other_options).await;
    // one hears, the other is dead: it is idle by its last word, but nobody listens
    let (_inbox, told) = listening(&options);
    assert!(store.lease(Q, 2).await.unwrap().exhausted);
    other.lease(Q, 50).await.unwrap();
    assert_eq!(store.depths(Q).await.unwrap().idle, 2);
    let pushed = store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    assert_eq!(pushed.woken, 1);
    wait_for(&told, |event| matches!(event, Event::Wake { queue } if queue == Q));
    // nobody is idle any more: nobody is woken
    assert_eq!(store.enqueue(Q, &[job("b", 3), job("c", 3)]).await.unwrap().woken, 0);
    // its slots are full: it is not entered as idle
    assert!(!store.lease(Q, 3).await.unwrap().exhausted);
    assert_eq!(store.depths(Q).await.unwrap().idle, 0);
}

#[tokio::test]
async fn the_inbox_comes_back_with_its_server_and_hears_of_ends() {
    let server = Server::start();
    let options = server.options("one");
    let (inbox, told) = listening(&options);
    inbox.watch(Q, "a");
    wait_for(&told, |event| *event == Event::Reconnected);
    server.kill();
    wait_for(&told, |event| *event == Event::RedisDown);
    server.up();
    wait_for(&told, |event| *event == Event::Reconnected);
    let (store, _) = server.store_of(&options).await;
    store.set_generation(Q).await.unwrap();
    store.acknowledge(Q, &[("b".into(), 1), ("a".into(), 1)]).await.unwrap();
    // only the job that somebody waits for is told of
    let event = wait_for(&told, |event| matches!(event, Event::Settled { .. }));
    assert_eq!(event, Event::Settled { queue: Q.into(), job_id: "a".into() });
}
