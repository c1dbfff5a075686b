//! Our own answers: GateKeeper's JSON envelope under a head of our own.
//!
//! In scope: the bytes of an answer. Out of scope: which answer (`end` has the table), whether the
//! connection lives on.

use super::edits::Edits;
use super::forward::put_length;

/// What an answer of our own holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// GateKeeper's JSON.
    Envelope,
    /// These bytes.
    Bytes {
        /// Their type.
        content_type: &'a [u8],
        /// All of them.
        bytes: &'a [u8],
    },
    /// Nothing, as with 204 and 304.
    Nothing,
}

/// An answer made by this gateway.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The status.
    pub status: u16,
    /// Its body.
    pub content: Content<'a>,
    /// GateKeeper's own number; 0 means no error.
    pub errno: u16,
    /// The error in words.
    pub errmsg: &'a str,
    /// What was asked for.
    pub data: &'a str,
    /// The request id.
    pub trace_id: &'a [u8],
    /// The date as IMF-fixdate.
    pub date: &'a [u8],
    /// Whether the connection ends with this answer.
    pub close: bool,
    /// Whether only the head is sent: the answer to `HEAD`.
    pub head_only: bool,
    /// Whether an HTTP/1.0 client asked for its connection to live on.
    pub http10_keep_alive: bool,
    /// Further fields.
    pub fields: &'a [(&'static str, &'a [u8])],
    /// What is put on it besides; it takes the place of a further field of the same name.
    pub edits: Edits<'a>,
}

/// The field that says why this gateway answers: a code of `end`'s table.
pub const REASON: &str = "X-Gatekeeper-Reason";
/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
pub(super) const CLOSE: &[u8] = b"Connection: close\r\n";
pub(super) const KEEP_ALIVE: &[u8] = b"Connection: keep-alive\r\n";

/// Appends the answer. Gives the bytes of its head.
pub fn render(out: &mut Vec<u8>, reply: &Reply<'_>) -> usize {
    // The body first, to know its length; then the head is turned round before it.
    let start = out.len();
    match reply.content {
        Content::Envelope => envelope(out, reply),
        Content::Bytes { bytes, .. } => out.extend_from_slice(bytes),
        Content::Nothing => {}
    }
    let body_bytes = out.len() - start;
    head(out, reply, body_bytes as u64);
    out[start..].rotate_left(body_bytes);
    let head_bytes = out.len() - start - body_bytes;
    if reply.head_only {
        out.truncate(start + head_bytes);
    }
    head_bytes
}

fn head(out: &mut Vec<u8>, reply: &Reply<'_>, body_bytes: u64) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(reply.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason_phrase(reply.status).as_bytes());
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(reply.date);
    out.extend_from_slice(b"\r\n");
    let content_type = match reply.content {
        Content::Envelope => Some(&b"application/json; charset=utf-8"[..]),
        Content::Bytes { content_type, .. } => Some(content_type),
        Content::Nothing => None,
    };
    if let Some(content_type) = content_type {
        if !reply.edits.take_away(b"content-type") {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(content_type);
            out.extend_from_slice(b"\r\n");
        }
        put_length(out, body_bytes);
    }
    for (name, value) in reply.fields.iter().filter(|(name, _)| !reply.edits.take_away(name.as_bytes())) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    reply.edits.put(out);
    if reply.close {
        out.extend_from_slice(CLOSE);
    } else if reply.http10_keep_alive {
        out.extend_from_slice(KEEP_ALIVE);
    }
    out.extend_from_slice(b"\r\n");
}

fn envelope(out: &mut Vec<u8>, reply: &Reply<'_>) {
    out.extend_from_slice(b"{\"errno\":");
    out.extend_from_slice(itoa::Buffer::new().format(reply.errno).as_bytes());
    out.extend_from_slice(b",\"errmsg\":\"");
    escape(out, reply.errmsg.as_bytes(), Beyond::Utf8);
    out.extend_from_slice(b"\",\"data\":\"");
    escape(out, reply.data.as_bytes(), Beyond::Utf8);
    out.extend_from_slice(b"\",\"trace_id\":\"");
    escape(out, reply.trace_id, Beyond::Latin1);
    out.extend_from_slice(b"\"}");
}

/// What bytes beyond ASCII are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// Part of valid UTF-8.
    Utf8,
    /// Anything; each becomes one escape.
    Latin1,
}

/// Appends the text as the inside of a JSON string (RFC 8259 section 7).
fn escape(out: &mut Vec<u8>, text: &[u8], beyond: Beyond) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            ..=0x1f | 0x7f => hex(out, byte, HEX),
            0x80.. if beyond == Beyond::Latin1 => hex(out, byte, HEX),
            _ => out.push(byte),
        }
    }
}

fn hex(out: &mut Vec<u8>, byte: u8, digits: &[u8; 16]) {
    out.extend(b"\\u00");
    out.extend([digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

/// The reason phrase of a status (RFC 9110 section 15); empty for one we never send.
#[must_use]
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::end::End;

    const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn sample() -> Reply<'static> {
        Reply {
            status: 404,
            content: Content::Envelope,
            errno: 404,
            errmsg: "module not found",
            data: "",
            trace_id: b"ab12",
            date: DATE,
            close: false,
            head_only: false,
            http10_keep_alive: false,
            fields: &[],
            edits: Edits::default(),
        }
    }

    fn text(reply: &Reply<'_>) -> String {
        let mut out = b"before".to_vec();
        render(&mut out, reply);
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    #[test]
    fn an_answer_is_appended_whole() {
        assert_eq!(
            text(&sample()),
            "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: application/json; charset=utf-8\r\nContent-Length: 69\r\n\r\n\
             {\"errno\":404,\"errmsg\":\"module not found\",\"data\":\"\",\"trace_id\":\"ab12\"}"
        );
    }

    #[test]
    fn head_gets_the_length_and_no_body() {
        let with_body = text(&sample());
        let without = text(&Reply { head_only: true, ..sample() });
        assert!(with_body.starts_with(&without) && without.ends_with("Content-Length: 69\r\n\r\n"), "{without}");
    }

    #[test]
    fn any_text_stays_json() {
        let reply =
            Reply { errmsg: "a\"b\\c\nd\u{1}\u{7f}\u{e4}\u{4e2d}", data: "\r\t", trace_id: b"\xff\"", ..sample() };
        let text = text(&reply);
        let body = text.split_once("\r\n\r\n").unwrap().1;
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(value["errmsg"], reply.errmsg);
        assert_eq!(value["data"], reply.data);
        assert_eq!(value["trace_id"], "\u{ff}\"");
    }

    #[test]
    fn close_wins_over_keep_alive() {
        let both = text(&Reply { close: true, http10_keep_alive: true, ..sample() });
        assert!(both.contains("\r\nConnection: close\r\n") && !both.contains("keep-alive"));
        let alive = text(&Reply { http10_keep_alive: true, ..sample() });
        assert!(alive.contains("\r\nConnection: keep-alive\r\n"));
    }

    #[test]
    fn further_fields_are_sent() {
        let text = text(&Reply { status: 405, fields: &[("Allow", b"GET, HEAD")], ..sample() });
        assert!(text.contains("\r\nAllow: GET, HEAD\r\n"), "{text}");
    }

    #[test]
    fn every_status_an_end_can_have_has_a_phrase() {
        for status in End::ALL.iter().flat_map(|end| [end.status(false), end.status(true)]).flatten() {
            assert!(!reason_phrase(status).is_empty(), "{status}");
        }
    }
}
