//! ROOM 3, the data plane: one pinned thread per core, nothing shared, nothing that waits but on its ring.
//!
//! A request's way: `accept` → `session` → `plan`, which asks `policy` and `balance` → `upstream` → `relay` → the session's
//! account, which goes to the log and the meter. `shard` is what a core owns, `thread` what it runs in, `io` the only
//! folder that awaits a socket, on `runtime`. Out of scope: files, names, locks, health; those are control's.

pub mod accept;
pub mod balance;
pub mod io;
pub mod plan;
pub mod policy;
pub mod relay;
pub mod runtime;
pub mod session;
pub mod shard;
pub mod thread;
pub mod upstream;
