//! `Snapshot`: one configuration, compiled and frozen.
//!
//! In scope: the compiled form of base.toml, module.toml and app.toml that a worker reads.
//! Written once by `config::compile`, read by every worker, never changed. Out of scope: anything
//! that changes while it is in force (that is `Health`) and the text it came from.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use httparse::Header;
use ipnet::IpNet;

use super::access::{Access, AddressSet};
use super::balance::Balance;
use super::calendar::Calendar;
use super::cors::Cors;
use super::default_answer::DefaultAnswer;
use super::filters::Filters;
use super::forwarded;
use super::headers::HeaderRules;
use super::issuer::Issuer;
use super::jwt::Jwt;
use super::keys::Kept;
use super::limit::Limits;
use super::mirror::MirrorRules;
use super::resilience::Resilience;
use super::routes::Routes;
use super::split::Splits;
use super::tenants::Tenants;
use super::trace::Sampling;
use super::validation::Validation;
use crate::ids::{EndpointId, ServiceId};
use crate::proto::head::HeadLimits;

/// One configuration, compiled and frozen.
#[derive(Debug)]
pub struct Snapshot {
    /// What holds for every service.
    pub http: HttpRules,
    /// The index from path to service.
    pub routes: Routes,
    /// Services of the file in its order; indexed by `ServiceId`.
    pub services: Box<[Service]>,
    names: HashMap<Box<str>, ServiceId>,
    /// Tenants of app.toml.
    pub tenants: Tenants,
    /// Who gives tokens to them.
    pub issuer: Option<Box<Issuer>>,
    /// When a day ends (`base.time_location`).
    pub calendar: Calendar,
    /// How many endpoints all services have together: the length of a `Health` table.
    pub endpoints: usize,
}

impl Snapshot {
    /// A snapshot of these services, whose endpoints are numbered densely from 0.
    #[must_use]
    pub fn new(http: HttpRules, routes: Routes, services: Box<[Service]>, tenants: Tenants) -> Self {
        let endpoints = services.iter().map(|service| service.upstream.endpoints.len()).sum();
        let numbered = services.iter().zip(0..).map(|(service, number)| (service.name.clone(), ServiceId(number)));
        let names = numbered.collect();
        Self { http, routes, services, names, tenants, issuer: None, calendar: Calendar::default(), endpoints }
    }

    /// Key sets that control keeps up to date.
    pub fn key_sets(&self) -> impl Iterator<Item = &Kept> {
        self.services.iter().filter_map(|service| service.jwt.as_ref()?.kept.as_ref())
    }

    /// Goes on with the key sets of another configuration, so that nothing waits for them to be fetched again.
    fn go_on_with_keys(&mut self, before: &Self) {
        let known: Vec<_> = before.services.iter().filter_map(|service| service.jwt.as_deref()).collect();
        for jwt in self.services.iter_mut().filter_map(|service| service.jwt.as_mut()) {
            let _ = known.iter().any(|before| jwt.go_on_with(before));
        }
    }

    /// Goes on with all that outlives a configuration: what is known of tenants and services, keys. It is now so many
    /// seconds since 1970.
    pub fn go_on(&mut self, before: &Self, now_s: u64) {
        self.tenants.go_on(&before.tenants, now_s);
        self.go_on_knowing(before);
        self.go_on_with_keys(before);
    }

    /// Goes on with what is known of services and endpoints of another configuration.
    fn go_on_knowing(&mut self, before: &Self) {
        for service in &mut self.services {
            let Some(known) = before.names.get(&service.name).map(|id| before.service(*id)) else { continue };
            let (mine, theirs) = (&mut service.upstream, &known.upstream);
            let Some(before) = &theirs.resilience else { continue };
            match &mut mine.resilience {
                Some(resilience) => {
                    if let Some(resilience) = Arc::get_mut(resilience) {
                        resilience.go_on(&mine.endpoints, before, &theirs.endpoints);
                    }
                }
                // Whoever waits for a place waits for a bound that is gone.
                None => before.known.service.places.bound(None),
            }
        }
    }

    /// Whether a service of this name is here.
    #[must_use]
    pub fn has_service(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The tcp service of this name, with what only tcp services have.
    #[must_use]
    pub fn tcp_service(&self, name: &str) -> Option<(ServiceId, &TcpRules)> {
        let id = *self.names.get(name)?;
        Some((id, self.service(id).tcp.as_deref()?))
    }

    /// The service behind a number that this snapshot's own `Routes` gave out.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }

    /// Every endpoint with its service, in `EndpointId` order.
    pub fn all_endpoints(&self) -> impl Iterator<Item = (&Service, &Endpoint)> {
        self.services
            .iter()
            .flat_map(|service| service.upstream.endpoints.iter().map(move |endpoint| (service, endpoint)))
    }
}

/// What base.toml says about every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRules {
    /// Only paths below this canonical prefix reach a service; empty means every path.
    pub route_prefix: Box<[u8]>,
    /// Of rules with equal priority the more specific is tried first, else the earlier in the file.
    pub specific_first: bool,
    /// `Host` sent to every upstream whose service does not say otherwise; `None`: the node's.
    pub fixed_host: Option<Box<[u8]>>,
    /// From the first byte of a request to the end of its head.
    pub head_timeout_ms: u32,
    /// A request body, or a client reading its answer, must make progress within this.
    pub progress_timeout_ms: u32,
    /// Client connections of each worker; 0 follows from the descriptors.
    pub connections_max: u32,
    /// Connections of one client address, IPv6 by /64, over the whole process; 0 is any number.
    pub address_connections_max: u32,
    /// Bytes per second of a request body, after the grace; 0 is any.
    pub body_rate_min: u32,
    /// Bytes per second of an answer that a client takes, after the grace; 0 is any.
    pub answer_rate_min: u32,
    /// How long in all a client may be waited for below its rate.
    pub rate_grace_ms: u32,
    /// A kept client connection may stay idle this long.
    pub keepalive_timeout_ms: u32,
    /// How long a client that closed its sending half is still served.
    pub half_close_grace_ms: u32,
    /// Largest request head, bytes.
    pub head_bytes_max: usize,
    /// Largest request target, bytes.
    pub uri_bytes_max: usize,
    /// Most fields in a request head.
    pub fields_max: usize,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Box<[IpNet]>,
    /// Peers that must open each connection with a PROXY protocol header; no other may.
    pub proxy_from: AddressSet,
    /// Who may call `/reload`, beside loopback.
    pub cluster: Box<[IpAddr]>,
    /// GateKeeper's own status codes instead of the right ones.
    pub legacy_status: bool,
    /// Fields with `_` in their name are passed on instead of dropped.
    pub underscore_fields: bool,
    /// `//` in a path becomes `/` before anything looks at it.
    pub merge_slashes: bool,
    /// `Via` is added to requests.
    pub via: bool,
    /// Our own answers say in a field why.
    pub reason: bool,
    /// How a request's id is told.
    pub request_id: RequestIdRules,
    /// One exchange in so many is recorded for the request log, and each that ended early; 0 is none.
    pub log_sample: u32,
    /// Traces are told onward and sampled; `None` leaves what the client says of them.
    pub sampling: Option<Sampling>,
}

impl HttpRules {
    /// How large a request's head may be.
    #[must_use]
    pub const fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            head_bytes_max: self.head_bytes_max,
            uri_bytes_max: self.uri_bytes_max,
            fields_max: self.fields_max,
        }
    }

    /// The client behind a peer that sent these fields: itself, or whom trusted proxies say they act for.
    #[must_use]
    pub fn client(&self, peer: IpAddr, fields: &[Header<'_>]) -> IpAddr {
        if self.trusted_proxies.is_empty() { peer } else { forwarded::client(peer, fields, &self.trusted_proxies) }
    }
}

/// `[request_id]`: under which name a request's id is told, and whose word counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIdRules {
    /// The field; `None` is GateKeeper's own.
    pub header: Option<Box<str>>,
    /// A client's own id is kept.
    pub from_client: bool,
    /// The answer has it too.
    pub on_answer: bool,
}

impl RequestIdRules {
    /// GateKeeper's field.
    pub const GATEKEEPER: &str = "didi-header-rid";

    /// The field.
    #[must_use]
    pub fn name(&self) -> &str {
        self.header.as_deref().unwrap_or(Self::GATEKEEPER)
    }
}

/// One `[[module]]`. In this order, what every request asks for comes first: with thousands of services each cache line of
/// one comes from far.
#[derive(Debug)]
#[repr(C)]
pub struct Service {
    /// A share of its requests goes elsewhere.
    pub splits: Option<Box<Splits>>,
    /// Lists and the tenant demand.
    pub access: Access,
    /// What it asks of tokens.
    pub jwt: Option<Box<Jwt>>,
    /// How often it may be called, by whom; `None` where nobody asks.
    pub limits: Option<Box<Limits>>,
    /// Fields that its requests and answers are given or relieved of.
    pub headers: Option<Box<HeaderRules>>,
    /// Which pages of other origins may read its answers.
    pub cors: Option<Box<Cors>>,
    /// What its requests must have.
    pub validation: Option<Box<Validation>>,
    /// Where copies of its requests go.
    pub mirror: Option<Box<MirrorRules>>,
    /// What sees its requests, answers or connections; `None` is nothing.
    pub filters: Option<Box<Filters>>,
    /// It is switched off.
    pub down: bool,
    /// Trailers are passed on where the other side takes them.
    pub trailers: bool,
    /// Largest request body in bytes; 0 is no limit.
    pub body_bytes_max: u64,
    /// Which `Host` the upstream sees.
    pub host: HostMode,
    /// Where requests go.
    pub upstream: Upstream,
    /// The module's unique name.
    pub name: Box<str>,
    /// Largest request body that a rule reads whole before it decides.
    pub read_body_bytes_max: u64,
    /// What a client is told where no endpoint is asked, or none has answered.
    pub default_answer: Option<Box<DefaultAnswer>>,
    /// Of a service with `load_type = "tcp"`.
    pub tcp: Option<Box<TcpRules>>,
}

impl Service {
    /// The `Host` that an endpoint sees of a request for this host.
    #[must_use]
    pub fn host_for<'a>(&'a self, rules: &'a HttpRules, client: &'a [u8], node: &'a str) -> &'a [u8] {
        match (&self.host, &rules.fixed_host) {
            (HostMode::Fixed(host), _) | (HostMode::Default, Some(host)) => host,
            (HostMode::Client, _) if !client.is_empty() => client,
            _ if node.starts_with("unix:") => b"localhost",
            _ => node.as_bytes(),
        }
    }
}

/// What only a tcp service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRules {
    /// Peers that must open each connection with a PROXY protocol header; no other may.
    pub proxy_from: AddressSet,
    /// The header each endpoint's connection begins with.
    pub proxy_to: ProxyHeader,
    /// A peer that is silent this long is asked whether it is there; 0 is the kernel's.
    pub keepalive_ms: u32,
    /// Bytes a peer has not acknowledged for this long break the connection (TCP_USER_TIMEOUT); 0 is the kernel's.
    pub user_timeout_ms: u32,
    /// Connections of one client address, IPv6 by /64, over the whole process; 0 is any number.
    pub client_connections_max: u32,
    /// Connections of all clients over the whole process; 0 is any number.
    pub service_connections_max: u32,
}

/// What a connection to an endpoint begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The client's first byte.
    None,
    /// The line of PROXY protocol version 1.
    V1,
    /// The block of version 2.
    V2,
}

/// Which `Host` an upstream sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMode {
    /// `HttpRules::fixed_host`, else the node's own address (GateKeeper's rule).
    Default,
    /// The client's.
    Client,
    /// The node's address as written in the file.
    Node,
    /// This one.
    Fixed(Box<[u8]>),
}

/// The endpoints of a service and how to use them. In this order as `Service` is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Upstream {
    /// What it has against endpoints that fail; `None` where nothing is configured.
    pub resilience: Option<Arc<Resilience>>,
    /// In the order of `ip_list`. Never empty.
    pub endpoints: Box<[Endpoint]>,
    /// From the request's head to the end of the answer; 0 is no limit.
    pub request_timeout_ms: u32,
    /// A request that takes longer is answered 408 instead of 504.
    pub request_timeout_408: bool,
    /// From the request's last byte to the response head; 0 is no limit.
    pub header_timeout_ms: u32,
    /// A response body, or an upstream taking the request, must make progress within this;
    /// 0 is no limit.
    pub body_timeout_ms: u32,
    /// A tunnel on which nothing moves for this long ends; 0 is no limit.
    pub tunnel_idle_ms: u32,
    /// The longest life of a tunnel; 0 is no limit.
    pub tunnel_life_ms: u32,
    /// How one is chosen.
    pub balance: Balance,
    /// Dial deadline.
    pub connect_timeout_ms: u32,
    /// Idle connections kept per endpoint over the whole process.
    pub idle_max: u32,
    /// How long an idle connection is kept.
    pub idle_timeout_ms: u32,
    /// Connections per endpoint over the whole process; each worker has an equal share, at least 1.
    pub connections_max: u32,
    /// Further connections per endpoint for exchanges that run longer than a second (streams).
    pub slow_connections_max: u32,
    /// How long a request waits for a connection.
    pub queue_timeout_ms: u32,
    /// How many requests wait per endpoint over the whole process.
    pub queue_max: u32,
    /// How health is found out.
    pub check: Check,
}

/// One address of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Indexes `Health`.
    pub id: EndpointId,
    /// As written in the file; also the `Host` of `HostMode::Node`.
    pub node: Box<str>,
    /// What to dial.
    pub address: Address,
    /// How much of the requests it gets beside the others; 0 is never picked, unless all are 0 (then the first).
    pub weight: u32,
    /// On `forbid_list`: takes no traffic.
    pub forbidden: bool,
}

/// What to dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A fixed IP address and port.
    Socket(SocketAddr),
    /// A name that control resolves; the addresses are in `Health`.
    Name(Box<str>, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// How an endpoint's health is found out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// What is tried.
    pub method: CheckMethod,
    /// Pause between two probes of one endpoint.
    pub interval_ms: u32,
    /// One probe's deadline.
    pub timeout_ms: u32,
    /// Successes in a row that make a down endpoint up.
    pub rise: u32,
    /// Failures in a row that make an up endpoint down.
    pub fall: u32,
}

/// What a probe tries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CheckMethod {
    /// `GET` of this path over a new connection; an answer with one of the statuses is healthy.
    Http {
        /// Path and query.
        path: Box<str>,
        /// `Host`; `None` is the endpoint's own.
        host: Option<Box<str>>,
        /// First and last of each range.
        statuses: Box<[(u16, u16)]>,
    },
    /// A connection that opens is healthy.
    Tcp,
}
