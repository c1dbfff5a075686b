//! The endpoint with the fewest requests in hand for its weight; among equals, each in its turn.
//!
//! Requests in hand are those of all workers (`wall::loads`): a core that has one or two of its own knows too little.

use super::Field;
use super::View;
use super::rotation::Rotation;

/// The least loaded endpoint.
pub(super) fn pick(view: &View<'_, impl Field>, rotation: &mut Rotation) -> Option<usize> {
    let mut least: Option<Claim> = None;
    for (endpoint, weight) in view.candidates() {
        let claim = Claim { endpoint, load: view.load(endpoint) + 1, weight };
        if least.is_none_or(|least| claim.is_below(&least)) {
            least = Some(claim);
        }
    }
    let least = least?;
    let equal = |endpoint| {
        let claim = Claim { endpoint, load: view.load(endpoint) + 1, weight: view.weight(endpoint) };
        if least.is_below(&claim) { 0 } else { claim.weight }
    };
    // Other workers may have filled them all meanwhile.
    Some(rotation.pick(equal).unwrap_or(least.endpoint))
}

/// What an endpoint would have in hand with this request, and its weight.
#[derive(Clone, Copy)]
struct Claim {
    endpoint: usize,
    load: u64,
    weight: u64,
}

impl Claim {
    /// Whether it has less for its weight: `load / weight`, without dividing.
    fn is_below(&self, other: &Self) -> bool {
        self.load * other.weight < other.load * self.weight
    }
}
