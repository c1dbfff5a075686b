//! The workers as a whole: how connections spread over them, what becomes of one that dies.

mod even;
mod faults;
