//! From a record to a line of the request log.
//!
//! In scope: which form, how loud the line is, what is left out of it. The values of secrets are left out here, before
//! any form sees them. Out of scope: where the line goes (`book`).

mod escape;
mod json;
mod own;
mod text;
mod time;

use self::time::Times;
use crate::config::logs::{Access, Format, Level, Logs};
use crate::end::Side;
use crate::proto::redact;
use crate::wall::journal::{AccessRecord, Kind, Numbers, Text};

/// Makes lines.
pub(super) struct Lines {
    access: Access,
    times: Times,
    /// Microseconds from 1970 to the origin of the workers' clocks.
    offset_us: u64,
    target: Vec<u8>,
    referer: Vec<u8>,
    line: Vec<u8>,
}

/// What a form is made of.
struct Entry<'e> {
    record: &'e AccessRecord<'e>,
    /// Without secrets.
    target: &'e [u8],
    referer: &'e [u8],
    level: Level,
    /// When it began, in microseconds since 1970.
    begun_unix_us: u64,
}

impl Lines {
    /// Lines as the files say.
    pub(super) fn new(logs: &Logs) -> Self {
        let (access, times) = (logs.access.clone(), Times::new(logs.zone.clone()));
        Self { access, times, offset_us: 0, target: Vec::new(), referer: Vec::new(), line: Vec::new() }
    }

    /// The clock of this machine may be set; the workers' clocks are not.
    pub(super) fn set_offset(&mut self, offset_us: u128) {
        self.offset_us = u64::try_from(offset_us).unwrap_or(0);
    }

    /// The record as a line, its end included, and how loud that is.
    pub(super) fn line(&mut self, record: &AccessRecord<'_>) -> (Level, &[u8]) {
        let Self { access, times, offset_us, target, referer, line } = self;
        for (text, out) in [(Text::Target, &mut *target), (Text::Referer, &mut *referer)] {
            out.clear();
            let cut = record.texts.was_cut(text);
            redact::target(record.texts.get(text), &access.redact, out);
            if cut && redact::may_hide_a_user(record.texts.get(text)) {
                out.clear();
                out.extend_from_slice(redact::REDACTED);
            }
            if cut {
                out.extend_from_slice(b"...");
            }
        }
        let level = level(&record.numbers);
        let begun_unix_us = *offset_us + record.numbers.stamps.begun_us;
        let entry = Entry { record, target, referer, level, begun_unix_us };
        line.clear();
        match &access.format {
            Format::Json => json::put(line, &entry, times),
            Format::GateKeeper => own::put(line, &entry, times),
            Format::Text(pieces) => text::put(line, &entry, times, pieces),
        }
        line.push(b'\n');
        (level, line)
    }
}

fn level(numbers: &Numbers) -> Level {
    match numbers.end.map(|end| end.meaning().side) {
        Some(Side::Upstream) => Level::Error,
        Some(Side::Downstream | Side::Gateway) => Level::Warning,
        None if numbers.status >= 500 => Level::Warning,
        None => Level::Info,
    }
}

impl Entry<'_> {
    fn text(&self, text: Text) -> &[u8] {
        self.record.texts.get(text)
    }

    fn numbers(&self) -> &Numbers {
        &self.record.numbers
    }

    /// Path and query.
    fn halves(&self) -> (&[u8], Option<&[u8]>) {
        match memchr::memchr(b'?', self.target) {
            Some(at) => (&self.target[..at], Some(&self.target[at + 1..])),
            None => (self.target, None),
        }
    }

    fn kind(&self) -> &'static str {
        match self.numbers().kind {
            Kind::Exchange | Kind::Attempt => "request",
            Kind::Tunnel => "tunnel",
            Kind::Connection => "connection",
        }
    }

    /// What was spoken; empty where it is not known.
    fn protocol(&self) -> &'static str {
        match (self.numbers().version, self.numbers().kind) {
            (10, _) => "HTTP/1.0",
            (11, _) => "HTTP/1.1",
            (_, Kind::Tunnel) => "TCP",
            _ => "",
        }
    }

    fn end(&self) -> Option<&'static str> {
        self.numbers().end.map(crate::end::End::code)
    }

    fn spared(&self) -> Option<&'static str> {
        self.numbers().spared.map(crate::end::End::code)
    }

    fn side(&self) -> Option<&'static str> {
        self.numbers().end.map(|end| match end.meaning().side {
            Side::Downstream => "client",
            Side::Gateway => "gateway",
            Side::Upstream => "service",
        })
    }

    fn retries(&self) -> u8 {
        self.numbers().attempts.saturating_sub(1)
    }

    fn body_bytes_sent(&self) -> u64 {
        self.numbers().bytes_out.saturating_sub(self.numbers().head_bytes_out.into())
    }
}

/// Appends a number.
fn put_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends microseconds as seconds, with that many digits after the point: 3 or 6.
fn put_seconds(out: &mut Vec<u8>, us: u64, digits: usize) {
    put_number(out, us / 1_000_000);
    out.push(b'.');
    let (mut fraction, mut place) = (us % 1_000_000, 100_000);
    for _ in 0..digits {
        out.push(b'0' + u8::try_from(fraction / place).unwrap_or(0));
        fraction %= place;
        place = (place / 10).max(1);
    }
}
