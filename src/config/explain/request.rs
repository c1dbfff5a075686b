//! The request of the question, as bytes on a wire, and the head its upstream would get.

use std::net::{IpAddr, Ipv4Addr};

use super::shape::{ID, Target};
use super::{Outcome, Question, story};
use crate::end::End;
use crate::proto::edits::Edits;
use crate::proto::forward;
use crate::proto::framing::Framed;
use crate::proto::head::{RequestHead, Storage, parse_request};
use crate::proto::trace_context::{Incoming, TraceOnward};
use crate::wall::forwarded;
use crate::wall::group::Group;
use crate::wall::snapshot::{HttpRules, Service};
use crate::wall::tenants::Tenant;

/// An address that is nobody's (RFC 5737).
const SOMEBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The head, and the parts of it worth showing.
pub(super) struct Text {
    pub(super) line: String,
    pub(super) host: String,
    bytes: Vec<u8>,
}

/// Writes the head as a client would.
pub(super) fn text(question: &Question) -> Text {
    let (authority, target) = split(&question.url);
    let given = question.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = given.map_or(authority, |(_, value)| value).to_owned();
    let line = format!("{} {}", question.method, sendable(target));
    let mut head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in question.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    Text { line, host, bytes: head.into_bytes() }
}

/// Host, and path with query. A client never sends the fragment.
fn split(url: &str) -> (&str, &str) {
    let url = url.split('#').next().unwrap_or_default();
    let Some((_, rest)) = url.split_once("://").filter(|_| !url.starts_with('/')) else {
        return ("localhost", if url.is_empty() { "/" } else { url });
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    (authority, if target.is_empty() { "/" } else { target })
}

/// Blanks and letters outside ASCII as a browser would escape them.
fn sendable(target: &str) -> String {
    let root = if target.starts_with('?') { "/" } else { "" };
    let escaped = target
        .bytes()
        .map(|byte| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    escaped.fold(root.to_owned(), |text, piece| text + &piece)
}

/// Reads the head as the gateway would, and goes on with what was read.
pub(super) fn parse(
    text: &Text,
    http: &HttpRules,
    go_on: impl FnOnce(&Framed<RequestHead<'_>>) -> Result<Outcome, End>,
) -> Result<Outcome, End> {
    let mut storage = Storage::new();
    // A head that ends in an empty line is never incomplete, unless a field's value hid another end.
    let head = parse_request(&text.bytes, &http.head_limits(), &mut storage)?.ok_or(End::BadField)?;
    go_on(&head)
}

/// Who is at the other end.
pub(super) struct Peer {
    /// Of the connection.
    pub(super) address: IpAddr,
    /// Of the client, as far as trusted proxies tell.
    pub(super) client: IpAddr,
    trusted: bool,
    assumed: bool,
}

impl Peer {
    pub(super) fn of(http: &HttpRules, from: Option<IpAddr>, head: &RequestHead<'_>) -> Self {
        let address = from.unwrap_or(SOMEBODY).to_canonical();
        let client = forwarded::client(address, head.fields, &http.trusted_proxies);
        let trusted = http.trusted_proxies.iter().any(|net| net.contains(&address));
        Self { address, client, trusted, assumed: from.is_none() }
    }

    pub(super) fn told(&self) -> String {
        let assumed = if self.assumed { " (assumed; say --from)" } else { "" };
        let trusted = if self.trusted { ", a trusted proxy" } else { "" };
        let client = if self.client == self.address { String::new() } else { format!(" for {}", self.client) };
        format!("{}{assumed}{trusted}{client}", self.address)
    }
}

/// What decides the head that the upstream would get.
pub(super) struct Onward<'o> {
    pub(super) http: &'o HttpRules,
    pub(super) service: &'o Service,
    pub(super) peer: &'o Peer,
    pub(super) target: &'o Target,
    pub(super) host: &'o [u8],
    pub(super) tenant: Option<&'o Tenant>,
    pub(super) edits: &'o [u8],
}

impl Onward<'_> {
    /// That head. Credentials leave no protected service.
    pub(super) fn write(&self, head: &Framed<RequestHead<'_>>) -> String {
        let (client, peer) = (self.peer.client.to_string(), self.peer.address.to_string());
        let added = self.tenant.map(tenant_fields).unwrap_or_default();
        let trace = self.trace(head);
        let added: Vec<_> = added.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let onward = forward::Onward {
            path: &self.target.path,
            query: self.target.query.as_deref(),
            host: self.host,
            body: head.body,
            client: client.as_bytes(),
            peer: peer.as_bytes(),
            trusted: self.peer.trusted,
            proto: "http",
            via: self.http.via.then_some(b"(this process)"),
            request_id: if self.http.request_id.header.is_none() { ID } else { b"" },
            trace: trace.as_ref(),
            added: &added,
            edits: Edits::new(self.edits),
            underscore_fields: self.http.underscore_fields,
            upgrade_websocket: head.upgrade_websocket,
            expect_continue: head.expects_continue,
            te_trailers: head.te_trailers && self.service.trailers,
        };
        let mut out = Vec::new();
        forward::request(&mut out, head, &onward);
        if let Some(TraceOnward { parent, .. }) = &trace {
            out = replaced(&out, &parent.text(), b"(the trace and a span)");
            out = replaced(&out, &parent.parent.text(), b"(that span)");
        }
        out.retain(|byte| *byte != b'\r');
        out.split(|byte| *byte == b'\n').map(story::text).collect::<Vec<_>>().join("\n")
    }
}

impl Onward<'_> {
    /// What the upstream is told of the request's trace, with ids that are nobody's.
    fn trace(&self, head: &RequestHead<'_>) -> Option<TraceOnward> {
        let incoming = Incoming::read(head.fields);
        let trace = self.http.sampling?.begin(&incoming, None, || (1, 1));
        (!trace.passes).then(|| TraceOnward { incoming, parent: trace.onward(0) })
    }
}

/// The text with another in place of one part, which it has once.
fn replaced(text: &[u8], part: &[u8], other: &[u8]) -> Vec<u8> {
    let Some(at) = memchr::memmem::find(text, part) else { return text.to_vec() };
    [&text[..at], other, &text[at + part.len()..]].concat()
}

/// What tells an upstream on whose behalf a request comes.
fn tenant_fields(tenant: &Tenant) -> Vec<(&'static str, String)> {
    let group = Group::of(Some(tenant));
    let (fields, count) = group.fields();
    fields[..count].iter().map(|(name, value)| (*name, String::from_utf8_lossy(value).into_owned())).collect()
}
