//! How a service chooses among its endpoints: the frozen form of `load_balance.type` and what belongs to it.
//!
//! In scope: the strategies, and the key of a consistent hash, so that `gatekeeper explain` finds the same endpoint as
//! the workers. Out of scope: choosing (`worker::balance`), names in the file (`config::compile`).

use std::net::IpAddr;
use std::sync::Arc;

use super::attribute::{Attribute, Parts};
use super::ring::{self, Ring};
use crate::proto::head::RequestHead;

/// How a service chooses among its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The rule.
    pub strategy: Strategy,
    /// Weights count; otherwise an endpoint of weight 0 takes nothing and all others are alike.
    pub weighted: bool,
    /// How long an endpoint that is back takes to get its full share; 0 is no time.
    pub slow_start_ms: u32,
    /// How much of its effective weight an endpoint loses by an attempt that failed, in percent; 0 is nothing.
    pub failure_percent: u32,
}

/// The rule by which an endpoint is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Each in its turn: smooth weighted round-robin.
    RoundRobin,
    /// Any.
    Random,
    /// The one that the request's key belongs to.
    Hash(HashRule),
    /// The one with the fewest requests in hand for its weight.
    LeastRequests,
    /// Of two that chance picks, the one that is likely to answer sooner.
    PeakEwma,
}

/// Which key, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashRule {
    /// What is hashed.
    pub key: HashKey,
    /// An endpoint gets no more requests at once than this part of its fair share, in percent; 0 is no bound.
    pub load_percent: u32,
    /// Where each key belongs.
    pub ring: Arc<Ring>,
}

/// What of a request decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// Path and query, as the client asked, the path in its normalised form.
    Url,
    /// The client's address.
    Client,
    /// A field, a cookie or a parameter of the query.
    Attribute(Attribute),
}

impl Balance {
    /// Whether it matters how many requests an endpoint has in hand.
    #[must_use]
    pub fn counts_loads(&self) -> bool {
        match &self.strategy {
            Strategy::RoundRobin | Strategy::Random => false,
            Strategy::Hash(rule) => rule.load_percent > 0,
            Strategy::LeastRequests | Strategy::PeakEwma => true,
        }
    }

    /// The key of a request, where this asks for one and the request has it; `decoded` is room for one that had to be
    /// decoded.
    #[must_use]
    #[inline]
    pub fn key(&self, head: &RequestHead<'_>, path: &[u8], client: IpAddr, decoded: &mut Vec<u8>) -> Option<u32> {
        match &self.strategy {
            Strategy::Hash(rule) => rule.key.of(head, path, client, decoded),
            _ => None,
        }
    }

    /// The key of a connection, of which nothing is known but its client.
    #[must_use]
    pub fn connection_key(&self, client: IpAddr) -> Option<u32> {
        matches!(self.strategy, Strategy::Hash(_)).then(|| of_client(client))
    }

    /// What an endpoint of this weight in the file counts.
    #[must_use]
    pub fn weight(&self, written: u32) -> u32 {
        if self.weighted { written } else { written.min(1) }
    }
}

impl HashKey {
    fn of(&self, head: &RequestHead<'_>, path: &[u8], client: IpAddr, decoded: &mut Vec<u8>) -> Option<u32> {
        match self {
            Self::Url => Some(match head.query {
                Some(query) => ring::hash(&[path, b"?", query]),
                None => ring::hash(&[path]),
            }),
            Self::Client => Some(of_client(client)),
            Self::Attribute(attribute) => attribute.value(&Parts::of(head), decoded).map(|value| ring::hash(&[value])),
        }
    }
}

fn of_client(client: IpAddr) -> u32 {
    match client.to_canonical() {
        IpAddr::V4(address) => ring::hash(&[&address.octets()]),
        IpAddr::V6(address) => ring::hash(&[&address.octets()]),
    }
}
