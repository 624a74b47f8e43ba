//! What strikes processes and Redis.

use crate::{
    action::Action,
    postgres::Verb,
    redis::Redis,
    setting::{Mode, Setting},
    state::{Client, State, Task},
};

/// What can strike, and what undoes it.
pub fn actions(state: &State, setting: &Setting, actions: &mut Vec<Action>) {
    let second = setting.worker_of[1];
    for worker in 0..=second {
        let busy = state.slots.iter().zip(setting.worker_of).any(|(slot, of)| of == worker && slot.is_some());
        if state.stopped[usize::from(worker)] {
            actions.push(Action::Continue(worker));
        } else if busy && !state.stopped.contains(&true) && second > 0 {
            // Somebody must be left to do the work.
            actions.push(Action::Stop(worker));
        }
        if busy {
            actions.push(Action::Kill(worker));
        }
    }
    if state.adrift.is_some() {
        actions.push(Action::Land);
    }
    actions.push(Action::Wipe);
    if state.replica.is_some_and(|replica| replica != state.redis) {
        actions.extend([Action::Replicate, Action::FailOver]);
    }
}

/// It strikes.
pub fn strike(state: &mut State, setting: &Setting, action: Action) {
    match action {
        Action::ClientDies(job) => state.clients[usize::from(job)] = Client::Done,
        Action::Kill(worker) => kill(state, setting, worker),
        Action::Stop(worker) => state.stopped[usize::from(worker)] = true,
        Action::Continue(worker) => state.stopped[usize::from(worker)] = false,
        Action::Land => {
            if let Some(statement) = state.adrift.take() {
                state.rows[usize::from(statement.job)].apply(statement, setting);
            }
        }
        Action::Wipe => lose(state, setting, Redis::empty(false)),
        Action::Replicate => state.replica = Some(state.redis),
        Action::FailOver => lose(state, setting, state.replica.unwrap_or(state.redis)),
        Action::Enqueue(_) | Action::Push(_) | Action::Work(..) | Action::Keep(..) => unreachable!(),
    }
}

fn lose(state: &mut State, setting: &Setting, left: Redis) {
    state.redis = left;
    let deciding = state.keepers.iter().any(|task| matches!(task, Task::Deciding { .. }))
        || state.adrift.is_some_and(|statement| statement.verb == Verb::Rescue);
    state.blurred |= deciding && setting.mode == Mode::Before; // nobody asks where starts are recorded behind
}

/// What takes its place is somebody else.
fn kill(state: &mut State, setting: &Setting, worker: u8) {
    state.stopped[usize::from(worker)] = false;
    for (slot, of) in (0..).zip(setting.worker_of) {
        if of == worker {
            state.slots[usize::from(slot)] = None;
            state.disown(slot);
        }
    }
}
