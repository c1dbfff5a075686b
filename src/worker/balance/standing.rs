//! What a core has learned of one endpoint: whether its attempts fail, whether it is just back, how soon it answers.
//!
//! In scope: its level, the part of its weight that counts for now, and its latency. A failure lowers the level by a part
//! of itself, never below a sixty-fourth, so that there is still something to learn from; a success gives a tenth of the
//! whole back, and time gives the rest: an endpoint that is chosen no more would otherwise never be forgiven. An
//! endpoint that is back after it was down begins at a sixteenth and has its full level when its slow start is over.
//! Each core learns for itself, and what it has learned outlives an epoch. Out of scope: what counts as a failure
//! (`exchange`), and taking an endpoint out (`control`).

use std::cell::Cell;

use crate::limits::{EWMA_DECAY_MS, FAILURE_FORGIVEN_MS};

/// The level of an endpoint of which nothing bad is known.
pub const FULL: u32 = 1_024;
/// No failure brings it below this.
const LOWEST: u32 = FULL / 64;
/// A slow start begins here.
const RAMP_FROM: u32 = FULL / 16;
/// What a success gives back.
const SUCCESS: u32 = FULL / 10;
/// What an attempt that failed counts as having taken, at least: failing quickly is not being quick.
const FAILED_US: f64 = 1_000_000.0;

/// What a core has learned of one endpoint.
#[derive(Debug)]
pub struct Standing {
    /// The level that failures left, at the time below.
    trust: Cell<u32>,
    trust_us: Cell<u64>,
    /// Since when it is back; 0 where that does not matter any more.
    back_us: Cell<u64>,
    /// How long an answer takes, at the time below; 0 is not known.
    latency: Cell<f64>,
    latency_us: Cell<u64>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            trust: Cell::new(FULL),
            trust_us: Cell::new(0),
            back_us: Cell::new(0),
            latency: Cell::new(0.0),
            latency_us: Cell::new(0),
        }
    }
}

/// A part of `whole` that grows from 0 with the time, as long as `length_ms`.
fn grown(whole: u32, since_us: u64, length_ms: u32, now_us: u64) -> u32 {
    let length_us = u64::from(length_ms) * 1_000;
    let elapsed_us = now_us.saturating_sub(since_us).min(length_us);
    u32::try_from(u64::from(whole) * elapsed_us / length_us.max(1)).unwrap_or(whole)
}

impl Standing {
    /// Which part of its weight counts now, of `FULL`; never 0.
    #[inline]
    pub fn level(&self, slow_start_ms: u32, now_us: u64) -> u32 {
        if self.trust.get() == FULL && self.back_us.get() == 0 {
            return FULL;
        }
        self.lowered(slow_start_ms, now_us)
    }

    fn lowered(&self, slow_start_ms: u32, now_us: u64) -> u32 {
        (self.trust(now_us) * self.ramp(slow_start_ms, now_us) / FULL).max(1)
    }

    fn trust(&self, now_us: u64) -> u32 {
        let forgiven = grown(FULL, self.trust_us.get(), FAILURE_FORGIVEN_MS, now_us);
        (self.trust.get() + forgiven).min(FULL)
    }

    fn ramp(&self, slow_start_ms: u32, now_us: u64) -> u32 {
        let since_us = self.back_us.get();
        if since_us == 0 {
            return FULL;
        }
        if now_us.saturating_sub(since_us) >= u64::from(slow_start_ms) * 1_000 {
            self.back_us.set(0);
            return FULL;
        }
        RAMP_FROM + grown(FULL - RAMP_FROM, since_us, slow_start_ms, now_us)
    }

    /// It has taken traffic since then, after it took none.
    pub fn is_back(&self, since_us: u64) {
        self.back_us.set(since_us.max(1));
    }

    /// An attempt went well.
    #[inline]
    pub fn succeeded(&self, now_us: u64) {
        if self.trust.get() < FULL {
            self.set_trust((self.trust(now_us) + SUCCESS).min(FULL), now_us);
        }
    }

    /// An attempt failed.
    pub fn failed(&self, percent: u32, now_us: u64) {
        if percent > 0 {
            let left = self.trust(now_us) * (100 - percent.min(100)) / 100;
            self.set_trust(left.max(LOWEST), now_us);
        }
    }

    fn set_trust(&self, trust: u32, now_us: u64) {
        self.trust.set(trust);
        self.trust_us.set(now_us);
    }

    /// An answer took so long. More than expected counts at once, less little by little (peak EWMA, as in Finagle).
    pub fn answered_in(&self, took_us: u64, now_us: u64) {
        let (took, known) = (took_us as f64, self.latency.get());
        let kept = self.kept(now_us);
        self.set_latency(if took > known * kept { took } else { known * kept + took * (1.0 - kept) }, now_us);
    }

    /// There will be none, after so long.
    pub fn failed_after(&self, took_us: u64, now_us: u64) {
        self.set_latency(self.latency_us(now_us).max(took_us as f64).max(FAILED_US), now_us);
    }

    /// It is awaited no longer, after so long. Otherwise an endpoint that clients give up on would look idle and quick.
    pub fn waited(&self, for_us: u64, now_us: u64) {
        self.set_latency(self.latency_us(now_us).max(for_us as f64), now_us);
    }

    fn set_latency(&self, latency: f64, now_us: u64) {
        self.latency.set(latency);
        self.latency_us.set(now_us);
    }

    /// How long an answer is likely to take; 0 where nothing is known. What is not heard of again fades, so that an
    /// endpoint that was slow is tried again.
    #[must_use]
    pub fn latency_us(&self, now_us: u64) -> f64 {
        self.latency.get() * self.kept(now_us)
    }

    /// How much of what was known still counts.
    fn kept(&self, now_us: u64) -> f64 {
        let elapsed_us = now_us.saturating_sub(self.latency_us.get());
        (-(elapsed_us as f64) / (EWMA_DECAY_MS as f64 * 1_000.0)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_failure_halves_the_level_and_successes_restore_it() {
        let standing = Standing::default();
        standing.failed(50, SECOND);
        assert_eq!(standing.level(0, SECOND), FULL / 2);
        let levels: Vec<_> = (0..6).map(|_| (standing.succeeded(SECOND), standing.level(0, SECOND)).1).collect();
        assert_eq!(levels, [614, 716, 818, 920, 1_022, 1_024]);
    }

    #[test]
    fn however_often_it_fails_something_is_left() {
        let standing = Standing::default();
        (0..100).for_each(|_| standing.failed(99, SECOND));
        assert_eq!(standing.level(0, SECOND), FULL / 64);
    }

    #[test]
    fn where_failures_cost_nothing_the_level_stays() {
        let standing = Standing::default();
        standing.failed(0, SECOND);
        assert_eq!(standing.level(0, SECOND), FULL);
    }

    #[test]
    fn time_forgives() {
        let standing = Standing::default();
        (0..10).for_each(|_| standing.failed(50, SECOND));
        let half_us = u64::from(FAILURE_FORGIVEN_MS) * 500;
        assert_eq!(standing.level(0, SECOND + half_us), FULL / 64 + FULL / 2);
        assert_eq!(standing.level(0, SECOND + 2 * half_us), FULL);
    }

    #[test]
    fn a_slow_start_grows_with_the_time_and_ends() {
        let standing = Standing::default();
        standing.is_back(5 * SECOND);
        let levels: Vec<_> = [0, 1, 2, 3, 4].map(|second| standing.level(4_000, (5 + second) * SECOND)).into();
        assert_eq!(levels, [64, 304, 544, 784, 1_024]);
        assert_eq!(standing.level(4_000, 5 * SECOND), FULL, "it is over");
    }

    #[test]
    fn without_a_slow_start_an_endpoint_that_is_back_has_its_full_level() {
        let standing = Standing::default();
        standing.is_back(SECOND);
        assert_eq!(standing.level(0, SECOND), FULL);
    }

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let standing = Standing::default();
        standing.answered_in(10_000, SECOND);
        standing.answered_in(500_000, SECOND);
        assert!((standing.latency_us(SECOND) - 500_000.0).abs() < 1.0);
        standing.answered_in(10_000, SECOND);
        assert!(standing.latency_us(SECOND) > 490_000.0, "one quick answer is not enough");
        let later = SECOND + EWMA_DECAY_MS * 1_000;
        let faded = standing.latency_us(later) / standing.latency_us(SECOND);
        assert!((faded - (-1.0_f64).exp()).abs() < 1e-9, "{faded}");
    }

    #[test]
    fn what_was_awaited_in_vain_takes_that_long_at_least() {
        let standing = Standing::default();
        standing.answered_in(10_000, SECOND);
        standing.waited(5_000, SECOND);
        assert!((standing.latency_us(SECOND) - 10_000.0).abs() < 1.0);
        standing.waited(3_000_000, SECOND);
        assert!((standing.latency_us(SECOND) - 3_000_000.0).abs() < 1.0);
    }

    #[test]
    fn failing_quickly_is_not_being_quick() {
        let standing = Standing::default();
        standing.answered_in(10_000, SECOND);
        standing.failed_after(50, SECOND);
        assert!(standing.latency_us(SECOND) >= FAILED_US);
    }
}
