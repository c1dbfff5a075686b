//! base.toml → `HttpRules` and `Process`.

use super::account;
use super::address::{self, Wrong};
use super::{Desk, Page, logs, rules, trace};
use crate::config::Process;
use crate::config::source::Faults;
use crate::proto::field;
use crate::wall::listen::{Entrance, Listen};
use crate::wall::snapshot::{HttpRules, RequestIdRules};

/// What holds for every request.
pub(super) fn rules(page: &Page, faults: &mut Faults) -> HttpRules {
    let http = page.root.one("http");
    let cluster = Desk { source: &page.source, section: page.root.one("cluster"), faults: &mut *faults }
        .each("cluster_list", address::single)
        .into();
    let mut desk = Desk { source: &page.source, section: http, faults };
    let merge_slashes = http.flag("merge_slashes");
    HttpRules {
        route_prefix: route_prefix(&mut desk, merge_slashes),
        specific_first: http.text("route_order") == "specific",
        fixed_host: host(&mut desk, "req_host"),
        head_timeout_ms: http.ms("read_timeout"),
        progress_timeout_ms: http.ms("write_timeout"),
        connections_max: http.int_u32("connections_max"),
        address_connections_max: http.int_u32("address_connections_max"),
        body_rate_min: http.int_u32("body_rate_min"),
        answer_rate_min: http.int_u32("answer_rate_min"),
        rate_grace_ms: http.ms("rate_grace"),
        keepalive_timeout_ms: http.ms("keepalive_timeout"),
        half_close_grace_ms: http.ms("half_close_grace"),
        head_bytes_max: 1 << http.int("max_header_bytes"),
        uri_bytes_max: http.count("uri_bytes_max"),
        fields_max: http.count("fields_max"),
        trusted_proxies: desk.nets("trusted_proxies").into(),
        proxy_from: desk.addresses("proxy_protocol_from"),
        cluster,
        legacy_status: http.flag("legacy_status"),
        underscore_fields: http.flag("underscore_fields"),
        merge_slashes,
        via: http.flag("via"),
        reason: http.flag("reason_header"),
        request_id: request_id(page, faults),
        log_sample: 0,
        sampling: trace::sampling(page.root.one("trace")),
    }
}

/// `[request_id]`.
fn request_id(page: &Page, faults: &mut Faults) -> RequestIdRules {
    let mut desk = Desk::at(page, "request_id", faults);
    let name = desk.section.text("header");
    let own = name.eq_ignore_ascii_case(RequestIdRules::GATEKEEPER);
    if !own && !(field::is_token(name.as_bytes()) && field::may_be_edited(name)) {
        desk.error(
            "header",
            format!("`{name}` cannot carry the request's id"),
            "write a field's name, such as X-Request-Id",
        );
    }
    RequestIdRules {
        header: (!own).then(|| name.into()),
        from_client: desk.section.flag("from_client"),
        on_answer: desk.section.flag("on_answer"),
    }
}

fn route_prefix(desk: &mut Desk<'_>, merge_slashes: bool) -> Box<[u8]> {
    let text = desk.section.text("route_prefix");
    match rules::prefix(text, merge_slashes) {
        Ok(prefix) => prefix,
        Err((message, help)) => {
            desk.error("route_prefix", message, help);
            Box::default()
        }
    }
}

/// A `Host` to send, where one is given.
pub(super) fn host(desk: &mut Desk<'_>, key: &str) -> Option<Box<[u8]>> {
    let text = desk.section.text(key);
    if text.is_empty() {
        return None;
    }
    address::host(text).map_err(|(message, help): Wrong| desk.error(key, message, help)).ok()
}

/// What the process itself needs.
pub(super) fn process(page: &Page, faults: &mut Faults) -> Process {
    let base = page.root.one("base");
    let dns = Desk { source: &page.source, section: page.root.one("dns"), faults: &mut *faults }
        .each("servers", address::name_server);
    let export =
        trace::export(&mut Desk { source: &page.source, section: page.root.one("trace"), faults: &mut *faults });
    let account = account::account(&mut Desk { source: &page.source, section: base, faults: &mut *faults });
    let logs = logs::compile(page, jiff::tz::TimeZone::UTC, faults);
    let mut desk = Desk { source: &page.source, section: page.root.one("http"), faults };
    let (address, any) = address::listen(desk.section.text("addr")).unwrap_or_else(|(message, help)| {
        desk.error("addr", message, help);
        (([0, 0, 0, 0], 0).into(), false)
    });
    Process {
        listens: vec![Listen { address, any, entrance: Entrance::Http }],
        reload_interval_ms: base.ms("conf_load_interval").into(),
        reload_on_change: base.flag("watch"),
        drain_delay_ms: base.ms("drain_delay").into(),
        drain_window_ms: base.ms("drain_window").into(),
        upgrade_timeout_ms: base.ms("upgrade_timeout").into(),
        account,
        stats_dir: (!base.text("stats_dir").is_empty()).then(|| base.text("stats_dir").into()),
        rate_keys_max: desk.section.count("rate_keys_max"),
        dns_servers: dns,
        admin: None,
        store: None,
        zone: String::new(),
        logs,
        export,
    }
}
