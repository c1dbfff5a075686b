//! `[[module.filter]]` → `Filters`: each filter made of its options, by the maker that the program registered.

use std::sync::Arc;

use super::Desk;
use super::service::World;
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::config::suggest;
use crate::wall::filters::{Enabled, Filters};

/// The filters of a service; `None` where it has none.
pub(super) fn compile(world: &World<'_>, module: &Section, is_tcp: bool, faults: &mut Faults) -> Option<Box<Filters>> {
    let sections = module.many("filter");
    if sections.is_empty() {
        return None;
    }
    let (mut http, mut tcp) = (Vec::new(), Vec::new());
    for section in sections {
        let name = section.text("name");
        let mut desk = world.desk(section, faults);
        if name.is_empty() {
            continue;
        }
        if is_tcp && section.gives("body_bytes_max") {
            desk.warn("body_bytes_max", "body_bytes_max has no effect: a tcp service has no bodies".into(), "");
        }
        if is_tcp {
            let made = world.filters.tcp(name).map(|make| make(section.one("options").free()));
            tcp.extend(taken(&mut desk, world, made, is_tcp));
        } else {
            let made = world.filters.http(name).map(|make| make(section.one("options").free()));
            http.extend(taken(&mut desk, world, made, is_tcp));
        }
    }
    Some(Box::new(Filters { http: http.into(), tcp: tcp.into() }))
}

/// The filter that was made, or a fault that says why none was.
fn taken<F: ?Sized>(
    desk: &mut Desk<'_>,
    world: &World<'_>,
    made: Option<Result<Arc<F>, String>>,
    is_tcp: bool,
) -> Option<Enabled<F>> {
    let (name, options) = (desk.section.text("name"), desk.section.one("options"));
    match made {
        Some(Ok(filter)) => Some(Enabled {
            name: name.into(),
            options: options.free().to_string().into(),
            body_bytes_max: desk.section.count("body_bytes_max"),
            filter,
        }),
        Some(Err(message)) => {
            let message = format!("the filter `{name}` cannot be made: {message}");
            desk.faults.error(desk.source, options.at, message, "correct its options");
            None
        }
        None => {
            let (kind, other) = if is_tcp { ("tcp", "http") } else { ("http", "tcp") };
            let of_other_kind = world.filters.names(!is_tcp).any(|known| known == name);
            let known: Vec<_> = world.filters.names(is_tcp).collect();
            let help = match suggest::among(name, known.iter().copied()) {
                _ if of_other_kind => format!("it is a filter of {other} services"),
                Some(help) => help,
                None if known.is_empty() => format!("it has no {kind} filters at all: docs/filters.md"),
                None => format!("it has {}", known.join(", ")),
            };
            desk.error("name", format!("this program has no {kind} filter `{name}`"), &help);
            None
        }
    }
}
