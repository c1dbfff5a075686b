//! What workers tell the journal of each exchange that is over, and the way it gets there.
//!
//! Each worker has a ring of its own (`ring`), whose only writer it is; the journal's thread is the only reader of all.
//! A record (`record`) is a frame of such a ring. The reader looks on a short timer while there is something to read;
//! a writer wakes it only once per half ring, so that a record costs no system call. A ring that is full drops the
//! record and counts it; nobody ever waits. In scope: that. Out of scope: what a record is made from (`worker::shard::log`),
//! what becomes of it (`control::journal`).

mod record;
mod ring;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

pub use record::{AccessRecord, FLAG_LOG, FLAG_TRACE, Kind, Numbers, Text, Texts};
use ring::Dropped;
pub use ring::{Frame, Reader, Writer};

use crate::limits::JOURNAL_RING_WORDS;

/// The rings of all workers.
#[derive(Debug, Default)]
pub struct Journal {
    /// Those that the reader has not taken over yet.
    fresh: Mutex<Vec<Reader>>,
    dropped: Mutex<Vec<Dropped>>,
    reader: Arc<OnceLock<Thread>>,
}

impl Journal {
    /// A ring for a worker that begins to record: its end to write. A worker that takes the place of a dead one gets
    /// another ring; what is in the old one is still read.
    #[must_use]
    pub fn writer(&self) -> Writer {
        let (writer, reader) = ring::ring(JOURNAL_RING_WORDS, self.reader.clone());
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(reader.dropped());
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        self.wake();
        writer
    }

    /// The rings that were made since this was last asked.
    #[must_use]
    pub fn fresh(&self) -> Vec<Reader> {
        std::mem::take(&mut self.fresh.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records that found their ring full, over all workers there have been.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Dropped::total).sum()
    }

    /// The calling thread reads from now on, and is woken by whoever has much to read for it.
    pub fn read_here(&self) {
        // A second reader would be a fault of the program; the first one stays.
        let _ = self.reader.set(std::thread::current());
    }

    /// Wakes the reader.
    pub fn wake(&self) {
        if let Some(reader) = self.reader.get() {
            reader.unpark();
        }
    }
}
