//! The way to the service: pools, failing connections, queues, deadlines, balance, health.

mod addresses;
mod balance;
mod deadlines;
mod failures;
mod health;
mod queue;
mod reuse;
mod standing;
mod strategies;
