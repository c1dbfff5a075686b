//! One client and its upstream connection, and the bytes on their way between them.
//!
//! In scope: the order of bytes in each direction, and when both sockets may be closed.
//! Out of scope: the operations themselves; `shuttle` asks the ring for them.

use crate::ring::Side;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Received bytes that wait to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parcel {
    pub(crate) buffer: u16,
    pub(crate) bytes: u32,
}

/// One direction, named after the side that its bytes come from.
#[derive(Debug, Default)]
struct Way {
    /// The first is being sent: a socket has one send in flight at most, so that bytes keep their order.
    parcels: VecDeque<Parcel>,
    /// The side has said that no more bytes come.
    ended: bool,
    /// The other side was told so.
    shut: bool,
}

/// The two sockets and the two directions between them.
#[derive(Debug)]
pub(crate) struct Pair {
    sockets: [OwnedFd; 2],
    ways: [Way; 2],
    /// Operations that the kernel still owes a (last) completion for. The sockets stay open until there are none.
    pub(crate) in_flight: u32,
    /// A socket failed: nothing more is sent, and both are shut down so that what is in flight ends.
    broken: bool,
}

impl Pair {
    pub(crate) fn new(down: OwnedFd, up: OwnedFd) -> Self {
        Self { sockets: [down, up], ways: [Way::default(), Way::default()], in_flight: 0, broken: false }
    }

    pub(crate) fn socket(&self, side: Side) -> BorrowedFd<'_> {
        self.sockets[side as usize].as_fd()
    }

    /// Queues bytes that came from `from`; true when they are first in line and must be sent now.
    pub(crate) fn queue(&mut self, from: Side, parcel: Parcel) -> bool {
        let way = &mut self.ways[from as usize];
        way.parcels.push_back(parcel);
        way.parcels.len() == 1 && !self.broken
    }

    /// The send to `to` has completed: its parcel, whose buffer is free again, and the next one to send.
    pub(crate) fn sent(&mut self, to: Side) -> (Parcel, Option<Parcel>) {
        let parcels = &mut self.ways[to.other() as usize].parcels;
        let done = parcels.pop_front().expect("a send completes once and its parcel stays queued until then");
        (done, parcels.front().copied().filter(|_| !self.broken))
    }

    /// No more bytes come from `from`.
    pub(crate) fn end(&mut self, from: Side) {
        self.ways[from as usize].ended = true;
        self.pass_ends_on();
    }

    /// Tells each side that the other has ended, once everything it sent before has gone out.
    pub(crate) fn pass_ends_on(&mut self) {
        for side in [Side::Down, Side::Up] {
            let way = &mut self.ways[side as usize];
            if way.ended && !way.shut && way.parcels.is_empty() {
                way.shut = true;
                // A refusal means that the peer is gone, which its own completions tell.
                let _ = rustix::net::shutdown(self.socket(side.other()), rustix::net::Shutdown::Write);
            }
        }
    }

    /// Gives up: what is in flight ends soon, and nothing new begins.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
        for socket in &self.sockets {
            // One that never connected refuses, and has nothing in flight.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
        }
    }

    /// More may be received from `from`.
    pub(crate) fn wants(&self, from: Side) -> bool {
        !self.broken && !self.ways[from as usize].ended
    }

    /// Nothing is left to do, and the kernel holds nothing of this pair.
    pub(crate) fn is_over(&self) -> bool {
        self.in_flight == 0 && (self.broken || self.ways.iter().all(|way| way.shut))
    }

    /// The buffers of parcels that will never be sent.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = u16> + '_ {
        self.ways.iter().flat_map(|way| way.parcels.iter().map(|parcel| parcel.buffer))
    }
}
