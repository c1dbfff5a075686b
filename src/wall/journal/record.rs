//! The record of an exchange: numbers and some texts, as words of a ring's frame and back.
//!
//! Every text is bounded where it is copied; one that was cut says so in `Texts::was_cut`. In scope: that form. Out of
//! scope: which bytes are copied (`worker::shard::log`), how they are written (`control::journal`).

use std::net::{IpAddr, Ipv6Addr};

use super::ring::Writer;
use crate::end::End;
use crate::ids::WorkerId;
use crate::wall::timing::Timing;
use crate::wall::trace::Trace;

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A request and its answer.
    Exchange,
    /// A tunnel, with the request that it began with where there was one.
    Tunnel,
    /// A connection that came to nothing: no request was read and no tunnel opened.
    Connection,
    /// An attempt that failed and is followed by another; only of a request whose trace is recorded.
    Attempt,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Exchange, Kind::Tunnel, Kind::Connection, Kind::Attempt];
}

/// The record is to be logged.
pub const FLAG_LOG: u8 = 1;
/// The record has a trace, which is recorded.
pub const FLAG_TRACE: u8 = 2;

/// The texts of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Text {
    /// The method as sent.
    Method,
    /// The target as sent; of a request that was not understood, its first line.
    Target,
    /// What the request was addressed to: `Host`, or the authority of its target.
    Host,
    /// `Referer`.
    Referer,
    /// `User-Agent`.
    Agent,
    /// The id of the request, `trace_id` in our own answers.
    RequestId,
    /// The service's name.
    Service,
    /// The tenant's `app_id`.
    Tenant,
    /// The endpoint of the last attempt, as written in the file.
    Node,
}

/// How many texts a record has.
const TEXTS: usize = 9;
/// Words of a record that are not text: one for kind and flags, two for small numbers, two of bytes, two addresses,
/// eight stamps, three with the lengths of the texts.
const FIXED_WORDS: usize = 1 + 2 + 2 + 4 + 8 + 3;
/// Words of a trace: two of its id, the request's span, the caller's, the flags.
const TRACE_WORDS: usize = 2 + 1 + 1 + 1;

/// Everything of a record that is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// What it is of.
    pub kind: Kind,
    /// What it is wanted for.
    pub flags: u8,
    /// On which worker.
    pub worker: WorkerId,
    /// The status that the client was sent; 0 is none.
    pub status: u16,
    /// How it ended early.
    pub end: Option<End>,
    /// For what a rule in dry run would have refused it.
    pub spared: Option<End>,
    /// How often an endpoint was tried.
    pub attempts: u8,
    /// The last attempt went over a connection that had served before.
    pub reused: bool,
    /// The request's version: 10, 11, or 0 where it was not understood.
    pub version: u8,
    /// The socket's peer.
    pub peer: IpAddr,
    /// Whom the peer speaks for: itself, but for trusted proxies.
    pub client: IpAddr,
    /// Bytes that the client sent, heads included.
    pub bytes_in: u64,
    /// Bytes that it was sent.
    pub bytes_out: u64,
    /// How many of these are of heads.
    pub head_bytes_out: u32,
    /// When.
    pub stamps: Timing,
}

/// The texts of a record, each within its bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Texts<'t> {
    texts: [&'t [u8]; TEXTS],
    cut: u16,
}

/// The record of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRecord<'t> {
    /// What is not text.
    pub numbers: Numbers,
    /// Its trace, where that is recorded.
    pub trace: Option<Trace>,
    /// What is.
    pub texts: Texts<'t>,
}

impl<'t> Texts<'t> {
    /// This text; empty where there is none.
    #[must_use]
    pub fn get(&self, text: Text) -> &'t [u8] {
        self.texts[text as usize]
    }

    /// Sets a text, no more than the first `most` bytes of it.
    #[inline]
    pub fn set(&mut self, text: Text, bytes: &'t [u8], most: usize) {
        let taken = bytes.len().min(most).min(usize::from(u16::MAX));
        self.texts[text as usize] = &bytes[..taken];
        self.cut |= u16::from(taken < bytes.len()) << text as u8;
    }

    /// The text went on.
    pub fn mark_cut(&mut self, text: Text) {
        self.cut |= 1 << text as u8;
    }

    /// Whether the text went on.
    #[must_use]
    pub fn was_cut(&self, text: Text) -> bool {
        self.cut & (1 << text as u8) != 0
    }

    fn words(&self) -> usize {
        self.texts.iter().map(|text| text.len().div_ceil(8)).sum()
    }
}

impl AccessRecord<'_> {
    /// Puts the record into the ring; it is dropped and counted where there is no room.
    pub fn put(&self, writer: &mut Writer) {
        let Self { numbers, trace, texts } = self;
        let trace_words = if trace.is_some() { TRACE_WORDS } else { 0 };
        let Some(mut frame) = writer.frame(FIXED_WORDS + trace_words + texts.words()) else { return };
        let flags = if trace.is_some() { numbers.flags | FLAG_TRACE } else { numbers.flags & !FLAG_TRACE };
        let Numbers { kind, worker, status, end, attempts, reused, version, stamps, head_bytes_out, .. } = *numbers;
        let [h0, h1, h2, h3] = head_bytes_out.to_ne_bytes();
        frame.word(u64::from_ne_bytes([kind as u8, flags, version, u8::from(reused), h0, h1, h2, h3]));
        let [worker, status, cut] = [worker.0, status, texts.cut].map(u16::to_ne_bytes);
        let end = end.map_or(0, |end| end as u8 + 1);
        frame.word(u64::from_ne_bytes([worker[0], worker[1], status[0], status[1], cut[0], cut[1], end, attempts]));
        frame.word(numbers.spared.map_or(0, |end| u64::from(end as u8) + 1));
        frame.word(numbers.bytes_in);
        frame.word(numbers.bytes_out);
        for address in [numbers.peer, numbers.client] {
            frame.bytes(&octets(address));
        }
        let Timing { begun_us, head_us, queued_us, dialled_us, connected_us, sent_us, first_us, end_us } = stamps;
        for stamp in [begun_us, head_us, queued_us, dialled_us, connected_us, sent_us, first_us, end_us] {
            frame.word(stamp);
        }
        let mut lengths = [0; 24];
        for (place, text) in lengths.as_chunks_mut::<2>().0.iter_mut().zip(texts.texts) {
            // `set` keeps each below 64 KiB.
            *place = u16::try_from(text.len()).unwrap_or(u16::MAX).to_ne_bytes();
        }
        frame.bytes(&lengths);
        if let Some(trace) = trace {
            trace.words().into_iter().for_each(|word| frame.word(word));
        }
        texts.texts.iter().for_each(|text| frame.bytes(text));
        frame.finish();
    }
}

impl<'t> AccessRecord<'t> {
    /// The record that a frame holds. `None` for what is no record.
    #[must_use]
    pub fn read(frame: &'t [u8]) -> Option<Self> {
        let mut words = Words(frame);
        let [kind, flags, version, reused, h0, h1, h2, h3] = words.next()?;
        let kind = *Kind::ALL.get(usize::from(kind))?;
        let [w0, w1, s0, s1, c0, c1, end, attempts] = words.next()?;
        let spared = usize::try_from(words.number()?).ok()?;
        let [bytes_in, bytes_out] = [words.number()?, words.number()?];
        let [peer, client] = [words.address()?, words.address()?];
        let mut stamps = [0; 8];
        for stamp in &mut stamps {
            *stamp = words.number()?;
        }
        let [begun_us, head_us, queued_us, dialled_us, connected_us, sent_us, first_us, end_us] = stamps;
        let stamps = Timing { begun_us, head_us, queued_us, dialled_us, connected_us, sent_us, first_us, end_us };
        let lengths = words.bytes(24)?;
        let trace = if flags & FLAG_TRACE != 0 { Some(words.trace()?) } else { None };
        let mut texts = Texts { cut: u16::from_ne_bytes([c0, c1]), ..Texts::default() };
        for (text, length) in texts.texts.iter_mut().zip(lengths.as_chunks::<2>().0) {
            *text = words.bytes(usize::from(u16::from_ne_bytes(*length)))?;
        }
        let numbers = Numbers {
            kind,
            flags,
            worker: WorkerId(u16::from_ne_bytes([w0, w1])),
            status: u16::from_ne_bytes([s0, s1]),
            end: ended(usize::from(end)),
            spared: ended(spared),
            attempts,
            reused: reused != 0,
            version,
            peer,
            client,
            bytes_in,
            bytes_out,
            head_bytes_out: u32::from_ne_bytes([h0, h1, h2, h3]),
            stamps,
        };
        Some(Self { numbers, trace, texts })
    }
}

/// 0 is none.
fn ended(number: usize) -> Option<End> {
    number.checked_sub(1).and_then(|end| End::ALL.get(end)).copied()
}

/// What is left of a frame.
struct Words<'t>(&'t [u8]);

impl<'t> Words<'t> {
    fn next(&mut self) -> Option<[u8; 8]> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*word)
    }

    fn number(&mut self) -> Option<u64> {
        self.next().map(u64::from_ne_bytes)
    }

    fn address(&mut self) -> Option<IpAddr> {
        let (octets, rest) = self.0.split_first_chunk::<16>()?;
        self.0 = rest;
        Some(IpAddr::from(*octets).to_canonical())
    }

    fn trace(&mut self) -> Option<Trace> {
        let mut words = [0; TRACE_WORDS];
        for word in &mut words {
            *word = self.number()?;
        }
        Some(Trace::of_words(words))
    }

    fn bytes(&mut self, length: usize) -> Option<&'t [u8]> {
        let bytes = self.0.get(..length)?;
        self.0 = self.0.get(length.next_multiple_of(8)..)?;
        Some(bytes)
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .octets()
}

impl Default for Numbers {
    fn default() -> Self {
        let nowhere = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        Self {
            kind: Kind::Exchange,
            flags: 0,
            worker: WorkerId(0),
            status: 0,
            end: None,
            spared: None,
            attempts: 0,
            reused: false,
            version: 0,
            peer: nowhere,
            client: nowhere,
            bytes_in: 0,
            bytes_out: 0,
            head_bytes_out: 0,
            stamps: Timing::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::ring::ring;
    use super::*;

    fn through_a_ring(record: &AccessRecord<'_>) -> Vec<u8> {
        let (mut writer, mut reader) = ring(1_024, Arc::default());
        record.put(&mut writer);
        let mut bytes = Vec::new();
        reader.take(&mut bytes, usize::MAX);
        bytes.split_off(8)
    }

    fn sample() -> Numbers {
        Numbers {
            kind: Kind::Tunnel,
            flags: FLAG_LOG,
            worker: WorkerId(513),
            status: 504,
            end: Some(End::ResponseTimeout),
            spared: Some(End::BlackListed),
            attempts: 3,
            reused: true,
            version: 11,
            peer: "192.0.2.7".parse().expect("an address"),
            client: "2001:db8::7".parse().expect("an address"),
            bytes_in: 1 << 50,
            bytes_out: 77,
            head_bytes_out: 70,
            stamps: Timing {
                begun_us: 1,
                head_us: 2,
                queued_us: 3,
                dialled_us: 4,
                connected_us: 5,
                sent_us: 6,
                first_us: 7,
                end_us: u64::MAX,
            },
        }
    }

    #[test]
    fn a_record_comes_out_as_it_went_in() {
        let mut texts = Texts::default();
        texts.set(Text::Method, b"GET", 9);
        texts.set(Text::Target, b"/a/longer/target?than=eight", 999);
        texts.set(Text::Node, b"12345678", 8);
        texts.set(Text::Agent, b"cut here", 3);
        let record = AccessRecord { numbers: sample(), trace: None, texts };
        let frame = through_a_ring(&record);
        let read = AccessRecord::read(&frame).expect("a record");
        assert_eq!(read, record);
        assert_eq!((read.texts.get(Text::Agent), read.texts.was_cut(Text::Agent)), (&b"cut"[..], true));
        assert!(!read.texts.was_cut(Text::Node) && read.texts.get(Text::Host).is_empty());
    }

    fn trace(parent: u64) -> Trace {
        Trace::of_words([1 << 63, 7, 9, parent, 1])
    }

    #[test]
    fn a_trace_comes_out_as_it_went_in() {
        for trace in [trace(0), trace(u64::MAX)] {
            let mut texts = Texts::default();
            texts.set(Text::Method, b"GET", 9);
            let record = AccessRecord { numbers: sample(), trace: Some(trace), texts };
            let frame = through_a_ring(&record);
            let read = AccessRecord::read(&frame).expect("a record");
            assert_eq!((read.trace, read.texts), (Some(trace), texts));
            assert_eq!(read.numbers.flags, FLAG_LOG | FLAG_TRACE);
        }
    }

    #[test]
    fn every_end_comes_through() {
        for end in End::ALL {
            let record =
                AccessRecord { numbers: Numbers { end: Some(*end), ..sample() }, trace: None, texts: Texts::default() };
            assert_eq!(AccessRecord::read(&through_a_ring(&record)).expect("a record").numbers.end, Some(*end));
        }
    }

    #[test]
    fn what_is_cut_short_is_no_record() {
        let mut texts = Texts::default();
        texts.set(Text::Node, b"127.0.0.1:8701", 64);
        let frame = through_a_ring(&AccessRecord { numbers: sample(), trace: Some(trace(1)), texts });
        for length in 0..frame.len() {
            assert_eq!(AccessRecord::read(&frame[..length]), None, "{length}");
        }
    }
}
