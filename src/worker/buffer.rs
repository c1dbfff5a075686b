//! The core's buffers: leased while bytes are in hand, returned when they are not.
//!
//! In scope: three sizes of buffer, a bounded shelf of each, `Lease`. A connection that waits for bytes holds one
//! small buffer, lent to the kernel.
//! Out of scope: who reads into a lease (`io`) and when a large one is worth it (`relay`).

use std::cell::RefCell;
use std::rc::Rc;

use crate::limits::{
    HUGE_BUFFER_BYTES, HUGE_BUFFERS_KEPT, LARGE_BUFFER_BYTES, LARGE_BUFFERS_KEPT, OVERGROWN_BUFFER_BYTES,
    OVERGROWN_SMALL_BUFFER_BYTES, SMALL_BUFFER_BYTES, SMALL_BUFFERS_KEPT,
};

/// How large a lease is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
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
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    huge: Vec<Vec<u8>>,
    /// Leases that somebody has now.
    leased: usize,
}

impl Buffers {
    /// An empty buffer of the class, from the shelf when there is one.
    #[must_use]
    pub fn lease(&self, class: Class) -> Lease {
        let mut shelves = self.0.borrow_mut();
        let bytes = match class {
            Class::Small => shelves.small.pop().unwrap_or_else(|| Vec::with_capacity(SMALL_BUFFER_BYTES)),
            Class::Large => shelves.large.pop().unwrap_or_else(|| Vec::with_capacity(LARGE_BUFFER_BYTES)),
            Class::Huge => shelves.huge.pop().unwrap_or_else(|| Vec::with_capacity(HUGE_BUFFER_BYTES)),
        };
        shelves.leased += 1;
        Lease { bytes, start: 0, home: self.clone() }
    }

    /// How many leases somebody has. What is on loan to the kernel is not among them: it goes with its operation.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.0.borrow().leased
    }

    /// The same bytes in the smallest buffer that holds them, for when they stay in hand.
    pub(super) fn fitting(&self, lease: Lease) -> Lease {
        if lease.bytes().len() > SMALL_BUFFER_BYTES || lease.capacity() < LARGE_BUFFER_BYTES {
            return lease;
        }
        let mut small = self.lease(Class::Small);
        small.append(lease.bytes());
        small
    }

    /// A lease made of bytes that were on loan to the kernel.
    pub(super) fn adopt(&self, bytes: Vec<u8>) -> Lease {
        self.0.borrow_mut().leased += 1;
        Lease { bytes, start: 0, home: self.clone() }
    }

    /// Buffers of the class that are on the shelf.
    #[cfg(test)]
    pub(super) fn shelved(&self, class: Class) -> usize {
        let shelves = self.0.borrow();
        match class {
            Class::Small => shelves.small.len(),
            Class::Large => shelves.large.len(),
            Class::Huge => shelves.huge.len(),
        }
    }

    fn take_back(&self, mut bytes: Vec<u8>) {
        let mut shelves = self.0.borrow_mut();
        shelves.leased -= 1;
        let capacity = bytes.capacity();
        let (shelf, kept) = match capacity {
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

/// A buffer on loan from the core. Its readable part starts at an offset, so that what was consumed
/// needs no moving.
#[derive(Debug)]
pub struct Lease {
    bytes: Vec<u8>,
    start: usize,
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

    /// Appends what another lease holds, moving to the front first so that growth stays bounded.
    pub fn append(&mut self, more: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(more);
    }

    /// The vector and the offset of its readable part, for the kernel to hold for a while.
    pub(super) fn lend(mut self) -> (Vec<u8>, usize, Buffers) {
        (std::mem::take(&mut self.bytes), self.start, self.home.clone())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.home.take_back(std::mem::take(&mut self.bytes));
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
    fn a_small_buffer_that_grew_is_not_kept_as_a_small_one() {
        let buffers = Buffers::default();
        let mut lease = buffers.lease(Class::Small);
        lease.vec().reserve_exact(LARGE_BUFFER_BYTES - 1);
        drop(lease);
        assert!(buffers.0.borrow().small.is_empty());
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
