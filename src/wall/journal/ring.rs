//! A ring of frames with one writer and one reader on different threads.
//!
//! A frame is some words, the first of which says how many. Words are relaxed atomics, published by one count that only
//! the writer writes and taken back by one that only the reader writes; so there is neither a lock nor `unsafe`, and
//! nobody waits. **Who writes**: one worker, `words`, `written` and `dropped`. **Who reads**: the journal's thread,
//! which writes `read`. Out of scope: what the words mean.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize, fence};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// A count alone in its cache lines, because the other side writes its own all the time.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone(AtomicUsize);

#[derive(Debug)]
struct Ring {
    /// A power of two of them.
    words: Box<[AtomicU64]>,
    /// Words ever written.
    written: Alone,
    /// Words ever read.
    read: Alone,
    /// Frames that found no room.
    dropped: Arc<AtomicU64>,
}

/// How many frames found no room, also after both ends have gone.
#[derive(Debug)]
pub(super) struct Dropped(Arc<AtomicU64>);

impl Dropped {
    pub(super) fn total(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The end that writes.
#[derive(Debug)]
pub struct Writer {
    ring: Arc<Ring>,
    written: usize,
    /// As far as the reader was seen to have come.
    read: usize,
    /// When the reader was last woken, as `written`.
    woken: usize,
    reader: Arc<OnceLock<Thread>>,
}

/// The end that reads.
#[derive(Debug)]
pub struct Reader {
    ring: Arc<Ring>,
    read: usize,
}

/// A frame being written. It is in the ring once it is finished.
#[derive(Debug)]
pub struct Frame<'w> {
    writer: &'w mut Writer,
    end: usize,
    left: usize,
}

/// A ring of that many words, a power of two.
pub(super) fn ring(words: usize, reader: Arc<OnceLock<Thread>>) -> (Writer, Reader) {
    let words = (0..words.next_power_of_two()).map(|_| AtomicU64::new(0)).collect();
    let ring = Arc::new(Ring { words, written: Alone::default(), read: Alone::default(), dropped: Arc::default() });
    let writer = Writer { ring: ring.clone(), written: 0, read: 0, woken: 0, reader };
    (writer, Reader { ring, read: 0 })
}

impl Writer {
    /// Room for a frame of so many words after its length. `None`, and counted, where there is none.
    #[inline]
    pub fn frame(&mut self, words: usize) -> Option<Frame<'_>> {
        let needed = words + 1;
        let capacity = self.ring.words.len();
        if capacity - (self.written - self.read) < needed {
            self.read = self.ring.read.0.load(Acquire);
            if capacity - (self.written - self.read) < needed {
                // One writer: a load and a store lose nothing.
                self.ring.dropped.store(self.ring.dropped.load(Relaxed) + 1, Relaxed);
                return None;
            }
        }
        let end = self.written;
        let mut frame = Frame { writer: self, end, left: needed };
        frame.word(words as u64);
        Some(frame)
    }
}

impl Frame<'_> {
    /// Appends a word. More than there is room for are not written.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let words = &self.writer.ring.words;
        if self.left > 0 {
            words[self.end & (words.len() - 1)].store(word, Relaxed);
            self.end += 1;
            self.left -= 1;
        }
    }

    /// Appends bytes, up to the next whole word.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<8>();
        for word in whole {
            self.word(u64::from_ne_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_ne_bytes(word));
        }
    }

    /// Gives the frame to the reader, and wakes it where half a ring has been written since it last was.
    #[inline]
    pub fn finish(mut self) {
        while self.left > 0 {
            self.word(0);
        }
        let writer = self.writer;
        writer.written = self.end;
        writer.ring.written.0.store(writer.written, Release);
        if writer.written - writer.woken > writer.ring.words.len() / 2 {
            writer.woken = writer.written;
            if let Some(reader) = writer.reader.get() {
                reader.unpark();
            }
        }
    }
}

impl Reader {
    /// Appends the bytes of whole frames, each after the number of its words, and gives their room back. No more than
    /// about `most` bytes.
    pub fn take(&mut self, out: &mut Vec<u8>, most: usize) {
        let written = self.ring.written.0.load(Acquire);
        let mask = self.ring.words.len() - 1;
        let word = |at: usize| self.ring.words[at & mask].load(Relaxed);
        let start = out.len();
        let mut at = self.read;
        while at != written && out.len() - start < most {
            let end = at + 1 + usize::try_from(word(at)).unwrap_or(0);
            out.reserve((end - at) * 8);
            for place in at..end {
                out.extend_from_slice(&word(place).to_ne_bytes());
            }
            at = end;
        }
        self.read = at;
        self.ring.read.0.store(at, Release);
    }

    /// How many frames found no room.
    pub(super) fn dropped(&self) -> Dropped {
        Dropped(self.ring.dropped.clone())
    }

    /// Whether nobody writes any more and all is read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let alone = Arc::strong_count(&self.ring) == 1;
        // What the writer did before it went is seen from here on.
        fence(Acquire);
        alone && self.read == self.ring.written.0.load(Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(words: usize) -> (Writer, Reader) {
        ring(words, Arc::default())
    }

    fn put(writer: &mut Writer, text: &[u8]) -> bool {
        let Some(mut frame) = writer.frame(1 + text.len().div_ceil(8)) else { return false };
        frame.word(text.len() as u64);
        frame.bytes(text);
        frame.finish();
        true
    }

    fn texts(bytes: &[u8]) -> Vec<Vec<u8>> {
        let number = |at: usize| {
            usize::try_from(u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("a word"))).expect("a length")
        };
        let (mut at, mut found) = (0, Vec::new());
        while at < bytes.len() {
            let (words, length) = (number(at), number(at + 8));
            found.push(bytes[at + 16..at + 16 + length].to_vec());
            at += 8 * (1 + words);
        }
        found
    }

    #[test]
    fn frames_come_out_whole_and_in_order_round_and_round() {
        let (mut writer, mut reader) = pair(64);
        let mut seen = Vec::new();
        for number in 0_u32..1_000 {
            let text =
                vec![b'a' + u8::try_from(number % 26).expect("small"); usize::try_from(number % 40).expect("small")];
            assert!(put(&mut writer, &text), "there is room for one at a time");
            let mut bytes = Vec::new();
            reader.take(&mut bytes, usize::MAX);
            seen.extend(texts(&bytes).into_iter().map(|found| (found, text.clone())));
        }
        assert_eq!(seen.len(), 1_000);
        assert!(seen.iter().all(|(found, wanted)| found == wanted));
    }

    #[test]
    fn a_full_ring_drops_what_comes_counts_it_and_keeps_what_it_has() {
        let (mut writer, mut reader) = pair(16);
        let taken = (0..10).filter(|_| put(&mut writer, b"12345678")).count();
        assert_eq!(taken, 5, "three words each");
        assert_eq!(reader.dropped().total(), 5);
        let mut bytes = Vec::new();
        reader.take(&mut bytes, usize::MAX);
        assert_eq!(texts(&bytes).len(), 5);
        assert!(put(&mut writer, b"12345678"), "there is room again");
        assert!(!put(&mut writer, &[0; 200]), "what is larger than the ring never fits");
    }

    #[test]
    fn a_reader_takes_no_more_than_it_asks_for() {
        let (mut writer, mut reader) = pair(1_024);
        (0..10).for_each(|_| assert!(put(&mut writer, b"12345678")));
        let mut bytes = Vec::new();
        reader.take(&mut bytes, 30);
        assert_eq!(texts(&bytes).len(), 2);
        reader.take(&mut bytes, usize::MAX);
        assert_eq!(texts(&bytes).len(), 10);
    }

    #[test]
    fn it_is_over_when_the_writer_has_gone_and_all_is_read() {
        let (mut writer, mut reader) = pair(64);
        assert!(put(&mut writer, b"last") && !reader.is_over());
        drop(writer);
        assert!(!reader.is_over());
        reader.take(&mut Vec::new(), usize::MAX);
        assert!(reader.is_over());
    }

    #[test]
    fn two_threads_pass_every_frame_that_was_not_dropped() {
        const FRAMES: u64 = 200_000;
        let (mut writer, mut reader) = pair(4_096);
        let writing = std::thread::spawn(move || {
            let put = |number: u64| {
                let Some(mut frame) = writer.frame(3) else { return false };
                [8, number, !number].into_iter().for_each(|word| frame.word(word));
                frame.finish();
                true
            };
            (0..FRAMES).map(put).filter(|taken| *taken).count() as u64
        });
        let (mut bytes, mut seen, mut last) = (Vec::new(), 0_u64, None);
        while !reader.is_over() {
            bytes.clear();
            reader.take(&mut bytes, 1_000);
            for frame in bytes.chunks_exact(32) {
                let word = |at: usize| u64::from_ne_bytes(frame[at * 8..][..8].try_into().expect("a word"));
                assert_eq!(word(2), !word(3), "no frame is torn");
                assert!(last.is_none_or(|last| last < word(2)), "in order");
                last = Some(word(2));
                seen += 1;
            }
        }
        let taken = writing.join().expect("no panic");
        assert_eq!((seen, seen + reader.dropped().total()), (taken, FRAMES));
    }
}
