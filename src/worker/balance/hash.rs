//! The endpoint that a key belongs to, or the next on the ring that may take the request and has room for it.
//!
//! With a bound on loads (Mirrokni, Thorup and Zadimoghaddam, 2016), none gets more requests at once than the given part
//! of its fair share of all that are under way: a key that everybody asks for spills over to the next endpoints, and
//! always to the same ones.

use super::Field;
use super::View;
use crate::wall::balance::HashRule;

/// The endpoint of a key.
pub(super) fn pick(view: &View<'_, impl Field>, rule: &HashRule, key: u32) -> Option<usize> {
    // The walk is short only where somebody may take the request.
    view.candidates().next()?;
    let own = || rule.ring.walk(key).find(|endpoint| view.weight(*endpoint) > 0);
    if rule.load_percent == 0 {
        return own();
    }
    let bound = Bound::of(view, rule.load_percent);
    let roomy = rule.ring.walk(key).find(|endpoint| {
        let weight = view.weight(*endpoint);
        weight > 0 && bound.has_room(view.load(*endpoint), weight)
    });
    // Other workers may have filled them all meanwhile.
    roomy.or_else(own)
}

/// How much each may have in hand.
struct Bound {
    /// All that is under way, with this request.
    requests: u64,
    weights: u64,
    percent: u64,
}

impl Bound {
    fn of(view: &View<'_, impl Field>, percent: u32) -> Self {
        let (mut requests, mut weights) = (1, 0);
        for (endpoint, weight) in view.candidates() {
            requests += view.load(endpoint);
            weights += weight;
        }
        Self { requests, weights, percent: u64::from(percent) }
    }

    /// Whether an endpoint of this weight, with so many in hand, may have one more.
    fn has_room(&self, load: u64, weight: u64) -> bool {
        let share = u128::from(self.percent) * u128::from(self.requests) * u128::from(weight);
        let bound = share.div_ceil(100 * u128::from(self.weights));
        u128::from(load) < bound
    }
}
