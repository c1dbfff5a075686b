//! Of `/metrics`: how breakers stand and who has a turn, of services that have such rules.

use super::exposition::{Kind, Text, labels};
use crate::wall::breaker::Standing;
use crate::wall::resilience::Resilience;
use crate::wall::snapshot::{Service, Snapshot};

pub(super) fn write(text: &mut Text, snapshot: &Snapshot) {
    let all = || {
        let services = snapshot.services.iter();
        services.filter_map(|service| Some((service, service.upstream.resilience.as_deref()?)))
    };
    text.family(
        Kind::Gauge,
        "gatekeeper_breaker_state",
        "0 closed, 1 half open, 2 open; a service's own has no endpoint.",
    );
    all().for_each(|(service, rules)| breakers(text, service, rules));
    let bounded = || all().filter(|(_, rules)| rules.concurrency.is_some());
    text.family(Kind::Gauge, "gatekeeper_concurrency_taken", "Requests that have a turn at the service.");
    bounded().for_each(|(service, rules)| text.put(&of(service, ""), rules.known.service.places.taken()));
    text.family(Kind::Gauge, "gatekeeper_concurrency_waiting", "Requests that wait for one.");
    bounded().for_each(|(service, rules)| text.put(&of(service, ""), rules.known.service.places.waiting()));
}

fn of(service: &Service, endpoint: &str) -> String {
    let both = [("service", &*service.name), ("endpoint", endpoint)];
    labels(&both[..1 + usize::from(!endpoint.is_empty())])
}

fn breakers(text: &mut Text, service: &Service, rules: &Resilience) {
    if rules.breaker.is_none() {
        return;
    }
    let number = |standing| match standing {
        Standing::Closed => 0,
        Standing::HalfOpen => 1,
        Standing::Open => 2,
    };
    if rules.of_service {
        text.put(&of(service, ""), number(rules.known.service.breaker.standing()));
    }
    if rules.of_endpoints {
        for (endpoint, known) in service.upstream.endpoints.iter().zip(&rules.known.endpoints) {
            text.put(&of(service, &endpoint.node), number(known.breaker.standing()));
        }
    }
}
