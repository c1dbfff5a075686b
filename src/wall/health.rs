//! `Health`: what control knows of every endpoint, frozen with an epoch.
//!
//! Written by `control` (probes, name resolution, workers' reports of failed connects), read by the
//! balancers. Out of scope: how a verdict is reached.

use std::net::SocketAddr;
use std::time::Instant;

use crate::ids::EndpointId;

/// What control thinks of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not probed yet: gets traffic only when no other endpoint is up.
    Unprobed,
    /// Takes traffic.
    Up,
    /// Takes none.
    Down,
}

/// One endpoint's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Whether it takes traffic.
    pub verdict: Verdict,
    /// Since when workers have been told that it is up; `None` while it is not.
    pub up_since: Option<Instant>,
    /// The addresses for which the verdict holds: its own, or of those that its name resolves to the
    /// ones that are up where any is. Empty for a Unix socket, and for a name that does not resolve.
    pub addresses: Box<[SocketAddr]>,
}

/// The state of every endpoint of a snapshot, indexed by `EndpointId`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Dense over the snapshot.
    pub endpoints: Box<[EndpointHealth]>,
}

impl Health {
    /// The state of one endpoint of the snapshot this table was published with.
    #[must_use]
    pub fn of(&self, id: EndpointId) -> &EndpointHealth {
        &self.endpoints[id.index()]
    }
}
