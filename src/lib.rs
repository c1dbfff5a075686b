//! gatekeeper: an API gateway, one pinned thread per core on io_uring.
//!
//! The map of the house. Rooms, and who may see whom:
//!
//! ```text
//! limits, ids, end ← proto ← wall ← worker      worker ✗ control, config     control ✗ worker
//!                             ↑                 proto ✗ wall                 wall ✗ config
//!                           config ← control    run may see all; nothing sees run
//! ```
//!
//! A request's way through the data plane:
//! accept → head → route → policy → balance → upstream → relay → meter.

#![deny(missing_docs)]

pub mod cli;
pub mod config;
pub mod control;
pub mod end;
pub mod ids;
pub mod limits;
pub mod proto;
pub mod run;
pub mod wall;
pub mod worker;
