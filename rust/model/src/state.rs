//! All that is remembered: the two stores, and what each process has in mind.

#![allow(missing_docs, reason = "fields of variants are told by their names and by the variant")]

use crate::{
    postgres::{Row, Statement, Status, Verb, Verdict},
    redis::Redis,
    setting::{JOBS, KEEPERS, SLOTS, Setting},
};

/// Whoever enqueues a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// Has not done it.
    Ready,
    /// Was told that it is done before it was: a mutant only.
    Promised,
    /// Has committed; the push is on its way.
    Committed,
    /// Has nothing left to do, or died.
    Done,
}

/// What a worker knows of the start of an attempt whose handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Start {
    /// `PostgreSQL` was not asked.
    Unasked,
    /// It was asked, and the answer was lost.
    Unsure,
    /// It is recorded.
    Recorded,
}

/// What comes once the start is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Then {
    /// The handler is called.
    Run,
    /// The handler has ended already.
    End(Verdict),
}

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Its start must be recorded now; `unsure`: an earlier try may have done it.
    Starting { unsure: bool, then: Then },
    /// Its handler runs.
    Running(Start),
    /// Its ending must be written; `unsure`: an earlier try may have done it.
    Ending { verdict: Verdict, recorded: bool, unsure: bool },
    /// The job has ended: Redis must be told.
    Acknowledging,
    /// The job waits again: its descriptor must be read,
    Loading,
    /// and pushed, with this fence.
    Pushing(u8),
}

/// Whether a worker keeps up the lease of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// It extends it.
    Held,
    /// It was taken back while the worker was stopped, or was not there at a beat.
    Lost,
    /// The worker itself gave it up, and goes on: a mutant only.
    Forgotten,
}

/// A lease that a worker has something to do for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// Of which job.
    pub job: u8,
    /// Under which fence.
    pub fence: u8,
    /// Whether it is kept up.
    pub hold: Hold,
    /// Where it is.
    pub phase: Phase,
}

/// What a rebuild has read of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// Not there, or ended.
    Nothing,
    /// Waits, under this fence.
    Waiting(u8),
    /// Runs, under this fence.
    Processing(u8),
}

impl Seen {
    /// What is read of a row.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        match row.status {
            Status::Waiting => Self::Waiting(row.fence),
            Status::Processing => Self::Processing(row.fence),
            _ => Self::Nothing,
        }
    }
}

/// What a rebuild does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Push what waits.
    Push,
    /// Give leases to what runs.
    Restore,
    /// Set the generation.
    Declare,
}

/// What a keeper has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Nothing.
    Idle,
    /// A lease taken back, about which `PostgreSQL` must be asked; `unsure`: an earlier try may have been committed.
    Deciding { job: u8, fence: u8, unsure: bool },
    /// A lease to be forgotten; then the job may have to be pushed.
    Forgetting { job: u8, fence: u8, push: bool },
    /// A job whose descriptor must be read,
    Loading { job: u8 },
    /// and pushed.
    Pushing { job: u8, fence: u8 },
    /// A running job that has no lease.
    Restoring { job: u8, fence: u8 },
    /// A rebuild.
    Building { seen: [Seen; JOBS], step: Step },
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// `PostgreSQL`: jobs.
    pub rows: [Row; JOBS],
    /// A statement whose sender has given up on it, and which may still arrive.
    pub adrift: Option<Statement>,
    /// Redis.
    pub redis: Redis,
    /// What the replica of Redis has, where there is one.
    pub replica: Option<Redis>,
    /// By job.
    pub clients: [Client; JOBS],
    /// By slot.
    pub slots: [Option<Attempt>; SLOTS],
    /// By worker: SIGSTOP.
    pub stopped: [bool; SLOTS],
    /// By keeper.
    pub keepers: [Task; KEEPERS],
    /// Faults that may still strike.
    pub faults: u8,
    /// Witness: a settlement was refused though its worker was well and Redis had the lease all the time.
    pub robbed: bool,
    /// Witness: Redis lost its data while the rescue of a lease was being decided, which may be given again meanwhile.
    pub blurred: bool,
    /// Witness: a worker was told that its ending counts, which another's does.
    pub misled: bool,
}

impl State {
    /// Before anything was enqueued, the queue built.
    #[must_use]
    pub fn first(setting: &Setting) -> Self {
        let redis = Redis::empty(true);
        let mut clients = [Client::Done; JOBS];
        clients[..setting.jobs].fill(Client::Ready);
        Self {
            rows: [Row::ABSENT; JOBS],
            adrift: None,
            redis,
            replica: setting.replica.then_some(redis),
            clients,
            slots: [None; SLOTS],
            stopped: [false; SLOTS],
            keepers: [Task::Idle; KEEPERS],
            faults: setting.faults,
            robbed: false,
            blurred: false,
            misled: false,
        }
    }

    /// A slot's attempt is over: what it has sent is nobody's, and not the next one's of that slot.
    pub fn disown(&mut self, slot: u8) {
        for row in &mut self.rows {
            row.owner = row.owner.filter(|owner| *owner != slot);
        }
        if let Some(statement) = &mut self.adrift
            && let Verb::Start(owner) | Verb::Record(owner) = &mut statement.verb
        {
            *owner = owner.filter(|owner| *owner != slot);
        }
    }

    /// Whether a worker keeps this lease up, and is able to.
    #[must_use]
    pub fn extended(&self, job: u8, fence: u8, setting: &Setting) -> bool {
        self.slots.iter().zip(setting.worker_of).any(|(attempt, worker)| {
            attempt.is_some_and(|one| {
                one.job == job && one.fence == fence && one.hold == Hold::Held && !self.stopped[usize::from(worker)]
            })
        })
    }
}
