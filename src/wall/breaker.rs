//! Circuit breakers: what keeps failing is not asked for a while, true for the whole process.
//!
//! A named exception to "nothing is shared between workers". **Who writes and reads**: every worker, at the beginning
//! and at the end of each attempt of a service that has a breaker. Nobody else touches it.
//!
//! *Closed*, everything passes, and results are counted: failures in a row, and the share of failures in a window that
//! slides by eighths. *Open*, nothing passes until the time is over. *Half open*, one probe passes at a time, or a share
//! of what comes; as many good ones in a row as are wanted close it, one that fails opens it again. What began before
//! it opened says nothing any more when it ends, and a breaker that closes begins with an empty window.
//!
//! State and time are one 64-bit word, changed by compare-and-swap, so of all workers one opens it and one has the
//! probe. **Error bound**: a window's slice may miss what is counted in the instant in which it begins; clocks of
//! workers differ by two ticks (`limits::DEADLINE_TICK_MS`) at most. A probe that never ends (it is long, or its worker
//! died with it) is no longer waited for after `limits::PROBE_LEASE_MS`.
//!
//! Out of scope: what counts as a failure, the clock, and the answer to a refusal.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::limits::{BREAKER_SLICES, PROBE_LEASE_MS};

/// When a breaker opens, for how long, and what closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failures in a row that open it; 0 is any number.
    pub failures: u32,
    /// The share of failures in the window that opens it, in millionths; 0 is any.
    pub error_millionths: u32,
    /// With fewer results in the window than this the share says nothing.
    pub volume_min: u32,
    /// How far back the window reaches.
    pub window_ms: u64,
    /// How long it stays open.
    pub open_ms: u64,
    /// Half open, this share of what comes passes, in millionths; 0 is one at a time.
    pub probe_millionths: u32,
    /// Good probes in a row that close it.
    pub probes: u32,
}

/// Leave to make an attempt, to be told how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave(Option<u64>);

impl Leave {
    /// Whether it is for a probe of a breaker that is half open.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.0.is_some()
    }
}

/// What a result did to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Nothing that others would see.
    No,
    /// It is open now.
    Opened,
    /// It is closed now.
    Closed,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything passes.
    Closed,
    /// Probes pass.
    HalfOpen,
    /// Nothing passes; or its time is over, and nobody has asked since.
    Open,
}

/// One breaker.
#[derive(Debug, Default)]
pub struct Breaker {
    word: AtomicU64,
    /// Failures since the last success.
    run: AtomicU32,
    /// Counts what came while it was half open, where a share of it passes.
    turn: AtomicU32,
    slices: [AtomicU64; BREAKER_SLICES],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until_ms: u64,
    },
    /// So many probes were good; one is under way until then (0: none is).
    HalfOpen {
        good: u64,
        until_ms: u64,
    },
}

const KIND_SHIFT: u32 = 62;
const GOOD_SHIFT: u32 = 46;
const GOOD_MASK: u64 = (1 << (KIND_SHIFT - GOOD_SHIFT)) - 1;
const TIME_MASK: u64 = (1 << GOOD_SHIFT) - 1;

impl State {
    const fn of(word: u64) -> Self {
        let time = word & TIME_MASK;
        match word >> KIND_SHIFT {
            0 => Self::Closed,
            1 => Self::Open { until_ms: time },
            _ => Self::HalfOpen { good: word >> GOOD_SHIFT & GOOD_MASK, until_ms: time },
        }
    }

    const fn word(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open { until_ms } => 1 << KIND_SHIFT | until_ms & TIME_MASK,
            Self::HalfOpen { good, until_ms } => {
                2 << KIND_SHIFT | (good & GOOD_MASK) << GOOD_SHIFT | until_ms & TIME_MASK
            }
        }
    }
}

/// In how long it is worth asking again while probes are under way, which may be over at any time.
const ASK_AGAIN_MS: u64 = 1_000;

impl Breaker {
    /// Leave for an attempt, or how long until another may be asked for.
    ///
    /// # Errors
    /// Milliseconds, at least 1.
    pub fn admit(&self, rules: &BreakerRules, now_ms: u64) -> Result<Leave, u64> {
        loop {
            let word = self.word.load(SeqCst);
            let good = match State::of(word) {
                State::Closed => return Ok(Leave(None)),
                State::Open { until_ms } if now_ms < until_ms => return Err(until_ms - now_ms),
                State::Open { .. } => 0,
                State::HalfOpen { until_ms, .. } if rules.probe_millionths == 0 && now_ms < until_ms => {
                    return Err(ASK_AGAIN_MS);
                }
                State::HalfOpen { good, .. } => good,
            };
            if rules.probe_millionths > 0 && !self.is_in_share(rules.probe_millionths) {
                return Err(ASK_AGAIN_MS);
            }
            // Where many pass at once, it names this time of being half open.
            let until_ms = match State::of(word) {
                State::HalfOpen { until_ms, .. } if rules.probe_millionths > 0 => until_ms,
                _ => now_ms + PROBE_LEASE_MS,
            };
            if self.replace(word, State::HalfOpen { good, until_ms }) {
                return Ok(Leave(Some(until_ms)));
            }
        }
    }

    /// Whether an attempt would be let through now. Takes nothing.
    #[must_use]
    pub fn would_admit(&self, rules: &BreakerRules, now_ms: u64) -> bool {
        match State::of(self.word.load(SeqCst)) {
            State::Closed => true,
            State::Open { until_ms } => now_ms >= until_ms,
            State::HalfOpen { until_ms, .. } => rules.probe_millionths > 0 || now_ms >= until_ms,
        }
    }

    /// How it stands, for whoever looks on.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match State::of(self.word.load(SeqCst)) {
            State::Closed => Standing::Closed,
            State::Open { .. } => Standing::Open,
            State::HalfOpen { .. } => Standing::HalfOpen,
        }
    }

    /// Tells how an attempt ended that it gave leave for.
    pub fn tell(&self, rules: &BreakerRules, leave: Leave, good: bool, now_ms: u64) -> Turned {
        match leave.0 {
            None if State::of(self.word.load(SeqCst)) == State::Closed => self.count(rules, good, now_ms),
            None => Turned::No,
            Some(ticket) => self.probed(rules, ticket, good, now_ms),
        }
    }

    /// An attempt that it gave leave for ended without saying anything of the service.
    pub fn forget(&self, rules: &BreakerRules, leave: Leave) {
        let Some(ticket) = leave.0.filter(|_| rules.probe_millionths == 0) else { return };
        let word = self.word.load(SeqCst);
        if let State::HalfOpen { good, until_ms } = State::of(word)
            && until_ms == ticket
        {
            // Whoever has changed it meanwhile has taken the probe over.
            self.replace(word, State::HalfOpen { good, until_ms: 0 });
        }
    }

    fn replace(&self, word: u64, next: State) -> bool {
        self.word.compare_exchange(word, next.word(), SeqCst, SeqCst).is_ok()
    }

    /// One of so many that come, evenly.
    fn is_in_share(&self, millionths: u32) -> bool {
        let turn = u64::from(self.turn.fetch_add(1, SeqCst));
        let passed = |turn: u64| turn * u64::from(millionths) / 1_000_000;
        // The first passes, so that a breaker that is hardly asked closes, too.
        turn == 0 || passed(turn + 1) > passed(turn)
    }

    fn probed(&self, rules: &BreakerRules, ticket: u64, is_good: bool, now_ms: u64) -> Turned {
        loop {
            let word = self.word.load(SeqCst);
            let State::HalfOpen { good, until_ms } = State::of(word) else { return Turned::No };
            // Another took the probe over, or it began before the breaker opened again.
            if until_ms != ticket {
                return Turned::No;
            }
            let next_until_ms = if rules.probe_millionths > 0 { until_ms } else { 0 };
            let (next, turned) = match is_good {
                false => (State::Open { until_ms: now_ms + rules.open_ms }, Turned::Opened),
                true if good + 1 >= u64::from(rules.probes) => (State::Closed, Turned::Closed),
                true => (State::HalfOpen { good: good + 1, until_ms: next_until_ms }, Turned::No),
            };
            if turned == Turned::Closed {
                self.begin_anew();
            }
            if self.replace(word, next) {
                if turned == Turned::Opened {
                    self.turn.store(0, SeqCst);
                }
                return turned;
            }
        }
    }

    /// What was counted before it opened says nothing of what is after.
    fn begin_anew(&self) {
        self.run.store(0, SeqCst);
        self.slices.iter().for_each(|slice| slice.store(0, SeqCst));
    }

    fn count(&self, rules: &BreakerRules, good: bool, now_ms: u64) -> Turned {
        if rules.error_millionths > 0 {
            self.note(rules, good, now_ms);
        }
        if good {
            if self.run.load(SeqCst) > 0 {
                self.run.store(0, SeqCst);
            }
            return Turned::No;
        }
        let run = self.run.fetch_add(1, SeqCst) + 1;
        let in_a_row = rules.failures > 0 && run >= rules.failures;
        if !in_a_row && !self.fails_too_often(rules, now_ms) {
            return Turned::No;
        }
        let opened = self.replace(State::Closed.word(), State::Open { until_ms: now_ms + rules.open_ms });
        self.turn.store(0, SeqCst);
        if opened { Turned::Opened } else { Turned::No }
    }

    fn note(&self, rules: &BreakerRules, good: bool, now_ms: u64) {
        let number = now_ms / slice_ms(rules);
        let slice = &self.slices[(number % BREAKER_SLICES as u64) as usize];
        let add = |word| {
            let mut seen = Slice::of(word, number);
            if seen.total == Slice::COUNT_MAX {
                seen = Slice { total: seen.total / 2, failed: seen.failed / 2, ..seen };
            }
            let failed = seen.failed + u64::from(!good);
            Some(Slice { total: seen.total + 1, failed, ..seen }.word())
        };
        // It always gives a value, so this cannot fail.
        let _ = slice.fetch_update(SeqCst, SeqCst, add);
    }

    fn fails_too_often(&self, rules: &BreakerRules, now_ms: u64) -> bool {
        if rules.error_millionths == 0 {
            return false;
        }
        let newest = now_ms / slice_ms(rules);
        let numbers = (newest + 1).saturating_sub(BREAKER_SLICES as u64)..=newest;
        let slices = numbers
            .map(|number| Slice::of(self.slices[(number % BREAKER_SLICES as u64) as usize].load(SeqCst), number));
        let (total, failed) =
            slices.fold((0, 0), |(total, failed), slice| (total + slice.total, failed + slice.failed));
        total >= u64::from(rules.volume_min) && failed * 1_000_000 >= total * u64::from(rules.error_millionths)
    }
}

fn slice_ms(rules: &BreakerRules) -> u64 {
    (rules.window_ms / BREAKER_SLICES as u64).max(1)
}

/// What one slice of the window has counted.
#[derive(Clone, Copy)]
struct Slice {
    number: u64,
    total: u64,
    failed: u64,
}

impl Slice {
    const COUNT_BITS: u32 = 20;
    const COUNT_MAX: u64 = (1 << Self::COUNT_BITS) - 1;
    const NUMBER_MASK: u64 = (1 << (64 - 2 * Self::COUNT_BITS)) - 1;

    /// What the word says of the slice with this number; one of another number has counted nothing of it.
    const fn of(word: u64, number: u64) -> Self {
        let number = number & Self::NUMBER_MASK;
        if word >> (2 * Self::COUNT_BITS) != number {
            return Self { number, total: 0, failed: 0 };
        }
        Self { number, total: word >> Self::COUNT_BITS & Self::COUNT_MAX, failed: word & Self::COUNT_MAX }
    }

    const fn word(self) -> u64 {
        self.number << (2 * Self::COUNT_BITS) | self.total << Self::COUNT_BITS | self.failed
    }
}

#[cfg(test)]
mod tests;
