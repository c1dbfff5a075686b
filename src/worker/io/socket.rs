//! A socket used by readiness: waiting for it holds neither a buffer nor anything a peer sent, and a wait may be
//! given up at any time. What is done with it is done at once or not at all.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use monoio::io::OwnedReadHalf;
use monoio::net::{TcpStream, UnixStream};
use monoio::utils::is_legacy;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use rustix::pipe::{SpliceFlags, splice};

use super::open::Listed;
use super::pipe::Pipe;
use crate::limits::PIPE_BYTES;
use crate::worker::buffer::Lease;

/// The pipe does not wait, and pages move where they can.
const SPLICE: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// A connected socket.
pub struct Socket {
    listed: Listed,
    stream: Stream,
}

/// The half of a stream that is read from.
pub(super) enum Stream {
    Tcp(OwnedReadHalf<TcpStream>),
    Unix(OwnedReadHalf<UnixStream>),
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
    pub(super) fn new(stream: Stream, fd: RawFd) -> Self {
        Self { listed: Listed::new(fd), stream }
    }

    /// Waits until a receive has something to say.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(half) => whole(half).readable(false).await,
            Stream::Unix(half) => whole(half).readable(false).await,
        }
    }

    /// Waits until a send has something to say.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(half) => whole(half).writable(false).await,
            Stream::Unix(half) => whole(half).writable(false).await,
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
        let ring = !is_legacy();
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

    /// Tells the peer that no more bytes come; what it sends is still received.
    pub fn finish(&self) {
        self.shutdown(Shutdown::Write);
    }

    /// Resets the connection, so that the peer does not take what came so far for all there is.
    pub fn reset(&self) {
        // What a connection that is broken already, or a Unix socket, says to it does not matter: it is closed next.
        let _ = rustix::net::connect_unspec(self.descriptor());
    }

    /// Breaks the connection both ways.
    pub fn sever(&self) {
        self.shutdown(Shutdown::Both);
    }

    fn shutdown(&self, how: Shutdown) {
        // A connection that is broken already needs no shutdown.
        let _ = rustix::net::shutdown(self.descriptor(), how);
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.listed.socket()
    }
}

#[expect(unsafe_code, reason = "the runtime's halves do not give their stream, which alone can be waited for")]
fn whole<T>(half: &OwnedReadHalf<T>) -> &T {
    // SAFETY: the stream lives as long as a half of it does. A `&mut` to it is made only inside the runtime's
    // read and write, for the time it takes to submit an operation, during which nothing else runs here; what
    // is used of the stream by `&` is its descriptor, which never changes.
    unsafe { &*half.0.get() }
}

fn refused(errno: Errno) -> Moved {
    match errno {
        Errno::AGAIN | Errno::INTR => Moved::None,
        _ => Moved::Broken,
    }
}
