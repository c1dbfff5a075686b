//! One attempt at an exchange, from the request's first byte sent to its answer's last.
//!
//! Two halves joined: the client's (its body, then its presence) and the answer's. The answer decides when
//! the attempt is over; the client's half only ever ends it early. Out of scope: whether there is another
//! attempt (`exchange`).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use super::answer::{self, Answered, Way};
use super::pace::Pace;
use super::tunnel;
use super::upload::{Upload, client_half};
use crate::end::End;
use crate::proto::head::Body;
use crate::worker::io::{Connection, SendFault};
use crate::worker::plan::Terms;
use crate::worker::policy::dressing::Dressing;
use crate::worker::policy::filters::Answering;
use crate::worker::session::After;
use crate::worker::session::downstream::{Downstream, Switched};
use crate::worker::shard::account::Account;
use crate::worker::shard::buffer::{Class, Lease};
use crate::worker::shard::deadline::Deadline;
use crate::worker::shard::{Shard, ShardEpoch};
use crate::worker::upstream::connect::Leased;
use crate::worker::upstream::pool::Seat;
use crate::worker::upstream::retry::Again;
use crate::worker::upstream::trial::{self, Trial};

/// What both halves know of each other.
pub struct Talk<'t> {
    /// The core.
    pub shard: &'t Shard,
    /// What holds for the exchange.
    pub terms: &'t Terms,
    /// What the answer is dressed with.
    pub dressing: &'t Dressing,
    /// The client may send its body.
    pub go: Cell<bool>,
    /// The request has gone up whole.
    pub uploaded: Cell<bool>,
    /// The client was given part of what must not be followed by anything else: of the final answer, or of an interim
    /// head that has not gone whole.
    pub begun: Cell<bool>,
    /// When the request had gone up whole; 0 is not yet.
    pub sent_us: Cell<u64>,
    /// When the final head came; 0 is not yet.
    pub first_us: Cell<u64>,
    /// Its status, once the client is sent it.
    pub status: Cell<u16>,
    /// Bytes of heads that the client was sent, interim ones included.
    pub head_bytes_out: Cell<usize>,
    /// Grows with every piece of the answer that the client took.
    pub progress: Cell<u64>,
    /// How slowly the client may send its body.
    pub body_pace: Pace,
    /// How slowly the client may take its answer.
    pub answer_pace: Pace,
    /// What may follow, and who is told.
    pub watch: Watch<'t>,
    /// For asking the service's filters about the answer, where it has any.
    pub filters: Option<Answering<'t>>,
}

/// What the service's rules make of an attempt.
#[derive(Clone, Copy)]
pub struct Watch<'w> {
    /// What may follow, where the request is whole in our hands and the service has rules of retries.
    pub again: Option<Again<'w>>,
    /// Who is told how it ends; nobody, once that is done.
    pub trial: &'w Cell<Option<Trial>>,
}

/// An attempt that failed.
pub struct Failed {
    /// Why.
    pub end: End,
    /// The client has seen part of the answer.
    pub begun: bool,
    /// No byte of the request was handed to the kernel.
    pub unsent: bool,
    /// The request, as far as it was read, is still whole in our hands.
    pub replayable: bool,
}

impl<'t> Talk<'t> {
    fn new(
        shard: &'t Shard,
        terms: &'t Terms,
        dressing: &'t Dressing,
        (uploaded, body_begun): (bool, bool),
        watch: Watch<'t>,
    ) -> Self {
        Self {
            shard,
            terms,
            dressing,
            go: Cell::new(!terms.expects_continue || body_begun),
            uploaded: Cell::new(uploaded),
            sent_us: Cell::new(0),
            first_us: Cell::new(0),
            status: Cell::new(0),
            head_bytes_out: Cell::new(0),
            begun: Cell::new(false),
            progress: Cell::new(0),
            body_pace: terms.body_pace(),
            answer_pace: terms.answer_pace(),
            watch,
            filters: None,
        }
    }

    /// Whether the answer with this status is thrown away for another attempt: none of it is with the client.
    pub fn exchanges(&self, status: u16) -> bool {
        let Some(again) = &self.watch.again else { return false };
        self.head_bytes_out.get() == 0 && again.exchanges(status, self.shard.clock.now_ms())
    }

    /// An answer of this status came. That it is a failure is told before the client can see it, so that whatever the
    /// client does next meets what follows from it. That it is good is told at once by a probe, for which others wait:
    /// a stream may not end for hours.
    pub fn answers(&self, status: u16, epoch: Option<&ShardEpoch>) {
        let (Some(trial), Some(epoch)) = (self.watch.trial.take(), epoch) else { return };
        let good = trial::is_good(status);
        if good && !trial.is_probe() {
            return self.watch.trial.set(Some(trial));
        }
        trial.end(self.shard, epoch.epoch().id, self.terms.service, Some(good));
    }

    /// A head goes to the client.
    pub fn sends_head(&self, head: &Lease) {
        self.head_bytes_out.set(self.head_bytes_out.get() + head.bytes().len());
    }

    fn write_down(&self, account: &mut Account) {
        account.answered(self.status.get(), self.head_bytes_out.get());
        account.timing.sent_us = self.sent_us.get();
        account.timing.first_us = self.first_us.get();
    }
}

/// Sends the request and relays its answer.
///
/// # Errors
/// When the exchange ended early.
pub async fn attempt(
    shard: &Shard,
    down: &mut Downstream,
    epoch: &mut Option<Rc<ShardEpoch>>,
    head: &mut Lease,
    mut out: Lease,
    terms: &Terms,
    way: (Leased, Watch<'_>),
) -> Result<After, Failed> {
    let (Leased { mut connection, mut seat, reused }, Watch { again, trial }) = way;
    let here = head.bytes().len() - terms.head_bytes;
    if out.bytes().len() + here > out.capacity() {
        out = out.moved_to(shard.buffers.lease(Class::Large));
    }
    // A body that was read first is in `out` already.
    let mut upload = Upload::new(terms.body, terms.trailers);
    let taken = upload
        .step(&mut head.bytes_mut()[terms.head_bytes..], out.vec(), terms.body_bytes_max)
        .map_err(|end| Failed { end, begun: false, unsent: true, replayable: false })?;
    // Chunks were decoded in place: they cannot be read again.
    let replayable = taken == 0 || !matches!(terms.body, Body::Chunked);
    let in_hand = upload.is_done() && replayable;
    let beyond = upload.is_done() && head.bytes().len() > terms.head_bytes + taken;
    down.source.ahead = beyond || terms.upgrade_websocket;
    let watch = Watch { again: again.filter(|_| in_hand), trial };
    let mut talk = Talk::new(shard, terms, &down.dressing, (upload.is_done(), taken > 0), watch);
    if let Some(epoch) = epoch.as_ref().filter(|_| terms.filtered) {
        talk.filters = Some(Answering::new(epoch.clone(), head.bytes(), down.peer.address));
    }
    if let Err(fault) = connection.tx.send(out, &down.writing, down.what_is_left(terms.body_timeout_ms)).await {
        let end = not_taken(fault, reused, down);
        return Err(Failed { end, begun: false, unsent: !fault.partly, replayable });
    }
    if upload.is_done() {
        talk.sent_us.set(shard.clock.now_us());
    }

    #[cfg(debug_assertions)]
    crate::worker::thread::fault::at("attempt", head.bytes());

    let Downstream { source, tx, writing, whole, attempt, tab, .. } = down;
    let Connection { rx: up_rx, tx: up_tx } = &mut connection;
    let ways = Way { from: up_rx, to: tx, deadline: writing, seat: &mut seat, reused, awaited_since_ms: None };
    let answered = join(
        pin!(answer::answer_half(ways, epoch, &talk)),
        pin!(client_half(source, up_tx, &mut upload, &talk)),
        &talk,
        whole.as_ref(),
        attempt.as_ref(),
    )
    .await;
    talk.write_down(tab.get());
    if let Some(filters) = &talk.filters {
        tab.said().refusal = filters.take_refusal();
    }
    let answered = answered.map_err(|end| {
        connection.tx.sever();
        Failed { end, begun: talk.begun.get(), unsent: false, replayable: in_hand }
    })?;

    let uploaded = talk.uploaded.get();
    drop(talk);
    head.advance(terms.head_bytes + taken);
    *epoch = None;
    Ok(conclude(shard, down, terms, uploaded, answered, (connection, seat)))
}

/// The answer went down whole, or the connection becomes a tunnel: what becomes of either side.
fn conclude(
    shard: &Shard,
    down: &mut Downstream,
    terms: &Terms,
    uploaded: bool,
    answered: Answered,
    (connection, mut seat): (Connection, Seat),
) -> After {
    match answered {
        Answered::Upgraded { early } => {
            // A tunnel is the longest of all exchanges.
            seat.slow_down();
            let terms = tunnel::Terms::websocket(terms.tunnel_idle_ms, terms.tunnel_life_ms);
            down.switched = Some(Box::new(Switched { connection, seat, early, terms }));
            After::Tunnel
        }
        Answered::Whole { close, reusable, peer_timeout_ms } => {
            if reusable && uploaded {
                seat.keep(connection, peer_timeout_ms, shard.clock.now_ms());
            } else {
                connection.tx.sever();
            }
            after(uploaded, close, terms.keep_alive)
        }
    }
}

/// What becomes of the client's connection after a whole answer.
fn after(uploaded: bool, close: bool, keep_alive: bool) -> After {
    match (uploaded, close) {
        (false, _) => After::Linger,
        // A client that did not ask for the close may be sending its next request.
        (true, true) if keep_alive => After::Linger,
        (true, true) => After::Close,
        (true, false) => After::Keep,
    }
}

/// Why the upstream did not take the request.
fn not_taken(fault: SendFault, reused: bool, down: &Downstream) -> End {
    let is_due = |bound: &Option<Deadline>| fault.late && bound.as_ref().is_some_and(Deadline::is_due);
    if is_due(&down.whole) {
        return End::RequestTimeout;
    }
    if is_due(&down.attempt) {
        return End::AttemptTimeout;
    }
    match (fault.late, reused) {
        (true, _) => End::UpstreamWriteTimeout,
        (false, true) => End::UpstreamStale,
        (false, false) => End::UpstreamClosed,
    }
}

/// Runs both halves until the answer is whole or either must end it.
async fn join(
    mut answer: Pin<&mut impl Future<Output = Result<Answered, End>>>,
    mut client: Pin<&mut impl Future<Output = End>>,
    talk: &Talk<'_>,
    whole: Option<&Deadline>,
    attempt: Option<&Deadline>,
) -> Result<Answered, End> {
    poll_fn(|cx| {
        if talk.shard.is_cut() {
            return Poll::Ready(Err(End::Drained));
        }
        if whole.is_some_and(|whole| whole.poll(cx).is_ready()) {
            return Poll::Ready(Err(End::RequestTimeout));
        }
        // An attempt is bounded until the head of its answer.
        if attempt.is_some_and(|attempt| talk.first_us.get() == 0 && attempt.poll(cx).is_ready()) {
            return Poll::Ready(Err(End::AttemptTimeout));
        }
        poll_halves(cx, answer.as_mut(), client.as_mut(), (&talk.uploaded, &talk.go))
    })
    .await
}

/// Both halves once. While the client still sends, its half is looked at first: the last piece may have gone up in the
/// turn that brought the answer, and then nothing is left unread and the connection may be kept. The answer is looked
/// at after that, because its deadline begins there, and what it says goes before how the client's half ended.
fn poll_halves<A>(
    cx: &mut Context<'_>,
    mut answer: Pin<&mut impl Future<Output = Result<A, End>>>,
    mut client: Pin<&mut impl Future<Output = End>>,
    (uploaded, go): (&Cell<bool>, &Cell<bool>),
) -> Poll<Result<A, End>> {
    loop {
        let (had_uploaded, had_word) = (uploaded.get(), go.get());
        let sent = if had_uploaded { Poll::Pending } else { client.as_mut().poll(cx) };
        if let Poll::Ready(answered) = answer.as_mut().poll(cx) {
            return Poll::Ready(answered);
        }
        let ended = if had_uploaded { client.as_mut().poll(cx) } else { sent };
        if let Poll::Ready(end) = ended {
            return Poll::Ready(Err(end));
        }
        // With word to send the body, there is more to do for the client's half.
        if go.get() == had_word {
            return Poll::Pending;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::Waker;

    use super::*;

    fn poll<A>(
        answer: impl Future<Output = Result<A, End>>,
        client: impl Future<Output = End>,
        cells: (&Cell<bool>, &Cell<bool>),
    ) -> Poll<Result<A, End>> {
        poll_halves(&mut Context::from_waker(Waker::noop()), pin!(answer), pin!(client), cells)
    }

    #[test]
    fn an_answer_that_comes_with_the_end_of_the_upload_sees_that_it_has_ended() {
        let (uploaded, go) = (Cell::new(false), Cell::new(true));
        let client = poll_fn(|_| {
            uploaded.set(true);
            Poll::Pending
        });
        let answer = poll_fn(|_| Poll::Ready(Ok(uploaded.get())));
        assert_eq!(poll(answer, client, (&uploaded, &go)), Poll::Ready(Ok(true)));
    }

    #[test]
    fn an_answer_goes_before_a_client_that_ends_at_the_same_time() {
        for uploaded in [false, true] {
            let (uploaded, go) = (Cell::new(uploaded), Cell::new(true));
            let client = poll_fn(|_| Poll::Ready(End::ClientLeft));
            assert_eq!(poll(poll_fn(|_| Poll::Ready(Ok(7))), client, (&uploaded, &go)), Poll::Ready(Ok(7)));
            let client = poll_fn(|_| Poll::Ready(End::ClientLeft));
            assert_eq!(poll(pending::<Result<(), _>>(), client, (&uploaded, &go)), Poll::Ready(Err(End::ClientLeft)));
        }
    }

    #[test]
    fn with_word_to_send_the_body_is_sent_in_the_same_turn() {
        let (uploaded, go) = (Cell::new(false), Cell::new(false));
        let client = poll_fn(|_| {
            uploaded.set(go.get());
            Poll::Pending
        });
        let answer = poll_fn(|_| {
            go.set(true);
            Poll::<Result<(), End>>::Pending
        });
        assert!(poll(answer, client, (&uploaded, &go)).is_pending());
        assert!(uploaded.get());
    }
}
