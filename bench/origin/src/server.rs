//! The loop of one thread: accept, receive, send, and what is due.
//!
//! In scope: readiness and time. Out of scope: what the bytes mean; that is `connection`.

use crate::answer::Stock;
use crate::args::Args;
use crate::connection::Connection;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, accept_with, recv, socket_with, sockopt};
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connections that may wait to be accepted; the kernel lowers it to its own limit.
const BACKLOG: i32 = 16_384;
const RECEIVE_BYTES: usize = 64 * 1024;
const EVENTS_MAX: usize = 1024;
/// The listener's token; a connection's is its key.
const LISTENER: u64 = u64::MAX;

/// One thread's listener and connections.
pub(crate) struct Server {
    epoll: OwnedFd,
    listener: OwnedFd,
    connections: Slab<Entry>,
    /// When to look at which connection; entries may be stale.
    agenda: BinaryHeap<Reverse<(Instant, usize)>>,
    stock: Stock,
    delay: Duration,
    scratch: Box<[u8]>,
}

/// A connection and what was arranged for it.
struct Entry {
    connection: Connection,
    /// What epoll watches it for.
    watched: EventFlags,
    /// When the agenda has it last.
    scheduled: Option<Instant>,
}

impl Server {
    /// Listens, without serving yet.
    ///
    /// # Errors
    ///
    /// The kernel's, such as an address in use.
    pub(crate) fn bind(args: &Args) -> std::io::Result<Self> {
        let listener = listen(args.listen, args.threads > 1)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            connections: Slab::new(),
            agenda: BinaryHeap::new(),
            stock: Stock::new(args),
            delay: args.delay,
            scratch: vec![0; RECEIVE_BYTES].into_boxed_slice(),
        })
    }

    /// Serves until epoll itself fails.
    pub(crate) fn run(&mut self) -> std::io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), self.time_left().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(fault) => return Err(fault.into()),
            }
            self.stock.refresh_date();
            for event in &events {
                let (token, flags) = (event.data.u64(), event.flags);
                if token == LISTENER {
                    self.accept();
                } else {
                    self.serve(token as usize, flags);
                }
            }
            self.wake_due();
        }
    }

    fn accept(&mut self) {
        loop {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => self.admit(socket),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                // No descriptor is left, most likely; the pause keeps a waiting connection from spinning this loop.
                Err(_) => return std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn admit(&mut self, socket: OwnedFd) {
        // Only a peer that has left already makes this fail.
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        let entry = self.connections.vacant_entry();
        let token = EventData::new_u64(entry.key() as u64);
        if epoll::add(&self.epoll, &socket, token, EventFlags::IN).is_ok() {
            entry.insert(Entry { connection: Connection::new(socket), watched: EventFlags::IN, scheduled: None });
        }
    }

    fn serve(&mut self, key: usize, flags: EventFlags) {
        // An event for a connection that an earlier event of the same turn closed.
        let Some(Entry { connection, .. }) = self.connections.get_mut(key) else { return };
        if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
            self.connections.remove(key);
            return;
        }
        if flags.contains(EventFlags::IN) && connection.listens() {
            match recv(&connection.socket, &mut self.scratch[..], RecvFlags::DONTWAIT) {
                Ok((_, bytes)) => connection.receive(&self.scratch[..bytes], self.delay, &self.stock),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => {
                    self.connections.remove(key);
                    return;
                }
            }
        }
        self.settle(key);
    }

    /// Sends, goes on with requests that waited for that, and decides what to watch for next.
    fn settle(&mut self, key: usize) {
        let Entry { connection, watched, scheduled } = &mut self.connections[key];
        loop {
            if connection.flush().is_err() {
                self.connections.remove(key);
                return;
            }
            if connection.owes() || !connection.resume(self.delay, &self.stock) {
                break;
            }
        }
        if connection.is_over() {
            self.connections.remove(key);
            return;
        }
        if connection.due != *scheduled {
            *scheduled = connection.due;
            self.agenda.extend(connection.due.map(|due| Reverse((due, key))));
        }
        let mut watch = EventFlags::empty();
        watch.set(EventFlags::IN, connection.listens());
        watch.set(EventFlags::OUT, connection.owes());
        if watch != *watched {
            *watched = watch;
            if epoll::modify(&self.epoll, &connection.socket, EventData::new_u64(key as u64), watch).is_err() {
                self.connections.remove(key);
            }
        }
    }

    fn wake_due(&mut self) {
        while let Some(&Reverse((due, key))) = self.agenda.peek() {
            if due > Instant::now() {
                return;
            }
            self.agenda.pop();
            match self.connections.get_mut(key) {
                Some(Entry { connection, .. }) if connection.due == Some(due) => {
                    if connection.wake(&self.stock) {
                        self.settle(key);
                    } else {
                        self.connections.remove(key);
                    }
                }
                _ => {}
            }
        }
    }

    /// How long epoll may wait; for ever when nothing is due.
    fn time_left(&self) -> Option<Timespec> {
        let Reverse((due, _)) = self.agenda.peek()?;
        let left = due.saturating_duration_since(Instant::now());
        Some(Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() })
    }
}

/// A port is shared only among this program's own threads: a second program on it is told so.
fn listen(address: SocketAddr, shared: bool) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let listener = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    sockopt::set_socket_reuseport(&listener, shared)?;
    rustix::net::bind(&listener, &address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}
