//! An answer whose body filters read: it is received whole, decoded, given to them, and sent as they leave it.
//!
//! Nothing goes to the client before that, so whatever fails on the way is still told. In scope: the bounds, the body's
//! way. Out of scope: what filters want (`filters`).

use super::Relay;
use super::Shape;
use super::Way;
use super::render;
use crate::end::End;
use crate::limits::{RESPONSE_HEAD_BYTES_MAX, SMALL_BUFFER_BYTES};
use crate::proto::coding::{Coding, Wrong};
use crate::proto::edits::Edits;
use crate::proto::head::{self, Asked, ResponseBody, Storage};
use crate::worker::io::Received;
use crate::worker::policy::filters::{Answering, Held, Whole, Wish};
use crate::worker::relay::converse::Talk;
use crate::worker::shard::buffer::{Class, Lease};

impl Way<'_> {
    /// Has the body filtered and sends the answer. True where the upstream sent exactly what it announced.
    pub(super) async fn relay_whole(
        &mut self,
        shape: &Shape,
        wish: &Wish,
        (raw_head, first): (Lease, Lease),
        talk: &Talk<'_>,
        filters: &Answering<'_>,
    ) -> Result<bool, End> {
        let Some(whole) = wish.whole else { return Err(End::Unfilterable) };
        let mut relay = Relay::new(shape);
        let mut held = talk.shard.filtered_bodies.hold();
        let body = self.gather(&mut relay, whole, first, talk, &mut held).await.map_err(told_in_time)?;
        let body = filtered(body, whole, talk, filters, &mut held)?;
        let head = rendered(&raw_head, body.bytes().len() as u64, shape, wish, talk)?;
        drop(raw_head);
        self.send_whole(head, body, shape.close, talk).await?;
        Ok(relay.clean)
    }

    /// The body as it came, without its framing.
    async fn gather(
        &mut self,
        relay: &mut Relay,
        whole: Whole,
        first: Lease,
        talk: &Talk<'_>,
        held: &mut Held<'_>,
    ) -> Result<Lease, End> {
        if relay.announces().is_some_and(|length| length > whole.bytes_max as u64) {
            return Err(End::FilterTooLarge);
        }
        let mut body = talk.shard.buffers.lease(relay.class());
        let started_ms = talk.shard.clock.now_ms();
        let mut next = Some(first);
        loop {
            let mut piece = match next.take() {
                Some(first) => first,
                None if relay.is_done() => return Ok(body),
                None => match self.receive_body(relay.class(), started_ms, talk).await? {
                    Received::Data(piece) => piece,
                    Received::End => {
                        relay.end(body.vec())?;
                        relay.clean = false;
                        return Ok(body);
                    }
                    Received::Broken => return Err(End::ResponseTruncated),
                },
            };
            let before = body.bytes().len();
            relay.step(piece.bytes_mut(), body.vec())?;
            held.grow(body.bytes().len() - before)?;
            if body.bytes().len() > whole.bytes_max {
                return Err(End::FilterTooLarge);
            }
        }
    }

    /// Head and body in one piece where they are small.
    async fn send_whole(&mut self, mut head: Lease, body: Lease, close: bool, talk: &Talk<'_>) -> Result<(), End> {
        talk.sends_head(&head);
        talk.begun.set(true);
        let together = head.bytes().len() + body.bytes().len() <= SMALL_BUFFER_BYTES || body.is_empty();
        if together {
            head.append(body.bytes());
            return self.send_piece(head, close, talk).await;
        }
        self.send(head, talk).await?;
        self.send_piece(body, close, talk).await
    }
}

/// The head for a body of this length, of the bytes in which it came.
fn rendered(raw: &Lease, length: u64, shape: &Shape, wish: &Wish, talk: &Talk<'_>) -> Result<Lease, End> {
    let asked = Asked { method: talk.terms.method, upgrade_websocket: false };
    let mut storage = Storage::new();
    let head = head::parse_response(raw.bytes(), &asked, RESPONSE_HEAD_BYTES_MAX, &mut storage)?;
    let head = head.ok_or(End::BadResponse)?;
    let mut out = talk.shard.buffers.lease(Class::Small);
    render(&mut out, &head, (ResponseBody::Length(length), shape.close), Edits::new(wish.edits.bytes()), talk);
    Ok(out)
}

/// Undoes the coding and asks the filters.
fn filtered(
    mut body: Lease,
    whole: Whole,
    talk: &Talk<'_>,
    filters: &Answering<'_>,
    held: &mut Held<'_>,
) -> Result<Lease, End> {
    if whole.coding != Coding::Identity && !body.is_empty() {
        let mut decoded = talk.shard.buffers.lease(Class::Large);
        let undone = whole.coding.undo(body.bytes(), whole.bytes_max, decoded.vec());
        undone.map_err(|wrong| match wrong {
            Wrong::TooLarge => End::FilterTooLarge,
            Wrong::Malformed => End::Unfilterable,
        })?;
        held.grow(decoded.bytes().len())?;
        body = decoded;
    }
    filters.body(body.vec(), talk.shard, talk.terms)?;
    Ok(body)
}

/// What would cut an answer that has begun can still be told of one that has not.
fn told_in_time(end: End) -> End {
    match end {
        End::ResponseTruncated => End::BadResponse,
        End::ResponseStalled => End::ResponseTimeout,
        end => end,
    }
}
