//! I4: from every state that can be reached, every job can still end, without another fault and without luck. And the
//! shortest way to a breach.
//!
//! stateright's own `eventually` does not see cycles, and this protocol has many (a keeper may die for ever), so this is asked
//! of the whole graph: explored forwards, then walked backwards from where every job has ended, over what [`Action::heals`].

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use stateright::Model;

use crate::{action::Action, protocol::Protocol, state::State};

/// I4: nothing is stuck for ever.
pub const I4: &str = "I4 every job can still end, without another fault";

/// What the graph tells.
#[derive(Debug)]
pub struct Reach {
    /// States that can be reached.
    pub states: usize,
    /// States from which some job cannot end.
    pub stuck: usize,
    /// Steps that the boundary of the model cut off.
    pub cut: usize,
    /// One of the shortest ways into such a state.
    pub trace: Option<Vec<Action>>,
}

/// Explores everything that can be reached, and says from where it cannot end.
///
/// # Panics
/// If there are more states than a `u32` counts.
#[must_use]
pub fn explore(protocol: &Protocol) -> Reach {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let first = State::first(&protocol.setting);
    let mut numbers: HashMap<u64, u32> = HashMap::from([(hasher.hash_one(&first), 0)]);
    let mut came_from: Vec<Option<(u32, Action)>> = vec![None];
    let mut healing: Vec<(u32, u32)> = Vec::new();
    let mut can_end: Vec<u32> = Vec::new();
    let mut pending = VecDeque::from([(0_u32, first)]);
    let (mut actions, mut cut) = (Vec::new(), 0);
    while let Some((number, state)) = pending.pop_front() {
        if state.rows[..protocol.setting.jobs].iter().all(|row| row.status.ended()) {
            can_end.push(number);
        }
        protocol.actions(&state, &mut actions);
        for action in actions.drain(..) {
            let Some(next) = protocol.next_state(&state, action) else { continue };
            if !protocol.within_boundary(&next) {
                cut += 1;
                continue;
            }
            let Ok(known) = u32::try_from(came_from.len()) else { panic!("more states than a u32 counts") };
            let target = match numbers.entry(hasher.hash_one(&next)) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    entry.insert(known);
                    came_from.push(Some((number, action)));
                    pending.push_back((known, next));
                    known
                }
            };
            if action.heals() && target != number {
                healing.push((target, number));
            }
        }
    }
    let ends = backwards(came_from.len(), healing, can_end);
    Reach {
        states: ends.len(),
        cut,
        stuck: ends.iter().filter(|one| !**one).count(),
        trace: ends.iter().position(|one| !one).map(|at| trace(&came_from, at)),
    }
}

/// From which states one of these can be reached; `edges` lead from a state to one before it.
fn backwards(states: usize, mut edges: Vec<(u32, u32)>, goals: Vec<u32>) -> Vec<bool> {
    edges.sort_unstable();
    let mut reached = vec![false; states];
    let mut pending = goals;
    while let Some(state) = pending.pop() {
        if std::mem::replace(&mut reached[state as usize], true) {
            continue;
        }
        let begin = edges.partition_point(|(target, _)| *target < state);
        pending.extend(edges[begin..].iter().take_while(|(target, _)| *target == state).map(|(_, source)| *source));
    }
    reached
}

fn trace(came_from: &[Option<(u32, Action)>], mut at: usize) -> Vec<Action> {
    let mut actions = Vec::new();
    while let Some((before, action)) = came_from[at] {
        actions.push(action);
        at = before as usize;
    }
    actions.reverse();
    actions
}

/// One of the shortest ways to a state in which an invariant does not hold.
#[must_use]
pub fn shortest(protocol: &Protocol, invariant: &'static str) -> Option<Vec<Action>> {
    let holds = protocol.property(invariant).condition;
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let first = State::first(&protocol.setting);
    let mut known = HashSet::from([hasher.hash_one(&first)]);
    let mut came_from: Vec<Option<(u32, Action)>> = vec![None];
    let mut pending = VecDeque::from([(0, first)]);
    let mut actions = Vec::new();
    while let Some((number, state)) = pending.pop_front() {
        if !holds(protocol, &state) {
            return Some(trace(&came_from, number));
        }
        protocol.actions(&state, &mut actions);
        for action in actions.drain(..) {
            let Some(next) = protocol.next_state(&state, action).filter(|next| protocol.within_boundary(next)) else {
                continue;
            };
            if known.insert(hasher.hash_one(&next)) {
                pending.push_back((came_from.len(), next));
                came_from.push(Some((u32::try_from(number).ok()?, action)));
            }
        }
    }
    None
}
