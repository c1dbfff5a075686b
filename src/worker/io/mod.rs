//! The only folder that awaits a socket.
//!
//! A connection is used in one of two ways. HTTP runs on `Receiver` and `Sender`: they lend received bytes (a
//! `Lease`) and take bytes to send, each with one operation in the kernel's hands. A receive is never dropped
//! while its connection lives: not waiting for it any longer leaves it pending, and what it brings is given to
//! whoever asks next. Tunnels receive by `Socket`, which waits for readiness only, so that waiting holds no buffer.
//!
//! No stage asks for a buffer to receive into or sees the runtime below: each type here has a half for a ring and one
//! for epoll, where monoio is the runtime (`epoll`). Closing is asked of the kernel first (`shutdown`), then the
//! descriptor goes when the last operation on it has completed. Out of scope: deadlines (`deadline`), what the bytes
//! mean.

mod epoll;
mod open;
mod pipe;
mod readiness;
mod receive;
mod send;
mod socket;
mod turn;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use socket2::SockAddr;

use self::epoll::Stream;
pub use self::open::sever_all;
pub use self::pipe::{Pipe, Pipes};
pub use self::readiness::Readiness;
pub use self::receive::{Received, Receiver};
pub use self::send::{SendFault, Sender};
pub use self::socket::{Moved, Socket};
use self::socket::{peek, receive_now, send_now};
pub use self::turn::Turn;
use super::runtime::{Descriptor, Executor, Work};
use crate::worker::shard::buffer::Buffers;

/// Both halves of one connection.
pub struct Connection {
    /// The receiving half.
    pub rx: Receiver,
    /// The sending half.
    pub tx: Sender,
}

impl Connection {
    /// An accepted TCP connection.
    ///
    /// # Errors
    /// When the runtime cannot take it.
    pub fn accepted(stream: TcpStream, buffers: &Buffers) -> io::Result<Self> {
        match Executor::current() {
            Some(executor) => Ok(Self::on_ring(Descriptor::new(stream.into(), executor), buffers)),
            None => Ok(Self::on_epoll(Stream::accepted(stream)?, buffers)),
        }
    }

    fn on_ring(descriptor: Rc<Descriptor>, buffers: &Buffers) -> Self {
        Self { rx: Receiver::on_ring(descriptor.clone(), buffers), tx: Sender::on_ring(descriptor) }
    }

    fn on_epoll(stream: Stream, buffers: &Buffers) -> Self {
        let fd = stream.as_raw_fd();
        let (source, half) = stream.into_halves();
        Self { rx: Receiver::on_epoll(source, buffers), tx: Sender::on_epoll(half, fd) }
    }

    /// Dials a TCP address.
    ///
    /// # Errors
    /// As connect(2).
    pub async fn dial(address: SocketAddr, buffers: &Buffers) -> io::Result<Self> {
        let Some(executor) = Executor::current() else {
            return Ok(Self::on_epoll(Stream::dial(address).await?, buffers));
        };
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        rustix::net::sockopt::set_tcp_nodelay(&fd, true)?;
        Ok(Self::on_ring(connect(fd, address.into(), executor).await?, buffers))
    }

    /// Dials a Unix socket.
    ///
    /// # Errors
    /// As connect(2).
    pub async fn dial_unix(path: &Path, buffers: &Buffers) -> io::Result<Self> {
        let Some(executor) = Executor::current() else {
            return Ok(Self::on_epoll(Stream::dial_unix(path).await?, buffers));
        };
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        Ok(Self::on_ring(connect(fd, SockAddr::unix(path)?, executor).await?, buffers))
    }

    /// The connection for a use by readiness. `None`, and it is gone, where a receive is pending: that cannot be
    /// taken back without a risk to what it brings.
    #[must_use]
    pub fn into_socket(self) -> Option<(Socket, Sender)> {
        let Self { rx, tx } = self;
        if rx.is_pending() {
            tx.sever();
            return None;
        }
        // The receiver's own half goes with it; no operation of it is left.
        drop(rx);
        Some((tx.socket(), tx))
    }
}

async fn connect(fd: OwnedFd, address: SockAddr, executor: &'static Executor) -> io::Result<Rc<Descriptor>> {
    let descriptor = Descriptor::new(fd, executor);
    descriptor.begin(Work::Connect(Box::new(address))).await.result?;
    Ok(descriptor)
}

/// Breaks a connection, or one way of it.
fn shutdown(socket: impl AsFd, how: rustix::net::Shutdown) {
    // A connection that is broken already needs no shutdown.
    let _ = rustix::net::shutdown(socket, how);
}

/// Whether sockets must not block: on a ring, operations on one that does not would fail where they are to wait.
#[must_use]
pub fn wants_non_blocking() -> bool {
    Executor::current().is_none()
}
