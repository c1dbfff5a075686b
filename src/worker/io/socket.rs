//! A socket used by readiness: waiting for it holds neither a buffer nor anything a peer sent, and a wait may be
//! given up at any time. What is done with it is done at once or not at all.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use rustix::pipe::{SpliceFlags, splice};

use super::epoll::Source;
use super::open::Listed;
use super::pipe::Pipe;
use super::shutdown;
use super::wants_non_blocking;
use crate::limits::PIPE_BYTES;
use crate::worker::runtime::{Descriptor, Work};
use crate::worker::shard::buffer::Lease;

/// The pipe does not wait, and pages move where they can.
const SPLICE: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// A connected socket.
pub struct Socket {
    listed: Listed,
    kind: Kind,
}

enum Kind {
    Ring(Rc<Descriptor>),
    Epoll(Source),
}

/// What became of bytes that were to be moved now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// So many were moved, at least one.
    Some(usize),
    /// None can be for now.
    None,
    /// The peer sends no more.
    End,
    /// The connection is broken.
    Broken,
}

impl Socket {
    pub(super) fn on_ring(descriptor: Rc<Descriptor>) -> Self {
        Self { listed: Listed::new(descriptor.as_fd().as_raw_fd()), kind: Kind::Ring(descriptor) }
    }

    pub(super) fn on_epoll(source: Source, fd: RawFd) -> Self {
        Self { listed: Listed::new(fd), kind: Kind::Epoll(source) }
    }

    /// Waits until a receive has something to say.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.kind {
            Kind::Ring(descriptor) => descriptor.begin(Work::Readable).await.result.map(drop),
            Kind::Epoll(source) => Box::pin(source.readable()).await,
        }
    }

    /// Waits until a send has something to say.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.kind {
            Kind::Ring(descriptor) => descriptor.begin(Work::Writable).await.result.map(drop),
            Kind::Epoll(source) => Box::pin(source.writable()).await,
        }
    }

    /// Appends to the lease what has come, as far as it fits.
    pub fn receive(&self, lease: &mut Lease) -> Moved {
        receive_now(self.descriptor(), lease)
    }

    /// Sends of the bytes what the kernel takes.
    pub fn send(&self, bytes: &[u8]) -> Moved {
        send_now(self.descriptor(), bytes, SendFlags::empty())
    }

    /// Fills an empty pipe with what has come.
    pub fn fill(&self, pipe: &mut Pipe) -> Moved {
        let moved = self.without_blocking(|socket| splice(socket, None, pipe.inlet(), None, PIPE_BYTES, SPLICE));
        if let Moved::Some(bytes) = moved {
            pipe.put(bytes);
        }
        moved
    }

    /// Sends of the pipe what the kernel takes.
    pub fn drain(&self, pipe: &mut Pipe) -> Moved {
        let moved = self.without_blocking(|socket| splice(pipe.outlet(), None, socket, None, pipe.held(), SPLICE));
        if let Moved::Some(bytes) = moved {
            pipe.take(bytes);
        }
        moved
    }

    /// Splicing waits for a socket unless the socket itself says not to, whatever is asked of the call. On a ring
    /// a socket must not say so for longer, or operations on it would fail where they are to wait.
    fn without_blocking(&self, spliced: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<usize>) -> Moved {
        let socket = self.descriptor();
        let ring = !wants_non_blocking();
        if ring && ioctl_fionbio(socket, true).is_err() {
            return Moved::Broken;
        }
        let moved = spliced(socket);
        if ring && ioctl_fionbio(socket, false).is_err() {
            return Moved::Broken;
        }
        match moved {
            Ok(0) => Moved::End,
            Ok(bytes) => Moved::Some(bytes),
            Err(errno) => refused(errno),
        }
    }

    /// Resets the connection, so that the peer does not take what came so far for all there is.
    pub fn reset(&self) {
        // What a connection that is broken already, or a Unix socket, says to it does not matter: it is closed next.
        let _ = rustix::net::connect_unspec(self.descriptor());
    }

    /// Breaks the connection both ways.
    pub fn sever(&self) {
        shutdown(self.descriptor(), Shutdown::Both);
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.listed.socket()
    }
}

/// Appends to the lease what has come, as far as it fits.
pub(super) fn receive_now(socket: BorrowedFd<'_>, lease: &mut Lease) -> Moved {
    match rustix::net::recv(socket, spare_capacity(lease.vec()), RecvFlags::DONTWAIT) {
        Ok((0, _)) => Moved::End,
        Ok((bytes, _)) => Moved::Some(bytes),
        Err(errno) => refused(errno),
    }
}

/// What a receive would bring, which it still will: of bytes the first.
pub(super) fn peek(socket: BorrowedFd<'_>) -> Moved {
    match rustix::net::recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((0, _)) => Moved::End,
        Ok((bytes, _)) => Moved::Some(bytes),
        Err(errno) => refused(errno),
    }
}

/// Sends of the bytes what the kernel takes.
pub(super) fn send_now(socket: BorrowedFd<'_>, bytes: &[u8], flags: SendFlags) -> Moved {
    match rustix::net::send(socket, bytes, flags | SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(0) => Moved::None,
        Ok(bytes) => Moved::Some(bytes),
        Err(errno) => refused(errno),
    }
}

fn refused(errno: Errno) -> Moved {
    match errno {
        Errno::AGAIN | Errno::INTR => Moved::None,
        _ => Moved::Broken,
    }
}
