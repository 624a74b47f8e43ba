//! Workers (`worker.py`, `_feed.py`, `_start.py`, `_attempt.py`, `_settle.py`): a slot's way from the lease to the ending.

use crate::{
    action::{Action, Fate, Work},
    postgres::{Statement, Status, Verb, Verdict},
    redis::has,
    setting::{Mode, Mutant, SLOTS, Setting},
    state::{Attempt, Hold, Phase, Seen, Start, State, Then},
};

pub(crate) const FATES: [Fate; 3] = [Fate::Never, Fate::Done, Fate::Adrift];

/// What workers can do.
pub fn actions(state: &State, setting: &Setting, actions: &mut Vec<Action>) {
    for (slot, (attempt, worker)) in (0..).zip(state.slots.iter().zip(setting.worker_of)) {
        if state.stopped[usize::from(worker)] {
            continue;
        }
        let mut can = |work| actions.push(Action::Work(slot, work));
        match attempt {
            Some(attempt) => on_attempt(state, *attempt, &mut can),
            None if state.redis.built => {
                for (job, entry) in (0..).zip(&state.redis.entries[..setting.jobs]) {
                    if entry.ready {
                        can(Work::Lease(job));
                        can(Work::LeaseUnheard(job));
                    }
                }
            }
            None => {}
        }
    }
}

fn on_attempt(state: &State, attempt: Attempt, can: &mut impl FnMut(Work)) {
    let unheard = |work: fn(Fate) -> Work| FATES.map(work).into_iter().filter(|_| state.faults > 0);
    match attempt.phase {
        Phase::Starting { unsure, .. } => {
            can(Work::Start);
            unheard(Work::StartUnheard).for_each(&mut *can);
            if unsure {
                can(Work::GiveUp);
            }
        }
        Phase::Running(start) => {
            for verdict in [Verdict::Completed, Verdict::Retry, Verdict::Release] {
                can(Work::End(verdict));
            }
            if start != Start::Recorded {
                can(Work::Start);
                unheard(Work::StartUnheard).for_each(&mut *can);
            }
        }
        Phase::Ending { .. } => {
            can(Work::Settle);
            unheard(Work::SettleUnheard).for_each(&mut *can);
        }
        Phase::Acknowledging | Phase::Loading | Phase::Pushing(_) => {
            can(Work::Publish);
            can(Work::Unpublished);
        }
    }
    let cancellable = matches!(attempt.phase, Phase::Starting { .. } | Phase::Running(_));
    let ending = matches!(attempt.phase, Phase::Ending { .. }) && attempt.hold == Hold::Held;
    let gone = state.redis.built && !has(state.redis.entries[usize::from(attempt.job)].leases, attempt.fence);
    if gone && (cancellable || ending) {
        can(Work::HearLost);
    } else if cancellable {
        can(Work::Distrust);
    }
}

/// A worker does something for a slot.
pub fn work(state: &mut State, setting: &Setting, slot: u8, work: Work) {
    let at = usize::from(slot);
    if let Work::Lease(job) | Work::LeaseUnheard(job) = work {
        let fence = state.redis.lease(usize::from(job), setting);
        if let (Work::Lease(_), Some(fence)) = (work, fence) {
            take(state, setting, at, job, fence);
        }
        return;
    }
    let Some(mut attempt) = state.slots[at] else { return };
    let next = match work {
        Work::Start => start(state, setting, at, attempt),
        Work::StartUnheard(fate) => Some(start_unheard(state, setting, at, attempt, fate)),
        Work::End(verdict) => Some(end(state, setting, &mut attempt, verdict)),
        Work::Settle => settle(state, setting, at, attempt),
        Work::SettleUnheard(fate) => Some(settle_unheard(state, setting, at, attempt, fate)),
        Work::Publish => publish(state, attempt),
        Work::HearLost if !matches!(attempt.phase, Phase::Starting { .. } | Phase::Running(_)) => {
            // The ending is written all the same; its fence decides.
            attempt.hold = Hold::Lost;
            Some(attempt.phase)
        }
        Work::HearLost | Work::Distrust | Work::GiveUp | Work::Unpublished => None,
        Work::Lease(_) | Work::LeaseUnheard(_) => unreachable!(),
    };
    state.slots[at] = next.map(|phase| Attempt { phase, ..attempt });
    if next.is_none() {
        state.disown(slot);
    }
}

/// A slot as statements name it.
fn slot_number(at: usize) -> u8 {
    u8::from(at > 0)
}

/// Begin an attempt, unless this worker is at the very same one.
fn take(state: &mut State, setting: &Setting, at: usize, job: u8, fence: u8) {
    let again = (0..SLOTS).any(|other| {
        setting.worker_of[other] == setting.worker_of[at]
            && state.slots[other].is_some_and(|one| {
                (one.job, one.fence) == (job, fence) && matches!(one.phase, Phase::Starting { .. } | Phase::Running(_))
            })
    });
    if again {
        return;
    }
    let phase = match setting.mode {
        Mode::Before => Phase::Starting { unsure: false, then: Then::Run },
        Mode::Behind => Phase::Running(Start::Unasked),
    };
    state.slots[at] = Some(Attempt { job, fence, hold: Hold::Held, phase });
}

fn statement(attempt: Attempt, verb: Verb) -> Statement {
    Statement { job: attempt.job, fence: attempt.fence, verb }
}

/// Sends a statement whose answer is lost.
pub(crate) fn send_unheard(state: &mut State, setting: &Setting, statement: Statement, fate: Fate) {
    match fate {
        Fate::Never => {}
        Fate::Done => {
            state.rows[usize::from(statement.job)].apply(statement, setting);
        }
        Fate::Adrift => state.adrift = Some(statement),
    }
}

fn start(state: &mut State, setting: &Setting, at: usize, attempt: Attempt) -> Option<Phase> {
    let owner = slot_number(at);
    let row = &mut state.rows[usize::from(attempt.job)];
    let unsure = matches!(attempt.phase, Phase::Starting { unsure: true, .. } | Phase::Running(Start::Unsure));
    let recorded = row.apply(statement(attempt, Verb::Start(Some(owner))), setting).is_some()
        || (unsure && row.started(attempt.fence, owner, setting));
    recorded.then_some(match attempt.phase {
        Phase::Starting { then: Then::End(verdict), .. } => Phase::Ending { verdict, recorded: true, unsure: false },
        _ => Phase::Running(Start::Recorded),
    })
}

fn start_unheard(state: &mut State, setting: &Setting, at: usize, attempt: Attempt, fate: Fate) -> Phase {
    let verb = Verb::Start(Some(slot_number(at)));
    send_unheard(state, setting, statement(attempt, verb), fate);
    match attempt.phase {
        Phase::Starting { then, .. } => Phase::Starting { unsure: true, then },
        _ => Phase::Running(Start::Unsure),
    }
}

/// A completion needs no start of its own; every other ending does, and so does one whose start is in doubt.
fn end(state: &mut State, setting: &Setting, attempt: &mut Attempt, verdict: Verdict) -> Phase {
    let Phase::Running(start) = attempt.phase else { unreachable!() };
    if setting.is(Mutant::AcknowledgeFirst) {
        state.redis.acknowledge(usize::from(attempt.job), attempt.fence);
        attempt.hold = Hold::Forgotten;
    }
    match start {
        Start::Recorded => Phase::Ending { verdict, recorded: true, unsure: false },
        Start::Unasked if verdict == Verdict::Completed => Phase::Ending { verdict, recorded: false, unsure: false },
        Start::Unasked | Start::Unsure => Phase::Starting { unsure: start == Start::Unsure, then: Then::End(verdict) },
    }
}

fn settling(at: usize, attempt: Attempt) -> (Statement, Verdict, bool) {
    let Phase::Ending { verdict, recorded, unsure } = attempt.phase else { unreachable!() };
    let verb = if recorded { Verb::Settle(verdict) } else { Verb::Record(Some(slot_number(at))) };
    (statement(attempt, verb), verdict, unsure)
}

fn settle(state: &mut State, setting: &Setting, at: usize, attempt: Attempt) -> Option<Phase> {
    let (statement, verdict, unsure) = settling(at, attempt);
    let row = &mut state.rows[usize::from(attempt.job)];
    let mut outcome = row.apply(statement, setting);
    if outcome.is_none() && unsure {
        let recording = matches!(statement.verb, Verb::Record(_));
        outcome = row.outcome(attempt.fence, verdict).filter(|_| !recording || row.is_of(slot_number(at), setting));
        state.misled |= recording && outcome.is_some() && row.owner != Some(slot_number(at));
    }
    if outcome.is_none() && attempt.hold != Hold::Lost {
        state.robbed = true;
    }
    match outcome? {
        Status::Completed | Status::Failed => Some(Phase::Acknowledging),
        _ => Some(Phase::Loading),
    }
}

fn settle_unheard(state: &mut State, setting: &Setting, at: usize, attempt: Attempt, fate: Fate) -> Phase {
    let (statement, verdict, _) = settling(at, attempt);
    send_unheard(state, setting, statement, fate);
    Phase::Ending { verdict, recorded: !matches!(statement.verb, Verb::Record(_)), unsure: true }
}

fn publish(state: &mut State, attempt: Attempt) -> Option<Phase> {
    let job = usize::from(attempt.job);
    match attempt.phase {
        Phase::Loading => match Seen::of(&state.rows[job]) {
            Seen::Waiting(fence) => Some(Phase::Pushing(fence)),
            _ => None,
        },
        Phase::Pushing(fence) => {
            state.redis.push(job, fence, true, false);
            None
        }
        _ => {
            state.redis.acknowledge(job, attempt.fence);
            None
        }
    }
}
