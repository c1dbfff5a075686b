//! Bytes of a client's choice, so written that they stay on their line and in their place.

/// Appends as nginx does: what is not printable ASCII, quotes and backslashes become `\xHH`.
pub(super) fn hex(out: &mut Vec<u8>, text: &[u8]) {
    plain_or(out, text, is_plain, put_hex);
}

/// Appends as GateKeeper does: as the inside of a quoted string of Go. `|` becomes `\x7c`, because two of them divide
/// values.
pub(super) fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| is_plain(*byte) && *byte != b'|') {
        return out.extend_from_slice(text);
    }
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\n' | '\r' | '\t' => put_letter(out, letter),
                '|' | '\0'..='\x1f' | '\x7f' => put_hex(out, letter as u8),
                letter => put_letter(out, letter),
            }
        }
        chunk.invalid().iter().for_each(|byte| put_hex(out, *byte));
    }
}

/// Appends a JSON string, its quotes included. What is not UTF-8 becomes U+FFFD.
pub(super) fn json(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if text.iter().all(|byte| is_plain(*byte)) {
        out.extend_from_slice(text);
    } else {
        for chunk in text.utf8_chunks() {
            chunk.valid().chars().for_each(|letter| put_letter(out, letter));
            if !chunk.invalid().is_empty() {
                put_char(out, char::REPLACEMENT_CHARACTER);
            }
        }
    }
    out.push(b'"');
}

/// A letter inside quotes.
fn put_letter(out: &mut Vec<u8>, letter: char) {
    match letter {
        '"' | '\\' => out.extend([b'\\', letter as u8]),
        '\n' => out.extend(b"\\n"),
        '\r' => out.extend(b"\\r"),
        '\t' => out.extend(b"\\t"),
        letter if is_hidden(letter) => out.extend(format!("\\u{:04x}", u32::from(letter)).bytes()),
        letter => put_char(out, letter),
    }
}

/// What stands for itself in every form but for what divides values there.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Controls, and letters that end a line or turn its direction for who looks at it.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn put_char(out: &mut Vec<u8>, letter: char) {
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

fn put_hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'\\', b'x', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Appends stretches of plain bytes as they are, and each other byte its own way.
fn plain_or(out: &mut Vec<u8>, text: &[u8], plain: impl Fn(u8) -> bool, other: impl Fn(&mut Vec<u8>, u8)) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| !plain(*byte)) {
        out.extend_from_slice(&rest[..at]);
        other(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &[u8] = b"a\"b\\c\r\n[ERROR]||x=1\t\x1b[31m\x7f\xc2\x9b\xe2\x80\xa8\xe2\x80\xae\xff\x00";

    fn written(put: fn(&mut Vec<u8>, &[u8]), text: &[u8]) -> String {
        let mut out = Vec::new();
        put(&mut out, text);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn no_form_lets_a_client_end_its_line_or_write_controls() {
        for put in [hex, quoted, json] {
            let out = written(put, HOSTILE);
            assert!(!out.chars().any(is_hidden), "{out:?}");
        }
    }

    #[test]
    fn as_nginx_writes_it() {
        assert_eq!(written(hex, "/é?a=\"b\\\n".as_bytes()), "/\\xC3\\xA9?a=\\x22b\\x5C\\x0A");
    }

    #[test]
    fn as_gatekeeper_writes_it_and_no_value_can_begin_another() {
        assert_eq!(written(quoted, "é\"\\\n||b=\u{9b}\u{1}".as_bytes()), "é\\\"\\\\\\n\\x7C\\x7Cb=\\u009b\\x01");
        assert_eq!(written(quoted, b"\xff"), "\\xFF");
    }

    #[test]
    fn json_reads_back_as_it_was() {
        let text = "é\"\\\n\u{9b}\u{2028}|";
        let value: String = serde_json::from_str(&written(json, text.as_bytes())).expect("JSON");
        assert_eq!(value, text);
        assert_eq!(written(json, b"a\xffb"), "\"a\u{fffd}b\"");
    }
}
