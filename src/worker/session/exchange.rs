//! One request and its response, in the order bytes move.
//!
//! Has the head planned, carries the plan out: answers it here, or makes attempts until one
//! succeeds or the table (`End::meaning`) allows no other. Out of scope: the wait for the head
//! (`arrival`), what is decided (`plan`), how an attempt goes (`converse`).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use super::downstream::{Downstream, in_time};
use super::local::Local;
use crate::end::{End, Meaning, Retry, Side};
use crate::ids::EpochId;
use crate::limits::{GATHERED_BODY_BYTES_MAX, RELOAD_ANSWER_MS};
use crate::proto::head::Body;
use crate::proto::reply::Content;
use crate::wall::default_answer::DefaultAnswer;
use crate::wall::link::Report;
use crate::worker::plan::{Forward, Plan, Question, Terms, plan};
use crate::worker::policy::concurrency;
use crate::worker::policy::limits;
use crate::worker::relay::body::{self, WholeBody};
use crate::worker::relay::converse::{self, Failed, Watch};
use crate::worker::relay::reply::{self, Own};
use crate::worker::relay::upload::receive_body;
use crate::worker::session::{After, Done};
use crate::worker::shard::account;
use crate::worker::shard::buffer::{Class, Lease};
use crate::worker::shard::{Shard, ShardEpoch};
use crate::worker::upstream::connect::{self, Leased};
use crate::worker::upstream::mirror;
use crate::worker::upstream::pool::Kept;
use crate::worker::upstream::replica::{Replica, Tried};
use crate::worker::upstream::retry::{self, Again};
use crate::worker::upstream::trial;

/// What `/ping` says while the gateway stops, as `/reload` does.
const STOPPING: &str = "the gateway is stopping";

/// What an engine serves.
pub enum Request {
    /// A request that came: its bytes so far, which begin with its head.
    Fresh(Lease),
    /// One that was looked at; it may have waited for a connection.
    Ready(Box<Dispatch>),
}

/// A request that goes to an endpoint. It waits for a connection outside an engine: thousands may.
pub struct Dispatch {
    epoch: Option<Rc<ShardEpoch>>,
    head: Lease,
    body: Option<WholeBody>,
    forward: Forward,
    terms: Terms,
    /// What came of getting a connection, where that was done before the first attempt.
    leased: Option<Result<Leased, End>>,
}

impl Dispatch {
    /// Takes a kept connection, where there is one. False where a new one is not to be had now: it waits its turn.
    fn start(&mut self, shard: &Shard, down: &mut Downstream) -> bool {
        let pool = self.forward.replica.pool(self.forward.endpoint);
        let Some(Kept { connection, seat }) = pool.take_kept(shard.clock.now_ms()) else { return !pool.is_full() };
        self.leased = Some(Ok(Leased { connection, seat, reused: true }));
        begin_attempt(shard, down, &self.forward);
        true
    }

    /// Tells the client that there is no connection for it.
    pub async fn refuse(self: Box<Self>, shard: &Shard, down: &mut Downstream, end: End) -> Done {
        let Self { epoch, head, terms, .. } = *self;
        let failed = Failed { end, begun: false, unsent: true, replayable: true };
        give_up(shard, down, epoch.as_deref(), head, &terms, &failed).await
    }

    /// Sends the request once more, to the service that gets copies, where it is to.
    fn copy(&mut self, shard: &Rc<Shard>) {
        if let Some(copy) = self.forward.copy.take() {
            let here = &self.head.bytes()[self.terms.head_bytes..];
            mirror::send(shard, copy, self.terms.body, here, self.body.is_some());
        }
    }

    /// Takes the rest of a small body that is here already: sent with its head it costs one send instead of two.
    async fn gather(&mut self, shard: &Shard, down: &mut Downstream) -> Result<(), End> {
        let Self { head, terms, .. } = self;
        let Body::Length(length) = terms.body else { return Ok(()) };
        if length > GATHERED_BODY_BYTES_MAX as u64 || terms.expects_continue {
            return Ok(());
        }
        while ((head.bytes().len() - terms.head_bytes) as u64) < length && down.source.has_more() {
            let more = receive_body(&mut down.source, Class::Large, &terms.body_pace()).await?;
            if head.bytes().len() + more.bytes().len() > head.capacity() {
                *head = head.take().moved_to(shard.buffers.lease(Class::Large));
            }
            head.append(more.bytes());
        }
        Ok(())
    }

    /// Tells the client, where that is still possible, what became of the body that it did not send whole.
    async fn refuse_cut(self: Box<Self>, shard: &Shard, down: &mut Downstream, end: End) -> Done {
        let Self { head, terms, .. } = *self;
        let failed = Failed { end, begun: false, unsent: true, replayable: false };
        give_up(shard, down, None, head, &terms, &failed).await
    }

    /// Waits for the connection, for as long as the client waits for it. Gives why no attempt may follow.
    pub async fn wait(&mut self, shard: &Shard, down: &mut Downstream) -> Option<End> {
        let Self { head, forward, terms, leased, .. } = self;
        down.source.ahead = reaches_ahead(head, terms);
        down.bound_attempt(shard, Again::of(&forward.replica, terms, 1).map_or(0, |again| again.attempt_timeout_ms()));
        let waited = acquire(shard, down, head, forward, terms, false).await;
        let over = waited.as_ref().err().copied().filter(|end| end.meaning().retry == Retry::No);
        *leased = Some(waited);
        over
    }
}

/// What became of a request.
pub enum Served {
    /// It was served.
    Done(Done),
    /// Its head is not complete.
    Incomplete(Lease),
    /// There is no connection for it yet.
    Queued(Box<Dispatch>),
    /// It needs no connection, or not yet.
    Rare(Box<Rare>),
}

/// Serves one request.
pub async fn run(shard: &Rc<Shard>, down: &mut Downstream, request: Request) -> Served {
    let Some(epoch) = shard.epoch() else {
        return Served::Done(Done { outcome: Err(End::Drained), after: After::Close });
    };
    let fresh = matches!(request, Request::Fresh(_));
    // In one place from here on, because it is some hundred bytes.
    let mut dispatch = match request {
        Request::Fresh(head) => {
            let mut terms = Terms::unread(shard, &epoch.snapshot().http);
            match decide(shard, &epoch, down, &head, &mut terms) {
                Some(Plan::Forward(forward)) => {
                    Dispatch { epoch: Some(epoch), head, body: None, forward, terms, leased: None }
                }
                Some(planned) => {
                    return Served::Rare(Box::new(Rare { planned, terms, head, epoch }));
                }
                None => return Served::Incomplete(head),
            }
        }
        Request::Ready(dispatch) => *dispatch,
    };
    if fresh && let Err(end) = dispatch.gather(shard, down).await {
        return Served::Done(Box::pin(Box::new(dispatch).refuse_cut(shard, down, end)).await);
    }
    dispatch.copy(shard);
    if dispatch.leased.is_none() && !dispatch.start(shard, down) {
        return Served::Queued(Box::new(dispatch));
    }
    Served::Done(attempts(shard, down, &mut dispatch).await)
}

fn decide(shard: &Shard, epoch: &ShardEpoch, down: &mut Downstream, head: &Lease, terms: &mut Terms) -> Option<Plan> {
    #[cfg(debug_assertions)]
    crate::worker::thread::fault::at("exchange", head.bytes());

    let planned = plan_again(shard, epoch, down, head, &Before::default(), terms);
    if let Some(Plan::Forward(_)) = planned {
        down.bound_whole(shard, terms.request_timeout_ms);
    }
    planned
}

/// What most requests are not: answered here, or read whole first.
pub struct Rare {
    planned: Plan,
    terms: Terms,
    head: Lease,
    epoch: Rc<ShardEpoch>,
}

/// Refuses a request whose head will not become complete. As whatever may befall thousands at once, this takes no
/// engine.
pub async fn refuse_broken(shard: &Shard, down: &mut Downstream, head: Lease, end: End) -> Done {
    if let Some(note) = down.tab.note() {
        note.line(head.bytes(), &shard.buffers);
    }
    drop(head);
    let Some(epoch) = shard.epoch() else { return Done { outcome: Err(end), after: After::Close } };
    let terms = Terms::unread(shard, &epoch.snapshot().http);
    down.tab.get().planned(epoch.epoch(), &terms, 0);
    drop(epoch);
    refuse(shard, down, None, &terms, end.into(), After::Linger).await
}

/// Serves what needs no connection, or not yet: then it is ready for one. It takes no engine.
///
/// # Errors
/// What became of it, where it needs none.
pub async fn serve_rare(shard: &Rc<Shard>, down: &mut Downstream, rare: Rare) -> Result<Dispatch, Done> {
    let Rare { planned, mut terms, mut head, epoch } = rare;
    let (planned, body) = wait_for_more(shard, down, &mut head, &epoch, planned, &mut terms).await;
    Err(match planned {
        Plan::Forward(forward) => {
            // One that waited for its turn was noted before its endpoint was known.
            if let Some(note) = down.tab.note().as_mut().filter(|_| down.turn.is_some()) {
                note.node(forward.node(), &shard.buffers);
            }
            return Ok(Dispatch { epoch: Some(epoch), head, body, forward, terms, leased: None });
        }
        Plan::Local(local) => {
            let after = own_after(down, head, &terms);
            let answer = default_answer(&epoch, &terms);
            let outcome = answer_locally(shard, down, local, &terms, answer, after).await;
            Done { outcome, after: if outcome.is_ok() { after } else { After::Close } }
        }
        Plan::Granted(answer) => {
            let after = own_after(down, head, &terms);
            let outcome = reply::grant(shard, down, &terms, &answer, after != After::Keep).await;
            Done { outcome, after: if outcome.is_ok() { after } else { After::Close } }
        }
        Plan::Refused(denied) => {
            // A body that is too large is not read, even where it is here already.
            let too_large = denied.end == End::BodyTooLarge;
            let after = if too_large { After::Linger } else { own_after(down, head, &terms) };
            refuse(shard, down, Some(&epoch), &terms, denied, after).await
        }
        // A body in hand is not asked for again, and no turn waited for twice.
        Plan::NeedBody(_) | Plan::Wait(_) | Plan::Queue(_) => {
            refuse(shard, down, None, &terms, End::Drained.into(), After::Linger).await
        }
    })
}

/// Waits for the body, and for the request's turn, as often as its plan wants that. Gives the body, where it was read.
async fn wait_for_more(
    shard: &Rc<Shard>,
    down: &mut Downstream,
    head: &mut Lease,
    epoch: &ShardEpoch,
    mut planned: Plan,
    terms: &mut Terms,
) -> (Plan, Option<WholeBody>) {
    let mut body = None;
    loop {
        let admitted = match planned {
            Plan::NeedBody(need) if body.is_none() => {
                down.bound_whole(shard, terms.request_timeout_ms);
                match body::read(shard, down, head, terms, need.bytes_max).await {
                    Ok(whole) => body = Some(whole),
                    Err(end) => {
                        terms.body = Body::Chunked;
                        return (Plan::Refused(end.into()), None);
                    }
                }
                need.admitted
            }
            Plan::Wait(wait_ns) => {
                down.bound_whole(shard, terms.request_timeout_ms);
                down.source.ahead = reaches_ahead(head, terms);
                if let Err(end) = limits::wait(shard, down, terms, wait_ns).await {
                    return (Plan::Refused(end.into()), body);
                }
                true
            }
            Plan::Queue(replica) => {
                down.bound_whole(shard, terms.request_timeout_ms);
                down.source.ahead = reaches_ahead(head, terms);
                match concurrency::wait(shard, down, terms, &replica).await {
                    // What was known of endpoints may have changed meanwhile.
                    Ok(turn) => down.turn = turn,
                    Err(end) => return (Plan::Refused(end.into()), body),
                }
                true
            }
            planned => return (planned, body),
        };
        let before = *terms;
        *terms = Terms::unread(shard, &epoch.snapshot().http);
        let asked = Before { body: body.as_ref(), tried: Tried::default(), admitted_on: admitted.then_some(&before) };
        let again = plan_again(shard, epoch, down, head, &asked, terms);
        planned = again.unwrap_or_else(|| Plan::Refused(End::Drained.into()));
    }
}

/// What was done for a request before it is planned.
#[derive(Default)]
struct Before<'b> {
    /// Its body was read.
    body: Option<&'b WholeBody>,
    /// Endpoints failed for it.
    tried: Tried,
    /// Policy has admitted it.
    admitted_on: Option<&'b Terms>,
}

fn plan_again(
    shard: &Shard,
    epoch: &ShardEpoch,
    down: &mut Downstream,
    head: &Lease,
    before: &Before<'_>,
    terms: &mut Terms,
) -> Option<Plan> {
    let Before { body, tried, admitted_on } = before;
    let Downstream { peer, tab, dressing, turn, .. } = down;
    let (attempts, service) = (tab.get().attempts, tab.get().service);
    let (bytes, body, has_turn) = (head.bytes(), body.map(WholeBody::bytes), turn.is_some());
    let (note, said) = tab.notes();
    let admitted_on = *admitted_on;
    let question = Question { bytes, body, peer, service, tried, attempts, admitted_on, has_turn, dressing, said };
    // Written where the caller wants it: a plan is some hundred bytes.
    let mut planned = plan(shard, epoch, &question, note, terms);
    if let Some(plan) = &mut planned {
        if let Plan::Forward(Forward { turn: given @ Some(_), .. }) = plan {
            *turn = given.take();
        }
        tab.get().planned(epoch.epoch(), terms, shard.clock.now_us());
    }
    planned
}

/// Plans the attempt after one that failed, on the terms that hold already.
fn plan_next(
    shard: &Shard,
    epoch: Option<&ShardEpoch>,
    down: &mut Downstream,
    head: &Lease,
    before: &Before<'_>,
) -> Option<Plan> {
    let epoch = epoch?;
    plan_again(shard, epoch, down, head, before, &mut Terms::unread(shard, &epoch.snapshot().http))
}

/// What becomes of the connection after an answer of our own: it is kept where no body is, or can be, in
/// the way.
fn own_after(down: &mut Downstream, mut head: Lease, terms: &Terms) -> After {
    let body = match terms.body {
        _ if terms.head_bytes == 0 => return After::Linger,
        Body::None => 0,
        Body::Length(length) => length,
        Body::Chunked => return After::Linger,
    };
    let here = head.bytes().len() - terms.head_bytes;
    if body > here as u64 {
        return After::Linger;
    }
    head.advance(terms.head_bytes + usize::try_from(body).unwrap_or(here));
    down.source.put_back(head);
    if terms.keep_alive { After::Keep } else { After::Close }
}

/// What the service's clients are told where no endpoint is asked, or none has answered.
fn default_answer<'e>(epoch: &'e ShardEpoch, terms: &Terms) -> Option<&'e DefaultAnswer> {
    epoch.snapshot().service(terms.service?).default_answer.as_deref()
}

async fn refuse(
    shard: &Shard,
    down: &mut Downstream,
    epoch: Option<&ShardEpoch>,
    terms: &Terms,
    denied: crate::worker::policy::Denied,
    after: After,
) -> Done {
    let answer = epoch.and_then(|epoch| default_answer(epoch, terms));
    let stand_in = answer.filter(|answer| answer.stands_in_for(denied.end));
    let told = reply::refuse(shard, down, terms, denied, stand_in, after != After::Keep).await;
    let answerable = denied.end.status(terms.legacy_status).is_some();
    Done { outcome: Err(denied.end), after: if told.is_ok() && answerable { after } else { After::Close } }
}

async fn answer_locally(
    shard: &Shard,
    down: &mut Downstream,
    local: Local,
    terms: &Terms,
    default: Option<&DefaultAnswer>,
    after: After,
) -> Result<(), End> {
    let close = after != After::Keep;
    match local {
        Local::Preflight => {
            let own = Own { status: 204, text: "", content: Content::Nothing, fields: &[], close };
            reply::send(shard, down, terms, &own).await
        }
        Local::Default => match default {
            Some(answer) => reply::send(shard, down, terms, &Own::standing_in(answer, close)).await,
            None => Err(End::Drained),
        },
        Local::Options => reply::options(shard, down, terms, close).await,
        Local::Ping => {
            let (status, text) = if shard.is_last() { (503, STOPPING) } else { (200, "gateway pong") };
            reply::send(shard, down, terms, &Own { status, text, content: Content::Envelope, fields: &[], close }).await
        }
        Local::Reload => {
            let ticket = shard.tickets.open();
            shard.reports.hint(Report::ReloadAsked { worker: shard.worker, ticket });
            // Control answers by its own deadline; this one only covers a control that is stuck.
            down.writing.arm(RELOAD_ANSWER_MS * 2);
            let answer = down.writing.bound(pin!(shard.tickets.wait(ticket))).await;
            shard.tickets.close(ticket);
            let (status, text) = match &answer {
                Some(answer) => (answer.status, &*answer.text),
                None => (503, "control does not answer; the reload may still happen"),
            };
            reply::send(shard, down, terms, &Own { status, text, content: Content::Envelope, fields: &[], close }).await
        }
    }
}

/// Attempts, until one succeeds or no other is allowed.
async fn attempts(shard: &Shard, down: &mut Downstream, dispatch: &mut Dispatch) -> Done {
    let Dispatch { epoch, head, body, forward, terms, leased: waited } = dispatch;
    let mut tried = Tried::default();
    let mut fresh = false;
    if let Some(again) = Again::of(&forward.replica, terms, 0) {
        again.count();
    }
    loop {
        down.source.ahead = reaches_ahead(head, terms);
        let again = Again::of(&forward.replica, terms, down.tab.get().attempts.max(1));
        // One that waited for its connection has been bounded since then.
        if waited.is_none() || down.attempt.is_none() {
            down.bound_attempt(shard, again.map_or(0, |again| again.attempt_timeout_ms()));
        }
        let leased = match waited.take() {
            Some(leased) => leased,
            None => acquire(shard, down, head, forward, terms, fresh).await,
        };
        let mut failed = match leased {
            Ok(leased) => {
                down.tab.get().connected(leased.reused, shard.clock.now_us());
                let out = std::mem::replace(&mut forward.out, head.nothing());
                let again = Again::of(&forward.replica, terms, down.tab.get().attempts);
                let watch = Watch { again, trial: &forward.trial };
                match converse::attempt(shard, down, epoch, head, out, terms, (leased, watch)).await {
                    Ok(after) => {
                        // A status that says otherwise was told with the answer's head.
                        tell(shard, down, forward, terms, Some(true));
                        judge(shard, down, forward, Ok(()));
                        down.source.put_back(head.take());
                        return Done { outcome: Ok(()), after };
                    }
                    Err(failed) => failed,
                }
            }
            Err(end) => {
                if end.meaning().retry == Retry::Unsent
                    && let Some(epoch) = epoch
                {
                    report_failed_dial(shard, epoch.epoch().id, &forward.replica, forward.endpoint);
                }
                tried.add(forward.endpoint);
                Failed { end, begun: false, unsent: true, replayable: true }
            }
        };
        let says = trial::failed(failed.end, down.tab.get().timing.is_awaited());
        tell(shard, down, forward, terms, says);
        judge(shard, down, forward, Err(failed.end));
        if !retry::goes_again(shard, down, forward, terms, &mut failed, &mut tried, fresh).await {
            return give_up(shard, down, epoch.as_deref(), head.take(), terms, &failed).await;
        }
        shard.meter.retry(down.tab.get(), failed.end);
        fresh = failed.end.meaning().retry == Retry::Idempotent;
        match plan_next(
            shard,
            epoch.as_deref(),
            down,
            head,
            &Before { body: body.as_ref(), tried, admitted_on: Some(terms) },
        ) {
            Some(Plan::Forward(next)) => {
                account::attempt_failed(shard, &mut down.tab, failed.end, next.node());
                *forward = next;
            }
            _ => return give_up(shard, down, epoch.as_deref(), head.take(), terms, &failed).await,
        }
    }
}

/// What the core learns of the endpoint by an attempt that is over. A kept connection that was closed meanwhile says
/// nothing of it; that somebody gave up says how long it had not answered.
fn judge(shard: &Shard, down: &mut Downstream, forward: &Forward, outcome: Result<(), End>) {
    let (Forward { replica, endpoint, .. }, timing) = (forward, &down.tab.get().timing);
    let is_awaited = timing.is_awaited();
    let Err(end) = outcome else {
        let took_us = timing.response_us().filter(|_| timing.sent_us > 0);
        return replica.succeeded(*endpoint, took_us, || shard.clock.now_us());
    };
    let now_us = shard.clock.now_us();
    let Meaning { side, retry, .. } = end.meaning();
    let is_late = matches!(end, End::RequestTimeout | End::AttemptTimeout);
    let is_to_blame = *side == Side::Upstream && *retry != Retry::Idempotent;
    if (is_to_blame && !is_late) || (is_late && is_awaited) {
        replica.failed(*endpoint, now_us.saturating_sub(timing.queued_us), now_us);
    } else if is_awaited && timing.sent_us > 0 {
        replica.waited(*endpoint, now_us.saturating_sub(timing.sent_us), now_us);
    }
}

/// Whether what is in hand goes beyond the request, as far as its head tells, or what comes next may not be HTTP.
fn reaches_ahead(head: &Lease, terms: &Terms) -> bool {
    let here = (head.bytes().len() - terms.head_bytes) as u64;
    match terms.body {
        _ if terms.upgrade_websocket => true,
        Body::None | Body::Chunked => here > 0,
        Body::Length(length) => here > length,
    }
}

/// Tells whoever watches the service's attempts how this one ended.
fn tell(shard: &Shard, down: &mut Downstream, forward: &Forward, terms: &Terms, good: Option<bool>) {
    if let Some(trial) = forward.trial.take() {
        trial.end(shard, down.tab.get().epoch, terms.service, good);
    }
}

/// A connection to the endpoint picked, for as long as the client waits for it. Thousands may wait.
async fn acquire(
    shard: &Shard,
    down: &mut Downstream,
    head: &mut Lease,
    forward: &mut Forward,
    terms: &Terms,
    fresh: bool,
) -> Result<Leased, End> {
    begin_attempt(shard, down, forward);
    let Forward { replica, endpoint, out, .. } = forward;
    let Downstream { source, writing, whole, attempt, tab, .. } = down;
    let timing = &mut tab.get().timing;
    let mut acquire = pin!(connect::acquire(replica, *endpoint, fresh, writing, &shard.buffers, timing));
    let acquire = pin!(poll_fn(|cx| {
        let acquired = acquire.as_mut().poll(cx);
        if acquired.is_pending() && replica.pool(*endpoint).is_crowded() {
            head.fit();
            out.fit();
        }
        acquired
    }));
    let waited = pin!(source.while_there(terms.half_close_grace_ms, acquire));
    in_time(shard, (whole.as_ref(), attempt.as_ref()), waited).await
}

/// Another connection is wanted.
fn begin_attempt(shard: &Shard, down: &mut Downstream, forward: &Forward) {
    let endpoint = forward.replica.upstream.endpoints[forward.endpoint].id;
    let row = forward.replica.pool(forward.endpoint).row_id();
    down.tab.get().begin_attempt(endpoint, row, shard.clock.now_us());
    shard.meter.attempt(row);
}

/// A dial failed: control looks at the endpoint.
pub fn report_failed_dial(shard: &Shard, epoch: EpochId, replica: &Replica, endpoint: usize) {
    let endpoint = replica.upstream.endpoints[endpoint].id;
    shard.reports.hint(Report::ConnectFailed { epoch, endpoint });
}

/// Tells the client, where it can still be told.
async fn give_up(
    shard: &Shard,
    down: &mut Downstream,
    epoch: Option<&ShardEpoch>,
    head: Lease,
    terms: &Terms,
    failed: &Failed,
) -> Done {
    if failed.begun {
        return Done { outcome: Err(failed.end), after: After::Close };
    }
    let after = if failed.replayable { own_after(down, head, terms) } else { After::Linger };
    refuse(shard, down, epoch, terms, failed.end.into(), after).await
}
