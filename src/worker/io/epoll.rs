//! Connections where there is no ring: monoio on epoll.
//!
//! A pending receive holds its buffer here. Out of scope: what the halves are for (`receive`, `send`, `socket`).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use monoio::buf::{IoBuf, Slice};
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net;

use super::receive::Received;
use super::turn::Turn;
use crate::worker::shard::buffer::{Buffers, Class, Lease};

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
        match self {
            Self::Tcp(stream) => {
                let (source, half) = stream.into_split();
                (Source::Tcp(source), Half { side: Side::Tcp(half), turn: Turn::default() })
            }
            Self::Unix(stream) => {
                let (source, half) = stream.into_split();
                (Source::Unix(source), Half { side: Side::Unix(half), turn: Turn::default() })
            }
        }
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

/// The half that is received by.
pub(super) enum Source {
    Tcp(OwnedReadHalf<net::TcpStream>),
    Unix(OwnedReadHalf<net::UnixStream>),
}

impl Source {
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => whole(half).readable(false).await,
            Self::Unix(half) => whole(half).readable(false).await,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => whole(half).writable(false).await,
            Self::Unix(half) => whole(half).writable(false).await,
        }
    }
}

#[expect(unsafe_code, reason = "the runtime's halves do not give their stream, which alone can be waited for")]
fn whole<T>(half: &OwnedReadHalf<T>) -> &T {
    // SAFETY: the stream lives as long as a half of it does. A `&mut` to it is made only inside the runtime's
    // read and write, for the time it takes to submit an operation, during which nothing else runs here; what
    // is used of the stream by `&` is its descriptor, which never changes.
    unsafe { &*half.0.get() }
}

/// Receives one after another, armed again and again.
pub(super) struct Receiving {
    slot: Rc<Slot>,
    operation: Pin<Box<dyn Future<Output = ()>>>,
    armed: bool,
    /// The last receive filled its buffer.
    filled: bool,
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
        Self { slot, operation, armed: false, filled: false }
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
                self.filled = matches!(&received, Received::Data(lease) if lease.bytes().len() == lease.capacity());
                Poll::Ready(received)
            }
            None => Poll::Pending,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.armed
    }

    pub(super) fn has_more(&self) -> bool {
        self.filled
    }
}

/// Receives when asked; holds a buffer only while a receive is pending.
async fn receive_on_demand<R: AsyncReadRent>(mut half: R, slot: Rc<Slot>, buffers: Buffers) {
    let mut turn = Turn::default();
    loop {
        let class = poll_fn(|_| slot.wanted.take().map_or(Poll::Pending, Poll::Ready)).await;
        let (bytes, _, lease) = buffers.lease(class).lend();
        let (result, bytes) = turn.take(pin!(half.read(bytes))).await;
        let lease = lease.adopt(bytes);
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
    turn: Turn,
}

enum Side {
    Tcp(OwnedWriteHalf<net::TcpStream>),
    Unix(OwnedWriteHalf<net::UnixStream>),
}

impl Half {
    /// Sends of the lease what the kernel takes at once.
    pub(super) async fn send(&mut self, lease: Lease) -> (io::Result<usize>, Lease) {
        let (bytes, start, lease) = lease.lend();
        let end = bytes.len();
        let (result, slice) = self.write(bytes.slice(start..end)).await;
        let mut lease = lease.adopt(slice.into_inner());
        lease.advance(start);
        (result, lease)
    }

    async fn write(&mut self, slice: Slice<Vec<u8>>) -> (io::Result<usize>, Slice<Vec<u8>>) {
        match &mut self.side {
            Side::Tcp(half) => self.turn.take(pin!(half.write(slice))).await,
            Side::Unix(half) => self.turn.take(pin!(half.write(slice))).await,
        }
    }

    /// The half to receive by, again.
    pub(super) fn source(&self) -> Source {
        match &self.side {
            Side::Tcp(half) => Source::Tcp(OwnedReadHalf(half.0.clone())),
            Side::Unix(half) => Source::Unix(OwnedReadHalf(half.0.clone())),
        }
    }
}
