//! A request's body, read whole before the request is decided.
//!
//! In scope: reading it within a bound, and the room it takes of the core's while the exchange lasts. Out of scope: which
//! rule wants it and why (`plan`, `policy`); bodies that stream (`upload`).

use std::pin::pin;
use std::rc::Rc;

use super::upload::{Upload, receive_body};
use crate::end::End;
use crate::proto::head::Body;
use crate::proto::reply::CONTINUE;
use crate::worker::plan::Terms;
use crate::worker::session::arrival::Room;
use crate::worker::session::downstream::{Downstream, in_time};
use crate::worker::shard::Shard;
use crate::worker::shard::buffer::{Class, Lease};

/// A body in hand, without the chunk lines it may have come in.
pub struct WholeBody {
    bytes: Lease,
    room: Room,
}

impl WholeBody {
    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.bytes()
    }
}

/// Reads the body that follows the head, which is left alone; what follows the body is the next request. A client that
/// waits for `100 Continue` is told so.
///
/// # Errors
/// `End::BodyTooLarge` beyond `bytes_max`, `End::LongHeads` beyond the core's room, `End::RequestTimeout`, `End::Drained`, and
/// how a body may end early.
pub async fn read(
    shard: &Rc<Shard>,
    down: &mut Downstream,
    head: &mut Lease,
    terms: &Terms,
    bytes_max: u64,
) -> Result<WholeBody, End> {
    if matches!(terms.body, Body::Length(length) if length > bytes_max) {
        return Err(End::BodyTooLarge);
    }
    let mut whole = WholeBody { bytes: shard.buffers.lease(Class::Small), room: Room::new(shard) };
    let pace = terms.body_pace();
    let mut upload = Upload::new(terms.body, false);
    if terms.expects_continue {
        let mut out = shard.buffers.lease(Class::Small);
        out.append(CONTINUE);
        let sent = down.tx.send(out, &down.writing, terms.progress_timeout_ms).await;
        sent.map_err(|_| End::ClientLeft)?;
    }
    let mut more = shard.buffers.lease(Class::Small);
    more.append(&head.bytes()[terms.head_bytes..]);
    head.truncate(terms.head_bytes);
    loop {
        let piece = upload.take(more.bytes_mut(), bytes_max)?;
        whole.bytes.append(&more.bytes()[..piece.data]);
        whole.room.hold(whole.bytes.bytes().len())?;
        more.advance(piece.taken);
        if piece.done {
            down.source.put_back(more);
            return Ok(whole);
        }
        let Downstream { source, whole: bound, .. } = &mut *down;
        let received = pin!(receive_body(source, Class::Large, &pace));
        more = in_time(shard, (bound.as_ref(), None), received).await?;
    }
}
