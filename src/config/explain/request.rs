//! The request of the question, as bytes on a wire, and the head its upstream would get.

use std::net::{IpAddr, Ipv4Addr};

use super::{Outcome, Question};
use crate::end::End;
use crate::proto::field;
use crate::proto::form;
use crate::proto::forward::{self, Onward};
use crate::proto::framing::Framed;
use crate::proto::head::{HeadLimits, RequestHead, Storage, parse_request};
use crate::wall::snapshot::HttpRules;
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
    let limits = HeadLimits {
        head_bytes_max: http.head_bytes_max,
        uri_bytes_max: http.uri_bytes_max,
        fields_max: http.fields_max,
    };
    let mut storage = Storage::new();
    // A head that ends in an empty line is never incomplete, unless a field's value hid another end.
    let head = parse_request(&text.bytes, &limits, &mut storage)?.ok_or(End::BadField)?;
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
        let address = from.unwrap_or(SOMEBODY);
        let trusts = |address: IpAddr| {
            let address = address.to_canonical();
            http.trusted_proxies.iter().any(|net| net.contains(&address))
        };
        let trusted = trusts(address);
        let mut client = address;
        if trusted {
            // From the near end: each trusted proxy vouches for the one before it.
            for told in forwarded_for(head).into_iter().rev() {
                let Some(told) = told else { break };
                client = told;
                if !trusts(told) {
                    break;
                }
            }
        }
        Self { address, client, trusted, assumed: from.is_none() }
    }

    pub(super) fn told(&self) -> String {
        let assumed = if self.assumed { " (assumed; say --from)" } else { "" };
        let trusted = if self.trusted { ", a trusted proxy" } else { "" };
        let client = if self.client == self.address { String::new() } else { format!(" for {}", self.client) };
        format!("{}{assumed}{trusted}{client}", self.address)
    }
}

fn forwarded_for(head: &RequestHead<'_>) -> Vec<Option<IpAddr>> {
    let fields = head.fields.iter().filter(|field| field.name.eq_ignore_ascii_case("x-forwarded-for"));
    let elements = fields.flat_map(|found| field::elements(found.value));
    elements.map(|element| std::str::from_utf8(element).ok()?.trim().parse().ok()).collect()
}

/// Whether the request says that it was forwarded.
pub(super) fn forwarding_fields(head: &RequestHead<'_>) -> bool {
    const NAMES: [&str; 3] = ["x-forwarded-for", "x-real-ip", "forwarded"];
    head.fields.iter().any(|field| NAMES.iter().any(|name| field.name.eq_ignore_ascii_case(name)))
}

/// The head that the upstream would get. Credentials leave no protected service.
pub(super) fn onward(
    head: &Framed<RequestHead<'_>>,
    http: &HttpRules,
    peer: &Peer,
    protected: bool,
    path: &[u8],
    host: &[u8],
    tenant: Option<&Tenant>,
) -> String {
    let mut stripped = Vec::new();
    form::strip(head.query.unwrap_or_default(), &[b"app_id", b"sign"], &mut stripped);
    let query = if protected { Some(&*stripped).filter(|query| !query.is_empty()) } else { head.query };
    let group = tenant.map_or(0, |tenant| tenant.group_id);
    let (group, key) = (group.to_string(), format!("gatekeeper_upm_{group}"));
    let groups = [("didi-header-usergroup", group.as_bytes()), ("didi-header-usergroupkey", key.as_bytes())];
    let (client, address) = (peer.client.to_string(), peer.address.to_string());
    let onward = Onward {
        path,
        query,
        host,
        body: head.body,
        client: client.as_bytes(),
        peer: address.as_bytes(),
        trusted: peer.trusted,
        proto: "http",
        via: http.via.then_some(b"(this process)"),
        request_id: b"(a new id)",
        added: if group == "0" { &[] } else { &groups },
        underscore_fields: http.underscore_fields,
        upgrade_websocket: head.upgrade_websocket,
        expect_continue: head.expects_continue,
        te_trailers: false,
    };
    let mut out = Vec::new();
    forward::request(&mut out, head, &onward);
    String::from_utf8_lossy(&out).into_owned()
}
