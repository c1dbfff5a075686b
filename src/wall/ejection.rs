//! Passive ejection: an endpoint that keeps failing takes no traffic for a while, true for the whole process.
//!
//! A named exception to "nothing is shared between workers". **Who writes**: every worker, when an attempt at an endpoint
//! ends, of a service that has `[module.ejection]`. **Who reads**: the same, when they choose an endpoint.
//!
//! So many failures in a row eject an endpoint; each time in a row for twice as long as before, up to a bound. Coming
//! back it takes traffic as before. When it has then worked for as long as it was out, the next time counts as
//! the first again. All of it is one 64-bit word, changed by compare-and-swap: of all workers one ejects.
//! **Error bound**: clocks of workers differ by two ticks (`limits::DEADLINE_TICK_MS`) at most.
//!
//! Out of scope: what counts as a failure, and that with too few endpoints left the ejected ones are asked, too
//! (`worker::upstream::replica`).

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// When an endpoint is ejected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionRules {
    /// Failures in a row that eject it.
    pub failures: u32,
    /// For how long the first time.
    pub time_ms: u64,
    /// For how long at most.
    pub time_max_ms: u64,
    /// Where fewer than this share of a service's endpoints would be left, in millionths, the ejected ones are
    /// asked, too.
    pub panic_millionths: u32,
}

/// One endpoint's.
#[derive(Debug, Default)]
pub struct Ejection(AtomicU64);

#[derive(Clone, Copy)]
struct State {
    /// Failures since the last success.
    run: u64,
    /// Ejections in a row.
    times: u64,
    until_ms: u64,
}

const RUN_BITS: u32 = 16;
const TIMES_BITS: u32 = 6;

impl State {
    const fn of(word: u64) -> Self {
        Self {
            run: word & ((1 << RUN_BITS) - 1),
            times: word >> RUN_BITS & ((1 << TIMES_BITS) - 1),
            until_ms: word >> (RUN_BITS + TIMES_BITS),
        }
    }

    const fn word(self) -> u64 {
        self.until_ms << (RUN_BITS + TIMES_BITS) | self.times << RUN_BITS | self.run
    }
}

impl EjectionRules {
    /// For how long after so many times in a row before.
    fn lasts_ms(&self, times: u64) -> u64 {
        self.time_ms.saturating_mul(1 << times.min(32)).min(self.time_max_ms.max(self.time_ms))
    }
}

impl Ejection {
    /// Whether the endpoint is out.
    #[must_use]
    pub fn is_out(&self, now_ms: u64) -> bool {
        now_ms < State::of(self.0.load(SeqCst)).until_ms
    }

    /// Tells how an attempt at the endpoint ended. True where this ejects it.
    pub fn tell(&self, rules: &EjectionRules, good: bool, now_ms: u64) -> bool {
        loop {
            let word = self.0.load(SeqCst);
            let Some(next) = after(State::of(word), rules, good, now_ms) else { return false };
            if self.0.compare_exchange(word, next.word(), SeqCst, SeqCst).is_ok() {
                return next.until_ms > now_ms;
            }
        }
    }
}

/// `None` where nothing changes. One that is out stays so: what it is told of began before, or in a panic.
fn after(state: State, rules: &EjectionRules, good: bool, now_ms: u64) -> Option<State> {
    if now_ms < state.until_ms {
        return None;
    }
    if good {
        let was_out_ms = if state.times == 0 { 0 } else { rules.lasts_ms(state.times - 1) };
        let times = if now_ms >= state.until_ms + was_out_ms { 0 } else { state.times };
        let changed = state.run > 0 || times != state.times;
        return changed.then_some(State { run: 0, times, ..state });
    }
    let run = state.run + 1;
    if run < u64::from(rules.failures) {
        return Some(State { run, ..state });
    }
    let until_ms = now_ms + rules.lasts_ms(state.times);
    Some(State { run: 0, times: (state.times + 1).min((1 << TIMES_BITS) - 1), until_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: EjectionRules =
        EjectionRules { failures: 2, time_ms: 100, time_max_ms: 350, panic_millionths: 500_000 };

    fn eject(ejection: &Ejection, now_ms: u64) {
        assert!(!ejection.tell(&RULES, false, now_ms));
        assert!(ejection.tell(&RULES, false, now_ms));
    }

    #[test]
    fn failures_in_a_row_eject_for_a_time() {
        let ejection = Ejection::default();
        ejection.tell(&RULES, false, 10);
        ejection.tell(&RULES, true, 10);
        assert!(!ejection.tell(&RULES, false, 10), "a success between starts the count again");
        assert!(!ejection.is_out(10));
        assert!(ejection.tell(&RULES, false, 10));
        assert!(ejection.is_out(109) && !ejection.is_out(110));
    }

    #[test]
    fn each_time_in_a_row_is_twice_as_long_up_to_the_bound() {
        let ejection = Ejection::default();
        let mut now_ms = 1_000;
        for lasts_ms in [100, 200, 350, 350] {
            eject(&ejection, now_ms);
            assert!(ejection.is_out(now_ms + lasts_ms - 1));
            now_ms += lasts_ms;
            assert!(!ejection.is_out(now_ms));
        }
    }

    #[test]
    fn an_endpoint_that_works_again_for_as_long_begins_anew() {
        let ejection = Ejection::default();
        eject(&ejection, 0);
        ejection.tell(&RULES, true, 150);
        eject(&ejection, 160);
        assert!(ejection.is_out(359), "it had not worked for long: twice as long");
        ejection.tell(&RULES, true, 560);
        eject(&ejection, 570);
        assert!(!ejection.is_out(670), "as the first time");
    }

    #[test]
    fn one_that_is_out_is_not_ejected_again_by_what_began_before() {
        let ejection = Ejection::default();
        eject(&ejection, 0);
        assert!(!ejection.tell(&RULES, false, 50) && !ejection.tell(&RULES, false, 50));
        assert!(!ejection.is_out(100));
    }

    #[test]
    fn of_all_workers_one_ejects() {
        for _ in 0..200 {
            let ejection = Ejection::default();
            let ejected: usize = std::thread::scope(|scope| {
                let fail = || (0..4).filter(|_| ejection.tell(&RULES, false, 0)).count();
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(fail)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
            });
            assert_eq!(ejected, 1);
        }
    }
}
