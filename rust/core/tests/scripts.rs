//! Every script against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{Server, ids, job};
use redis::Commands as _;
use tenure_core::{Descriptor, Error, Store};

const Q: &str = "q";
const NO_LANES: &[Descriptor] = &[];

async fn built(server: &Server) -> (Store, String) {
    let (store, _, options) = server.store().await;
    assert!(store.set_generation(Q).await.unwrap());
    (store, format!("{}:{{{Q}}}", options.prefix))
}

#[tokio::test]
async fn strict_priority_then_first_in_first_out() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    let mut jobs = Vec::new();
    for (number, priority) in [(1, 1), (2, 5), (3, 3), (4, 4), (5, 2), (6, 5), (7, 3)] {
        jobs.push(Descriptor { run_at_ms: 1_000 + number, ..job(&format!("j{number}"), priority) });
    }
    // the same instant: the lower id goes first
    jobs.push(Descriptor { run_at_ms: 1_002, ..job("j0", 5) });
    let pushed = store.enqueue(Q, &jobs).await.unwrap();
    assert_eq!((pushed.ready, pushed.scheduled, pushed.skipped), (8, 0, 0));
    let first = store.lease(Q, 3, "").await.unwrap();
    assert_eq!(ids(&first), ["j0", "j2", "j6"]);
    assert!(!first.exhausted);
    let rest = store.lease(Q, 10, "").await.unwrap();
    assert_eq!(ids(&rest), ["j4", "j3", "j7", "j5", "j1"]);
    assert!(rest.exhausted);
    assert_eq!((rest.leases[0].fence, rest.leases[0].attempt), (1, 1));
    assert_eq!(rest.leases[0].job.payload, b"{}\nwith a line");
}

#[tokio::test]
async fn pushing_twice_is_pushing_once() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    assert_eq!(store.lease(Q, 10, "").await.unwrap().leases.len(), 1);
    // while its lease lives, a late push of the same fence is skipped, by either verb
    assert_eq!(store.enqueue(Q, &[job("a", 3)]).await.unwrap().skipped, 1);
    assert_eq!(store.requeue(Q, &[job("a", 3)]).await.unwrap().skipped, 1);
    let depths = store.depths(Q).await.unwrap();
    assert_eq!((depths.medium, depths.processing), (0, 1));
}

#[tokio::test]
async fn without_a_generation_nothing_is_answered_and_nothing_written() {
    let server = Server::start();
    let (store, _, options) = server.store().await;
    let refused = |error| matches!(error, Error::NoGeneration { queue } if queue == Q);
    assert!(refused(store.enqueue(Q, &[job("a", 3)]).await.unwrap_err()));
    assert!(refused(store.lease(Q, 1, "").await.unwrap_err()));
    assert!(refused(store.acknowledge(Q, &[("a".into(), 1)]).await.unwrap_err()));
    assert!(refused(store.rescue(Q, 10, 10).await.unwrap_err()));
    assert!(refused(store.promote(Q, 10).await.unwrap_err()));
    assert!(refused(store.missing(Q, &[("a".into(), 0)]).await.unwrap_err()));
    assert!(refused(store.cancel_queued(Q, &["a".into()]).await.unwrap_err()));
    let keys: Vec<String> = server.raw().keys(format!("{}:*", options.prefix)).unwrap();
    assert!(keys.is_empty(), "{keys:?}");
    // a rebuild may write, and only then is the queue declared built
    store.rebuild(Q, &[job("a", 3)]).await.unwrap();
    assert!(refused(store.lease(Q, 1, "").await.unwrap_err()));
    assert!(store.set_generation(Q).await.unwrap());
    assert!(!store.set_generation(Q).await.unwrap());
    assert_eq!(ids(&store.lease(Q, 1, "").await.unwrap()), ["a"]);
}

#[tokio::test]
async fn requeueing_moves_a_job_and_ends_its_lease() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    store.enqueue(Q, &[job("a", 5)]).await.unwrap();
    store.lease(Q, 1, "").await.unwrap();
    let later = Descriptor { fence: 1, attempts: 1, priority: 2, run_at_ms: i64::MAX / 2048, ..job("a", 2) };
    let pushed = store.requeue(Q, std::slice::from_ref(&later)).await.unwrap();
    assert_eq!((pushed.ready, pushed.scheduled), (0, 1));
    let depths = store.depths(Q).await.unwrap();
    assert_eq!((depths.scheduled, depths.processing, depths.high, depths.medium), (1, 0, 0, 0));
    let now = Descriptor { run_at_ms: 5, ..later };
    store.requeue(Q, &[now]).await.unwrap();
    let lease = store.lease(Q, 1, "").await.unwrap();
    assert_eq!((lease.leases[0].fence, lease.leases[0].attempt), (2, 2));
    assert_eq!(store.depths(Q).await.unwrap().scheduled, 0);
}

#[tokio::test]
async fn acknowledging_forgets_and_burying_remembers() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    store.enqueue(Q, &[job("a", 3), job("b", 3)]).await.unwrap();
    store.lease(Q, 2, "").await.unwrap();
    assert_eq!(store.acknowledge(Q, &[("a".into(), 1)]).await.unwrap(), 1);
    assert_eq!(store.acknowledge(Q, &[("a".into(), 1)]).await.unwrap(), 0);
    assert_eq!(store.bury(Q, &[("b".into(), 1)]).await.unwrap(), 1);
    let depths = store.depths(Q).await.unwrap();
    assert_eq!((depths.jobs, depths.processing, depths.dead), (0, 0, 1));
    assert_eq!(store.forget_dead(Q, &["b".into()]).await.unwrap(), 1);
}

#[tokio::test]
async fn an_expired_lease_is_rescued_once_and_cannot_be_revived() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    store.enqueue(Q, &[job("a", 3), job("b", 3)]).await.unwrap();
    store.lease(Q, 2, "").await.unwrap();
    assert!(store.rescue(Q, 10, 60_000).await.unwrap().is_empty());
    let mut raw = server.raw();
    let _: () = raw.zadd(format!("{keys}:processing-queue"), "a:1", 1).unwrap();
    assert_eq!(store.rescue(Q, 10, 60_000).await.unwrap(), [("a".to_owned(), 1)]);
    // within the grace nobody else is given it, and the owner's beat cannot bring it back
    assert!(store.rescue(Q, 10, 60_000).await.unwrap().is_empty());
    assert_eq!(store.restore(Q, &[("a".into(), 1)], false, NO_LANES).await.unwrap(), 0);
    // past the grace, because its rescuer died, somebody else is
    let _: () = raw.zadd(format!("{keys}:rescue-queue"), "a:1", 1).unwrap();
    assert_eq!(store.rescue(Q, 10, 60_000).await.unwrap().len(), 1);
    // PostgreSQL burnt the fence: back in the queue, out of rescue
    store.requeue(Q, &[Descriptor { fence: 1, ..job("a", 3) }]).await.unwrap();
    let depths = store.depths(Q).await.unwrap();
    assert_eq!((depths.rescue, depths.medium), (0, 1));
    // a late acknowledgement of the old lease leaves the new entry alone
    store.acknowledge(Q, &[("a".into(), 1)]).await.unwrap();
    assert_eq!(store.lease(Q, 1, "").await.unwrap().leases[0].fence, 2);
}

#[tokio::test]
async fn what_is_being_rescued_is_not_leased_again() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    store.lease(Q, 1, "").await.unwrap();
    let mut raw = server.raw();
    let _: () = raw.zadd(format!("{keys}:processing-queue"), "a:1", 1).unwrap();
    assert_eq!(store.rescue(Q, 10, 60_000).await.unwrap().len(), 1);
    // A push that comes late: the rescuer, who is about to burn fence 1, would take the same lease from its new holder.
    store.enqueue(Q, &[job("a", 3), job("b", 3)]).await.unwrap();
    assert_eq!(ids(&store.lease(Q, 2, "").await.unwrap()), ["b"]);
    store.requeue(Q, &[Descriptor { fence: 1, ..job("a", 3) }]).await.unwrap();
    assert_eq!(store.lease(Q, 1, "").await.unwrap().leases[0].fence, 2);
}

#[tokio::test]
async fn due_jobs_are_promoted_and_others_wait() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    let later = Descriptor { run_at_ms: 4_000_000_000_000, ..job("later", 5) };
    store.enqueue(Q, &[later, job("now", 1)]).await.unwrap();
    assert_eq!(store.promote(Q, 10).await.unwrap(), (0, 4_000_000_000_000));
    let mut raw = server.raw();
    let _: () = raw.zadd(format!("{keys}:scheduled-queue"), "later", 1).unwrap();
    // a lease promotes what is due before it looks
    assert_eq!(ids(&store.lease(Q, 2, "").await.unwrap()), ["later", "now"]);
    assert_eq!(store.promote(Q, 10).await.unwrap(), (0, -1));
}

#[tokio::test]
async fn a_job_that_is_called_ready_does_not_wait_for_a_clock_that_is_behind() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    let ahead = |id: &str, run_at_ms| Descriptor { run_at_ms, ready: true, ..job(id, 3) };
    let pushed =
        store.enqueue(Q, &[ahead("second", 4_000_000_000_001), ahead("first", 4_000_000_000_000)]).await.unwrap();
    assert_eq!((pushed.ready, pushed.scheduled), (2, 0));
    assert_eq!(ids(&store.lease(Q, 2, "").await.unwrap()), ["first", "second"]);
}

#[tokio::test]
async fn cancelling_takes_a_job_out_wherever_it_waits() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    let later = Descriptor { run_at_ms: 4_000_000_000_000, ..job("later", 5) };
    store.enqueue(Q, &[later, job("now", 1)]).await.unwrap();
    assert_eq!(store.cancel_queued(Q, &["later".into(), "now".into(), "other".into()]).await.unwrap(), 2);
    assert_eq!(store.depths(Q).await.unwrap().jobs, 0);
    assert!(store.lease(Q, 2, "").await.unwrap().leases.is_empty());
}

#[tokio::test]
async fn what_is_missing_is_told_and_restored() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    store.enqueue(Q, &[job("ready", 3), job("leased", 5)]).await.unwrap();
    store.lease(Q, 1, "").await.unwrap();
    let asked = [("ready".into(), 0), ("leased".into(), 0), ("gone".into(), 3)];
    assert_eq!(store.missing(Q, &asked).await.unwrap(), ["gone"]);
    let mut raw = server.raw();
    let _: () = raw.del(format!("{keys}:processing-queue")).unwrap();
    assert_eq!(store.restore(Q, &[("leased".into(), 1)], false, NO_LANES).await.unwrap(), 1);
    assert_eq!(store.restore(Q, &[("leased".into(), 1)], false, NO_LANES).await.unwrap(), 0);
    assert_eq!(store.depths(Q).await.unwrap().processing, 1);
}

#[tokio::test]
async fn a_key_of_a_wrong_type_fails_before_the_first_write() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    store.enqueue(Q, &[job("a", 5)]).await.unwrap();
    let mut raw = server.raw();
    let _: () = raw.set(format!("{keys}:low-priority-queue"), "somebody else's").unwrap();
    let error = store.lease(Q, 1, "").await.unwrap_err();
    assert!(matches!(&error, Error::Refused { reason, .. } if reason.contains("WRONGTYPE")), "{error}");
    assert!(store.enqueue(Q, &[job("b", 5)]).await.is_err());
    assert_eq!(raw.zcard::<_, u64>(format!("{keys}:high-priority-queue")).unwrap(), 1);
    let _: () = raw.del(format!("{keys}:low-priority-queue")).unwrap();
    assert_eq!(ids(&store.lease(Q, 2, "").await.unwrap()), ["a"]);
}

#[tokio::test]
async fn scripts_that_were_flushed_are_loaded_again() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    for number in 0..3 {
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut server.raw()).unwrap();
        store.enqueue(Q, &[job(&format!("j{number}"), 3)]).await.unwrap();
    }
    assert_eq!(store.lease(Q, 10, "").await.unwrap().leases.len(), 3);
}

#[tokio::test]
async fn an_entry_without_descriptor_is_dropped() {
    let server = Server::start();
    let (store, keys) = built(&server).await;
    store.enqueue(Q, &[job("a", 3), job("b", 3)]).await.unwrap();
    let _: () = server.raw().hdel(format!("{keys}:jobs"), "a").unwrap();
    assert_eq!(ids(&store.lease(Q, 2, "").await.unwrap()), ["b"]);
    assert_eq!(store.missing(Q, &[("a".into(), 0)]).await.unwrap(), ["a"]);
}

#[tokio::test]
async fn one_worker_has_the_duty() {
    let server = Server::start();
    let (store, _, options) = server.store().await;
    let (other, _) = server.store_of(&tenure_core::Options { worker_id: "two".into(), ..options }).await;
    assert_eq!(store.duty(Q, 60_000).await.unwrap(), 0);
    assert!((1..=60_000).contains(&other.duty(Q, 60_000).await.unwrap()));
    assert_eq!(store.duty(Q, 1).await.unwrap(), 0);
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while other.duty(Q, 60_000).await.unwrap() > 0 {
        assert!(std::time::Instant::now() < give_up);
    }
}

#[tokio::test]
async fn the_server_is_known() {
    let server = Server::start();
    let (store, info, _) = server.store().await;
    assert!(["redis", "valkey"].contains(&info.product.as_str()));
    assert_eq!(info.maxmemory_policy, "noeviction");
    assert!(info.loopback && !info.password_set && !info.appendonly);
    assert!(store.ping().await.unwrap() > 0.0);
}

#[tokio::test]
async fn bad_names_are_refused_before_anything_is_sent() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    for queue in ["", "a:b", "a}b", "a\n"] {
        assert!(matches!(store.lease(queue, 1, "").await, Err(Error::Invalid { field: "queue", .. })));
    }
    let odd = Descriptor { priority: 6, ..job("a", 1) };
    assert!(matches!(store.enqueue(Q, &[odd]).await, Err(Error::Invalid { field: "priority", .. })));
}

#[tokio::test]
async fn a_forgotten_queue_leaves_nothing() {
    let server = Server::start();
    let (store, _) = built(&server).await;
    let later = Descriptor { run_at_ms: i64::MAX / 4096, ..job("later", 3) };
    store.enqueue(Q, &[job("a", 5), job("b", 3), job("c", 1), later]).await.unwrap();
    store.lease(Q, 2, "").await.unwrap();
    store.bury(Q, &[("a".into(), 1)]).await.unwrap();
    store.lease(Q, 9, "").await.unwrap();
    store.duty(Q, 60_000).await.unwrap();
    assert!(store.forget_queue(Q).await.unwrap() >= 6);
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut server.raw()).unwrap();
    assert_eq!(keys, Vec::<String>::new());
    assert!(matches!(store.lease(Q, 1, "").await, Err(Error::NoGeneration { .. })));
}

#[tokio::test]
async fn a_paused_queue_leases_nothing_and_has_no_idle_workers() {
    let server = Server::start();
    let (store, _) = server.store_of(&server.options("one")).await;
    assert!(matches!(store.pause(Q, true, false).await, Err(Error::NoGeneration { .. })));
    assert!(store.pause(Q, true, true).await.unwrap(), "declared built, and paused");
    assert!(!store.set_generation(Q).await.unwrap());
    store.enqueue(Q, &[job("a", 3)]).await.unwrap();
    let batch = store.lease(Q, 5, "").await.unwrap();
    assert!(batch.leases.is_empty() && batch.exhausted);
    assert_eq!(store.depths(Q).await.unwrap().idle, 0);
    assert!(!store.pause(Q, true, false).await.unwrap(), "it was before");
    assert!(store.pause(Q, false, false).await.unwrap());
    assert_eq!(store.lease(Q, 5, "").await.unwrap().leases.len(), 1);
    assert_eq!(store.depths(Q).await.unwrap().idle, 1);
    // what is leased goes on, and who waits is not entered any more
    assert!(store.pause(Q, true, false).await.unwrap());
    let depths = store.depths(Q).await.unwrap();
    assert_eq!((depths.idle, depths.processing), (0, 1));
    assert_eq!(store.acknowledge(Q, &[("a".into(), 1)]).await.unwrap(), 1);
}
