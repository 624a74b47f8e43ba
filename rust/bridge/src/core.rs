//! The class `Core`: one event loop's hot path. Calls only submit; what they answer arrives through `drain`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use pyo3::{intern, prelude::*, types::PyList};
use tenure_core::{
    Error, Event, EventSink, Heartbeat, Held, Inbox, JobFence, Keys, Options, Policy, Result, Rhythm, Store,
};

use crate::{
    completion::{Answer, Completions, Done},
    error::{RedisUnavailable, exception},
    runtime::{assert_same_process, spawn},
    types,
};

#[pyclass(frozen, module = "tenure._core")]
pub(crate) struct Core {
    process: u32,
    options: Options,
    held: Arc<Held>,
    completions: Arc<Completions>,
    store: Arc<Mutex<Option<Store>>>,
    /// A connection that is ready only after `close` is dropped.
    closed: Arc<AtomicBool>,
    inbox: Mutex<Option<Inbox>>,
    heartbeat: Mutex<Option<Heartbeat>>,
    /// Futures by token; only the loop's thread touches them, so the runtime never holds a Python object.
    futures: Mutex<HashMap<u64, Py<PyAny>>>,
    next_token: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    fn sink(&self) -> EventSink {
        let completions = Arc::clone(&self.completions);
        Arc::new(move |event: Event| completions.push(Done::Event(event)))
    }

    /// Runs an operation on the store; its future is completed by a later `drain`.
    fn submit<F>(&self, done: Py<PyAny>, operation: impl FnOnce(Store) -> F) -> PyResult<()>
    where
        F: Future<Output = Result<Answer>> + Send + 'static,
    {
        let Some(store) = lock(&self.store).clone() else {
            assert_same_process(self.process)?;
            return Err(RedisUnavailable::new_err("not connected"));
        };
        self.run(done, operation(store))
    }

    fn run(&self, done: Py<PyAny>, operation: impl Future<Output = Result<Answer>> + Send + 'static) -> PyResult<()> {
        assert_same_process(self.process)?;
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        lock(&self.futures).insert(token, done);
        let completions = Arc::clone(&self.completions);
        spawn(async move { completions.push(Done::Call(token, operation.await)) })
    }

    fn with_inbox(&self, act: impl FnOnce(&Inbox)) -> PyResult<()> {
        let mut inbox = lock(&self.inbox);
        if inbox.is_none() {
            let keys = Keys::new(self.options.prefix.clone()).map_err(exception)?;
            let (handle, task) = Inbox::new(self.options.clone(), keys, self.sink());
            spawn(task)?;
            *inbox = Some(handle);
        }
        if let Some(handle) = inbox.as_ref() {
            act(handle);
        }
        Ok(())
    }

    fn complete(&self, py: Python<'_>, token: u64, result: Result<Answer>) -> PyResult<()> {
        let Some(future) = lock(&self.futures).remove(&token) else { return Ok(()) };
        let future = future.into_bound(py);
        // A caller that was cancelled wants no answer.
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        match result {
            Ok(answer) => future.call_method1(intern!(py, "set_result"), (answer.into_python(py)?,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (exception(error).into_value(py),))?,
        };
        Ok(())
    }
}

fn descriptors(jobs: &Bound<'_, PyList>) -> PyResult<Vec<Arc<tenure_core::Descriptor>>> {
    jobs.iter().map(|job| Ok(Arc::clone(&job.cast::<types::Descriptor>()?.get().0))).collect()
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (url, *, worker_id, prefix = "gap006", lease_ms = 30_000, margin_ms = 2_000, connect_timeout_ms = 5_000, command_timeout_ms = 5_000))]
    fn new(
        url: &str,
        worker_id: &str,
        prefix: &str,
        lease_ms: u64,
        margin_ms: u64,
        connect_timeout_ms: u64,
        command_timeout_ms: u64,
    ) -> PyResult<Self> {
        let options = Options {
            prefix: prefix.to_owned(),
            lease_ms,
            margin_ms,
            connect_timeout_ms,
            command_timeout_ms,
            ..Options::new(url, worker_id)
        };
        options.validate().map_err(exception)?;
        Ok(Self {
            process: std::process::id(),
            held: Store::held_for(&options),
            options,
            completions: Completions::new()?,
            store: Arc::default(),
            closed: Arc::default(),
            inbox: Mutex::default(),
            heartbeat: Mutex::default(),
            futures: Mutex::default(),
            next_token: AtomicU64::new(0),
        })
    }

    fn fileno(&self) -> i32 {
        self.completions.fileno()
    }

    fn drain(&self, py: Python<'_>) -> PyResult<Vec<types::Event>> {
        let mut events = Vec::new();
        for done in self.completions.take() {
            match done {
                Done::Call(token, result) => self.complete(py, token, result)?,
                Done::Event(event) => events.push(event.into()),
            }
        }
        Ok(events)
    }

    fn close(&self, py: Python<'_>) {
        self.stop_heartbeat(py);
        lock(&self.inbox).take();
        let mut store = lock(&self.store);
        self.closed.store(true, Ordering::Relaxed);
        store.take();
        drop(store);
        let pending: Vec<u64> = lock(&self.futures).keys().copied().collect();
        for token in pending {
            let error = Error::Unavailable { reason: "closed".to_owned() };
            self.completions.push(Done::Call(token, Err(error)));
        }
    }

    fn connect(&self, done: Py<PyAny>) -> PyResult<()> {
        let (options, held, slot) = (self.options.clone(), Arc::clone(&self.held), Arc::clone(&self.store));
        let closed = Arc::clone(&self.closed);
        self.run(done, async move {
            let (store, server) = Store::connect(options, held).await?;
            let mut slot = lock(&slot);
            if closed.load(Ordering::Relaxed) {
                return Err(Error::Unavailable { reason: "closed".to_owned() });
            }
            *slot = Some(store);
            Ok(Answer::Server(server))
        })
    }

    fn enqueue(&self, done: Py<PyAny>, queue: String, jobs: &Bound<'_, PyList>) -> PyResult<()> {
        let jobs = descriptors(jobs)?;
        self.submit(done, |store| async move { store.enqueue(&queue, &jobs).await.map(Answer::Pushed) })
    }

    fn requeue(&self, done: Py<PyAny>, queue: String, jobs: &Bound<'_, PyList>) -> PyResult<()> {
        let jobs = descriptors(jobs)?;
        self.submit(done, |store| async move { store.requeue(&queue, &jobs).await.map(Answer::Pushed) })
    }

    fn rebuild(&self, done: Py<PyAny>, queue: String, jobs: &Bound<'_, PyList>) -> PyResult<()> {
        let jobs = descriptors(jobs)?;
        self.submit(done, |store| async move { store.rebuild(&queue, &jobs).await.map(Answer::Pushed) })
    }

    #[pyo3(signature = (done, queue, want, offers = ""))]
    fn lease(&self, done: Py<PyAny>, queue: String, want: usize, offers: &str) -> PyResult<()> {
        let offers = offers.to_owned();
        self.submit(done, move |store| async move { store.lease(&queue, want, &offers).await.map(Answer::Batch) })
    }

    fn acknowledge(&self, done: Py<PyAny>, queue: String, jobs: Vec<JobFence>) -> PyResult<()> {
        self.submit(done, |store| async move { store.acknowledge(&queue, &jobs).await.map(Answer::Count) })
    }

    fn bury(&self, done: Py<PyAny>, queue: String, jobs: Vec<JobFence>) -> PyResult<()> {
        self.submit(done, |store| async move { store.bury(&queue, &jobs).await.map(Answer::Count) })
    }

    #[expect(clippy::needless_pass_by_value, reason = "pyo3 hands a list over by value")]
    fn drop(&self, jobs: Vec<JobFence>) {
        self.held.drop_leases(jobs.iter().map(|(job_id, fence)| (job_id.as_str(), *fence)));
    }

    fn cancel_queued(&self, done: Py<PyAny>, queue: String, job_ids: Vec<String>) -> PyResult<()> {
        self.submit(done, |store| async move { store.cancel_queued(&queue, &job_ids).await.map(Answer::Count) })
    }

    fn cancel_running(
        &self,
        done: Py<PyAny>,
        queue: String,
        job_id: String,
        fence: u64,
        worker_id: String,
    ) -> PyResult<()> {
        self.submit(done, |store| async move {
            store.cancel_running(&queue, &job_id, fence, &worker_id).await.map(Answer::Count)
        })
    }

    fn rescue(&self, done: Py<PyAny>, queue: String, limit: usize, grace_ms: u64) -> PyResult<()> {
        self.submit(done, |store| async move { store.rescue(&queue, limit, grace_ms).await.map(Answer::Leases) })
    }

    fn promote(&self, done: Py<PyAny>, queue: String, limit: usize) -> PyResult<()> {
        self.submit(done, |store| async move { store.promote(&queue, limit).await.map(Answer::Promoted) })
    }

    fn missing(&self, done: Py<PyAny>, queue: String, jobs: Vec<JobFence>) -> PyResult<()> {
        self.submit(done, |store| async move { store.missing(&queue, &jobs).await.map(Answer::Texts) })
    }

    fn restore(
        &self,
        done: Py<PyAny>,
        queue: String,
        jobs: Vec<JobFence>,
        rebuilding: bool,
        lanes: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        let lanes = descriptors(lanes)?;
        self.submit(done, move |store| async move {
            store.restore(&queue, &jobs, rebuilding, &lanes).await.map(Answer::Count)
        })
    }

    fn set_policy(&self, done: Py<PyAny>, queue: String, fields: Policy, building: bool) -> PyResult<()> {
        self.submit(
            done,
            move |store| async move { store.set_policy(&queue, &fields, building).await.map(Answer::Policy) },
        )
    }

    fn lanes(&self, done: Py<PyAny>, queue: String) -> PyResult<()> {
        self.submit(done, |store| async move { store.lanes(&queue).await.map(Answer::Lanes) })
    }

    fn set_generation(&self, done: Py<PyAny>, queue: String) -> PyResult<()> {
        self.submit(done, |store| async move { store.set_generation(&queue).await.map(Answer::Flag) })
    }

    fn rouse(&self, done: Py<PyAny>, queue: String, workers: Vec<String>) -> PyResult<()> {
        self.submit(done, |store| async move { store.rouse(&queue, &workers).await.map(Answer::Count) })
    }

    fn pause(&self, done: Py<PyAny>, queue: String, paused: bool, building: bool) -> PyResult<()> {
        self.submit(done, |store| async move { store.pause(&queue, paused, building).await.map(Answer::Flag) })
    }

    fn ask(&self, done: Py<PyAny>, worker_id: String, text: String) -> PyResult<()> {
        self.submit(done, |store| async move { store.ask(&worker_id, &text).await.map(Answer::Count) })
    }

    fn answer(&self, done: Py<PyAny>, asker: String, text: String) -> PyResult<()> {
        self.submit(done, |store| async move { store.answer(&asker, &text).await.map(Answer::Count) })
    }

    fn has_generation(&self, done: Py<PyAny>, queue: String) -> PyResult<()> {
        self.submit(done, |store| async move { store.has_generation(&queue).await.map(Answer::Flag) })
    }

    fn duty(&self, done: Py<PyAny>, queue: String, ttl_ms: u64) -> PyResult<()> {
        self.submit(done, |store| async move { store.duty(&queue, ttl_ms).await.map(Answer::Count) })
    }

    fn forget_dead(&self, done: Py<PyAny>, queue: String, job_ids: Vec<String>) -> PyResult<()> {
        self.submit(done, |store| async move { store.forget_dead(&queue, &job_ids).await.map(Answer::Count) })
    }

    fn forget_queue(&self, done: Py<PyAny>, queue: String) -> PyResult<()> {
        self.submit(done, |store| async move { store.forget_queue(&queue).await.map(Answer::Count) })
    }

    fn depths(&self, done: Py<PyAny>, queue: String) -> PyResult<()> {
        self.submit(done, |store| async move { store.depths(&queue).await.map(Answer::Depths) })
    }

    fn ping(&self, done: Py<PyAny>) -> PyResult<()> {
        self.submit(done, |store| async move { store.ping().await.map(Answer::Millis) })
    }

    fn beats(&self, done: Py<PyAny>, worker_ids: Vec<String>) -> PyResult<()> {
        self.submit(done, |store| async move { store.beats(&worker_ids).await.map(Answer::Beats) })
    }

    fn watch(&self, queue: &str, job_id: &str) -> PyResult<()> {
        self.with_inbox(|inbox| inbox.watch(queue, job_id))
    }

    fn unwatch(&self, queue: &str, job_id: &str) {
        if let Some(inbox) = lock(&self.inbox).as_ref() {
            inbox.unwatch(queue, job_id);
        }
    }

    fn listen(&self) -> PyResult<()> {
        self.with_inbox(Inbox::listen)
    }

    fn obey(&self) -> PyResult<()> {
        self.with_inbox(Inbox::obey)
    }

    fn roster(&self, done: Py<PyAny>) -> PyResult<()> {
        self.submit(done, |store| async move { store.roster().await.map(Answer::Roster) })
    }

    fn heard(&self, done: Py<PyAny>) -> PyResult<()> {
        self.submit(done, |store| async move { store.heard().await.map(Answer::Heard) })
    }

    fn pass_over(&self, done: Py<PyAny>, queue: String, worker_ids: Vec<String>) -> PyResult<()> {
        self.submit(done, |store| async move { store.pass_over(&queue, &worker_ids).await.map(Answer::Count) })
    }

    fn series(&self, done: Py<PyAny>, worker_ids: Vec<String>) -> PyResult<()> {
        self.submit(done, |store| async move { store.series(&worker_ids).await.map(Answer::Series) })
    }

    fn lead(&self, done: Py<PyAny>, leadership: String, ttl_ms: u64) -> PyResult<()> {
        self.submit(done, |store| async move { store.lead(&leadership, ttl_ms).await.map(Answer::Count) })
    }

    fn resign(&self, done: Py<PyAny>, leadership: String) -> PyResult<()> {
        self.submit(done, |store| async move { store.resign(&leadership).await.map(Answer::Flag) })
    }

    #[pyo3(signature = (interval_ms, ttl_ms, history = 60, profile = "{}"))]
    fn start_heartbeat(&self, interval_ms: u64, ttl_ms: u64, history: usize, profile: &str) -> PyResult<()> {
        assert_same_process(self.process)?;
        let mut heartbeat = lock(&self.heartbeat);
        if heartbeat.is_none() {
            let held = Arc::clone(&self.held);
            let rhythm = Rhythm { interval_ms, ttl_ms, history };
            let started = Heartbeat::start(self.options.clone(), held, self.sink(), rhythm, profile);
            *heartbeat = Some(started.map_err(exception)?);
        }
        Ok(())
    }

    fn describe(&self, profile: &str) -> PyResult<()> {
        lock(&self.heartbeat).as_ref().map_or(Ok(()), |heartbeat| heartbeat.describe(profile)).map_err(exception)
    }

    fn stop_heartbeat(&self, py: Python<'_>) {
        let heartbeat = lock(&self.heartbeat).take();
        if let Some(heartbeat) = heartbeat {
            // The thread is waited for; it may be in the middle of a round trip.
            py.detach(|| heartbeat.stop());
        }
    }

    #[pyo3(signature = (running, capacity, ended = 0, failed = 0))]
    fn tick(&self, running: usize, capacity: usize, ended: u64, failed: u64) {
        if let Some(heartbeat) = lock(&self.heartbeat).as_ref() {
            heartbeat.tick(running, capacity, ended, failed);
        }
    }

    fn wedged(&self) -> bool {
        lock(&self.heartbeat).as_ref().is_some_and(Heartbeat::wedged)
    }

    fn score(&self) -> u8 {
        lock(&self.heartbeat).as_ref().map_or(100, Heartbeat::score)
    }

    fn silence_ms(&self) -> u64 {
        let silence = lock(&self.heartbeat).as_ref().map(Heartbeat::silence).unwrap_or_default();
        u64::try_from(silence.as_millis()).unwrap_or(u64::MAX)
    }

    fn held(&self) -> usize {
        self.held.len()
    }
}
