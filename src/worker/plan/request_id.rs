//! Request ids: GateKeeper's trace ids, which follow a request through logs and services.
//!
//! In scope: making one, and judging a client's own. Out of scope: where it is written.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use crate::limits::REQUEST_ID_BYTES_MAX;
use crate::proto::trace_context::TraceId;

/// The id of one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    bytes: [u8; REQUEST_ID_BYTES_MAX],
    length: u8,
}

impl RequestId {
    /// A client's own id, if it is short and of characters that are safe everywhere.
    #[must_use]
    pub fn of_client(id: &[u8]) -> Option<Self> {
        let safe = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let length = u8::try_from(id.len()).ok().filter(|length| *length > 0)?;
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        id.iter().all(safe).then_some(Self { bytes, length })
    }

    /// The id of a trace that begins here, or came without one of these.
    #[must_use]
    pub fn of_trace(trace: TraceId) -> Self {
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        bytes[..32].copy_from_slice(&trace.text());
        Self { bytes, length: 32 }
    }

    /// Its text.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The ids one core makes: unique over processes by a random seed and within one by a count.
pub struct RequestIds {
    /// What is the same in all of them.
    pattern: RequestId,
    count: Cell<u32>,
}

impl RequestIds {
    /// Ids under a new random seed.
    #[must_use]
    pub fn new() -> Self {
        let seed = RandomState::new().hash_one(std::process::id());
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        bytes[14..22].copy_from_slice(&hex((seed >> 32) as u32));
        bytes[22..30].copy_from_slice(&hex(seed as u32));
        bytes[30..32].copy_from_slice(b"b0");
        Self { pattern: RequestId { bytes, length: 32 }, count: Cell::new(0) }
    }

    /// A new id: 32 hexadecimal digits, ending as GateKeeper's do.
    #[must_use]
    pub fn next(&self, unix_s: u64) -> RequestId {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let mut id = self.pattern;
        id.bytes[..8].copy_from_slice(&hex(unix_s as u32));
        id.bytes[8..16].copy_from_slice(&hex(count));
        id
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

/// The eight digits of a number, made side by side in one word: every request needs sixteen.
fn hex(value: u32) -> [u8; 8] {
    let mut digits = u64::from(value);
    digits = (digits | digits << 16) & 0x0000_FFFF_0000_FFFF;
    digits = (digits | digits << 8) & 0x00FF_00FF_00FF_00FF;
    digits = (digits | digits << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    // A digit above 9 carries into its byte's upper half when 6 is added.
    let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hex_digits_and_differ() {
        let ids = RequestIds::new();
        let (first, second) = (ids.next(1_700_000_000), ids.next(1_700_000_000));
        assert_ne!(first.bytes(), second.bytes());
        assert!(first.bytes().iter().all(u8::is_ascii_hexdigit) && first.bytes().len() == 32);
        assert!(first.bytes().ends_with(b"b0"));
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for value in [0, 9, 10, 15, 16, 0x0123_4567, 0x89AB_CDEF, 0xFFFF_FFFF, 1_700_000_000] {
            assert_eq!(hex(value), format!("{value:08x}").as_bytes(), "{value}");
        }
    }

    #[test]
    fn a_clients_own_id_is_kept_when_it_is_short_and_safe() {
        assert_eq!(RequestId::of_client(b"my-own-id_1.2").unwrap().bytes(), b"my-own-id_1.2");
        for refused in [&b""[..], b"a b", b"a\"b", b"\xff", &[b'a'; REQUEST_ID_BYTES_MAX + 1]] {
            assert!(RequestId::of_client(refused).is_none());
        }
    }
}
