//! The provided buffers: memory of which the kernel takes a buffer when bytes have come, so that waiting holds none.
//!
//! A buffer is out of the kernel's hands only while its completion is looked at: what it holds is copied into a lease
//! and it is given again at once, or, where that is much, the buffer itself is taken and another one given in its place.
//! So few are enough, they stay in the cache, and no slow peer can hold one.
//! There are two groups, of small buffers and of roomy ones. Out of scope: which operation takes one (`ring`).

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::ring::Group;
use crate::limits::{LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES};
use crate::worker::shard::buffer::{Buffers, Class, Lease};

/// The kernel demands that the ring of entries begins on a page.
const PAGE_BYTES: usize = 4096;
/// Room in front of what the kernel writes, as heads tend to grow on their way; with that of the head that came.
const FRONT_BYTES: usize = 512;

/// The buffers of one group of a ring, and the ring of entries through which the kernel is given them. They are never freed, like
/// the ring they belong to.
pub(super) struct Provided {
    entries: NonNull<BufRingEntry>,
    /// A power of two. As long as the kernel has one, it writes behind the vector's length and nobody touches it here.
    buffers: Box<[Vec<u8>]>,
    tail: u16,
    group: Group,
}

impl Group {
    /// The first bytes of its buffers, which the kernel leaves alone.
    const fn front_bytes(self) -> usize {
        match self {
            Self::Small => 0,
            Self::Roomy => FRONT_BYTES,
        }
    }

    /// The memory of one of its buffers. A roomy one is such as the core's shelf of large ones has.
    fn buffer(self) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(match self {
            Self::Small => SMALL_BUFFER_BYTES,
            Self::Roomy => LARGE_BUFFER_BYTES,
        });
        buffer.resize(self.front_bytes(), 0);
        buffer
    }
}

impl Provided {
    /// Gives the kernel that many buffers.
    ///
    /// # Errors
    /// The kernel's, when it knows no rings of buffers (before Linux 5.19).
    #[expect(unsafe_code, reason = "the kernel is given memory")]
    pub(super) fn register(submitter: &Submitter<'_>, group: Group, count: u16) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel finds an entry by the tail's low bits");
        let entries = allocate(usize::from(count) * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: the entries begin on a page, there are `count` of them, zeroed, and they are never freed.
        unsafe { submitter.register_buf_ring_with_flags(entries.as_ptr() as u64, count, group as u16, 0)? };
        let buffers = (0..count).map(|_| group.buffer()).collect();
        let mut provided = Self { entries, buffers, tail: 0, group };
        for buffer in 0..count {
            provided.give(buffer);
        }
        Ok(provided)
    }

    /// A buffer that the kernel has handed back, with so much in it.
    #[expect(unsafe_code, reason = "the kernel filled the memory")]
    pub(super) fn filled(&mut self, buffer: u16, length: usize) -> Filled<'_> {
        let (front_bytes, bytes) = (self.group.front_bytes(), self.group.buffer_bytes());
        let memory = &mut self.buffers[usize::from(buffer)];
        assert!(length <= bytes && memory.len() == front_bytes, "the kernel fills no more than it was given");
        // SAFETY: the kernel was given `bytes` of the vector's room behind its length (`give`), which is unchanged; it says
        // that it has filled the first `length` of them, and does not write there before it is given the buffer again.
        unsafe { memory.set_len(front_bytes + length) };
        Filled { memory, front_bytes, room_bytes: front_bytes + bytes }
    }

    /// Gives a buffer to the kernel, which may write to it from now on.
    #[expect(unsafe_code, reason = "entries are written in place")]
    pub(super) fn give(&mut self, buffer: u16) {
        let memory = &mut self.buffers[usize::from(buffer)];
        memory.truncate(self.group.front_bytes());
        let room = &mut memory.spare_capacity_mut()[..self.group.buffer_bytes()];
        let (address, length) = (room.as_mut_ptr(), room.len());
        let slot = usize::from(self.tail) & (self.buffers.len() - 1);
        // SAFETY: the slot is below their number, so the entry is inside the allocation.
        let mut place = unsafe { self.entries.add(slot) };
        // SAFETY: the entry is initialised (zeroes are valid). The kernel reads entries below the published tail only,
        // which this one is not: no more buffers than entries exist, and each is given once at a time.
        let entry = unsafe { place.as_mut() };
        entry.set_addr(address as u64);
        entry.set_len(u32::try_from(length).expect("a buffer of some KiB"));
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the pointer is to the entries that `register` made, the first of which carries the tail.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is a u16 in the first entry, aligned, as long-lived as `self`, and from here on accessed
        // atomically only (`set_addr`, `set_len` and `set_bid` write other fields).
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

/// A buffer with what came in it. It is given to the kernel again after that.
pub(super) struct Filled<'p> {
    memory: &'p mut Vec<u8>,
    front_bytes: usize,
    /// What memory in its place must have room for.
    room_bytes: usize,
}

impl Filled<'_> {
    /// What came.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.front_bytes..]
    }

    /// What came, in a lease: a copy, or where that is dear the memory itself, and the lease's takes its place.
    pub(super) fn into_lease(self, buffers: &Buffers) -> Lease {
        let class = Class::holding(self.bytes().len());
        let mut lease = buffers.lease(class);
        // Where too many large ones are on loan it is a small one.
        if class < Class::Large || lease.capacity() < self.room_bytes {
            lease.append(self.bytes());
            return lease;
        }
        let (mut memory, _, lease) = lease.lend();
        memory.resize(self.front_bytes, 0);
        let mut lease = lease.adopt(std::mem::replace(self.memory, memory));
        lease.advance(self.front_bytes);
        lease
    }
}

#[expect(unsafe_code, reason = "memory that begins on a page")]
fn allocate(bytes: usize) -> NonNull<u8> {
    assert!(bytes > 0, "no memory is asked for");
    let layout = Layout::from_size_align(bytes, PAGE_BYTES).expect("a small size and a power of two");
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}
