//! How slowly a peer may send or take a body: progress within a time, and a rate over time.
//!
//! A peer begins with a grace, in milliseconds. Waiting for it spends them, its bytes earn them back at the
//! minimum rate, and it never has more than the grace. Only waiting for this peer counts, so a stream that is
//! quiet because nobody sends, or an upload that waits for the service, costs nothing. Out of scope: what a peer
//! without any left is told (`upload`, `answer`).

use std::cell::Cell;

/// What one peer has left.
#[derive(Debug)]
pub struct Pace {
    progress_ms: u64,
    bytes_per_second: u64,
    grace_ms: u64,
    left_ms: Cell<u64>,
}

impl Pace {
    /// A peer must make progress within a time, 0 for any, and keep a rate, 0 for any, after a grace.
    #[must_use]
    pub fn new(progress_ms: u64, bytes_per_second: u32, grace_ms: u32) -> Self {
        let grace_ms = u64::from(grace_ms);
        Self { progress_ms, bytes_per_second: bytes_per_second.into(), grace_ms, left_ms: Cell::new(grace_ms) }
    }

    /// How long the next wait may take; 0 is for ever.
    #[must_use]
    pub fn wait_ms(&self) -> u64 {
        match (self.progress_ms, self.bytes_per_second) {
            (progress_ms, 0) => progress_ms,
            (0, _) => self.left_ms.get().max(1),
            (progress_ms, _) => progress_ms.min(self.left_ms.get()).max(1),
        }
    }

    /// A wait is over and brought so many bytes.
    pub fn count(&self, waited_ms: u64, bytes: usize) {
        // Most peers never keep anybody waiting.
        if self.bytes_per_second == 0 || (waited_ms == 0 && self.left_ms.get() == self.grace_ms) {
            return;
        }
        let earned_ms = (bytes as u64).saturating_mul(1_000) / self.bytes_per_second;
        let left_ms = self.left_ms.get().saturating_add(earned_ms).saturating_sub(waited_ms);
        self.left_ms.set(left_ms.min(self.grace_ms));
    }

    /// Whether the rate was not kept.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.bytes_per_second > 0 && self.left_ms.get() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_below_the_rate_runs_out_of_its_grace() {
        let pace = Pace::new(30_000, 100, 10_000);
        let waits = (1..100).take_while(|_| {
            pace.count(1_000, 50);
            !pace.is_missed()
        });
        // Each second costs 1,000 and earns 500.
        assert_eq!(waits.count(), 19);
    }

    #[test]
    fn a_peer_at_the_rate_never_does() {
        let pace = Pace::new(30_000, 100, 10_000);
        (0..1_000).for_each(|_| pace.count(1_000, 100));
        assert!(!pace.is_missed());
    }

    #[test]
    fn what_was_sent_fast_earns_no_more_than_the_grace() {
        let pace = Pace::new(0, 100, 10_000);
        pace.count(1, 1_000_000_000);
        assert_eq!(pace.wait_ms(), 10_000);
        pace.count(10_000, 0);
        assert!(pace.is_missed());
    }

    #[test]
    fn without_a_rate_only_progress_counts() {
        let pace = Pace::new(30_000, 0, 10_000);
        pace.count(1_000_000, 1);
        assert!(!pace.is_missed());
        assert_eq!(pace.wait_ms(), 30_000);
    }

    #[test]
    fn a_wait_is_no_longer_than_either_allows() {
        assert_eq!(Pace::new(30_000, 100, 10_000).wait_ms(), 10_000);
        assert_eq!(Pace::new(5_000, 100, 10_000).wait_ms(), 5_000);
        assert_eq!(Pace::new(0, 0, 10_000).wait_ms(), 0);
    }
}
