//! The sending half of a connection that HTTP runs on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::{Shutdown, sockopt};

use super::epoll::Half;
use super::shutdown;
use super::socket::Socket;
use crate::worker::buffer::Lease;
use crate::worker::deadline::Deadline;
use crate::worker::runtime::{Descriptor, Work};

/// Bytes could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFault {
    /// The peer took none of them in time; otherwise the connection is broken.
    pub late: bool,
    /// The kernel took some bytes before.
    pub partly: bool,
}

/// The sending half.
pub struct Sender(Kind);

enum Kind {
    Ring(Rc<Descriptor>),
    Epoll(Half),
}

impl Sender {
    pub(super) fn on_ring(descriptor: Rc<Descriptor>) -> Self {
        Self(Kind::Ring(descriptor))
    }

    pub(super) fn on_epoll(half: Half) -> Self {
        Self(Kind::Epoll(half))
    }

    /// Sends everything readable in the lease and gives the lease back. The peer must take some bytes
    /// every `progress_ms`; 0 is no limit.
    ///
    /// # Errors
    /// When the peer is too slow or the connection is broken; it can only be closed then.
    pub async fn send(&mut self, lease: Lease, deadline: &Deadline, progress_ms: u64) -> Result<Lease, SendFault> {
        let mut lease = lease;
        let mut partly = false;
        while !lease.is_empty() {
            deadline.arm(progress_ms);
            let sent = deadline.bound(pin!(self.send_some(lease))).await;
            let (result, unsent) = sent.ok_or(SendFault { late: true, partly })?;
            lease = unsent;
            match result {
                Ok(n) if n > 0 => lease.advance(n),
                _ => return Err(SendFault { late: false, partly }),
            }
            partly = true;
        }
        deadline.disarm();
        Ok(lease)
    }

    /// Sends of the lease what the kernel takes at once.
    async fn send_some(&mut self, lease: Lease) -> (io::Result<usize>, Lease) {
        match &mut self.0 {
            Kind::Ring(descriptor) => {
                let outcome = descriptor.begin(Work::Send(lease)).await;
                (outcome.result, outcome.lease.expect("a send gives its lease back"))
            }
            Kind::Epoll(half) => Box::pin(half.send(lease)).await,
        }
    }

    /// Tells the peer that no more bytes come; what it sends is still received.
    pub fn finish(&self) {
        shutdown(self, Shutdown::Write);
    }

    /// Breaks the connection both ways: every pending operation completes at once.
    pub fn sever(&self) {
        shutdown(self, Shutdown::Both);
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

    /// The socket, whose other half must be gone.
    pub(super) fn into_socket(self) -> Socket {
        match self.0 {
            Kind::Ring(descriptor) => Socket::on_ring(descriptor),
            Kind::Epoll(half) => Socket::on_epoll(half.into_stream()),
        }
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Ring(descriptor) => descriptor.as_fd(),
            Kind::Epoll(half) => half.as_fd(),
        }
    }
}
