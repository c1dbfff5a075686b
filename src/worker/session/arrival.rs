//! A request on its way in: its first bytes, and the rest of a head that comes in pieces.
//!
//! This is where a connection waits that has nothing in hand, or half a head. So it is the session's own, outside an
//! engine, and what is held is as large as what has come. In scope: the waits, their deadlines, the room for long
//! heads. Out of scope: what the head says (`exchange`).

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use super::downstream::{Downstream, in_time};
use crate::end::End;
use crate::limits::{DEADLINE_TICK_MS, LONG_HEADS_BYTES_MAX, SMALL_BUFFER_BYTES};
use crate::proto::head::may_be_complete;
use crate::worker::io::Received;
use crate::worker::shard::Shard;
use crate::worker::shard::buffer::{Class, Lease};

/// The first bytes of a request. `None` where none came: the client closed, or was idle for too long.
pub async fn first_bytes(shard: &Shard, down: &mut Downstream, first: bool) -> Option<Lease> {
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

/// A head that is not complete yet; at first, of which nothing has come.
#[derive(Default)]
pub struct Partial {
    searched: usize,
    room: Option<Room>,
}

impl Partial {
    /// Receives until the head may be complete. It is looked at again only when its end may be there: not once
    /// per byte. The deadline runs from the first call.
    ///
    /// # Errors
    /// `End::HeadTimeout`, `End::ClientTruncated`, `End::LongHeads`, `End::Drained`; the head is still what has come.
    pub async fn receive(&mut self, shard: &Rc<Shard>, down: &mut Downstream, head: &mut Lease) -> Result<(), End> {
        let (head_timeout_ms, head_bytes_max) = {
            let Some(epoch) = shard.epoch() else { return Err(End::ClientTruncated) };
            let rules = &epoch.snapshot().http;
            (u64::from(rules.head_timeout_ms), rules.head_bytes_max)
        };
        if self.searched == 0 {
            down.source.reading.arm(head_timeout_ms);
        }
        loop {
            self.searched = head.bytes().len();
            head.fit();
            // What a client sends slowly is received in the smallest buffer there is.
            down.source.expect_little();
            let next = pin!(async { Ok(down.source.next_in_time(Class::Small).await) });
            match in_time(shard, (None, None), next).await? {
                Some(Received::Data(more)) => head.append(more.bytes()),
                Some(Received::End | Received::Broken) => return Err(End::ClientTruncated),
                None => return Err(End::HeadTimeout),
            }
            let length = head.bytes().len();
            self.make_room(shard, length)?;
            if length > head_bytes_max || may_be_complete(head.bytes(), self.searched) {
                return Ok(());
            }
        }
    }

    /// Counts a long head under the core's bound.
    fn make_room(&mut self, shard: &Rc<Shard>, length: usize) -> Result<(), End> {
        if length <= SMALL_BUFFER_BYTES {
            return Ok(());
        }
        self.room.get_or_insert_with(|| Room::new(shard)).hold(length)
    }
}

/// Bytes of this core's long heads, and of bodies that are read whole.
#[derive(Debug, Default)]
pub struct LongHeads(Cell<usize>);

/// What one long head, or body, takes of the room for all.
pub struct Room {
    shard: Rc<Shard>,
    bytes: usize,
}

impl Room {
    /// Nothing yet.
    #[must_use]
    pub fn new(shard: &Rc<Shard>) -> Self {
        Self { shard: shard.clone(), bytes: 0 }
    }

    /// Holds so many bytes from now on; what fits a small buffer counts as nothing.
    ///
    /// # Errors
    /// `End::LongHeads`.
    pub fn hold(&mut self, bytes: usize) -> Result<(), End> {
        let bytes = if bytes <= SMALL_BUFFER_BYTES { 0 } else { bytes };
        let held = self.shard.long_heads.0.get() - self.bytes + bytes;
        if held > LONG_HEADS_BYTES_MAX {
            return Err(End::LongHeads);
        }
        self.shard.long_heads.0.set(held);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shard.long_heads.0.set(self.shard.long_heads.0.get() - self.bytes);
    }
}
