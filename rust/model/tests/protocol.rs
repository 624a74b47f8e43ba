//! The protocol keeps every invariant in every state of every setting, and in none is a job stuck.

use std::time::Instant;

use stateright::{Checker, Model};
use tenure_model::{
    protocol::Protocol,
    search::explore,
    setting::{Mode, Setting},
};

/// Explores a setting twice: stateright judges every state, then the graph is asked for what can still end.
fn holds(name: &str, setting: Setting) {
    let began = Instant::now();
    let protocol = Protocol { setting };
    let checker = protocol.clone().checker().spawn_bfs().join();
    for property in protocol.properties().into_iter().filter(|one| one.name.starts_with('I')) {
        checker.assert_no_discovery(property.name);
    }
    checker.assert_any_discovery("a job completes");
    let reach = explore(&protocol);
    assert_eq!(checker.unique_state_count(), reach.states, "both explored the same");
    assert_eq!(reach.cut, 0, "the model has room for every fence");
    assert_eq!(reach.stuck, 0, "stuck after {:?}", reach.trace);
    println!(
        "{:?}, {name}: {} states, {} deep, {:.1} s",
        setting.mode,
        reach.states,
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
}

fn before() -> Setting {
    Setting::new(Mode::Before)
}

fn behind() -> Setting {
    Setting::new(Mode::Behind)
}

#[test]
fn before_two_faults() {
    holds("one job, two workers, a keeper, two faults", before());
}

#[test]
fn before_two_keepers() {
    holds("one job, two workers, two keepers, a fault", Setting { keepers: 2, faults: 1, ..before() });
}

#[test]
fn before_two_jobs() {
    holds("two jobs, two workers, a keeper, a fault", Setting { jobs: 2, faults: 1, max_retries: 0, ..before() });
}

#[test]
fn before_two_slots() {
    holds("one job, a worker with two slots, a keeper, two faults", Setting { worker_of: [0, 0], ..before() });
}

#[test]
fn before_fail_over() {
    holds(
        "one job, two workers, a keeper, a lagging replica, a fault",
        Setting { replica: true, faults: 1, ..before() },
    );
}

#[test]
#[ignore = "minutes, and gigabytes"]
fn before_two_faults_two_keepers() {
    holds("one job, two workers, two keepers, two faults", Setting { keepers: 2, ..before() });
}

#[test]
#[ignore = "minutes, and gigabytes"]
fn before_three_faults() {
    holds("one job, two workers, a keeper, three faults", Setting { faults: 3, ..before() });
}

#[test]
fn behind_two_faults() {
    holds("one job, two workers, a keeper, two faults", behind());
}

#[test]
fn behind_two_keepers() {
    holds("one job, two workers, two keepers, a fault", Setting { keepers: 2, faults: 1, ..behind() });
}

#[test]
fn behind_two_jobs() {
    holds("two jobs, two workers, a keeper, a fault", Setting { jobs: 2, faults: 1, max_retries: 0, ..behind() });
}

#[test]
fn behind_two_slots() {
    holds("one job, a worker with two slots, a keeper, a fault", Setting { worker_of: [0, 0], faults: 1, ..behind() });
}

#[test]
fn behind_fail_over() {
    let setting = Setting { replica: true, faults: 1, max_retries: 0, ..behind() };
    holds("one job, two workers, a keeper, a lagging replica, a fault", setting);
}
