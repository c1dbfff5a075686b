//! New trace ids: random, as Trace Context asks for, and never the same from two cores.
//!
//! In scope: making them. Out of scope: which request gets one (`wall::trace`).

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use crate::wall::trace::mixed;

/// Between two states of a generator: odd, so that all are passed through before one comes again (SplitMix64).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The ids that one core makes.
pub struct TraceIds {
    seeds: [u64; 3],
    count: Cell<u64>,
}

impl TraceIds {
    /// Ids under new random seeds.
    #[must_use]
    pub fn new() -> Self {
        let random = RandomState::new();
        Self { seeds: [0, 1, 2].map(|which| random.hash_one((std::process::id(), which))), count: Cell::new(0) }
    }

    /// A new trace and its first span.
    #[must_use]
    pub fn fresh(&self) -> (u128, u64) {
        let count = self.count.get().wrapping_add(STEP);
        self.count.set(count);
        let [high, low, span] = self.seeds.map(|seed| mixed(seed.wrapping_add(count)));
        (u128::from(high) << 64 | u128::from(low), span)
    }
}

impl Default for TraceIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_several_cores_differ_and_every_bit_moves() {
        let cores: Vec<TraceIds> = (0..4).map(|_| TraceIds::new()).collect();
        let ids: Vec<_> = cores.iter().flat_map(|core| (0..10_000).map(|_| core.fresh())).collect();
        assert_eq!(ids.iter().map(|(trace, _)| trace).collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(ids.iter().map(|(_, span)| span).collect::<HashSet<_>>().len(), ids.len());
        for bit in 0..128 {
            let set = ids.iter().filter(|(trace, _)| trace >> bit & 1 == 1).count();
            assert!((18_000..22_000).contains(&set), "bit {bit}: {set} of 40,000");
        }
    }
}
