//! One state for all that differ in nothing that can matter any more. Each rule says why it forgets nothing; what it forgets
//! of a mutant's states is noticed as something else first (a write under another fence than the job's is a breach by itself).

use crate::{
    postgres::{Execution, Verb},
    setting::{JOBS, Setting},
    state::State,
};

/// Brings a state into its canonical form.
pub fn reduce(state: &mut State, setting: &Setting) {
    if let Some(statement) = state.adrift
        && setting.mutant.is_none()
        && state.rows[usize::from(statement.job)].refuses(statement)
    {
        state.adrift = None;
    }
    for job in 0..JOBS {
        forget_past(state, job);
        let entry = &mut state.redis.entries[job];
        if !entry.ready {
            // Nobody reads a descriptor without entry: a push brings its own.
            entry.descriptor = None;
        }
    }
    if setting.symmetric {
        // Workers are alike, so are the slots of one, and so are keepers.
        if key(state, 0) > key(state, 1) {
            swap_workers(state);
        }
        state.keepers[..setting.keepers].sort_unstable();
    }
}

/// Attempts under earlier fences that nobody has in mind: no statement can reach them.
fn forget_past(state: &mut State, job: usize) {
    let fences = state.slots.iter().flatten().map(|one| (one.job, one.fence));
    let adrift = state.adrift.map(|one| (one.job, one.fence));
    let mut known = 0_u8;
    for (of, fence) in fences.chain(adrift) {
        if usize::from(of) == job {
            known |= 1 << fence;
        }
    }
    let row = &mut state.rows[job];
    let current = 1 << row.fence;
    for (fence, execution) in row.executions.iter_mut().enumerate() {
        if (known | current) >> fence & 1 == 0 {
            *execution = Execution::Absent;
        }
    }
    row.settled &= current;
    row.taken_back &= current | current << 1;
    if known & current == 0 {
        row.owner = None;
    }
}

fn key(state: &State, slot: usize) -> impl Ord {
    (state.slots[slot], state.stopped[slot])
}

fn swap_workers(state: &mut State) {
    state.slots.swap(0, 1);
    state.stopped.swap(0, 1);
    let other = |owner: &mut Option<u8>| *owner = owner.map(|one| 1 - one);
    for row in &mut state.rows {
        other(&mut row.owner);
    }
    if let Some(statement) = &mut state.adrift
        && let Verb::Start(owner) | Verb::Record(owner) = &mut statement.verb
    {
        other(owner);
    }
}
