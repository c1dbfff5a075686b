//! The sending half of a connection that HTTP runs on.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::pin;
use std::time::Duration;

use monoio::buf::{IoBuf, Slice};
use monoio::io::{AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf};
use monoio::net::{TcpStream, UnixStream};
use rustix::net::sockopt;

use super::open::Listed;
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
    listed: Listed,
    half: Half,
    turn: Turn,
}

impl Sender {
    pub(super) fn tcp(half: OwnedWriteHalf<TcpStream>, fd: RawFd) -> Self {
        Self { listed: Listed::new(fd), half: Half::Tcp(half), turn: Turn::default() }
    }

    pub(super) fn unix(half: OwnedWriteHalf<UnixStream>, fd: RawFd) -> Self {
        Self { listed: Listed::new(fd), half: Half::Unix(half), turn: Turn::default() }
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

    /// The same socket, for receiving by readiness.
    pub(super) fn socket(&self) -> Socket {
        let stream = match &self.half {
            Half::Tcp(half) => Stream::Tcp(OwnedReadHalf(half.0.clone())),
            Half::Unix(half) => Stream::Unix(OwnedReadHalf(half.0.clone())),
        };
        Socket::new(stream, self.descriptor().as_raw_fd())
    }

    /// Sends of the lease what the kernel takes, at least one byte, however long that lasts. Says how many and
    /// gives the rest back.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send_some(&mut self, lease: Lease) -> Result<(usize, Lease), Lease> {
        let (bytes, start, home) = lease.lend();
        let end = bytes.len();
        let (result, slice) = self.write(bytes.slice(start..end)).await;
        let mut lease = home.adopt(slice.into_inner());
        match result {
            Ok(sent) if sent > 0 => {
                lease.advance(start + sent);
                Ok((sent, lease))
            }
            _ => Err(lease),
        }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.listed.socket()
    }
}
