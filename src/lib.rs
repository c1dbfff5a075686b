//! gatekeeper: an API gateway, one pinned thread per core on io_uring.
//!
//! Whoever embeds it writes filters ([`filter`]) and a `main` ([`Gateway`]); docs/filters.md shows how. That is the
//! interface. The other modules are the program itself, open to its own tests and tools, and change without notice.
//!
//! The map of the house. Rooms, and who may see whom:
//!
//! ```text
//! limits, ids, end ← proto ← filter ← wall ← worker      worker ✗ control, config     control ✗ worker
//!                                      ↑                 proto ✗ wall                 wall ✗ config
//!                                    config ← control    gateway, run may see all; nothing sees them
//! ```
//!
//! A request's way through the data plane:
//! accept → head → route → policy → filters → balance → upstream → filters → relay → meter.

#![deny(missing_docs)]

pub mod filter;
mod gateway;
mod inherited;

pub use gateway::Gateway;

#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod control;
#[doc(hidden)]
pub mod end;
#[doc(hidden)]
pub mod ids;
#[doc(hidden)]
pub mod limits;
#[doc(hidden)]
pub mod proto;
#[doc(hidden)]
pub mod run;
#[doc(hidden)]
pub mod wall;
#[doc(hidden)]
pub mod worker;
