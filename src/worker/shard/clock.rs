//! The core's clock: the only place on the data plane that reads the time.
//!
//! In scope: a coarse monotonic time refreshed by the deadline sweep, one as fine as a turn of the loop for the steps
//! of exchanges, a precise one for rate limits, the `Date` text. Out of scope: who waits (`deadline`).

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Length of an IMF-fixdate (RFC 9110 section 5.6.7).
pub const DATE_BYTES: usize = 29;

/// One core's view of time.
#[derive(Debug)]
pub struct Clock {
    /// On the system's monotonic clock.
    origin_ns: u64,
    /// Counts the loop's turns, where there is a count: on a ring.
    turns: Option<&'static Cell<u64>>,
    /// The turn that `now_us` was read in.
    read_in: Cell<u64>,
    now_us: Cell<u64>,
    now_ms: Cell<u64>,
    unix_s: Cell<u64>,
    date: RefCell<(u64, [u8; DATE_BYTES])>,
}

impl Clock {
    /// A clock that counts from `origin`, which all workers share so that their times compare. `turns` grows with every
    /// turn of the core's loop.
    #[must_use]
    pub fn new(origin: Instant, turns: Option<&'static Cell<u64>>) -> Self {
        let since_ns = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let clock = Self {
            origin_ns: monotonic_ns().saturating_sub(since_ns),
            turns,
            read_in: Cell::new(u64::MAX),
            now_us: Cell::new(0),
            now_ms: Cell::new(0),
            unix_s: Cell::new(0),
            date: RefCell::new((u64::MAX, [b' '; DATE_BYTES])),
        };
        clock.refresh();
        clock
    }

    /// Reads the time. Called by the deadline sweep and where a core wakes from idleness.
    pub fn refresh(&self) {
        self.now_ms.set(self.precise_ns() / 1_000_000);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.unix_s.set(unix.as_secs());
    }

    /// Milliseconds since the origin, as of the last refresh.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// Microseconds since the origin, never 0: read once in a turn of the loop at most, where turns are counted.
    #[inline]
    #[must_use]
    pub fn now_us(&self) -> u64 {
        match self.turns.map(Cell::get) {
            Some(turn) if turn == self.read_in.get() => self.now_us.get(),
            turn => self.read_us(turn),
        }
    }

    #[cold]
    fn read_us(&self, turn: Option<u64>) -> u64 {
        let now_us = (self.precise_ns() / 1_000).max(1);
        if let Some(turn) = turn {
            self.read_in.set(turn);
            self.now_us.set(now_us);
        }
        now_us
    }

    /// Seconds since 1970, as of the last refresh.
    #[must_use]
    pub fn unix_s(&self) -> u64 {
        self.unix_s.get()
    }

    /// Processor time of this thread in microseconds, read now: a call into the kernel, so not for each request.
    #[must_use]
    pub fn cpu_us(&self) -> u64 {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        u64::try_from(used.tv_sec * 1_000_000 + used.tv_nsec / 1_000).unwrap_or(0)
    }

    /// Nanoseconds since the origin, read now: for rate limits and the loop's lag only.
    #[must_use]
    pub fn precise_ns(&self) -> u64 {
        monotonic_ns().saturating_sub(self.origin_ns)
    }

    /// The `Date` of now, rendered once a second.
    #[must_use]
    pub fn date(&self) -> [u8; DATE_BYTES] {
        let second = self.unix_s.get();
        let mut cached = self.date.borrow_mut();
        if cached.0 != second {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
            if let Ok(bytes) = <[u8; DATE_BYTES]>::try_from(text.as_bytes()) {
                *cached = (second, bytes);
            }
        }
        cached.1
    }
}

/// The system's monotonic clock. Read directly, because `Instant` makes a duration of it first, at twice the cost.
fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_stand_still_for_a_turn_of_the_loop_and_no_longer() {
        let turns: &'static Cell<u64> = Box::leak(Box::default());
        let clock = Clock::new(Instant::now(), Some(turns));
        let first_us = clock.now_us();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(clock.now_us(), first_us);
        turns.set(1);
        assert!(clock.now_us() >= first_us + 2_000);
    }

    #[test]
    fn where_no_turns_are_counted_microseconds_are_read_each_time() {
        let clock = Clock::new(Instant::now(), None);
        let first_us = clock.now_us();
        std::thread::sleep(Duration::from_millis(2));
        assert!(first_us > 0 && clock.now_us() >= first_us + 2_000);
    }

    #[test]
    fn the_date_is_an_imf_fixdate() {
        let date = Clock::new(Instant::now(), None).date();
        let text = std::str::from_utf8(&date).unwrap();
        assert!(httpdate::parse_http_date(text).is_ok() && text.ends_with(" GMT"), "{text}");
    }
}
