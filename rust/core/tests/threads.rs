//! The heartbeat thread and the inbox, against a real server that dies and comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{Server, eventually, job, listening, sink, wait_for};
use redis::Commands as _;
use tenure_core::{Event, Heartbeat, Options, Rhythm, Store};

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
    let heartbeat = Heartbeat::start(options.clone(), Arc::clone(&held), events, Rhythm::new(50, 500), "{}").unwrap();
    store.lease(Q, 1, "").await.unwrap();
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
    let heartbeat = Heartbeat::start(options, Arc::clone(&held), events, Rhythm::new(50, 500), "{}").unwrap();
    store.lease(Q, 1, "").await.unwrap();
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
    let heartbeat = Heartbeat::start(options, Arc::clone(&held), events, Rhythm::new(50, 500), "{}").unwrap();
    store.lease(Q, 1, "").await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query(&mut server.raw()).unwrap();
    wait_for(&told, |event| matches!(event, Event::NoGeneration { queue } if queue == Q));
    assert_eq!(held.len(), 1);
    store.restore(Q, &[("a".into(), 1)], true, &[] as &[tenure_core::Descriptor]).await.unwrap();
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
    let heartbeat = Heartbeat::start(options, held, events, Rhythm::new(50, 500), "{}").unwrap();
    store.lease(Q, 1, "").await.unwrap();
    assert_eq!(store.cancel_running(Q, "a", 1, "one").await.unwrap(), 0);
    wait_for(&told, |event| matches!(event, Event::Cancel { job_id, fence: 1, .. } if job_id == "a"));
    heartbeat.stop();
}

#[tokio::test]
async fn a_loop_that_stands_still_is_wedged() {
    let server = Server::start();
    let options = server.options("one");
    let heartbeat =
        Heartbeat::start(options.clone(), Store::held_for(&options), sink().0, Rhythm::new(20, 500), "{}").unwrap();
    heartbeat.tick(1, 2, 0, 0);
    assert!(!heartbeat.wedged());
    eventually("wedged", || heartbeat.wedged());
    heartbeat.tick(1, 2, 0, 0);
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
    assert!(store.lease(Q, 2, "").await.unwrap().exhausted);
    other.lease(Q, 50, "").await.unwrap();
    assert_eq!(store.depths(Q).await.unwrap().idle, 2);
    let pushed = store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    assert_eq!(pushed.woken, 1);
    wait_for(&told, |event| matches!(event, Event::Wake { queue } if queue == Q));
    // nobody is idle any more: nobody is woken
    assert_eq!(store.enqueue(Q, &[job("b", 3), job("c", 3)]).await.unwrap().woken, 0);
    // its slots are full: it is not entered as idle
    assert!(!store.lease(Q, 3, "").await.unwrap().exhausted);
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

#[tokio::test]
async fn the_workers_of_a_process_share_a_beat_and_each_hears_of_its_own() {
    let server = Server::start();
    let common = server.options("one");
    let mut raw = server.raw();
    let connections = |raw: &mut redis::Connection| -> usize {
        let list: String = redis::cmd("CLIENT").arg("LIST").query(raw).unwrap();
        list.lines().count()
    };
    let mut workers = Vec::new();
    for name in ["one", "two", "three"] {
        let options = Options { worker_id: name.into(), ..common.clone() };
        let held = Store::held_for(&options);
        let (store, _) = Store::connect(options.clone(), Arc::clone(&held)).await.unwrap();
        let (events, told) = sink();
        workers.push((options, held, events, store, told));
    }
    let store = &workers[0].3;
    store.set_generation(Q).await.unwrap();
    store.enqueue(Q, &[job("a", 3), job("b", 3)]).await.unwrap();
    let before = connections(&mut raw);
    let rhythm = Rhythm { history: 5, ..Rhythm::new(30, 500) };
    let beating: Vec<Heartbeat> = workers
        .iter()
        .map(|(options, held, events, ..)| {
            let profile = format!(r#"{{"name":"{}"}}"#, options.worker_id);
            Heartbeat::start(options.clone(), Arc::clone(held), Arc::clone(events), rhythm, &profile).unwrap()
        })
        .collect();
    workers[0].3.lease(Q, 1, "").await.unwrap();
    workers[1].3.lease(Q, 1, "").await.unwrap();

    let names: Vec<String> = ["one", "two", "three", "four"].map(Into::into).into();
    let length =
        |raw: &mut redis::Connection| -> usize { raw.llen(format!("{}:worker:two:samples", common.prefix)).unwrap() };
    eventually("everybody has beaten often enough for a series to be cut", || length(&mut raw) > 18);
    eventually("it is cut", || length(&mut raw) <= 6);
    assert_eq!(connections(&mut raw), before + 1);
    let samples = store.beats(&names).await.unwrap();
    assert_eq!(samples.len(), 3);
    let sample = String::from_utf8(samples["two"].clone()).unwrap();
    assert!(sample.contains(r#""held":1"#) && sample.ends_with(r#","name":"two"}"#), "{sample}");
    let mut roster = store.roster().await.unwrap();
    roster.sort();
    assert_eq!(roster.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["one", "three", "two"]);
    assert!(roster.iter().all(|(_, age_ms)| *age_ms < 400), "{roster:?}");
    let (now_ms, heard) = store.heard().await.unwrap();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|(_, heard_ms)| (0..400).contains(&(now_ms - heard_ms))), "{now_ms} {heard:?}");
    assert!(beating[0].silence() < Duration::from_millis(400), "{:?}", beating[0].silence());
    let series = store.series(&names).await.unwrap();
    assert!(series["one"].len() > 2 && series["four"].is_empty());
    assert!(series["one"].iter().all(|line| line.starts_with('[') && line.ends_with(']')));

    // two leases in one call, one of which is gone: its owner is told, the other goes on
    let member = if workers[0].1.by_queue()[Q][0].starts_with('a') { "a:1" } else { "b:1" };
    let _: () = raw.zrem(format!("{}:{{{Q}}}:processing-queue", common.prefix), member).unwrap();
    wait_for(&workers[0].4, |event| matches!(event, Event::Lost { .. }));
    assert!(workers[0].1.is_empty());
    assert_eq!(workers[1].1.len(), 1);

    beating[0].stop();
    assert_eq!(store.beats(&names).await.unwrap().len(), 2);
    assert_eq!(store.roster().await.unwrap().len(), 2);
    let deadline = |raw: &mut redis::Connection| -> f64 {
        let other = if member == "a:1" { "b:1" } else { "a:1" };
        raw.zscore(format!("{}:{{{Q}}}:processing-queue", common.prefix), other).unwrap()
    };
    let first = deadline(&mut raw);
    eventually("the other's lease lives on", || deadline(&mut raw) > first);
    beating[1].stop();
    beating[2].stop();
    assert!(store.roster().await.unwrap().is_empty());
    eventually("nobody beats: the connection is closed", || connections(&mut raw) == before);
    // and the next one begins anew
    let (options, held, events, ..) = &workers[2];
    let again = Heartbeat::start(options.clone(), Arc::clone(held), Arc::clone(events), rhythm, "{}").unwrap();
    let beats = async || store.beats(&names).await.unwrap().len();
    while beats().await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    again.stop();
}

#[tokio::test]
async fn who_is_passed_over_is_woken_when_it_asks_again() {
    let server = Server::start();
    let options = server.options("one");
    let (store, _) = Store::connect(options.clone(), Store::held_for(&options)).await.unwrap();
    store.set_generation(Q).await.unwrap();
    store.lease(Q, 1, "").await.unwrap();
    let idle = async || store.depths(Q).await.unwrap().idle;
    assert_eq!(idle().await, 1);
    assert_eq!(store.pass_over(Q, &["two".into()]).await.unwrap(), 0);
    assert_eq!(store.pass_over(Q, &["one".into(), "two".into()]).await.unwrap(), 1);
    assert_eq!(idle().await, 0);
    store.lease(Q, 1, "").await.unwrap();
    assert_eq!(idle().await, 1);
}

#[tokio::test]
async fn one_leads_until_it_resigns_or_its_time_is_over() {
    let server = Server::start();
    let (one, _, options) = server.store().await;
    let (two, _) = server.store_of(&Options { worker_id: "two".into(), ..options.clone() }).await;
    assert_eq!(one.lead("x", 60_000).await.unwrap(), 0);
    assert_eq!(one.lead("x", 60_000).await.unwrap(), 0);
    assert!(two.lead("x", 60_000).await.unwrap() > 50_000);
    assert_eq!(two.lead("y", 60_000).await.unwrap(), 0);
    assert!(!two.resign("x").await.unwrap());
    assert!(one.resign("x").await.unwrap());
    assert_eq!(two.lead("x", 20).await.unwrap(), 0);
    while one.lead("x", 60_000).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(two.lead("x y", 20).await.is_err());
}

#[tokio::test]
async fn a_question_reaches_the_channel_of_control_alone_and_its_answer_who_asked() {
    let server = Server::start();
    let options = server.options("operator");
    let steered = Options { worker_id: "worker".into(), ..options.clone() };
    let (operator, _) = server.store_of(&options).await;
    let (worker, _) = server.store_of(&steered).await;
    let (inbox, heard) = listening(&steered);
    let (_asking, answered) = listening(&options);
    assert_eq!(operator.ask("worker", "1 quiet").await.unwrap(), 0);
    inbox.obey();
    wait_for(&heard, |event| *event == Event::Reconnected);
    assert_eq!(operator.ask("worker", "2 concurrency 20").await.unwrap(), 1);
    wait_for(&heard, |event| *event == Event::Control { text: "operator 2 concurrency 20".into() });
    // what comes by the inbox steers nothing
    let inbox_channel = format!("{}:worker:worker:inbox", options.prefix);
    let _: () = redis::cmd("PUBLISH").arg(inbox_channel).arg("operator 3 stop").query(&mut server.raw()).unwrap();
    assert_eq!(worker.answer("operator", "2 {}").await.unwrap(), 1);
    wait_for(&answered, |event| *event == Event::Answer { text: "2 {}".into() });
    assert!(!heard.try_iter().any(|event| matches!(event, Event::Control { .. })));
}

#[tokio::test]
async fn a_wake_up_is_passed_on_to_who_is_idle_as_well() {
    let server = Server::start();
    let options = server.options("quiet");
    let idle = Options { worker_id: "other".into(), ..options.clone() };
    let (store, _) = server.store_of(&options).await;
    let (other, _) = server.store_of(&idle).await;
    store.set_generation(Q).await.unwrap();
    assert_eq!(other.lease(Q, 1, "").await.unwrap().leases.len(), 0);
    let (_inbox, told) = listening(&idle);
    assert_eq!(store.rouse(Q, &[]).await.unwrap(), 0, "nothing is ready");
    let mut raw = server.raw();
    let ready = format!("{}:{{{Q}}}:low-priority-queue", options.prefix);
    let _: () = redis::cmd("ZADD").arg(ready).arg(1).arg("a").query(&mut raw).unwrap();
    assert_eq!(store.rouse(Q, &[]).await.unwrap(), 1);
    wait_for(&told, |event| *event == Event::Wake { queue: Q.into() });
}
