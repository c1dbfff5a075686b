//! ROOM 3, the data plane: one pinned thread per core, nothing shared, nothing that waits but on its ring.
//!
//! A request's way: `accept` → `session` → `arrival` → `engine` → `exchange` → (`plan`: head, `route`, `policy`, `balance`) →
//! `upstream` → `converse` (`upload` and `answer`) → the session's account, which goes to the meter. Only `io` awaits a socket. Out of
//! scope: files, names, locks, logs, health; those are control's.

pub mod accept;
pub mod account;
pub mod admission;
pub mod answer;
pub mod arrival;
pub mod balance;
pub mod body;
pub mod buffer;
pub mod clock;
pub mod concurrency;
pub mod converse;
pub mod deadline;
pub mod dice;
pub mod downstream;
pub mod dressing;
pub mod driver;
pub mod engine;
pub mod exchange;
#[cfg(debug_assertions)]
pub mod fault;
pub mod filters;
pub mod grant;
pub mod handover;
pub mod headers;
pub mod identify;
pub mod io;
pub mod limits;
pub mod local;
pub mod log;
pub mod meter;
pub mod mirror;
pub mod orders;
pub mod pace;
pub mod plan;
pub mod policy;
pub mod proxied;
pub mod reply;
pub mod request_id;
pub mod retry;
pub mod route;
pub mod runtime;
pub mod session;
pub mod shard;
pub mod tcp;
pub mod thread;
pub mod tickets;
pub mod tokens;
pub mod trace;
pub mod trial;
pub mod tunnel;
pub mod upload;
pub mod upstream;
pub mod usage;
pub mod validation;
