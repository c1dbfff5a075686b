//! The life of the process: start, new configurations under load, stop.

mod busy;
mod inflight;
mod start;
mod stop;
mod storm;
mod triggers;
