//! Heads and bodies as they are on the wire, read without the gateway's own parser.
//!
//! Bytes are kept as text by mapping each to the character of the same number, so that any byte
//! survives and literals stay readable.

use super::wire::{Gone, Wire};

/// Any bytes as text, one character per byte.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A start line and its fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// The start line without its CRLF.
    pub(crate) start: String,
    /// Name and value in the order received.
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// Reads one head, skipping nothing.
    pub(crate) fn receive(wire: &mut Wire) -> Result<Self, Gone> {
        let raw = wire.through(b"\r\n\r\n")?;
        Ok(Self::parse(&raw))
    }

    /// Splits a head that ends with its empty line.
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let raw = text(raw);
        let mut lines = raw.trim_end_matches("\r\n").split("\r\n");
        let start = lines.next().expect("split gives at least one").to_owned();
        Self { start, fields: lines.map(split_field).collect() }
    }

    /// The values of every field of that name, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(named).map(|field| field.1.as_str()).collect()
    }

    /// The value of the only field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is repeated: {all:?}");
        all.first().copied()
    }

    /// Whether a list field names the token.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name).iter().flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    }

    /// Which bytes of the start line's words: method, target, version or version, status, reason.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.start.splitn(3, ' ').nth(index).unwrap_or("")
    }
}

fn split_field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
}

/// How a body says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Nothing,
    /// `Content-Length`.
    Length(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything until the connection closes.
    UntilClose,
}

impl Framing {
    /// What the head's fields say; without them, what the caller says.
    pub(crate) fn of(head: &Head, otherwise: Self) -> Self {
        if head.lists("transfer-encoding", "chunked") {
            assert!(head.all("content-length").is_empty(), "both framings at once: {head:?}");
            return Self::Chunked;
        }
        match head.field("content-length") {
            Some(length) => Self::Length(length.parse().expect("a decimal length")),
            None => otherwise,
        }
    }
}

/// A body as received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    /// The content.
    pub(crate) bytes: Vec<u8>,
    /// Each chunk line without CRLF, the last one included.
    pub(crate) chunk_lines: Vec<String>,
    /// Fields after the last chunk.
    pub(crate) trailers: Vec<(String, String)>,
}

impl Body {
    /// Reads to the end that the framing gives. What came before a failure is in the error.
    pub(crate) fn receive(wire: &mut Wire, framing: Framing) -> Result<Self, (Self, Gone)> {
        let mut body = Self::default();
        match body.read(wire, framing) {
            Ok(()) => Ok(body),
            Err(gone) => Err((body, gone)),
        }
    }

    fn read(&mut self, wire: &mut Wire, framing: Framing) -> Result<(), Gone> {
        match framing {
            Framing::Nothing => Ok(()),
            Framing::Length(length) => self.read_length(wire, length),
            Framing::Chunked => self.read_chunks(wire),
            Framing::UntilClose => {
                let (bytes, gone) = wire.rest();
                self.bytes = bytes;
                if gone == Gone::Closed { Ok(()) } else { Err(gone) }
            }
        }
    }

    fn read_length(&mut self, wire: &mut Wire, length: usize) -> Result<(), Gone> {
        wire.exactly(length).map(|bytes| self.bytes = bytes).inspect_err(|_| self.bytes = wire.pending().to_vec())
    }

    fn read_chunks(&mut self, wire: &mut Wire) -> Result<(), Gone> {
        loop {
            let line = text(&wire.through(b"\r\n")?);
            let line = line.trim_end_matches("\r\n").to_owned();
            let digits = line.split(';').next().unwrap_or("");
            let size = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("chunk line {line:?}"));
            self.chunk_lines.push(line);
            if size == 0 {
                return self.read_trailers(wire);
            }
            let data = wire.exactly(size + 2)?;
            assert!(data.ends_with(b"\r\n"), "chunk data without its end");
            self.bytes.extend_from_slice(&data[..size]);
        }
    }

    fn read_trailers(&mut self, wire: &mut Wire) -> Result<(), Gone> {
        loop {
            let line = wire.through(b"\r\n")?;
            if line == b"\r\n" {
                return Ok(());
            }
            self.trailers.push(split_field(text(&line).trim_end_matches("\r\n")));
        }
    }
}
