//! Breakers, against what their page says of them.

use std::sync::atomic::AtomicUsize;

use super::*;

const RULES: BreakerRules = BreakerRules {
    failures: 3,
    error_millionths: 0,
    volume_min: 10,
    window_ms: 8_000,
    open_ms: 1_000,
    probe_millionths: 0,
    probes: 1,
};

fn by_rate() -> BreakerRules {
    BreakerRules { failures: 0, error_millionths: 500_000, ..RULES }
}

fn fail(breaker: &Breaker, rules: &BreakerRules, now_ms: u64) -> Turned {
    let leave = breaker.admit(rules, now_ms).expect("it lets pass");
    breaker.tell(rules, leave, false, now_ms)
}

fn succeed(breaker: &Breaker, rules: &BreakerRules, now_ms: u64) -> Turned {
    let leave = breaker.admit(rules, now_ms).expect("it lets pass");
    breaker.tell(rules, leave, true, now_ms)
}

/// Opened at 0, until 1,000.
fn opened(rules: &BreakerRules) -> Breaker {
    let breaker = Breaker::default();
    let three = BreakerRules { failures: 3, ..*rules };
    assert_eq!([0; 3].map(|now| fail(&breaker, &three, now)), [Turned::No, Turned::No, Turned::Opened]);
    breaker
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_starts_the_count_again() {
    let breaker = Breaker::default();
    fail(&breaker, &RULES, 0);
    fail(&breaker, &RULES, 0);
    succeed(&breaker, &RULES, 0);
    fail(&breaker, &RULES, 0);
    assert_eq!(fail(&breaker, &RULES, 0), Turned::No);
    assert_eq!(fail(&breaker, &RULES, 0), Turned::Opened);
    assert_eq!(breaker.admit(&RULES, 400), Err(600));
}

#[test]
fn a_share_of_failures_opens_it_from_the_minimum_volume_on() {
    let breaker = Breaker::default();
    for now in 0..8 {
        assert_eq!(fail(&breaker, &by_rate(), now), Turned::No, "too few to tell");
    }
    assert_eq!(succeed(&breaker, &by_rate(), 9), Turned::No);
    assert_eq!(fail(&breaker, &by_rate(), 10), Turned::Opened);
}

#[test]
fn a_smaller_share_does_not() {
    let breaker = Breaker::default();
    for now in 0..300 {
        let turned = if now % 3 == 0 { fail(&breaker, &by_rate(), now) } else { succeed(&breaker, &by_rate(), now) };
        assert_eq!(turned, Turned::No);
    }
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let breaker = Breaker::default();
    for now in 0..9 {
        fail(&breaker, &by_rate(), now);
    }
    assert_eq!(fail(&breaker, &by_rate(), 9_100), Turned::No);
}

#[test]
fn one_probe_at_a_time_passes_and_a_good_one_closes_it() {
    let breaker = opened(&RULES);
    assert!(!breaker.would_admit(&RULES, 999));
    assert!(breaker.would_admit(&RULES, 1_000));
    let probe = breaker.admit(&RULES, 1_000).expect("the time is over");
    assert!(breaker.admit(&RULES, 1_500).is_err(), "one at a time");
    assert!(!breaker.would_admit(&RULES, 1_500));
    assert_eq!(breaker.tell(&RULES, probe, true, 1_600), Turned::Closed);
    assert!(breaker.admit(&RULES, 1_600).is_ok() && breaker.admit(&RULES, 1_600).is_ok());
}

#[test]
fn a_probe_that_fails_opens_it_again() {
    let breaker = opened(&RULES);
    assert_eq!(fail(&breaker, &RULES, 1_000), Turned::Opened);
    assert_eq!(breaker.admit(&RULES, 1_500), Err(500));
}

#[test]
fn as_many_good_probes_in_a_row_as_are_wanted_close_it() {
    let rules = BreakerRules { probes: 3, ..RULES };
    let breaker = opened(&rules);
    assert_eq!([1_000; 3].map(|now| succeed(&breaker, &rules, now)), [Turned::No, Turned::No, Turned::Closed]);
}

#[test]
fn a_probe_that_says_nothing_makes_room_for_the_next() {
    let breaker = opened(&RULES);
    let probe = breaker.admit(&RULES, 1_000).expect("the time is over");
    breaker.forget(&RULES, probe);
    assert!(breaker.admit(&RULES, 1_001).is_ok());
}

#[test]
fn a_probe_that_never_ends_is_not_waited_for() {
    let breaker = opened(&RULES);
    let lost = breaker.admit(&RULES, 1_000).expect("the time is over");
    let later = 1_000 + PROBE_LEASE_MS;
    let second = breaker.admit(&RULES, later).expect("the lease is over");
    assert_eq!(breaker.tell(&RULES, lost, true, later), Turned::No, "it speaks for nobody any more");
    breaker.forget(&RULES, lost);
    assert!(breaker.admit(&RULES, later).is_err(), "the second is under way");
    assert_eq!(breaker.tell(&RULES, second, true, later), Turned::Closed);
}

#[test]
fn what_began_before_it_opened_says_nothing_when_it_ends() {
    let breaker = Breaker::default();
    let early = breaker.admit(&RULES, 0).expect("closed");
    for _ in 0..3 {
        fail(&breaker, &RULES, 0);
    }
    assert_eq!(breaker.tell(&RULES, early, true, 500), Turned::No);
    assert!(breaker.admit(&RULES, 500).is_err());
}

#[test]
fn a_breaker_that_closes_begins_with_an_empty_window() {
    let rules = BreakerRules { open_ms: 10, ..by_rate() };
    let breaker = Breaker::default();
    for now in 0..10 {
        fail(&breaker, &rules, now);
    }
    assert_eq!(succeed(&breaker, &rules, 30), Turned::Closed);
    assert_eq!(fail(&breaker, &rules, 31), Turned::No, "what was before is forgotten");
}

#[test]
fn half_open_a_share_of_what_comes_passes() {
    let rules = BreakerRules { probe_millionths: 200_000, probes: 1_000, ..RULES };
    let breaker = opened(&rules);
    let passed = (0..1_000).filter(|_| breaker.admit(&rules, 1_000).is_ok()).count();
    assert!((199..=201).contains(&passed), "{passed}");
}

#[test]
fn of_all_workers_one_opens_it_and_one_has_the_probe() {
    for _ in 0..200 {
        let breaker = Breaker::default();
        let (opened, probes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..8 {
                        let Ok(leave) = breaker.admit(&RULES, 0) else { return };
                        let turned = breaker.tell(&RULES, leave, false, 0);
                        opened.fetch_add(usize::from(turned == Turned::Opened), SeqCst);
                    }
                });
            }
        });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| probes.fetch_add(usize::from(breaker.admit(&RULES, 1_000).is_ok()), SeqCst));
            }
        });
        assert_eq!((opened.into_inner(), probes.into_inner()), (1, 1));
    }
}

#[test]
fn a_late_probe_of_an_earlier_time_says_nothing_and_the_first_of_the_next_passes() {
    let rules = BreakerRules { probe_millionths: 1_000, probes: 2, ..RULES };
    let breaker = opened(&rules);
    let hangs = breaker.admit(&rules, 1_000).expect("the first passes");
    let fails = loop {
        if let Ok(leave) = breaker.admit(&rules, 1_001) {
            break leave;
        }
    };
    assert_eq!(breaker.tell(&rules, fails, false, 1_002), Turned::Opened);
    let good = breaker.admit(&rules, 1_002 + rules.open_ms).expect("the first passes");
    assert_eq!(breaker.tell(&rules, hangs, false, 1_003 + rules.open_ms), Turned::No);
    assert_eq!(breaker.tell(&rules, good, true, 1_003 + rules.open_ms), Turned::No);
    assert_eq!(breaker.standing(), Standing::HalfOpen);
}
