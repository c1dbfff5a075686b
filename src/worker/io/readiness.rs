//! Waiting until a socket that somebody else uses has something to take: a listening socket, control's doorbell.
//!
//! Out of scope: taking it (`accept`, `orders`).

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use monoio::net;

use crate::worker::runtime::{Descriptor, Executor, Work};

/// A socket to be waited for.
pub struct Readiness(Kind);

enum Kind {
    Ring(Rc<Descriptor>),
    Listener(net::TcpListener),
    Bell(net::UnixStream),
}

impl Readiness {
    /// Of a listening socket.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn of_listener(listener: &TcpListener) -> io::Result<Self> {
        let listener = listener.try_clone()?;
        Ok(Self(match on_ring(listener) {
            Ok(descriptor) => Kind::Ring(descriptor),
            Err(listener) => Kind::Listener(net::TcpListener::from_std(listener)?),
        }))
    }

    /// Of a doorbell.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn of_bell(bell: &UnixStream) -> io::Result<Self> {
        let bell = bell.try_clone()?;
        Ok(Self(match on_ring(bell) {
            Ok(descriptor) => Kind::Ring(descriptor),
            Err(bell) => Kind::Bell(net::UnixStream::from_std(bell)?),
        }))
    }

    /// Waits until there is something to take. May be given up at any time.
    ///
    /// # Errors
    /// When the socket cannot be waited for.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Ring(descriptor) => descriptor.begin(Work::Readable).await.result.map(drop),
            Kind::Listener(listener) => Box::pin(listener.readable(false)).await,
            Kind::Bell(bell) => Box::pin(bell.readable(false)).await,
        }
    }
}

/// The socket in the hands of this thread's executor, or itself where there is none.
fn on_ring<S: Into<OwnedFd>>(socket: S) -> Result<Rc<Descriptor>, S> {
    match Executor::current() {
        Some(executor) => Ok(Descriptor::new(socket.into(), executor)),
        None => Err(socket),
    }
}
