//! `[[module.limit]]` and `client_flow_limit` → `Limits`.
//!
//! In scope: whom a limit counts, its rate and burst, its name. Out of scope: defaults (`schema`), the buckets
//! (`wall::rate`).

use super::{Desk, service};
use crate::config::section::Section;
use crate::config::source::{Faults, Source};
use crate::limits::LIMITS_PER_SERVICE_MAX;
use crate::wall::attribute::Attribute;
use crate::wall::limit::{By, Limit, Limits};
use crate::wall::rate::{Rate, Scope};

/// The name of the limit that `client_flow_limit` is.
const FLOW: &str = "client_flow_limit";

/// The limits of a service in a cluster of so many members; `None` where it has none.
pub(super) fn limits(source: &Source, module: &Section, members: usize, faults: &mut Faults) -> Option<Box<Limits>> {
    let is_tcp = module.one("base").text("load_type") == "tcp";
    let service_name = module.one("base").text("name");
    let mut each: Vec<Limit> = flow(service_name, module.one("access_control")).into_iter().collect();
    for section in module.many("limit") {
        let mut desk = Desk { source, section, faults: &mut *faults };
        let Some(limit) = limit(&mut desk, service_name, is_tcp, members) else { continue };
        if each.iter().any(|other| other.name == limit.name) {
            let message = format!("another limit of this service is named `{}`", limit.name);
            desk.error("name", message, "give each a name of its own: name = \"...\"");
        }
        each.push(limit);
    }
    if each.len() > LIMITS_PER_SERVICE_MAX {
        let message = format!("{} limits: a service has {LIMITS_PER_SERVICE_MAX} at most", each.len());
        faults.error(source, module.at, message, "");
    }
    let (endpoint, each) = each.into_iter().partition::<Vec<_>, _>(|limit| limit.by == By::Endpoint);
    let some = !endpoint.is_empty() || !each.is_empty();
    some.then(|| Box::new(Limits { each: each.into(), endpoint: endpoint.into() }))
}

/// GateKeeper's own, whose answers say nothing as long as nothing is refused.
fn flow(service_name: &str, access_control: &Section) -> Option<Limit> {
    let rate = service::rate(access_control.int_u32(FLOW))?;
    let (scope, dry_run) = (Scope::of_limit(service_name, FLOW, rate), access_control.flag("dry_run"));
    Some(Limit { name: FLOW.into(), scope, by: By::Client, rate, wait_ms: 0, dry_run, told: false })
}

fn limit(desk: &mut Desk<'_>, service_name: &str, is_tcp: bool, members: usize) -> Option<Limit> {
    let section = desk.section;
    let by = by(desk)?;
    if is_tcp && !matches!(by, By::Client | By::Service) {
        desk.error("by", format!("a tcp service knows no {by}"), "write \"client\" or \"service\"");
    }
    let wait_ms = section.ms("wait");
    if wait_ms > 0 && (is_tcp || by == By::Endpoint) {
        let whom = if is_tcp { "a connection of a tcp service" } else { "a request for an endpoint" };
        desk.error("wait", format!("{whom} cannot wait for its turn"), "remove wait");
    }
    let window = section.text("window");
    let name = match section.text("name") {
        "" => format!("{by}-{window}"),
        name => name.to_owned(),
    };
    if !name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte)) {
        desk.error("name", format!("`{name}` cannot stand in a field"), "letters, digits and signs but \" and \\");
    }
    let rate = rate(desk, window, members);
    if section.flag("dry_run") {
        desk.warn("dry_run", format!("dry_run: the limit `{name}` refuses nobody"), "");
    }
    let (dry_run, told) = (section.flag("dry_run"), section.flag("fields"));
    let scope = Scope::of_limit(service_name, &name, rate);
    Some(Limit { name: name.into(), scope, by, rate, wait_ms, dry_run, told })
}

fn by(desk: &mut Desk<'_>) -> Option<By> {
    match desk.section.text("by") {
        "service" => Some(By::Service),
        "client" => Some(By::Client),
        "endpoint" => Some(By::Endpoint),
        "tenant" => Some(By::Tenant),
        text => match Attribute::parse(text) {
            Ok(attribute) => Some(By::Value(attribute)),
            Err(message) => {
                let help = "client, service, endpoint, tenant, header.NAME, cookie.NAME or query.NAME";
                desk.error("by", message, help);
                None
            }
        },
    }
}

/// A cluster's rate is the same in a window that is longer by as many as its members.
fn rate(desk: &mut Desk<'_>, window: &str, members: usize) -> Rate {
    let section = desk.section;
    let members = match section.text("share") {
        "cluster" => u32::try_from(members.max(1)).unwrap_or(u32::MAX),
        _ => 1,
    };
    if members == 1 && section.text("share") == "cluster" {
        let message = "each gateway has the whole rate: cluster_list names no others".into();
        desk.warn("share", message, "list every member in cluster_list of base.toml, this machine too");
    }
    let window_s = match window {
        "hour" => 3_600,
        "minute" => 60,
        _ => 1,
    };
    let requests = section.int_u32("rate").max(1);
    let burst = match section.int_u32("burst") {
        0 => requests,
        burst => burst,
    };
    let rate = Rate { requests, window_s: members.saturating_mul(window_s), burst: burst.div_ceil(members) };
    if !rate.is_tellable() {
        let message = "it takes more than nine years until this burst is back".into();
        desk.error(if section.gives("burst") { "burst" } else { "rate" }, message, "a smaller burst, or a higher rate");
    }
    rate
}
