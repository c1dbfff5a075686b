//! `[[module]]` → `Service` and `Upstream`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::lists::{self, Files};
use super::rules::{self, Rules};
use super::{
    Desk, EndpointIds, Page, Pages, address, balance, cors, default_answer, filters, headers, http, limits, resilience,
    split, tcp, tokens, validation,
};
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::config::suggest;
use crate::filter::Registry;
use crate::ids::ServiceId;
use crate::limits::ENDPOINTS_MAX;
use crate::wall::access::{Access, Lists, PathSet, Precedence};
use crate::wall::listen::Listen;
use crate::wall::rate::Rate;
use crate::wall::routes::Routes;
use crate::wall::snapshot::{Address, Check, CheckMethod, Endpoint, HostMode, HttpRules, Service, Upstream};

/// GateKeeper's weight of an endpoint that `weight_list` does not reach.
const WEIGHT_DEFAULT: u32 = 50;
/// Far above any sensible weight, far below where sums over an upstream overflow.
const WEIGHT_MAX: u32 = 1_000_000;

/// What module.toml says.
pub(super) struct Modules {
    pub(super) services: Vec<Service>,
    pub(super) routes: Routes,
    /// Where tcp services listen, each with the place in the file that says so.
    pub(super) listens: Vec<(usize, Listen)>,
}

/// What a service needs to know of the world around its table.
pub(super) struct World<'w> {
    page: &'w Page,
    http: &'w HttpRules,
    files: Files,
    any_tenant: bool,
    host_name: &'w str,
    /// Where requests are listened for, if the file says it well.
    own: Option<SocketAddr>,
    pub(super) filters: &'w Registry,
}

impl World<'_> {
    pub(super) fn desk<'d>(&'d self, section: &'d Section, faults: &'d mut Faults) -> Desk<'d> {
        Desk { source: &self.page.source, section, faults }
    }
}

pub(super) fn compile(
    pages: &Pages,
    http: &HttpRules,
    any_tenant: bool,
    (host_name, filters): (&str, &Registry),
    faults: &mut Faults,
) -> Modules {
    let page = &pages.module;
    let files = lists::files(&pages.lists, faults);
    let own = address::listen(pages.base.root.one("http").text("addr")).ok().map(|(address, _)| address);
    let world = World { page, http, files, any_tenant, host_name, own, filters };
    let mut rules = Rules::new(page, http);
    let mut names = HashMap::new();
    let mut endpoint_ids = EndpointIds::default();
    let mirrored = resilience::mirrored(page);
    let (mut services, mut listens) = (Vec::new(), Vec::new());
    let targets = split::targets(page);
    for module in page.root.many("module") {
        let base = module.one("base");
        unique_name(page, base, &mut names, faults);
        if base.text("load_type") == "tcp" {
            listens.extend(tcp::listen(page, base, faults));
            services.push(service(&world, module, &mut endpoint_ids, faults));
            continue;
        }
        let id = ServiceId(u32::try_from(services.len()).expect("a file of 4 Gi services is larger than files may be"));
        let name = base.text("name");
        if module.many("match_rule").is_empty() && !targets.contains(name) && !mirrored.contains(&name) {
            let message = "no [[module.match_rule]]: no path leads to this http service";
            faults.error(&page.source, module.at, message, "add one with rule = \"/path\"");
        }
        for rule in module.many("match_rule") {
            rules.add(id, base.text("name"), rule, module.one("rewrite"), faults);
        }
        services.push(service(&world, module, &mut endpoint_ids, faults));
    }
    split::link(page, &mut services, faults);
    resilience::mirrors(page, &mut services, faults);
    Modules { services, routes: rules.finish(faults), listens }
}

fn unique_name<'p>(page: &Page, base: &'p Section, names: &mut HashMap<&'p str, usize>, faults: &mut Faults) {
    let (name, at) = (base.text("name"), base.at("name"));
    if name.is_empty() {
        return;
    }
    if name.chars().any(char::is_control) {
        faults.error(&page.source, at, "a name must not contain control characters", "");
    }
    if let Some(first) = names.insert(name, at) {
        let line = page.source.position(first).0;
        faults.error(&page.source, at, format!("the name `{name}` is taken by the module of line {line}"), "");
        names.insert(name, first);
    }
}

fn service(world: &World<'_>, module: &Section, ids: &mut EndpointIds, faults: &mut Faults) -> Service {
    let base = module.one("base");
    let access_control = module.one("access_control");
    let mut desk = Desk { source: &world.page.source, section: base, faults: &mut *faults };
    let is_tcp = base.text("load_type") == "tcp";
    if !is_tcp && !base.text("frontend_addr").is_empty() {
        desk.warn("frontend_addr", "frontend_addr has no effect: only tcp modules have a listener".into(), "");
    }
    let tcp = is_tcp.then(|| Box::new(tcp::rules(&mut desk, access_control)));
    let host = host_mode(&mut desk);
    let access = access(world, access_control, is_tcp, faults);
    let limits = limits::limits(&world.page.source, module, world.http.cluster.len(), faults);
    let upstream = upstream(world, module, &host, ids, is_tcp, faults);
    let filters = filters::compile(world, module, is_tcp, faults);
    let headers = headers::compile(world.page, module, faults);
    let cors = cors::compile(&mut world.desk(module.one("cors"), faults));
    let validation = validation::compile(world.page, module, faults);
    let default_answer = default_answer::compile(&mut world.desk(module.one("default_answer"), faults));
    if is_tcp && (headers.is_some() || cors.is_some() || validation.is_some() || default_answer.is_some()) {
        let message =
            "header, cors, validation and default_answer have no effect: a tcp module's bytes are not looked at";
        faults.warn(&world.page.source, module.at, message, "");
    }
    resilience::warn(world.page, module, is_tcp, faults);
    if is_tcp {
        tcp::warn(&mut world.desk(base, faults), module);
    }
    Service {
        name: base.text("name").into(),
        access,
        jwt: tokens::jwt(world.page, module.one("jwt"), is_tcp, faults),
        limits,
        body_bytes_max: base.int("body_bytes_max").unsigned_abs(),
        read_body_bytes_max: base.int("read_body_bytes_max").unsigned_abs(),
        trailers: base.flag("trailers"),
        host,
        headers,
        cors,
        validation,
        default_answer,
        upstream,
        tcp,
        down: base.text("status") == "down",
        splits: None,
        mirror: None,
        filters,
    }
}

/// GateKeeper's burst is three times the rate. 0 is no limit.
pub(super) fn rate(per_second: u32) -> Option<Rate> {
    (per_second > 0).then(|| Rate::per_second(per_second, per_second.saturating_mul(3)))
}

fn host_mode(desk: &mut Desk<'_>) -> HostMode {
    match desk.section.text("host") {
        "" => HostMode::Default,
        "client" => HostMode::Client,
        "node" => HostMode::Node,
        _ => http::host(desk, "host").map_or(HostMode::Default, HostMode::Fixed),
    }
}

fn access(world: &World<'_>, section: &Section, is_tcp: bool, faults: &mut Faults) -> Access {
    let mut desk = Desk { source: &world.page.source, section, faults };
    let hosts = desk.items("white_host_name");
    let merge_slashes = world.http.merge_slashes;
    let access = Access {
        open: section.int("open") == 1,
        precedence: match section.text("precedence") {
            "white_decides" => Precedence::WhiteDecides,
            "both_pass" => Precedence::BothPass,
            _ => Precedence::BlackFirst,
        },
        tenant_demanded: section.flag("tenant_demanded") && !is_tcp,
        dry_run: section.flag("dry_run"),
        lists: Box::new(Lists {
            black: lists::list(&mut desk, "black_list", "black_list_file", &world.files),
            white: lists::list(&mut desk, "white_list", "white_list_file", &world.files),
            urls: PathSet::new(desk.each("url_white_list", |text| rules::prefix(text, merge_slashes))),
        }),
        host_listed: hosts.iter().any(|item| item.text == world.host_name),
    };
    for key in ["client_connections_max", "service_connections_max"] {
        if !is_tcp && section.int(key) > 0 {
            desk.warn(key, format!("{key} has no effect: only tcp modules count connections"), "");
        }
    }
    if access.dry_run {
        desk.warn(
            "dry_run",
            "dry_run: these lists refuse nobody".into(),
            "remove it once the log shows what you expect",
        );
    }
    for key in ["black_list", "black_list_file", "white_list", "white_list_file", "url_white_list"] {
        if !access.open && !section.text(key).trim().is_empty() {
            desk.warn(key, format!("{key} has no effect without open = 1"), "set open = 1, or remove the list");
        }
    }
    let strict = access.open && access.precedence == Precedence::BlackFirst;
    let Lists { white, urls, .. } = &*access.lists;
    let lets_in = white.is_given() || *urls != PathSet::default() || access.host_listed;
    let nobody = strict && !lets_in && section.text("white_list").is_empty();
    if nobody && is_tcp {
        let message = "open = 1 with an empty white_list: this tcp service refuses everybody".into();
        desk.warn("open", message, "add a white_list, or set open = 0");
    } else if nobody && !world.any_tenant {
        let message = "open = 1 with an empty white_list and no tenant in app.toml: everybody is refused".into();
        desk.warn("open", message, "add a tenant, a white_list, or set open = 0");
    }
    access
}

fn upstream(
    world: &World<'_>,
    module: &Section,
    host: &HostMode,
    ids: &mut EndpointIds,
    is_tcp: bool,
    faults: &mut Faults,
) -> Upstream {
    let section = module.one("load_balance");
    let mut desk = Desk { source: &world.page.source, section, faults };
    // A tunnel is a connection for as long as its client wants: only a bound that was asked for holds.
    let unbounded = is_tcp && !section.gives("connections_max");
    let endpoints = endpoints(&mut desk, ids, world.own.filter(|_| !is_tcp));
    let check = check(&mut desk, host);
    let balance = balance::balance(&mut desk, &endpoints, is_tcp);
    let resilience = (!is_tcp).then(|| resilience::compile(world.page, module, endpoints.len(), faults)).flatten();
    Upstream {
        balance,
        endpoints,
        connect_timeout_ms: section.ms("proxy_connect_timeout"),
        request_timeout_ms: section.ms("request_timeout"),
        header_timeout_ms: section.ms("proxy_header_timeout"),
        body_timeout_ms: section.ms("proxy_body_timeout"),
        tunnel_idle_ms: section.ms("tunnel_idle_timeout"),
        tunnel_life_ms: section.ms("tunnel_life_max"),
        idle_max: section.int_u32("max_idle_conn"),
        idle_timeout_ms: section.ms("idle_conn_timeout"),
        connections_max: if unbounded { u32::MAX } else { section.int_u32("connections_max") },
        slow_connections_max: section.int_u32("slow_connections_max"),
        queue_timeout_ms: section.ms("queue_timeout"),
        queue_max: section.int_u32("queue_max"),
        request_timeout_408: section.flag("request_timeout_408"),
        check,
        resilience: resilience.map(Arc::new),
    }
}

fn check(desk: &mut Desk<'_>, host: &HostMode) -> Check {
    let section = desk.section;
    let method = if section.text("check_method") == "tcpchk" {
        for key in ["check_host", "check_status"].into_iter().filter(|key| section.gives(key)) {
            desk.warn(key, format!("{key} has no effect with check_method = \"tcpchk\""), "");
        }
        CheckMethod::Tcp
    } else {
        let path = check_path(desk);
        CheckMethod::Http { path, host: check_host(desk, host), statuses: check_statuses(desk) }
    };
    Check {
        method,
        interval_ms: section.ms("check_interval"),
        timeout_ms: section.ms("check_timeout"),
        rise: section.int_u32("rise"),
        fall: section.int_u32("fall"),
    }
}

/// What the file says, else the one that its requests have. `http.req_host`, GateKeeper's own key, means no probes there.
fn check_host(desk: &mut Desk<'_>, host: &HostMode) -> Option<Box<str>> {
    let text = desk.section.text("check_host");
    if text.is_empty() {
        let HostMode::Fixed(host) = host else { return None };
        return Some(String::from_utf8_lossy(host).into());
    }
    if let Err((message, help)) = address::host(text) {
        desk.error("check_host", message, help);
    }
    Some(text.into())
}

fn check_statuses(desk: &mut Desk<'_>) -> Box<[(u16, u16)]> {
    let statuses = desk.each("check_status", |text| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| text.parse().ok().filter(|status| (200..=599).contains(status));
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first <= last => Ok((first, last)),
            _ => Err((format!("`{text}` is neither a status nor a range of them"), "such as 200,300-399; 200 to 599")),
        }
    });
    if statuses.is_empty() { [(200, 200)].into() } else { statuses.into() }
}

fn check_path(desk: &mut Desk<'_>) -> Box<str> {
    let path = desk.section.text("check_url");
    if !path.starts_with('/') {
        desk.error("check_url", format!("`{path}` does not start with /"), "write only path and query, such as /ping");
    } else if path.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
        desk.error(
            "check_url",
            format!("`{path}` cannot be asked for as it is"),
            "escape spaces and letters outside ASCII",
        );
    }
    path.into()
}

/// Whether who connects there comes to the gateway's own listener.
fn leads_back(own: SocketAddr, address: &Address) -> bool {
    let Address::Socket(address) = address else { return false };
    let is_here = own.ip() == address.ip() || own.ip().is_unspecified() && address.ip().is_loopback();
    own.port() == address.port() && is_here
}

/// `own` is the listener for requests, where this is a service that they are for.
fn endpoints(desk: &mut Desk<'_>, ids: &mut EndpointIds, own: Option<SocketAddr>) -> Box<[Endpoint]> {
    let items = desk.items("ip_list");
    if items.len() > ENDPOINTS_MAX {
        desk.error("ip_list", format!("{} endpoints: a service has {ENDPOINTS_MAX} at most", items.len()), "");
    }
    let weights = weights(desk, items.len());
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(items.len());
    for (item, weight) in items.iter().zip(weights) {
        match address::endpoint(&item.text) {
            Ok(address) => {
                if endpoints.iter().any(|known| known.address == address) {
                    desk.faults.warn(desk.source, item.at, format!("`{}` stands in the list twice", item.text), "");
                }
                let node = item.text.as_str().into();
                endpoints.push(Endpoint { id: ids.next(), node, address, weight, forbidden: false });
            }
            Err((message, help)) => desk.faults.error(desk.source, item.at, message, help),
        }
    }
    for (endpoint, item) in endpoints.iter().zip(&items) {
        if own.is_some_and(|own| leads_back(own, &endpoint.address)) {
            let message = format!("`{}` is http.addr: each request would come back here", item.text);
            desk.faults.warn(desk.source, item.at, message, "write where the service itself listens");
        }
    }
    forbid(desk, &mut endpoints);
    endpoints.into()
}

fn weights(desk: &mut Desk<'_>, wanted: usize) -> Vec<u32> {
    let items = desk.items("weight_list");
    if !items.is_empty() && items.len() != wanted && wanted > 0 {
        let rest = if items.len() > wanted { "the last have no effect" } else { "the others weigh 50" };
        let message = format!("{} weights for {wanted} endpoints: {rest}", items.len());
        desk.warn("weight_list", message, "");
    }
    let mut weights = Vec::with_capacity(wanted);
    for item in &items {
        let weight = item.text.parse().ok().filter(|weight| *weight <= WEIGHT_MAX);
        if weight.is_none() {
            let message = format!("`{}` is not a weight", item.text);
            desk.faults.error(desk.source, item.at, message, format!("whole numbers from 0 to {WEIGHT_MAX}"));
        }
        weights.push(weight.unwrap_or(WEIGHT_DEFAULT));
    }
    weights.resize(wanted, WEIGHT_DEFAULT);
    if wanted > 1 && weights.iter().all(|weight| *weight == 0) {
        desk.warn("weight_list", "every weight is 0: only the first endpoint gets requests".into(), "");
    }
    weights
}

fn forbid(desk: &mut Desk<'_>, endpoints: &mut [Endpoint]) {
    for item in desk.items("forbid_list") {
        let address = address::endpoint(&item.text).ok();
        let mut known = false;
        for endpoint in endpoints.iter_mut().filter(|endpoint| Some(&endpoint.address) == address.as_ref()) {
            endpoint.forbidden = true;
            known = true;
        }
        if !known {
            let help = suggest::among(&item.text, endpoints.iter().map(|endpoint| &*endpoint.node));
            let message = format!("`{}` is not in ip_list", item.text);
            desk.faults.warn(desk.source, item.at, message, help.unwrap_or_default());
        }
    }
    if !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.forbidden) {
        desk.warn("forbid_list", "every endpoint is forbidden: each request is answered 503".into(), "");
    }
}
