//! Latencies without losing the tail: an HDR histogram of microseconds, 1 us to 1 h, three significant digits.

use hdrhistogram::{
    Histogram as Hdr,
    serialization::{Deserializer, Serializer as _, V2Serializer},
};

use crate::error::{Error, Result};

const LONGEST_US: u64 = 3_600_000_000;

/// A histogram of durations.
#[derive(Debug, Clone)]
pub struct Histogram(Hdr<u64>);

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Result<Self> {
        Hdr::new_with_bounds(1, LONGEST_US, 3)
            .map(Self)
            .map_err(|error| Error::invalid("histogram", "constructible", error))
    }

    /// Counts one duration; shorter than 1 us counts as 1 us, longer than an hour as an hour.
    pub fn record(&mut self, seconds: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
        let micros = (seconds * 1e6).round() as u64;
        self.0.saturating_record(micros.clamp(1, LONGEST_US));
    }

    /// The duration, in seconds, that `percentile` (0 to 100) of all are not longer than; 0 if there is none.
    #[must_use]
    pub fn percentile(&self, percentile: f64) -> f64 {
        seconds(self.0.value_at_percentile(percentile.clamp(0.0, 100.0)))
    }

    /// Counts what another histogram has counted.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so that nothing can fall outside.
        let _ = self.0.add(&other.0);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The longest duration in seconds.
    #[must_use]
    pub fn max(&self) -> f64 {
        seconds(self.0.max())
    }

    /// The mean duration in seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.mean() / 1e6
    }

    /// The histogram as bytes (HDR V2), to be merged by another process.
    pub fn dumps(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&self.0, &mut bytes)
            .map_err(|error| Error::invalid("histogram", "serialisable", error))?;
        Ok(bytes)
    }

    /// Reads what [`dumps`](Self::dumps) wrote.
    pub fn loads(bytes: &[u8]) -> Result<Self> {
        Deserializer::new()
            .deserialize(&mut std::io::Cursor::new(bytes))
            .map(Self)
            .map_err(|error| Error::invalid("histogram", "bytes of a histogram", error))
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52 us")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_survives_merging_and_bytes() {
        let mut one = Histogram::new().unwrap();
        (0..990).for_each(|_| one.record(0.001));
        let mut other = Histogram::new().unwrap();
        (0..10).for_each(|_| other.record(2.0));
        one.merge(&Histogram::loads(&other.dumps().unwrap()).unwrap());
        assert_eq!(one.count(), 1000);
        assert!((one.percentile(50.0) - 0.001).abs() < 1e-5);
        assert!((one.percentile(99.5) - 2.0).abs() < 0.01);
        assert!((one.max() - 2.0).abs() < 0.01);
    }

    #[test]
    fn garbage_is_refused() {
        assert!(Histogram::loads(b"garbage").is_err());
    }
}
