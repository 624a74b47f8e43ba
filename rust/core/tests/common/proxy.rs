//! A way to a server that can go bad: connections fall silent without a word, and new ones may lead elsewhere.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Listens on a TCP port and forwards to a server's socket.
pub struct Proxy {
    pub url: String,
    era: Arc<AtomicUsize>,
    target: Arc<Mutex<PathBuf>>,
}

impl Proxy {
    pub fn start(target: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (era, target) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(target)));
        let (eras, targets) = (Arc::clone(&era), Arc::clone(&target));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                client.set_nodelay(true).unwrap();
                let Ok(server) = UnixStream::connect(&*targets.lock().unwrap()) else { continue };
                let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let mine = eras.load(Ordering::SeqCst);
                let silent = |eras: &Arc<AtomicUsize>| {
                    let eras = Arc::clone(eras);
                    move || eras.load(Ordering::SeqCst) != mine
                };
                let (one, two) = (silent(&eras), silent(&eras));
                std::thread::spawn(move || forward(from_client, to_server, |s| s.shutdown(Shutdown::Both), &one));
                std::thread::spawn(move || forward(server, client, |s| s.shutdown(Shutdown::Both), &two));
            }
        });
        Self { url, era, target }
    }

    /// Every connection there is loses all it is given from now on, and is not closed.
    pub fn silence(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }

    /// New connections lead to another server; those there are stay where they are.
    pub fn lead_to(&self, target: PathBuf) {
        *self.target.lock().unwrap() = target;
    }
}

fn forward<W: Write>(
    mut from: impl Read,
    mut to: W,
    close: impl Fn(&W) -> std::io::Result<()>,
    silent: &impl Fn() -> bool,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        if silent() {
            // neither data nor the end of it comes through
            if count == 0 {
                std::thread::park();
            }
        } else if count == 0 || to.write_all(&buffer[..count]).is_err() {
            let _ = close(&to);
            return;
        }
    }
}
