//! The sending half of a connection that HTTP runs on.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::{SendFlags, Shutdown, sockopt};

use super::Moved;
use super::epoll::Half;
use super::open::Listed;
use super::peek;
use super::send_now;
use super::shutdown;
use super::socket::Socket;
use crate::limits::SENT_AT_ONCE_BYTES_MIN;
use crate::worker::relay::pace::Pace;
use crate::worker::runtime::{Descriptor, Work};
use crate::worker::shard::buffer::Lease;
use crate::worker::shard::deadline::Deadline;

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
    kind: Kind,
    /// Bytes the kernel took that nobody has asked for yet.
    sent_bytes: u64,
    /// Nothing is sent after what is sent next.
    last: bool,
    /// The kernel took less than it was given.
    full: bool,
}

enum Kind {
    Ring(Rc<Descriptor>),
    Epoll(Box<Half>),
}

impl Sender {
    pub(super) fn on_ring(descriptor: Rc<Descriptor>) -> Self {
        let listed = Listed::new(descriptor.as_fd().as_raw_fd());
        Self { listed, kind: Kind::Ring(descriptor), sent_bytes: 0, last: false, full: false }
    }

    pub(super) fn on_epoll(half: Half, fd: RawFd) -> Self {
        Self { listed: Listed::new(fd), kind: Kind::Epoll(Box::new(half)), sent_bytes: 0, last: false, full: false }
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
        mut lease: Lease,
        deadline: &Deadline,
        progress_ms: u64,
        pace: Option<&Pace>,
    ) -> Result<Lease, SendFault> {
        let mut partly = false;
        while !lease.is_empty() {
            deadline.arm(pace.map_or(progress_ms, Pace::wait_ms));
            let since_ms = deadline.now_ms();
            let sent = deadline.bound(pin!(self.send_once(lease))).await;
            let taken = sent.as_ref().and_then(|(result, _)| result.as_ref().ok()).map_or(0, |n| *n);
            if let Some(pace) = pace {
                pace.count(deadline.now_ms() - since_ms, taken);
            }
            (_, lease) = sent.ok_or(SendFault { late: true, partly })?;
            if taken == 0 {
                return Err(SendFault { late: false, partly });
            }
            lease.advance(taken);
            self.sent_bytes += taken as u64;
            partly = true;
        }
        deadline.disarm();
        Ok(lease)
    }

    /// Sends of the lease what the kernel takes, at least one byte, however long that lasts. Says how many and
    /// gives the rest back.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send_some(&mut self, lease: Lease) -> Result<(usize, Lease), Lease> {
        let (result, mut lease) = self.send_once(lease).await;
        match result {
            Ok(sent) if sent > 0 => {
                lease.advance(sent);
                Ok((sent, lease))
            }
            _ => Err(lease),
        }
    }

    async fn send_once(&mut self, lease: Lease) -> (io::Result<usize>, Lease) {
        match &mut self.kind {
            Kind::Ring(descriptor) => {
                let much = lease.bytes().len() >= SENT_AT_ONCE_BYTES_MIN;
                if much && !std::mem::take(&mut self.full) {
                    let flags = if self.last { SendFlags::MORE } else { SendFlags::empty() };
                    match send_now(descriptor.as_fd(), lease.bytes(), flags) {
                        Moved::Some(bytes) => {
                            self.full = bytes < lease.bytes().len();
                            return (Ok(bytes), lease);
                        }
                        // The ring says why.
                        Moved::None | Moved::End | Moved::Broken => {}
                    }
                }
                let work = if self.last { Work::SendLast(lease) } else { Work::Send(lease) };
                let outcome = descriptor.begin(work).await;
                (outcome.result, outcome.lease.expect("a send gives its lease back"))
            }
            Kind::Epoll(half) => half.send(lease).await,
        }
    }

    /// Bytes that `send` and `send_paced` had the kernel take since the last time this was asked.
    pub fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent_bytes)
    }

    /// What is sent next is the last, and `finish` or `sever` follows at once: so both may go out in one segment, which
    /// costs half of two.
    pub fn ends_next(&mut self) {
        self.last = true;
    }

    /// Tells the peer that no more bytes come; what it sends is still received.
    pub fn finish(&self) {
        shutdown(self, Shutdown::Write);
    }

    /// Breaks the connection both ways: every pending operation completes at once.
    pub fn sever(&self) {
        shutdown(self, Shutdown::Both);
    }

    /// Whether the peer has broken the connection; that it sends no more does not count.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(peek(self.as_fd()), Moved::Broken)
    }

    /// Has the kernel watch the peer: asks after silence, breaks off what is not acknowledged; 0 leaves either as it
    /// is.
    pub fn guard(&self, keepalive_ms: u32, user_timeout_ms: u32) {
        if keepalive_ms > 0 {
            let seconds = Duration::from_secs(u64::from(keepalive_ms.div_ceil(1_000)));
            // A Unix socket has neither; its peer cannot vanish without the kernel knowing.
            let _ = sockopt::set_socket_keepalive(self, true);
            let _ = sockopt::set_tcp_keepidle(self, seconds);
            let _ = sockopt::set_tcp_keepintvl(self, seconds);
        }
        if user_timeout_ms > 0 {
            let _ = sockopt::set_tcp_user_timeout(self, user_timeout_ms);
        }
    }

    /// The connection's own end.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        rustix::net::getsockname(self).ok().and_then(|address| address.try_into().ok())
    }

    /// The same socket, for receiving by readiness.
    pub(super) fn socket(&self) -> Socket {
        match &self.kind {
            Kind::Ring(descriptor) => Socket::on_ring(descriptor.clone()),
            Kind::Epoll(half) => Socket::on_epoll(half.source(), self.as_fd().as_raw_fd()),
        }
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listed.socket()
    }
}
