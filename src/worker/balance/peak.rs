//! Of two endpoints that chance picks, the one that is likely to answer sooner: power of two choices over a peak-sensitive
//! moving average.
//!
//! What an endpoint costs is its latency times the requests that would be before the answer, over its weight. Looking at
//! two of them does nearly as well as looking at all (Mitzenmacher, 2001), and keeps cores from running to the same one
//! at the same time. An endpoint that has not answered yet is tried with one request, and with no other until it has.
//! Latencies are each core's own, requests in hand are those of all.

use super::Field;
use super::View;
use crate::worker::shard::dice::Dice;

/// What an unanswered request costs at an endpoint of which nothing is known: more than any answer takes.
const UNKNOWN_US: f64 = 1e12;

/// The better of two.
pub(super) fn pick(view: &View<'_, impl Field>, dice: &Dice) -> Option<usize> {
    let count = view.candidates().count() as u64;
    let first = dice.below(count);
    let mut second = dice.below(count.saturating_sub(1));
    if second >= first {
        second += 1;
    }
    let at = |which: u64| view.candidates().nth(which as usize);
    let (one, other) = (at(first)?, at(second));
    let Some(other) = other else { return Some(one.0) };
    Some(if cost(view, other) < cost(view, one) { other.0 } else { one.0 })
}

fn cost(view: &View<'_, impl Field>, (endpoint, weight): (usize, u64)) -> f64 {
    let (load, latency) = (view.load(endpoint), view.field.standing(endpoint).latency_us(view.now_us));
    let latency = if latency == 0.0 && load > 0 { UNKNOWN_US } else { latency };
    latency * (load + 1) as f64 / weight as f64
}
