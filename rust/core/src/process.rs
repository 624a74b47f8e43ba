//! What this process uses, as its operating system counts it.

use std::time::{Duration, Instant};

/// Asked once a beat; the workers of a process share what it says.
#[derive(Debug)]
pub(crate) struct ProcessMeter {
    asked: Instant,
    used: Duration,
    /// What was found when it was last asked.
    pub usage: Usage,
}

/// CPU since the time before, in percent of one core, and resident memory; 0 where the system does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub cpu_percent: f64,
    pub rss_bytes: u64,
}

impl ProcessMeter {
    /// From now on.
    pub(crate) fn new() -> Self {
        Self { asked: Instant::now(), used: cpu_time(), usage: Usage { cpu_percent: 0.0, rss_bytes: resident() } }
    }

    /// Asks.
    pub(crate) fn look(&mut self) {
        let (now, used) = (Instant::now(), cpu_time());
        let passed = now.duration_since(self.asked).as_secs_f64();
        if passed > 0.0 {
            let cpu_percent = used.saturating_sub(self.used).as_secs_f64() / passed * 100.0;
            self.usage = Usage { cpu_percent, rss_bytes: resident() };
            (self.asked, self.used) = (now, used);
        }
    }
}

#[cfg(unix)]
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(not(unix))]
fn cpu_time() -> Duration {
    Duration::ZERO
}

#[cfg(target_os = "linux")]
fn resident() -> u64 {
    // size and resident, in pages
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * rustix::param::page_size() as u64
}

#[cfg(not(target_os = "linux"))]
fn resident() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen() {
        let mut meter = ProcessMeter::new();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        meter.look();
        assert!(meter.usage.cpu_percent > 1.0, "{:?}", meter.usage);
        #[cfg(target_os = "linux")]
        assert!(meter.usage.rss_bytes > 100_000, "{:?}", meter.usage);
    }
}
