//! ROOM 2, the wall: everything that crosses between the control plane and the data plane.
//!
//! Down go frozen epochs and orders, up come reports. In scope: those types and the lookups that
//! share their invariants. Out of scope: where they come from (`config`, `control`), who acts on
//! them (`worker`), any I/O but the making and reading of the stats file (`slot`).

pub mod access;
pub mod addresses;
pub mod attribute;
pub mod balance;
pub mod breaker;
pub mod calendar;
pub mod composition;
pub mod concurrency;
pub mod condition;
pub mod cors;
pub mod default_answer;
pub mod ejection;
pub mod epoch;
pub mod expression;
pub mod filters;
pub mod forwarded;
pub mod group;
pub mod headers;
pub mod health;
pub mod issuer;
pub mod journal;
pub mod jwt;
pub mod keys;
pub mod limit;
pub mod link;
pub mod listen;
pub mod loads;
pub mod mirror;
pub mod nonces;
pub mod quota;
pub mod ranges;
pub mod rate;
pub mod resilience;
pub mod retry;
pub mod rewrite;
pub mod ring;
pub mod routes;
pub mod secret;
pub mod signing;
pub mod slot;
pub mod snapshot;
pub mod split;
pub mod tenants;
pub mod timing;
pub mod trace;
pub mod validation;
pub mod words;
