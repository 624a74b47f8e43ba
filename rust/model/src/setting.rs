//! How much of everything there is, and what is broken on purpose.

/// The most jobs of a setting.
pub const JOBS: usize = 2;
/// Attempts that may be under way at once, over all workers.
pub const SLOTS: usize = 2;
/// The most processes that rescue, reconcile and rebuild at once.
pub const KEEPERS: usize = 2;
/// Fences from 0 that the model has room for.
pub const FENCES: usize = 8;

/// When the start of an attempt is recorded in `PostgreSQL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Before the handler runs.
    Before,
    /// While it runs, or together with its end.
    Behind,
}

/// One promise broken, to show that an invariant notices. Those that `tests/mutants` has too bear the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Whoever comes first ends a running job, whichever lease it had.
    NoFence,
    /// Whoever comes last ends a job, whatever became of it.
    JobIdOnly,
    /// What Redis says is lost is queued again, whatever `PostgreSQL` knows of it.
    UnaskedRescue,
    /// Enqueue returns before its commit.
    EarlyAcknowledgement,
    /// The fence comes from a counter in Redis, which begins again where Redis forgot.
    FenceFromRedis,
    /// The lease is acknowledged in Redis before its ending is committed.
    AcknowledgeFirst,
    /// The rescue of a lease whose start was never recorded leaves its fence as it is.
    SparedFence,
    /// Whoever lost the answer to a start or an ending takes any under its fence for its own.
    CarelessLookup,
    /// A lease is given while the very same one, given before, is being rescued.
    LeaseBesideRescue,
    /// Nobody compares `PostgreSQL` with Redis.
    NoReconciler,
}

/// One model.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// When starts are recorded.
    pub mode: Mode,
    /// Jobs, at most [`JOBS`].
    pub jobs: usize,
    /// Retries allowed to each job.
    pub max_retries: u8,
    /// The worker of each slot: two workers of one slot each, or one of two.
    pub worker_of: [u8; SLOTS],
    /// Processes that rescue, reconcile and rebuild at once, at most [`KEEPERS`].
    pub keepers: usize,
    /// Faults that may strike, of any kind, at any instant.
    pub faults: u8,
    /// Whether a replica that lags behind may take Redis' place.
    pub replica: bool,
    /// Whether states that differ only in which worker, slot or keeper is which count as one: half of them, and traces that are harder to read.
    pub symmetric: bool,
    /// What is broken.
    pub mutant: Option<Mutant>,
}

impl Setting {
    /// Two workers with one slot each and one job, which may be retried once.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            jobs: 1,
            max_retries: 1,
            worker_of: [0, 1],
            keepers: 1,
            faults: 2,
            replica: false,
            symmetric: true,
            mutant: None,
        }
    }

    /// The same, with something broken.
    #[must_use]
    pub fn broken(self, mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..self }
    }

    /// Whether this is what is broken.
    #[must_use]
    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
