//! The gateway's own breakers and ejections as a gate, each held against a simple model of it while the faults happen.

use std::cell::{Cell, RefCell};

use gatekeeper::wall::breaker::{Breaker, BreakerRules, Leave};
use gatekeeper::wall::ejection::{Ejection, EjectionRules};

use super::schedule::Schedule;
use super::world::{Gate, Outcome};

/// What a simulated service has against its endpoints.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) ejection: Option<EjectionRules>,
    /// Of each endpoint.
    pub(crate) breaker: Option<BreakerRules>,
}

/// One endpoint, as the gateway sees it and as the models do.
#[derive(Default)]
struct Known {
    ejection: Ejection,
    breaker: Breaker,
    ejected: RefCell<EjectionModel>,
    opened: RefCell<BreakerModel>,
}

/// Breakers and ejections of all endpoints.
pub(crate) struct Guards {
    rules: Rules,
    schedules: Vec<Schedule>,
    known: Vec<Known>,
    /// Leaves of attempts, by their numbers, with whether each was a probe.
    leaves: RefCell<Vec<(Option<Leave>, bool)>>,
    /// Attempts made at endpoints that were out, because too few would have been left.
    pub(crate) panics: Cell<usize>,
}

/// What an ejection should do, said plainly.
#[derive(Default)]
struct EjectionModel {
    run: u32,
    times: u32,
    until_ms: u64,
    was_out_ms: u64,
}

impl EjectionModel {
    fn tell(&mut self, rules: &EjectionRules, good: bool, now_ms: u64) {
        if now_ms < self.until_ms {
            return;
        }
        if good {
            self.run = 0;
            if now_ms >= self.until_ms + self.was_out_ms {
                self.times = 0;
                self.was_out_ms = 0;
            }
            return;
        }
        self.run += 1;
        if self.run >= rules.failures {
            self.was_out_ms = (rules.time_ms << self.times.min(20)).min(rules.time_max_ms);
            self.until_ms = now_ms + self.was_out_ms;
            self.times += 1;
            self.run = 0;
        }
    }
}

/// What a breaker that counts failures in a row should do, said plainly.
#[derive(Default)]
struct BreakerModel {
    run: u32,
    /// `None` is closed.
    open_until_ms: Option<u64>,
    probing: bool,
}

impl BreakerModel {
    fn admits(&self, now_ms: u64) -> bool {
        self.open_until_ms.is_none_or(|until| now_ms >= until && !self.probing)
    }

    /// An attempt begins. Whether it is a probe.
    fn begins(&mut self) -> bool {
        self.probing = self.open_until_ms.is_some();
        self.probing
    }

    fn tell(&mut self, rules: &BreakerRules, probe: bool, good: bool, now_ms: u64) {
        match (probe, self.open_until_ms, good) {
            (true, _, true) => *self = Self::default(),
            (true, _, false) => *self = Self { open_until_ms: Some(now_ms + rules.open_ms), ..Self::default() },
            // It began before the breaker opened.
            (false, Some(_), _) => {}
            (false, None, true) => self.run = 0,
            (false, None, false) => {
                self.run += 1;
                if self.run >= rules.failures {
                    self.open_until_ms = Some(now_ms + rules.open_ms);
                }
            }
        }
    }
}

impl Guards {
    pub(crate) fn new(rules: Rules, schedules: &[Schedule]) -> Self {
        Self {
            rules,
            schedules: schedules.to_vec(),
            known: schedules.iter().map(|_| Known::default()).collect(),
            leaves: RefCell::default(),
            panics: Cell::new(0),
        }
    }

    fn is_out(&self, endpoint: usize, now_ms: u64) -> bool {
        let known = &self.known[endpoint];
        let is_out = self.rules.ejection.is_some() && known.ejection.is_out(now_ms);
        let should_be = now_ms < known.ejected.borrow().until_ms;
        assert_eq!(is_out, should_be, "endpoint {endpoint} at {now_ms}");
        is_out
    }

    fn panics(&self, now_us: u64) -> bool {
        let Some(rules) = &self.rules.ejection else { return false };
        let stays =
            |endpoint: &usize| self.schedules[*endpoint].is_up(now_us) && !self.is_out(*endpoint, now_us / 1_000);
        let left = (0..self.known.len()).filter(stays).count() as u64;
        left * 1_000_000 < self.known.len() as u64 * u64::from(rules.panic_millionths)
    }

    /// Whether a rule keeps any endpoint from taking traffic.
    pub(crate) fn keeps_any(&self, now_us: u64) -> bool {
        (0..self.known.len()).any(|endpoint| self.is_out(endpoint, now_us / 1_000) || !self.admits(endpoint, now_us))
    }
}

impl Gate for Guards {
    fn admits(&self, endpoint: usize, now_us: u64) -> bool {
        let (known, now_ms) = (&self.known[endpoint], now_us / 1_000);
        let passes = self.rules.breaker.is_none_or(|rules| {
            let passes = known.breaker.would_admit(&rules, now_ms);
            assert_eq!(passes, known.opened.borrow().admits(now_ms), "endpoint {endpoint} at {now_ms}");
            passes
        });
        passes && (!self.is_out(endpoint, now_ms) || self.panics(now_us))
    }

    fn begins(&self, endpoint: usize, now_us: u64) -> usize {
        let (known, now_ms) = (&self.known[endpoint], now_us / 1_000);
        let leave = self.rules.breaker.map(|rules| known.breaker.admit(&rules, now_ms).expect("it was a candidate"));
        let probe = leave.is_some() && known.opened.borrow_mut().begins();
        self.panics.set(self.panics.get() + usize::from(self.is_out(endpoint, now_ms)));
        let mut leaves = self.leaves.borrow_mut();
        leaves.push((leave, probe));
        leaves.len() - 1
    }

    fn learns(&self, attempt: usize, endpoint: usize, outcome: Outcome, now_us: u64) {
        let (known, now_ms, good) = (&self.known[endpoint], now_us / 1_000, outcome == Outcome::Answered);
        if let Some(rules) = &self.rules.ejection {
            known.ejection.tell(rules, good, now_ms);
            known.ejected.borrow_mut().tell(rules, good, now_ms);
        }
        if let (Some(rules), (Some(leave), probe)) = (&self.rules.breaker, self.leaves.borrow()[attempt]) {
            known.breaker.tell(rules, leave, good, now_ms);
            known.opened.borrow_mut().tell(rules, probe, good, now_ms);
        }
    }
}
