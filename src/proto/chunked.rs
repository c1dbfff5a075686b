//! Chunked bodies (RFC 9112 section 7.1): taken apart strictly, put together anew.
//!
//! In scope: a decoder that works in place at any split of the input, the grammar of chunk lines,
//! extensions and trailers, the caps on what frames the data. Extensions are checked and never kept.
//! Out of scope: whether trailers pass (the caller says), lengths of bodies.

use super::field::{self, Kind};
use crate::end::End;
use crate::limits;

/// Ends a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends the line that begins a chunk of `len` bytes. Never call it with 0, which ends a body.
pub fn put_chunk_head(out: &mut Vec<u8>, len: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = len.checked_ilog2().map_or(1, |log| log / 4 + 1);
    for shift in (0..digits).rev() {
        out.push(HEX[len >> (shift * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and these whole trailer lines.
pub fn put_last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(b"\r\n");
}

/// What one call of [`Decoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that are used up.
    pub consumed: usize,
    /// Bytes of data, now at the front of the input's place.
    pub data: usize,
    /// Whether the body is complete; what was not consumed belongs to the next message.
    pub finished: bool,
}

/// Where in the grammar the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the chunk size; how many digits so far.
    Size { digits: u8 },
    /// After `;`: the first byte of an extension's name.
    ExtensionName,
    /// In an extension's name.
    ExtensionNameRest,
    /// After `=`: the first byte of an extension's value.
    ExtensionValue,
    /// In a token value.
    ExtensionToken,
    /// In a quoted value.
    Quoted,
    /// After a backslash in a quoted value.
    QuotedPair,
    /// After the closing quote.
    QuotedEnd,
    /// After the CR of a chunk line.
    LineEnd,
    /// In the data.
    Data,
    /// After the data: CR.
    DataCr,
    /// After the data: LF.
    DataLf,
    /// At the start of a trailer line.
    Trailer,
    /// In a trailer's name.
    TrailerName,
    /// In a trailer's value.
    TrailerValue,
    /// After the CR of a trailer.
    TrailerLf,
    /// After the CR of the empty line.
    FinalLf,
    /// Complete.
    Finished,
}

/// Takes a chunked body apart.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Bytes of the current chunk that are still to come.
    remaining: u64,
    /// Bytes of the current chunk line.
    line_bytes: usize,
    /// Bytes of extensions in all chunk lines.
    extension_bytes: usize,
    /// Bytes that frame data, and the data they frame, over the whole body.
    overhead_bytes: u64,
    data_bytes: u64,
    keep_trailers: bool,
    /// The trailer section as received; after the end, the lines that may pass.
    trailers: Vec<u8>,
    /// Where the current trailer line starts in `trailers`, and how many came before it.
    trailer_start: usize,
    trailers_total: usize,
}

impl Decoder {
    /// A decoder at the start of a body.
    #[must_use]
    pub const fn new(keep_trailers: bool) -> Self {
        Self {
            state: State::Size { digits: 0 },
            remaining: 0,
            line_bytes: 0,
            extension_bytes: 0,
            overhead_bytes: 0,
            data_bytes: 0,
            keep_trailers,
            trailers: Vec::new(),
            trailer_start: 0,
            trailers_total: 0,
        }
    }

    /// Decodes as much as there is, in place. Everything is consumed unless the body ends before.
    ///
    /// # Errors
    /// [`End::BadChunk`], or [`End::HeadTooLarge`] for a trailer section past its bounds. The data
    /// before the fault in the same input is lost with it.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, End> {
        let (mut read, mut written) = (0, 0);
        while read < bytes.len() && self.state != State::Finished {
            if self.state == State::Data {
                let run = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len() - read);
                if read != written {
                    bytes.copy_within(read..read + run, written);
                }
                read += run;
                written += run;
                self.take_data(run as u64);
            } else {
                self.state = self.step(bytes[read])?;
                read += 1;
            }
        }
        Ok(Decoded { consumed: read, data: written, finished: self.state == State::Finished })
    }

    /// The trailers that may pass, as whole `Name: value` lines with their line ends. Empty unless they
    /// are kept and the body is complete.
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        if self.state == State::Finished { &self.trailers } else { &[] }
    }

    fn take_data(&mut self, run: u64) {
        self.remaining -= run;
        self.data_bytes = self.data_bytes.saturating_add(run);
        if self.remaining == 0 {
            self.state = State::DataCr;
        }
    }

    /// Takes one byte that is not data.
    fn step(&mut self, byte: u8) -> Result<State, End> {
        match self.state {
            State::Trailer | State::TrailerName | State::TrailerValue | State::TrailerLf | State::FinalLf => {
                self.step_trailer(byte)
            }
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => {
                self.line_bytes = 0;
                Ok(State::Size { digits: 0 })
            }
            State::DataCr | State::DataLf | State::Data | State::Finished => Err(End::BadChunk),
            _ => self.step_line(byte),
        }
    }

    /// Takes one byte of a chunk line.
    fn step_line(&mut self, byte: u8) -> Result<State, End> {
        self.line_bytes += 1;
        if self.line_bytes > limits::CHUNK_LINE_BYTES_MAX {
            return Err(End::BadChunk);
        }
        if let State::Size { digits } = self.state {
            return self.step_size(byte, digits);
        }
        if self.state == State::LineEnd {
            return if byte == b'\n' { self.end_line() } else { Err(End::BadChunk) };
        }
        self.extension_bytes += 1;
        if self.extension_bytes > limits::CHUNK_EXTENSION_BYTES_MAX {
            return Err(End::BadChunk);
        }
        step_extension(self.state, byte).ok_or(End::BadChunk)
    }

    fn step_size(&mut self, byte: u8, digits: u8) -> Result<State, End> {
        if let Some(digit) = (byte as char).to_digit(16) {
            if digits == SIZE_DIGITS_MAX {
                return Err(End::BadChunk);
            }
            self.remaining = self.remaining << 4 | u64::from(digit);
            return Ok(State::Size { digits: digits + 1 });
        }
        match byte {
            b';' if digits > 0 => Ok(State::ExtensionName),
            b'\r' if digits > 0 => Ok(State::LineEnd),
            _ => Err(End::BadChunk),
        }
    }

    /// At the end of a chunk line: on to the data or the trailers, unless the lines outweigh the data.
    fn end_line(&mut self) -> Result<State, End> {
        self.overhead_bytes += (self.line_bytes + CHUNK_END.len()) as u64;
        if self.overhead_bytes > self.data_bytes.saturating_add(limits::CHUNK_OVERHEAD_GRACE_BYTES) {
            return Err(End::BadChunk);
        }
        Ok(if self.remaining == 0 { State::Trailer } else { State::Data })
    }

    /// Takes one byte of the trailer section.
    fn step_trailer(&mut self, byte: u8) -> Result<State, End> {
        let next = match (self.state, byte) {
            (State::Trailer, b'\r') => return Ok(State::FinalLf),
            (State::FinalLf, b'\n') => {
                self.finish_trailers();
                return Ok(State::Finished);
            }
            (State::Trailer | State::TrailerName, byte) if field::is_token_byte(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, byte) if field::is_value_byte(byte) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::Trailer,
            _ => return Err(End::BadChunk),
        };
        if self.trailers.len() == limits::TRAILER_BYTES_MAX {
            return Err(End::HeadTooLarge);
        }
        self.trailers.push(byte);
        if next == State::Trailer {
            self.end_trailer()?;
        }
        Ok(next)
    }

    /// At the end of a trailer: it must not be one that would change the framing.
    fn end_trailer(&mut self) -> Result<(), End> {
        self.trailers_total += 1;
        if self.trailers_total > limits::FIELDS_CEILING {
            return Err(End::HeadTooLarge);
        }
        let line = &self.trailers[self.trailer_start..];
        self.trailer_start = self.trailers.len();
        match trailer_kind(line) {
            Kind::ContentLength | Kind::TransferEncoding | Kind::Confusable => Err(End::BadChunk),
            _ => Ok(()),
        }
    }

    /// Keeps only the lines that may pass, each written anew.
    fn finish_trailers(&mut self) {
        let received = std::mem::take(&mut self.trailers);
        if !self.keep_trailers {
            return;
        }
        for line in received.split_inclusive(|&byte| byte == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            if may_pass(line) {
                self.trailers.extend_from_slice(&line[..colon]);
                self.trailers.extend_from_slice(b": ");
                self.trailers.extend_from_slice(field::trim(&line[colon + 1..line.len() - CHUNK_END.len()]));
                self.trailers.extend_from_slice(CHUNK_END);
            }
        }
    }
}

/// More hex digits than these overflow 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

/// `chunk-ext` without white space (RFC 9112 section 7.1.1); `None` where the byte breaks it.
fn step_extension(state: State, byte: u8) -> Option<State> {
    let is_token = field::is_token_byte(byte);
    match (state, byte) {
        (State::ExtensionName | State::ExtensionNameRest, _) if is_token => Some(State::ExtensionNameRest),
        (State::ExtensionNameRest, b'=') => Some(State::ExtensionValue),
        (State::ExtensionValue, b'"') => Some(State::Quoted),
        (State::ExtensionValue | State::ExtensionToken, _) if is_token => Some(State::ExtensionToken),
        (State::Quoted, b'"') => Some(State::QuotedEnd),
        (State::Quoted, b'\\') => Some(State::QuotedPair),
        (State::Quoted | State::QuotedPair, byte) if field::is_value_byte(byte) => Some(State::Quoted),
        (State::ExtensionNameRest | State::ExtensionToken | State::QuotedEnd, b';') => Some(State::ExtensionName),
        (State::ExtensionNameRest | State::ExtensionToken | State::QuotedEnd, b'\r') => Some(State::LineEnd),
        _ => None,
    }
}

fn trailer_name(line: &[u8]) -> &str {
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    str::from_utf8(name).unwrap_or_default()
}

fn trailer_kind(line: &[u8]) -> Kind {
    field::classify(trailer_name(line))
}

/// Whether a trailer may pass: not one that routes, authenticates, modifies the request, describes the
/// content or controls the response (RFC 9110 section 6.5.1), nor any that we treat specially.
fn may_pass(line: &[u8]) -> bool {
    const FORBIDDEN: &[&str] = &[
        "accept-encoding",
        "age",
        "authentication-info",
        "cache-control",
        "content-encoding",
        "content-location",
        "content-range",
        "expires",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "location",
        "pragma",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "range",
        "retry-after",
        "set-cookie",
        "vary",
        "warning",
        "www-authenticate",
    ];
    let name = trailer_name(line);
    trailer_kind(line) == Kind::Plain && !FORBIDDEN.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
