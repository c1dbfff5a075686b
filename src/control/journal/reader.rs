//! Taking records out of the workers' rings.

use std::sync::Arc;

use crate::limits::JOURNAL_TAKE_BYTES;
use crate::wall::journal::{AccessRecord, FLAG_LOG, Journal as Rings, Reader};

/// The reading end of every ring.
pub(super) struct Records {
    rings: Arc<Rings>,
    readers: Vec<Reader>,
    bytes: Vec<u8>,
}

impl Records {
    /// Reads in the calling thread from now on.
    pub(super) fn new(rings: Arc<Rings>) -> Self {
        rings.read_here();
        Self { rings, readers: Vec::new(), bytes: Vec::new() }
    }

    /// Passes on what is there, a bounded piece of each ring. True where there is more.
    pub(super) fn read(&mut self, mut each: impl FnMut(&AccessRecord<'_>)) -> bool {
        self.readers.extend(self.rings.fresh());
        let mut more = false;
        for reader in &mut self.readers {
            self.bytes.clear();
            reader.take(&mut self.bytes, JOURNAL_TAKE_BYTES);
            more |= self.bytes.len() >= JOURNAL_TAKE_BYTES;
            let mut rest = &self.bytes[..];
            while let Some((frame, after)) = next_frame(rest) {
                rest = after;
                if let Some(record) = AccessRecord::read(frame)
                    && record.numbers.flags & FLAG_LOG != 0
                {
                    each(&record);
                }
            }
        }
        self.readers.retain(|reader| !reader.is_over());
        more
    }
}

/// A frame, after the number of its words.
fn next_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (words, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_ne_bytes(*words)).ok()? * 8)
}
