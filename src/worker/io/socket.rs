//! A bare socket, used by readiness: waiting for it holds neither a buffer nor anything a peer sent.
//!
//! A wait may be given up at any time; nothing is lost by it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use monoio::net::{TcpStream, UnixStream};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use crate::worker::buffer::Lease;

/// A connected socket.
pub struct Socket(Stream);

/// A stream of the runtime.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
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
    pub(super) fn new(stream: Stream) -> Self {
        Self(stream)
    }

    /// Waits until a receive has something to say.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.0 {
            Stream::Tcp(stream) => stream.readable(false).await,
            Stream::Unix(stream) => stream.readable(false).await,
        }
    }

    /// Waits until a send has something to say.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.0 {
            Stream::Tcp(stream) => stream.writable(false).await,
            Stream::Unix(stream) => stream.writable(false).await,
        }
    }

    /// Appends to the lease what has come, as far as it fits.
    pub fn receive(&self, lease: &mut Lease) -> Moved {
        match rustix::net::recv(self.descriptor(), spare_capacity(lease.vec()), RecvFlags::DONTWAIT) {
            Ok((0, _)) => Moved::End,
            Ok((bytes, _)) => Moved::Some(bytes),
            Err(errno) => refused(errno),
        }
    }

    /// Sends of the bytes what the kernel takes.
    pub fn send(&self, bytes: &[u8]) -> Moved {
        match rustix::net::send(self.descriptor(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(0) => Moved::None,
            Ok(bytes) => Moved::Some(bytes),
            Err(errno) => refused(errno),
        }
    }

    /// Tells the peer that no more bytes come; what it sends is still received.
    pub fn finish(&self) {
        self.shutdown(Shutdown::Write);
    }

    /// Breaks the connection both ways.
    pub fn sever(&self) {
        self.shutdown(Shutdown::Both);
    }

    fn shutdown(&self, how: Shutdown) {
        // A connection that is broken already needs no shutdown.
        let _ = rustix::net::shutdown(self.descriptor(), how);
    }

    #[expect(unsafe_code, reason = "the runtime's stream gives only a raw descriptor")]
    fn descriptor(&self) -> BorrowedFd<'_> {
        let fd = match &self.0 {
            Stream::Tcp(stream) => stream.as_raw_fd(),
            Stream::Unix(stream) => stream.as_raw_fd(),
        };
        // SAFETY: the stream owns the descriptor and is borrowed for as long as the result is.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }
}

fn refused(errno: Errno) -> Moved {
    match errno {
        Errno::AGAIN | Errno::INTR => Moved::None,
        _ => Moved::Broken,
    }
}
