//! Accepting connections on one core: a loop for each listening socket.
//!
//! A loop waits until its socket is readable and then takes what waits, so stopping it loses nothing: no accept
//! is ever under way in the kernel. Stopping empties the queue first, because closing the last handle on a
//! socket of a SO_REUSEPORT group resets what waits there. Sockets are non-blocking: two processes may serve one
//! during an upgrade. What is accepted is served here or given to another worker (`handover`). Out of scope:
//! opening sockets (control), what a connection says (`session`, `tcp`).

pub mod admission;
pub mod handover;
pub mod proxied;
pub mod tcp;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use self::handover::Fresh;
use super::io::{self as sockets, Connection, Readiness};
use super::runtime;
use super::session;
use super::shard::Shard;
use crate::end::End;
use crate::ids::EpochId;
use crate::limits::{ACCEPTS_PER_TURN, EXHAUSTED_PAUSE_MS};
use crate::wall::link::silence;
use crate::wall::listen::Entrance;
use crate::worker::session::downstream::Caller;

/// What control stops a loop by.
#[derive(Default)]
pub struct Gate {
    closing: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    /// The loop ends once the queue is empty.
    pub fn close(&self) {
        self.closing.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.closing.get() {
            return Poll::Ready(());
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A listening socket in the runtime's hands.
pub struct Door {
    readiness: Readiness,
    socket: TcpListener,
    entrance: Entrance,
    since: EpochId,
}

impl Door {
    /// Hands a listening socket to the runtime. Workers on epoch `since` or a later one know the entrance.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn open(socket: TcpListener, entrance: Entrance, since: EpochId) -> io::Result<Self> {
        Ok(Self { readiness: Readiness::of_listener(&socket)?, socket, entrance, since })
    }

    fn speaks_http(&self) -> bool {
        matches!(self.entrance, Entrance::Http)
    }
}

/// Accepts until the gate is closed, then takes what still waits, unless it is left to who takes this worker's place.
pub async fn run(shard: Rc<Shard>, door: Door, gate: Rc<Gate>) {
    while !shard.is_cut() {
        let taken = take_waiting(&shard, &door);
        match taken {
            // A signal or the peer's own doing is no reason to wait.
            Taken::Some => continue_after_others().await,
            Taken::Exhausted => runtime::sleep(Duration::from_millis(EXHAUSTED_PAUSE_MS)).await,
            Taken::All if gate.closing.get() => return,
            Taken::All => wait(&door, &gate).await,
        }
    }
}

/// What a turn at the queue came to.
enum Taken {
    /// The queue is empty.
    All,
    /// As many as one turn may take; there may be more.
    Some,
    /// The process has no descriptor left.
    Exhausted,
}

fn take_waiting(shard: &Rc<Shard>, door: &Door) -> Taken {
    let non_blocking = if sockets::wants_non_blocking() { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
    let flags = non_blocking | SocketFlags::CLOEXEC;
    for _ in 0..ACCEPTS_PER_TURN {
        match acceptfrom_with(&door.socket, flags) {
            Ok((stream, peer)) => {
                shard.admission.reserve();
                if let Some(peer) = peer.and_then(|peer| SocketAddr::try_from(peer).ok()) {
                    place(shard, door, stream.into(), peer);
                }
            }
            Err(error) if is_peers_doing(error) => {}
            Err(Errno::AGAIN) => return Taken::All,
            Err(Errno::MFILE | Errno::NFILE) if turn_one_away(shard, door, flags) => {}
            Err(_) => return Taken::Exhausted,
        }
    }
    Taken::Some
}

/// There is no descriptor but the reserve: it lets one connection in to be told so. False where that cannot be.
fn turn_one_away(shard: &Shard, door: &Door, flags: SocketFlags) -> bool {
    if !shard.admission.spend() {
        return false;
    }
    let accepted = acceptfrom_with(&door.socket, flags);
    if let Ok((stream, peer)) = &accepted {
        shard.meter.connection();
        let peer = peer.as_ref().and_then(|peer| SocketAddr::try_from(peer.clone()).ok());
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        admission::turn_away(shard, stream, peer, door.speaks_http(), End::Exhausted);
    }
    let told = accepted.is_ok();
    drop(accepted);
    shard.admission.reserve();
    told
}

/// Serves a connection here, or gives it to a worker that has fewer.
fn place(shard: &Rc<Shard>, door: &Door, stream: TcpStream, peer: SocketAddr) {
    let entrance = &door.entrance;
    let handovers = &shard.shared.handovers;
    let Some(to) = shard.evenness.better(handovers, shard.connections(), door.since, shard.clock.now_ms()) else {
        return welcome(shard, entrance, stream, peer);
    };
    match handovers.give(to, Fresh { stream, peer, entrance: entrance.clone() }) {
        Ok(()) => shard.meter.handed_over(),
        Err(Fresh { stream, .. }) => welcome(shard, entrance, stream, peer),
    }
}

/// Serves what other workers have accepted for this one.
pub async fn take_in(shard: Rc<Shard>, bell: Readiness) {
    let handovers = &shard.shared.handovers;
    while !shard.is_cut() {
        for Fresh { stream, peer, entrance } in handovers.inlet(shard.worker).try_iter() {
            welcome(&shard, &entrance, stream, peer);
        }
        shard.lines.wake();
        // A bell that fails is no reason to leave what is given unserved.
        if bell.readable().await.is_err() {
            runtime::sleep(Duration::from_millis(EXHAUSTED_PAUSE_MS)).await;
        }
        silence(handovers.heard(shard.worker));
    }
}

/// Lets the core's other connections have their turn: the runtime's finest timer.
async fn continue_after_others() {
    runtime::sleep(Duration::from_millis(1)).await;
}

/// Until somebody knocks or the gate is closed.
async fn wait(door: &Door, gate: &Gate) {
    let mut readable = pin!(door.readiness.readable());
    poll_fn(|cx| match gate.poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => readable.as_mut().poll(cx).map(drop),
    })
    .await;
}

/// The connection was gone before it was accepted, or a signal came.
fn is_peers_doing(error: Errno) -> bool {
    // accept(2): on Linux a new connection's own pending network errors come here too.
    matches!(
        error,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::NETDOWN
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
    )
}

/// Gives the connection a task of its own, where it is let in; a panic in it costs this connection only.
fn welcome(shard: &Rc<Shard>, entrance: &Entrance, stream: TcpStream, peer: SocketAddr) {
    shard.meter.connection();
    let counted = match admission::admit(shard, peer) {
        Ok(counted) => counted,
        Err(end) => {
            let address = peer.ip().to_canonical();
            return admission::turn_away(shard, &stream, address, matches!(entrance, Entrance::Http), end);
        }
    };
    let Ok(connection) = Connection::accepted(stream, &shard.buffers) else { return };
    let caller = Caller { connection, peer, counted };
    match entrance {
        Entrance::Http => guard(shard, session::run(shard.clone(), caller)),
        Entrance::Tcp { service } => guard(shard, tcp::run(shard.clone(), caller, service.clone())),
    }
}

/// Combined and not awaited in a block, in which it would stand twice.
fn guard(shard: &Rc<Shard>, life: impl Future<Output = ()> + 'static) {
    // Counted before the task first runs: the next accept may come before that.
    let (shard, presence) = (shard.clone(), shard.enter());
    runtime::spawn(std::panic::AssertUnwindSafe(life).catch_unwind().map(move |outcome| {
        if outcome.is_err() {
            shard.meter.panic();
        }
        drop(presence);
    }));
}
