//! The request line (RFC 9112 sections 2.2 and 3): what httparse lets pass and we do not, and the name of
//! each fault.
//!
//! In scope: leading empty lines, bounds and bytes of method and target, the version, the line end. Out
//! of scope: the forms of a target (`target`).

use super::field;
use super::head::HeadLimits;
use super::scan;
use crate::end::End;
use crate::limits;

const VERSION_BYTES: usize = "HTTP/1.1".len();
/// Empty lines a client may send before a request (RFC 9112 section 2.2).
const EMPTY_LINES_MAX: usize = 2;

/// The bytes of the empty lines before a request; `None` while only they have arrived.
#[inline]
pub(super) fn skip_empty_lines(text: &[u8]) -> Result<Option<usize>, End> {
    let mut skipped = 0;
    loop {
        match &text[skipped..] {
            [] | [b'\r'] if skipped < EMPTY_LINES_MAX * 2 => return Ok(None),
            [] => return Ok(None),
            [b'\r', b'\n', ..] if skipped < EMPTY_LINES_MAX * 2 => skipped += 2,
            [b'\r' | b'\n', ..] => return Err(End::BadRequestLine),
            _ => return Ok(Some(skipped)),
        }
    }
}

/// A method and a target that httparse accepted are also within our bounds.
#[inline]
pub(super) fn check(method: &[u8], target: &[u8], limits: &HeadLimits) -> Result<(), End> {
    if method.len() > limits::METHOD_BYTES_MAX {
        return Err(End::MethodTooLong);
    }
    if target.len() > limits.uri_bytes_max {
        return Err(End::UriTooLong);
    }
    if scan::has_illegal(target) { Err(End::BadTarget) } else { Ok(()) }
}

/// After a version that httparse accepted the request line ends in CRLF, as far as can be seen.
#[inline]
pub(super) fn check_end(text: &[u8], method: &[u8], target: &[u8]) -> Result<(), End> {
    let at = method.len() + 1 + target.len() + 1 + VERSION_BYTES;
    match text.get(at..).unwrap_or_default() {
        [] | [b'\r'] | [b'\r', b'\n', ..] => Ok(()),
        _ => Err(End::BadRequestLine),
    }
}

/// Names the fault of a request line that httparse did not get through; `Ok` while it can still become
/// a good one, or until enough of it is seen to name the fault.
#[cold]
pub(super) fn check_unfinished(text: &[u8], limits: &HeadLimits) -> Result<(), End> {
    let method_bytes = text.iter().position(|&byte| !field::is_token_byte(byte)).unwrap_or(text.len());
    if method_bytes > limits::METHOD_BYTES_MAX {
        return Err(End::MethodTooLong);
    }
    let rest = match &text[method_bytes..] {
        [] => return Ok(()),
        [b' ', rest @ ..] if method_bytes > 0 => rest,
        _ => return Err(End::BadRequestLine),
    };
    let target_bytes = rest.iter().position(|byte| matches!(byte, 0..=b' ' | 0x7f)).unwrap_or(rest.len());
    if target_bytes > limits.uri_bytes_max {
        return Err(End::UriTooLong);
    }
    let (target, rest) = rest.split_at(target_bytes);
    let version = match rest {
        [] => return Ok(()),
        [b' ', ..] if target.is_empty() => return Err(End::BadRequestLine),
        [b' ', ..] if scan::has_illegal(target) => return Err(End::BadTarget),
        [b' ', version @ ..] => version,
        [b'\t' | b'\r' | b'\n', ..] => return Err(End::BadRequestLine),
        _ => return Err(End::BadTarget),
    };
    version_fault(version)
}

/// Names the fault of what should be a version and a line end.
fn version_fault(text: &[u8]) -> Result<(), End> {
    let Some(line_bytes) = memchr::memchr(b'\n', text) else { return Ok(()) };
    let line = &text[..line_bytes];
    match line {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r']
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(End::VersionUnsupported)
        }
        // A version at the end of the line, and more before it: the target held a space.
        [_, .., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b'\r'] => Err(End::BadTarget),
        _ => Err(End::BadRequestLine),
    }
}
