//! A real server for each test binary, and a prefix of its own for each test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "every test binary uses a part of this")]

pub mod proxy;

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use tenure_core::{Descriptor, Event, EventSink, Inbox, Keys, Options, ServerInfo, Store};

/// A server on a Unix socket in a directory that is removed with it.
pub struct Server {
    directory: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Starts one; `TENURE_TEST_REDIS_SERVER` names the program, else what is on the path.
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tnr{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let server = Self { directory, child: Mutex::new(None) };
        server.up();
        server
    }

    pub fn up(&self) {
        let program = std::env::var("TENURE_TEST_REDIS_SERVER").unwrap_or_else(|_| "valkey-server".to_owned());
        let socket = self.socket();
        let child = Command::new(&program)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.directory)
            .arg("--unixsocket")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("no server, set TENURE_TEST_REDIS_SERVER to one: {program}: {error}"));
        *self.child.lock().unwrap() = Some(child);
        eventually("the server answers", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join("s")
    }

    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub fn options(&self, worker: &str) -> Options {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Options {
            prefix: format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed)),
            lease_ms: 600,
            margin_ms: 100,
            command_timeout_ms: 2_000,
            ..Options::new(self.url(), worker)
        }
    }

    /// A store under a prefix of its own.
    pub async fn store(&self) -> (Store, ServerInfo, Options) {
        let options = self.options("one");
        let (store, info) = self.store_of(&options).await;
        (store, info, options)
    }

    pub async fn store_of(&self, options: &Options) -> (Store, ServerInfo) {
        Store::connect(options.clone(), Store::held_for(options)).await.unwrap()
    }

    /// A plain connection, to look behind.
    pub fn raw(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Polls until a condition holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < give_up, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Events, to be waited for.
pub fn sink() -> (EventSink, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    (
        Arc::new(move |event| {
            let _ = sender.lock().unwrap().send(event);
        }),
        receiver,
    )
}

/// Waits for an event that fits.
pub fn wait_for(events: &mpsc::Receiver<Event>, fits: impl Fn(&Event) -> bool) -> Event {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left).expect("the event did not come");
        if fits(&event) {
            return event;
        }
    }
}

/// An inbox that is heard already, and what it hears.
pub fn listening(options: &Options) -> (Inbox, mpsc::Receiver<Event>) {
    let (events, told) = sink();
    let (inbox, task) = Inbox::new(options.clone(), Keys::new(options.prefix.clone()).unwrap(), events);
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(task);
    });
    inbox.listen();
    wait_for(&told, |event| *event == Event::Reconnected);
    (inbox, told)
}

/// A job that is ready.
pub fn job(id: &str, priority: u8) -> Descriptor {
    Descriptor {
        job_id: id.to_owned(),
        job_type: "type".to_owned(),
        priority,
        fence: 0,
        attempts: 0,
        max_retries: 5,
        timeout_ms: 0,
        run_at_ms: 1_000,
        ready: false,
        payload: b"{}\nwith a line".to_vec(),
        payload_format: "json".to_owned(),
        mode: "before".to_owned(),
        attributes: tenure_core::Attributes::default(),
    }
}

/// The ids of leases.
pub fn ids(batch: &tenure_core::LeaseBatch) -> Vec<&str> {
    batch.leases.iter().map(|lease| lease.job.job_id.as_str()).collect()
}
