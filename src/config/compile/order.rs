//! In which order rules are tried: `priority`, then `http.route_order`, then the file.

use std::cmp::Reverse;

use crate::wall::routes::{Host, Kind, Route, Segment};

/// Sorts rules that stand in the order of the file.
pub(super) fn sort<T>(rules: &mut [(Route, T)], specific_first: bool) {
    rules.sort_by_cached_key(|(route, _)| (Reverse(route.priority), specific_first.then(|| specificity(route))));
}

/// The more specific rule has the lesser: host, path, further demands.
fn specificity(route: &Route) -> (Reverse<usize>, Vec<Step>, Reverse<bool>, Reverse<usize>) {
    let demands = &route.demands;
    // A name counts as longer than any wildcard; of several hosts the least specific one counts.
    let length = |host: &Host| match host {
        Host::Name(_) => usize::MAX,
        Host::Below(tail) => tail.len(),
    };
    let host = demands.hosts.iter().map(length).min().unwrap_or(0);
    (Reverse(host), steps(route), Reverse(!demands.methods.is_any()), Reverse(demands.conditions.len()))
}

/// What a path meets on its way through a rule, the narrower before the wider.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    End,
    Constant,
    OneOf,
    Number,
    Text,
    Below,
    Expression,
}

fn steps(route: &Route) -> Vec<Step> {
    let constants = route.rule.iter().filter(|byte| **byte == b'/').map(|_| Step::Constant);
    match &route.kind {
        Kind::Prefix => constants.chain([Step::Below]).collect(),
        Kind::Exact => constants.chain([Step::End]).collect(),
        Kind::Pattern(pattern) => pattern.segments().iter().map(step).chain([Step::End]).collect(),
        Kind::Regex => vec![Step::Expression],
    }
}

fn step(segment: &Segment) -> Step {
    match segment {
        Segment::Constant(_) => Step::Constant,
        Segment::OneOf(_) => Step::OneOf,
        Segment::Number => Step::Number,
        Segment::Text => Step::Text,
        Segment::Rest => Step::Below,
    }
}
