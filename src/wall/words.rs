//! How numbers are said, alike by all who say any.

use std::fmt::Display;

/// `1 rule`, `2 rules`.
#[must_use]
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{plural}")
}
