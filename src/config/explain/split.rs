//! To which service a request goes where shares are split, and why.

use std::net::IpAddr;

use super::story::Story;
use crate::ids::ServiceId;
use crate::wall::routes::Asked;
use crate::wall::snapshot::Snapshot;
use crate::wall::split::{NUMBERS, Split, Sticky};

/// Tells it, and gives the service. A request that is dealt anew each time is followed where most go.
pub(super) fn tell(
    story: &mut Story,
    snapshot: &Snapshot,
    own: ServiceId,
    asked: &Asked<'_>,
    client: IpAddr,
) -> ServiceId {
    let Some(splits) = &snapshot.service(own).splits else { return own };
    let decoded = &mut Vec::new();
    let number = splits.number(&asked.parts, client, || NUMBERS - 1, decoded);
    let chosen = splits.choose(number, &asked.parts, decoded);
    let mut told: Vec<_> = splits.parts().iter().map(|split| part(snapshot, split, asked, chosen)).collect();
    let place = f64::from(number) * 100.0 / f64::from(NUMBERS);
    told.push(match splits.sticky() {
        Sticky::No => "dealt anew for each request: followed here as one that no split takes".to_owned(),
        Sticky::Client => format!("sticks to the client's address: this one is at {place:.2} %"),
        Sticky::Attribute(attribute) => match attribute.value(&asked.parts, decoded) {
            Some(_) => format!("sticks to {attribute}: this value is at {place:.2} %"),
            None => format!("has no {attribute}: sticks to the client's address, which is at {place:.2} %"),
        },
    });
    story.lines("split", &told);
    chosen.map_or(own, |split| split.service)
}

fn part(snapshot: &Snapshot, split: &Split, asked: &Asked<'_>, chosen: Option<&Split>) -> String {
    let mark = if chosen.is_some_and(|chosen| std::ptr::eq(chosen, split)) { '>' } else { ' ' };
    let share = f64::from(split.share_millionths) * 100.0 / f64::from(NUMBERS);
    let name = &snapshot.service(split.service).name;
    let unmet = split.conditions.iter().find(|condition| !condition.holds(&asked.parts, &mut Vec::new()));
    let reason = match unmet {
        Some(condition) => format!("does not hold: {condition}"),
        None if split.open => String::new(),
        None => "is down: its share stays".to_owned(),
    };
    format!("{mark} {share:>6.2} % {name:<20} {reason}").trim_end().to_owned()
}
