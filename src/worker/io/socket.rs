//! A bare socket, used by readiness: waiting for it holds neither a buffer nor anything a peer sent.
//!
//! A wait may be given up at any time; nothing is lost by it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::epoll::Stream;
use super::shutdown;
use crate::worker::buffer::Lease;
use crate::worker::runtime::{Descriptor, Work};

/// A connected socket.
pub struct Socket(Kind);

enum Kind {
    Ring(Rc<Descriptor>),
    Epoll(Stream),
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
        Self(Kind::Ring(descriptor))
    }

    pub(super) fn on_epoll(stream: Stream) -> Self {
        Self(Kind::Epoll(stream))
    }

    /// Waits until a receive has something to say.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Ring(descriptor) => descriptor.begin(Work::Readable).await.result.map(drop),
            Kind::Epoll(stream) => Box::pin(stream.readable()).await,
        }
    }

    /// Waits until a send has something to say.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Ring(descriptor) => descriptor.begin(Work::Writable).await.result.map(drop),
            Kind::Epoll(stream) => Box::pin(stream.writable()).await,
        }
    }

    /// Appends to the lease what has come, as far as it fits.
    pub fn receive(&self, lease: &mut Lease) -> Moved {
        match rustix::net::recv(self, spare_capacity(lease.vec()), RecvFlags::DONTWAIT) {
            Ok((0, _)) => Moved::End,
            Ok((bytes, _)) => Moved::Some(bytes),
            Err(errno) => refused(errno),
        }
    }

    /// Sends of the bytes what the kernel takes.
    pub fn send(&self, bytes: &[u8]) -> Moved {
        match rustix::net::send(self, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(0) => Moved::None,
            Ok(bytes) => Moved::Some(bytes),
            Err(errno) => refused(errno),
        }
    }

    /// Tells the peer that no more bytes come; what it sends is still received.
    pub fn finish(&self) {
        shutdown(self, Shutdown::Write);
    }

    /// Breaks the connection both ways.
    pub fn sever(&self) {
        shutdown(self, Shutdown::Both);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Ring(descriptor) => descriptor.as_fd(),
            Kind::Epoll(stream) => stream.as_fd(),
        }
    }
}

fn refused(errno: Errno) -> Moved {
    match errno {
        Errno::AGAIN | Errno::INTR => Moved::None,
        _ => Moved::Broken,
    }
}
