//! A path's match form, which patterns see, and the way back to what the upstream gets.
//!
//! Decoding is lossless: an escape is decoded only if encoding writes it again, or if it stands for an unreserved
//! character (RFC 3986 section 2.3). So spaces and all scripts are plain in a pattern, while `%2F`, `%3B` or `%2B` stay
//! escapes and never turn into a separator by being rewritten. What is no UTF-8 stays escaped
//! too: the form is always UTF-8, without control characters.

use crate::proto::target::push_escape;

/// The byte cannot stand in a path as it is (RFC 3986 section 3.3); `%` aside.
const ENCODED: u8 = 1;
/// Unreserved: the same character with or without an escape.
const UNRESERVED: u8 = 2;
/// Decoded although it must be encoded again.
const DECODED: u8 = 4;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']' => ENCODED | DECODED,
            0..=0x1f | 0x7f.. | b'?' | b'#' => ENCODED,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => UNRESERVED,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

const fn has(byte: u8, classes: u8) -> bool {
    CLASSES[byte as usize] & classes != 0
}

/// Same decoded, encoded and raw.
const fn is_plain(byte: u8) -> bool {
    byte != b'%' && !has(byte, ENCODED)
}

/// The match form: the path itself if it is plain, else what is decoded into `form`.
pub(in crate::wall) fn decoded<'a>(path: &'a [u8], form: &'a mut Vec<u8>) -> &'a [u8] {
    if path.iter().all(|&byte| is_plain(byte)) {
        return path;
    }
    form.clear();
    let mut rest = path;
    while let Some(unit) = Unit::first(rest) {
        let bytes = match unit.byte {
            0x80.. => decode_character(rest, form),
            byte if unit.is_in_form() => {
                form.push(byte);
                unit.bytes
            }
            byte => {
                push_escape(byte, form);
                unit.bytes
            }
        };
        rest = &rest[bytes..];
    }
    form
}

/// The match form of a text from the configuration.
pub(super) fn of_text(text: &str) -> Box<[u8]> {
    decoded(text.as_bytes(), &mut Vec::new()).into()
}

/// What the upstream gets for a rewritten form: a path that starts with `/`, has no dot segment and only bytes
/// that may stand in an origin-form target. Itself if it is so already, else what is encoded into `wire`.
pub(super) fn encoded<'a>(form: &'a [u8], wire: &'a mut Vec<u8>) -> &'a [u8] {
    if is_ready(form) {
        return form;
    }
    wire.clear();
    if !form.starts_with(b"/") {
        wire.push(b'/');
    }
    let mut rest = form;
    while let Some(unit) = Unit::first(rest) {
        if unit.is_on_wire() {
            wire.push(unit.byte);
        } else {
            push_escape(unit.byte, wire);
        }
        rest = &rest[unit.bytes..];
    }
    remove_dot_segments(wire);
    wire
}

/// Whether the upstream can get the form as it is. A segment that begins with a dot is looked at the long way.
fn is_ready(form: &[u8]) -> bool {
    form.first() == Some(&b'/') && form.iter().all(|&byte| is_plain(byte)) && !form.windows(2).any(|pair| pair == b"/.")
}

/// One byte of a path, escaped or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unit {
    byte: u8,
    escaped: bool,
    /// How long it is in the path.
    bytes: usize,
}

impl Unit {
    fn first(path: &[u8]) -> Option<Self> {
        let digit = |at: usize| path.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        match (path.first()?, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => Some(Self { byte: (high << 4 | low) as u8, escaped: true, bytes: 3 }),
            (&byte, ..) => Some(Self { byte, escaped: false, bytes: 1 }),
        }
    }

    /// Whether the match form has the byte, rather than its escape.
    const fn is_in_form(self) -> bool {
        if self.escaped { has(self.byte, UNRESERVED | DECODED) } else { is_plain(self.byte) || has(self.byte, DECODED) }
    }

    /// Whether the upstream gets the byte, rather than its escape.
    const fn is_on_wire(self) -> bool {
        if self.escaped { has(self.byte, UNRESERVED) } else { is_plain(self.byte) }
    }
}

/// Decodes the character that starts the path, or escapes its first byte if that starts no UTF-8. How much of the
/// path that was.
fn decode_character(path: &[u8], form: &mut Vec<u8>) -> usize {
    let (mut bytes, mut read, mut from) = ([0; 4], 0, 0);
    while let Some(unit) = Unit::first(&path[from..]).filter(|unit| unit.byte >= 0x80 && read < bytes.len()) {
        bytes[read] = unit.byte;
        read += 1;
        from += unit.bytes;
        if let Ok(character) = str::from_utf8(&bytes[..read]) {
            form.extend_from_slice(character.as_bytes());
            return from;
        }
    }
    push_escape(bytes[0], form);
    Unit::first(path).map_or(0, |unit| unit.bytes)
}

/// What a segment means for the path's hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    Named,
    Here,
    Up,
}

impl Segment {
    /// Also a dot segment: one that some upstreams take for it, because a parameter or a hidden
    /// separator follows the dots (`..;x`, `..%2Fx`).
    fn of(text: &[u8]) -> Self {
        let dots = text.iter().take_while(|&&byte| byte == b'.').count();
        let after = Unit::first(&text[dots..]);
        let ends = after.is_none_or(|unit| matches!(unit.byte, b';' | b'/' | b'\\'));
        match dots {
            1 if ends => Segment::Here,
            2 if ends => Segment::Up,
            _ => Segment::Named,
        }
    }
}

/// RFC 3986 section 5.2.4, in place, on a path that starts with `/`.
fn remove_dot_segments(path: &mut Vec<u8>) {
    let (mut read, mut kept) = (0, 0);
    while read < path.len() {
        let end = memchr::memchr(b'/', &path[read + 1..]).map_or(path.len(), |at| read + 1 + at);
        let segment = Segment::of(&path[read + 1..end]);
        match segment {
            Segment::Named => {
                path.copy_within(read..end, kept);
                kept += end - read;
            }
            Segment::Here => {}
            Segment::Up => kept = memchr::memrchr(b'/', &path[..kept]).unwrap_or(0),
        }
        if segment != Segment::Named && end == path.len() {
            path[kept] = b'/';
            kept += 1;
        }
        read = end;
    }
    path.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(path: &str) -> String {
        String::from_utf8(decoded(path.as_bytes(), &mut Vec::new()).to_vec()).expect("the form is UTF-8")
    }

    fn wire(form: &str) -> String {
        String::from_utf8(encoded(form.as_bytes(), &mut Vec::new()).to_vec()).expect("the wire is ASCII")
    }

    #[test]
    fn a_plain_path_is_its_own_form_and_wire() {
        let path = b"/a-b_c~d.e/x:y@z!$&'()*+,;=";
        assert!(std::ptr::eq(decoded(path, &mut Vec::new()), path));
        assert!(std::ptr::eq(encoded(path, &mut Vec::new()), path));
    }

    #[test]
    fn scripts_spaces_and_unreserved_characters_are_decoded() {
        assert_eq!(form("/%E5%95%86%E5%93%81/%c3%a9"), "/商品/é");
        assert_eq!(form("/a%20b%22%3C%7C%5b"), "/a b\"<|[");
        assert_eq!(form("/%41%7e%2E"), "/A~.");
    }

    #[test]
    fn escapes_that_decoding_would_change_the_meaning_of_are_kept() {
        for path in ["/a%2Fb", "/a%25b", "/a%3Fb", "/a%23b", "/a%0Ab", "/a%00", "/a%7Fb", "/a%3Bb", "/a%2Bb", "/a%40"] {
            assert_eq!(form(path), path);
        }
        assert_eq!(form("/a%2fb"), "/a%2Fb");
    }

    #[test]
    fn what_is_no_utf8_stays_escaped() {
        assert_eq!(form("/%E5%95"), "/%E5%95");
        assert_eq!(form("/%FFx%C3%A9"), "/%FFxé");
        assert_eq!(form("/%C0%AF"), "/%C0%AF");
        assert_eq!(form("/%ED%A0%80"), "/%ED%A0%80");
        assert_eq!(form("/%F0%9F%92%A9%80"), "/💩%80");
    }

    #[test]
    fn the_wire_has_only_what_may_stand_in_a_path() {
        assert_eq!(wire("/商 \"<>\\^`{|}[]?#"), "/%E5%95%86%20%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D%3F%23");
        assert_eq!(wire("/100%/50%2/%2f%zz"), "/100%25/50%252/%2F%25zz");
    }

    #[test]
    fn the_wire_starts_with_a_slash() {
        assert_eq!(wire(""), "/");
        assert_eq!(wire("foo"), "/foo");
        assert_eq!(wire("*"), "/*");
    }

    #[test]
    fn dot_segments_are_removed() {
        for (form, expected) in [
            ("/./a", "/a"),
            ("../b", "/b"),
            ("/a/../../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/..", "/"),
            ("/.", "/"),
            ("/a//../b", "/a/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
        ] {
            assert_eq!(wire(form), expected, "{form}");
        }
    }

    #[test]
    fn dots_before_a_hidden_separator_are_a_dot_segment() {
        for form in ["/a/..;x/b", "/a/..%3Bx/b", "/a/..%2fc/b", "/a/..%5cc/b", "/a/..\\c/b"] {
            assert_eq!(wire(form), "/b", "{form}");
        }
        assert_eq!(wire("/a/.;x/b"), "/a/b");
    }

    #[test]
    fn names_that_begin_with_dots_are_names() {
        assert_eq!(wire("/.well-known/..a/...;/a..b"), "/.well-known/..a/...;/a..b");
    }

    proptest::proptest! {
        #[test]
        fn the_form_encodes_back_to_the_same_meaning(path in "(/([a.!;]|%2[0eEfFB5]|%C3%A9|%FF|%E5|é| |%){0,4}){1,4}") {
            let once = wire(&form(&path));
            proptest::prop_assert_eq!(&wire(&form(&once)), &once);
            proptest::prop_assert!(once.starts_with('/'));
            proptest::prop_assert!(once.bytes().all(|byte| byte.is_ascii_graphic()));
        }

        #[test]
        fn nothing_climbs(form in "([/.;a]|%2[eEfF]|\\\\){0,12}") {
            let wire = wire(&form);
            for segment in wire.split('/') {
                proptest::prop_assert_eq!(Segment::of(segment.as_bytes()), Segment::Named, "{} of {}", segment, wire);
            }
        }
    }
}
