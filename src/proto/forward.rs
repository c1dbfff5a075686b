//! The heads we send on, written anew from what was understood.
//!
//! In scope: the request towards an upstream, the response towards a client, `Via` and its loop check,
//! the last chunk with the trailers that may pass. Nothing that frames a message, rules one hop or says
//! who the client is goes out as it came in. Out of scope: choosing any of the values.

use httparse::Header;

use super::edits::Edits;
use super::field;
use super::framing::Framed;
use super::head::{Body, RequestHead, ResponseBody, ResponseHead, Version};
use super::reply;
use super::trace_context::TraceOnward;

/// What the upstream is told besides the client's own fields.
#[derive(Clone, Copy, Debug)]
pub struct Onward<'a> {
    /// The path, after normalising and rewriting.
    pub path: &'a [u8],
    /// The query without its question mark.
    pub query: Option<&'a [u8]>,
    /// The `Host` to send.
    pub host: &'a [u8],
    /// The framing to send.
    pub body: Body,
    /// The client's address as text, for `X-Real-IP`; empty sends none.
    pub client: &'a [u8],
    /// The peer's address as text, the last element of `X-Forwarded-For`; empty adds none.
    pub peer: &'a [u8],
    /// Whether the peer is a trusted proxy, whose forwarding fields are kept and added to.
    pub trusted: bool,
    /// The scheme the client used, for `X-Forwarded-Proto`.
    pub proto: &'static str,
    /// Our name in `Via`; `None` hides us.
    pub via: Option<&'a [u8]>,
    /// The request id; empty sends none.
    pub request_id: &'a [u8],
    /// The trace in our word; `None` leaves what the client says of it.
    pub trace: Option<&'a TraceOnward>,
    /// Further fields; each replaces the client's of that name.
    pub added: &'a [(&'static str, &'a [u8])],
    /// What is done to the client's fields besides.
    pub edits: Edits<'a>,
    /// Whether names with underscores pass.
    pub underscore_fields: bool,
    /// Whether to ask for a WebSocket.
    pub upgrade_websocket: bool,
    /// Whether to wait for `100 Continue`.
    pub expect_continue: bool,
    /// Whether trailers are welcome.
    pub te_trailers: bool,
}

/// What the client is told besides the upstream's own fields.
#[derive(Clone, Copy, Debug)]
pub struct Back<'a> {
    /// The client's version.
    pub client_version: Version,
    /// Whether this connection ends with the response.
    pub close: bool,
    /// The framing to send ([`ResponseBody::onward`] gives the one that the client understands).
    pub body: ResponseBody,
    /// The date as IMF-fixdate, for a final response that has none.
    pub date: &'a [u8],
    /// What is done to the upstream's fields besides.
    pub edits: Edits<'a>,
    /// Whether this is the agreed 101.
    pub upgrade_websocket: bool,
}

/// Appends the request head for the upstream.
pub fn request(out: &mut Vec<u8>, head: &Framed<RequestHead<'_>>, onward: &Onward<'_>) {
    // What we add seldom exceeds this; a longer head only grows the buffer once.
    out.reserve(head.head_bytes + 512);
    out.extend_from_slice(head.method_text);
    out.push(b' ');
    out.extend_from_slice(onward.path);
    if let Some(query) = onward.query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(onward.host);
    out.extend_from_slice(b"\r\n");
    request_fields(out, head, onward);
    request_framing(out, head, onward);
    forwarding(out, head, onward);
    if let Some(name) = onward.via {
        let before = if head.version == Version::Http11 { b"Via: 1.1 " } else { b"Via: 1.0 " };
        put_line(out, before, name);
    }
    if !onward.request_id.is_empty() && !onward.edits.take_away(b"didi-header-rid") {
        put_line(out, b"didi-header-rid: ", onward.request_id);
    }
    if let Some(TraceOnward { parent, .. }) = onward.trace {
        put_line(out, b"traceparent: ", &parent.text());
        put_line(out, b"didi-header-spanid: ", &parent.parent.text());
    }
    for (name, value) in onward.added {
        if !onward.edits.take_away(name.as_bytes()) {
            put(out, name.as_bytes(), value);
        }
    }
    onward.edits.put(out);
    out.extend_from_slice(b"\r\n");
}

/// The client's own fields that pass.
fn request_fields(out: &mut Vec<u8>, head: &RequestHead<'_>, onward: &Onward<'_>) {
    let mut dropped = head.marks.dropped;
    if !onward.trusted {
        dropped = dropped.union(head.marks.forwarding);
    }
    if !onward.underscore_fields {
        dropped = dropped.union(head.marks.underscore);
    }
    if let Some(trace) = onward.trace {
        dropped = dropped.union(trace.incoming.replaced(head.fields));
    }
    for (position, field) in head.fields.iter().enumerate() {
        let is_replaced = || onward.added.iter().any(|(name, _)| name.eq_ignore_ascii_case(field.name));
        if !dropped.contains(position) && !is_replaced() && !onward.edits.take_away(field.name.as_bytes()) {
            put_field(out, field);
        }
    }
}

/// Length, expectation and hop-by-hop fields of our own.
fn request_framing(out: &mut Vec<u8>, head: &RequestHead<'_>, onward: &Onward<'_>) {
    match onward.body {
        Body::Length(length) => put_length(out, length),
        Body::Chunked => out.extend_from_slice(CHUNKED),
        Body::None if head.method.expects_body() => put_length(out, 0),
        Body::None => {}
    }
    if onward.expect_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    out.extend_from_slice(match (onward.upgrade_websocket, onward.te_trailers) {
        (true, true) => b"Connection: upgrade, te\r\nUpgrade: websocket\r\nTE: trailers\r\n".as_slice(),
        (true, false) => UPGRADE,
        (false, true) => b"Connection: te\r\nTE: trailers\r\n",
        (false, false) => b"",
    });
    if let Some(forwards) = head.max_forwards {
        put_line(out, b"Max-Forwards: ", itoa::Buffer::new().format(forwards.saturating_sub(1)).as_bytes());
    }
}

/// Who the client is, in our word; a trusted peer's word is kept.
fn forwarding(out: &mut Vec<u8>, head: &RequestHead<'_>, onward: &Onward<'_>) {
    if !onward.client.is_empty() {
        put_line(out, b"X-Real-IP: ", onward.client);
    }
    forwarded_for(out, head, onward);
    if !(onward.trusted && head.marks.has_forwarded_proto) {
        put_line(out, b"X-Forwarded-Proto: ", onward.proto.as_bytes());
    }
    let is_host_kept = onward.trusted && head.marks.has_forwarded_host;
    if !is_host_kept && !head.host.is_empty() {
        put_line(out, b"X-Forwarded-Host: ", head.host);
    }
}

/// One `X-Forwarded-For`: what a trusted peer said, then the peer.
fn forwarded_for(out: &mut Vec<u8>, head: &RequestHead<'_>, onward: &Onward<'_>) {
    const NAME: &[u8] = b"X-Forwarded-For: ";
    let start = out.len();
    out.extend_from_slice(NAME);
    if onward.trusted {
        for position in head.marks.forwarded_for.iter() {
            push_element(out, start + NAME.len(), head.fields[position].value);
        }
    }
    push_element(out, start + NAME.len(), onward.peer);
    if out.len() == start + NAME.len() {
        out.truncate(start);
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

fn push_element(out: &mut Vec<u8>, list_start: usize, element: &[u8]) {
    if !element.is_empty() {
        if out.len() > list_start {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(element);
    }
}

/// Appends the response head for the client. The version is our own; an interim response gets neither
/// length nor date nor a word about the connection.
pub fn response(out: &mut Vec<u8>, head: &Framed<ResponseHead<'_>>, back: &Back<'_>) {
    out.reserve(head.head_bytes + 256);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(head.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.reason);
    out.extend_from_slice(b"\r\n");
    for (position, field) in head.fields.iter().enumerate() {
        if !head.marks.dropped.contains(position) && !back.edits.take_away(field.name.as_bytes()) {
            put_field(out, field);
        }
    }
    if head.is_interim() {
        if back.upgrade_websocket && head.status == 101 {
            out.extend_from_slice(UPGRADE);
        }
    } else {
        final_fields(out, head, back);
        back.edits.put(out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Date, length and persistence of a final response.
fn final_fields(out: &mut Vec<u8>, head: &ResponseHead<'_>, back: &Back<'_>) {
    if !head.has_date {
        put_line(out, b"Date: ", back.date);
    }
    match back.body {
        ResponseBody::Length(length) => put_length(out, length),
        ResponseBody::Chunked => out.extend_from_slice(CHUNKED),
        ResponseBody::UntilClose => {}
        // To HEAD and with 304 the length is that of the body which is not sent (RFC 9110 section 8.6).
        ResponseBody::None => {
            let untold = head.status == 204 || back.edits.take_away(b"content-length");
            if let Some(length) = head.content_length.filter(|_| !untold) {
                put_length(out, length);
            }
        }
    }
    if back.close || back.body == ResponseBody::UntilClose {
        out.extend_from_slice(reply::CLOSE);
    } else if back.client_version == Version::Http10 {
        out.extend_from_slice(reply::KEEP_ALIVE);
    }
}

/// Whether `Via` already names us: the request came back. Exact, and blind to comments, so that an
/// unclosed one cannot hide a name behind it.
#[must_use]
pub fn via_names(fields: &[Header<'_>], pseudonym: &[u8]) -> bool {
    let vias = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("via"));
    vias.flat_map(|field| field::elements(field.value)).any(|element| {
        let mut words = element.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        words.nth(1) == Some(pseudonym)
    })
}

/// Whether `Connection` names a field of the message beyond this hop's own. Such a name holds for the trailer
/// section too (RFC 9110 section 7.6.1), which comes when the head is gone: a message that nominates passes no
/// trailers on.
#[must_use]
pub fn nominates(fields: &[Header<'_>]) -> bool {
    let hop = [&b"close"[..], b"keep-alive", b"te", b"upgrade", b""];
    let connections = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("connection"));
    connections
        .flat_map(|field| field::elements(field.value))
        .any(|element| !hop.iter().any(|name| element.eq_ignore_ascii_case(name)))
}

const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";
const UPGRADE: &[u8] = b"Connection: upgrade\r\nUpgrade: websocket\r\n";

#[inline]
fn put_field(out: &mut Vec<u8>, field: &Header<'_>) {
    put(out, field.name.as_bytes(), field.value);
}

#[inline]
fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    put_line(out, b": ", value);
}

/// Appends what is known beforehand, a value and the line end. Inlined so that the first costs a store.
#[inline(always)]
fn put_line<const N: usize>(out: &mut Vec<u8>, before: &[u8; N], value: &[u8]) {
    out.extend_from_slice(before);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[inline]
pub(super) fn put_length(out: &mut Vec<u8>, length: u64) {
    put_line(out, b"Content-Length: ", itoa::Buffer::new().format(length).as_bytes());
}

#[cfg(test)]
mod tests;
