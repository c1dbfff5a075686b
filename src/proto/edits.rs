//! Changes to the field lines of a head that is written already, as filters ask for them.
//!
//! In scope: which fields may be changed, the list of changes as bytes, making them. What frames a message or rules
//! one hop is never among them, so that no change can move where a message ends. Out of scope: who asks.

use super::field::{self, Kind};

const REMOVE: u8 = b'-';
const ADD: u8 = b'+';

/// Why a field cannot be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The name is no token, or the value holds a byte that no field may.
    Malformed,
    /// The field frames the message, names its target or rules one hop: it is the gateway's alone.
    Reserved,
}

/// Whether a message's field of this name may be changed.
///
/// # Errors
/// Why not.
pub fn may_change(name: &str) -> Result<(), Wrong> {
    if !field::is_token(name.as_bytes()) {
        return Err(Wrong::Malformed);
    }
    match field::classify(name) {
        Kind::Plain | Kind::Protected | Kind::Underscore | Kind::ContentType | Kind::Date | Kind::Owned => Ok(()),
        Kind::ForwardedFor | Kind::ForwardedProto | Kind::ForwardedHost | Kind::Forwarded | Kind::RealIp => Ok(()),
        Kind::Alias | Kind::Confusable | Kind::Hop | Kind::Connection | Kind::KeepAlive | Kind::Te => {
            Err(Wrong::Reserved)
        }
        Kind::Upgrade | Kind::Host | Kind::ContentLength | Kind::TransferEncoding | Kind::Expect => {
            Err(Wrong::Reserved)
        }
        Kind::MaxForwards | Kind::Via => Err(Wrong::Reserved),
    }
}

/// Whether a field may have this value.
///
/// # Errors
/// `Wrong::Malformed`.
pub fn may_say(value: &[u8]) -> Result<(), Wrong> {
    if value.iter().all(|byte| field::is_value_byte(*byte)) { Ok(()) } else { Err(Wrong::Malformed) }
}

/// Notes that every field of the name goes.
///
/// # Errors
/// As `may_change`.
pub fn note_removal(list: &mut Vec<u8>, name: &str) -> Result<(), Wrong> {
    may_change(name)?;
    note(list, REMOVE, name, b"");
    Ok(())
}

/// Notes that a field comes to those there are.
///
/// # Errors
/// As `may_change` and `may_say`.
pub fn note_addition(list: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), Wrong> {
    may_change(name)?;
    may_say(value)?;
    note(list, ADD, name, field::trim(value));
    Ok(())
}

/// Neither a name nor a value holds a line end, so a list is lines.
fn note(list: &mut Vec<u8>, what: u8, name: &str, value: &[u8]) {
    list.push(what);
    put_line(list, name.as_bytes(), value);
}

/// Makes the changes of a list, in its order, in a head that ends with its empty line.
pub fn apply(head: &mut Vec<u8>, list: &[u8]) {
    let mut rest = list;
    while let [what, line @ ..] = rest {
        let Some(end) = memchr::memmem::find(line, b"\r\n") else { return };
        let Some(colon) = memchr::memchr(b':', &line[..end]) else { return };
        match *what {
            REMOVE => remove(head, &line[..colon]),
            _ => insert(head, &line[..end]),
        }
        rest = &line[end + 2..];
    }
}

/// Puts a field at the end of a head that is written.
pub fn add(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.truncate(head.len() - 2);
    put_line(head, name.as_bytes(), value);
    head.extend_from_slice(b"\r\n");
}

fn insert(head: &mut Vec<u8>, line: &[u8]) {
    head.truncate(head.len() - 2);
    head.extend_from_slice(line);
    head.extend_from_slice(b"\r\n\r\n");
}

fn put_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Removes every field of the name from a head that is written.
pub fn remove(head: &mut Vec<u8>, name: &[u8]) {
    let mut from = line_length(head);
    while from < head.len() {
        let length = line_length(&head[from..]);
        let line = &head[from..from + length];
        let is_named = line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name);
        if is_named {
            head.drain(from..from + length);
        } else {
            from += length;
        }
    }
}

/// Makes a strong `ETag` a weak one (RFC 9110 section 8.8.3): the bytes are not those that it stands for.
pub fn weaken_tag(head: &mut Vec<u8>) {
    let mut from = line_length(head);
    while from < head.len() {
        let length = line_length(&head[from..]);
        let value = from + b"etag: ".len();
        let is_tag = head[from..from + length].get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"etag:"));
        if is_tag && head.get(value) == Some(&b'"') {
            head.splice(value..value, *b"W/");
            return;
        }
        from += length;
    }
}

/// Bytes of the first line, its end included.
fn line_length(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one: 2\r\nX-One-More: 3\r\n\r\n";

    fn changed(note: impl FnOnce(&mut Vec<u8>)) -> String {
        let (mut head, mut list) = (HEAD.as_bytes().to_vec(), Vec::new());
        note(&mut list);
        apply(&mut head, &list);
        String::from_utf8(head).expect("text")
    }

    #[test]
    fn every_line_of_a_name_is_removed_and_no_other() {
        let head = changed(|list| note_removal(list, "x-ONE").expect("a field that may go"));
        assert_eq!(head, "GET / HTTP/1.1\r\nHost: a\r\nX-One-More: 3\r\n\r\n");
    }

    #[test]
    fn changes_are_made_in_their_order() {
        let head = changed(|list| {
            note_addition(list, "X-One", b"gone").expect("a field");
            note_removal(list, "X-One").expect("a field");
            note_addition(list, "X-One", b" kept: it ").expect("a field");
            note_addition(list, "X-Empty", b"").expect("a field");
        });
        assert_eq!(head, "GET / HTTP/1.1\r\nHost: a\r\nX-One-More: 3\r\nX-One: kept: it\r\nX-Empty: \r\n\r\n");
    }

    #[test]
    fn nothing_that_frames_a_message_or_rules_a_hop_may_change() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Upgrade",
            "Host",
            "Expect",
            "Via",
            "Max-Forwards",
            "Proxy-Connection",
            "content_length",
            "Transfer.Encoding",
            "X_Forwarded_For",
        ] {
            assert_eq!(note_addition(&mut Vec::new(), name, b"1"), Err(Wrong::Reserved), "{name}");
            assert_eq!(note_removal(&mut Vec::new(), name), Err(Wrong::Reserved), "{name}");
        }
    }

    #[test]
    fn no_value_and_no_name_can_hold_another_line() {
        for (name, value) in [("X-A", &b"1\r\nX-B: 2"[..]), ("X-A", b"\n"), ("X-A", b"\0"), ("X A", b""), ("", b"")] {
            assert_eq!(note_addition(&mut Vec::new(), name, value), Err(Wrong::Malformed), "{name:?} {value:?}");
        }
        assert_eq!(note_removal(&mut Vec::new(), "X-A: 1\r\nX-B"), Err(Wrong::Malformed));
    }

    #[test]
    fn only_a_strong_tag_is_weakened() {
        let weakened = |tag: &str| {
            let mut head = format!("HTTP/1.1 200 OK\r\nX-Etag: \"0\"\r\nETag: {tag}\r\n\r\n").into_bytes();
            weaken_tag(&mut head);
            String::from_utf8(head).expect("text")
        };
        assert!(weakened("\"1\"").ends_with("\r\nX-Etag: \"0\"\r\nETag: W/\"1\"\r\n\r\n"));
        assert!(weakened("W/\"1\"").ends_with("\r\nETag: W/\"1\"\r\n\r\n"));
    }

    #[test]
    fn a_head_without_fields_takes_one() {
        let mut head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        add(&mut head, "Content-Length", b"3");
        assert_eq!(head, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    }
}
