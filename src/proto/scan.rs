//! Questions about many bytes at once, for the texts of every request.
//!
//! In scope: yes-or-no scans written over fixed blocks, which the compiler turns into vector code.
//! Out of scope: what an answer means.

/// Bytes looked at in one go.
const BLOCK: usize = 16;

/// Whether a text of visible characters and obs-text holds an obs-text byte, `#` or a backslash.
#[inline]
pub(super) fn has_illegal(target: &[u8]) -> bool {
    any(target, |byte| (byte >= 0x80) | (byte == b'#') | (byte == b'\\'))
}

/// Whether the name holds an underscore.
#[inline]
pub(super) fn has_underscore(name: &[u8]) -> bool {
    any(name, |byte| byte == b'_')
}

/// Whether a text holds a byte that a field's line cannot go on after: CR, LF or NUL.
#[inline]
pub(super) fn ends_line(text: &[u8]) -> bool {
    any(text, |byte| (byte == b'\r') | (byte == b'\n') | (byte == 0))
}

/// Whether a path holds an escape, a byte that no path may hold, a dot after a slash or, if slashes are
/// to be merged, a slash after a slash.
#[inline]
pub(super) fn is_unsettled(path: &[u8], merge_slashes: bool) -> bool {
    let is_special =
        |byte: u8| (byte <= b' ') | (byte >= 0x7f) | (byte == b'#') | (byte == b'%') | (byte == b'?') | (byte == b'\\');
    // Without merging the dot stands in for the slash, so that one comparison serves both.
    let second = if merge_slashes { b'/' } else { b'.' };
    any(path, is_special) || {
        let pairs = path.len().saturating_sub(1);
        any_pair(&path[..pairs], &path[path.len() - pairs..], |byte, next| {
            (byte == b'/') & ((next == b'.') | (next == second))
        })
    }
}

/// Whether a byte answers yes. Only a text shorter than a block has to be padded (with `a`); the last
/// block of a longer one overlaps the one before.
#[inline]
fn any(text: &[u8], is: impl Fn(u8) -> bool) -> bool {
    let in_block = |block: &[u8; BLOCK]| block.iter().fold(false, |found, &byte| found | is(byte));
    match text.last_chunk::<BLOCK>() {
        Some(last) => text.as_chunks::<BLOCK>().0.iter().any(in_block) || in_block(last),
        None => in_block(&padded(text)),
    }
}

/// Whether a pair of bytes at one place of two texts of one length answers yes.
#[inline]
fn any_pair(text: &[u8], other: &[u8], is: impl Fn(u8, u8) -> bool) -> bool {
    let in_block = |(block, other): (&[u8; BLOCK], &[u8; BLOCK])| {
        block.iter().zip(other).fold(false, |found, (&byte, &other)| found | is(byte, other))
    };
    match text.last_chunk::<BLOCK>().zip(other.last_chunk::<BLOCK>()) {
        Some(last) => {
            let blocks = text.as_chunks::<BLOCK>().0.iter().zip(other.as_chunks::<BLOCK>().0);
            blocks.into_iter().any(in_block) || in_block(last)
        }
        None => in_block((&padded(text), &padded(other))),
    }
}

#[inline]
fn padded(text: &[u8]) -> [u8; BLOCK] {
    let mut block = [b'a'; BLOCK];
    block[..text.len()].copy_from_slice(text);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length around the blocks, the byte at every place.
    fn finds(byte: u8, scan: impl Fn(&[u8]) -> bool) {
        for length in 1..=3 * BLOCK + 1 {
            let mut text = vec![b'b'; length];
            assert!(!scan(&text));
            for place in 0..length {
                text[place] = byte;
                assert!(scan(&text), "{byte} at {place} of {length}");
                text[place] = b'b';
            }
        }
    }

    #[test]
    fn a_byte_is_found_at_any_place() {
        for byte in [0x80, 0xff, b'#', b'\\'] {
            finds(byte, has_illegal);
        }
        finds(b'_', has_underscore);
        for byte in *b"\r\n\0" {
            finds(byte, ends_line);
        }
        for byte in (0..=b' ').chain(0x7f..=0xff).chain(*b"#%?\\") {
            finds(byte, |path| is_unsettled(path, true));
        }
        assert!(!has_illegal(b"") && !has_underscore(b"") && !ends_line(b"") && !is_unsettled(b"", true));
    }

    #[test]
    fn a_pair_is_found_at_any_place() {
        for length in 2..=3 * BLOCK + 2 {
            for place in 1..length {
                let mut text = vec![b'b'; length];
                text[place - 1] = b'/';
                assert!(!is_unsettled(&text, true));
                text[place] = b'.';
                assert!(is_unsettled(&text, true) && is_unsettled(&text, false), "{place} of {length}");
                text[place] = b'/';
                assert!(is_unsettled(&text, true) && !is_unsettled(&text, false), "{place} of {length}");
            }
        }
    }
}
