//! Days and hours of one time zone, as arithmetic: no library and no file is asked on the data plane.
//!
//! Made at load of `base.time_location`, read by workers (a tenant's quota is of a day) and by control (totals of hours
//! and days). It knows the zone's changes for some years ahead; after the last one its offset stays. A day begins when
//! the date of the zone's clocks changes, so it has 23 or 25 hours where the clocks are changed, and an hour that the
//! clocks show twice is two hours. Out of scope: names of zones (`config`), what is counted (`wall::quota`).

use std::fmt;

/// A date as days since 1970-01-01 in the calendar's zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

/// As a date, `2026-11-28`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Years that begin in March, in eras of 400 of them, so that the leap day is the last of its year.
        const ERA_DAYS: u32 = 146_097;
        let days = self.0 + 719_468;
        let (era, of_era) = (days / ERA_DAYS, days % ERA_DAYS);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + u32::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// How far the zone's clocks are ahead of UTC from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Seconds since 1970; the first of a calendar holds for everything before, too.
    pub from_s: i64,
    /// Seconds ahead of UTC; negative is behind.
    pub ahead_s: i32,
}

/// One zone's days and hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    offsets: Box<[Offset]>,
}

const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;

impl Default for Calendar {
    /// UTC.
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Calendar {
    /// Of these offsets in the order of time; none is UTC.
    #[must_use]
    pub fn new(mut offsets: Vec<Offset>) -> Self {
        if offsets.is_empty() {
            offsets.push(Offset { from_s: i64::MIN, ahead_s: 0 });
        }
        Self { offsets: offsets.into() }
    }

    /// The date at that moment.
    #[must_use]
    pub fn day(&self, unix_s: u64) -> Day {
        let unix_s = signed(unix_s);
        Day(date(unix_s, self.ahead_s(unix_s)))
    }

    /// When the date after that moment's begins, in seconds since 1970.
    #[must_use]
    pub fn day_ends_s(&self, unix_s: u64) -> u64 {
        let now = signed(unix_s);
        let today = date(now, self.ahead_s(now));
        let midnight = |ahead_s: i32| (i64::from(today) + 1) * DAY_S - i64::from(ahead_s);
        let mut ends = midnight(self.ahead_s(now));
        for offset in self.offsets.iter().filter(|offset| offset.from_s > now) {
            if offset.from_s >= ends {
                break;
            }
            // The clocks are changed before midnight; where they jump over it the day ends there.
            ends = midnight(offset.ahead_s).max(offset.from_s);
        }
        ends.unsigned_abs()
    }

    /// When the hour of that moment began, in seconds since 1970.
    #[must_use]
    pub fn hour_starts_s(&self, unix_s: u64) -> u64 {
        let now = signed(unix_s);
        let index = self.index(now);
        let local = now + i64::from(self.offsets[index].ahead_s);
        let starts = now - local.rem_euclid(HOUR_S);
        // An hour does not begin before the clocks were changed to it.
        starts.max(if index == 0 { i64::MIN } else { self.offsets[index].from_s }).unsigned_abs()
    }

    fn ahead_s(&self, unix_s: i64) -> i32 {
        self.offsets[self.index(unix_s)].ahead_s
    }

    fn index(&self, unix_s: i64) -> usize {
        self.offsets.partition_point(|offset| offset.from_s <= unix_s).saturating_sub(1)
    }
}

fn signed(unix_s: u64) -> i64 {
    i64::try_from(unix_s).unwrap_or(i64::MAX / 2)
}

fn date(unix_s: i64, ahead_s: i32) -> u32 {
    u32::try_from((unix_s + i64::from(ahead_s)).div_euclid(DAY_S)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin in 2026: clocks forward on 29 March, back on 25 October, both at 01:00 UTC.
    const SPRING_S: u64 = 1_774_746_000;
    const AUTUMN_S: u64 = 1_792_890_000;

    fn berlin() -> Calendar {
        let offset = |from_s: u64, ahead_s| Offset { from_s: signed(from_s), ahead_s };
        Calendar::new(vec![offset(0, 3_600), offset(SPRING_S, 7_200), offset(AUTUMN_S, 3_600)])
    }

    fn hours_of_the_day(calendar: &Calendar, within_s: u64) -> u64 {
        let starts = (within_s - 86_400..=within_s).rev().find(|&s| calendar.day(s) != calendar.day(within_s));
        (calendar.day_ends_s(within_s) - starts.expect("within a day") - 1) / 3_600
    }

    #[test]
    fn without_a_zone_a_day_is_one_of_utc() {
        let utc = Calendar::default();
        assert_eq!((utc.day(0), utc.day(86_399), utc.day(86_400)), (Day(0), Day(0), Day(1)));
        assert_eq!((utc.day_ends_s(0), utc.day_ends_s(86_399), utc.day_ends_s(86_400)), (86_400, 86_400, 172_800));
        assert_eq!(utc.hour_starts_s(7_300), 7_200);
    }

    #[test]
    fn a_day_is_written_as_its_date() {
        let dates = [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_785, "2026-11-28"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ];
        for (day, date) in dates {
            assert_eq!(Day(day).to_string(), date);
        }
    }

    #[test]
    fn a_day_begins_at_the_zones_midnight() {
        let shanghai = Calendar::new(vec![Offset { from_s: 0, ahead_s: 8 * 3_600 }]);
        assert_eq!(shanghai.day(16 * 3_600 - 1), Day(0));
        assert_eq!(shanghai.day(16 * 3_600), Day(1));
        assert_eq!(shanghai.day_ends_s(16 * 3_600 - 1), 16 * 3_600);
        let kathmandu = Calendar::new(vec![Offset { from_s: 0, ahead_s: 20_700 }]);
        assert_eq!(kathmandu.hour_starts_s(10_000), 8_100, "its hours begin at a quarter past");
    }

    #[test]
    fn a_day_on_which_the_clocks_change_is_an_hour_shorter_or_longer() {
        let berlin = berlin();
        assert_eq!(hours_of_the_day(&berlin, SPRING_S), 23);
        assert_eq!(hours_of_the_day(&berlin, AUTUMN_S), 25);
        assert_eq!(hours_of_the_day(&berlin, SPRING_S + 2 * 86_400), 24);
    }

    #[test]
    fn an_hour_that_the_clocks_show_twice_is_two() {
        let berlin = berlin();
        let first = berlin.hour_starts_s(AUTUMN_S - 1);
        let second = berlin.hour_starts_s(AUTUMN_S);
        assert_eq!((first, second), (AUTUMN_S - 3_600, AUTUMN_S));
    }

    #[test]
    fn a_midnight_that_the_clocks_jump_over_ends_the_day() {
        // From 00:00 to 01:00, as in Santiago.
        let change = 20 * 86_400 + 4 * 3_600;
        let offset = |from_s, hours: i32| Offset { from_s, ahead_s: hours * 3_600 };
        let santiago = Calendar::new(vec![offset(0, -4), offset(change, -3)]);
        let change = change.unsigned_abs();
        assert_eq!(santiago.day_ends_s(change - 1), change);
        assert_eq!((santiago.day(change - 1), santiago.day(change)), (Day(19), Day(20)));
    }

    #[test]
    fn the_end_of_a_day_is_the_first_moment_of_the_next() {
        let berlin = berlin();
        for now in (SPRING_S - 3 * 86_400..AUTUMN_S + 3 * 86_400).step_by(4_999) {
            let ends = berlin.day_ends_s(now);
            assert_eq!(berlin.day(ends - 1), berlin.day(now), "{now}");
            assert_eq!(berlin.day(ends).0, berlin.day(now).0 + 1, "{now}");
        }
    }
}
