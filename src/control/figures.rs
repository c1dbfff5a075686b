//! What the workers have counted at one moment, as the admin listener and the books want it.
//!
//! In scope: the shape. Out of scope: where the numbers stand and how they are read.

use std::collections::HashMap;

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Each worker.
    pub cores: Vec<Core>,
    /// Each service that is known, by name, over all workers.
    pub services: Vec<Service>,
    /// Requests on behalf of each tenant, by `app_id`.
    pub tenants: Vec<(Box<str>, u64)>,
    /// How often each reason ended an exchange early.
    pub ends: Vec<(&'static str, u64)>,
}

/// One worker.
#[derive(Clone, Debug, Default)]
pub struct Core {
    /// Its number.
    pub worker: u16,
    /// Client connections now, tunnels among them.
    pub connections: u64,
    /// What else it counts, as (name, number): names end in `_total` where the number only grows.
    pub numbers: Vec<(Box<str>, u64)>,
}

/// One service.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Its name.
    pub name: Box<str>,
    /// Answers by the first digit of their status; at 0 exchanges without one.
    pub classes: [u64; 6],
    /// How long exchanges took.
    pub duration: Histogram,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Its endpoints, by their text in the file.
    pub endpoints: HashMap<Box<str>, Endpoint>,
}

/// One endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoint {
    /// Attempts that ended.
    pub attempts: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Attempts under way.
    pub in_flight: u64,
    /// How long all took together, microseconds.
    pub sum_us: u64,
}

/// Durations in buckets.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// (upper bound in microseconds, exchanges at or below it and above the one before); the rest is in `count`.
    pub buckets: Vec<(u64, u64)>,
    /// All exchanges.
    pub count: u64,
    /// How long all took together, microseconds.
    pub sum_us: u64,
}
