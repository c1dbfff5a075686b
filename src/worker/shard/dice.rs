//! Chance, as cheap as it comes: SplitMix64 on one number of a core's own.
//!
//! In scope: numbers below a bound, the same ones again from the same seed. Out of scope: secrets, which these are no
//! good for.

use std::cell::Cell;

use crate::wall::trace::mixed;

/// Between two states: odd, so that all are passed through before one comes again.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of chance.
#[derive(Debug)]
pub struct Dice(Cell<u64>);

impl Dice {
    /// Dice that fall the same way for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(mixed(seed)))
    }

    /// A number from 0 to below `bound`; 0 where that is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        let state = self.0.get().wrapping_add(STEP);
        self.0.set(state);
        // The upper half of the product: evenly spread, but for one part in 2^64 / bound.
        ((u128::from(mixed(state)) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_the_bound_comes_as_often() {
        let dice = Dice::new(7);
        let mut counts = [0_u32; 10];
        (0..100_000).for_each(|_| counts[dice.below(10) as usize] += 1);
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_gives_others() {
        let numbers = |seed| {
            let dice = Dice::new(seed);
            (0..8).map(|_| dice.below(1 << 40)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
    }
}
