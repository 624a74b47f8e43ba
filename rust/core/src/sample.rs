//! One worker's health at one beat: what the rates were since the beat before, and a score that sums it up.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::{process::Usage, pulse::Vitals};

/// Failures count half after this time.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// Good endings that a worker is credited with, so that one failure out of one says little.
const CREDIT: f64 = 10.0;
/// A loop's age below this is no sign of anything: it ticks every 250 ms.
const TICK: Duration = Duration::from_millis(500);

/// What is remembered from beat to beat.
#[derive(Debug)]
pub(crate) struct Sampler {
    beat: u64,
    taken: Instant,
    counted: (u64, u64),
    /// Endings and failures, older ones counting less.
    ended: f64,
    failed: f64,
}

/// What a sample is made of, besides the rates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub vitals: Vitals,
    pub usage: Usage,
    pub held: usize,
    /// Leases taken since the beat before, and for how many ms in all they had waited.
    pub waits: (u64, u64),
    /// How much later than planned the beat is sent.
    pub lag: Duration,
    /// The server's time, ms.
    pub at_ms: i64,
    pub interval: Duration,
}

/// A sample in both forms, the heartbeat's JSON object and the line of the series, and its score by itself.
#[derive(Debug)]
pub(crate) struct Sample {
    pub whole: String,
    pub line: String,
    pub score: u8,
}

impl Sampler {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        Self { beat: 0, taken: Instant::now(), counted: (0, 0), ended: 0.0, failed: 0.0 }
    }

    /// How many samples were taken.
    pub(crate) fn beat(&self) -> u64 {
        self.beat
    }

    /// Takes a sample. `profile` is the fields of a JSON object, which come last.
    pub(crate) fn take(&mut self, reading: &Reading, profile: &str) -> Sample {
        self.count(&reading.vitals);
        self.beat += 1;
        let vitals = &reading.vitals;
        let error_rate = if self.ended > 0.0 { self.failed / self.ended } else { 0.0 };
        let (leased, waited_ms) = reading.waits;
        let queue_wait_ms = waited_ms.checked_div(leased).unwrap_or_default();
        let (lag_ms, tick_age_ms) = (reading.lag.as_millis(), vitals.tick_age.as_millis());
        let Usage { cpu_percent, rss_bytes } = reading.usage;
        let (at_ms, running, held) = (reading.at_ms, vitals.running, reading.held);
        let mut whole = format!(
            r#"{{"pid":{},"running":{running},"capacity":{},"held":{held},"tick_age_ms":{tick_age_ms},"wedged":{}"#,
            std::process::id(),
            vitals.capacity,
            vitals.wedged,
        );
        let (beat, every_ms, score) = (self.beat, reading.interval.as_millis(), self.score(reading));
        // Writing to a string cannot fail.
        let _ = write!(
            whole,
            r#","beat":{beat},"every_ms":{every_ms},"at_ms":{at_ms},"cpu_percent":{cpu_percent:.1},"rss_bytes":{rss_bytes},"#
        );
        let _ = write!(
            whole,
            r#""error_rate":{error_rate:.4},"lag_ms":{lag_ms},"queue_wait_ms":{queue_wait_ms},"score":{score}"#
        );
        if !profile.is_empty() {
            whole.push(',');
            whole.push_str(profile);
        }
        whole.push('}');
        let line = format!(
            "[{at_ms},{cpu_percent:.1},{rss_bytes},{error_rate:.4},{running},{lag_ms},{tick_age_ms},{queue_wait_ms}]"
        );
        Sample { whole, line, score }
    }

    fn count(&mut self, vitals: &Vitals) {
        let now = Instant::now();
        let halved = now.duration_since(self.taken).as_secs_f64() / HALF_LIFE.as_secs_f64();
        let kept = 0.5_f64.powf(halved);
        let (ended, failed) = self.counted;
        self.ended = self.ended * kept + lossy(vitals.ended.saturating_sub(ended));
        self.failed = self.failed * kept + lossy(vitals.failed.saturating_sub(failed));
        self.counted = (vitals.ended, vitals.failed);
        self.taken = now;
    }

    /// 100 for a worker that is well, 0 for one that is wedged: `100 (1 - e) (1 - l) (1 - t)`, where `e` is the share of recent attempts
    /// that failed (with a credit of ten good ones), `l` the beat's lag and `t` the loop's age, both in parts of three intervals.
    fn score(&self, reading: &Reading) -> u8 {
        if reading.vitals.wedged {
            return 0;
        }
        let part = |late: Duration| (late.as_secs_f64() / (reading.interval * 3).as_secs_f64()).min(1.0);
        let errors = self.failed / (self.ended + CREDIT);
        let well =
            (1.0 - errors) * (1.0 - part(reading.lag)) * (1.0 - part(reading.vitals.tick_age.saturating_sub(TICK)));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
        let score = (well * 100.0).round() as u8;
        score
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52 endings")]
fn lossy(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        Reading {
            vitals: Vitals { running: 2, capacity: 4, ..Vitals::default() },
            usage: Usage { cpu_percent: 12.34, rss_bytes: 5 },
            held: 3,
            waits: (4, 100),
            lag: Duration::ZERO,
            at_ms: 7,
            interval: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_sample_is_json_with_the_profile_in_it() {
        let sample = Sampler::new().take(&reading(), r#""name":"n""#);
        assert!(sample.whole.starts_with(r#"{"pid":"#), "{}", sample.whole);
        for field in
            [r#""running":2"#, r#""held":3"#, r#""beat":1"#, r#""queue_wait_ms":25"#, r#""score":100,"name":"n"}"#]
        {
            assert!(sample.whole.contains(field), "{field} in {}", sample.whole);
        }
        assert_eq!(sample.line, "[7,12.3,5,0.0000,2,0,0,25]");
    }

    #[test]
    fn what_fails_is_late_or_stands_still_scores_less() {
        let mut sampler = Sampler::new();
        let score = |sampler: &mut Sampler, reading: &Reading| -> u8 {
            let Sample { whole, score, .. } = sampler.take(reading, "");
            assert!(whole.ends_with(&format!(r#""score":{score}}}"#)), "{whole}");
            score
        };
        let well = reading();
        assert_eq!(score(&mut sampler, &well), 100);
        let mut failing = well;
        (failing.vitals.ended, failing.vitals.failed) = (100, 100);
        assert!(score(&mut sampler, &failing) < 15);
        // one failure alone is no verdict
        let mut once = well;
        (once.vitals.ended, once.vitals.failed) = (1, 1);
        assert!(score(&mut Sampler::new(), &once) > 85);
        let late = Reading { lag: Duration::from_millis(1500), ..well };
        assert_eq!(score(&mut Sampler::new(), &late), 50);
        let mut wedged = well;
        wedged.vitals.wedged = true;
        assert_eq!(score(&mut Sampler::new(), &wedged), 0);
    }
}
