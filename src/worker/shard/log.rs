//! What the journal is told of exchanges: texts noted while the request's bytes are at hand, the rest when it is over.
//!
//! A note is a lease of the core, so nothing is allocated; it rides with the account. A record goes into the core's ring
//! or is dropped there and counted. What is neither logged nor traced has no note, and
//! all of this is one branch. In scope:
//! which bytes, how many of them at most, which exchanges. Out of scope: the ring (`wall::journal`), redacting and
//! writing (`control::journal`).

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use super::account::{Account, Kind};
use super::buffer::{Buffers, Class, Lease};
use crate::ids::WorkerId;
use crate::limits::{
    LOG_AGENT_BYTES_MAX, LOG_HOST_BYTES_MAX, LOG_NAME_BYTES_MAX, LOG_REFERER_BYTES_MAX, LOG_TARGET_BYTES_MAX,
    METHOD_BYTES_MAX, REQUEST_ID_BYTES_MAX, SMALL_BUFFER_BYTES,
};
use crate::proto::head::{self, RequestHead, Version};
use crate::wall::journal::{AccessRecord, FLAG_LOG, Journal, Kind as RecordKind, Numbers, Text, Texts, Writer};
use crate::wall::snapshot::HttpRules;
use crate::wall::trace::Trace;

/// One core's part of the request log.
#[derive(Debug)]
pub struct Log {
    worker: WorkerId,
    journal: Arc<Journal>,
    writer: RefCell<Option<Writer>>,
    /// One exchange in so many; 0 is none.
    sample: Cell<u32>,
    /// Exchanges that went well since one was recorded.
    passed: Cell<u32>,
}

/// Texts in the order in which a note has them.
const NOTED: [Text; 8] =
    [Text::Method, Text::Target, Text::Host, Text::Referer, Text::Agent, Text::Service, Text::Tenant, Text::Node];

/// Where some of them stand.
const TARGET: usize = 1;
const SERVICE: usize = 5;
const NODE: usize = 7;

/// How much of each is kept.
const MOST: [usize; NOTED.len()] = [
    METHOD_BYTES_MAX,
    LOG_TARGET_BYTES_MAX,
    LOG_HOST_BYTES_MAX,
    LOG_REFERER_BYTES_MAX,
    LOG_AGENT_BYTES_MAX,
    LOG_NAME_BYTES_MAX,
    LOG_NAME_BYTES_MAX,
    LOG_NAME_BYTES_MAX,
];

/// What a note holds at most: it fits a small buffer, whose memory never grows.
const NOTE_BYTES_MAX: usize = METHOD_BYTES_MAX
    + LOG_TARGET_BYTES_MAX
    + LOG_HOST_BYTES_MAX
    + LOG_REFERER_BYTES_MAX
    + LOG_AGENT_BYTES_MAX
    + 3 * LOG_NAME_BYTES_MAX;
const _: () = assert!(NOTE_BYTES_MAX <= SMALL_BUFFER_BYTES);

/// What is kept of a request until it is over.
#[derive(Debug)]
pub struct Note {
    texts: Lease,
    /// How many bytes of `texts` each has.
    lengths: [u16; NOTED.len()],
    cut: [bool; NOTED.len()],
    version: u8,
    peer: IpAddr,
    client: IpAddr,
}

impl Log {
    /// Nothing is logged until an epoch says so.
    #[must_use]
    pub fn new(worker: WorkerId, journal: Arc<Journal>) -> Self {
        let (sample, passed) = (Cell::new(0), Cell::new(0));
        Self { worker, journal, writer: RefCell::default(), sample, passed }
    }

    /// Whether exchanges are noted.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.sample.get() > 0
    }

    /// What an epoch says of the log holds from now on. Room is made here, not on a request.
    pub fn adopt(&self, rules: &HttpRules) {
        if rules.log_sample > 0 || rules.sampling.is_some() {
            self.writer.borrow_mut().get_or_insert_with(|| self.journal.writer());
        }
        self.sample.set(rules.log_sample);
        self.passed.set(0);
    }

    /// Records what is over: for the log where its turn has come or it did not go well, for its trace where that is
    /// recorded.
    #[inline(never)]
    pub fn record(&self, kind: Kind, account: &Account, note: &Note) {
        let kind = match kind {
            Kind::Exchange => RecordKind::Exchange,
            Kind::Tunnel => RecordKind::Tunnel,
            Kind::Connection => RecordKind::Connection,
            // It goes on.
            Kind::Switch => return,
        };
        self.put(kind, if self.is_due(account) { FLAG_LOG } else { 0 }, account, note);
    }

    /// Records an attempt that failed, for the trace alone.
    #[cold]
    pub fn attempt(&self, account: &Account, note: &Note) {
        self.put(RecordKind::Attempt, 0, account, note);
    }

    fn put(&self, kind: RecordKind, flags: u8, account: &Account, note: &Note) {
        let trace = account.trace.filter(Trace::is_sampled);
        if flags == 0 && trace.is_none() {
            return;
        }
        let mut texts = Texts::default();
        note.fill(&mut texts);
        if let Some(id) = &account.request_id {
            texts.set(Text::RequestId, id.bytes(), REQUEST_ID_BYTES_MAX);
        }
        let numbers = Numbers { kind, flags, worker: self.worker, ..note.numbers(account) };
        if let Some(writer) = &mut *self.writer.borrow_mut() {
            AccessRecord { numbers, trace, texts }.put(writer);
        }
    }

    fn is_due(&self, account: &Account) -> bool {
        let sample = self.sample.get();
        if account.end.is_some() || account.status >= 500 || account.spared.is_some() {
            return sample > 0;
        }
        let passed = self.passed.get() + 1;
        let due = passed >= sample;
        self.passed.set(if due { 0 } else { passed });
        due && sample > 0
    }
}

impl Note {
    /// Nothing is known but who it is from.
    #[must_use]
    pub fn new(peer: IpAddr, buffers: &Buffers) -> Self {
        let texts = buffers.lease(Class::Tiny);
        let (lengths, cut) = ([0; NOTED.len()], [false; NOTED.len()]);
        Self { texts, lengths, cut, version: 0, peer, client: peer }
    }

    /// The request's head was understood, and where it goes was decided: service, tenant, endpoint.
    pub fn request(&mut self, head: &RequestHead<'_>, client: IpAddr, names: [&str; 3], buffers: &Buffers) {
        let field = |name| head::field(head.fields, name).unwrap_or(b"");
        let query = head.query.unwrap_or(b"");
        let texts = [head.method_text, head.path, head.host, field("referer"), field("user-agent")];
        self.client = client;
        self.version = if head.version == Version::Http10 { 10 } else { 11 };
        self.begin_again(buffers, texts.iter().map(|text| text.len()).sum::<usize>() + 1 + query.len(), names);
        for (place, text) in texts.into_iter().enumerate() {
            self.put(place, text);
            if place == TARGET && head.query.is_some() {
                self.put(place, b"?");
                self.put(place, query);
            }
        }
        self.names(names);
    }

    /// It was not understood: its first line stands for it.
    pub fn line(&mut self, bytes: &[u8], buffers: &Buffers) {
        let text = bytes.trim_ascii_start();
        let end = memchr::memchr2(b'\r', b'\n', text).unwrap_or(text.len());
        self.begin_again(buffers, end, [""; 3]);
        self.put(TARGET, &text[..end]);
    }

    /// A connection to a tcp service.
    pub fn connection(&mut self, client: IpAddr, service: &str, buffers: &Buffers) {
        self.client = client;
        self.begin_again(buffers, 0, [service, "", ""]);
        self.names([service, "", ""]);
    }

    /// The endpoint, or another one in another attempt.
    pub fn node(&mut self, node: &str, buffers: &Buffers) {
        let before = self.texts.bytes().len() - usize::from(self.lengths[NODE]);
        self.texts.truncate(before);
        self.lengths[NODE] = 0;
        if before + node.len().min(MOST[NODE]) > self.texts.capacity() {
            let mut larger = buffers.lease(Class::Small);
            larger.append(self.texts.bytes());
            self.texts = larger;
        }
        self.put(NODE, node.as_bytes());
    }

    /// An empty note with room for what comes: its memory never grows.
    fn begin_again(&mut self, buffers: &Buffers, bytes: usize, names: [&str; 3]) {
        let needed = bytes + names.iter().map(|name| name.len()).sum::<usize>();
        self.texts.truncate(0);
        if needed > self.texts.capacity() {
            self.texts = buffers.lease(Class::Small);
        }
        self.lengths = [0; NOTED.len()];
        self.cut = [false; NOTED.len()];
    }

    fn names(&mut self, names: [&str; 3]) {
        for (place, name) in (SERVICE..).zip(names) {
            self.put(place, name.as_bytes());
        }
    }

    /// Appends to a text; those after it are empty still.
    fn put(&mut self, place: usize, text: &[u8]) {
        let taken = text.len().min(MOST[place] - usize::from(self.lengths[place]));
        self.texts.vec().extend_from_slice(&text[..taken]);
        // No bound is above 64 KiB.
        self.lengths[place] += u16::try_from(taken).unwrap_or(0);
        self.cut[place] |= taken < text.len();
    }

    fn fill<'n>(&'n self, texts: &mut Texts<'n>) {
        let mut rest = self.texts.bytes();
        for ((text, length), cut) in NOTED.into_iter().zip(self.lengths).zip(self.cut) {
            let (bytes, after) = rest.split_at_checked(usize::from(length)).unwrap_or((rest, b""));
            texts.set(text, bytes, bytes.len());
            if cut {
                texts.mark_cut(text);
            }
            rest = after;
        }
    }

    fn numbers(&self, account: &Account) -> Numbers {
        Numbers {
            status: account.status,
            end: account.end,
            spared: account.spared,
            attempts: account.attempts,
            reused: account.reused,
            version: self.version,
            peer: self.peer,
            client: self.client,
            bytes_in: account.bytes_in,
            bytes_out: account.bytes_out,
            head_bytes_out: account.head_bytes_out,
            stamps: account.timing,
            ..Numbers::default()
        }
    }
}
