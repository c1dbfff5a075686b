//! `[module.retry]`, `[module.breaker]`, `[module.ejection]`, `[module.concurrency]` → `Resilience`;
//! `[module.mirror]` → `MirrorRules`.

use std::collections::HashMap;

use super::{Desk, Page};
use crate::config::section::{Item, Section};
use crate::config::source::Faults;
use crate::config::suggest;
use crate::ids::ServiceId;
use crate::proto::head::Method;
use crate::wall::breaker::BreakerRules;
use crate::wall::concurrency::ConcurrencyRules;
use crate::wall::ejection::EjectionRules;
use crate::wall::mirror::MirrorRules;
use crate::wall::resilience::{Known, Resilience};
use crate::wall::retry::{Methods, RetryRules};
use crate::wall::snapshot::Service;

/// Each table with the keys that switch it on.
const SWITCHES: [(&str, &[&str]); 5] = [
    ("retry", &["attempts"]),
    ("breaker", &["failures", "error_rate"]),
    ("ejection", &["failures"]),
    ("concurrency", &["max"]),
    ("mirror", &["service"]),
];

/// What the module says of it; `None` where it says nothing.
pub(super) fn compile(page: &Page, module: &Section, endpoints: usize, faults: &mut Faults) -> Option<Resilience> {
    let of = module.one("breaker").text("of");
    let known = Known { endpoints: (0..endpoints).map(|_| Default::default()).collect(), ..Known::default() };
    let all = Resilience {
        retry: retry(&mut Desk { source: &page.source, section: module.one("retry"), faults }),
        breaker: breaker(module.one("breaker")),
        of_service: of != "endpoint",
        of_endpoints: of != "service",
        ejection: ejection(module.one("ejection")),
        concurrency: concurrency(module.one("concurrency")),
        known,
    };
    all.known.service.places.bound(all.concurrency.as_ref());
    let any = all.retry.is_some() || all.breaker.is_some() || all.ejection.is_some() || all.concurrency.is_some();
    any.then_some(all)
}

/// Says what has no effect: any of it on a tcp module, and a table that nothing switches on.
pub(super) fn warn(page: &Page, module: &Section, is_tcp: bool, faults: &mut Faults) {
    for (table, switches) in SWITCHES {
        let section = module.one(table);
        let is_on = switches.iter().any(|key| section.gives(key));
        let mut desk = Desk { source: &page.source, section, faults: &mut *faults };
        if is_tcp && section.gives_any() {
            desk.warn(switches[0], format!("[module.{table}] has no effect: only http modules have it"), "");
        } else if !is_on && section.gives_any() {
            let message = format!("[module.{table}] has no effect without {}", switches.join(" or "));
            desk.warn(switches[0], message, "");
        }
    }
}

fn retry(desk: &mut Desk<'_>) -> Option<RetryRules> {
    let section = desk.section;
    let attempts = u8::try_from(section.int("attempts")).expect("the schema's range lies within u8");
    let on = match desk.items("on") {
        items if items.is_empty() => ["closed", "timeout", "502", "503", "504"].map(item).into(),
        items => items,
    };
    let methods = methods(desk);
    let statuses = statuses(desk, &on);
    (attempts > 0).then(|| RetryRules {
        attempts,
        on_closed: on.iter().any(|item| item.text == "closed"),
        on_timeout: on.iter().any(|item| item.text == "timeout"),
        statuses,
        methods,
        attempt_timeout_ms: u64::from(section.ms("attempt_timeout")),
        pause_ms: u64::from(section.ms("pause")),
        budget_millionths: section.millionths("budget"),
        budget_min: section.int_u32("budget_min"),
    })
}

fn item(text: &str) -> Item {
    Item { text: text.to_owned(), at: 0 }
}

fn statuses(desk: &mut Desk<'_>, on: &[Item]) -> Box<[u16]> {
    let mut statuses = Vec::new();
    for item in on.iter().filter(|item| !["closed", "timeout"].contains(&item.text.as_str())) {
        match item.text.parse() {
            Ok(status @ 400..=599) => statuses.push(status),
            _ => {
                let message = format!("`{}` is nothing that is tried again", item.text);
                desk.faults.error(desk.source, item.at, message, "closed, timeout or a status from 400 to 599");
            }
        }
    }
    statuses.into()
}

fn methods(desk: &mut Desk<'_>) -> Methods {
    let items = desk.items("methods");
    match items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>()[..] {
        [] | ["idempotent"] => return Methods::Idempotent,
        ["all"] => return Methods::All,
        _ => {}
    }
    let mut named = Vec::new();
    for item in items {
        match method(&item.text) {
            Some(method) => named.push(method),
            None => {
                let message = format!("`{}` is not a method that can be named here", item.text);
                let help = "idempotent, all, or some of GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";
                desk.faults.error(desk.source, item.at, message, help);
            }
        }
    }
    Methods::These(named.into())
}

fn method(text: &str) -> Option<Method> {
    Some(match text {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "OPTIONS" => Method::Options,
        _ => return None,
    })
}

fn breaker(section: &Section) -> Option<BreakerRules> {
    let rules = BreakerRules {
        failures: section.int_u32("failures"),
        error_millionths: section.millionths("error_rate"),
        volume_min: section.int_u32("volume_min"),
        window_ms: u64::from(section.ms("window")),
        open_ms: u64::from(section.ms("open_time")),
        probe_millionths: section.millionths("probe_share"),
        probes: section.int_u32("probes"),
    };
    (rules.failures > 0 || rules.error_millionths > 0).then_some(rules)
}

fn ejection(section: &Section) -> Option<EjectionRules> {
    let rules = EjectionRules {
        failures: section.int_u32("failures"),
        time_ms: u64::from(section.ms("time")),
        time_max_ms: u64::from(section.ms("time_max")),
        panic_millionths: section.millionths("panic_threshold"),
    };
    (rules.failures > 0).then_some(rules)
}

fn concurrency(section: &Section) -> Option<ConcurrencyRules> {
    let rules = ConcurrencyRules {
        max: section.int_u32("max"),
        queue_max: section.int_u32("queue_max"),
        queue_timeout_ms: u64::from(section.ms("queue_timeout")),
    };
    (rules.max > 0).then_some(rules)
}

/// The names that any `[module.mirror]` gives.
pub(super) fn mirrored(page: &Page) -> Vec<&str> {
    page.root.many("module").iter().map(|module| module.one("mirror").text("service")).collect()
}

/// Fills in the mirrors, once every service is known.
pub(super) fn mirrors(page: &Page, services: &mut [Service], faults: &mut Faults) {
    let http = services.iter().zip(0..).filter(|(service, _)| service.tcp.is_none());
    let ids: HashMap<Box<str>, ServiceId> = http.map(|(service, id)| (service.name.clone(), ServiceId(id))).collect();
    for (module, service) in page.root.many("module").iter().zip(services) {
        let section = module.one("mirror");
        let name = section.text("service");
        if name.is_empty() || service.tcp.is_some() {
            continue;
        }
        let mut desk = Desk { source: &page.source, section, faults: &mut *faults };
        let Some(&id) = ids.get(name) else {
            let help = suggest::among(name, ids.keys().map(|name| &**name)).unwrap_or_default();
            desk.error("service", format!("there is no http module `{name}`"), &help);
            continue;
        };
        if *service.name == *name {
            desk.warn("service", format!("`{name}` gets copies of its own requests"), "name another module");
        }
        service.mirror = Some(Box::new(MirrorRules {
            service: id,
            millionths: section.millionths("share"),
            copies_max: section.int_u32("copies_max"),
            timeout_ms: u64::from(section.ms("timeout")),
        }));
    }
}
