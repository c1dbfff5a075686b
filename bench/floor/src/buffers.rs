//! The provided buffers: memory that the kernel picks receive buffers from, and the ring through which they are given.
//!
//! In scope: the layout, giving buffers to the kernel, lending the bytes of one that the kernel handed back.
//! Out of scope: who holds a buffer meanwhile; that is `pair`.

use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers given to the kernel; a power of two, as its ring demands.
const COUNT: u16 = 4096;
/// Bytes of one buffer.
const BUFFER_BYTES: usize = 4096;
/// The kernel demands that the ring of entries begins on a page.
const PAGE_BYTES: usize = 4096;
/// The only group of provided buffers.
pub(crate) const GROUP: u16 = 0;

/// The buffers and their ring. Both live until the process ends: the kernel may write to them as long as the io_uring
/// lives, and nothing here outlives it.
pub(crate) struct Buffers {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    tail: u16,
    /// Buffers that were handed back by the kernel and not given again yet.
    lent: u16,
}

impl Buffers {
    /// Registers the buffers with `submitter`'s ring and gives them all.
    ///
    /// # Errors
    ///
    /// The kernel's, when it has no provided-buffer rings (before 5.19).
    pub(crate) fn register(submitter: &io_uring::Submitter<'_>) -> io::Result<Self> {
        let entries = allocate(usize::from(COUNT) * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        let memory = allocate(usize::from(COUNT) * BUFFER_BYTES);
        // SAFETY: `entries` is page-aligned, holds COUNT zeroed entries and is never freed.
        unsafe { submitter.register_buf_ring_with_flags(entries.as_ptr() as u64, COUNT, GROUP, 0)? };
        let mut buffers = Self { entries, memory, tail: 0, lent: COUNT };
        for buffer in 0..COUNT {
            buffers.give(buffer);
        }
        Ok(buffers)
    }

    /// Gives `buffer` (back) to the kernel; its bytes are the kernel's from here on.
    pub(crate) fn give(&mut self, buffer: u16) {
        let slot = usize::from(self.tail & (COUNT - 1));
        // SAFETY: `slot` is below COUNT, so the entry is inside the allocation.
        let mut place = unsafe { self.entries.add(slot) };
        // SAFETY: the entry is initialised (zeroed memory is valid), the kernel reads entries only below the published
        // tail, which this one is not, and no other reference to it exists.
        let entry = unsafe { place.as_mut() };
        entry.set_addr(self.start(buffer).as_ptr() as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        self.lent -= 1;
        self.publish();
    }

    /// The kernel has handed back `buffer`, filled or not.
    pub(crate) fn take(&mut self, buffer: u16) -> u16 {
        self.lent += 1;
        buffer
    }

    /// The kernel has at least one buffer, or has filled them all and has yet to say so.
    pub(crate) fn remain(&self) -> bool {
        self.lent < COUNT
    }

    /// Where the bytes of `buffer` begin.
    pub(crate) fn start(&self, buffer: u16) -> NonNull<u8> {
        assert!(buffer < COUNT, "the kernel only hands back buffers it was given");
        // SAFETY: `buffer` is below COUNT, so the offset is inside the allocation.
        unsafe { self.memory.add(usize::from(buffer) * BUFFER_BYTES) }
    }

    fn publish(&self) {
        // SAFETY: the pointer is to the ring that `register` made, whose first entry carries the tail.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is a u16 inside the page-aligned first entry, lives as long as `self`, and every access
        // from here on is atomic (the kernel's own is an acquire load).
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

fn allocate(bytes: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes, PAGE_BYTES).expect("a small size and a power of two");
    // SAFETY: the callers' sizes are products of non-zero constants.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}
