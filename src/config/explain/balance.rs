//! How the service chooses among its endpoints, where that is not as ever, and what share each gets; of a consistent
//! hash, which one it is.

use std::net::IpAddr;

use super::story::Story;
use crate::end::End;
use crate::proto::head::RequestHead;
use crate::wall::balance::{Balance, HashKey, HashRule, Strategy};
use crate::wall::snapshot::{Endpoint, Service};

/// Tells it; the endpoint that the request goes to, or one of them.
pub(super) fn tell<'s>(
    story: &mut Story,
    service: &'s Service,
    head: &RequestHead<'_>,
    path: &[u8],
    client: IpAddr,
) -> Result<&'s str, End> {
    let balance = &service.upstream.balance;
    let field = Shares::of(service);
    let key = balance.key(head, path, client, &mut Vec::new());
    let chosen = key.and_then(|key| field.owner(balance, key));
    let as_ever = balance.weighted && balance.strategy == Strategy::RoundRobin && balance.slow_start_ms == 0;
    if !as_ever {
        story.lines("balance", &rule(balance, key));
    }
    let told = field.endpoints.iter().enumerate().map(|(at, endpoint)| {
        let share = match (endpoint.forbidden, chosen) {
            (true, _) => "on forbid_list: none".to_owned(),
            (false, Some(chosen)) if chosen == at => "the request's key belongs here".to_owned(),
            (false, _) => field.share(at, &balance.strategy),
        };
        format!("{:<24} weight {:<6} {share}", endpoint.node, endpoint.weight)
    });
    story.lines("endpoints", &told.collect::<Vec<_>>());
    let first = field.endpoints.iter().position(|endpoint| !endpoint.forbidden).ok_or(End::NoEndpoint)?;
    Ok(&field.endpoints[chosen.unwrap_or(first)].node)
}

/// The rule, and what belongs to it.
fn rule(balance: &Balance, key: Option<u32>) -> Vec<String> {
    let by = if balance.weighted { "by weight" } else { "all alike" };
    let mut told = match &balance.strategy {
        Strategy::RoundRobin => vec![format!("each in its turn, {by}")],
        Strategy::Random => vec![format!("by chance, {by}")],
        Strategy::LeastRequests => vec!["the one with the fewest requests under way for its weight".to_owned()],
        Strategy::PeakEwma => vec!["of two by chance, the one that is likely to answer sooner".to_owned()],
        Strategy::Hash(rule) => hash(rule, key),
    };
    if balance.slow_start_ms > 0 {
        told.push(format!("one that is back gets its full share within {} ms", balance.slow_start_ms));
    }
    told
}

fn hash(rule: &HashRule, key: Option<u32>) -> Vec<String> {
    let named = match &rule.key {
        HashKey::Url => "path and query".to_owned(),
        HashKey::Client => "the client's address".to_owned(),
        HashKey::Attribute(attribute) => attribute.to_string(),
    };
    let mut told = vec![match key {
        Some(key) => format!("by a hash of {named}: {key:08x}"),
        None => format!("by a hash of {named}, which the request has not: each in its turn"),
    }];
    if rule.load_percent > 0 {
        told.push(format!("none has more under way than {} % of its share; then the next", rule.load_percent));
    }
    told
}

/// The endpoints, and what they weigh together.
struct Shares<'s> {
    endpoints: &'s [Endpoint],
    balance: &'s Balance,
    total: u64,
}

impl<'s> Shares<'s> {
    fn of(service: &'s Service) -> Self {
        let (endpoints, balance) = (&*service.upstream.endpoints, &service.upstream.balance);
        let usable = endpoints.iter().filter(|endpoint| !endpoint.forbidden);
        let total = usable.map(|endpoint| u64::from(balance.weight(endpoint.weight))).sum();
        Self { endpoints, balance, total }
    }

    fn share(&self, at: usize, strategy: &Strategy) -> String {
        let weight = self.balance.weight(self.endpoints[at].weight);
        match strategy {
            _ if self.total == 0 && at == 0 => "every request, as all weigh 0".to_owned(),
            _ if weight == 0 => "0.0 % of the requests".to_owned(),
            Strategy::LeastRequests | Strategy::PeakEwma => "as many as it serves".to_owned(),
            Strategy::Hash(_) => format!("{:.1} % of the keys", self.percent(weight)),
            Strategy::RoundRobin | Strategy::Random => format!("{:.1} % of the requests", self.percent(weight)),
        }
    }

    fn percent(&self, weight: u32) -> f64 {
        f64::from(weight) * 100.0 / (self.total.max(1) as f64)
    }

    /// Whose a key is, while every endpoint is up and none is busy.
    fn owner(&self, balance: &Balance, key: u32) -> Option<usize> {
        let Strategy::Hash(rule) = &balance.strategy else { return None };
        rule.ring.walk(key).find(|endpoint| !self.endpoints[*endpoint].forbidden)
    }
}
