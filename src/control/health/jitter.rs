//! Intervals that differ a little each time, so that many checkers do not fall into step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A source of small differences; not for secrets.
pub(super) struct Jitter(u64);

impl Jitter {
    /// Different for each.
    pub(super) fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }

    /// The interval, up to a tenth shorter or longer.
    pub(super) fn spread(&mut self, interval: Duration) -> Duration {
        // xorshift64 (Marsaglia 2003): never 0 once it is not 0.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let tenths_of_percent = 900 + (self.0 >> 32) as u32 % 201;
        interval * tenths_of_percent / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_stays_within_a_tenth_and_uses_both_sides() {
        let mut jitter = Jitter::new();
        let all: Vec<Duration> = (0..1_000).map(|_| jitter.spread(Duration::from_secs(10))).collect();
        assert!(all.iter().all(|one| (Duration::from_secs(9)..=Duration::from_secs(11)).contains(one)));
        assert!(all.iter().any(|one| *one < Duration::from_millis(9_500)));
        assert!(all.iter().any(|one| *one > Duration::from_millis(10_500)));
    }
}
