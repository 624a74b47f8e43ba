//! Waking an event loop: a file descriptor that is readable while something waits.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, read, write};

/// A non-blocking eventfd, or a pipe where there is none.
pub(crate) struct Wakeup {
    readable: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    writable: OwnedFd,
}

impl Wakeup {
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> std::io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self { readable: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> std::io::Result<Self> {
        use rustix::{
            fs::{OFlags, fcntl_setfl},
            io::{FdFlags, fcntl_setfd},
            pipe::pipe,
        };
        let (readable, writable) = pipe()?;
        for end in [&readable, &writable] {
            fcntl_setfd(end, FdFlags::CLOEXEC)?;
            fcntl_setfl(end, OFlags::NONBLOCK)?;
        }
        Ok(Self { readable, writable })
    }

    pub(crate) fn fileno(&self) -> RawFd {
        self.readable.as_raw_fd()
    }

    /// Makes the descriptor readable. A full one is readable already.
    pub(crate) fn signal(&self) {
        #[cfg(target_os = "linux")]
        let end = &self.readable;
        #[cfg(not(target_os = "linux"))]
        let end = &self.writable;
        while let Err(Errno::INTR) = write(end, &1_u64.to_ne_bytes()) {}
    }

    /// Makes the descriptor unreadable.
    pub(crate) fn clear(&self) {
        let mut buffer = [0_u8; 512];
        loop {
            match read(&self.readable, &mut buffer) {
                Err(Errno::INTR) => {}
                Ok(count) if count == buffer.len() => {}
                _ => break,
            }
        }
    }
}
