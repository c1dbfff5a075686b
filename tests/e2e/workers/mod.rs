//! The workers as a whole: how connections spread over them.

mod even;
