//! Totals of days and hours and calls per second, from counters that only grow. Pure: figures and time are passed in.
//!
//! What a counter has grown by between two looks counts for the hour and day in which the second look falls; books look
//! once a second, just after it has begun. Out of scope: who counts (`worker`), keeping totals over restarts (`store`).

use std::collections::{BTreeMap, HashMap};

use crate::limits::TOTALS_WAITING_MAX;
use crate::wall::calendar::{Calendar, Day};

/// Whose calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Requests and connections of a service.
    Service,
    /// Requests on behalf of a tenant.
    Tenant,
}

impl Kind {
    /// As the store writes it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Tenant => "tenant",
        }
    }

    /// The kind of this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Service, Self::Tenant].into_iter().find(|kind| kind.word() == word)
    }
}

/// Whose calls, by name: what outlives reloads and restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// A service or a tenant.
    pub(crate) kind: Kind,
    /// Its `name` or `app_id`.
    pub(crate) name: Box<str>,
}

/// Of which time a total is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Span {
    /// The hour that began then, in seconds since 1970.
    Hour(u64),
    /// A date.
    Day(Day),
}

/// Calls of the day and the hour under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Of the day.
    pub(crate) day: u64,
    /// Of the hour.
    pub(crate) hour: u64,
}

/// What is known of one service or tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rate {
    /// Calls of the day and hour under way.
    pub(crate) sum: Sum,
    /// Calls per second between the last two looks.
    pub(crate) per_second: f64,
}

#[derive(Debug, Default)]
struct Row {
    seen: u64,
    rate: Rate,
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    rows: HashMap<Key, Row>,
    /// Not in the store yet. Hours sort before days and the older before the younger.
    waiting: BTreeMap<(Span, Key), u64>,
    day: Day,
    hour_s: u64,
    looked_ms: Option<u64>,
}

impl Totals {
    /// Takes in what every counter says now.
    pub(crate) fn look(&mut self, calendar: &Calendar, now_ms: u64, counters: impl IntoIterator<Item = (Key, u64)>) {
        // A look that is made as the hour begins tells of the one before.
        let at_s = now_ms.saturating_sub(LOOK_GRACE_MS) / 1_000;
        let gap_s = self.looked_ms.map(|before| now_ms.saturating_sub(before).max(1) as f64 / 1_000.0);
        self.looked_ms = Some(now_ms);
        self.turn_to(calendar.day(at_s), calendar.hour_starts_s(at_s));
        for row in self.rows.values_mut() {
            row.rate.per_second = 0.0;
        }
        for (key, count) in counters {
            let row = self.rows.entry(key.clone()).or_default();
            // A counter that is smaller than it was has begun anew.
            let grown = if count >= row.seen { count - row.seen } else { count };
            row.seen = count;
            row.rate.per_second = gap_s.map_or(0.0, |gap_s| grown as f64 / gap_s);
            if grown == 0 {
                continue;
            }
            row.rate.sum.day += grown;
            row.rate.sum.hour += grown;
            *self.waiting.entry((Span::Hour(self.hour_s), key.clone())).or_default() += grown;
            *self.waiting.entry((Span::Day(self.day), key)).or_default() += grown;
        }
    }

    fn turn_to(&mut self, day: Day, hour_s: u64) {
        let (new_day, new_hour) = (day != self.day, hour_s != self.hour_s);
        (self.day, self.hour_s) = (day, hour_s);
        for row in self.rows.values_mut() {
            row.rate.sum.day *= u64::from(!new_day);
            row.rate.sum.hour *= u64::from(!new_hour);
        }
    }

    /// The store has these of the day and hour under way: what this process has told it, what was before it, and what
    /// another one has told it.
    pub(crate) fn recall(&mut self, kept: HashMap<Key, Sum>) {
        for (key, sum) in kept {
            let waiting = |span| self.waiting.get(&(span, key.clone())).copied().unwrap_or(0);
            let day = sum.day + waiting(Span::Day(self.day));
            let hour = sum.hour + waiting(Span::Hour(self.hour_s));
            let known = &mut self.rows.entry(key).or_default().rate.sum;
            // A store that had to begin anew knows less.
            *known = Sum { day: known.day.max(day), hour: known.hour.max(hour) };
        }
    }

    /// The day and the hour under way.
    pub(crate) fn now(&self) -> (Day, u64) {
        (self.day, self.hour_s)
    }

    /// What waits for the store.
    pub(crate) fn waiting(&self) -> Vec<(Key, Span, u64)> {
        self.waiting.iter().map(|((span, key), total)| (key.clone(), *span, *total)).collect()
    }

    /// The store has taken it.
    pub(crate) fn kept(&mut self) {
        self.waiting.clear();
    }

    /// How many totals are let go, the oldest hours first, because too many wait for a store that does not take them.
    pub(crate) fn let_go(&mut self) -> usize {
        let many = self.waiting.len().saturating_sub(TOTALS_WAITING_MAX);
        for _ in 0..many {
            self.waiting.pop_first();
        }
        many
    }

    /// Each service and tenant that has had a call today, or is known for another reason.
    pub(crate) fn rates(&self) -> HashMap<Key, Rate> {
        self.rows.iter().map(|(key, row)| (key.clone(), row.rate)).collect()
    }

    /// Forgets those that are not configured and have had no call today.
    pub(crate) fn retain(&mut self, is_known: impl Fn(&Key) -> bool) {
        self.rows.retain(|key, row| row.rate.sum.day > 0 || is_known(key));
    }

    /// Forgets those that are not configured and never had a call: nothing is lost with them, and there is no end to the
    /// names that come and go.
    pub(crate) fn drop_unused(&mut self, is_known: impl Fn(&Key) -> bool) {
        self.rows.retain(|key, row| row.seen > 0 || row.rate.sum != Sum::default() || is_known(key));
    }
}

/// How long after the beginning of an hour a look still counts for the one before.
const LOOK_GRACE_MS: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { kind: Kind::Service, name: name.into() }
    }

    fn look(totals: &mut Totals, now_ms: u64, count: u64) {
        totals.look(&Calendar::default(), now_ms, [(key("a"), count)]);
    }

    fn sum(totals: &Totals) -> (u64, u64) {
        let rate = totals.rates()[&key("a")];
        (rate.sum.day, rate.sum.hour)
    }

    #[test]
    fn names_that_come_and_go_without_a_call_are_forgotten_at_once_and_others_are_not() {
        let mut totals = Totals::default();
        totals.look(&Calendar::default(), 0, [(key("a"), 0), (key("b"), 0), (key("called"), 7)]);
        totals.drop_unused(|key| &*key.name == "a");
        let mut left: Vec<_> = totals.rates().into_keys().map(|key| key.name).collect();
        left.sort_unstable();
        assert_eq!(left, ["a".into(), "called".into()] as [Box<str>; 2]);
    }

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn what_a_counter_has_grown_by_counts_for_its_hour_and_day() {
        let mut totals = Totals::default();
        look(&mut totals, 10_000, 5);
        look(&mut totals, 12_000, 9);
        assert_eq!(sum(&totals), (9, 9));
        assert!((totals.rates()[&key("a")].per_second - 2.0).abs() < 1e-9);
        look(&mut totals, HOUR_MS + 10_000, 10);
        assert_eq!(sum(&totals), (10, 1));
        look(&mut totals, 24 * HOUR_MS + 10_000, 12);
        assert_eq!(sum(&totals), (2, 2));
        let waiting = totals.waiting();
        let hour = |n: u64, total| (key("a"), Span::Hour(n * 3_600), total);
        let days = [(key("a"), Span::Day(Day(0)), 10), (key("a"), Span::Day(Day(1)), 2)];
        assert_eq!(waiting, [&[hour(0, 9), hour(1, 1), hour(24, 2)][..], &days].concat());
    }

    #[test]
    fn a_look_as_the_hour_begins_tells_of_the_one_before() {
        let mut totals = Totals::default();
        look(&mut totals, HOUR_MS + 3, 7);
        assert_eq!(totals.waiting()[0], (key("a"), Span::Hour(0), 7));
    }

    #[test]
    fn a_counter_that_begins_anew_loses_nothing() {
        let mut totals = Totals::default();
        look(&mut totals, 1_000, 7);
        look(&mut totals, 2_000, 3);
        assert_eq!(sum(&totals), (10, 10));
    }

    #[test]
    fn what_was_kept_before_a_restart_is_gone_on_with() {
        let mut totals = Totals::default();
        look(&mut totals, 1_000, 2);
        totals.recall([(key("a"), Sum { day: 40, hour: 10 })].into());
        assert_eq!(sum(&totals), (42, 12));
        assert_eq!(totals.waiting().len(), 2, "and is not added to the store again");
        assert!(totals.waiting().iter().all(|(_, _, total)| *total == 2));
        totals.kept();
        totals.recall([(key("a"), Sum { day: 42, hour: 12 })].into());
        assert_eq!(sum(&totals), (42, 12), "nor counted twice once it is there");
        totals.recall([(key("a"), Sum { day: 1, hour: 1 })].into());
        assert_eq!(sum(&totals), (42, 12), "nor forgotten with a store that begins anew");
    }

    #[test]
    fn a_store_that_takes_nothing_does_not_fill_the_memory() {
        let mut totals = Totals::default();
        let all = (0..TOTALS_WAITING_MAX).map(|n| (key(&n.to_string()), 1));
        totals.look(&Calendar::default(), 1_000, all);
        assert_eq!(totals.let_go(), TOTALS_WAITING_MAX, "of a day and an hour each, the hours");
        assert!(totals.waiting().iter().all(|(_, span, _)| matches!(span, Span::Day(_))));
    }

    #[test]
    fn what_is_gone_is_forgotten_once_its_day_is_over() {
        let mut totals = Totals::default();
        look(&mut totals, 1_000, 2);
        totals.retain(|_| false);
        assert_eq!(sum(&totals), (2, 2));
        totals.look(&Calendar::default(), 24 * HOUR_MS + 1_000, []);
        totals.retain(|_| false);
        assert_eq!(totals.rates().len(), 0);
    }
}
