//! Trace context: which trace a request belongs to, as its fields say it.
//!
//! The W3C Recommendation "Trace Context" (2021-11-23): `traceparent` and `tracestate`; and GateKeeper's own ids. In
//! scope: reading them strictly, writing `traceparent`, which received fields give way to ours. A `traceparent` that
//! breaks a rule counts as absent (section 4.3), a `tracestate` that does is left out alone. Out of scope: whether a
//! request is sampled (`wall::trace`), new ids (`worker::shard::trace`).

use httparse::Header;

use super::survey::Positions;
use super::{field, hex};

/// Bytes of a `traceparent` that we write: version, trace, parent, flags.
pub const TRACEPARENT_BYTES: usize = 55;
/// The caller may have recorded its part of the trace (section 3.2.2.5.1).
pub const SAMPLED: u8 = 1;
/// The trace's id is random: of Level 2, kept where it came with version 00.
const RANDOM: u8 = 2;
/// Members of a `tracestate` (section 3.3.1.1); with their bounded keys and values that bounds the whole.
const STATE_MEMBERS_MAX: usize = 32;

/// The id of a trace; never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span; never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// An id of these bytes, the lowest bit set where all are zero.
    #[must_use]
    pub fn new(number: u128) -> Self {
        Self(number.max(1).to_be_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn text(&self) -> [u8; 32] {
        let mut text = [0; 32];
        hex::put(&mut text, &self.0);
        text
    }

    /// The id that such a text is.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Option<Self> {
        of_hex(text).filter(|bytes| *bytes != [0; 16]).map(Self)
    }
}

impl SpanId {
    /// An id of these bytes, the lowest bit set where all are zero.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number.max(1).to_be_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// The same as a number.
    #[must_use]
    pub fn number(&self) -> u64 {
        u64::from_be_bytes(self.0)
    }

    /// 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn text(&self) -> [u8; 16] {
        let mut text = [0; 16];
        hex::put(&mut text, &self.0);
        text
    }

    /// The id that such a text is.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Option<Self> {
        of_hex(text).filter(|bytes| *bytes != [0; 8]).map(Self)
    }
}

/// What a `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub parent: SpanId,
    /// Those flags that are known.
    pub flags: u8,
}

impl TraceParent {
    /// Reads a value, optional white space around it gone. A version above 00 is read as 00, whatever follows it
    /// after another hyphen (section 4.3); version ff is none.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (ours, rest) = value.split_at_checked(TRACEPARENT_BYTES)?;
        let [version] = of_hex(&ours[..2])?;
        let hyphens = [2, 35, 52].iter().all(|at| ours[*at] == b'-');
        let ends = if version == 0 { rest.is_empty() } else { matches!(rest, [] | [b'-', ..]) };
        if version == 0xff || !hyphens || !ends {
            return None;
        }
        let trace = TraceId::of_text(&ours[3..35])?;
        let parent = SpanId::of_text(&ours[36..52])?;
        let [flags] = of_hex(&ours[53..])?;
        let known = if version == 0 { SAMPLED | RANDOM } else { SAMPLED };
        Some(Self { trace, parent, flags: flags & known })
    }

    /// Whether the caller may have recorded its part.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The value, in version 00.
    #[must_use]
    pub fn text(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(&self.trace.text());
        text[36..52].copy_from_slice(&self.parent.text());
        hex::put(&mut text[53..], &[self.flags]);
        text
    }
}

/// What a request says of its trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incoming {
    /// The one `traceparent`, where it keeps the rules.
    pub parent: Option<TraceParent>,
    /// The span of `didi-header-spanid`, where there is one of that form.
    pub own_parent: Option<SpanId>,
    /// Where all that stands.
    pub places: Places,
}

/// Where the fields of a trace stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    parents: Positions,
    states: Positions,
    spans: Positions,
}

impl Incoming {
    /// Finds the fields. The state is not judged yet.
    #[must_use]
    pub fn read(fields: &[Header<'_>]) -> Self {
        let mut incoming = Self::default();
        for (position, Header { name, value }) in fields.iter().enumerate() {
            match name.len() {
                10 if field::is(name.as_bytes(), b"tracestate") => incoming.places.states.insert(position),
                11 if field::is(name.as_bytes(), b"traceparent") => {
                    // Two are none: whose trace it is would be a guess.
                    let first = incoming.places.parents.is_empty();
                    incoming.parent = TraceParent::parse(value).filter(|_| first);
                    incoming.places.parents.insert(position);
                }
                18 if field::is(name.as_bytes(), b"didi-header-spanid") => {
                    incoming.own_parent = SpanId::of_text(value);
                    incoming.places.spans.insert(position);
                }
                _ => {}
            }
        }
        incoming
    }

    /// The fields that give way to ours. The state stays where it keeps the rules and its trace goes on.
    #[must_use]
    pub(super) fn replaced(&self, fields: &[Header<'_>]) -> Positions {
        let Places { parents, states, spans } = self.places;
        let replaced = parents.union(spans);
        let values = states.iter().map(|position| fields[position].value);
        if self.parent.is_some() && is_state(values) { replaced } else { replaced.union(states) }
    }
}

/// What the upstream is told in our word.
#[derive(Clone, Copy, Debug)]
pub struct TraceOnward {
    /// What the request said.
    pub incoming: Incoming,
    /// What it says from here on.
    pub parent: TraceParent,
}

/// Whether these values are one `tracestate` (section 3.3.1): members `key=value` between commas, at most 32, empty
/// ones not counted. A key that comes twice is let pass, as its value is nobody's but its vendor's.
pub fn is_state<'v>(values: impl Iterator<Item = &'v [u8]>) -> bool {
    let mut members = 0;
    for member in values.flat_map(field::elements).filter(|member| !member.is_empty()) {
        members += 1;
        let Some(equals) = memchr::memchr(b'=', member) else { return false };
        let (key, value) = (&member[..equals], &member[equals + 1..]);
        if members > STATE_MEMBERS_MAX || !is_key(key) || !is_value(value) {
            return false;
        }
    }
    true
}

/// `simple-key` or `tenant-id "@" system-id` (section 3.3.1.3.1).
fn is_key(key: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase();
    let is_part = |part: &[u8], digit_first: bool, most: usize| {
        let first = part.first().is_some_and(|byte| letter(byte) || (digit_first && byte.is_ascii_digit()));
        let byte = |byte: &u8| letter(byte) || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/');
        first && part.len() <= most && part.iter().all(byte)
    };
    match memchr::memchr(b'@', key) {
        None => is_part(key, false, 256),
        Some(at) => is_part(&key[..at], true, 241) && is_part(&key[at + 1..], false, 14),
    }
}

/// 1 to 256 printable characters, neither `,` nor `=` (section 3.3.1.3.2).
fn is_value(value: &[u8]) -> bool {
    matches!(value.len(), 1..=256) && value.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'=')
}

/// Lower-case hexadecimal digits, exactly as many as the bytes need.
fn of_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
