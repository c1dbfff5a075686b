//! What only tcp modules have: a listener each, the PROXY protocol, what the kernel watches.

use super::{Desk, Page, address};
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::wall::listen::{Entrance, Listen};
use crate::wall::snapshot::{ProxyHeader, TcpRules};

/// Where a tcp module listens, with the place in the file.
pub(super) fn listen(page: &Page, base: &Section, faults: &mut Faults) -> Option<(usize, Listen)> {
    let mut desk = Desk { source: &page.source, section: base, faults };
    let name = base.text("name");
    let frontend = base.text("frontend_addr");
    if frontend.is_empty() {
        desk.error("frontend_addr", format!("tcp module `{name}` has no frontend_addr"), "such as \":8900\"");
        return None;
    }
    match address::listen(frontend) {
        Ok((address, any)) => {
            let entrance = Entrance::Tcp { service: name.into() };
            Some((base.at("frontend_addr"), Listen { address, any, entrance }))
        }
        Err((message, help)) => {
            desk.error("frontend_addr", message, help);
            None
        }
    }
}

/// All listeners together; no two may want the same connections.
pub(super) fn listens(http: Vec<Listen>, tcp: Vec<(usize, Listen)>, page: &Page, faults: &mut Faults) -> Vec<Listen> {
    let mut all = http;
    for (at, listen) in tcp {
        if let Some(other) = all.iter().find(|other| overlap(other, &listen)) {
            let whose = match &other.entrance {
                Entrance::Http => "http.addr of base.toml".to_owned(),
                Entrance::Tcp { service } => format!("the frontend_addr of `{service}`"),
            };
            let message = format!("{} is also {whose} ({})", listen.address, other.address);
            faults.error(&page.source, at, message, "each listener needs a port of its own");
        }
        all.push(listen);
    }
    all
}

fn overlap(one: &Listen, other: &Listen) -> bool {
    let (a, b) = (one.address, other.address);
    let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || everywhere)
}

/// What its connections are served by.
pub(super) fn rules(desk: &mut Desk<'_>, access_control: &Section) -> TcpRules {
    let section = desk.section;
    TcpRules {
        proxy_from: desk.addresses("proxy_protocol_from"),
        proxy_to: match section.text("proxy_protocol_to") {
            "v1" => ProxyHeader::V1,
            "v2" => ProxyHeader::V2,
            _ => ProxyHeader::None,
        },
        keepalive_ms: section.ms("keepalive"),
        user_timeout_ms: section.ms("user_timeout"),
        client_connections_max: access_control.int_u32("client_connections_max"),
        service_connections_max: access_control.int_u32("service_connections_max"),
    }
}

/// Says what has no effect: what is about requests.
pub(super) fn warn(desk: &mut Desk<'_>, module: &Section) {
    for key in ["body_bytes_max", "read_body_bytes_max", "trailers", "host"] {
        if desk.section.gives(key) {
            desk.warn(key, format!("{key} has no effect: a tcp module's bytes are not looked at"), "");
        }
    }
    // GateKeeper's own files have an empty one in tcp modules too.
    for rule in module.many("match_rule").iter().filter(|rule| !rule.text("rule").is_empty()) {
        let message = "match_rule has no effect: all of frontend_addr's connections are this tcp module's".into();
        Desk { source: desk.source, section: rule, faults: &mut *desk.faults }.warn("rule", message, "");
    }
}
