//! `gatekeeper explain`: what would become of one request, stage by stage.
//!
//! The request is read by the same strict parser, normalised, matched, admitted and written on by the same
//! code that serves; only sockets, health and the state of rates are missing. In scope: telling it. Out of
//! scope: anything that a stage decides.

mod balance;
mod limits;
mod request;
mod resilience;
mod rules;
mod shape;
mod split;
mod story;
mod tenant;
mod token;

use std::net::IpAddr;
use std::path::Path;

use super::said::Said;
use super::{check, host_name, load_with};
use crate::end::End;
use crate::filter::{Registry, Request};
use crate::proto::framing::Framed;
use crate::proto::head::{self, Body, Method, RequestHead};
use crate::proto::target::canonical;
use crate::wall::access::{Admission, Decider};
use crate::wall::attribute::Parts;
use crate::wall::composition::Taken;
use crate::wall::filters::narrow;
use crate::wall::forwarded;
use crate::wall::limit::Caller;
use crate::wall::rewrite::RewriteScratch;
use crate::wall::routes::{Asked, Route, RouteScratch, covers};
use crate::wall::snapshot::{Service, Snapshot};
use crate::wall::tenants::Tenant;
use crate::wall::words::counted;
use request::Peer;
use shape::{Shape, Target};
use story::Story;

/// A request, as the command line gives it.
#[derive(Clone, Debug)]
pub struct Question {
    /// Such as `GET`.
    pub method: String,
    /// A URL or only its path and query.
    pub url: String,
    /// Where the connection comes from; `None` is an address of documentation (RFC 5737).
    pub from: Option<IpAddr>,
    /// Further fields.
    pub headers: Vec<(String, String)>,
}

/// Loads the files and tells what would become of the request. Files that do not load are told instead.
#[must_use]
pub fn explain(module_file: &Path, question: &Question) -> Said {
    explain_with(module_file, &Registry::default(), question)
}

/// The same, for a program that has these filters; they are asked too.
#[must_use]
pub fn explain_with(module_file: &Path, filters: &Registry, question: &Question) -> Said {
    match load_with(module_file, &host_name(), filters) {
        Ok(loaded) => {
            let warnings = counted(loaded.warnings.len(), "warning");
            let err = if loaded.warnings.is_empty() {
                String::new()
            } else {
                format!("{warnings}: `gatekeeper check {}` tells\n", module_file.display())
            };
            Said { out: tell(&loaded.snapshot, question), err, code: 0 }
        }
        Err(faults) => Said { out: String::new(), err: check::listing(&faults), code: 1 },
    }
}

/// What would become of the request on this configuration.
#[must_use]
pub fn tell(snapshot: &Snapshot, question: &Question) -> String {
    let mut story = Story::default();
    let text = request::text(question);
    story.line("request", &format!("{} for {}", text.line, text.host));
    let outcome = request::parse(&text, &snapshot.http, |head| {
        let peer = Peer::of(&snapshot.http, question.from, head);
        story.line("from", &peer.told());
        Stages { snapshot, head, peer, story: &mut story }.run()
    });
    story.verdict(outcome, &snapshot.http);
    story.text
}

/// How a request ends well.
enum Outcome {
    /// The gateway answers it itself.
    Own(&'static str),
    /// It goes to an endpoint of this service.
    Forwarded(String),
}

/// A request on its way.
struct Stages<'q, 's> {
    snapshot: &'q Snapshot,
    head: &'q Framed<RequestHead<'q>>,
    peer: Peer,
    story: &'s mut Story,
}

impl<'q> Stages<'q, '_> {
    fn run(mut self) -> Result<Outcome, End> {
        let http = &self.snapshot.http;
        if matches!(self.head.method, Method::Connect | Method::Trace) {
            return Err(End::MethodNotAllowed);
        }
        if self.head.asterisk || (self.head.method == Method::Options && self.head.max_forwards == Some(0)) {
            return Ok(Outcome::Own("the gateway answers it itself"));
        }
        let mut scratch = Vec::new();
        let path = canonical(self.head.path, http.merge_slashes, &mut scratch)?;
        let as_received = if path == self.head.path { "" } else { "   (normalised)" };
        self.story.line("path", &format!("{}{as_received}", story::text(path)));
        match (path, self.head.method) {
            (b"/ping", Method::Get | Method::Head) => {
                return Ok(Outcome::Own("the gateway answers it itself: 200, or 503 while it stops"));
            }
            (b"/reload", Method::Get) => return self.reload(),
            _ => {}
        }
        if self.snapshot.issuer.as_ref().is_some_and(|issuer| *issuer.path == *path) {
            return Ok(Outcome::Own("the gateway answers it itself: tenants ask for tokens here, by POST"));
        }
        if !covers(&http.route_prefix, path) {
            self.story.line("prefix", &format!("{}: the path is not below it", story::text(&http.route_prefix)));
            return Err(End::NoRoute);
        }
        let snapshot = self.snapshot;
        let asked = Asked::of(path, self.head);
        rules::tell(self.story, snapshot, &asked);
        let route = snapshot.routes.find(&asked, &mut RouteScratch::default()).ok_or(End::NoRoute)?;
        let id = split::tell(self.story, snapshot, route.service, &asked, self.peer.client);
        self.service(snapshot.service(id), route, path)
    }

    fn reload(&mut self) -> Result<Outcome, End> {
        let relayed = forwarded::NAMES.iter().find(|name| head::field(self.head.fields, name).is_some());
        let peer = self.peer.address;
        let known = peer.is_loopback() || self.snapshot.http.cluster.contains(&peer);
        let who = if known { "loopback or in cluster_list" } else { "neither loopback nor in cluster_list" };
        let how = relayed.map_or(String::new(), |name| format!(", and the request was relayed: {name}"));
        self.story.line("reload", &format!("{peer} is {who}{how}"));
        match relayed {
            None if known => Ok(Outcome::Own("the gateway loads its files again")),
            _ => Err(End::ReloadDenied),
        }
    }

    fn service(&mut self, service: &Service, route: &Route, path: &[u8]) -> Result<Outcome, End> {
        let rule = if route.rule.is_empty() { "every path".to_owned() } else { route.to_string() };
        self.story.line("service", &format!("{} by its rule for {rule}", service.name));
        if service.down {
            self.story.line("status", "down: the service is switched off");
            return Err(End::ServiceDown);
        }
        let shape = Shape { service, head: self.head, taken: Taken { route, path } };
        if shape.answer(self.story, &self.peer, &self.snapshot.http.request_id)? {
            return Ok(Outcome::Own("the gateway answers the preflight itself: 204"));
        }
        let (tenant, edits) = self.lists(service, path)?;
        self.rates(service, tenant);
        shape.validation(self.story)?;
        let filtered = self.filters(service, path, tenant)?;
        self.body(service)?;
        if shape.default_answer(self.story) {
            return Ok(Outcome::Own("the gateway gives the default answer"));
        }
        let target = self.target(&shape)?;
        let chosen = balance::tell(self.story, service, self.head, path, self.peer.client)?;
        resilience::tell(self.story, self.snapshot, service);
        self.upstream_head(&shape, chosen, &target, tenant, [edits, filtered]);
        Ok(Outcome::Forwarded(service.name.to_string()))
    }

    /// Black list, white list, host name, token, tenant; and what is done to the head because of them.
    fn lists(&mut self, service: &Service, path: &[u8]) -> Result<(Option<&'q Tenant>, Vec<u8>), End> {
        let client = self.peer.client;
        let decider = service.access.decider(client, path);
        let told = match decider {
            Decider::NotOpen => "open = 0: not in force".to_owned(),
            Decider::BlackList => format!("{client} is on black_list"),
            Decider::WhiteList => format!("{client} is on white_list: let in without a tenant"),
            Decider::HostName => "white_host_name names this machine: let in without a tenant".to_owned(),
            Decider::UrlWhiteList => "url_white_list has the path: let in without a tenant".to_owned(),
            Decider::NoList => format!("{client} is on no list: only as a tenant"),
            Decider::NotWhite => format!("{client} is not on the white list"),
            Decider::NotBlack => format!("no list is against {client}"),
            Decider::TenantDemanded => format!("no list is against {client}: only as a tenant"),
        };
        self.story.line("lists", &told);
        let admission = self.spared(service, decider.verdict(), Admission::Allowed)?;
        let mut edits = token::tell(self.story, service, self.head)?;
        if admission == Admission::Allowed {
            return Ok((None, edits));
        }
        let asked = tenant::Asked { service, head: self.head, client, path };
        let tenant = tenant::tell(self.story, self.snapshot, &asked, &mut edits).map(Some);
        Ok((self.spared(service, tenant, None)?, edits))
    }

    /// What the lists say, but that nobody is refused where they are in dry run.
    fn spared<T>(&mut self, service: &Service, asked: Result<T, End>, otherwise: T) -> Result<T, End> {
        match asked {
            Err(end) if service.access.dry_run => {
                self.story.line("", &format!("dry_run: let pass all the same, and logged as {}", end.code()));
                Ok(otherwise)
            }
            asked => asked,
        }
    }

    fn rates(&mut self, service: &Service, tenant: Option<&Tenant>) {
        let legacy = self.snapshot.http.legacy_status;
        let of_tenant = tenant.and_then(|tenant| tenant.rate).map(|rate| (rate, End::TenantRate, "the tenant"));
        let each = of_tenant.into_iter().map(|(rate, end, whom)| {
            let status = end.status(legacy).unwrap_or_default();
            format!("{} per second for {whom}, {} at once; more: {status}", rate.requests, rate.burst)
        });
        let mut told: Vec<_> = each.collect();
        let limits = service.limits.iter().flat_map(|limits| limits.each.iter().chain(&limits.endpoint));
        let parts = Parts::of(self.head);
        let caller = Caller { client: self.peer.client, tenant: tenant.map(|tenant| &*tenant.app_id), parts };
        told.extend(limits.map(|limit| limits::told(limit, &caller, legacy)));
        if let Some(quota) = tenant.and_then(|tenant| tenant.quota.as_ref()) {
            let status = End::TenantQuota.status(legacy).unwrap_or_default();
            told.push(format!("{} per day for the tenant; more: {status}", quota.daily_max));
        }
        if told.is_empty() {
            told.push("none".into());
        }
        self.story.lines("rates", &told);
    }

    /// Asks the service's filters. What they change in the head that goes on.
    fn filters(&mut self, service: &Service, path: &[u8], tenant: Option<&Tenant>) -> Result<Vec<u8>, End> {
        let Some(filters) = &service.filters else { return Ok(Vec::new()) };
        let names: Vec<_> = filters.http.iter().map(|enabled| &*enabled.name).collect();
        let mut edits = Vec::new();
        narrow(self.head.fields, &mut Vec::new(), &mut edits);
        let of = (&*service.name, tenant.map(|tenant| &*tenant.app_id));
        let mut request = Request::new(self.head, path, self.peer.client, of, edits);
        let verdict = filters.request(&mut request);
        let mut told = vec![names.join(", ")];
        if let Err((name, refusal)) = &verdict {
            told.push(format!("{name} refuses: {} {}", refusal.status(), refusal.text()));
            self.story.status = Some(refusal.status());
        }
        self.story.lines("filters", &told);
        verdict.map(|()| request.into_edits()).map_err(|_| End::FilterRefused)
    }

    fn body(&mut self, service: &Service) -> Result<(), End> {
        let max = service.body_bytes_max;
        if max == 0 || self.head.body == Body::None {
            return Ok(());
        }
        self.story.line("body", &format!("{max} bytes at most"));
        match self.head.body {
            Body::Length(length) if length > max => Err(End::BodyTooLarge),
            _ => Ok(()),
        }
    }

    /// The target that goes on.
    fn target(&mut self, shape: &Shape<'_>) -> Result<Target, End> {
        if let Some(composed) = shape.composed(self.story, &self.peer)? {
            return Ok(composed);
        }
        let Taken { route, path } = shape.taken;
        let mut scratch = RewriteScratch::default();
        let rewritten = route.rewrite.apply_named(path, &mut scratch);
        self.rewrite(route, path, rewritten.path, rewritten.item);
        Ok(Target { path: rewritten.path.to_vec(), query: shape.query() })
    }

    fn rewrite(&mut self, route: &Route, path: &[u8], rewritten: &[u8], item: Option<usize>) {
        let told = match item.and_then(|item| route.rewrite.items().nth(item)) {
            Some((pattern, template)) => {
                let (from, to) = (story::text(path), story::text(rewritten));
                // No number: items that the load has left out would make it differ from the file.
                vec![format!("{from} -> {to}"), format!("by the item {pattern} {template}")]
            }
            None if route.rewrite.is_empty() => vec!["none".to_owned()],
            None if route.rewrite.strips() => vec![format!("{} by strip_prefix", story::text(rewritten))],
            None => vec!["no item changes the path".to_owned()],
        };
        self.story.lines("rewrite", &told);
    }

    fn upstream_head(
        &mut self,
        shape: &Shape<'_>,
        node: &str,
        target: &Target,
        tenant: Option<&Tenant>,
        [mut edits, filtered]: [Vec<u8>; 2],
    ) {
        let (service, http) = (shape.service, &self.snapshot.http);
        let host = service.host_for(http, self.head.host, node);
        edits.extend(shape.request_edits(&self.peer, &http.request_id));
        edits.extend(filtered);
        let onward = request::Onward { http, service, peer: &self.peer, target, edits: &edits, host, tenant };
        let lines: Vec<_> =
            onward.write(self.head).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        self.story.lines("sent on", &lines);
    }
}
