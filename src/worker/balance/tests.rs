//! What every strategy keeps to, over endpoints that a test makes up.

use std::cell::Cell;
use std::sync::Arc;

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::wall::balance::{HashKey, HashRule};
use crate::wall::ring::{Ring, hash};

/// Endpoints of which a test says everything.
struct Made {
    up: Vec<bool>,
    loads: Vec<Cell<u32>>,
    standings: Vec<Standing>,
}

impl Made {
    fn new(count: usize) -> Self {
        let standings = (0..count).map(|_| Standing::default()).collect();
        Self { up: vec![true; count], loads: vec![Cell::new(0); count], standings }
    }

    fn loaded(loads: &[u32]) -> Self {
        Self { loads: loads.iter().copied().map(Cell::new).collect(), ..Self::new(loads.len()) }
    }
}

impl Field for Made {
    fn may_take(&self, endpoint: usize) -> bool {
        self.up[endpoint]
    }

    fn load(&self, endpoint: usize) -> u32 {
        self.loads[endpoint].get()
    }

    fn standing(&self, endpoint: usize) -> &Standing {
        &self.standings[endpoint]
    }
}

const NOW: u64 = 1_000_000;

fn balancer(strategy: Strategy, weights: &[u32]) -> Balancer {
    let balance = Balance { strategy, weighted: true, slow_start_ms: 0, failure_percent: 50 };
    Balancer::new(&balance, weights, 0, 1)
}

fn hashed(weights: &[u32], load_percent: u32) -> Strategy {
    let names: Vec<_> = (0..weights.len()).map(|number| format!("10.0.0.{number}:80")).collect();
    let endpoints: Vec<_> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
    Strategy::Hash(HashRule { key: HashKey::Url, load_percent, ring: Arc::new(Ring::weighted(&endpoints, 640)) })
}

fn strategies(weights: &[u32]) -> [Strategy; 6] {
    let (plain, bounded) = (hashed(weights, 0), hashed(weights, 125));
    [Strategy::RoundRobin, Strategy::Random, plain, bounded, Strategy::LeastRequests, Strategy::PeakEwma]
}

fn counts(balancer: &Balancer, made: &Made, picks: u32) -> Vec<u32> {
    let mut counts = vec![0; made.up.len()];
    for pick in 0..picks {
        counts[balancer.pick(made, Some(hash(&[&pick.to_le_bytes()])), || NOW).unwrap()] += 1;
    }
    counts
}

#[test]
fn cores_begin_at_different_places_of_the_cycle() {
    let balance = Balance { strategy: Strategy::RoundRobin, weighted: true, slow_start_ms: 0, failure_percent: 0 };
    let made = Made::new(3);
    let firsts = [0, 1, 2].map(|core| Balancer::new(&balance, &[1, 1, 1], core, 1).pick(&made, None, || NOW));
    assert_eq!(firsts, [Some(0), Some(1), Some(2)]);
}

#[test]
fn where_weights_do_not_count_all_but_those_of_0_are_alike() {
    let balance = Balance { strategy: Strategy::RoundRobin, weighted: false, slow_start_ms: 0, failure_percent: 0 };
    let counts = counts(&Balancer::new(&balance, &[10, 0, 90], 0, 1), &Made::new(3), 100);
    assert_eq!(counts, [50, 0, 50]);
}

#[test]
fn weight_0_is_never_picked_but_when_all_are_0_the_first_is() {
    for strategy in strategies(&[0, 3, 0]) {
        assert_eq!(counts(&balancer(strategy.clone(), &[0, 3, 0]), &Made::new(3), 50), [0, 50, 0], "{strategy:?}");
    }
    for strategy in strategies(&[1, 0]) {
        assert_eq!(counts(&balancer(strategy.clone(), &[0, 0]), &Made::new(2), 50), [50, 0], "{strategy:?}");
    }
}

#[test]
fn chance_goes_by_the_weights() {
    let counts = counts(&balancer(Strategy::Random, &[50, 30, 20]), &Made::new(3), 10_000);
    for (count, expected) in counts.iter().zip([5_000, 3_000, 2_000]) {
        assert!(count.abs_diff(expected) < 250, "{counts:?}");
    }
}

#[test]
fn the_least_loaded_for_its_weight_is_picked_and_equals_take_turns() {
    let pick = |weights: &[u32], loads: &[u32]| {
        balancer(Strategy::LeastRequests, weights).pick(&Made::loaded(loads), None, || NOW)
    };
    assert_eq!(pick(&[1, 1, 1], &[5, 3, 4]), Some(1));
    assert_eq!(pick(&[10, 1], &[8, 0]), Some(0), "nine tenths of one are less than one");
    assert_eq!(pick(&[10, 1], &[10, 0]), Some(1));
    let made = Made::loaded(&[2, 2, 9, 2]);
    assert_eq!(counts(&balancer(Strategy::LeastRequests, &[1, 1, 1, 1]), &made, 30), [10, 10, 0, 10]);
}

#[test]
fn of_two_the_one_that_answers_sooner_is_picked() {
    let made = Made::new(2);
    made.standings[0].answered_in(50_000, NOW);
    made.standings[1].answered_in(1_000, NOW);
    let balancer = balancer(Strategy::PeakEwma, &[50, 50]);
    assert_eq!(counts(&balancer, &made, 20), [0, 20]);
    made.loads[1].set(99);
    assert_eq!(counts(&balancer, &made, 20), [20, 0], "a hundred in hand are as slow as this");
}

#[test]
fn an_endpoint_of_which_nothing_is_known_is_tried_with_one_request() {
    let made = Made::new(2);
    made.standings[0].answered_in(1_000, NOW);
    let balancer = balancer(Strategy::PeakEwma, &[50, 50]);
    assert_eq!(balancer.pick(&made, None, || NOW), Some(1));
    made.loads[1].set(1);
    assert_eq!(counts(&balancer, &made, 20), [20, 0]);
}

#[test]
fn a_key_stays_where_it_belongs_and_moves_on_when_that_is_down() {
    let balancer = balancer(hashed(&[50; 4], 0), &[50; 4]);
    let mut made = Made::new(4);
    let own: Vec<_> = (0..200).map(|key| balancer.pick(&made, Some(hash(&[&[key]])), || NOW).unwrap()).collect();
    made.up[2] = false;
    for (key, own) in (0..200).zip(&own) {
        let now = balancer.pick(&made, Some(hash(&[&[key]])), || NOW).unwrap();
        assert!(if *own == 2 { now != 2 } else { now == *own }, "key {key}: {own}, then {now}");
    }
}

#[test]
fn a_key_that_everybody_asks_for_spills_over_within_the_bound() {
    let balancer = balancer(hashed(&[50; 4], 125), &[50; 4]);
    let made = Made::new(4);
    for _ in 0..400 {
        let endpoint = balancer.pick(&made, Some(7), || NOW).unwrap();
        made.loads[endpoint].set(made.loads[endpoint].get() + 1);
    }
    let mut loads: Vec<_> = made.loads.iter().map(Cell::get).collect();
    assert_eq!(made.loads.iter().map(Cell::get).max(), Some(125), "{loads:?}: 1.25 of 100 each");
    loads.sort_unstable();
    assert_eq!(loads, [25, 125, 125, 125], "no further than it must");
}

#[test]
fn failures_lower_the_share_and_successes_restore_it() {
    for strategy in [Strategy::RoundRobin, Strategy::Random] {
        let (balancer, made) = (balancer(strategy, &[50, 50]), Made::new(2));
        (0..3).for_each(|_| balancer.failed(&made.standings[0], 10, NOW));
        let lowered = counts(&balancer, &made, 9_000);
        assert!(lowered[0].abs_diff(1_000) < 120, "an eighth against a whole: {lowered:?}");
        (0..10).for_each(|_| balancer.succeeded(&made.standings[0], None, || NOW));
        let restored = counts(&balancer, &made, 9_000);
        assert!(restored[0].abs_diff(4_500) < 200, "{restored:?}");
    }
}

#[test]
fn a_failing_endpoint_needs_fewer_requests_in_hand_to_be_passed_over() {
    let (balancer, made) = (balancer(Strategy::LeastRequests, &[50, 50]), Made::loaded(&[0, 7]));
    (0..3).for_each(|_| balancer.failed(&made.standings[0], 10, NOW));
    assert_eq!(counts(&balancer, &made, 9), [1, 8], "one at an eighth is as much as eight: they take turns by weight");
    made.loads[0].set(1);
    assert_eq!(counts(&balancer, &made, 9), [0, 9]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn only_candidates_are_picked_and_one_is_while_there_is_any(
        seed: u16,
        endpoints in proptest::collection::vec((any::<bool>(), 0_u32..4, 0_u32..50, 0_u8..8), 1..12),
        keys in proptest::collection::vec(proptest::option::of(any::<u32>()), 1..20),
    ) {
        let weights: Vec<_> = endpoints.iter().map(|(_, weight, ..)| *weight).collect();
        let mut made = Made::loaded(&endpoints.iter().map(|(_, _, load, _)| *load).collect::<Vec<_>>());
        made.up = endpoints.iter().map(|(up, ..)| *up).collect();
        for (standing, (_, _, _, failures)) in made.standings.iter().zip(&endpoints) {
            (0..*failures).for_each(|_| standing.failed(50, NOW));
        }
        let all_0 = weights.iter().all(|weight| *weight == 0);
        let may = |at: usize| made.up[at] && (weights[at] > 0 || (all_0 && at == 0));
        let any = (0..weights.len()).any(may);
        for strategy in strategies(&if all_0 { (0..weights.len()).map(|at| u32::from(at == 0)).collect() } else { weights.clone() }) {
            let balance = Balance { strategy, weighted: true, slow_start_ms: 0, failure_percent: 50 };
            let balancer = Balancer::new(&balance, &weights, usize::from(seed), u64::from(seed));
            for key in &keys {
                let picked = balancer.pick(&made, *key, || NOW);
                prop_assert_eq!(picked.is_some(), any, "{:?}", balance.strategy);
                prop_assert!(picked.is_none_or(may), "{:?} picked {:?}", balance.strategy, picked);
            }
        }
    }

    #[test]
    fn with_a_bound_no_endpoint_has_more_than_its_part(
        weights in proptest::collection::vec(1_u32..100, 1..10),
        percent in 100_u32..200,
        keys in proptest::collection::vec(0_u32..5, 1..300),
    ) {
        let (balancer, made) = (balancer(hashed(&weights, percent), &weights), Made::new(weights.len()));
        let total: u32 = weights.iter().sum();
        for (taken, key) in (1_u32..).zip(keys) {
            let endpoint = balancer.pick(&made, Some(key), || NOW).unwrap();
            let load = made.loads[endpoint].get() + 1;
            made.loads[endpoint].set(load);
            let most = (u64::from(taken) * u64::from(percent) * u64::from(weights[endpoint])).div_ceil(100 * u64::from(total));
            prop_assert!(u64::from(load) <= most, "{} of {}, {} at most", load, taken, most);
        }
    }
}
