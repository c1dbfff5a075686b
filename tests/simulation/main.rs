//! Choosers under random faults: a simulated gateway of several cores in front of simulated endpoints that become slow,
//! fail, hang and die, in simulated time.
//!
//! Everything follows from a seed, so what fails once fails again: `SEED=17 cargo test --test simulation` runs that one
//! alone. In scope: what holds whatever the faults are, and what choosers are for. A rule that takes endpoints out
//! joins as a `Gate`. Out of scope: sockets, and everything else of the gateway.

mod schedule;
mod world;

use std::sync::Arc;

use gatekeeper::wall::balance::{Balance, HashKey, HashRule, Strategy};
use gatekeeper::wall::ring::Ring;
use schedule::{Condition, Schedule};
use world::{Attempt, History, Open, Outcome, World};

const SECOND: u64 = 1_000_000;

/// The seeds to try: some, or the one that the environment names.
fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..6).collect(),
    }
}

fn balance(strategy: Strategy) -> Balance {
    Balance { strategy, weighted: true, slow_start_ms: 5_000, failure_percent: 50 }
}

fn ring(weights: &[u32]) -> Arc<Ring> {
    let names: Vec<_> = (0..weights.len()).map(|number| format!("10.0.0.{number}:80")).collect();
    let endpoints: Vec<_> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
    Arc::new(Ring::weighted(&endpoints, 640))
}

fn hash(weights: &[u32], load_percent: u32) -> Strategy {
    Strategy::Hash(HashRule { key: HashKey::Url, load_percent, ring: ring(weights) })
}

const WEIGHTS: [u32; 6] = [50, 50, 50, 50, 100, 25];

fn strategies() -> Vec<Strategy> {
    let hashes = [hash(&WEIGHTS, 0), hash(&WEIGHTS, 125)];
    [Strategy::RoundRobin, Strategy::Random, Strategy::LeastRequests, Strategy::PeakEwma]
        .into_iter()
        .chain(hashes)
        .collect()
}

/// A world under random faults.
fn faulty(strategy: Strategy, seed: u64) -> World {
    let schedules = (0..WEIGHTS.len()).map(|endpoint| Schedule::random(seed, endpoint, 20 * SECOND)).collect();
    World::new(balance(strategy), &WEIGHTS, schedules, seed)
}

/// The part of the attempts that this endpoint got, from a time on.
fn part(history: &History, endpoint: usize, from_us: u64) -> f64 {
    let late: Vec<&Attempt> = history.attempts.iter().filter(|attempt| attempt.at_us >= from_us).collect();
    late.iter().filter(|attempt| attempt.endpoint == endpoint).count() as f64 / late.len() as f64
}

#[test]
fn a_seed_replays_its_history_to_the_last_attempt() {
    for strategy in strategies() {
        let run = |seed| faulty(strategy.clone(), seed).run(&Open, 10 * SECOND);
        let (first, again, other) = (run(3), run(3), run(4));
        assert!(first.attempts.len() > 1_000, "{strategy:?}");
        assert_eq!(first, again, "{strategy:?}");
        assert_ne!(first, other, "{strategy:?}");
    }
}

#[test]
fn whatever_fails_every_request_ends_once_and_nothing_stays_in_hand() {
    for (seed, strategy) in seeds().into_iter().flat_map(|seed| strategies().into_iter().map(move |s| (seed, s))) {
        let history = faulty(strategy.clone(), seed).run(&Open, 20 * SECOND);
        assert_eq!(history.ends.len(), history.requests, "seed {seed}, {strategy:?}");
        assert!(history.left.iter().all(|load| *load == 0), "seed {seed}, {strategy:?}: {:?}", history.left);
        for attempt in &history.attempts {
            assert!(!attempt.known_down, "seed {seed}, {strategy:?}: {attempt:?}");
            assert!(!attempt.again, "seed {seed}, {strategy:?}: {attempt:?}");
        }
    }
}

#[test]
fn when_the_faults_are_over_shares_are_those_of_the_weights_again() {
    let total: u32 = WEIGHTS.iter().sum();
    for (seed, strategy) in
        seeds().into_iter().flat_map(|seed| [Strategy::RoundRobin, Strategy::Random].map(|strategy| (seed, strategy)))
    {
        // Faults end after 20 seconds at the latest; what they cost is forgiven in ten.
        let history = faulty(strategy.clone(), seed).run(&Open, 50 * SECOND);
        for (endpoint, weight) in WEIGHTS.into_iter().enumerate() {
            let (got, due) = (part(&history, endpoint, 32 * SECOND), f64::from(weight) / f64::from(total));
            assert!((got / due - 1.0).abs() < 0.2, "seed {seed}, {strategy:?}: {got} of {due} at {endpoint}");
        }
    }
}

/// One endpoint of four is like this from the first second on.
fn one_is(condition: Condition, balance: Balance, seed: u64) -> History {
    let mut schedules = vec![Schedule::healthy(); 4];
    schedules[2] = Schedule::from(SECOND, condition);
    World::new(balance, &[50; 4], schedules, seed).run(&Open, 30 * SECOND)
}

fn failed(history: &History) -> f64 {
    let failed = history.ends.iter().filter(|(outcome, _)| *outcome != Outcome::Answered).count();
    failed as f64 / history.ends.len() as f64
}

#[test]
fn a_lesson_from_failures_saves_most_of_the_requests_that_would_fail() {
    for seed in seeds() {
        for strategy in [Strategy::RoundRobin, Strategy::Random, Strategy::LeastRequests] {
            let run = |percent| {
                let balance = Balance { failure_percent: percent, ..balance(strategy.clone()) };
                failed(&one_is(Condition::Failing, balance, seed))
            };
            let (without, with) = (run(0), run(50));
            assert!(without > 0.2, "seed {seed}, {strategy:?}: one of four fails: {without}");
            assert!(with < without / 3.0, "seed {seed}, {strategy:?}: {without} without, {with} with");
        }
    }
}

#[test]
fn an_endpoint_that_fails_quickly_does_not_draw_the_requests() {
    for seed in seeds() {
        let history = one_is(Condition::Failing, balance(Strategy::PeakEwma), seed);
        let failed = failed(&history);
        assert!(failed < 0.05, "seed {seed}: {failed} failed");
    }
}

/// The time that 99 of 100 requests stay below.
fn p99_us(history: &History) -> u64 {
    let mut times: Vec<_> = history.ends.iter().map(|(_, took_us)| *took_us).collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[test]
fn whoever_looks_at_loads_or_latencies_spares_requests_a_slow_endpoint() {
    for seed in seeds() {
        let slow = Condition::Slow(20);
        let p99 = |strategy| p99_us(&one_is(slow, balance(strategy), seed));
        let (turns, least, ewma) = (p99(Strategy::RoundRobin), p99(Strategy::LeastRequests), p99(Strategy::PeakEwma));
        assert!(least < turns / 2, "seed {seed}: least requests {least} us, turns {turns} us");
        assert!(ewma < turns / 2, "seed {seed}: peak EWMA {ewma} us, turns {turns} us");
    }
}

#[test]
fn a_key_is_where_the_ring_says_of_those_that_are_up() {
    let ring = ring(&WEIGHTS);
    for seed in seeds() {
        let history = faulty(hash(&WEIGHTS, 0), seed).run(&Open, 20 * SECOND);
        for attempt in history.attempts.iter().filter(|attempt| attempt.first) {
            let owner = ring.walk(attempt.key).find(|endpoint| attempt.up[*endpoint]);
            assert_eq!(Some(attempt.endpoint), owner, "seed {seed}: {attempt:?}");
        }
    }
}

#[test]
fn a_bound_on_loads_holds_whatever_fails() {
    for seed in seeds() {
        let history = faulty(hash(&WEIGHTS, 125), seed).run(&Open, 20 * SECOND);
        for attempt in &history.attempts {
            assert!(attempt.load <= attempt.bound, "seed {seed}: {attempt:?}");
        }
    }
}

/// Takes an endpoint out by hand: what ejection does by its own reasons.
struct Without(usize);

impl world::Gate for Without {
    fn admits(&self, endpoint: usize, _: u64) -> bool {
        endpoint != self.0
    }
}

#[test]
fn what_a_gate_takes_out_gets_nothing() {
    for strategy in strategies() {
        let history = faulty(strategy.clone(), 5).run(&Without(4), 5 * SECOND);
        assert!(history.attempts.len() > 500, "{strategy:?}");
        assert!(history.attempts.iter().all(|attempt| attempt.endpoint != 4), "{strategy:?}");
    }
}
