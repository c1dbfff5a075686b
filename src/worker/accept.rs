//! Accepting client connections on one core.
//!
//! One accept is pending at a time and is never dropped (a dropped one leaks its descriptor): it is
//! cancelled and awaited to its end. Stopping takes what waits in the accept queue first, because closing
//! a listener of a SO_REUSEPORT group resets it. A connection may go to another worker (`handover`). Out of scope: what a connection says (`session`).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use monoio::io::Canceller;
use monoio::net::{TcpStream, UnixStream};
use monoio::utils::is_legacy;

use super::handover::Fresh;
use super::io::{Connection, Turn};
use super::session;
use super::shard::Shard;
use crate::wall::link::silence;

/// Out of descriptors: wait for some to come back instead of spinning.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(20);

/// A listening socket in the runtime's hands, with a second handle on it for the end.
pub struct Door {
    listener: monoio::net::TcpListener,
    waiting: TcpListener,
}

/// Hands a listening socket to the runtime.
///
/// # Errors
/// When the process is out of descriptors.
pub fn open(listener: TcpListener) -> io::Result<Door> {
    // epoll waits for readiness and then calls accept, which must not block; under io_uring the accept of a
    // non-blocking listener would fail at once instead of waiting.
    listener.set_nonblocking(is_legacy())?;
    let waiting = listener.try_clone()?;
    Ok(Door { listener: monoio::net::TcpListener::from_std(listener)?, waiting })
}

/// Accepts until cancelled, then takes what still waits and closes the listener.
///
/// # Errors
/// When the listener cannot be used any more.
pub async fn run(shard: Rc<Shard>, door: Door) -> io::Result<()> {
    let Door { listener, waiting } = door;
    let canceller = Canceller::new();
    let handle = canceller.handle();
    *shard.accepting.borrow_mut() = Some(canceller);
    let mut turn = Turn::default();
    while !shard.draining() {
        match turn.take(pin!(listener.cancelable_accept(handle.clone()))).await {
            Ok((stream, peer)) => place(&shard, stream, peer),
            Err(_) if shard.draining() => break,
            Err(error) if is_peers_doing(&error) => {}
            Err(_) => monoio::time::sleep(EXHAUSTED_PAUSE).await,
        }
    }
    waiting.set_nonblocking(true)?;
    loop {
        match waiting.accept() {
            Ok((stream, peer)) => {
                take_over(&shard, stream, peer);
            }
            Err(error) if is_peers_doing(&error) => {}
            Err(_) => return Ok(()),
        }
    }
}

/// Serves a connection here, or gives it to a worker that has fewer.
fn place(shard: &Rc<Shard>, stream: TcpStream, peer: SocketAddr) {
    let handovers = &shard.shared.handovers;
    let Some(to) = shard.evenness.better(handovers, shard.connections(), shard.clock.now_ms()) else {
        return welcome(shard, stream, peer);
    };
    // Out of descriptors: the client is turned away by the close.
    let Ok(stream) = Connection::tcp(stream, &shard.buffers).release() else { return };
    match handovers.give(to, Fresh { stream, peer }) {
        Ok(()) => shard.meter.handed_over(),
        Err(Fresh { stream, peer }) => take_over(shard, stream, peer),
    }
}

fn take_over(shard: &Rc<Shard>, stream: std::net::TcpStream, peer: SocketAddr) {
    if let Ok(stream) = adopt(stream) {
        welcome(shard, stream, peer);
    }
}

/// Serves what other workers have accepted for this one.
///
/// # Errors
/// When the doorbell cannot be used.
pub async fn take_in(shard: Rc<Shard>) -> io::Result<()> {
    let heard = shard.shared.handovers.bell(shard.worker)?;
    let bell = UnixStream::from_std(heard.try_clone()?)?;
    while !shard.is_cut() {
        for Fresh { stream, peer } in shard.shared.handovers.inlet(shard.worker).try_iter() {
            take_over(&shard, stream, peer);
        }
        bell.readable(false).await?;
        silence(&heard);
    }
    Ok(())
}

/// Takes a stream that the runtime did not accept itself.
fn adopt(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(is_legacy())?;
    TcpStream::from_std(stream)
}

/// The connection was gone before it was accepted.
fn is_peers_doing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// Gives the connection a task of its own; a panic in it costs this connection only.
fn welcome(shard: &Rc<Shard>, stream: TcpStream, peer: SocketAddr) {
    shard.meter.connection();
    let connection = Connection::tcp(stream, &shard.buffers);
    // Counted before the task first runs: the next accept may come before that.
    let presence = shard.enter();
    let shard = shard.clone();
    monoio::spawn(async move {
        let session = session::run(shard.clone(), connection, peer.ip().to_canonical());
        if std::panic::AssertUnwindSafe(session).catch_unwind().await.is_err() {
            shard.meter.panic();
        }
        drop(presence);
    });
}
