//! What a service has against endpoints that fail: its rules with the epoch, and what is known, which outlives it.
//!
//! In scope: which rules there are, and how a new configuration goes on with what was known under the one before: by the
//! service's name and the endpoint's address. Out of scope: each rule (`breaker`, `ejection`, `retry`, `concurrency`).

use std::sync::Arc;

use super::breaker::{Breaker, BreakerRules};
use super::concurrency::{ConcurrencyRules, Places};
use super::ejection::{Ejection, EjectionRules};
use super::retry::{Budget, RetryRules};
use super::snapshot::{Address, Endpoint};

/// A service's rules. Two are the same configuration when their rules are; what is known is no configuration.
#[derive(Clone, Debug)]
pub struct Resilience {
    /// What is tried again, where more is than what is certain to be harmless.
    pub retry: Option<RetryRules>,
    /// The breaker's rules.
    pub breaker: Option<BreakerRules>,
    /// The service as a whole has one.
    pub of_service: bool,
    /// Each endpoint has one.
    pub of_endpoints: bool,
    /// Passive ejection.
    pub ejection: Option<EjectionRules>,
    /// How many requests at once.
    pub concurrency: Option<ConcurrencyRules>,
    /// What is known.
    pub known: Known,
}

/// What is known of a service and its endpoints; the same in every epoch of the process.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The service.
    pub service: Arc<OfService>,
    /// Its endpoints, in their order.
    pub endpoints: Box<[Arc<OfEndpoint>]>,
}

/// What is known of a service.
#[derive(Debug, Default)]
pub struct OfService {
    /// Its breaker.
    pub breaker: Breaker,
    /// What is left for further attempts.
    pub budget: Budget,
    /// Requests under way.
    pub places: Places,
}

/// What is known of an endpoint.
#[derive(Debug, Default)]
pub struct OfEndpoint {
    /// Its breaker.
    pub breaker: Breaker,
    /// Whether it is out.
    pub ejection: Ejection,
}

impl PartialEq for Resilience {
    fn eq(&self, other: &Self) -> bool {
        let rules = |all: &Self| (all.breaker, all.of_service, all.of_endpoints, all.ejection, all.concurrency);
        self.retry == other.retry && rules(self) == rules(other)
    }
}

impl Eq for Resilience {}

impl Resilience {
    /// Whether what is known is the same, not only the rules.
    #[must_use]
    pub fn knows_as(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.known.endpoints, &other.known.endpoints);
        Arc::ptr_eq(&self.known.service, &other.known.service)
            && mine.len() == theirs.len()
            && mine.iter().zip(theirs).all(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
    }

    /// Goes on with what is known, where the service had any rules before. `mine` are its endpoints, `theirs` those it
    /// had then. Places are bounded anew at once: those who wait under the rules before must not wait for more.
    pub fn go_on(&mut self, mine: &[Endpoint], before: &Self, theirs: &[Endpoint]) {
        let known_of = |address: &Address| {
            let mut all = theirs.iter().zip(&before.known.endpoints);
            all.find(|(endpoint, _)| endpoint.address == *address).map(|(_, known)| Arc::clone(known))
        };
        before.known.service.places.bound(self.concurrency.as_ref());
        self.known = Known {
            service: Arc::clone(&before.known.service),
            endpoints: mine.iter().map(|endpoint| known_of(&endpoint.address).unwrap_or_default()).collect(),
        };
    }
}
