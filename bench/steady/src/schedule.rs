//! When each request is due.
//!
//! In scope: equal gaps that do not add up rounding. Out of scope: who sends it, and when it really went.

use std::time::Duration;

/// Instants with equal gaps, as durations since the beginning.
#[derive(Debug)]
pub(crate) struct Schedule {
    rate: f64,
    next: u64,
    end: Duration,
}

impl Schedule {
    /// `rate` per second until `end`.
    pub(crate) fn new(rate: f64, end: Duration) -> Self {
        Self { rate, next: 0, end }
    }

    /// The next instant if it has come; the one after it is next then.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Duration> {
        let due = self.peek().filter(|due| *due <= now)?;
        self.next += 1;
        Some(due)
    }

    /// The next instant; none when the end is reached.
    pub(crate) fn peek(&self) -> Option<Duration> {
        Some(Duration::from_secs_f64(self.next as f64 / self.rate)).filter(|due| *due < self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_due_as_the_rate_says() {
        let mut schedule = Schedule::new(30_000.0, Duration::from_secs(2));
        let mut count = 0;
        while schedule.take(Duration::from_secs(1)).is_some() {
            count += 1;
        }
        // The one at 0 and the one at 1 s included.
        assert_eq!(count, 30_001);
        assert!(schedule.peek().unwrap() > Duration::from_secs(1));
    }

    #[test]
    fn nothing_is_due_at_the_end() {
        let mut schedule = Schedule::new(10.0, Duration::from_millis(150));
        let late = Duration::from_secs(9);
        assert_eq!(
            [schedule.take(late), schedule.take(late)],
            [Some(Duration::ZERO), Some(Duration::from_millis(100))]
        );
        assert_eq!((schedule.take(late), schedule.peek()), (None, None));
    }
}
