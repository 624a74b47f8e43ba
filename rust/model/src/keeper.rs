//! Keepers (`_maintenance.py`, `_rescue.py`, `_reconcile.py`, `_rebuild.py`): whoever has a queue's duty, or believes so.

use crate::{
    action::{Action, Duty, Fate},
    postgres::{Statement, Status, Verb},
    redis::has,
    setting::{FENCES, JOBS, Mutant, Setting},
    state::{Hold, Seen, State, Step, Task},
    worker::{FATES, send_unheard},
};

/// What keepers can do.
pub fn actions(state: &State, setting: &Setting, actions: &mut Vec<Action>) {
    for (keeper, task) in (0..).zip(&state.keepers[..setting.keepers]) {
        let mut can = |duty| actions.push(Action::Keep(keeper, duty));
        match task {
            Task::Idle => idle(state, setting, &mut can),
            Task::Deciding { .. } => {
                can(Duty::Go);
                can(Duty::Die);
                if state.faults > 0 {
                    FATES.map(Duty::GoUnheard).into_iter().for_each(can);
                }
            }
            _ => {
                can(Duty::Go);
                can(Duty::Die);
            }
        }
    }
}

fn idle(state: &State, setting: &Setting, can: &mut impl FnMut(Duty)) {
    if !state.redis.built {
        can(Duty::Rebuild);
        return;
    }
    for (job, entry) in (0..).zip(&state.redis.entries[..setting.jobs]) {
        #[allow(clippy::cast_possible_truncation)] // it is 8
        for fence in 0..FENCES as u8 {
            let expired = has(entry.leases, fence) && !state.extended(job, fence, setting);
            if expired || has(entry.rescued, fence) {
                can(Duty::TakeBack { job, fence });
            }
        }
        if setting.is(Mutant::NoReconciler) {
            continue;
        }
        match Seen::of(&state.rows[usize::from(job)]) {
            Seen::Waiting(fence) if state.redis.misses(usize::from(job), fence) => can(Duty::Reconcile(job)),
            Seen::Processing(fence) if !has(entry.leases | entry.rescued, fence) => can(Duty::Reconcile(job)),
            Seen::Nothing => {}
            _ => can(Duty::ReconcileLate(job)),
        }
    }
}

/// A keeper does something.
pub fn keep(state: &mut State, setting: &Setting, keeper: u8, duty: Duty) {
    let at = usize::from(keeper);
    state.keepers[at] = match duty {
        Duty::TakeBack { job, fence } => take_back(state, job, fence),
        Duty::Go => go(state, setting, state.keepers[at]),
        Duty::GoUnheard(fate) => unheard(state, setting, state.keepers[at], fate),
        Duty::Die => Task::Idle,
        Duty::Reconcile(job) | Duty::ReconcileLate(job) => match Seen::of(&state.rows[usize::from(job)]) {
            Seen::Waiting(fence) => Task::Pushing { job, fence },
            Seen::Processing(fence) => Task::Restoring { job, fence },
            Seen::Nothing => Task::Idle,
        },
        Duty::Rebuild => {
            let mut seen = [Seen::Nothing; JOBS];
            for (seen, row) in seen.iter_mut().zip(&state.rows) {
                *seen = Seen::of(row);
            }
            Task::Building { seen, step: Step::Push }
        }
    };
}

fn take_back(state: &mut State, job: u8, fence: u8) -> Task {
    if has(state.redis.entries[usize::from(job)].leases, fence) {
        for attempt in state.slots.iter_mut().flatten() {
            if (attempt.job, attempt.fence, attempt.hold) == (job, fence, Hold::Held) {
                attempt.hold = Hold::Lost;
            }
        }
    }
    state.redis.rescue(usize::from(job), fence);
    Task::Deciding { job, fence, unsure: false }
}

fn go(state: &mut State, setting: &Setting, task: Task) -> Task {
    match task {
        Task::Idle => Task::Idle,
        Task::Deciding { job, fence, unsure } => decide(state, setting, job, fence, unsure),
        Task::Forgetting { job, fence, push } => {
            state.redis.acknowledge(usize::from(job), fence);
            if push { Task::Loading { job } } else { Task::Idle }
        }
        Task::Loading { job } => match Seen::of(&state.rows[usize::from(job)]) {
            Seen::Waiting(fence) => Task::Pushing { job, fence },
            _ => Task::Idle,
        },
        Task::Pushing { job, fence } => {
            state.redis.push(usize::from(job), fence, true, false);
            Task::Idle
        }
        Task::Restoring { job, fence } => {
            state.redis.restore(usize::from(job), fence, false);
            Task::Idle
        }
        Task::Building { seen, step } => build(state, seen, step),
    }
}

fn decide(state: &mut State, setting: &Setting, job: u8, fence: u8, unsure: bool) -> Task {
    let statement = Statement { job, fence, verb: Verb::Rescue };
    match state.rows[usize::from(job)].apply(statement, setting) {
        // What a try has committed whose answer was lost is not returned by the next one: whatever waits is pushed.
        None => Task::Forgetting { job, fence, push: unsure },
        Some(Status::Waiting) => Task::Loading { job },
        Some(_) => Task::Forgetting { job, fence, push: false },
    }
}

fn unheard(state: &mut State, setting: &Setting, task: Task, fate: Fate) -> Task {
    let Task::Deciding { job, fence, .. } = task else { unreachable!() };
    send_unheard(state, setting, Statement { job, fence, verb: Verb::Rescue }, fate);
    Task::Deciding { job, fence, unsure: true }
}

/// Jobs first, leases second, the generation last: until then every script answers `NO_GENERATION`.
fn build(state: &mut State, seen: [Seen; JOBS], step: Step) -> Task {
    match step {
        Step::Push => {
            for (job, seen) in seen.iter().enumerate() {
                if let Seen::Waiting(fence) = seen {
                    state.redis.push(job, *fence, true, true);
                }
            }
            Task::Building { seen, step: Step::Restore }
        }
        Step::Restore => {
            for (job, seen) in seen.iter().enumerate() {
                if let Seen::Processing(fence) = seen {
                    state.redis.restore(job, *fence, true);
                }
            }
            Task::Building { seen: [Seen::Nothing; JOBS], step: Step::Declare }
        }
        Step::Declare => {
            state.redis.built = true;
            Task::Idle
        }
    }
}
