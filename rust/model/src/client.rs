//! Whoever enqueues: commit first, push second (`_enqueue.py`, `_publish.py`).

use crate::{
    action::Action,
    setting::{Mutant, Setting},
    state::{Client, State},
};

/// What clients can do.
pub fn actions(state: &State, setting: &Setting, actions: &mut Vec<Action>) {
    for (job, client) in (0..).zip(&state.clients[..setting.jobs]) {
        match client {
            Client::Ready => actions.push(Action::Enqueue(job)),
            Client::Promised => actions.extend([Action::Enqueue(job), Action::ClientDies(job)]),
            Client::Committed => actions.extend([Action::Push(job), Action::ClientDies(job)]),
            Client::Done => {}
        }
    }
}

/// The client of a job commits it, or is told so too early.
pub fn enqueue(state: &mut State, setting: &Setting, job: u8) {
    let at = usize::from(job);
    if state.clients[at] == Client::Ready && setting.is(Mutant::EarlyAcknowledgement) {
        state.clients[at] = Client::Promised;
        return;
    }
    state.rows[at].insert();
    state.clients[at] = Client::Committed;
}

/// The client of a job pushes it. What is refused is left to the reconciler or the rebuild.
pub fn push(state: &mut State, job: u8) {
    let at = usize::from(job);
    state.redis.push(at, 0, false, false);
    state.clients[at] = Client::Done;
}
