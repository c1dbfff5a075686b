//! A stream of receives: one operation that goes on, so that a peer which sends little at a time, again and again, needs
//! no new one for each of its messages.
//!
//! It receives without being asked, so it must not run where much may come: a stream that fills a buffer, or brings
//! more before the last was taken, is stopped (`Ring::stop`), and what has come by then is bounded by what one turn of
//! the loop can bring. Out of scope: when a connection has one (`io::receive`).

use rustix::io::Errno;

use crate::limits::{SMALL_BUFFER_BYTES, TINY_BUFFER_BYTES};
use crate::worker::buffer::{Buffers, Class, Lease};

/// What a stream has brought that was not taken, and whether it is to end.
pub(in crate::worker) struct Stream {
    buffers: Buffers,
    came: Option<Lease>,
    /// More came than is to be taken without being asked.
    floods: bool,
    pub(super) stopping: bool,
}

/// What becomes of a stream.
pub(in crate::worker) enum Flow {
    /// It brought bytes, and goes on, or ends with the next look.
    Data(Lease),
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
    pub(in crate::worker) fn new(buffers: Buffers) -> Self {
        Self { buffers, came: None, floods: false, stopping: false }
    }

    /// These bytes came.
    pub(super) fn bring(&mut self, bytes: &[u8]) {
        self.floods = self.came.is_some() || bytes.len() == SMALL_BUFFER_BYTES;
        match &mut self.came {
            Some(lease) if lease.bytes().len() + bytes.len() <= lease.capacity() => lease.append(bytes),
            came => {
                let before = came.take();
                let held = before.as_ref().map_or(0, |lease| lease.bytes().len());
                let mut lease = self.buffers.lease(match held + bytes.len() {
                    ..TINY_BUFFER_BYTES => Class::Tiny,
                    total => Class::for_bytes(total as u64),
                });
                if let Some(before) = before {
                    lease.append(before.bytes());
                }
                lease.append(bytes);
                *came = Some(lease);
            }
        }
    }

    /// Whether it is to be stopped.
    pub(super) fn floods(&self) -> bool {
        self.floods
    }

    /// What has come.
    pub(super) fn take(&mut self) -> Option<Lease> {
        self.came.take()
    }
}
