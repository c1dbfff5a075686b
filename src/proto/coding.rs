//! Content codings (RFC 9110 section 8.4): which there are, undoing them, and asking for no others.
//!
//! In scope: gzip, deflate and br, undone into a bound, so that a few bytes cannot become a great many. Out of scope:
//! which messages are decoded.

use std::io::Read;

use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use httparse::Header;

use super::field::{elements, trim};

/// How much of a coded body is looked at in one step.
const STEP_BYTES: usize = 4_096;

/// A coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// None.
    Identity,
    /// `gzip` or `x-gzip` (RFC 1952).
    Gzip,
    /// `deflate` (RFC 1950; bare RFC 1951 is taken too, as some servers send it).
    Deflate,
    /// `br` (RFC 7932).
    Brotli,
}

/// Why a body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It would be larger than the bound.
    TooLarge,
    /// It is not what its coding says, or ends early.
    Malformed,
}

impl Coding {
    fn named(name: &[u8]) -> Option<Self> {
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        match () {
            () if is(b"gzip") || is(b"x-gzip") => Some(Self::Gzip),
            () if is(b"deflate") => Some(Self::Deflate),
            () if is(b"br") => Some(Self::Brotli),
            () if is(b"identity") || name.is_empty() => Some(Self::Identity),
            () => None,
        }
    }

    /// The coding that these fields say. `None` is one that is not known, or several on top of each other.
    #[must_use]
    pub fn of(fields: &[Header<'_>]) -> Option<Self> {
        let mut found = Self::Identity;
        for name in named(fields, "content-encoding") {
            match (Self::named(name)?, found) {
                (Self::Identity, _) => {}
                (coding, Self::Identity) => found = coding,
                _ => return None,
            }
        }
        Some(found)
    }

    /// Appends the body as it was before the coding: `max` bytes at most.
    ///
    /// # Errors
    /// Where it is larger, or malformed.
    pub fn undo(self, body: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        match self {
            Self::Identity if body.len() > max => Err(Wrong::TooLarge),
            Self::Identity => {
                out.extend_from_slice(body);
                Ok(())
            }
            Self::Gzip => read_all(MultiGzDecoder::new(body), max, out),
            // The first byte of a zlib header names the method in its low half (RFC 1950 section 2.2).
            Self::Deflate if is_zlib(body) => read_all(ZlibDecoder::new(body), max, out),
            Self::Deflate => read_all(DeflateDecoder::new(body), max, out),
            Self::Brotli => read_all(Decompressor::new(body, STEP_BYTES), max, out),
        }
    }
}

fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}

fn read_all(mut from: impl Read, max: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let (start, mut step) = (out.len(), [0; STEP_BYTES]);
    loop {
        let count = from.read(&mut step).map_err(|_| Wrong::Malformed)?;
        if count == 0 {
            return Ok(());
        }
        if out.len() - start + count > max {
            return Err(Wrong::TooLarge);
        }
        out.extend_from_slice(&step[..count]);
    }
}

fn named<'f>(fields: &'f [Header<'f>], name: &'static str) -> impl Iterator<Item = &'f [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).flat_map(|field| elements(field.value))
}

/// Appends what of `Accept-Encoding` can be undone; false where that is all it says, or it says nothing.
pub fn narrow(fields: &[Header<'_>], out: &mut Vec<u8>) -> bool {
    let (start, mut dropped) = (out.len(), false);
    for element in named(fields, "accept-encoding") {
        let name = trim(element.split(|byte| *byte == b';').next().unwrap_or_default());
        if Coding::named(name).is_none() {
            dropped = true;
            continue;
        }
        if out.len() > start {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(element);
    }
    if dropped && out.len() == start {
        out.extend_from_slice(b"identity");
    }
    dropped
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    /// "gate" three times, by a brotli encoder.
    const BROTLI: &[u8] = b"\x1b\x0b\0\0\x24\0\xca\0\x41\xc2\x0b\0";

    fn coded(bytes: &[u8]) -> Vec<(Coding, Vec<u8>)> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(bytes).expect("memory");
        zlib.write_all(bytes).expect("memory");
        bare.write_all(bytes).expect("memory");
        vec![
            (Coding::Identity, bytes.to_vec()),
            (Coding::Gzip, gzip.finish().expect("memory")),
            (Coding::Deflate, zlib.finish().expect("memory")),
            (Coding::Deflate, bare.finish().expect("memory")),
        ]
    }

    fn undone(coding: Coding, body: &[u8], max: usize) -> Result<Vec<u8>, Wrong> {
        let mut out = Vec::new();
        coding.undo(body, max, &mut out).map(|()| out)
    }

    proptest! {
        #[test]
        fn what_was_coded_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..20_000)) {
            for (coding, body) in coded(&bytes) {
                prop_assert_eq!(undone(coding, &body, bytes.len()), Ok(bytes.clone()));
            }
        }

        #[test]
        fn hostile_bytes_end_in_a_verdict_within_the_bound(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli] {
                let mut out = Vec::new();
                let _ = coding.undo(&bytes, 10_000, &mut out);
                prop_assert!(out.len() <= 10_000);
            }
        }
    }

    #[test]
    fn a_body_that_would_be_too_large_is_given_up() {
        let bytes = vec![0; 10_000_000];
        for (coding, body) in coded(&bytes) {
            assert_eq!(undone(coding, &body, 9_999_999), Err(Wrong::TooLarge), "{coding:?}");
        }
    }

    #[test]
    fn a_body_that_ends_early_is_malformed() {
        for (coding, body) in coded(&[b'a'; 5_000]).into_iter().skip(1) {
            assert_eq!(undone(coding, &body[..body.len() - 3], 10_000), Err(Wrong::Malformed), "{coding:?}");
        }
        assert_eq!(undone(Coding::Brotli, &BROTLI[..BROTLI.len() - 2], 100), Err(Wrong::Malformed));
    }

    #[test]
    fn brotli_is_undone() {
        assert_eq!(undone(Coding::Brotli, BROTLI, 100).as_deref(), Ok(&b"gategategate"[..]));
        assert_eq!(undone(Coding::Brotli, BROTLI, 11), Err(Wrong::TooLarge));
    }

    fn field<'a>(name: &'a str, value: &'a str) -> Header<'a> {
        Header { name, value: value.as_bytes() }
    }

    #[test]
    fn one_coding_is_known_and_several_are_not() {
        let of = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|value| field("Content-Encoding", value)).collect();
            Coding::of(&fields)
        };
        assert_eq!(of(&[]), Some(Coding::Identity));
        assert_eq!(of(&["X-GZIP"]), Some(Coding::Gzip));
        assert_eq!(of(&["identity, br"]), Some(Coding::Brotli));
        assert_eq!((of(&["gzip, br"]), of(&["gzip", "br"]), of(&["zstd"])), (None, None, None));
    }

    #[test]
    fn only_what_can_be_undone_is_asked_for() {
        let narrowed = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|value| field("accept-encoding", value)).collect();
            let mut out = Vec::new();
            narrow(&fields, &mut out).then(|| String::from_utf8(out).expect("text"))
        };
        assert_eq!(narrowed(&["gzip, deflate, br, zstd"]).as_deref(), Some("gzip, deflate, br"));
        assert_eq!(narrowed(&["zstd;q=1, gzip;q=0.5", "*"]).as_deref(), Some("gzip;q=0.5"));
        assert_eq!(narrowed(&["zstd"]).as_deref(), Some("identity"));
        assert_eq!((narrowed(&["gzip, br"]), narrowed(&[])), (None, None));
    }
}
