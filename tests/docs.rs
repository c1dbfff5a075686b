//! The documents are true where a program can tell: docs/ends.md and the alert on early ends are what the table says,
//! and every file, page and test that a document names is there.
//!
//! In scope: that. Out of scope: the configuration pages (`config`), what the README promises (`readme`).

use std::fmt::Write;
use std::path::{Path, PathBuf};

use gatekeeper::config::logs::Variable;
use gatekeeper::end::{End, Retry, Side};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What whoever runs the gateway, or calls it, can do about an end.
const fn advice(end: End) -> &'static str {
    match end {
        End::BadRequestLine | End::BadField | End::BadChunk => "Correct the client. What it sent breaks the grammar.",
        End::BadTarget => "Correct the client: escape what a target may not hold.",
        End::BadPath => "Correct the client. A path like this is mostly an attempt to get round a rule.",
        End::BadHost => "Send one `Host` with a host name or address and, where needed, a port.",
        End::BadFraming => "Send one `Content-Length` or `Transfer-Encoding: chunked`, never both.",
        End::BadNomination => "Do not name this field in `Connection`.",
        End::UnknownCoding => "Send `Transfer-Encoding: chunked` and no other coding.",
        End::MethodTooLong => "Use a shorter method name.",
        End::VersionUnsupported => "Use HTTP/1.1. HTTP/2 is not served yet.",
        End::UriTooLong => "Shorten the target, or raise `http.uri_bytes_max`.",
        End::HeadTooLarge => "Send less, or raise `http.max_header_bytes` or `http.fields_max`.",
        End::BodyTooLarge => {
            "Raise the service's `body_bytes_max`. Where a rule reads the body whole, `read_body_bytes_max` too."
        }
        End::ExpectationFailed => "Expect `100-continue` or nothing.",
        End::MethodNotAllowed => "Use a method that `Allow` names.",
        End::Loop => "An endpoint leads back to this gateway: correct `ip_list`.",
        End::HeadTimeout => "Look for a slow client or network, or raise `http.read_timeout`.",
        End::BodyTimeout => "Look for a slow client or network, or raise `http.write_timeout`.",
        End::ClientTruncated | End::ClientLeft => "Nothing, unless there are many: then clients give up too early.",
        End::WriteTimeout => "Look for a slow client or network, or raise `http.write_timeout`.",
        End::BodyTooSlow => "Look for a slow client or network, or lower `http.body_rate_min`.",
        End::WriteTooSlow => "Look for a slow client or network, or lower `http.answer_rate_min`.",
        End::NoRoute => "`gatekeeper explain` shows why no rule matches.",
        End::ServiceDown => "Set the service's `status` to `up`.",
        End::NotListed => {
            "Add the address to the service's `white_list` or `white_list_file`; `gatekeeper explain --from` shows who decides."
        }
        End::BadProxyHeader => "Have the proxy send the header (version 1 or 2), or take it off `proxy_protocol_from`.",
        End::BlackListed => "`gatekeeper explain --from` shows which list. Behind a proxy, see `http.trusted_proxies`.",
        End::ReloadDenied => {
            "Ask from this machine, or add the address to `cluster.cluster_list`. Do not ask by a proxy."
        }
        End::CorsOrigin => "Add the origin to the service's `cors.allow_origins`.",
        End::Invalid => {
            "Correct the request: `gatekeeper explain` names the rule of `[[module.validation]]`, unless it is one of \
             `json.*`, which it cannot look at."
        }
        End::BadRewrite => {
            "Correct the client: a value of its request has dots where a path segment is composed of it."
        }
        End::TenantMissing => "Send `app_id` and `sign` in the query or in a form body.",
        End::TenantUnknown => "Correct `app_id`, or add the tenant to app.toml.",
        End::TenantSign => {
            "Correct `sign`: it is the tenant's `secret`, or the signature that docs/tenants.md describes, as the tenant's \
             `sign_method` has it."
        }
        End::SignExpired => {
            "Set the client's clock, sign when the request is sent, or widen the tenant's `sign_window`."
        }
        End::SignReplayed => "Use a new nonce for each request. If the client did, somebody repeats its requests.",
        End::NoncesFull => "More signed requests came within the window than are remembered. Narrow `sign_window`.",
        End::TokenMissing => "Send the token in `Authorization: Bearer`, in one such field.",
        End::TokenInvalid => {
            "Have the issuer look at the token's `alg` and `kid`, and at the service's `algorithms` and keys."
        }
        End::TokenExpired => "Get a new token. Where it is new, set the clocks, or raise the service's `leeway`.",
        End::TokenClaims => "Get a token for this service: `exp`, and what its `issuers` and `audiences` want.",
        End::TokenScope => "Get a token with the service's `scopes`.",
        End::KeysMissing => "The log says why the service's `jwks_url` cannot be fetched.",
        End::TenantPath => "Add the path to the tenant's `open_api`.",
        End::TenantRate => "Come back after `Retry-After`, or raise the tenant's `qps`.",
        End::TenantQuota => {
            "Come back after `Retry-After`, when the day ends, or raise the tenant's `total_query_daily`."
        }
        End::ClientRate => "Come back after `Retry-After`, or raise the service's `client_flow_limit`.",
        End::ServiceRate => "Come back after `Retry-After`, or raise the rate of the service's limit by `service`.",
        End::EndpointRate => {
            "Come back after `Retry-After`, add endpoints, or raise the rate of the limit by `endpoint`."
        }
        End::ValueRate => {
            "Come back after `Retry-After`, or raise the rate of the service's limit by that field, cookie or parameter."
        }
        End::ClientConnections => "One address opens many connections. Raise the service's `client_connections_max`.",
        End::ServiceConnections => "Raise the service's `service_connections_max` if its endpoints can take more.",
        End::RateTableFull => {
            "More clients and tenants are below a full bucket at once than the table holds. Raise `rate_keys_max`."
        }
        End::FilterRefused => "What the service's filters look at is theirs to say; `gatekeeper explain` asks them.",
        End::FilterTooLarge => "Raise the filter's `body_bytes_max`, or let the service answer with less at once.",
        End::Unfilterable => "Let the service answer whole, and in gzip, deflate, br or no coding.",
        End::FilterBusy => {
            "Many large answers are filtered at once: lower the filters' `body_bytes_max`, or add workers."
        }
        End::NoEndpoint => {
            "The log says by which failure each endpoint went down, not what has failed since: \
             [Health](operating.md#health). Also look at `forbid_list`."
        }
        End::BreakerOpen => "Come back after `Retry-After`. The log says which breaker opened; look at the service.",
        End::ConcurrencyFull => {
            "The service is too slow for what is asked of it. Raise `max` of `[module.concurrency]` if it can take more."
        }
        End::ConcurrencyTimeout => {
            "The service is too slow for what is asked of it. Raise `max` or `queue_timeout` of `[module.concurrency]`."
        }
        End::QueueFull => "The service is too slow for what is asked of it. Raise `queue_max` only if waiting helps.",
        End::QueueTimeout => {
            "The service is too slow for what is asked of it. Raise `connections_max` if it can take more."
        }
        End::CoreConnections => {
            "Look for clients that hold connections without need, or raise `http.connections_max` or the descriptor limit."
        }
        End::AddressConnections => {
            "One address opens many connections. Raise `http.address_connections_max`, or name it in \
             `http.trusted_proxies` if it is a proxy."
        }
        End::LongHeads => {
            "Many clients send heads or forms of more than 4 KiB slowly. If they mean well, let them send less or more at \
             once."
        }
        End::RequestTimeout => "Look at the service, or raise its `request_timeout`.",
        End::Exhausted => "Raise the hard descriptor limit, or lower `connections_max`.",
        End::Drained => "The gateway was stopped. Raise `base.drain_window` if exchanges need longer.",
        End::TunnelIdle => "Let an end send pings, or raise the service's `tunnel_idle_timeout`.",
        End::TunnelExpired => "Let the client connect anew, or raise the service's `tunnel_life_max`.",
        End::ConnectRefused => "Start the service, or correct `ip_list`. Other endpoints were tried first.",
        End::ConnectTimeout => "Look at the network and the service's accept queue, or raise `proxy_connect_timeout`.",
        End::UpstreamStale => {
            "The service closes idle connections early: set `idle_conn_timeout` below its own timeout."
        }
        End::UpstreamClosed => "Look at the service: it closed without an answer.",
        End::ResponseTimeout => "Look at the service, or raise `proxy_header_timeout`.",
        End::AttemptTimeout => "Look at the service, or raise `attempt_timeout` of `[module.retry]`.",
        End::UnwantedStatus => "Look at the service: it answers with statuses of `[module.retry]` and is taken out.",
        End::UpstreamWriteTimeout => "Look at the service, or raise `proxy_body_timeout`.",
        End::BadResponse => "Correct the service. What it answered breaks the grammar or has no certain length.",
        End::ResponseHeadTooLarge => "Let the service answer with a smaller head.",
        End::ResponseTruncated => "Look at the service: it ended inside an answer. The client sees an incomplete one.",
        End::UpstreamLeft => "Look at the service: it reset the connection of a tunnel.",
        End::ResponseStalled => "Look at the service, or raise `proxy_body_timeout`.",
    }
}

const fn again(retry: Retry) -> &'static str {
    match retry {
        Retry::No => "",
        Retry::Unsent => " Another endpoint is tried first.",
        Retry::Idempotent => {
            " It is sent again on a new connection first, if it is idempotent or no byte of it was handed to the kernel."
        }
    }
}

const DIVIDER: &str = "| --- | --- | --- | --- | --- |";

fn ends() -> String {
    let mut out = String::from(
        "# Ends\n\nEvery way in which an exchange ends early, made from the table in `src/end.rs`; a test fails where they differ.\n\n\
         An answer that the gateway gives in such a case carries the code in `X-Gatekeeper-Reason` and the text of the \
         third column in `errmsg`, the same for every request: GateKeeper's words where it had some. A default answer of \
         the service has no `errmsg`. The second status is the one under `http.legacy_status`, where it differs. Where no \
         status stands, the client can no longer be told: its connection is closed.\n",
    );
    let parts = [
        (Side::Downstream, "The client", "The client broke the protocol, was too slow, or left."),
        (Side::Gateway, "The gateway", "A rule or a bound of this gateway."),
        (Side::Upstream, "The service", "The endpoint behind the gateway failed."),
    ];
    for (side, title, what) in parts {
        let _ = write!(out, "\n## {title}\n\n{what}\n\n| code | status | `errmsg` | when | what to do |\n{DIVIDER}\n");
        for end in End::ALL.iter().filter(|end| end.meaning().side == side) {
            let meaning = end.meaning();
            let status = match (meaning.status, meaning.legacy_status) {
                (0, _) => "none".to_owned(),
                (status, legacy) if status == legacy => status.to_string(),
                (status, legacy) => format!("{status} ({legacy})"),
            };
            let text = match (*end, meaning.status) {
                (End::FilterRefused, _) => "the filter's".to_owned(),
                (_, 0) => String::new(),
                _ => format!("`{}`", meaning.text),
            };
            let (again, advice) = (again(meaning.retry), advice(*end));
            let _ = writeln!(out, "| `{}` | {status} | {text} | {}{again} | {advice} |", meaning.code, meaning.doc);
        }
    }
    out
}

#[test]
fn the_page_of_ends_is_up_to_date() {
    let path = root().join("docs/ends.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, ends()).expect("a file to write");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == ends(), "{} is not up to date: run `UPDATE=1 cargo test --test docs`", path.display());
}

/// What stands in the blocks of a language on a page.
/// Whether an end lies with the gateway or a service: not what clients do, are refused or limited for, nor a service
/// that somebody has switched off.
fn is_fault(end: End) -> bool {
    match end.meaning().side {
        Side::Downstream => false,
        Side::Gateway => end.meaning().status >= 500 && end != End::ServiceDown,
        Side::Upstream => true,
    }
}

#[test]
fn the_alert_on_early_ends_counts_those_that_are_faults() {
    let alerts = std::fs::read_to_string(root().join("conf/observability/alerts.yaml")).expect("a file");
    let (_, alert) = alerts.split_once("alert: GatekeeperErrors\n").expect("the alert");
    let reasons = alert.split("\\\"").nth(1).expect("reasons in quotes");
    let counted: Vec<_> = reasons.split('|').map(|reason| reason.trim_matches(['\\', '\n', ' '])).collect();
    let faults: Vec<_> = End::ALL.iter().filter(|end| is_fault(**end)).map(|end| end.code()).collect();
    assert_eq!(counted, faults);
}

fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).expect("the page");
    let parts = text.split("\n```").skip(1).step_by(2);
    parts.filter_map(|part| part.strip_prefix(&format!("{language}\n")).map(str::to_owned)).collect()
}

#[test]
fn the_first_filter_of_the_page_is_the_example() {
    let example = std::fs::read_to_string(root().join("examples/first_filter.rs")).expect("the example");
    let (_, code) = example.split_once("\n\n").expect("its purpose, and then the code");
    assert_eq!(blocks("docs/filters.md", "rust"), [code.trim_end()]);
}

#[test]
fn every_variable_of_a_line_is_on_the_page_as_the_program_has_it() {
    let page = std::fs::read_to_string(root().join("docs/operating.md")).expect("the page");
    let listed: Vec<_> = page.lines().filter(|line| line.starts_with("| `$")).collect();
    let wanted: Vec<_> = Variable::ALL.iter().map(|(_, name, what)| format!("| `${name}` | {what} |")).collect();
    assert_eq!(listed, wanted, "the table of variables in docs/operating.md");
}

/// Every page of the project, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("docs")];
    let mut files = vec![root().join("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).expect("a page"))).collect()
}

/// What stands between two backquotes, outside blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("\n```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

const ROOMS: [&str; 5] = ["proto", "wall", "worker", "config", "control"];

/// Whether a name like `worker/io`, `src/end.rs` or `bench/origin` is one of a file or folder.
fn is_there(name: &str) -> bool {
    let room = name.split('/').next().unwrap_or_default();
    let base = if ROOMS.contains(&room) { root().join("src") } else { root().to_owned() };
    let path = base.join(name);
    path.exists() || path.with_extension("rs").exists()
}

fn is_path(name: &str) -> bool {
    let places = ["src", "tests", "docs", "conf", "bench", "tools", "fuzz", ".ci"];
    let first = name.split_once('/').map(|(first, _)| first);
    first.is_some_and(|first| places.contains(&first) || ROOMS.contains(&first))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
}

#[test]
fn every_file_a_page_names_is_there() {
    let mut gone = Vec::new();
    for (page, text) in pages() {
        gone.extend(
            quoted(&text)
                .into_iter()
                .filter(|name| is_path(name) && !is_there(name))
                .map(|name| format!("{}: `{name}`", page.display())),
        );
    }
    assert!(gone.is_empty(), "{gone:#?}");
}

#[test]
fn every_link_leads_to_a_page() {
    let mut broken = Vec::new();
    for (page, text) in pages() {
        let folder = page.parent().expect("a page is in a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !target.starts_with("http") && !folder.join(file).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The text of every source file.
fn source() -> String {
    let mut folders = vec![root().join("src")];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false => text.push_str(&std::fs::read_to_string(path).expect("a source file")),
            }
        }
    }
    text
}

#[test]
fn every_name_of_the_program_that_a_page_uses_is_in_the_program() {
    let source = source();
    let mut gone = Vec::new();
    for (page, text) in pages().into_iter().filter(|(page, _)| !page.ends_with("configuration.md")) {
        for name in quoted(&text).into_iter().filter(|name| name.contains("::") && !name.contains(['(', '<', ' '])) {
            let last = name.rsplit("::").next().unwrap_or_default();
            if !source.contains(last) {
                gone.push(format!("{}: `{name}`", page.display()));
            }
        }
    }
    assert!(gone.is_empty(), "{gone:#?}");
}

#[test]
fn every_dependency_has_its_reason_beside_it_and_on_the_page() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let page = std::fs::read_to_string(root().join("docs/decisions/dependencies.md")).expect("the page");
    let sections = manifest.split("\n[").filter(|section| section.contains("dependencies]"));
    for line in sections.flat_map(|section| section.lines().skip(1)).filter(|line| line.contains(" = ")) {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(line.contains(" # "), "no reason beside {name}");
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page of dependencies");
    }
}
