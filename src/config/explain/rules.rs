//! Why each rule takes a request or does not, one line each in the order in which they are tried; of many, only those
//! that come near.

use super::story::{self, Story};
use crate::wall::condition::Condition;
use crate::wall::routes::{Asked, Demands, Kind, Route, RouteScratch};
use crate::wall::snapshot::Snapshot;

/// Lines printed at most, beside the rule that wins.
const LINES_MAX: usize = 12;

/// How near a rule comes; the nearer are shown first where not all can be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Far,
    Near,
    Path,
    Takes,
    Wins,
}

pub(super) fn tell(story: &mut Story, snapshot: &Snapshot, asked: &Asked<'_>) {
    let routes = snapshot.routes.all();
    order(story, snapshot);
    let winner = snapshot.routes.position(asked, &mut RouteScratch::default());
    let judged = |position: usize| match winner == Some(position) {
        true => (Nearness::Wins, wins(&routes[position], asked)),
        false => judge(&routes[position], asked, winner.map(|winner| routes[winner].number)),
    };
    let mut shown: Vec<usize> = (0..routes.len()).collect();
    if shown.len() > LINES_MAX {
        shown.sort_by_cached_key(|position| (std::cmp::Reverse(judged(*position).0), *position));
        shown.truncate(LINES_MAX);
        shown.sort_unstable();
    }
    let mut told: Vec<_> = shown
        .iter()
        .map(|position| {
            let route = &routes[*position];
            let (nearness, reason) = judged(*position);
            let mark = if nearness == Nearness::Wins { '>' } else { ' ' };
            let name = &snapshot.service(route.service).name;
            format!("{mark} {:<3} {:<28} {name:<20} {reason}", route.number, route.to_string())
        })
        .collect();
    if shown.len() < routes.len() {
        told.push(format!("      and {} further rules, for other requests", routes.len() - shown.len()));
    }
    if routes.is_empty() {
        told.push("none".into());
    }
    story.lines("rules", &told);
}

/// Says in which order rules are tried where that is not simply the file's.
fn order(story: &mut Story, snapshot: &Snapshot) {
    let by_priority = snapshot.routes.all().iter().any(|route| route.priority != 0);
    let told = match (by_priority, snapshot.http.specific_first) {
        (false, false) => return,
        (true, false) => "higher priority first, then as in the file",
        (false, true) => "more specific first, then as in the file",
        (true, true) => "higher priority first, then more specific, then as in the file",
    };
    story.line("order", told);
}

/// What is told of the rule that wins: its demands, its priority, the named parts of the path.
fn wins(route: &Route, asked: &Asked<'_>) -> String {
    let mut told = vec!["matches".to_owned()];
    let Demands { hosts, methods, conditions } = &route.demands;
    told.extend(hosts.iter().map(|host| format!("host {host}")));
    if !methods.is_any() {
        told.push(format!("method {methods}"));
    }
    told.extend(conditions.iter().map(Condition::to_string));
    if route.priority != 0 {
        told.push(format!("priority {}", route.priority));
    }
    if let Kind::Pattern(pattern) = &route.kind {
        let named = |(name, parameter): &(Box<str>, crate::wall::routes::Parameter)| {
            format!("{name} is `{}`", story::text(parameter.of(asked.path)))
        };
        told.extend(pattern.parameters().iter().map(named));
    }
    told.join("; ")
}

/// Why a rule that does not win does not.
fn judge(route: &Route, asked: &Asked<'_>, winner: Option<usize>) -> (Nearness, String) {
    if !route.takes_path(asked.path) {
        return path(route, asked.path);
    }
    let Demands { hosts, methods, conditions } = &route.demands;
    if !route.takes_host(asked) {
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        return (Nearness::Path, format!("is for host {}", hosts.join(", ")));
    }
    if !route.takes_method(asked) {
        return (Nearness::Path, format!("is for {methods}"));
    }
    let unmet = conditions.iter().find(|condition| !condition.holds(&asked.parts, &mut Vec::new()));
    if let Some(condition) = unmet {
        return (Nearness::Path, format!("does not hold: {condition}"));
    }
    (Nearness::Takes, format!("would match too, but rule {} comes first", winner.unwrap_or_default()))
}

fn path(route: &Route, path: &[u8]) -> (Nearness, String) {
    match &route.kind {
        Kind::Regex => (Nearness::Far, "is not found in the path".to_owned()),
        Kind::Exact if path.starts_with(&route.rule) => (Nearness::Near, "is not the whole path".to_owned()),
        Kind::Pattern(_) => (Nearness::Far, "does not fit the path".to_owned()),
        Kind::Prefix | Kind::Exact => prefix(&route.rule, path),
    }
}

fn prefix(rule: &[u8], path: &[u8]) -> (Nearness, String) {
    if path.starts_with(rule) {
        return (Nearness::Near, "is a prefix only of a part of a segment".to_owned());
    }
    let mut theirs = path.split(|byte| *byte == b'/').skip(1);
    let mut same = 0;
    for segment in rule.split(|byte| *byte == b'/').skip(1) {
        match theirs.next() {
            Some(found) if found == segment => same += 1,
            Some(found) => {
                let nearness = if same > 0 { Nearness::Near } else { Nearness::Far };
                return (nearness, format!("`{}` is not `{}`", story::text(found), story::text(segment)));
            }
            None => return (Nearness::Near, "is longer than the path".to_owned()),
        }
    }
    (Nearness::Far, "is for another path".to_owned())
}
