//! Why each rule matches a path or does not, one line each; of many, only those that come near.

use super::story::{self, Story};
use crate::wall::routes::covers;
use crate::wall::snapshot::Snapshot;

/// Lines printed at most, beside the rule that wins.
const LINES_MAX: usize = 12;

/// How near a rule comes; the nearer are shown first where not all can be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Far,
    Near,
    Covers,
    Wins,
}

pub(super) fn tell(story: &mut Story, snapshot: &Snapshot, path: &[u8]) {
    let routes = snapshot.routes.all();
    let winner = snapshot.routes.position(path);
    let judge = |position: usize| match winner == Some(position) {
        true => (Nearness::Wins, String::new()),
        false => judge(&routes[position].rule, path, winner),
    };
    let mut shown: Vec<usize> = (0..routes.len()).collect();
    if shown.len() > LINES_MAX {
        shown.sort_by_cached_key(|position| (std::cmp::Reverse(judge(*position).0), *position));
        shown.truncate(LINES_MAX);
        shown.sort_unstable();
    }
    let mut told: Vec<_> = shown
        .iter()
        .map(|position| {
            let route = &routes[*position];
            let (nearness, reason) = judge(*position);
            let mark = if nearness == Nearness::Wins { '>' } else { ' ' };
            let reason = if nearness == Nearness::Wins { "matches" } else { &reason };
            let rule = if route.rule.is_empty() { "(every path)".to_owned() } else { story::text(&route.rule) };
            let name = &snapshot.service(route.service).name;
            format!("{mark} {:<3} {rule:<28} {name:<20} {reason}", position + 1)
        })
        .collect();
    if shown.len() < routes.len() {
        told.push(format!("      and {} further rules, for other paths", routes.len() - shown.len()));
    }
    if routes.is_empty() {
        told.push("none".into());
    }
    story.lines("rules", &told);
}

/// Why a rule that does not win does not.
fn judge(rule: &[u8], path: &[u8], winner: Option<usize>) -> (Nearness, String) {
    if covers(rule, path) {
        let first = winner.map_or(0, |winner| winner + 1);
        return (Nearness::Covers, format!("would match too, but rule {first} comes first"));
    }
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
