//! `base.time_location` → `Calendar`: the zone's offsets from UTC for the years ahead.
//!
//! In scope: names of the time zone database (this machine's, else the one built in), POSIX rules, `Local`. Out of
//! scope: what days are for (`wall::quota`, `control`).

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};

use super::Desk;
use crate::wall::calendar::{Calendar, Offset};

/// How far ahead a zone's changes are known; a gateway that has loaded nothing for so long keeps the last offset.
const YEARS_AHEAD: i64 = 10;

/// The calendar of the zone that the key names. Empty is UTC, as for GateKeeper.
pub(super) fn calendar(desk: &mut Desk<'_>) -> Calendar {
    let name = desk.section.text("time_location");
    if name.is_empty() {
        return Calendar::default();
    }
    match zone(name) {
        Some(zone) => of(&zone, Timestamp::now()),
        None => {
            let help =
                "such as \"Asia/Shanghai\", \"UTC\", \"Local\", or a POSIX rule such as \"CET-1CEST,M3.5.0,M10.5.0/3\"";
            desk.error("time_location", format!("there is no time zone `{name}`"), help);
            Calendar::default()
        }
    }
}

pub(super) fn zone(name: &str) -> Option<TimeZone> {
    if name == "Local" {
        return Some(TimeZone::system());
    }
    // A machine's own database is the newer one, but may leave out old names such as Asia/Chongqing.
    let named = TimeZone::get(name).or_else(|_| TimeZoneDatabase::bundled().get(name));
    named.or_else(|_| TimeZone::posix(name)).ok().filter(|zone| !zone.is_unknown())
}

fn of(zone: &TimeZone, now: Timestamp) -> Calendar {
    let span = Span::new().hours(YEARS_AHEAD * 366 * 24);
    let until = now.saturating_add(span).unwrap_or(Timestamp::MAX);
    // Some days back, because totals of yesterday may still be written.
    let since = now.saturating_sub(Span::new().hours(72)).unwrap_or(Timestamp::MIN);
    let first = Offset { from_s: i64::MIN, ahead_s: zone.to_offset(since).seconds() };
    let changes = zone.following(since).take_while(|change| change.timestamp() <= until);
    let changes =
        changes.map(|change| Offset { from_s: change.timestamp().as_second(), ahead_s: change.offset().seconds() });
    Calendar::new([first].into_iter().chain(changes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &str, now: &str) -> Calendar {
        of(&super::zone(zone).expect(zone), now.parse().expect("a time"))
    }

    fn seconds(time: &str) -> u64 {
        let time: Timestamp = time.parse().expect("a time");
        time.as_second().unsigned_abs()
    }

    #[test]
    fn names_rules_and_the_machines_own_zone_are_known() {
        for known in ["UTC", "Asia/Shanghai", "Asia/Chongqing", "Europe/Berlin", "Local", "<+0517>-05:17:30"] {
            assert!(zone(known).is_some(), "{known}");
        }
        for unknown in ["Mars/Olympus", "8", "+08:00", "Asia/", "../etc/passwd"] {
            assert!(zone(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn the_day_ends_at_the_zones_midnight_before_and_after_its_clocks_change() {
        let berlin = at("Europe/Berlin", "2026-03-01T00:00:00Z");
        assert_eq!(berlin.day_ends_s(seconds("2026-03-28T12:00:00Z")), seconds("2026-03-28T23:00:00Z"));
        assert_eq!(berlin.day_ends_s(seconds("2026-03-29T12:00:00Z")), seconds("2026-03-29T22:00:00Z"));
        assert_eq!(berlin.day_ends_s(seconds("2035-07-01T12:00:00Z")), seconds("2035-07-01T22:00:00Z"));
    }

    #[test]
    fn a_rule_may_say_any_second() {
        let odd = at("<+0517>-05:17:30", "2026-03-01T00:00:00Z");
        assert_eq!(odd.day_ends_s(seconds("2026-03-28T12:00:00Z")), seconds("2026-03-28T18:42:30Z"));
    }
}
