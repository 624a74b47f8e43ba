//! How long to wait before a retry.
//!
//! `min(base * factor ** attempt + jitter, cap)`, after "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): many jobs
//! that failed together must not come back together.

use crate::error::{Error, Result};

/// How much of a delay is left to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// All of it: uniform from 0 to the delay.
    Full,
    /// Its upper half.
    Equal,
    /// Nothing.
    None,
}

impl std::str::FromStr for Jitter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "full" => Ok(Self::Full),
            "equal" => Ok(Self::Equal),
            "none" => Ok(Self::None),
            other => Err(Error::invalid("jitter", "full, equal or none", other)),
        }
    }
}

/// The delay before retry `attempt` (from 0), ms. Without jitter it is `min(base * factor ** attempt, cap)`; `random` is drawn from [0, 1).
pub fn backoff_ms(attempt: u32, base_ms: u64, factor: f64, cap_ms: u64, jitter: Jitter, random: f64) -> Result<u64> {
    if base_ms == 0 {
        return Err(Error::invalid("base_ms", "at least 1", base_ms));
    }
    if cap_ms == 0 {
        return Err(Error::invalid("cap_ms", "at least 1", cap_ms));
    }
    if !(1.0..=100.0).contains(&factor) {
        return Err(Error::invalid("factor", "1 to 100", factor));
    }
    let exponent = i32::try_from(attempt).unwrap_or(i32::MAX);
    #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^52 ms")]
    let (base, cap) = (base_ms as f64, cap_ms as f64);
    // An overflow is infinite, which the cap takes care of.
    let whole = (base * factor.powi(exponent)).min(cap);
    let delay = match jitter {
        Jitter::Full => whole * random,
        Jitter::Equal => whole / 2.0 + whole / 2.0 * random,
        Jitter::None => whole,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and cap_ms, which is a u64")]
    Ok(delay.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_jitter_it_doubles_up_to_the_cap() {
        let delays: Vec<u64> = (0..8).map(|n| backoff_ms(n, 1000, 2.0, 60_000, Jitter::None, 0.5).unwrap()).collect();
        assert_eq!(delays, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        for random in [0.0, 0.25, 0.999_999] {
            assert!(backoff_ms(3, 1000, 2.0, 60_000, Jitter::Full, random).unwrap() <= 8000);
            assert!((4000..=8000).contains(&backoff_ms(3, 1000, 2.0, 60_000, Jitter::Equal, random).unwrap()));
        }
    }

    #[test]
    fn the_largest_attempt_is_capped() {
        assert_eq!(backoff_ms(u32::MAX, 1000, 100.0, 60_000, Jitter::None, 0.0).unwrap(), 60_000);
    }

    #[test]
    fn what_makes_no_delay_is_refused() {
        assert!(backoff_ms(0, 0, 2.0, 1, Jitter::None, 0.0).is_err());
        assert!(backoff_ms(0, 1, f64::NAN, 1, Jitter::None, 0.0).is_err());
        assert!(backoff_ms(0, 1, 2.0, 0, Jitter::None, 0.0).is_err());
        assert!("half".parse::<Jitter>().is_err());
    }
}
