//! All that can happen.

#![allow(missing_docs, reason = "fields of variants are told by their names and by the variant")]

use crate::postgres::Verdict;

/// What becomes of a statement whose answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It never arrived.
    Never,
    /// It was carried out.
    Done,
    /// It is still on its way, and arrives at some time.
    Adrift,
}

/// What a slot's worker does for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// `lease.lua`, for this job.
    Lease(u8),
    /// The same, and the answer is lost: a fault.
    LeaseUnheard(u8),
    /// Ask `PostgreSQL` to record the start.
    Start,
    /// The same, and the answer is lost: a fault.
    StartUnheard(Fate),
    /// Give up an attempt whose start nobody confirmed in time.
    GiveUp,
    /// The handler ends. A release is a worker being asked to stop: a fault.
    End(Verdict),
    /// Write the ending.
    Settle,
    /// The same, and the answer is lost: a fault.
    SettleUnheard(Fate),
    /// Tell Redis of an ended job, or load or push one that waits again.
    Publish,
    /// Redis is away for that: a fault.
    Unpublished,
    /// A beat finds the lease gone.
    HearLost,
    /// No beat reached Redis for as long as the lease may be trusted: a fault.
    Distrust,
}

/// What a keeper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duty {
    /// `rescue.lua` takes back an expired lease, or one that another keeper left behind.
    TakeBack { job: u8, fence: u8 },
    /// Go on with what is in hand.
    Go,
    /// Ask `PostgreSQL` about a lease taken back, and the answer is lost: a fault.
    GoUnheard(Fate),
    /// Its row is locked by somebody: it is passed over, and taken back again later. The same as dying.
    Die,
    /// Read a job that Redis lacks, or that runs without a lease.
    Reconcile(u8),
    /// The same for a job that Redis does not lack: what was seen was true once, and is acted upon late.
    ReconcileLate(u8),
    /// Begin to build a queue without generation.
    Rebuild,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client commits a job, or is told so too early.
    Enqueue(u8),
    /// A client pushes a job that it has committed.
    Push(u8),
    /// A client dies: a fault.
    ClientDies(u8),
    /// A worker does something for a slot.
    Work(u8, Work),
    /// A keeper does something.
    Keep(u8, Duty),
    /// A worker is killed; another takes its place. A fault.
    Kill(u8),
    /// SIGSTOP: a fault.
    Stop(u8),
    /// SIGCONT.
    Continue(u8),
    /// A statement whose sender has given up on it arrives.
    Land,
    /// FLUSHALL, or a restart without persistence: a fault.
    Wipe,
    /// The replica catches up.
    Replicate,
    /// The replica takes Redis' place, without what it lacks: a fault.
    FailOver,
}

impl Action {
    /// Whether it takes one of the faults there may be.
    #[must_use]
    pub fn is_fault(self) -> bool {
        match self {
            Self::ClientDies(_) | Self::Kill(_) | Self::Stop(_) | Self::Wipe | Self::FailOver => true,
            Self::Work(_, work) => matches!(
                work,
                Work::LeaseUnheard(_)
                    | Work::StartUnheard(_)
                    | Work::End(Verdict::Release)
                    | Work::SettleUnheard(_)
                    | Work::Unpublished
                    | Work::Distrust
            ),
            Self::Keep(_, duty) => matches!(duty, Duty::GoUnheard(_)),
            _ => false,
        }
    }

    /// Whether a system that nothing ails goes on like this: no fault, nobody who dies or acts late, and no help from a stopped
    /// process that comes back or a statement given up that arrives after all.
    #[must_use]
    pub fn heals(self) -> bool {
        let ails = matches!(
            self,
            Self::Continue(_)
                | Self::Land
                | Self::Work(_, Work::GiveUp)
                | Self::Keep(_, Duty::Die | Duty::ReconcileLate(_))
        );
        !ails && !self.is_fault()
    }
}
