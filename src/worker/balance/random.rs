//! Any endpoint, as often as its weight says.

use super::Field;
use super::View;
use crate::worker::shard::dice::Dice;

/// An endpoint by chance.
pub(super) fn pick(view: &View<'_, impl Field>, dice: &Dice) -> Option<usize> {
    let total = view.candidates().map(|(_, weight)| weight).sum();
    let mut left = dice.below(total);
    view.candidates().find_map(|(endpoint, weight)| match left.checked_sub(weight) {
        None => Some(endpoint),
        Some(rest) => {
            left = rest;
            None
        }
    })
}
