//! From a request's bytes to what is done with it, in one go and without waiting.
//!
//! head → route → policy → balance → the head as it goes on. Everything that borrows from the request's
//! bytes lives and dies here; what later stages need is copied into `Terms`. Out of scope: carrying it out
//! (`exchange`), answering (`reply`).

pub mod request_id;
pub mod route;

mod onward;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use self::request_id::RequestId;
use self::route::Destination;
use super::policy::{self, Applicant, Denied, Permit, Verdict};
use super::shard::{Scratch, Shard, ShardEpoch};
use super::upstream::replica::{ATTEMPTS_MAX, Replica, Tried};
use crate::end::End;
use crate::ids::{ServiceId, TenantId};
use crate::limits::GRANT_BODY_BYTES_MAX;
use crate::proto::forward;
use crate::proto::framing::Framed;
use crate::proto::head::{self, Body, Method, RequestHead, Storage, Version};
use crate::proto::trace_context::Incoming;
use crate::proto::{form, target};
use crate::wall::attribute::Parts;
use crate::wall::composition::Taken;
use crate::wall::cors::Crossing;
use crate::wall::default_answer::When;
use crate::wall::issuer::Issuer;
use crate::wall::limit::Caller;
use crate::wall::routes::{Asked, Route};
use crate::wall::snapshot::{HttpRules, Service};
use crate::wall::trace::Trace;
use crate::worker::policy::concurrency::{self, Entry, Turn};
use crate::worker::policy::dressing::Dressing;
use crate::worker::policy::filters::{self, Asking, Said};
use crate::worker::policy::grant::{self, Answer, Grant};
use crate::worker::policy::headers::{self, Material};
use crate::worker::policy::limits;
use crate::worker::policy::validation;
use crate::worker::relay::pace::Pace;
use crate::worker::session::downstream::Peer;
use crate::worker::session::local::Local;
use crate::worker::shard::buffer::Lease;
use crate::worker::shard::log::Note;
use crate::worker::upstream::mirror::Mirrored;
use crate::worker::upstream::trial::{self, Trial};

/// What is done with a request.
pub enum Plan {
    /// This gateway answers it itself.
    Local(Local),
    /// Its body is read first.
    NeedBody(NeedBody),
    /// It waits for its turn first: so many nanoseconds.
    Wait(u64),
    /// It waits until fewer requests are under way at this upstream.
    Queue(Rc<Replica>),
    /// It goes to an endpoint.
    Forward(Forward),
    /// Somebody asked for a token.
    Granted(Answer),
    /// It is refused.
    Refused(Denied),
}

/// A body that a rule looks into: it is read whole, and the request is planned again with `Question::body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedBody {
    /// A larger one is refused.
    pub bytes_max: u64,
    /// The rule stands behind policy: who sent the request is known, and its rates are spent.
    pub admitted: bool,
}

/// A request on its way to an endpoint.
pub struct Forward {
    /// The service's upstream on this core.
    pub replica: Rc<Replica>,
    /// The endpoint picked.
    pub endpoint: usize,
    /// The head as it goes on, and a body that was read first.
    pub out: Lease,
    /// The attempt, where the service watches how its attempts end.
    pub trial: Cell<Option<Trial>>,
    /// The request's place, where the service bounds how many are under way.
    pub turn: Option<Turn>,
    /// The request once more, for another service.
    pub copy: Option<Box<Mirrored>>,
}

impl Forward {
    /// The endpoint, as written in the file.
    #[must_use]
    pub fn node(&self) -> &str {
        self.replica.node(self.endpoint)
    }
}

/// What holds for one exchange, copied out of the head and the rules.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The service that was found.
    pub service: Option<ServiceId>,
    /// On whose behalf, where the service demands a tenant.
    pub tenant: Option<TenantId>,
    /// `didi-header-rid` onward, `trace_id` in our own answers.
    pub request_id: RequestId,
    /// Its trace, where requests have any.
    pub trace: Option<Trace>,
    /// For what a rule in dry run would have refused it.
    pub spared: Option<End>,
    /// The request's method.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// The client's connection may serve another request.
    pub keep_alive: bool,
    /// How the request's body is framed.
    pub body: Body,
    /// Bytes of the request's head; 0 where it was not understood.
    pub head_bytes: usize,
    /// The client waits for `100 Continue`.
    pub expects_continue: bool,
    /// The client asks for a WebSocket.
    pub upgrade_websocket: bool,
    /// The client takes trailers.
    pub te_trailers: bool,
    /// GateKeeper's own status codes.
    pub legacy_status: bool,
    /// As `HttpRules::reason`.
    pub reason: bool,
    /// The service has filters.
    pub filtered: bool,
    /// As `Service::trailers`.
    pub trailers: bool,
    /// As `Service::body_bytes_max`.
    pub body_bytes_max: u64,
    /// As `HttpRules::progress_timeout_ms`.
    pub progress_timeout_ms: u64,
    /// As `HttpRules::body_rate_min`.
    pub body_rate_min: u32,
    /// As `HttpRules::answer_rate_min`.
    pub answer_rate_min: u32,
    /// As `HttpRules::rate_grace_ms`.
    pub rate_grace_ms: u32,
    /// As `HttpRules::half_close_grace_ms`.
    pub half_close_grace_ms: u64,
    /// As `Upstream::request_timeout_ms`.
    pub request_timeout_ms: u64,
    /// As `Upstream::request_timeout_408`.
    pub request_timeout_408: bool,
    /// As `Upstream::header_timeout_ms`.
    pub header_timeout_ms: u64,
    /// As `Upstream::body_timeout_ms`.
    pub body_timeout_ms: u64,
    /// As `Upstream::tunnel_idle_ms`.
    pub tunnel_idle_ms: u32,
    /// As `Upstream::tunnel_life_ms`.
    pub tunnel_life_ms: u32,
}

impl Terms {
    /// The terms of a request that is not understood yet.
    #[must_use]
    pub fn unread(shard: &Shard, rules: &HttpRules) -> Self {
        Self {
            service: None,
            tenant: None,
            request_id: shard.request_id(),
            trace: None,
            spared: None,
            method: Method::Other,
            version: Version::Http11,
            keep_alive: false,
            body: Body::None,
            head_bytes: 0,
            expects_continue: false,
            upgrade_websocket: false,
            te_trailers: false,
            legacy_status: rules.legacy_status,
            reason: rules.reason,
            filtered: false,
            trailers: false,
            body_bytes_max: 0,
            progress_timeout_ms: u64::from(rules.progress_timeout_ms),
            body_rate_min: rules.body_rate_min,
            answer_rate_min: rules.answer_rate_min,
            rate_grace_ms: rules.rate_grace_ms,
            half_close_grace_ms: u64::from(rules.half_close_grace_ms),
            request_timeout_ms: 0,
            request_timeout_408: false,
            header_timeout_ms: 0,
            body_timeout_ms: 0,
            tunnel_idle_ms: 0,
            tunnel_life_ms: 0,
        }
    }

    /// How slowly the client may send its body.
    #[must_use]
    pub fn body_pace(&self) -> Pace {
        Pace::new(self.progress_timeout_ms, self.body_rate_min, self.rate_grace_ms)
    }

    /// How slowly the client may take its answer.
    #[must_use]
    pub fn answer_pace(&self) -> Pace {
        Pace::new(self.progress_timeout_ms, self.answer_rate_min, self.rate_grace_ms)
    }

    fn read(&mut self, head: &RequestHead<'_>, leaving: bool) {
        self.method = head.method;
        self.version = head.version;
        self.keep_alive = head.keep_alive && !leaving;
        self.body = head.body;
        self.head_bytes = head.head_bytes;
        self.expects_continue = head.expects_continue;
        self.upgrade_websocket = head.upgrade_websocket;
        self.te_trailers = head.te_trailers;
    }

    /// Under which names the request is known: its id, and its trace where requests have any.
    fn name(&mut self, shard: &Shard, head: &RequestHead<'_>, rules: &HttpRules, incoming: Option<&Incoming>) {
        let said = head::field(head.fields, rules.request_id.name()).filter(|_| rules.request_id.from_client);
        let own = said.and_then(RequestId::of_client);
        if let Some((sampling, incoming)) = rules.sampling.as_ref().zip(incoming) {
            let trace = sampling.begin(incoming, own.as_ref().map(RequestId::bytes), || shard.trace_ids.fresh());
            self.request_id = RequestId::of_trace(trace.id);
            self.trace = Some(trace);
        }
        if let Some(id) = own {
            self.request_id = id;
        }
    }

    fn serve(&mut self, service: &Service, head: &RequestHead<'_>) {
        // A trailer could say in another's name what the head may not.
        let owns = service.headers.is_some() || service.jwt.is_some();
        self.trailers = service.trailers && !owns && !forward::nominates(head.fields);
        self.filtered = service.filters.is_some();
        self.body_bytes_max = service.body_bytes_max;
        self.request_timeout_ms = u64::from(service.upstream.request_timeout_ms);
        self.request_timeout_408 = service.upstream.request_timeout_408;
        self.header_timeout_ms = u64::from(service.upstream.header_timeout_ms);
        self.body_timeout_ms = u64::from(service.upstream.body_timeout_ms);
        self.tunnel_idle_ms = service.upstream.tunnel_idle_ms;
        self.tunnel_life_ms = service.upstream.tunnel_life_ms;
    }
}

/// What is asked: the bytes and who sent them.
pub struct Question<'q> {
    /// The request's bytes so far.
    pub bytes: &'q [u8],
    /// Its body, where it was read whole.
    pub body: Option<&'q [u8]>,
    /// Who sent it.
    pub peer: &'q Peer,
    /// Where it goes, if that was found before.
    pub service: Option<ServiceId>,
    /// Endpoints that failed for it; policy was asked before the first.
    pub tried: &'q Tried,
    /// How many attempts were made before.
    pub attempts: u8,
    /// On which terms, where policy has admitted it before: it keeps its names, and its rates are not spent twice.
    pub admitted_on: Option<&'q Terms>,
    /// It waited for its turn at the service, and has it.
    pub has_turn: bool,
    /// Where is said what its answer is dressed with.
    pub dressing: &'q Dressing,
    /// What filters have said of it, and will.
    pub said: &'q RefCell<Said>,
}

/// Decides what is done with the request, on what terms, and notes what the log wants of it. `None` while its head is
/// incomplete. The terms are written in place, because they are some hundred bytes: those of a request unread yet.
pub fn plan(
    shard: &Shard,
    epoch: &ShardEpoch,
    question: &Question<'_>,
    note: &mut Option<Note>,
    terms: &mut Terms,
) -> Option<Plan> {
    let rules = &epoch.snapshot().http;
    let mut storage = Storage::new();
    let head = match head::parse_request(question.bytes, &rules.head_limits(), &mut storage) {
        Ok(Some(head)) => head,
        Ok(None) => return None,
        Err(end) => {
            if let Some(note) = note {
                note.line(question.bytes, &shard.buffers);
            }
            return Some(Plan::Refused(end.into()));
        }
    };
    terms.read(&head, shard.leaving());
    let incoming = rules.sampling.as_ref().map(|_| Incoming::read(head.fields));
    match question.admitted_on {
        Some(Terms { request_id, trace, spared, .. }) => {
            (terms.request_id, terms.trace, terms.spared) = (*request_id, *trace, *spared);
            question.dressing.seal();
        }
        None => {
            terms.name(shard, &head, rules, incoming.as_ref());
            question.dressing.clear();
            headers::tell_id(shard, &rules.request_id, terms.request_id.bytes(), question.dressing);
        }
    }
    if note.is_none() && terms.trace.is_some_and(|trace| trace.is_sampled()) {
        // Nothing is logged, but this one is traced.
        *note = Some(Note::new(question.peer.address, &shard.buffers));
    }
    if question.body.is_some() {
        // It is in hand: neither sent for nor awaited again.
        terms.body = Body::None;
        terms.expects_continue = false;
    }
    let desk = Desk { shard, epoch, rules, question, head: &head, incoming: incoming.as_ref() };
    let planned = desk.decide(terms).unwrap_or_else(Plan::Refused);
    if question.attempts == 0
        && let Some(note) = note
    {
        desk.note(note, terms, &planned);
    }
    Some(planned)
}

/// A request that every rule has let pass, on its way to a service.
#[derive(Clone, Copy)]
struct Passed<'p> {
    route: &'p Route,
    service: &'p Service,
    permit: &'p Permit<'p>,
    path: &'p [u8],
    client: IpAddr,
    is_copy: bool,
}

/// Everything a decision looks at.
struct Desk<'d> {
    shard: &'d Shard,
    epoch: &'d ShardEpoch,
    rules: &'d HttpRules,
    question: &'d Question<'d>,
    head: &'d Framed<RequestHead<'d>>,
    /// What it says of its trace, where somebody asks.
    incoming: Option<&'d Incoming>,
}

impl Desk<'_> {
    fn decide(&self, terms: &mut Terms) -> Result<Plan, Denied> {
        let head = self.head;
        if matches!(head.method, Method::Connect | Method::Trace) {
            return Err(End::MethodNotAllowed.into());
        }
        if head.asterisk || (head.method == Method::Options && head.max_forwards == Some(0)) {
            return Ok(Plan::Local(Local::Options));
        }
        if forward::via_names(head.fields, self.shard.shared.pseudonym.as_bytes()) {
            return Err(End::Loop.into());
        }
        let mut scratch = std::mem::take(&mut self.shard.scratch.borrow_mut().path);
        let decision = match target::canonical(head.path, self.rules.merge_slashes, &mut scratch) {
            Ok(path) => self.decide_path(path, terms),
            Err(end) => Err(end.into()),
        };
        self.shard.scratch.borrow_mut().path = scratch;
        decision
    }

    fn decide_path(&self, path: &[u8], terms: &mut Terms) -> Result<Plan, Denied> {
        if let Some(local) = Local::at(path, self.head, self.question.peer.address, self.rules)? {
            return Ok(Plan::Local(local));
        }
        if let Some(issuer) = self.epoch.snapshot().issuer.as_deref().filter(|issuer| *issuer.path == *path) {
            return self.grant(issuer);
        }
        let Destination { route, id, service } = self.route(path).ok_or(End::NoRoute)?;
        terms.service = Some(id);
        terms.serve(service, self.head);
        if service.down {
            return Err(End::ServiceDown.into());
        }
        let client = self.client();
        if let Some(rules) = service.headers.as_deref() {
            let taken = Taken { route, path };
            let behind = self.question.peer.behind(client);
            let material = Material { head: self.head, taken, client: &behind, id: &terms.request_id };
            headers::dress(self.shard, rules, &material, service.access.open, self.question.dressing);
        }
        if let Some(cors) = &service.cors
            && headers::cross(self.shard, cors, self.head, self.question.dressing)? == Crossing::Preflight
        {
            return Ok(Plan::Local(Local::Preflight));
        }
        let (named, spared) = (Cell::new(None), Cell::new(terms.spared));
        let verdict = self.admit(service, path, client, &named, &spared);
        (terms.tenant, terms.spared) = (named.get(), spared.get());
        let permit = match verdict? {
            Verdict::Admitted(permit) => permit,
            Verdict::NeedBody => {
                let bytes_max = service.read_body_bytes_max;
                return Ok(Plan::NeedBody(NeedBody { bytes_max, admitted: false }));
            }
        };
        let wait_ns = self.spend(service, &permit, client, terms)?;
        if wait_ns > 0 {
            return Ok(Plan::Wait(wait_ns));
        }
        if let Some(rules) = service.validation.as_deref().filter(|_| self.question.attempts == 0)
            && !validation::check(self.shard, rules, self.head, self.question.body)?
        {
            return Ok(Plan::NeedBody(NeedBody { bytes_max: service.read_body_bytes_max, admitted: true }));
        }
        let first = self.question.attempts == 0 && !self.question.has_turn;
        if let Some(filters) = service.filters.as_deref().filter(|_| first) {
            let asking = Asking { head: self.head, path, client, tenant: terms.tenant };
            let snapshot = self.epoch.snapshot();
            filters::request(self.shard, (snapshot, service, filters), &asking, self.question.said)?;
        }
        if service.body_bytes_max > 0 && self.body_bytes() > service.body_bytes_max {
            return Err(End::BodyTooLarge.into());
        }
        if service.default_answer.as_ref().is_some_and(|answer| answer.when == When::Always) {
            return Ok(Plan::Local(Local::Default));
        }
        let replica = self.shard.replica(self.epoch, id);
        let turn = match concurrency::enter(self.shard, &replica, first) {
            Entry::In(turn) => turn,
            Entry::Wait => return Ok(Plan::Queue(replica)),
        };
        let key = self.key(service, path, client);
        let (endpoint, trial) = self.pick(service, &replica, key, terms)?;
        let passed = Passed { route, service, permit: &permit, path, client, is_copy: false };
        let out = self.render(&passed, replica.node(endpoint), terms)?;
        let copy = service.mirror.as_ref().and_then(|rules| self.copy(rules, &replica, &passed, terms));
        Ok(Plan::Forward(Forward { replica, endpoint, out, trial: Cell::new(trial), turn, copy }))
    }

    /// How long the body is, as far as it is known: chunks are counted as they go.
    fn body_bytes(&self) -> u64 {
        match (self.question.body, self.head.body) {
            (Some(whole), _) => whole.len() as u64,
            (None, Body::Length(length)) => length,
            (None, Body::None | Body::Chunked) => 0,
        }
    }

    /// What decides where the request goes, where it is something of the request.
    #[inline]
    fn key(&self, service: &Service, path: &[u8], client: IpAddr) -> Option<u32> {
        let Scratch { value, .. } = &mut *self.shard.scratch.borrow_mut();
        service.upstream.balance.key(self.head, path, client, value)
    }

    /// What the request takes of the service's limits, once. Gives how long it waits for its turn.
    fn spend(&self, service: &Service, permit: &Permit<'_>, client: IpAddr, terms: &mut Terms) -> Result<u64, Denied> {
        if service.limits.is_none() || self.question.admitted_on.is_some() {
            return Ok(0);
        }
        let tenant = permit.tenant().map(|tenant| &*tenant.app_id);
        let caller = Caller { client, tenant, parts: Parts::of(self.head) };
        let spent = limits::spend(self.shard, service, &caller, Some(self.question.dressing))?;
        terms.spared = terms.spared.or(spent.spared);
        Ok(spent.wait_ns)
    }

    /// An endpoint, and one whose own limits let the request pass: others are tried, as many as for one that fails.
    fn pick(
        &self,
        service: &Service,
        replica: &Rc<Replica>,
        key: Option<u32>,
        terms: &mut Terms,
    ) -> Result<(usize, Option<Trial>), Denied> {
        let mut tried = *self.question.tried;
        let mut refused: Option<Denied> = None;
        let mut round = 0;
        loop {
            // Rules of retries may give one again that was tried: rounds are counted, not endpoints.
            if let Some(denied) = refused.filter(|_| round == ATTEMPTS_MAX) {
                return Err(denied);
            }
            round += 1;
            let chosen = trial::choose(replica, &tried, key, &self.shard.clock);
            let (endpoint, trial) = chosen.map_err(|none| refused.unwrap_or(none))?;
            let (node, dressing) = (replica.node(endpoint), self.question.dressing);
            let Err(denied) = limits::spend_endpoint(self.shard, service, node, &mut terms.spared, dressing) else {
                return Ok((endpoint, trial));
            };
            let sooner = refused.filter(|before| before.retry_after_s <= denied.retry_after_s);
            refused = Some(sooner.unwrap_or(denied));
            tried.add(endpoint);
        }
    }

    /// What the log keeps of the request, whose bytes are at hand only now.
    #[inline(never)]
    fn note(&self, note: &mut Note, terms: &Terms, planned: &Plan) {
        let (snapshot, buffers) = (self.epoch.snapshot(), &self.shard.buffers);
        let node = match planned {
            Plan::Forward(forward) => forward.node(),
            _ => "",
        };
        let service = terms.service.map_or("", |id| &snapshot.service(id).name);
        let tenant = terms.tenant.map_or("", |id| &snapshot.tenants.all()[id.index()].app_id);
        note.request(self.head, self.client(), [service, tenant, node], buffers);
    }

    /// A tenant asks for a token.
    fn grant(&self, issuer: &Issuer) -> Result<Plan, Denied> {
        let tenants = &self.epoch.snapshot().tenants;
        Ok(match grant::ask(self.shard, tenants, issuer, self.head, self.question.body)? {
            Grant::Answer(answer) => Plan::Granted(answer),
            Grant::NeedBody => Plan::NeedBody(NeedBody { bytes_max: GRANT_BODY_BYTES_MAX, admitted: false }),
        })
    }

    fn route(&self, path: &[u8]) -> Option<Destination<'_>> {
        let asked = Asked::of(path, self.head);
        self.shard.router.find(self.epoch.snapshot(), &asked, || self.client(), self.question.service)
    }

    fn client(&self) -> IpAddr {
        self.rules.client(self.question.peer.address, self.head.fields)
    }

    fn admit<'s>(
        &'s self,
        service: &'s Service,
        path: &[u8],
        client: IpAddr,
        named: &Cell<Option<TenantId>>,
        spared: &Cell<Option<End>>,
    ) -> Result<Verdict<'s>, Denied> {
        let snapshot = self.epoch.snapshot();
        if let Some(before) = self.question.admitted_on {
            named.set(before.tenant);
            let permit = policy::admitted_before(self.shard, snapshot, service, before.tenant, self.head)?;
            return Ok(Verdict::Admitted(permit));
        }
        let Question { body, dressing, .. } = *self.question;
        let applicant = Applicant { head: self.head, path, body, client, dressing, named, spared };
        policy::admit(self.shard, snapshot, service, &applicant)
    }
}

pub(super) fn without_credentials<'a>(text: &[u8], stripped: &'a mut Vec<u8>) -> &'a [u8] {
    stripped.clear();
    form::strip(text, &[b"app_id", b"sign"], stripped);
    stripped
}
