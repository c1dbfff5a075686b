//! The io_uring itself: set-up with the flags that make it cheap, and the five operations of the shuttle.
//!
//! In scope: building entries, tagging each with what it is about, handing over completions.
//! Out of scope: what a completion means; that is `shuttle`.

use crate::buffers::{Buffers, GROUP};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, BorrowedFd};

const SUBMISSION_ENTRIES: u32 = 4096;
const COMPLETION_ENTRIES: u32 = 32_768;

/// Which end of a pair an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Down = 0,
    Up = 1,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Down => Self::Up,
            Self::Up => Self::Down,
        }
    }
}

/// What an operation was, as carried in its 64 bits of user data. `pair` is the key of the pair it belongs to, which
/// outlives every operation that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Accept,
    Connect { pair: u32 },
    Receive { pair: u32, from: Side },
    Send { pair: u32, to: Side },
}

impl Tag {
    fn pack(self) -> u64 {
        match self {
            Self::Accept => 0,
            Self::Connect { pair } => 1 << 32 | u64::from(pair),
            Self::Receive { pair, from } => (2 + from as u64) << 32 | u64::from(pair),
            Self::Send { pair, to } => (4 + to as u64) << 32 | u64::from(pair),
        }
    }

    fn unpack(packed: u64) -> Self {
        let pair = packed as u32;
        match packed >> 32 {
            0 => Self::Accept,
            1 => Self::Connect { pair },
            2 => Self::Receive { pair, from: Side::Down },
            3 => Self::Receive { pair, from: Side::Up },
            4 => Self::Send { pair, to: Side::Down },
            _ => Self::Send { pair, to: Side::Up },
        }
    }
}

/// One operation's outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion {
    pub(crate) tag: Tag,
    /// A count or a descriptor, or the negative error number.
    pub(crate) result: i32,
    /// The provided buffer that the kernel filled, if it took one.
    pub(crate) buffer: Option<u16>,
    /// A multishot operation goes on by itself.
    pub(crate) more: bool,
}

/// The io_uring, and what its operations point into.
pub(crate) struct Ring {
    uring: IoUring,
    pub(crate) buffers: Buffers,
    /// Never freed: a connect may point at it as long as the ring lives.
    upstream: &'static libc::sockaddr_in,
}

impl Ring {
    /// # Errors
    ///
    /// The kernel's, when it is older than 6.1 or refuses io_uring.
    pub(crate) fn new(upstream: SocketAddrV4) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(COMPLETION_ENTRIES)
            .build(SUBMISSION_ENTRIES)?;
        let buffers = Buffers::register(&uring.submitter())?;
        Ok(Self { uring, buffers, upstream: Box::leak(Box::new(socket_address(upstream))) })
    }

    /// Accepts until told to stop, one completion per connection.
    pub(crate) fn accept(&mut self, listener: BorrowedFd<'_>) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
        self.push(&entry, Tag::Accept)
    }

    /// Connects `socket` to the upstream.
    pub(crate) fn connect(&mut self, socket: BorrowedFd<'_>, pair: u32) -> io::Result<()> {
        let address = std::ptr::from_ref(self.upstream).cast::<libc::sockaddr>();
        let address_bytes = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let entry = opcode::Connect::new(types::Fd(socket.as_raw_fd()), address, address_bytes).build();
        self.push(&entry, Tag::Connect { pair })
    }

    /// Receives until the peer ends or buffers run out, one completion and one provided buffer at a time.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, pair: u32, from: Side) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(types::Fd(socket.as_raw_fd()), GROUP).build();
        self.push(&entry, Tag::Receive { pair, from })
    }

    /// Sends all of the first `bytes` of `buffer`, unless the connection fails.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        pair: u32,
        to: Side,
        buffer: u16,
        bytes: u32,
    ) -> io::Result<()> {
        let start = self.buffers.start(buffer).as_ptr();
        let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let entry = opcode::Send::new(types::Fd(socket.as_raw_fd()), start, bytes).flags(flags).build();
        self.push(&entry, Tag::Send { pair, to })
    }

    /// Submits what is queued, waits for at least one completion and moves all there are into `batch`.
    pub(crate) fn wait(&mut self, batch: &mut Vec<Completion>) -> io::Result<()> {
        match self.uring.submit_and_wait(1) {
            // A full completion queue is drained below, and a signal that was not fatal is no event.
            Err(fault) if !matches!(fault.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => return Err(fault),
            _ => {}
        }
        let buffers = &mut self.buffers;
        batch.extend(self.uring.completion().map(|entry| Completion {
            tag: Tag::unpack(entry.user_data()),
            result: entry.result(),
            buffer: cqueue::buffer_select(entry.flags()).map(|buffer| buffers.take(buffer)),
            more: cqueue::more(entry.flags()),
        }));
        Ok(())
    }

    fn push(&mut self, entry: &squeue::Entry, tag: Tag) -> io::Result<()> {
        let entry = entry.clone().user_data(tag.pack());
        // SAFETY: every pointer in an entry is into the provided buffers or the upstream's address, neither of which is
        // ever freed. A buffer that a send names is not given to the kernel before that send completes, and a pair
        // keeps its descriptors open until all its operations have completed.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.uring.submit()?;
        }
        Ok(())
    }
}

fn socket_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_its_user_data() {
        for pair in [0, 7, u32::MAX] {
            for side in [Side::Down, Side::Up] {
                for tag in [
                    Tag::Accept,
                    Tag::Connect { pair },
                    Tag::Receive { pair, from: side },
                    Tag::Send { pair, to: side },
                ] {
                    assert_eq!(Tag::unpack(tag.pack()), tag);
                }
            }
        }
    }
}
