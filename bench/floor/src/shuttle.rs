//! The loop: wait for completions, answer each with the next operation.
//!
//! In scope: what follows from each completion, running out of buffers or descriptors.
//! Out of scope: the order of bytes (`pair`), the kernel's interface (`ring`, `buffers`).

use crate::pair::{Pair, Parcel};
use crate::ring::{Completion, Ring, Side, Tag};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use slab::Slab;
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

/// The listener, the ring and every pair of connections.
pub(crate) struct Shuttle {
    listener: TcpListener,
    ring: Ring,
    pairs: Slab<Pair>,
    /// Receives that ended because no buffer was left; they go on when one comes back.
    starved: Vec<(u32, Side)>,
    /// The accept ended because no descriptor was left; it goes on when a pair closes.
    accept_waits: bool,
}

impl Shuttle {
    /// # Errors
    ///
    /// The kernel's, when the ring cannot be had.
    pub(crate) fn new(listener: TcpListener, upstream: SocketAddrV4) -> io::Result<Self> {
        let ring = Ring::new(upstream)?;
        Ok(Self { listener, ring, pairs: Slab::new(), starved: Vec::new(), accept_waits: false })
    }

    /// Carries bytes until the ring itself fails.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        self.ring.accept(self.listener.as_fd())?;
        let mut batch = Vec::new();
        loop {
            self.ring.wait(&mut batch)?;
            for completion in batch.drain(..) {
                self.apply(completion)?;
            }
            self.feed_starved()?;
        }
    }

    fn apply(&mut self, completion: Completion) -> io::Result<()> {
        match completion.tag {
            Tag::Accept => self.accepted(completion),
            Tag::Connect { pair } => self.connected(pair, completion.result),
            Tag::Receive { pair, from } => self.received(pair, from, completion),
            Tag::Send { pair, to } => self.sent(pair, to, completion.result),
        }
    }

    fn accepted(&mut self, completion: Completion) -> io::Result<()> {
        if completion.result >= 0 {
            // SAFETY: a non-negative result of an accept is a new descriptor that nobody else owns.
            let down = unsafe { OwnedFd::from_raw_fd(completion.result) };
            // Without a descriptor for the upstream the client is closed again.
            if let Ok(up) = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None) {
                self.open(down, up)?;
            }
        }
        match completion.more {
            true => Ok(()),
            false if completion.result >= 0 || self.pairs.is_empty() => self.ring.accept(self.listener.as_fd()),
            false => {
                self.accept_waits = true;
                Ok(())
            }
        }
    }

    fn open(&mut self, down: OwnedFd, up: OwnedFd) -> io::Result<()> {
        for socket in [&down, &up] {
            // Only a peer that has left already makes this fail.
            let _ = sockopt::set_tcp_nodelay(socket, true);
        }
        let key = self.pairs.insert(Pair::new(down, up));
        let pair = &mut self.pairs[key];
        pair.in_flight += 1;
        self.ring.connect(pair.socket(Side::Up), key as u32)
    }

    fn connected(&mut self, key: u32, result: i32) -> io::Result<()> {
        let pair = &mut self.pairs[key as usize];
        pair.in_flight -= 1;
        if result < 0 {
            pair.break_off();
            return self.close_if_over(key);
        }
        self.receive(key, Side::Down)?;
        self.receive(key, Side::Up)
    }

    fn receive(&mut self, key: u32, from: Side) -> io::Result<()> {
        let pair = &mut self.pairs[key as usize];
        pair.in_flight += 1;
        self.ring.receive(pair.socket(from), key, from)
    }

    fn received(&mut self, key: u32, from: Side, completion: Completion) -> io::Result<()> {
        let pair = &mut self.pairs[key as usize];
        if !completion.more {
            pair.in_flight -= 1;
        }
        match (completion.result, completion.buffer) {
            (bytes @ 1.., Some(buffer)) => {
                let parcel = Parcel { buffer, bytes: bytes as u32 };
                if pair.queue(from, parcel) {
                    self.send(key, from.other(), parcel)?;
                }
            }
            (result, buffer) => {
                if let Some(buffer) = buffer {
                    self.ring.buffers.give(buffer);
                }
                match -result {
                    0 => pair.end(from),
                    libc::ENOBUFS => self.starved.push((key, from)),
                    _ => pair.break_off(),
                }
                return self.close_if_over(key);
            }
        }
        if !completion.more && self.pairs[key as usize].wants(from) {
            self.receive(key, from)?;
        }
        self.close_if_over(key)
    }

    fn send(&mut self, key: u32, to: Side, parcel: Parcel) -> io::Result<()> {
        let pair = &mut self.pairs[key as usize];
        pair.in_flight += 1;
        self.ring.send(pair.socket(to), key, to, parcel.buffer, parcel.bytes)
    }

    fn sent(&mut self, key: u32, to: Side, result: i32) -> io::Result<()> {
        let pair = &mut self.pairs[key as usize];
        pair.in_flight -= 1;
        let (done, next) = pair.sent(to);
        if u32::try_from(result) != Ok(done.bytes) {
            // MSG_WAITALL sends everything or meets an error, so a short count is the end of this connection too.
            pair.break_off();
        } else if let Some(next) = next {
            self.send(key, to, next)?;
        } else {
            pair.pass_ends_on();
        }
        self.ring.buffers.give(done.buffer);
        self.close_if_over(key)
    }

    /// Lets the receives go on that ended for want of a buffer, if there are any again. While there are none, the sends
    /// that hold them are in flight, so this is reached again.
    fn feed_starved(&mut self) -> io::Result<()> {
        if !self.ring.buffers.remain() {
            return Ok(());
        }
        while let Some((key, from)) = self.starved.pop() {
            if self.pairs.get(key as usize).is_some_and(|pair| pair.wants(from)) {
                self.receive(key, from)?;
            }
        }
        Ok(())
    }

    fn close_if_over(&mut self, key: u32) -> io::Result<()> {
        if !self.pairs[key as usize].is_over() {
            return Ok(());
        }
        let pair = self.pairs.remove(key as usize);
        self.starved.retain(|&(starved, _)| starved != key);
        pair.unsent().for_each(|buffer| self.ring.buffers.give(buffer));
        if std::mem::take(&mut self.accept_waits) {
            self.ring.accept(self.listener.as_fd())?;
        }
        Ok(())
    }
}
