//! Bytes on their way: requests up, answers down, tunnels both ways, answers of our own.
//!
//! Out of scope: what is decided of them (`plan`, `policy`), sockets themselves (`io`).

pub mod answer;
pub mod body;
pub mod converse;
pub mod pace;
pub mod reply;
pub mod tunnel;
pub mod upload;
