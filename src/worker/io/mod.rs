//! The only folder that awaits a socket.
//!
//! A connection is used in one of two ways. HTTP runs on `Receiver` and `Sender`: they lend received bytes (a
//! `Lease`) and take bytes to send, each with one operation in the kernel's hands. A receive is never dropped
//! while its connection lives: not waiting for it any longer leaves it pending, and what it brings is given to
//! whoever asks next. Tunnels receive by `Socket`, which waits for readiness only, so that waiting holds no buffer.
//!
//! No stage asks for a buffer to receive into or sees the runtime below, so the driver can change without
//! touching a stage. Closing is asked of the kernel first (`shutdown`), then the descriptor goes when the last
//! operation on it has completed. Out of scope: deadlines (`deadline`), what the bytes mean.

mod open;
mod pipe;
mod receive;
mod send;
mod socket;
mod turn;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;

use monoio::io::Splitable;
use monoio::net::{TcpStream, UnixStream};

pub use self::open::sever_all;
pub use self::pipe::{Pipe, Pipes};
pub use self::receive::{Received, Receiver};
pub use self::send::{SendFault, Sender};
pub use self::socket::{Moved, Socket};
pub use self::turn::Turn;
use super::buffer::Buffers;

/// Both halves of one connection.
pub struct Connection {
    /// The receiving half.
    pub rx: Receiver,
    /// The sending half.
    pub tx: Sender,
}

impl Connection {
    /// An accepted or dialled TCP connection.
    #[must_use]
    pub fn tcp(stream: TcpStream, buffers: &Buffers) -> Self {
        let fd = stream.as_raw_fd();
        let (rx, tx) = stream.into_split();
        Self { rx: Receiver::new(rx, buffers), tx: Sender::tcp(tx, fd) }
    }

    /// A dialled Unix connection.
    #[must_use]
    pub fn unix(stream: UnixStream, buffers: &Buffers) -> Self {
        let fd = stream.as_raw_fd();
        let (rx, tx) = stream.into_split();
        Self { rx: Receiver::new(rx, buffers), tx: Sender::unix(tx, fd) }
    }

    /// Dials a TCP address.
    ///
    /// # Errors
    /// As connect(2).
    pub async fn dial(address: SocketAddr, buffers: &Buffers) -> io::Result<Self> {
        let stream = TcpStream::connect_addr(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::tcp(stream, buffers))
    }

    /// Dials a Unix socket.
    ///
    /// # Errors
    /// As connect(2).
    pub async fn dial_unix(path: &Path, buffers: &Buffers) -> io::Result<Self> {
        Ok(Self::unix(UnixStream::connect(path).await?, buffers))
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
