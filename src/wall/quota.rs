//! A tenant's daily quota: calls of the day, counted for the whole process.
//!
//! This is a named exception to "nothing is shared between workers". **Who writes**: every worker, for requests of a
//! tenant that has a quota; control, when the store tells of calls that this process has not counted (those before a
//! restart, and those of the other process of an upgrade). **Who reads**: the same, and the admin listener. A request
//! of a tenant without a quota touches none of it.
//!
//! Day and count are one 64-bit word, changed by compare-and-swap, so they are never seen apart and nobody has to set
//! the count back at midnight: the first call of a new day does it. **Error bound**: within a process exactly
//! `daily_max` calls are admitted per day, however many workers there are. A worker's clock is up to two ticks
//! (`limits::DEADLINE_TICK_MS`) old, so a call that comes within them after midnight may count for the day before.
//! Between two processes the error is what both admit in `limits::STORE_SYNC_MS`.
//!
//! Out of scope: when a day ends (`wall::calendar`), keeping the count over restarts (`control::store`).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::calendar::Day;

/// Bits of a word that hold the count; the day has the others, good until the year 4840.
const COUNT_BITS: u32 = 44;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;

/// How many calls a tenant has per day, and how many it has made.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Calls per day, at least 1.
    pub daily_max: u64,
    /// Calls of the day so far; the same one in every epoch of the process.
    pub count: Arc<DayCount>,
}

/// Two quotas are the same configuration when they allow the same; what was used is not configuration.
impl PartialEq for Quota {
    fn eq(&self, other: &Self) -> bool {
        self.daily_max == other.daily_max
    }
}

impl Eq for Quota {}

/// The calls of one day.
#[derive(Debug, Default)]
pub struct DayCount(AtomicU64);

impl DayCount {
    /// Counts one call of today, if fewer than `daily_max` have been. A call that is refused is not counted.
    pub fn take(&self, today: Day, daily_max: u64) -> bool {
        let one_more = |word| {
            let (day, count) = on(today, word);
            (count < daily_max.min(COUNT_MAX)).then(|| pack(day, count + 1))
        };
        self.0.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    /// Counts calls of that day that were made elsewhere; those of another day than the one under way are forgotten.
    pub fn add(&self, that_day: Day, calls: u64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let (day, count) = unpack(word);
            match day.cmp(&that_day) {
                std::cmp::Ordering::Less => Some(pack(that_day, calls.min(COUNT_MAX))),
                std::cmp::Ordering::Equal => Some(pack(day, count.saturating_add(calls).min(COUNT_MAX))),
                std::cmp::Ordering::Greater => None,
            }
        });
    }

    /// The day of the last call, and how many it has had.
    #[must_use]
    pub fn seen(&self) -> (Day, u64) {
        unpack(self.0.load(Relaxed))
    }

    /// The calls of that day.
    #[must_use]
    pub fn of(&self, today: Day) -> u64 {
        on(today, self.0.load(Relaxed)).1
    }
}

/// What the word says for today. A day that has begun is not gone back to yesterday, which clocks that differ by a
/// little would do at midnight; one further ahead comes from a clock that was wrong.
fn on(today: Day, word: u64) -> (Day, u64) {
    let (day, count) = unpack(word);
    if day == today || day.0 == today.0 + 1 { (day, count) } else { (today, 0) }
}

const fn pack(day: Day, count: u64) -> u64 {
    (day.0 as u64) << COUNT_BITS | count
}

const fn unpack(word: u64) -> (Day, u64) {
    (Day((word >> COUNT_BITS) as u32), word & COUNT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_quota_is_admitted_whoever_asks() {
        let count = DayCount::default();
        let admitted: usize = std::thread::scope(|scope| {
            let ask = || (0..10_000).filter(|_| count.take(Day(20_000), 25_000)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(admitted, 25_000);
        assert_eq!(count.of(Day(20_000)), 25_000);
    }

    #[test]
    fn a_new_day_begins_with_nothing() {
        let count = DayCount::default();
        assert!(count.take(Day(5), 1) && !count.take(Day(5), 1));
        assert!(count.take(Day(6), 1) && !count.take(Day(6), 1));
        assert_eq!(count.of(Day(7)), 0);
    }

    #[test]
    fn a_clock_that_lags_at_midnight_does_not_bring_yesterday_back() {
        let count = DayCount::default();
        assert!(count.take(Day(6), 2));
        assert!(count.take(Day(5), 2), "counted for the day that has begun");
        assert!(!count.take(Day(6), 2) && !count.take(Day(5), 2));
    }

    #[test]
    fn a_clock_that_was_far_ahead_does_not_freeze_the_quota() {
        let count = DayCount::default();
        assert!(count.take(Day(900), 1));
        assert!(count.take(Day(6), 1) && !count.take(Day(6), 1));
    }

    #[test]
    fn another_limit_takes_effect_at_once() {
        let count = DayCount::default();
        assert!(count.take(Day(6), 2) && count.take(Day(6), 2) && !count.take(Day(6), 2));
        assert!(count.take(Day(6), 3));
        assert!(!count.take(Day(6), 1));
    }

    #[test]
    fn what_others_have_counted_is_added_on_their_day_only() {
        let count = DayCount::default();
        count.add(Day(6), 7);
        assert_eq!(count.seen(), (Day(6), 7));
        count.add(Day(5), 100);
        count.add(Day(6), 1);
        assert_eq!(count.seen(), (Day(6), 8));
        assert!(!count.take(Day(6), 8));
    }
}
