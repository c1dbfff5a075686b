//! The core's buffers: leased while bytes are in hand, returned when they are not.
//!
//! In scope: four sizes of buffer, a bounded shelf of each, a bound on large ones, `Lease`. A connection that waits
//! for bytes holds none on a ring; on epoll one, mostly a tiny one, lent to the runtime.
//! Out of scope: who reads into a lease and how large a one is worth it (`io`).

use std::cell::RefCell;
use std::rc::Rc;

use crate::limits::{
    HUGE_BUFFER_BYTES, HUGE_BUFFERS_KEPT, HUGE_BUFFERS_MAX, LARGE_BUFFER_BYTES, LARGE_BUFFERS_KEPT, LARGE_BUFFERS_MAX,
    OVERGROWN_BUFFER_BYTES, OVERGROWN_SMALL_BUFFER_BYTES, SMALL_BUFFER_BYTES, SMALL_BUFFERS_KEPT, TINY_BUFFER_BYTES,
    TINY_BUFFERS_KEPT,
};

/// How large a lease is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What is waited for.
    Tiny,
    /// Heads and small bodies.
    Small,
    /// A body that fills small ones.
    Large,
    /// A tunnel that fills small ones.
    Huge,
}

impl Class {
    /// The class that suits this many bytes still to come.
    #[must_use]
    pub fn for_bytes(remaining: u64) -> Self {
        if remaining > SMALL_BUFFER_BYTES as u64 { Self::Large } else { Self::Small }
    }

    /// The class that suits a body of which this much is still to come.
    #[must_use]
    pub fn for_body(remaining: u64) -> Self {
        if remaining > LARGE_BUFFER_BYTES as u64 { Self::Huge } else { Self::for_bytes(remaining) }
    }

    /// The class that holds this many bytes, where one does.
    #[must_use]
    pub fn holding(bytes: usize) -> Self {
        if bytes < TINY_BUFFER_BYTES { Self::Tiny } else { Self::for_bytes(bytes as u64) }
    }

    /// The class that suits what comes next through a tunnel of which so much came at once.
    #[must_use]
    pub fn after(bytes: usize) -> Self {
        if bytes < SMALL_BUFFER_BYTES { Self::Small } else { Self::Huge }
    }
}

/// The shelves of one core.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Rc<RefCell<Shelves>>);

#[derive(Debug, Default)]
struct Shelves {
    tiny: Vec<Vec<u8>>,
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    huge: Vec<Vec<u8>>,
    /// Leases that somebody has now.
    leased: usize,
    large_lent: usize,
    huge_lent: usize,
}

/// Under which bound a lease counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    None,
    Large,
    Huge,
}

impl Buffers {
    /// An empty buffer of the class, from the shelf when there is one. A smaller one where too many of its class are
    /// on loan.
    #[must_use]
    pub fn lease(&self, class: Class) -> Lease {
        let mut shelves = self.0.borrow_mut();
        let share = shelves.share(class);
        let (shelf, capacity) = match share {
            Share::Huge => (&mut shelves.huge, HUGE_BUFFER_BYTES),
            Share::Large => (&mut shelves.large, LARGE_BUFFER_BYTES),
            Share::None if class == Class::Tiny => (&mut shelves.tiny, TINY_BUFFER_BYTES),
            Share::None => (&mut shelves.small, SMALL_BUFFER_BYTES),
        };
        let bytes = shelf.pop().unwrap_or_else(|| Vec::with_capacity(capacity));
        shelves.lent(share).into_iter().for_each(|lent| *lent += 1);
        shelves.leased += 1;
        Lease { bytes, start: 0, share, counted: true, home: self.clone() }
    }

    /// How many leases with memory somebody has. What is on loan to the kernel is not among them: it goes with its
    /// operation.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.0.borrow().leased
    }

    /// Buffers of the class that are on the shelf.
    #[cfg(test)]
    pub(in crate::worker) fn shelved(&self, class: Class) -> usize {
        let shelves = self.0.borrow();
        match class {
            Class::Tiny => shelves.tiny.len(),
            Class::Small => shelves.small.len(),
            Class::Large => shelves.large.len(),
            Class::Huge => shelves.huge.len(),
        }
    }

    fn take_back(&self, mut bytes: Vec<u8>, share: Share, counted: bool) {
        let mut shelves = self.0.borrow_mut();
        shelves.lent(share).into_iter().for_each(|lent| *lent -= 1);
        shelves.leased -= usize::from(counted);
        let (shelf, kept) = match bytes.capacity() {
            TINY_BUFFER_BYTES => (&mut shelves.tiny, TINY_BUFFERS_KEPT),
            SMALL_BUFFER_BYTES..OVERGROWN_SMALL_BUFFER_BYTES => (&mut shelves.small, SMALL_BUFFERS_KEPT),
            LARGE_BUFFER_BYTES..OVERGROWN_BUFFER_BYTES => (&mut shelves.large, LARGE_BUFFERS_KEPT),
            HUGE_BUFFER_BYTES => (&mut shelves.huge, HUGE_BUFFERS_KEPT),
            _ => return,
        };
        if shelf.len() < kept {
            bytes.clear();
            shelf.push(bytes);
        }
    }
}

impl Shelves {
    /// Under which bound a lease of the class counts, if there is room.
    fn share(&self, class: Class) -> Share {
        match class {
            Class::Huge if self.huge_lent < HUGE_BUFFERS_MAX => Share::Huge,
            Class::Huge | Class::Large if self.large_lent < LARGE_BUFFERS_MAX => Share::Large,
            Class::Tiny | Class::Small | Class::Large | Class::Huge => Share::None,
        }
    }

    /// How many are on loan under the bound, where there is one.
    fn lent(&mut self, share: Share) -> Option<&mut usize> {
        match share {
            Share::None => None,
            Share::Large => Some(&mut self.large_lent),
            Share::Huge => Some(&mut self.huge_lent),
        }
    }
}

/// A buffer on loan from the core. Its readable part starts at an offset, so that what was consumed
/// needs no moving.
#[derive(Debug)]
pub struct Lease {
    bytes: Vec<u8>,
    start: usize,
    /// Counted so, whatever became of it.
    share: Share,
    /// Among those that somebody has.
    counted: bool,
    home: Buffers,
}

impl Lease {
    /// What is readable.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// What is readable, to be decoded in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// The whole vector, for appending. The readable part grows by what is appended.
    pub fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Forgets the first `n` readable bytes.
    pub fn advance(&mut self, n: usize) {
        self.start = (self.start + n).min(self.bytes.len());
    }

    /// Keeps the first `n` readable bytes only.
    pub fn truncate(&mut self, n: usize) {
        self.bytes.truncate(self.start + n);
    }

    /// How much fits without another allocation.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether nothing is readable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// How much `precede` has room for.
    #[must_use]
    pub fn front_bytes(&self) -> usize {
        self.start
    }

    /// Puts these bytes, `front_bytes` at most, in front of what is readable.
    pub fn precede(&mut self, front: &[u8]) {
        let start = self.start - front.len();
        self.bytes[start..self.start].copy_from_slice(front);
        self.start = start;
    }

    /// Appends what another lease holds, moving to the front first where that spares growing.
    pub fn append(&mut self, more: &[u8]) {
        if self.start > 0 && self.bytes.len() + more.len() > self.bytes.capacity() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(more);
    }

    /// What is readable, in another lease.
    #[must_use]
    pub fn moved_to(self, mut other: Self) -> Self {
        other.append(self.bytes());
        other
    }

    /// Moves the readable part to memory of just its size, for a wait that may be long, where that saves half of more
    /// than a tiny buffer.
    pub fn fit(&mut self) {
        let readable = self.bytes();
        if self.capacity() > TINY_BUFFER_BYTES && readable.len() * 2 < self.capacity() {
            let fitting = readable.to_vec();
            let home = self.home.clone();
            home.0.borrow_mut().leased += 1;
            *self = Self { bytes: fitting, start: 0, share: Share::None, counted: true, home };
        }
    }

    /// The lease; an empty one stays.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let nothing = self.nothing();
        std::mem::replace(self, nothing)
    }

    /// An empty lease without memory.
    #[must_use]
    pub fn nothing(&self) -> Self {
        Self { bytes: Vec::new(), start: 0, share: Share::None, counted: false, home: self.home.clone() }
    }

    /// The kernel has it for a while, where it stands.
    pub(in crate::worker) fn lend_in_place(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.home.0.borrow_mut().leased -= 1;
        }
    }

    /// The kernel has given it back.
    pub(in crate::worker) fn regain(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.home.0.borrow_mut().leased += 1;
        }
    }

    /// The vector, for the kernel to hold for a while, the offset of its readable part, and the empty lease that
    /// takes it back.
    pub(in crate::worker) fn lend(mut self) -> (Vec<u8>, usize, Self) {
        self.lend_in_place();
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.start), self)
    }

    /// The lease with the vector that was on loan to the kernel.
    pub(in crate::worker) fn adopt(mut self, bytes: Vec<u8>) -> Self {
        self.bytes = bytes;
        self.regain();
        self
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.bytes.capacity() > 0 || self.share != Share::None || self.counted {
            self.home.take_back(std::mem::take(&mut self.bytes), self.share, self.counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_is_leased_again() {
        let buffers = Buffers::default();
        let mut lease = buffers.lease(Class::Small);
        lease.vec().extend_from_slice(b"left over");
        let place = lease.bytes().as_ptr();
        drop(lease);
        let again = buffers.lease(Class::Small);
        assert!(again.is_empty());
        assert_eq!(again.bytes.as_ptr(), place);
    }

    #[test]
    fn a_lease_counts_until_it_is_dropped_or_lent() {
        let buffers = Buffers::default();
        let lease = buffers.lease(Class::Small);
        let other = buffers.lease(Class::Large);
        assert_eq!(buffers.leased(), 2);
        let (bytes, _, home) = lease.lend();
        assert_eq!(buffers.leased(), 1);
        drop((home.adopt(bytes), other));
        assert_eq!(buffers.leased(), 0);
    }

    #[test]
    fn the_shelf_is_bounded() {
        let buffers = Buffers::default();
        let leases: Vec<_> = (0..LARGE_BUFFERS_KEPT + 9).map(|_| buffers.lease(Class::Large)).collect();
        drop(leases);
        assert_eq!(buffers.0.borrow().large.len(), LARGE_BUFFERS_KEPT);
    }

    #[test]
    fn beyond_the_bound_a_large_lease_is_small_until_one_comes_back() {
        let buffers = Buffers::default();
        let mut leases: Vec<_> = (0..LARGE_BUFFERS_MAX).map(|_| buffers.lease(Class::Large)).collect();
        assert_eq!(buffers.lease(Class::Large).capacity(), SMALL_BUFFER_BYTES);
        leases.pop();
        assert_eq!(buffers.lease(Class::Large).capacity(), LARGE_BUFFER_BYTES);
    }

    #[test]
    fn a_lease_that_waits_keeps_its_bytes_and_not_its_buffer() {
        let buffers = Buffers::default();
        let mut lease = buffers.lease(Class::Large);
        lease.append(b"gone kept");
        lease.advance(5);
        lease.fit();
        assert_eq!((lease.bytes(), lease.capacity()), (&b"kept"[..], 4));
        assert_eq!(buffers.0.borrow().large_lent, 0);
    }

    #[test]
    fn a_small_buffer_that_grew_is_not_kept_as_a_small_one() {
        let buffers = Buffers::default();
        let mut lease = buffers.lease(Class::Small);
        lease.vec().reserve_exact(LARGE_BUFFER_BYTES - 1);
        drop(lease);
        assert!(buffers.0.borrow().small.is_empty());
    }

    #[test]
    fn what_precedes_takes_the_room_of_what_was_read() {
        let buffers = Buffers::default();
        let mut lease = buffers.lease(Class::Small);
        lease.append(b"a head, a body");
        lease.advance(8);
        assert_eq!(lease.front_bytes(), 8);
        lease.precede(b"HEAD, ");
        assert_eq!((lease.bytes(), lease.front_bytes()), (&b"HEAD, a body"[..], 2));
    }

    #[test]
    fn appending_to_an_advanced_lease_keeps_only_what_was_unread() {
        let buffers = Buffers::default();
        let mut lease = buffers.lease(Class::Small);
        lease.append(b"first second");
        lease.advance(6);
        lease.append(b" third");
        assert_eq!(lease.bytes(), b"second third");
    }
}
