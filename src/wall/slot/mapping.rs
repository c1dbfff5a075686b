//! Memory shared by a writer and its readers, as words: the only unsafe file of the stats file.
//!
//! In scope: mapping a file or none. Out of scope: what the words mean (`layout`), and that a part of a sparse file is
//! touched only once it has memory (`StatsFile::back`): the kernel has no other answer to a full tmpfs than SIGBUS.

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// Words in a mapping of one's own, for as long as it lives.
#[derive(Debug)]
pub(in crate::wall) struct Mapping {
    first: NonNull<AtomicU64>,
    words: usize,
}

#[expect(unsafe_code, reason = "the pointer is to memory that belongs to no thread")]
// SAFETY: a mapping is memory of the process, not of a thread, and is used through shared atomics only.
unsafe impl Send for Mapping {}

#[expect(unsafe_code, reason = "as above")]
// SAFETY: as above; `AtomicU64` is `Sync`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first words of a file, to write as well or only to read.
    ///
    /// # Errors
    /// As mmap(2); `InvalidInput` for no words.
    #[expect(unsafe_code, reason = "mapping a file cannot be done without")]
    pub(in crate::wall) fn of_file(file: impl AsFd, words: usize, writable: bool) -> io::Result<Self> {
        let allowed = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        let bytes = bytes_of(words)?;
        // SAFETY: the kernel chooses the place, so nothing that exists is overlaid.
        let place = unsafe { mmap(std::ptr::null_mut(), bytes, allowed, MapFlags::SHARED, file, 0) }?;
        Self::at(place, words)
    }

    /// As many words that no other process sees. They take memory when they are written to.
    ///
    /// # Errors
    /// As mmap(2); `InvalidInput` for no words.
    #[expect(unsafe_code, reason = "as above")]
    pub(in crate::wall) fn anonymous(words: usize) -> io::Result<Self> {
        let (allowed, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
        let bytes = bytes_of(words)?;
        // SAFETY: as above.
        let place = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, allowed, flags) }?;
        Self::at(place, words)
    }

    fn at(place: *mut std::ffi::c_void, words: usize) -> io::Result<Self> {
        let first = NonNull::new(place.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { first, words })
    }

    /// All of it.
    #[must_use]
    #[expect(unsafe_code, reason = "as above")]
    pub(in crate::wall) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, that many words long and mapped until drop, which this borrow outlasts
        // in no case. Zero and every other pattern is a valid word. Whoever else has it mapped may change it at any
        // time, which is what atomics are for. A read-only mapping is only loaded from: it is made by `Stats::open`
        // alone, `Stats` gives no way to the words, neither can be got at outside of `wall`, and every 64-bit load is
        // a plain one on the processors this runs on.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    #[expect(unsafe_code, reason = "as above")]
    fn drop(&mut self) {
        // SAFETY: it was mapped so by `of_file` or `anonymous`, and no borrow of its words is left.
        let _ = unsafe { munmap(self.first.as_ptr().cast(), self.words * size_of::<u64>()) };
    }
}

fn bytes_of(words: usize) -> io::Result<usize> {
    words.checked_mul(size_of::<u64>()).filter(|bytes| *bytes > 0).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
