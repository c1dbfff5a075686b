//! The rise and fall thresholds of one checked endpoint. Pure; who probes and when is not here.

use crate::wall::health::Verdict;
use crate::wall::snapshot::Check;

/// What is known of one checked endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    verdict: Verdict,
    /// Results in a row that speak against the verdict.
    against: u32,
}

impl Tally {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self { verdict: Verdict::Unprobed, against: 0 }
    }

    /// What the results so far say.
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Counts one result; true when the verdict changes. The first result decides alone: with a
    /// `rise` of 3 a healthy new endpoint would otherwise wait three intervals for traffic.
    pub(super) fn record(&mut self, passed: bool, check: &Check) -> bool {
        let (says, needed) = if passed { (Verdict::Up, check.rise) } else { (Verdict::Down, check.fall) };
        if says == self.verdict {
            self.against = 0;
            return false;
        }
        self.against += 1;
        if self.verdict != Verdict::Unprobed && self.against < needed {
            return false;
        }
        *self = Self { verdict: says, against: 0 };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::snapshot::CheckMethod;

    fn check(rise: u32, fall: u32) -> Check {
        Check { method: CheckMethod::Tcp, interval_ms: 1_000, timeout_ms: 1_000, rise, fall }
    }

    fn verdicts(check: &Check, results: &[bool]) -> Vec<Verdict> {
        let mut tally = Tally::new();
        results
            .iter()
            .map(|&passed| {
                tally.record(passed, check);
                tally.verdict()
            })
            .collect()
    }

    use Verdict::{Down, Up};

    #[test]
    fn the_first_result_decides() {
        assert_eq!(verdicts(&check(3, 3), &[true]), [Up]);
        assert_eq!(verdicts(&check(3, 3), &[false]), [Down]);
    }

    #[test]
    fn fall_failures_in_a_row_make_down() {
        assert_eq!(verdicts(&check(1, 3), &[true, false, false, false]), [Up, Up, Up, Down]);
    }

    #[test]
    fn a_success_between_failures_starts_the_count_again() {
        assert_eq!(verdicts(&check(1, 2), &[true, false, true, false, false]), [Up, Up, Up, Up, Down]);
    }

    #[test]
    fn rise_successes_in_a_row_make_up() {
        assert_eq!(verdicts(&check(2, 1), &[false, true, false, true, true]), [Down, Down, Down, Down, Up]);
    }

    #[test]
    fn a_threshold_of_zero_is_one() {
        assert_eq!(verdicts(&check(0, 0), &[true, false, true]), [Up, Down, Up]);
    }

    #[test]
    fn record_tells_a_change_and_only_a_change() {
        let mut tally = Tally::new();
        let flips: Vec<bool> = [true, true, false, false].map(|passed| tally.record(passed, &check(1, 1))).into();
        assert_eq!(flips, [true, false, true, false]);
    }
}
