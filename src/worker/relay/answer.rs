//! The answer's half of an exchange: interim responses, the head, the body, as they come down.
//!
//! Every head and chunk line that goes down is our own; a body whose end is not certain never ends
//! cleanly at the client. One buffer in hand, the next receive only when it was sent, so a slow client slows
//! the upstream. Out of scope: the request (`upload`).

mod whole;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::converse::Talk;
use super::upload::put_chunk;
use crate::end::End;
use crate::limits::{
    CONTINUE_WAIT_MS, INTERIM_RESPONSES_MAX, RESPONSE_HEAD_BYTES_MAX, SLOW_EXCHANGE_MS, SMALL_BUFFER_BYTES,
};
use crate::proto::chunked::{Decoder, put_last_chunk};
use crate::proto::edits::Edits;
use crate::proto::forward::{self, Back};
use crate::proto::framing::Framed;
use crate::proto::head::{self, Asked, Body, ResponseBody, ResponseHead, Storage, Version};
use crate::proto::reply::CONTINUE;
use crate::worker::io::{Received, Receiver, Sender};
use crate::worker::policy::filters::Wish;
use crate::worker::shard::ShardEpoch;
use crate::worker::shard::buffer::{Class, Lease};
use crate::worker::shard::deadline::Deadline;
use crate::worker::upstream::pool::Seat;

/// The way an answer takes.
pub struct Way<'w> {
    /// From the upstream.
    pub from: &'w mut Receiver,
    /// To the client.
    pub to: &'w mut Sender,
    /// For every wait on either.
    pub deadline: &'w Deadline,
    /// The connection's place in its pool.
    pub seat: &'w mut Seat,
    /// The connection has served before.
    pub reused: bool,
    /// Since when the final head is awaited, once the request has gone up whole.
    pub awaited_since_ms: Option<u64>,
}

/// How an answer ended well.
pub enum Answered {
    /// The connection is a tunnel now.
    Upgraded {
        /// What the upstream sent after its head.
        early: Option<Lease>,
    },
    /// The answer was relayed whole.
    Whole {
        /// The client was told that the connection closes.
        close: bool,
        /// The upstream's connection is clean and may serve again.
        reusable: bool,
        /// The idle timeout the upstream announced, a second taken off; 0 is none.
        peer_timeout_ms: u64,
    },
}

/// What the head says of the body's way.
struct Shape {
    head_bytes: usize,
    status: u16,
    from: ResponseBody,
    to: ResponseBody,
    close: bool,
    trailers: bool,
    reusable: bool,
    peer_timeout_ms: u64,
    /// The body is read whole before it goes down; so the head is still as it came.
    wish: Option<Wish>,
}

/// Relays the answer.
///
/// # Errors
/// When the upstream fails or the client does not take it.
pub async fn answer_half(
    mut way: Way<'_>,
    epoch: &mut Option<Rc<ShardEpoch>>,
    talk: &Talk<'_>,
) -> Result<Answered, End> {
    let (shape, lease, out) = way.receive_head(talk).await?;
    talk.answers(shape.status, epoch.as_deref());
    if talk.exchanges(shape.status) {
        return Err(End::UnwantedStatus);
    }
    talk.first_us.set(talk.shard.clock.now_us());
    talk.status.set(shape.status);
    // A relayed body keeps only what it needs.
    *epoch = None;
    if let Some((wish, filters)) = shape.wish.as_ref().zip(talk.filters.as_ref()) {
        // Few answers are, so that no session carries room for it.
        let clean = Box::pin(way.relay_whole(&shape, wish, (out, lease), talk, filters)).await?;
        return Ok(shape.relayed(clean));
    }
    talk.sends_head(&out);
    if shape.status == 101 {
        talk.begun.set(true);
        way.send(out, talk).await?;
        return Ok(Answered::Upgraded { early: Some(lease).filter(|lease| !lease.is_empty()) });
    }
    let clean = way.relay_body(&shape, lease, out, talk).await?;
    Ok(shape.relayed(clean))
}

impl Shape {
    /// The answer has gone down.
    fn relayed(&self, clean: bool) -> Answered {
        let Self { close, peer_timeout_ms, .. } = *self;
        Answered::Whole { close, reusable: self.reusable && clean, peer_timeout_ms }
    }
}

impl Way<'_> {
    /// The final head's shape, what followed it, and the head as it goes down.
    async fn receive_head(&mut self, talk: &Talk<'_>) -> Result<(Shape, Lease, Lease), End> {
        let mut interim = 0;
        let mut lease = self.receive_first(talk).await?;
        loop {
            let mut out = talk.shard.buffers.lease(Class::Small);
            match read_head(&lease, &mut out, talk)? {
                None => {
                    let more = self.await_head(talk).await?;
                    match more {
                        Received::Data(more) => lease.append(more.bytes()),
                        Received::End | Received::Broken => return Err(End::BadResponse),
                    }
                }
                Some(shape) if shape.status >= 200 || shape.status == 101 => {
                    lease.advance(shape.head_bytes);
                    return Ok((shape, lease, out));
                }
                Some(shape) => {
                    interim += 1;
                    if interim > INTERIM_RESPONSES_MAX {
                        return Err(End::BadResponse);
                    }
                    lease.advance(shape.head_bytes);
                    // Rare, so that no session carries room for it; so is asking for the body.
                    Box::pin(self.pass_interim(shape.status, out, talk)).await?;
                }
            }
        }
    }

    /// The first bytes of the answer.
    async fn receive_first(&mut self, talk: &Talk<'_>) -> Result<Lease, End> {
        match self.await_head(talk).await? {
            Received::Data(lease) => Ok(lease),
            Received::End | Received::Broken if self.reused => Err(End::UpstreamStale),
            Received::End | Received::Broken => Err(End::UpstreamClosed),
        }
    }

    /// Waits for bytes of the head. The header timeout runs from the end of the request to the end of the final
    /// head, however many pieces and interim heads come; before that, only the wait for `100 Continue` is bounded.
    async fn await_head(&mut self, talk: &Talk<'_>) -> Result<Received, End> {
        if !talk.go.get() {
            self.deadline.arm(CONTINUE_WAIT_MS);
            let received = self.deadline.bound(pin!(self.from.receive(Class::Small))).await;
            match received {
                Some(received) => return Ok(received),
                None => Box::pin(self.ask_for_body(talk)).await?,
            }
        }
        let mut armed = false;
        let Self { from, deadline, awaited_since_ms, .. } = self;
        let received = poll_fn(|cx| {
            if let Poll::Ready(received) = from.poll(cx, Class::Small) {
                return Poll::Ready(Some(received));
            }
            if !talk.uploaded.get() {
                return Poll::Pending;
            }
            if !armed {
                armed = true;
                let now_ms = talk.shard.clock.now_ms();
                let waited_ms = now_ms - *awaited_since_ms.get_or_insert(now_ms);
                deadline.arm(what_is_left(talk.terms.header_timeout_ms, waited_ms));
            }
            deadline.poll(cx).map(|()| None)
        })
        .await;
        deadline.disarm();
        received.ok_or(End::ResponseTimeout)
    }

    async fn ask_for_body(&mut self, talk: &Talk<'_>) -> Result<(), End> {
        let mut out = talk.shard.buffers.lease(Class::Small);
        out.append(CONTINUE);
        self.send_interim(out, talk).await?;
        talk.go.set(true);
        Ok(())
    }

    /// Sends a head that is not the last. What ends the exchange before it has gone whole finds it begun: nothing may
    /// follow the part of a head.
    async fn send_interim(&mut self, head: Lease, talk: &Talk<'_>) -> Result<(), End> {
        talk.sends_head(&head);
        talk.begun.set(true);
        self.send(head, talk).await?;
        talk.begun.set(false);
        Ok(())
    }

    /// `100` is the client's word to send its body, once; other interim responses go down as they are,
    /// to clients that know them.
    async fn pass_interim(&mut self, status: u16, out: Lease, talk: &Talk<'_>) -> Result<(), End> {
        match status {
            100 if talk.go.get() => Ok(()),
            100 => self.ask_for_body(talk).await,
            _ if talk.terms.version == Version::Http10 => Ok(()),
            _ => self.send_interim(out, talk).await,
        }
    }

    /// Sends a piece of the body to the client; after the last one its connection may end.
    fn send_piece(&mut self, lease: Lease, last: bool, talk: &Talk<'_>) -> impl Future<Output = Result<(), End>> {
        if last {
            self.to.ends_next();
        }
        self.send(lease, talk)
    }

    /// Sends to the client.
    async fn send(&mut self, lease: Lease, talk: &Talk<'_>) -> Result<(), End> {
        let sent = self.to.send_paced(lease, self.deadline, &talk.answer_pace).await;
        talk.progress.set(talk.progress.get() + 1);
        sent.map(drop).map_err(|fault| match fault.late {
            true if talk.answer_pace.is_missed() => End::WriteTooSlow,
            true => End::WriteTimeout,
            false => End::ClientLeft,
        })
    }

    /// Relays the body; the first piece travels with the head. True where the upstream sent exactly that.
    async fn relay_body(&mut self, shape: &Shape, first: Lease, head: Lease, talk: &Talk<'_>) -> Result<bool, End> {
        let mut relay = Relay::new(shape);
        let started_ms = talk.shard.clock.now_ms();
        let mut pending = Some((first, head));
        loop {
            let (lease, head) = match pending.take() {
                Some((first, head)) => (first, Some(head)),
                None if relay.is_done() => return Ok(relay.clean),
                None => match self.receive_body(relay.class(), started_ms, talk).await? {
                    Received::Data(lease) => (lease, None),
                    Received::End => {
                        let mut out = talk.shard.buffers.lease(Class::Small);
                        relay.end(out.vec())?;
                        self.send_piece(out, shape.close && relay.is_done(), talk).await?;
                        return Ok(false);
                    }
                    Received::Broken => return Err(End::ResponseTruncated),
                },
            };
            // What is wrong from the first piece on can still be said.
            let piece = relay.piece(lease, head, talk);
            let piece = piece.map_err(|end| if talk.begun.get() { end } else { End::BadResponse })?;
            talk.begun.set(true);
            if !piece.is_empty() {
                self.send_piece(piece, shape.close && relay.is_done(), talk).await?;
            }
        }
    }

    /// The next piece of the body. An exchange that lasts moves to the slow share of its pool.
    async fn receive_body(&mut self, class: Class, started_ms: u64, talk: &Talk<'_>) -> Result<Received, End> {
        let limit_ms = talk.terms.body_timeout_ms;
        let quick_ms = SLOW_EXCHANGE_MS.saturating_sub(talk.shard.clock.now_ms() - started_ms);
        let stays_quick = limit_ms > 0 && limit_ms <= quick_ms;
        if quick_ms > 0 && !stays_quick {
            self.deadline.arm(quick_ms);
            let received = self.deadline.bound(pin!(self.from.receive(class))).await;
            if let Some(received) = received {
                return Ok(received);
            }
        }
        if !stays_quick {
            self.seat.slow_down();
        }
        self.deadline.arm(limit_ms);
        self.deadline.bound(pin!(self.from.receive(class))).await.ok_or(End::ResponseStalled)
    }
}

/// The rest of a timeout; 0 stays no limit.
fn what_is_left(timeout_ms: u64, waited_ms: u64) -> u64 {
    if timeout_ms == 0 { 0 } else { timeout_ms.saturating_sub(waited_ms).max(1) }
}

/// The same bytes in a large buffer.
fn roomier(out: Lease, talk: &Talk<'_>) -> Lease {
    if out.capacity() > SMALL_BUFFER_BYTES * 2 {
        return out;
    }
    out.moved_to(talk.shard.buffers.lease(Class::Large))
}

/// Parses a head and renders it as it goes down, unless its body is read first. `None` while it is incomplete.
fn read_head(lease: &Lease, out: &mut Lease, talk: &Talk<'_>) -> Result<Option<Shape>, End> {
    let asked = Asked { method: talk.terms.method, upgrade_websocket: talk.terms.upgrade_websocket };
    let mut storage = Storage::new();
    let Some(head) = head::parse_response(lease.bytes(), &asked, RESPONSE_HEAD_BYTES_MAX, &mut storage)? else {
        return Ok(None);
    };
    let worn = talk.dressing.worn();
    let wish = match &talk.filters {
        Some(filters) if !head.is_interim() => Some(filters.head(&head, talk.shard, talk.terms, worn.edits())?),
        _ => None,
    };
    let whole = wish.as_ref().and_then(|wish| wish.whole);
    // Of a body that filters read the length is known when they have.
    let to = if whole.is_some() { ResponseBody::Length(0) } else { head.body.onward(talk.terms.version) };
    let unread = !talk.uploaded.get() && !matches!(talk.terms.body, Body::None);
    let close = !talk.terms.keep_alive || unread || talk.shard.leaving() || matches!(to, ResponseBody::UntilClose);
    match &wish {
        Some(Wish { whole: Some(_), .. }) => out.append(&lease.bytes()[..head.head_bytes]),
        Some(Wish { edits, .. }) => render(out, &head, (to, close), Edits::new(edits.bytes()), talk),
        None if head.is_interim() => render(out, &head, (to, close), Edits::default(), talk),
        None => render(out, &head, (to, close), worn.edits(), talk),
    }
    Ok(Some(Shape {
        head_bytes: head.head_bytes,
        status: head.status,
        from: head.body,
        to,
        close,
        trailers: talk.terms.trailers && talk.terms.te_trailers && !forward::nominates(head.fields),
        reusable: head.keep_alive,
        peer_timeout_ms: head.idle_timeout_ms(),
        wish: wish.filter(|wish| wish.whole.is_some()),
    }))
}

/// Writes a head as it goes down.
fn render(
    out: &mut Lease,
    head: &Framed<ResponseHead<'_>>,
    (body, close): (ResponseBody, bool),
    edits: Edits<'_>,
    talk: &Talk<'_>,
) {
    let back = Back {
        client_version: talk.terms.version,
        close: close && head.status >= 200,
        body,
        date: &talk.shard.clock.date(),
        edits,
        upgrade_websocket: head.status == 101,
    };
    forward::response(out.vec(), head, &back);
}

/// Room for what stands around a chunk: its line, its end, the last chunk.
const CHUNK_FRAME_BYTES: usize = 64;

/// A body on its way from one framing to another.
struct Relay {
    framing: Framing,
    chunked: bool,
    clean: bool,
}

/// What its end is known by.
enum Framing {
    Done,
    Length(u64),
    Chunked(Decoder),
    UntilClose,
}

impl Relay {
    fn new(shape: &Shape) -> Self {
        let framing = match shape.from {
            ResponseBody::None | ResponseBody::Length(0) => Framing::Done,
            ResponseBody::Length(length) => Framing::Length(length),
            ResponseBody::Chunked => Framing::Chunked(Decoder::new(shape.trailers)),
            ResponseBody::UntilClose => Framing::UntilClose,
        };
        Self { framing, chunked: matches!(shape.to, ResponseBody::Chunked), clean: true }
    }

    /// How many bytes are still to come, where that is known.
    fn announces(&self) -> Option<u64> {
        if let Framing::Length(remaining) = self.framing { Some(remaining) } else { None }
    }

    fn is_done(&self) -> bool {
        matches!(self.framing, Framing::Done)
    }

    fn class(&self) -> Class {
        match self.framing {
            Framing::Length(remaining) => Class::for_body(remaining),
            _ => Class::Large,
        }
    }

    /// What goes down of bytes that came, behind the head where that still has to go.
    fn piece(&mut self, mut lease: Lease, head: Option<Lease>, talk: &Talk<'_>) -> Result<Lease, End> {
        // The shorter of the two is copied, where there is room for it.
        let fits = head.as_ref().is_none_or(|head| head.bytes().len() <= lease.bytes().len().min(lease.front_bytes()));
        if fits && self.passes(&lease) {
            head.iter().for_each(|head| lease.precede(head.bytes()));
            return Ok(lease);
        }
        let bytes = lease.bytes().len() + CHUNK_FRAME_BYTES;
        let mut out = head.unwrap_or_else(|| talk.shard.buffers.lease(Class::for_bytes(bytes as u64)));
        if out.bytes().len() + bytes > SMALL_BUFFER_BYTES && !self.is_done() {
            out = roomier(out, talk);
        }
        self.step(lease.bytes_mut(), out.vec())?;
        Ok(out)
    }

    /// Whether the whole lease goes down as it is; it is counted then.
    fn passes(&mut self, lease: &Lease) -> bool {
        match &mut self.framing {
            Framing::Length(remaining) if lease.bytes().len() as u64 <= *remaining => {
                *remaining -= lease.bytes().len() as u64;
                if *remaining == 0 {
                    self.framing = Framing::Done;
                }
                true
            }
            Framing::UntilClose => !self.chunked,
            _ => false,
        }
    }

    /// Takes body bytes and appends them to `out` as they go down. What follows the body condemns the
    /// connection it came on.
    fn step(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) -> Result<(), End> {
        let (taken, done) = match &mut self.framing {
            Framing::Done => (0, true),
            Framing::Length(remaining) => {
                let taken = bytes.len().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                out.extend_from_slice(&bytes[..taken]);
                *remaining -= taken as u64;
                (taken, *remaining == 0)
            }
            Framing::Chunked(decoder) => {
                let decoded = decoder.decode(bytes).map_err(|_| End::ResponseTruncated)?;
                if self.chunked {
                    put_chunk(out, &bytes[..decoded.data]);
                } else {
                    out.extend_from_slice(&bytes[..decoded.data]);
                }
                if decoded.finished && self.chunked {
                    put_last_chunk(out, decoder.trailers());
                }
                (decoded.consumed, decoded.finished)
            }
            Framing::UntilClose => {
                if self.chunked {
                    put_chunk(out, bytes);
                } else {
                    out.extend_from_slice(bytes);
                }
                (bytes.len(), false)
            }
        };
        if done {
            self.framing = Framing::Done;
            self.clean &= taken == bytes.len();
        }
        Ok(())
    }

    /// The upstream closed: the end of a body that runs until then, a truncation of any other.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), End> {
        match self.framing {
            Framing::UntilClose => {
                self.framing = Framing::Done;
                if self.chunked {
                    put_last_chunk(out, b"");
                }
                Ok(())
            }
            _ => Err(End::ResponseTruncated),
        }
    }
}
