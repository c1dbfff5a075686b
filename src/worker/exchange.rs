//! One request and its response, in the order bytes move.
//!
//! Receives the head, has it planned, carries the plan out: answers it here, or makes attempts until one
//! succeeds or the table (`End::meaning`) allows no other. Out of scope: what is decided (`plan`), how
//! an attempt goes (`converse`).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::buffer::{Class, Lease};
use super::converse::{self, Failed};
use super::downstream::Downstream;
use super::io::Received;
use super::plan::{Forward, Local, Plan, Question, Terms, plan};
use super::reply::{self, Own};
use super::request_id::RequestId;
use super::session::{After, Done};
use super::shard::{Shard, ShardEpoch};
use super::upload::Upload;
use super::upstream::connect::{self, Leased};
use super::upstream::replica::Tried;
use crate::end::{End, Retry};
use crate::limits::{DEADLINE_TICK_MS, FORM_BODY_BYTES_MAX, RELOAD_ANSWER_MS};
use crate::proto::head::{Body, may_be_complete};
use crate::proto::reply::CONTINUE;
use crate::wall::link::Report;

/// What `/ping` says while the gateway stops, as `/reload` does.
const STOPPING: &str = "the gateway is stopping";

/// Serves one request. `None` where none came: the client closed, or was idle for too long.
pub async fn run(shard: &Rc<Shard>, down: &mut Downstream, first: bool) -> Option<Done> {
    let (epoch, mut head, planned) = receive(shard, down, first).await?;
    #[cfg(debug_assertions)]
    super::fault::at("exchange", head.bytes());
    let mut epoch = Some(epoch);
    let mut form = None;
    let planned = match planned {
        Plan::Form(terms) => match Box::pin(read_form(shard, down, &mut head, &terms)).await {
            Ok(body) => {
                form = Some(body);
                let planned = plan_again(shard, epoch.as_deref(), down, &head, form.as_ref(), &Tried::default(), None);
                planned.unwrap_or(Plan::Form(terms))
            }
            Err(end) => Plan::Refused(end.into(), Terms { body: Body::Chunked, ..terms }),
        },
        planned => planned,
    };
    Some(match planned {
        Plan::Forward(forward, terms) => attempts(shard, down, &mut epoch, head, form, forward, &terms).await,
        Plan::Local(local, terms) => {
            let after = own_after(down, head, &terms);
            let outcome = Box::pin(answer_locally(shard, down, local, &terms, after)).await;
            Done { outcome, after: if outcome.is_ok() { after } else { After::Close } }
        }
        Plan::Refused(denied, terms) => {
            // A body that is too large is not read, even where it is here already.
            let too_large = denied.end == End::BodyTooLarge;
            let after = if too_large { After::Linger } else { own_after(down, head, &terms) };
            refuse(shard, down, &terms, denied, after).await
        }
        // The form was read and names nobody.
        Plan::Form(terms) => refuse(shard, down, &terms, End::TenantMissing.into(), After::Linger).await,
    })
}

/// The request's head, complete, and what is done with it.
async fn receive(shard: &Rc<Shard>, down: &mut Downstream, first: bool) -> Option<(Rc<ShardEpoch>, Lease, Plan)> {
    let mut head = await_request(shard, down, first).await?;
    let mut searched = 0;
    let mut timeout_armed = false;
    loop {
        let epoch = shard.epoch()?;
        let rules = &epoch.snapshot().http;
        // Once incomplete, a head is parsed again only when its end may be there: not once per byte.
        if searched == 0 || head.bytes().len() > rules.head_bytes_max || may_be_complete(head.bytes(), searched) {
            let planned = plan_again(shard, Some(&epoch), down, &head, None, &Tried::default(), None);
            if let Some(planned) = planned {
                return Some((epoch, head, planned));
            }
        }
        searched = head.bytes().len();
        if !timeout_armed {
            timeout_armed = true;
            down.source.reading.arm(u64::from(rules.head_timeout_ms));
        }
        let end = match down.source.next_in_time(Class::Small).await {
            Some(Received::Data(more)) => {
                head.append(more.bytes());
                continue;
            }
            Some(Received::End | Received::Broken) => End::ClientTruncated,
            None => End::HeadTimeout,
        };
        let terms = Terms::unread(shard, rules);
        return Some((epoch, head, Plan::Refused(end.into(), terms)));
    }
}

/// The first bytes of a request.
async fn await_request(shard: &Shard, down: &mut Downstream, first: bool) -> Option<Lease> {
    let _idle = if down.source.carried.is_none() {
        let rules = &shard.epoch()?;
        let rules = &rules.snapshot().http;
        let patience_ms = match (shard.is_cut(), first) {
            (true, _) => DEADLINE_TICK_MS,
            (false, true) => u64::from(rules.head_timeout_ms),
            (false, false) => u64::from(rules.keepalive_timeout_ms),
        };
        down.source.reading.arm_idle(patience_ms);
        Some(shard.rest())
    } else {
        None
    };
    match down.source.next_in_time(Class::Small).await? {
        Received::Data(lease) => Some(lease),
        Received::End | Received::Broken => None,
    }
}

fn plan_again(
    shard: &Shard,
    epoch: Option<&ShardEpoch>,
    down: &Downstream,
    head: &Lease,
    form: Option<&Lease>,
    tried: &Tried,
    admitted_as: Option<RequestId>,
) -> Option<Plan> {
    let question = Question { bytes: head.bytes(), form: form.map(Lease::bytes), peer: &down.peer, tried, admitted_as };
    plan(shard, epoch?, &question)
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

async fn refuse(
    shard: &Shard,
    down: &mut Downstream,
    terms: &Terms,
    denied: super::policy::Denied,
    after: After,
) -> Done {
    let told = reply::refuse(shard, down, terms, denied, after != After::Keep).await;
    let answerable = denied.end.status(terms.legacy_status).is_some();
    Done { outcome: Err(denied.end), after: if told.is_ok() && answerable { after } else { After::Close } }
}

async fn answer_locally(
    shard: &Shard,
    down: &mut Downstream,
    local: Local,
    terms: &Terms,
    after: After,
) -> Result<(), End> {
    let close = after != After::Keep;
    match local {
        Local::Options => reply::options(shard, down, terms, close).await,
        Local::Ping => {
            let (status, text) = if shard.is_last() { (503, STOPPING) } else { (200, "gateway pong") };
            reply::send(shard, down, terms, &Own { status, text, fields: &[], close }).await
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
            reply::send(shard, down, terms, &Own { status, text, fields: &[], close }).await
        }
    }
}

/// Reads a form body whole, bounded: it may hold the tenant's credentials.
async fn read_form(shard: &Shard, down: &mut Downstream, head: &mut Lease, terms: &Terms) -> Result<Lease, End> {
    let mut form = shard.buffers.lease(Class::Large);
    let mut upload = Upload::new(terms.body, false);
    if matches!(terms.body, Body::Length(length) if length > FORM_BODY_BYTES_MAX as u64) {
        return Err(End::BodyTooLarge);
    }
    if terms.expects_continue {
        let mut out = shard.buffers.lease(Class::Small);
        out.append(CONTINUE);
        let sent = down.tx.send(out, &down.writing, terms.progress_timeout_ms).await;
        sent.map_err(|_| End::ClientLeft)?;
    }
    let mut body = shard.buffers.lease(Class::Small);
    body.append(&head.bytes()[terms.head_bytes..]);
    head.truncate(terms.head_bytes);
    loop {
        let piece = upload.take(body.bytes_mut(), FORM_BODY_BYTES_MAX as u64)?;
        form.append(&body.bytes()[..piece.data]);
        body.advance(piece.taken);
        if piece.done {
            down.source.put_back(body);
            return Ok(form);
        }
        down.source.reading.arm(terms.progress_timeout_ms);
        body = match down.source.next_in_time(Class::Large).await {
            Some(Received::Data(lease)) => lease,
            Some(Received::End | Received::Broken) => return Err(End::ClientTruncated),
            None => return Err(End::BodyTimeout),
        };
    }
}

/// Attempts, until one succeeds or no other is allowed.
async fn attempts(
    shard: &Shard,
    down: &mut Downstream,
    epoch: &mut Option<Rc<ShardEpoch>>,
    mut head: Lease,
    form: Option<Lease>,
    mut forward: Forward,
    terms: &Terms,
) -> Done {
    let mut tried = Tried::default();
    let mut fresh = false;
    loop {
        down.source.ahead = reaches_ahead(&head, terms);
        let failed = match acquire(shard, down, &forward, terms, fresh).await {
            Ok(leased) => match converse::attempt(shard, down, epoch, &mut head, forward.out, terms, leased).await {
                Ok(after) => {
                    down.source.put_back(head);
                    return Done { outcome: Ok(()), after };
                }
                Err(failed) => failed,
            },
            Err(end) => {
                if end.meaning().retry == Retry::Unsent {
                    report_failed_dial(shard, epoch.as_deref(), &forward);
                }
                tried.add(forward.endpoint);
                Failed { end, begun: false, unsent: true, replayable: true }
            }
        };
        if !may_try_again(&failed, terms, &tried, fresh) {
            return give_up(shard, down, head, terms, &failed).await;
        }
        fresh = failed.end.meaning().retry == Retry::Idempotent;
        match plan_again(shard, epoch.as_deref(), down, &head, form.as_ref(), &tried, Some(terms.request_id)) {
            Some(Plan::Forward(next, _)) => forward = next,
            _ => return give_up(shard, down, head, terms, &failed).await,
        }
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

/// The table's word, and whether the request is still in our hands.
fn may_try_again(failed: &Failed, terms: &Terms, tried: &Tried, fresh: bool) -> bool {
    match failed.end.meaning().retry {
        Retry::No => false,
        Retry::Unsent => tried.may_go_on(),
        Retry::Idempotent => {
            !failed.begun && !fresh && failed.replayable && (failed.unsent || terms.method.is_idempotent())
        }
    }
}

/// A connection to the endpoint picked, for as long as the client waits for it.
async fn acquire(
    shard: &Shard,
    down: &mut Downstream,
    forward: &Forward,
    terms: &Terms,
    fresh: bool,
) -> Result<Leased, End> {
    let Downstream { source, writing, .. } = down;
    let unmoving = Cell::new(0);
    let mut acquire = pin!(connect::acquire(&forward.replica, forward.endpoint, fresh, writing, &shard.buffers));
    let mut watch = pin!(source.watch(terms.half_close_grace_ms, &unmoving));
    poll_fn(|cx| match acquire.as_mut().poll(cx) {
        Poll::Pending if shard.is_cut() => Poll::Ready(Err(End::Drained)),
        Poll::Ready(acquired) => Poll::Ready(acquired),
        Poll::Pending => watch.as_mut().poll(cx).map(Err),
    })
    .await
}

fn report_failed_dial(shard: &Shard, epoch: Option<&ShardEpoch>, forward: &Forward) {
    let Some(epoch) = epoch else { return };
    let endpoint = forward.replica.upstream.endpoints[forward.endpoint].id;
    shard.reports.hint(Report::ConnectFailed { epoch: epoch.epoch().id, endpoint });
}

/// Tells the client, where it can still be told.
async fn give_up(shard: &Shard, down: &mut Downstream, head: Lease, terms: &Terms, failed: &Failed) -> Done {
    if failed.begun {
        return Done { outcome: Err(failed.end), after: After::Close };
    }
    let after = if failed.replayable { own_after(down, head, terms) } else { After::Linger };
    refuse(shard, down, terms, failed.end.into(), after).await
}
