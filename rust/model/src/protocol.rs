//! The whole as a model that stateright explores.

use stateright::{Model, Property};

use crate::{
    action::Action,
    canon, client, fault, invariants, keeper,
    setting::{FENCES, Setting},
    state::State,
    worker,
};

/// The protocol in one setting.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// How much of everything there is.
    pub setting: Setting,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.setting)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        client::actions(state, &self.setting, actions);
        worker::actions(state, &self.setting, actions);
        keeper::actions(state, &self.setting, actions);
        fault::actions(state, &self.setting, actions);
        if state.faults == 0 {
            actions.retain(|action| !action.is_fault());
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        next.faults -= u8::from(action.is_fault());
        match action {
            Action::Enqueue(job) => client::enqueue(&mut next, &self.setting, job),
            Action::Push(job) => client::push(&mut next, job),
            Action::Work(slot, work) => worker::work(&mut next, &self.setting, slot, work),
            Action::Keep(keeper, duty) => keeper::keep(&mut next, &self.setting, keeper, duty),
            _ => fault::strike(&mut next, &self.setting, action),
        }
        canon::reduce(&mut next, &self.setting);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        invariants::all()
    }

    /// A mutant may use up fences without end; the protocol itself never comes near this.
    fn within_boundary(&self, state: &State) -> bool {
        state.rows.iter().all(|row| usize::from(row.fence) + 2 < FENCES)
            && usize::from(state.redis.counter) + 1 < FENCES
    }
}
