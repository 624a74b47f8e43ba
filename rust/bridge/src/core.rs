//! The class `Core`: one event loop's hot path. Calls only submit; what they answer arrives through `drain`.

use std::sync::{Arc, Mutex};

use pyo3::{prelude::*, types::PyList};
use tenure_core::{Held, Inbox, JobFence, Keys, Options, Policy, Result, Rhythm, Store};

use crate::{
    calls::Calls,
    completion::Answer,
    connection::Connection,
    error::{RedisUnavailable, exception},
    heartbeat::Thread,
    runtime::{lock, spawn},
    types,
};

#[pyclass(frozen, module = "tenure._core")]
pub(crate) struct Core {
    options: Options,
    held: Arc<Held>,
    calls: Calls,
    connection: Connection,
    inbox: Mutex<Option<Inbox>>,
    heartbeat: Thread,
}

impl Core {
    /// Runs an operation on the store.
    fn submit<F>(&self, done: Py<PyAny>, operation: impl FnOnce(Store) -> F) -> PyResult<()>
    where
        F: Future<Output = Result<Answer>> + Send + 'static,
    {
        let Some(store) = self.connection.store() else {
            self.calls.assert_same_process()?;
            return Err(RedisUnavailable::new_err("not connected"));
        };
        self.calls.run(done, operation(store))
    }

    fn with_inbox(&self, act: impl FnOnce(&Inbox)) -> PyResult<()> {
        let mut inbox = lock(&self.inbox);
        if inbox.is_none() {
            let keys = Keys::new(self.options.prefix.clone()).map_err(exception)?;
            let (handle, task) = Inbox::new(self.options.clone(), keys, self.calls.sink());
            spawn(task)?;
            *inbox = Some(handle);
        }
        if let Some(handle) = inbox.as_ref() {
            act(handle);
        }
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
            held: Store::held_for(&options),
            options,
            calls: Calls::new()?,
            connection: Connection::default(),
            inbox: Mutex::default(),
            heartbeat: Thread::default(),
        })
    }

    fn fileno(&self) -> i32 {
        self.calls.fileno()
    }

    fn drain(&self, py: Python<'_>) -> PyResult<Vec<types::Event>> {
        self.calls.drain(py)
    }

    fn close(&self, py: Python<'_>) {
        self.heartbeat.stop(py);
        lock(&self.inbox).take();
        self.connection.close();
        self.calls.close();
    }

    fn connect(&self, done: Py<PyAny>) -> PyResult<()> {
        self.calls.run(done, self.connection.open(self.options.clone(), Arc::clone(&self.held)))
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

    fn astray(&self, done: Py<PyAny>, queue: String, jobs: Vec<(String, u8)>) -> PyResult<()> {
        self.submit(done, |store| async move { store.astray(&queue, &jobs).await.map(Answer::Texts) })
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
        self.calls.assert_same_process()?;
        let rhythm = Rhythm { interval_ms, ttl_ms, history };
        self.heartbeat.start(&self.options, &self.held, self.calls.sink(), rhythm, profile)
    }

    fn describe(&self, profile: &str) -> PyResult<()> {
        self.heartbeat.describe(profile)
    }

    fn stop_heartbeat(&self, py: Python<'_>) {
        self.heartbeat.stop(py);
    }

    #[pyo3(signature = (running, capacity, ended = 0, failed = 0))]
    fn tick(&self, running: usize, capacity: usize, ended: u64, failed: u64) {
        self.heartbeat.tick(running, capacity, ended, failed);
    }

    fn wedged(&self) -> bool {
        self.heartbeat.wedged()
    }

    fn score(&self) -> u8 {
        self.heartbeat.score()
    }

    fn silence_ms(&self) -> u64 {
        self.heartbeat.silence_ms()
    }

    fn held(&self) -> usize {
        self.held.len()
    }
}
