//! What must hold in every state, by the names that `tenure check` uses (`docs/check.md`).

use stateright::Property;

use crate::{
    postgres::{Execution, Row, Status},
    protocol::Protocol,
    redis::has,
    setting::{Mode, SLOTS},
    state::{Attempt, Client, Hold, Phase, Start, State},
};

/// What a statement may never do.
#[derive(Clone, Copy, Debug)]
pub enum Breach {
    /// Change a job that has ended.
    EndChanged,
    /// End an attempt that was ended.
    SecondEnd,
    /// Write for a lease that is not the job's any more.
    StaleWrite,
    /// Lower a fence, or raise it by more than one.
    FenceJumped,
    /// Insert a second row for a fence, which the table refuses.
    SecondRow,
}

impl Breach {
    /// Its place in a row's witness.
    #[must_use]
    pub fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// I1: a job whose enqueue was answered is there.
pub const I1: &str = "I1 every acknowledged job is in PostgreSQL";
/// I2: what ended does not change.
pub const I2_ONE_END: &str = "I2 a job that ended does not change";
/// I2: at most one effective settlement per fence.
pub const I2_ONE_SETTLEMENT: &str = "I2 an attempt is settled at most once";
/// I3: a stale fence changes nothing.
pub const I3: &str = "I3 only the holder of the current fence changes anything";
/// I3: whoever is told that its ending counts has written it.
pub const I3_TOLD: &str = "I3 whoever is told that its ending counts has written it";
/// I5: at most one valid lease.
pub const I5: &str = "I5 no lease is valid beside that of a running attempt";
/// I5: at most one holder who knows that it is recorded.
pub const I5_ONE_HOLDER: &str = "I5 at most one slot has the recorded lease of a job";
/// I6: fences rise.
pub const I6: &str = "I6 a fence rises by one at a time";
/// I7: one row a fence.
pub const I7: &str = "I7 one audit row for each fence, and nobody tries to write a second";
/// I7: rows are attempts.
pub const I7_COUNTED: &str = "I7 as many attempts as were counted, open only while it runs";
/// I9: the dead are those out of attempts.
pub const I9: &str = "I9 a job fails only when its attempts ran out";
/// I13: no lease is lost whose worker was well.
pub const I13: &str = "I13 no ending is refused whose worker was well";
/// I14: runs overlap only where a lease was lost.
pub const I14: &str = "I14 runs overlap only if a lease was lost";

/// All of them.
#[must_use]
pub fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(I1, |protocol: &Protocol, state| acknowledged(state, protocol.setting.jobs)),
        Property::always(I2_ONE_END, |_, state| never(state, Breach::EndChanged)),
        Property::always(I2_ONE_SETTLEMENT, |_, state| never(state, Breach::SecondEnd)),
        Property::always(I3, |_, state| never(state, Breach::StaleWrite)),
        Property::always(I3_TOLD, |_, state: &State| !state.misled),
        Property::always(I5, |_, state| rows_and_leases(state)),
        Property::always(I5_ONE_HOLDER, |_, state| one_holder(state)),
        Property::always(I6, |_, state| never(state, Breach::FenceJumped)),
        Property::always(I7, |_, state| never(state, Breach::SecondRow)),
        Property::always(I7_COUNTED, |_, state: &State| state.rows.iter().all(counted)),
        Property::always(I9, |protocol: &Protocol, state: &State| {
            let most = protocol.setting.max_retries + 1;
            state.rows.iter().all(|row| row.attempts <= most && (row.status != Status::Failed || row.attempts == most))
        }),
        Property::always(I13, |protocol: &Protocol, state: &State| excused(protocol, state) || !state.robbed),
        Property::always(I14, |protocol: &Protocol, state: &State| excused(protocol, state) || !overlap(state)),
        Property::sometimes("a job completes", |_, state: &State| {
            state.rows.iter().any(|row| row.status == Status::Completed)
        }),
        Property::sometimes("a job fails", |_, state: &State| {
            state.rows.iter().any(|row| row.status == Status::Failed)
        }),
        Property::sometimes("runs overlap", |_, state| together(state)),
    ]
}

fn never(state: &State, breach: Breach) -> bool {
    state.rows.iter().all(|row| row.breaches & breach.bit() == 0)
}

fn acknowledged(state: &State, jobs: usize) -> bool {
    let there = |(client, row): (&Client, &Row)| *client == Client::Ready || row.status != Status::Absent;
    state.clients.iter().zip(&state.rows).take(jobs).all(there)
}

fn rows_and_leases(state: &State) -> bool {
    state.rows.iter().zip(&state.redis.entries).all(|(row, entry)| {
        let own = has(entry.leases, row.fence);
        row.status != Status::Processing || !own || entry.leases >> (row.fence + 1) == 0
    })
}

fn one_holder(state: &State) -> bool {
    (0..).zip(&state.rows).all(|(job, row)| {
        let holds = |one: &&Attempt| {
            let recorded = matches!(one.phase, Phase::Running(Start::Recorded) | Phase::Ending { recorded: true, .. });
            recorded && (one.job, one.fence) == (job, row.fence)
        };
        state.slots.iter().flatten().filter(holds).count() <= 1
    })
}

fn counted(row: &Row) -> bool {
    let open = (0..).zip(&row.executions).filter(|(_, one)| **one == Execution::Open);
    let running = row.status == Status::Processing;
    row.burnt == row.attempts && open.eq(running.then_some((row.fence, &Execution::Open)))
}

/// Where starts are recorded behind, a lease that Redis forgot and a rebuild gave again may run twice, and so may a stale one. And a
/// lease given again while its first one is being rescued goes down with it: only a loss of Redis makes that possible.
fn excused(protocol: &Protocol, state: &State) -> bool {
    protocol.setting.mode == Mode::Behind || state.blurred
}

fn runs(state: &State) -> [Option<&Attempt>; SLOTS] {
    state.slots.each_ref().map(|slot| slot.as_ref().filter(|one| matches!(one.phase, Phase::Running(_))))
}

fn together(state: &State) -> bool {
    matches!(runs(state), [Some(one), Some(other)] if one.job == other.job)
}

fn overlap(state: &State) -> bool {
    together(state) && state.slots.iter().flatten().all(|one| one.hold != Hold::Lost)
}
