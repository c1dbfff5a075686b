//! A stream of receives: one operation that goes on, so that a peer which sends little at a time, again and again, needs
//! no new one for each of its messages.
//!
//! It receives without being asked, so it must not run where much may come: a stream that fills a buffer, or brings
//! more before the last was taken, is stopped (`Ring::stop`), and what has come by then is bounded by what one turn of
//! the loop can bring. Out of scope: when a connection has one (`io::receive`).

use std::collections::VecDeque;

use rustix::io::Errno;

use super::provided::Filled;
use super::ring::Group;
use crate::worker::shard::buffer::{Buffers, Class, Lease};

/// What a stream has brought that was not taken, and whether it is to end.
pub(in crate::worker) struct Stream {
    buffers: Buffers,
    group: Group,
    came: Option<Lease>,
    /// What came after that, where it floods.
    #[expect(
        clippy::box_collection,
        reason = "streams are many, floods are few: a pointer instead of a queue in each"
    )]
    later: Option<Box<VecDeque<Lease>>>,
    /// The socket held more.
    more: bool,
    /// More came than is to be taken without being asked.
    floods: bool,
    pub(super) stopping: bool,
}

/// What becomes of a stream.
pub(in crate::worker) enum Flow {
    /// It brought bytes, and goes on, or ends with the next look; whether more is here already.
    Data(Lease, bool),
    /// The peer sends no more.
    End,
    /// It was stopped, or has ended by itself; the connection is whole.
    Stopped,
    /// The connection is broken.
    Broken,
}

impl Flow {
    /// What the last completion of a stream means.
    pub(super) fn of(result: i32) -> Self {
        match result {
            0 => Self::End,
            1.. => Self::Stopped,
            _ if result == -Errno::CANCELED.raw_os_error() || result == -Errno::NOBUFS.raw_os_error() => Self::Stopped,
            _ => Self::Broken,
        }
    }
}

impl Stream {
    /// A stream that has brought nothing yet.
    #[must_use]
    pub(in crate::worker) fn new(buffers: Buffers, group: Group) -> Self {
        Self { buffers, group, came: None, later: None, more: false, floods: false, stopping: false }
    }

    pub(super) fn group(&self) -> Group {
        self.group
    }

    /// This came, and the socket holds more or not.
    pub(super) fn bring(&mut self, filled: Filled<'_>, more: bool) {
        let bytes = filled.bytes();
        self.more = more;
        self.floods = self.came.is_some() || bytes.len() == self.group.buffer_bytes();
        let Some(first) = &mut self.came else {
            self.came = Some(filled.into_lease(&self.buffers));
            return;
        };
        match self.later.as_mut().and_then(|later| later.back_mut()).unwrap_or(first) {
            last if last.bytes().len() + bytes.len() <= last.capacity() => last.append(bytes),
            _ => {
                // A flood is gathered in few large pieces, because each is sent on by itself.
                let mut lease = self.buffers.lease(Class::Large);
                lease.append(bytes);
                self.later.get_or_insert_default().push_back(lease);
            }
        }
    }

    /// Whether it is to be stopped.
    pub(super) fn floods(&self) -> bool {
        self.floods
    }

    /// Whether more is here than was taken.
    pub(super) fn has_more(&self) -> bool {
        self.more || self.came.is_some()
    }

    /// What has come, or the first of it.
    pub(super) fn take(&mut self) -> Option<Lease> {
        let next = self.later.as_mut().and_then(|later| later.pop_front());
        if next.is_none() {
            self.later = None;
        }
        std::mem::replace(&mut self.came, next)
    }
}
