//! `PostgreSQL` as the statements of `python/tenure/_queries` leave it: each function is one statement for one job, and so
//! atomic. What no statement may ever do is noted as a breach where it is done.

use crate::{
    invariants::Breach,
    setting::{FENCES, Mode, Mutant, Setting},
};

/// `jobs.status`. `PENDING` and `SCHEDULED` are one: time is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// No row.
    Absent,
    /// Ready, or waiting for its time.
    Waiting,
    /// A worker holds its lease.
    Processing,
    /// Ended well.
    Completed,
    /// In the dead letter queue.
    Failed,
}

impl Status {
    /// Whether a job in this state has ended.
    #[must_use]
    pub fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// `job_executions.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Execution {
    /// No row under this fence.
    Absent,
    /// Under way.
    Open,
    /// Ended well.
    Completed,
    /// Raised, or asked for a retry.
    Failed,
    /// Given back by a stopping worker; burns no attempt.
    Released,
    /// Its lease was taken back.
    Lost,
}

/// How a handler ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Well.
    Completed,
    /// To be retried, or out of attempts.
    Retry,
    /// Given back.
    Release,
}

impl Verdict {
    fn execution(self) -> Execution {
        match self {
            Self::Completed => Execution::Completed,
            Self::Retry => Execution::Failed,
            Self::Release => Execution::Released,
        }
    }
}

/// A row of `jobs` with its rows of `job_executions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// `status`.
    pub status: Status,
    /// `fence`.
    pub fence: u8,
    /// `attempts`.
    pub attempts: u8,
    /// The slot whose attempt it is, known by the id of its row in `job_executions`; None: of one that is over.
    pub owner: Option<u8>,
    /// By fence.
    pub executions: [Execution; FENCES],
    /// Witness: rows of attempts, but those given back.
    pub burnt: u8,
    /// Witness: fences whose attempts a settlement has ended.
    pub settled: u8,
    /// Witness: fences that a rescue has decided to take back.
    pub taken_back: u8,
    /// Witness: what was done to this row that must never be.
    pub breaches: u8,
}

/// A statement on its way, or one whose sender does not know whether it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// Of which job.
    pub job: u8,
    /// Under which fence.
    pub fence: u8,
    /// What it does.
    pub verb: Verb,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// `start.sql`, for this slot.
    Start(Option<u8>),
    /// `complete.sql` or `settle.sql`.
    Settle(Verdict),
    /// `record.sql`, for this slot.
    Record(Option<u8>),
    /// `rescue.sql` with `lost.sql`.
    Rescue,
}

impl Row {
    /// None yet.
    pub const ABSENT: Self = Self {
        status: Status::Absent,
        fence: 0,
        attempts: 0,
        owner: None,
        executions: [Execution::Absent; FENCES],
        burnt: 0,
        settled: 0,
        taken_back: 0,
        breaches: 0,
    };

    /// Carries out a statement; the job's new state, or None where its guard let nothing through.
    pub fn apply(&mut self, statement: Statement, setting: &Setting) -> Option<Status> {
        let fence = statement.fence;
        match statement.verb {
            Verb::Start(owner) => self.start(fence, owner, setting),
            Verb::Settle(verdict) => self.settle(fence, verdict, setting),
            Verb::Record(owner) => self.record(fence, owner, setting),
            Verb::Rescue => self.rescue(fence, setting),
        }
    }

    /// Whether the guard of this statement refuses it now and for ever, for a fence never falls.
    #[must_use]
    pub fn refuses(&self, statement: Statement) -> bool {
        let over = self.status.ended() || self.fence > statement.fence;
        over || match statement.verb {
            Verb::Start(_) | Verb::Record(_) => self.fence == statement.fence,
            Verb::Settle(_) | Verb::Rescue => self.fence == statement.fence && self.status == Status::Waiting,
        }
    }

    /// `enqueue.sql`: once, however often it is sent.
    pub fn insert(&mut self) {
        if self.status == Status::Absent {
            self.status = Status::Waiting;
        }
    }

    /// `start_outcomes.sql`: whether this slot's attempt has started.
    #[must_use]
    pub fn started(&self, fence: u8, owner: u8, setting: &Setting) -> bool {
        self.fence == fence && self.status == Status::Processing && self.is_of(owner, setting)
    }

    /// `outcomes.sql`: the job's state, where an attempt ended like this.
    #[must_use]
    pub fn outcome(&self, fence: u8, verdict: Verdict) -> Option<Status> {
        (self.executions[usize::from(fence)] == verdict.execution()).then_some(self.status)
    }

    /// Whether the attempt under the current fence is this slot's.
    #[must_use]
    pub fn is_of(&self, slot: u8, setting: &Setting) -> bool {
        self.owner == Some(slot) || setting.is(Mutant::CarelessLookup)
    }

    fn may_start(&self, fence: u8, setting: &Setting) -> bool {
        self.status == Status::Waiting && (self.fence + 1 == fence || setting.is(Mutant::FenceFromRedis))
    }

    fn start(&mut self, fence: u8, owner: Option<u8>, setting: &Setting) -> Option<Status> {
        if !self.may_start(fence, setting) || !self.insert_execution(fence, Execution::Open) {
            return None;
        }
        self.by_holder(fence);
        self.attempts += 1;
        self.owner = owner;
        Some(self.write(Status::Processing, fence))
    }

    fn record(&mut self, fence: u8, owner: Option<u8>, setting: &Setting) -> Option<Status> {
        if !self.may_start(fence, setting) || !self.insert_execution(fence, Execution::Completed) {
            return None;
        }
        self.by_holder(fence);
        self.attempts += 1;
        self.owner = owner;
        self.end_once(fence);
        Some(self.write(Status::Completed, fence))
    }

    fn settle(&mut self, fence: u8, verdict: Verdict, setting: &Setting) -> Option<Status> {
        let passes = match setting.mutant {
            Some(Mutant::NoFence) => self.status == Status::Processing,
            Some(Mutant::JobIdOnly) => self.status != Status::Absent,
            _ => self.status == Status::Processing && self.fence == fence,
        };
        if !passes {
            return None;
        }
        self.by_holder(fence);
        if self.fence != fence {
            self.breach(Breach::StaleWrite);
        }
        self.end_once(fence);
        if self.executions[usize::from(fence)] != Execution::Absent {
            self.executions[usize::from(fence)] = verdict.execution();
            self.burnt -= u8::from(verdict == Verdict::Release);
        }
        let status = match verdict {
            Verdict::Completed => Status::Completed,
            Verdict::Retry if self.attempts > setting.max_retries => Status::Failed,
            Verdict::Retry => Status::Waiting,
            Verdict::Release => {
                self.attempts -= 1;
                Status::Waiting
            }
        };
        Some(self.write(status, self.fence))
    }

    fn rescue(&mut self, fence: u8, setting: &Setting) -> Option<Status> {
        if setting.is(Mutant::UnaskedRescue) {
            self.taken_back |= 1 << fence;
            return Some(self.write(Status::Waiting, self.fence.max(fence)));
        }
        let recorded = self.fence == fence && self.status == Status::Processing;
        let unrecorded = self.fence + 1 == fence && self.status == Status::Waiting;
        if !recorded && !unrecorded {
            return None;
        }
        self.taken_back |= 1 << fence;
        if unrecorded && setting.is(Mutant::SparedFence) {
            return Some(self.status);
        }
        let ran = recorded || setting.mode == Mode::Behind;
        if recorded {
            self.executions[usize::from(fence)] = Execution::Lost;
        } else if ran {
            self.insert_execution(fence, Execution::Lost);
            self.attempts += 1;
        }
        self.owner = None;
        let status = if ran && self.attempts > setting.max_retries { Status::Failed } else { Status::Waiting };
        Some(self.write(status, fence))
    }

    /// `UNIQUE (job_id, fence)`: whether the row could be inserted. The fence's compare-and-set must never let it come to that.
    fn insert_execution(&mut self, fence: u8, execution: Execution) -> bool {
        let free = self.executions[usize::from(fence)] == Execution::Absent;
        if free {
            self.executions[usize::from(fence)] = execution;
            self.burnt += 1;
        } else {
            self.breach(Breach::SecondRow);
        }
        free
    }

    /// Notes a write by a lease that a rescue has decided to take back.
    fn by_holder(&mut self, fence: u8) {
        if self.taken_back >> fence & 1 == 1 {
            self.breach(Breach::StaleWrite);
        }
    }

    /// Notes a second settlement of an attempt.
    fn end_once(&mut self, fence: u8) {
        if self.settled >> fence & 1 == 1 {
            self.breach(Breach::SecondEnd);
        }
        self.settled |= 1 << fence;
    }

    fn write(&mut self, status: Status, fence: u8) -> Status {
        if self.status.ended() {
            self.breach(Breach::EndChanged);
        }
        if fence < self.fence || fence > self.fence + 1 {
            self.breach(Breach::FenceJumped);
        }
        self.status = status;
        self.fence = fence;
        status
    }

    fn breach(&mut self, breach: Breach) {
        self.breaches |= breach.bit();
    }
}
