//! The request target (RFC 9112 section 3.2) and the one normaliser of its path.
//!
//! In scope: the four forms of a target, which bytes it may hold, and [`canonical`], applied once before
//! anything looks at a path, so that rules, rewrites, lists and the upstream all see the same string.
//! Out of scope: the query, which passes as received.

use super::authority;
use super::head::Method;
use super::scan;
use crate::end::End;

/// A target taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'h> {
    pub(super) path: &'h [u8],
    pub(super) query: Option<&'h [u8]>,
    pub(super) authority: Option<&'h [u8]>,
    pub(super) asterisk: bool,
}

/// Takes a legal target apart.
pub(super) fn split(method: Method, target: &[u8]) -> Result<Target<'_>, End> {
    match target {
        _ if method == Method::Connect => connect(target),
        [b'/', ..] => Ok(origin(target, None)),
        b"*" if method == Method::Options => Ok(Target { path: target, query: None, authority: None, asterisk: true }),
        _ => absolute(method, target),
    }
}

fn origin<'h>(text: &'h [u8], authority: Option<&'h [u8]>) -> Target<'h> {
    let (path, query) = match memchr::memchr(b'?', text) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let path = if path.is_empty() { b"/" } else { path };
    Target { path, query, authority, asterisk: false }
}

/// `http://authority[/path][?query]`; `OPTIONS` without a path means the server (RFC 9112 section 3.2.4).
fn absolute(method: Method, target: &[u8]) -> Result<Target<'_>, End> {
    const SCHEME: &[u8] = b"http://";
    let Some((scheme, rest)) = target.split_at_checked(SCHEME.len()) else { return Err(End::BadTarget) };
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err(End::BadTarget);
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if !authority::is_authority(authority) {
        return Err(End::BadTarget);
    }
    if rest.is_empty() && method == Method::Options {
        return Ok(Target { path: b"*", query: None, authority: Some(authority), asterisk: true });
    }
    Ok(origin(rest, Some(authority)))
}

/// `host:port` and nothing else, so that the caller can refuse the method and not the target.
fn connect(target: &[u8]) -> Result<Target<'_>, End> {
    if !authority::has_port(target) {
        return Err(End::BadTarget);
    }
    Ok(Target { path: target, query: None, authority: Some(target), asterisk: false })
}

/// The one form of a path that everybody sees (RFC 3986 section 6.2.2): escapes of unreserved characters
/// decoded, the hex of the others in upper case, dot segments removed, empty segments merged if asked.
/// A path that is already canonical is returned as it is; `%2F` stays and never separates.
///
/// # Errors
/// [`End::BadPath`]: an invalid escape, an encoded control character, a climb above the root, a byte no
/// path may hold, or a segment in which a more eager decoder would find a dot segment (`..%2f`, `..;`,
/// `%252e%252e%255c`).
pub fn canonical<'a>(path: &'a [u8], merge_slashes: bool, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], End> {
    let [b'/', ..] = path else { return Err(End::BadPath) };
    if !scan::is_unsettled(path, merge_slashes) {
        return Ok(path);
    }
    scratch.clear();
    for segment in path[1..].split(|&byte| byte == b'/') {
        push_segment(segment, merge_slashes, scratch)?;
    }
    // What is left of the last segment of `/a/.`, `/a/..` and a merged `/a//` is the slash before it.
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if is_dots(last) || (merge_slashes && last.is_empty()) {
        scratch.push(b'/');
    }
    Ok(scratch)
}

/// Appends one segment to a path of whole segments, or takes the last one back.
fn push_segment(segment: &[u8], merge_slashes: bool, path: &mut Vec<u8>) -> Result<(), End> {
    let start = path.len();
    path.push(b'/');
    decode(segment, path)?;
    match &path[start + 1..] {
        b"." => path.truncate(start),
        b"" if merge_slashes => path.truncate(start),
        b".." => {
            let parent = path[..start].iter().rposition(|&byte| byte == b'/').ok_or(End::BadPath)?;
            path.truncate(parent);
        }
        decoded if hides_dots(decoded) => return Err(End::BadPath),
        _ => {}
    }
    Ok(())
}

/// Whether a raw segment is `.` or `..`, escaped or not.
fn is_dots(mut segment: &[u8]) -> bool {
    for dots in 0..3 {
        segment = match segment {
            [] => return dots > 0,
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return false,
        };
    }
    false
}

/// Appends a segment with its escapes in their one form.
fn decode(segment: &[u8], out: &mut Vec<u8>) -> Result<(), End> {
    let mut rest = segment;
    while let [byte, after @ ..] = rest {
        if *byte != b'%' {
            if matches!(byte, 0..=b' ' | 0x7f.. | b'#' | b'?' | b'\\') {
                return Err(End::BadPath);
            }
            out.push(*byte);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else { return Err(End::BadPath) };
        match escaped(*high, *low) {
            None | Some(..=0x1f | 0x7f) => return Err(End::BadPath),
            Some(byte @ (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')) => out.push(byte),
            Some(_) => out.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]),
        }
        rest = after;
    }
    Ok(())
}

/// The byte two hex digits stand for.
#[inline]
pub(super) fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Appends a byte as an escape in its one form.
pub fn push_escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
}

/// Whether a segment in its one form would be, or hold, a dot segment for a reader that decodes it (once
/// or more often), takes encoded slashes and backslashes for separators, or cuts parameters at `;`.
#[must_use]
pub fn hides_dots(segment: &[u8]) -> bool {
    let mut dots = Some(0_u8);
    let mut in_parameters = false;
    let mut rest = segment;
    loop {
        let byte = match rest {
            [] => return is_hidden(dots),
            [b'%', after @ ..] => {
                let (byte, after) = decode_fully(after);
                rest = after;
                byte
            }
            [byte, after @ ..] => {
                rest = after;
                *byte
            }
        };
        match byte {
            b'/' | b'\\' => {
                if is_hidden(dots) {
                    return true;
                }
                (dots, in_parameters) = (Some(0), false);
            }
            _ if in_parameters => {}
            b';' => in_parameters = true,
            b'.' => dots = dots.map(|dots| dots.saturating_add(1)),
            _ => dots = None,
        }
    }
}

/// One or two dots and nothing else.
fn is_hidden(dots: Option<u8>) -> bool {
    matches!(dots, Some(1 | 2))
}

/// What `%` and the bytes after it come to when decoded until nothing changes (`%25` stands for a `%`
/// that may begin another escape), and what follows.
fn decode_fully(mut after: &[u8]) -> (u8, &[u8]) {
    while let [b'2', b'5', rest @ ..] = after {
        after = rest;
    }
    match after {
        [high, low, rest @ ..] => escaped(*high, *low).map_or((b'%', after), |byte| (byte, rest)),
        _ => (b'%', after),
    }
}

#[cfg(test)]
mod tests;
