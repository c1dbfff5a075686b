//! Sockets and epoll, as both ends use them. Out of scope: what goes through.

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socket_with, sockopt};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Connections that may wait to be accepted; the kernel lowers it to its own limit.
const BACKLOG: i32 = 16_384;
const EVENTS_MAX: usize = 1024;
/// What is received or sent at once.
pub(crate) const SCRATCH_BYTES: usize = 256 * 1024;

/// An epoll with the events it told last.
pub(crate) struct Watch {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches a socket for bytes to come.
    pub(crate) fn add(&self, socket: &OwnedFd, key: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key), EventFlags::IN)?)
    }

    /// Watches it for room to send instead, or for bytes again.
    pub(crate) fn want_room(&self, socket: &OwnedFd, key: u64, room: bool) -> io::Result<()> {
        let flags = if room { EventFlags::OUT } else { EventFlags::IN };
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(key), flags)?)
    }

    /// Watches it no more.
    pub(crate) fn remove(&self, socket: &OwnedFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits for an event, at most so long; for ever without a limit.
    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<Vec<u64>> {
        let limit =
            limit.map(|limit| Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() });
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(self.events.iter().map(|event| event.data.u64()).collect()),
            Err(fault) => Err(fault.into()),
        }
    }
}

/// What a socket had.
pub(crate) enum Had {
    Bytes(usize),
    Nothing,
    End,
}

/// Receives what there is, without waiting.
pub(crate) fn receive(socket: &OwnedFd, scratch: &mut [u8]) -> io::Result<Had> {
    match recv(socket, scratch, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Ok(Had::End),
        Ok((bytes, _)) => Ok(Had::Bytes(bytes)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Had::Nothing),
        Err(fault) => Err(fault.into()),
    }
}

/// A listening socket.
pub(crate) fn listen(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let listener = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    rustix::net::bind(&listener, &address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}
