//! Each promise that is broken on purpose breaks an invariant, by a way that can be read.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};
use tenure_model::{
    action::{Action, Duty, Work},
    invariants as i,
    postgres::Verdict,
    protocol::Protocol,
    search::{explore, shortest},
    setting::{Mode, Mutant, Setting},
};

fn setting(mode: Mode, faults: u8, mutant: Mutant) -> Protocol {
    Protocol { setting: Setting { faults, symmetric: false, ..Setting::new(mode) }.broken(mutant) }
}

/// Stateright finds a counter-example, and confirms that this is one.
fn confirm(protocol: &Protocol, invariant: &'static str, trace: Vec<Action>) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([invariant]));
    protocol.clone().checker().finish_when(found).spawn_bfs().join().assert_discovery(invariant, trace);
}

/// One of the shortest counter-examples.
fn breaks(protocol: &Protocol, invariant: &'static str) -> Vec<Action> {
    let Some(trace) = shortest(protocol, invariant) else { panic!("holds, and must not: {invariant}") };
    confirm(protocol, invariant, trace.clone());
    println!("{:?} breaks {invariant:?} in {} steps: {trace:?}", protocol.setting.mutant, trace.len());
    trace
}

#[test]
fn without_the_fence_a_zombie_settles_what_is_not_its_own() {
    let protocol = setting(Mode::Before, 1, Mutant::NoFence);
    breaks(&protocol, i::I3);
    let zombie = vec![
        Action::Enqueue(0),
        Action::Push(0),
        Action::Work(0, Work::Lease(0)),
        Action::Work(0, Work::Start),
        Action::Work(0, Work::End(Verdict::Completed)),
        Action::Stop(0),
        Action::Keep(0, Duty::TakeBack { job: 0, fence: 1 }),
        Action::Keep(0, Duty::Go), // PostgreSQL says: lost, to be run again
        Action::Keep(0, Duty::Go),
        Action::Keep(0, Duty::Go),
        Action::Work(1, Work::Lease(0)),
        Action::Work(1, Work::Start),
        Action::Continue(0),
        Action::Work(0, Work::Settle),
    ];
    confirm(&protocol, i::I3, zombie);
}

#[test]
fn by_job_id_only_what_ended_is_changed() {
    breaks(&setting(Mode::Before, 1, Mutant::JobIdOnly), i::I2_ONE_END);
}

#[test]
fn unasked_rescue_queues_what_has_ended() {
    breaks(&setting(Mode::Before, 1, Mutant::UnaskedRescue), i::I2_ONE_END);
}

#[test]
fn early_acknowledgement_loses_jobs() {
    breaks(&setting(Mode::Before, 1, Mutant::EarlyAcknowledgement), i::I1);
}

#[test]
fn fences_from_redis_are_used_twice() {
    let protocol = setting(Mode::Before, 1, Mutant::FenceFromRedis);
    breaks(&protocol, i::I6);
    breaks(&protocol, i::I7);
    let forgotten = vec![
        Action::Enqueue(0),
        Action::Push(0),
        Action::Work(0, Work::Lease(0)),
        Action::Work(0, Work::Start),
        Action::Work(0, Work::End(Verdict::Retry)),
        Action::Work(0, Work::Settle),
        Action::Wipe,
        Action::Keep(0, Duty::Rebuild),
        Action::Keep(0, Duty::Go),
        Action::Keep(0, Duty::Go),
        Action::Keep(0, Duty::Go),
        Action::Work(1, Work::Lease(0)),
        Action::Work(1, Work::Start),
    ];
    confirm(&protocol, i::I7, forgotten);
}

#[test]
fn acknowledged_before_the_commit_a_lease_is_taken_from_a_worker_that_is_well() {
    let trace = breaks(&setting(Mode::Before, 0, Mutant::AcknowledgeFirst), i::I13);
    assert!(!trace.iter().any(|one| one.is_fault()), "without any fault: {trace:?}");
}

#[test]
fn spared_fences_let_a_late_owner_write() {
    breaks(&setting(Mode::Behind, 1, Mutant::SparedFence), i::I3);
}

#[test]
fn careless_lookups_take_another_start_for_ones_own() {
    breaks(&setting(Mode::Before, 2, Mutant::CarelessLookup), i::I5_ONE_HOLDER);
}

#[test]
fn careless_lookups_take_another_ending_for_ones_own() {
    breaks(&setting(Mode::Behind, 1, Mutant::CarelessLookup), i::I3_TOLD);
}

#[test]
fn a_lease_given_beside_its_own_rescue_is_taken_from_a_worker_that_is_well() {
    breaks(&setting(Mode::Before, 1, Mutant::LeaseBesideRescue), i::I14);
}

#[test]
fn without_reconciler_a_job_whose_push_was_lost_never_ends() {
    let reach = explore(&setting(Mode::Before, 1, Mutant::NoReconciler));
    println!("NoReconciler breaks I4 in {} of {} states: {:?}", reach.stuck, reach.states, reach.trace);
    assert_eq!(reach.trace, Some(vec![Action::Enqueue(0), Action::ClientDies(0)]));
}

#[test]
fn behind_the_run_two_runs_may_overlap_and_one_is_refused() {
    let protocol = Protocol { setting: Setting { faults: 0, ..Setting::new(Mode::Behind) } };
    protocol.checker().spawn_bfs().join().assert_any_discovery("runs overlap");
    let protocol = Protocol { setting: Setting { faults: 0, ..Setting::new(Mode::Before) } };
    protocol.checker().spawn_bfs().join().assert_no_discovery("runs overlap");
}
