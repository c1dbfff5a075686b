//! Connections where there is no ring: monoio on epoll.
//!
//! A pending receive holds its buffer here. Out of scope: what the halves are for (`receive`, `send`, `socket`).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use monoio::buf::{IoBuf, Slice};
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net;

use super::receive::Received;
use super::turn::Turn;
use crate::worker::buffer::{Buffers, Class, Lease};

/// A connected stream.
pub(super) enum Stream {
    Tcp(net::TcpStream),
    Unix(net::UnixStream),
}

impl Stream {
    pub(super) fn accepted(stream: TcpStream) -> io::Result<Self> {
        net::TcpStream::from_std(stream).map(Self::Tcp)
    }

    pub(super) async fn dial(address: SocketAddr) -> io::Result<Self> {
        let stream = net::TcpStream::connect_addr(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    pub(super) async fn dial_unix(path: &Path) -> io::Result<Self> {
        net::UnixStream::connect(path).await.map(Self::Unix)
    }

    /// One half to receive by, one to send by.
    pub(super) fn into_halves(self) -> (Source, Half) {
        let fd = self.as_raw_fd();
        match self {
            Self::Tcp(stream) => {
                let (source, half) = stream.into_split();
                (Source::Tcp(source), Half { side: Side::Tcp(half), fd, turn: Turn::default() })
            }
            Self::Unix(stream) => {
                let (source, half) = stream.into_split();
                (Source::Unix(source), Half { side: Side::Unix(half), fd, turn: Turn::default() })
            }
        }
    }

    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable(false).await,
            Self::Unix(stream) => stream.readable(false).await,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable(false).await,
            Self::Unix(stream) => stream.writable(false).await,
        }
    }
}

impl AsFd for Stream {
    #[expect(unsafe_code, reason = "the runtime's stream gives only a raw descriptor")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns the descriptor and is borrowed for as long as the result is.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}

/// The half that is received by.
pub(super) enum Source {
    Tcp(OwnedReadHalf<net::TcpStream>),
    Unix(OwnedReadHalf<net::UnixStream>),
}

/// Receives one after another, armed again and again.
pub(super) struct Receiving {
    slot: Rc<Slot>,
    operation: Pin<Box<dyn Future<Output = ()>>>,
    armed: bool,
}

/// Between receiver and operation: what is wanted, and what came.
#[derive(Default)]
struct Slot {
    wanted: Cell<Option<Class>>,
    came: Cell<Option<Received>>,
}

impl Receiving {
    pub(super) fn new(source: Source, buffers: &Buffers) -> Self {
        let slot = Rc::new(Slot::default());
        let operation: Pin<Box<dyn Future<Output = ()>>> = match source {
            Source::Tcp(half) => Box::pin(receive_on_demand(half, slot.clone(), buffers.clone())),
            Source::Unix(half) => Box::pin(receive_on_demand(half, slot.clone(), buffers.clone())),
        };
        Self { slot, operation, armed: false }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, class: Class) -> Poll<Received> {
        if !self.armed {
            self.slot.wanted.set(Some(class));
            self.armed = true;
        }
        if self.operation.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Received::Broken);
        }
        match self.slot.came.take() {
            Some(received) => {
                self.armed = false;
                Poll::Ready(received)
            }
            None => Poll::Pending,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.armed
    }
}

/// Receives when asked; holds a buffer only while a receive is pending.
async fn receive_on_demand<R: AsyncReadRent>(mut half: R, slot: Rc<Slot>, buffers: Buffers) {
    let mut turn = Turn::default();
    loop {
        let class = poll_fn(|_| slot.wanted.take().map_or(Poll::Pending, Poll::Ready)).await;
        let (bytes, _, home) = buffers.lease(class).lend();
        let (result, bytes) = turn.take(pin!(half.read(bytes))).await;
        let lease = home.adopt(bytes);
        slot.came.set(Some(match result {
            Ok(0) => Received::End,
            Ok(_) => Received::Data(lease),
            Err(_) => Received::Broken,
        }));
    }
}

/// The half that is sent by.
pub(super) struct Half {
    side: Side,
    fd: RawFd,
    turn: Turn,
}

enum Side {
    Tcp(OwnedWriteHalf<net::TcpStream>),
    Unix(OwnedWriteHalf<net::UnixStream>),
}

impl Half {
    /// Sends of the lease what the kernel takes at once.
    pub(super) async fn send(&mut self, lease: Lease) -> (io::Result<usize>, Lease) {
        let (bytes, start, home) = lease.lend();
        let end = bytes.len();
        let (result, slice) = self.write(bytes.slice(start..end)).await;
        let mut lease = home.adopt(slice.into_inner());
        lease.advance(start);
        (result, lease)
    }

    async fn write(&mut self, slice: Slice<Vec<u8>>) -> (io::Result<usize>, Slice<Vec<u8>>) {
        match &mut self.side {
            Side::Tcp(half) => self.turn.take(pin!(half.write(slice))).await,
            Side::Unix(half) => self.turn.take(pin!(half.write(slice))).await,
        }
    }

    /// The stream, whose other half must be gone.
    pub(super) fn into_stream(self) -> Stream {
        match self.side {
            Side::Tcp(half) => Stream::Tcp(whole(half)),
            Side::Unix(half) => Stream::Unix(whole(half)),
        }
    }
}

impl AsFd for Half {
    #[expect(unsafe_code, reason = "the runtime's stream gives only a raw descriptor")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `fd` was read from the stream whose write half is in `self.side`. The runtime closes a
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
