//! The sending half of a connection that HTTP runs on.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::pin::pin;
use std::time::Duration;

use monoio::buf::{IoBuf, Slice};
use monoio::io::{AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf};
use monoio::net::{TcpStream, UnixStream};
use rustix::net::sockopt;

use super::socket::{Socket, Stream};
use super::turn::Turn;
use crate::worker::buffer::Lease;
use crate::worker::deadline::Deadline;
use crate::worker::pace::Pace;

/// The half of a stream that is written to.
enum Half {
    Tcp(OwnedWriteHalf<TcpStream>),
    Unix(OwnedWriteHalf<UnixStream>),
}

/// Bytes could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFault {
    /// The peer took none of them in time; otherwise the connection is broken.
    pub late: bool,
    /// The kernel took some bytes before.
    pub partly: bool,
}

/// The sending half.
pub struct Sender {
    half: Half,
    fd: RawFd,
    turn: Turn,
}

impl Sender {
    pub(super) fn tcp(half: OwnedWriteHalf<TcpStream>, fd: RawFd) -> Self {
        Self { half: Half::Tcp(half), fd, turn: Turn::default() }
    }

    pub(super) fn unix(half: OwnedWriteHalf<UnixStream>, fd: RawFd) -> Self {
        Self { half: Half::Unix(half), fd, turn: Turn::default() }
    }

    /// Sends everything readable in the lease and gives the lease back. The peer must take some bytes
    /// every `progress_ms`; 0 is no limit.
    ///
    /// # Errors
    /// When the peer is too slow or the connection is broken; it can only be closed then.
    pub fn send<'s>(
        &'s mut self,
        lease: Lease,
        deadline: &'s Deadline,
        progress_ms: u64,
    ) -> impl Future<Output = Result<Lease, SendFault>> + 's {
        self.send_at(lease, deadline, progress_ms, None)
    }

    /// As `send`, to a peer that must also keep a rate.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_paced<'s>(
        &'s mut self,
        lease: Lease,
        deadline: &'s Deadline,
        pace: &'s Pace,
    ) -> impl Future<Output = Result<Lease, SendFault>> + 's {
        self.send_at(lease, deadline, 0, Some(pace))
    }

    async fn send_at(
        &mut self,
        lease: Lease,
        deadline: &Deadline,
        progress_ms: u64,
        pace: Option<&Pace>,
    ) -> Result<Lease, SendFault> {
        let (mut bytes, start, lease) = lease.lend();
        let mut sent = start;
        while sent < bytes.len() {
            let end = bytes.len();
            deadline.arm(pace.map_or(progress_ms, Pace::wait_ms));
            let since_ms = deadline.now_ms();
            let written = deadline.bound(pin!(self.write(bytes.slice(sent..end)))).await;
            let taken = written.as_ref().and_then(|(result, _)| result.as_ref().ok()).map_or(0, |n| *n);
            if let Some(pace) = pace {
                pace.count(deadline.now_ms() - since_ms, taken);
            }
            let partly = sent > start;
            let (result, slice) = written.ok_or(SendFault { late: true, partly })?;
            bytes = slice.into_inner();
            match result {
                Ok(n) if n > 0 => sent += n,
                _ => return Err(SendFault { late: false, partly }),
            }
        }
        deadline.disarm();
        Ok(lease.adopt(bytes))
    }

    async fn write(&mut self, slice: Slice<Vec<u8>>) -> (io::Result<usize>, Slice<Vec<u8>>) {
        match &mut self.half {
            Half::Tcp(half) => self.turn.take(pin!(half.write(slice))).await,
            Half::Unix(half) => self.turn.take(pin!(half.write(slice))).await,
        }
    }

    /// Tells the peer that no more bytes come; what it sends is still received.
    pub fn finish(&self) {
        self.shutdown(rustix::net::Shutdown::Write);
    }

    /// Breaks the connection both ways: every pending operation completes at once.
    pub fn sever(&self) {
        self.shutdown(rustix::net::Shutdown::Both);
    }

    /// Has the kernel watch the peer: asks after silence, breaks off what is not acknowledged; 0 leaves either as it
    /// is.
    pub fn guard(&self, keepalive_ms: u32, user_timeout_ms: u32) {
        let socket = self.descriptor();
        if keepalive_ms > 0 {
            let seconds = Duration::from_secs(u64::from(keepalive_ms.div_ceil(1_000)));
            // A Unix socket has neither; its peer cannot vanish without the kernel knowing.
            let _ = sockopt::set_socket_keepalive(socket, true);
            let _ = sockopt::set_tcp_keepidle(socket, seconds);
            let _ = sockopt::set_tcp_keepintvl(socket, seconds);
        }
        if user_timeout_ms > 0 {
            let _ = sockopt::set_tcp_user_timeout(socket, user_timeout_ms);
        }
    }

    /// The connection's own end.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        rustix::net::getsockname(self.descriptor()).ok().and_then(|address| address.try_into().ok())
    }

    fn shutdown(&self, how: rustix::net::Shutdown) {
        // A connection that is broken already needs no shutdown.
        let _ = rustix::net::shutdown(self.descriptor(), how);
    }

    /// The socket, whose other half must be gone.
    pub(super) fn into_socket(self) -> Socket {
        Socket::new(match self.half {
            Half::Tcp(half) => Stream::Tcp(whole(half)),
            Half::Unix(half) => Stream::Unix(whole(half)),
        })
    }

    #[expect(unsafe_code, reason = "the runtime's stream gives only a raw descriptor")]
    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: `fd` was read from the stream whose write half is in `self.half`. The runtime closes a
        // descriptor only when the last half and the last operation on it are gone, so it stays open,
        // and stays this socket, for as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}

/// The stream of a half that is the last one.
fn whole<T: AsyncWriteRent>(half: OwnedWriteHalf<T>) -> T {
    let other = OwnedReadHalf(half.0.clone());
    half.reunite(other).unwrap_or_else(|_| unreachable!("both halves are made of the same stream"))
}
