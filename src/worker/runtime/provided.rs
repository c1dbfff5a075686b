//! The provided buffers: memory of which the kernel takes a buffer when bytes have come, so that waiting holds none.
//!
//! A buffer is out of the kernel's hands only while its completion is looked at: what it holds is copied into a lease
//! and it is given again at once. So few are enough, they stay in the cache, and no slow peer can hold one.
//! There are two groups, of small buffers and of roomy ones. Out of scope: which operation takes one (`ring`).

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::ring::Group;

/// The kernel demands that the ring of entries begins on a page.
const PAGE_BYTES: usize = 4096;

/// The buffers of one group of a ring, and the ring of entries through which the kernel is given them. They are never freed, like
/// the ring they belong to.
pub(super) struct Provided {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    /// A power of two.
    count: u16,
    tail: u16,
    /// Of each buffer.
    bytes: usize,
}

impl Provided {
    /// Gives the kernel that many buffers.
    ///
    /// # Errors
    /// The kernel's, when it knows no rings of buffers (before Linux 5.19).
    #[expect(unsafe_code, reason = "the kernel is given memory")]
    pub(super) fn register(submitter: &Submitter<'_>, group: Group, count: u16) -> io::Result<Self> {
        let bytes = group.buffer_bytes();
        let entries = allocate(usize::from(count) * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: the entries begin on a page, there are `count` of them, zeroed, and they are never freed.
        unsafe { submitter.register_buf_ring_with_flags(entries.as_ptr() as u64, count, group as u16, 0)? };
        let memory = allocate(usize::from(count) * bytes);
        let mut provided = Self { entries, memory, count, tail: 0, bytes };
        for buffer in 0..count {
            provided.give(buffer);
        }
        Ok(provided)
    }

    /// What the kernel put into a buffer that it has handed back.
    #[expect(unsafe_code, reason = "the kernel filled the memory")]
    pub(super) fn bytes(&self, buffer: u16, length: usize) -> &[u8] {
        assert!(length <= self.bytes, "the kernel fills no more than a buffer");
        // SAFETY: the buffer is inside the memory, which was zeroed when it was allocated and is never freed, and so
        // are its first `length` bytes. The kernel has handed it back and does not write to it before it is given
        // again, which takes `&mut self`.
        unsafe { std::slice::from_raw_parts(self.start(buffer).as_ptr(), length) }
    }

    /// Gives a buffer to the kernel, which may write to it from now on.
    #[expect(unsafe_code, reason = "entries are written in place")]
    pub(super) fn give(&mut self, buffer: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        // SAFETY: the slot is below `count`, so the entry is inside the allocation.
        let mut place = unsafe { self.entries.add(slot) };
        // SAFETY: the entry is initialised (zeroes are valid). The kernel reads entries below the published tail only,
        // which this one is not: no more than `count` buffers exist, and each is given once at a time.
        let entry = unsafe { place.as_mut() };
        entry.set_addr(self.start(buffer).as_ptr() as u64);
        entry.set_len(u32::try_from(self.bytes).expect("a buffer of some KiB"));
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the pointer is to the entries that `register` made, the first of which carries the tail.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is a u16 in the first entry, aligned, as long-lived as `self`, and from here on accessed
        // atomically only (`set_addr`, `set_len` and `set_bid` write other fields).
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    #[expect(unsafe_code, reason = "a place in memory the kernel knows")]
    fn start(&self, buffer: u16) -> NonNull<u8> {
        assert!(buffer < self.count, "the kernel hands back what it was given");
        // SAFETY: the buffer's number is below `count`, so the offset is inside the allocation.
        unsafe { self.memory.add(usize::from(buffer) * self.bytes) }
    }
}

#[expect(unsafe_code, reason = "memory that begins on a page")]
fn allocate(bytes: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes, PAGE_BYTES).expect("a small size and a power of two");
    // SAFETY: callers ask for a product of numbers that are not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}
