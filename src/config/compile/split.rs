//! `[[module.split]]` → `Splits`: where shares of requests go, once every service is known.

use std::collections::{HashMap, HashSet};

use super::{Desk, Page, demands};
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::config::suggest;
use crate::ids::ServiceId;
use crate::wall::attribute::Attribute;
use crate::wall::snapshot::Service;
use crate::wall::split::{NUMBERS, Split, Splits, Sticky};

/// The services that some split leads to.
pub(super) fn targets(page: &Page) -> HashSet<&str> {
    page.root.many("module").iter().flat_map(|module| module.many("split")).map(|split| split.text("service")).collect()
}

/// Gives each service its splits.
pub(super) fn link(page: &Page, services: &mut [Service], faults: &mut Faults) {
    let numbered = services.iter().zip(0..).map(|(service, number)| (service.name.to_string(), ServiceId(number)));
    let names: HashMap<String, ServiceId> = numbered.collect();
    for (module, number) in page.root.many("module").iter().zip(0..) {
        let sections = module.many("split");
        if sections.is_empty() {
            continue;
        }
        let own = ServiceId(number);
        if services[own.index()].tcp.is_some() {
            faults.warn(&page.source, sections[0].at, "a tcp service has no requests to split: no effect", "");
            continue;
        }
        let splits = splits(page, own, sections, &names, services, faults);
        services[own.index()].splits = (!splits.parts().is_empty()).then(|| Box::new(splits));
    }
}

fn splits(
    page: &Page,
    own: ServiceId,
    sections: &[Section],
    names: &HashMap<String, ServiceId>,
    services: &[Service],
    faults: &mut Faults,
) -> Splits {
    let (mut parts, mut keys, mut unconditional) = (Vec::new(), Vec::new(), 0);
    for section in sections {
        let mut desk = Desk { source: &page.source, section, faults };
        keys.push(sticky(&mut desk));
        if keys[0] != keys[keys.len() - 1] {
            let message = "another split of this service sticks to something else".to_owned();
            desk.error("sticky", message, "give all splits of a service the same");
        }
        let Some(service) = target(&mut desk, own, names, services) else { continue };
        let share_millionths = section.millionths("share");
        let conditions = demands::conditions(&mut desk);
        if conditions.is_empty() {
            unconditional += share_millionths;
        }
        if unconditional > NUMBERS {
            desk.error("share", "the shares of this service's splits are more than 1 together".into(), "");
        }
        parts.push(Split { service, share_millionths, conditions, open: !services[service.index()].down });
    }
    Splits::new(&services[own.index()].name, keys.swap_remove(0), parts)
}

fn target(
    desk: &mut Desk<'_>,
    own: ServiceId,
    names: &HashMap<String, ServiceId>,
    services: &[Service],
) -> Option<ServiceId> {
    let name = desk.section.text("service");
    let wrong = match names.get(name) {
        // A missing name is said already.
        None if name.is_empty() => return None,
        None => format!("there is no service `{name}`"),
        Some(id) if *id == own => {
            desk.warn("service", format!("`{name}` is this service itself: this split has no effect"), "");
            return None;
        }
        Some(id) if services[id.index()].tcp.is_some() => format!("`{name}` is a tcp service"),
        Some(id) => return Some(*id),
    };
    let others =
        names.iter().filter(|(_, id)| **id != own && services[id.index()].tcp.is_none()).map(|(name, _)| name.as_str());
    let help = suggest::among(name, others).unwrap_or_default();
    desk.error("service", wrong, &help);
    None
}

fn sticky(desk: &mut Desk<'_>) -> Sticky {
    match desk.section.text("sticky") {
        "" => Sticky::No,
        "client" => Sticky::Client,
        text => Attribute::parse(text).map_or_else(
            |message| {
                desk.error("sticky", message, "or write client");
                Sticky::No
            },
            Sticky::Attribute,
        ),
    }
}
