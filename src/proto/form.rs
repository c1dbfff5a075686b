//! `application/x-www-form-urlencoded` text: query strings and form bodies.
//!
//! In scope: finding one value, leaving pairs out. Names are compared decoded, because the upstream
//! decodes them too. Out of scope: validity; what is no escape stands for itself (WHATWG URL section 5.1).

use super::target::escaped;

/// The first value of a name, decoded: a part of `text` where it needs no decoding, else in `out`, whose
/// content is replaced. A pair without `=` has the empty value.
#[must_use]
pub fn find<'a>(text: &'a [u8], name: &[u8], out: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let [value] = first(text, [name]);
    value.map(|value| plain(value, out))
}

/// The first value of each name, as it stands in the text.
#[must_use]
pub fn first<'a, const N: usize>(text: &'a [u8], names: [&[u8]; N]) -> [Option<&'a [u8]>; N] {
    let mut values = [None; N];
    for (key, value) in text.split(|&byte| byte == b'&').map(halves) {
        for (place, name) in values.iter_mut().zip(names) {
            if place.is_none() && is(key, name) {
                *place = Some(value);
            }
        }
    }
    values
}

/// A value decoded: itself where it needs no decoding, else in `out`, whose content is replaced.
pub fn plain<'a>(value: &'a [u8], out: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr::memchr2(b'%', b'+', value).is_none() {
        return value;
    }
    out.clear();
    out.extend(Decoded(value));
    out
}

/// Looks at every value of a name, decoded; `out` is room.
pub fn each(text: &[u8], name: &[u8], out: &mut Vec<u8>, mut look: impl FnMut(&[u8])) {
    for (_, value) in text.split(|&byte| byte == b'&').map(halves).filter(|(key, _)| is(key, name)) {
        out.clear();
        out.extend(Decoded(value));
        look(out);
    }
}

/// Appends the text without the pairs of these names; everything else byte for byte.
pub fn strip(text: &[u8], names: &[&[u8]], out: &mut Vec<u8>) {
    let mut is_first = true;
    for pair in text.split(|&byte| byte == b'&') {
        let key = halves(pair).0;
        if names.iter().any(|name| is(key, name)) {
            continue;
        }
        if !is_first {
            out.push(b'&');
        }
        is_first = false;
        out.extend_from_slice(pair);
    }
}

/// A name and its value; a pair without `=` has the empty one. Names are too short for a search by vectors to pay.
pub(super) fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|&byte| byte == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

fn is(key: &[u8], name: &[u8]) -> bool {
    // Decoding makes no text longer.
    if key.len() < name.len() {
        return false;
    }
    if key.iter().any(|byte| matches!(byte, b'%' | b'+')) { decoded(key).eq(name.iter().copied()) } else { key == name }
}

/// The bytes of a text with `+` and escapes decoded.
pub(super) fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    Decoded(text)
}

struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = match self.0 {
            [] => return None,
            [b'+', rest @ ..] => (b' ', rest),
            [b'%', high, low, rest @ ..] if escaped(*high, *low).is_some() => (escaped(*high, *low)?, rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        self.0 = rest;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, name: &str) -> Option<Vec<u8>> {
        find(text.as_bytes(), name.as_bytes(), &mut Vec::new()).map(<[u8]>::to_vec)
    }

    fn stripped(text: &str) -> String {
        let mut out = Vec::new();
        strip(text.as_bytes(), &[b"app_id", b"sign"], &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_first_value_wins_and_is_decoded() {
        assert_eq!(found("a=1&app_id=x%20y+z&app_id=2", "app_id").unwrap(), b"x y z");
        assert_eq!(found("app%5fid=1", "app_id").unwrap(), b"1");
        assert_eq!(found("app_id=a=b", "app_id").unwrap(), b"a=b");
        assert_eq!(found("app_id", "app_id").unwrap(), b"");
        assert_eq!(found("app_idx=1&xapp_id=2", "app_id"), None);
        assert_eq!(found("", "app_id"), None);
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        assert_eq!(found("a=%zz%4", "a").unwrap(), b"%zz%4");
        assert_eq!(found("a=%00%0A", "a").unwrap(), b"\0\n");
    }

    #[test]
    fn a_name_with_a_space_is_found_as_it_is_written() {
        assert_eq!(found("a+b=1", "a b").unwrap(), b"1");
        assert_eq!(found("a%20b=1", "a b").unwrap(), b"1");
        assert_eq!((found("a+b=1", "a+b"), found("%61=1", "%61")), (None, None));
    }

    #[test]
    fn several_names_are_found_in_one_look_the_first_value_of_each() {
        let text = b"sign=1&app_id=a%20b&sign=2&x";
        assert_eq!(first(text, [b"app_id", b"sign", b"y"]), [Some(b"a%20b".as_slice()), Some(b"1"), None]);
    }

    #[test]
    fn a_plain_value_is_not_copied() {
        let mut out = Vec::new();
        assert_eq!(find(b"a=plain", b"a", &mut out), Some(b"plain".as_slice()));
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn strip_leaves_the_rest_byte_for_byte() {
        assert_eq!(stripped("a=%2f&app_id=1&b=+&&sign=2&c"), "a=%2f&b=+&&c");
        assert_eq!(stripped("app_id=1&sign=2"), "");
        assert_eq!(stripped("app_id=1&app_id=2&x=1&a%70p_id=3"), "x=1");
        assert_eq!(stripped(""), "");
    }

    #[test]
    fn nothing_stripped_can_be_found() {
        for text in ["app_id=1&app%5Fid=2", "%61pp_id=1&b=2", "sign&app_id&b=1"] {
            let out = stripped(text);
            assert_eq!((found(&out, "app_id"), found(&out, "sign")), (None, None), "{text}");
        }
    }
}
