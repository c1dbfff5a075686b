//! The only file that awaits a socket.
//!
//! It lends received bytes (`Receiver::poll` gives a `Lease`) and takes bytes to send; no stage asks it
//! for a buffer or sees the runtime below, so the driver can change without touching a stage. A receive
//! is never dropped while its connection lives: not waiting for it any longer leaves it pending, and
//! what it brings is given to whoever asks next. Closing is asked of the kernel first (`shutdown`),
//! then the descriptor goes when the last operation on it has completed. Out of scope: deadlines
//! (`deadline`), what the bytes mean.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use monoio::buf::{IoBuf, Slice};
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedWriteHalf, Splitable};
use monoio::net::{TcpStream, UnixStream};

use super::buffer::{Buffers, Class, Lease};
use super::deadline::Deadline;
use super::pace::Pace;
use crate::limits::{OPERATIONS_PER_TURN, SMALL_BUFFER_BYTES, TINY_BUFFER_BYTES, TURN_PAUSE_MS};

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
        Self { rx: Receiver::new(rx, buffers), tx: Sender { half: Half::Tcp(tx), fd, turn: Turn::default() } }
    }

    /// A dialled Unix connection.
    #[must_use]
    pub fn unix(stream: UnixStream, buffers: &Buffers) -> Self {
        let fd = stream.as_raw_fd();
        let (rx, tx) = stream.into_split();
        Self { rx: Receiver::new(rx, buffers), tx: Sender { half: Half::Unix(tx), fd, turn: Turn::default() } }
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
}

/// A core is shared. On a ring every operation returns to the runtime; under epoll one whose socket is
/// ready completes at once, and a fast peer could keep a core, its timers included, for itself.
#[derive(Debug, Default)]
pub struct Turn {
    unwaited: u32,
}

impl Turn {
    /// Runs the operation, after a pause where too many before it completed at once.
    pub async fn take<T>(&mut self, mut operation: Pin<&mut impl Future<Output = T>>) -> T {
        if self.unwaited >= OPERATIONS_PER_TURN {
            self.unwaited = 0;
            // Rare, so its room is not kept in every connection. Waking oneself instead would starve the timers.
            Box::pin(monoio::time::sleep(Duration::from_millis(TURN_PAUSE_MS))).await;
        }
        let mut waited = false;
        let done = poll_fn(|cx| {
            let polled = operation.as_mut().poll(cx);
            waited |= polled.is_pending();
            polled
        })
        .await;
        self.unwaited = if waited { 0 } else { self.unwaited + 1 };
        done
    }
}

/// What a receive brought.
#[derive(Debug)]
pub enum Received {
    /// Bytes, at least one.
    Data(Lease),
    /// The peer sends no more.
    End,
    /// The connection is broken.
    Broken,
}

/// The receiving half: one operation that is armed again and again.
pub struct Receiver {
    slot: Rc<Slot>,
    operation: Pin<Box<dyn Future<Output = ()>>>,
    armed: bool,
    habit: Habit,
}

/// How large a buffer suits a peer, by what it sent last, so that a receive that may wait for long holds no
/// larger one than it will need: whoever has just filled a buffer gets what is asked for, any other a tiny one, or
/// a small one when its last burst filled more.
#[derive(Debug)]
struct Habit(Class);

impl Habit {
    fn class(&self, wanted: Class) -> Class {
        if self.0 == Class::Large { wanted.max(Class::Small) } else { wanted.min(self.0) }
    }

    fn learn(&mut self, received: &Received) {
        let Received::Data(lease) = received else { return };
        let bytes = lease.bytes().len();
        self.0 = if bytes == lease.capacity() || bytes >= SMALL_BUFFER_BYTES {
            Class::Large
        } else if bytes > TINY_BUFFER_BYTES || self.0 == Class::Large {
            Class::Small
        } else {
            Class::Tiny
        };
    }
}

/// Between the receiver and its operation: what is wanted, and what came.
#[derive(Default)]
struct Slot {
    wanted: Cell<Option<Class>>,
    came: Cell<Option<Received>>,
}

impl Receiver {
    fn new<R: AsyncReadRent + 'static>(half: R, buffers: &Buffers) -> Self {
        let slot = Rc::new(Slot::default());
        Self {
            operation: Box::pin(receive_on_demand(half, slot.clone(), buffers.clone())),
            slot,
            armed: false,
            habit: Habit(Class::Tiny),
        }
    }

    /// Polls the pending receive, arming one of the class at most first if none is pending.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>, class: Class) -> Poll<Received> {
        if !self.armed {
            self.slot.wanted.set(Some(self.habit.class(class)));
            self.armed = true;
        }
        if self.operation.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Received::Broken);
        }
        match self.slot.came.take() {
            Some(received) => {
                self.armed = false;
                self.habit.learn(&received);
                Poll::Ready(received)
            }
            None => Poll::Pending,
        }
    }

    /// Waits for bytes.
    pub fn receive(&mut self, class: Class) -> impl Future<Output = Received> {
        poll_fn(move |cx| self.poll(cx, class))
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

    fn shutdown(&self, how: rustix::net::Shutdown) {
        // A connection that is broken already needs no shutdown.
        let _ = rustix::net::shutdown(self.descriptor(), how);
    }

    #[expect(unsafe_code, reason = "the runtime's stream gives only a raw descriptor")]
    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: `fd` was read from the stream whose write half is in `self.half`. The runtime closes a
        // descriptor only when the last half and the last operation on it are gone, so it stays open,
        // and stays this socket, for as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }
}
