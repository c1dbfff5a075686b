//! What goes on and what does not: one test for each rule.

use super::*;
use crate::proto::cases::{GET, accepted, answered};
use crate::proto::head::{Asked, Method};
use crate::proto::trace_context::{self, Incoming, SpanId, TraceId, TraceOnward, TraceParent};

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn onward<'a>() -> Onward<'a> {
    Onward {
        path: b"/up",
        query: None,
        host: b"origin",
        body: Body::None,
        client: b"192.0.2.1",
        peer: b"192.0.2.1",
        trusted: false,
        proto: "http",
        via: None,
        request_id: b"",
        trace: None,
        added: &[],
        edits: Edits::default(),
        underscore_fields: false,
        upgrade_websocket: false,
        expect_continue: false,
        te_trailers: false,
    }
}

/// What is sent for a request with these lines, without the request line, `Host` and the final line.
fn sent(method: &str, lines: &str, onward: &Onward<'_>) -> String {
    let bytes = format!("{method} /x HTTP/1.1\r\nHost: gate\r\n{lines}\r\n");
    let text = accepted(bytes.as_bytes(), |head| {
        let mut out = Vec::new();
        request(&mut out, head, onward);
        String::from_utf8(out).unwrap()
    });
    text.split_once("\r\nHost: origin\r\n").unwrap().1.strip_suffix("\r\n").unwrap().to_owned()
}

const FORWARDING: &str =
    "X-Real-IP: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: gate\r\n";

/// The same, and without the forwarding fields at the end.
fn fields(method: &str, lines: &str, onward: &Onward<'_>) -> String {
    sent(method, lines, onward).strip_suffix(FORWARDING).unwrap().to_owned()
}

fn back<'a>() -> Back<'a> {
    Back {
        client_version: Version::Http11,
        close: false,
        body: ResponseBody::None,
        date: DATE,
        edits: Edits::default(),
        upgrade_websocket: false,
    }
}

/// What the client gets for a response.
fn got(text: &str, asked: &Asked, back: &Back<'_>) -> String {
    answered(text.as_bytes(), asked, |head| {
        let mut out = Vec::new();
        response(&mut out, head, back);
        String::from_utf8(out).unwrap()
    })
}

#[test]
fn the_request_line_is_written_anew() {
    let bytes = b"GET http://gate/x?y HTTP/1.0\r\nHost: other\r\n\r\n";
    let text = accepted(bytes, |head| {
        let mut out = Vec::new();
        request(&mut out, head, &Onward { query: Some(b"q=%0a"), ..onward() });
        String::from_utf8(out).unwrap()
    });
    assert_eq!(text, format!("GET /up?q=%0a HTTP/1.1\r\nHost: origin\r\n{FORWARDING}\r\n"));
}

#[test]
fn order_of_repeated_fields_is_kept() {
    assert_eq!(fields("GET", "A: 1\r\nB: 2\r\nA: 3\r\n", &onward()), "A: 1\r\nB: 2\r\nA: 3\r\n");
}

#[test]
fn framing_is_regenerated() {
    let lines = "content-length: 7\r\n";
    assert_eq!(fields("POST", lines, &Onward { body: Body::Length(9), ..onward() }), "Content-Length: 9\r\n");
    assert_eq!(fields("POST", lines, &Onward { body: Body::Chunked, ..onward() }), "Transfer-Encoding: chunked\r\n");
    let lines = "transfer-ENCODING: Chunked\r\n";
    assert_eq!(fields("POST", lines, &Onward { body: Body::Chunked, ..onward() }), "Transfer-Encoding: chunked\r\n");
}

#[test]
fn a_method_that_expects_a_body_says_that_there_is_none() {
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(fields(method, "", &onward()), "Content-Length: 0\r\n", "{method}");
    }
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "X"] {
        assert_eq!(fields(method, "", &onward()), "", "{method}");
    }
    assert_eq!(fields("GET", "", &Onward { body: Body::Length(0), ..onward() }), "Content-Length: 0\r\n");
}

#[test]
fn hop_by_hop_fields_are_removed() {
    let lines = "Connection: close, x-mine, A\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
                 TE: trailers\r\nTrailer: A\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\na: 2\r\nB: 3\r\nx-mine: 4\r\n";
    assert_eq!(fields("GET", lines, &onward()), "B: 3\r\n");
}

#[test]
fn httpoxy() {
    assert_eq!(fields("GET", "Proxy: http://evil/\r\nProxy-X: 1\r\n", &onward()), "Proxy-X: 1\r\n");
}

#[test]
fn te_is_sent_only_as_trailers() {
    let lines = "TE: gzip, trailers\r\nConnection: te\r\n";
    assert_eq!(fields("GET", lines, &Onward { te_trailers: true, ..onward() }), "Connection: te\r\nTE: trailers\r\n");
}

#[test]
fn upgrade_is_sent_only_as_websocket() {
    let lines = "Connection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n";
    assert_eq!(fields("GET", lines, &onward()), "Sec-WebSocket-Version: 13\r\n");
    assert_eq!(
        fields("GET", lines, &Onward { upgrade_websocket: true, ..onward() }),
        "Sec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    );
    let both = fields("GET", lines, &Onward { upgrade_websocket: true, te_trailers: true, ..onward() });
    assert!(both.ends_with("Connection: upgrade, te\r\nUpgrade: websocket\r\nTE: trailers\r\n"), "{both}");
}

#[test]
fn expect_is_sent_only_if_chosen() {
    let lines = "Expect: 100-Continue\r\nContent-Length: 1\r\n";
    let with = |expect_continue| Onward { body: Body::Length(1), expect_continue, ..onward() };
    assert_eq!(fields("POST", lines, &with(false)), "Content-Length: 1\r\n");
    assert_eq!(fields("POST", lines, &with(true)), "Content-Length: 1\r\nExpect: 100-continue\r\n");
}

#[test]
fn max_forwards_counts_down() {
    assert_eq!(fields("OPTIONS", "Max-Forwards: 10\r\n", &onward()), "Max-Forwards: 9\r\n");
    assert_eq!(fields("GET", "Max-Forwards: 10\r\n", &onward()), "Max-Forwards: 10\r\n");
}

#[test]
fn forwarding_fields_of_an_untrusted_peer_are_replaced() {
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n\
                 Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nx-forwarded-prefix: /\r\n";
    assert_eq!(sent("GET", lines, &onward()), FORWARDING);
}

#[test]
fn forwarding_fields_of_a_trusted_peer_are_kept_and_added_to() {
    let lines = "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\n\
                 x-forwarded-for: 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Host: front\r\n";
    let onward = Onward { trusted: true, client: b"1.1.1.1", peer: b"10.0.0.1", ..onward() };
    assert_eq!(
        sent("GET", lines, &onward),
        "Forwarded: for=1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: front\r\n\
         X-Real-IP: 1.1.1.1\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1\r\n"
    );
    assert_eq!(
        sent("GET", "", &onward),
        "X-Real-IP: 1.1.1.1\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: gate\r\n"
    );
}

#[test]
fn a_peer_without_an_address_adds_none() {
    let onward = Onward { client: b"", peer: b"", ..onward() };
    assert_eq!(sent("GET", "", &onward), "X-Forwarded-Proto: http\r\nX-Forwarded-Host: gate\r\n");
}

#[test]
fn via_is_added_after_the_others() {
    let onward = Onward { via: Some(b"gk-1"), ..onward() };
    let text = sent("GET", "Via: 1.0 front\r\n", &onward);
    assert!(text.starts_with("Via: 1.0 front\r\n") && text.ends_with("Via: 1.1 gk-1\r\n"), "{text}");
    let text = accepted(b"GET / HTTP/1.0\r\n\r\n", |head| {
        let mut out = Vec::new();
        request(&mut out, head, &onward);
        String::from_utf8(out).unwrap()
    });
    assert!(text.contains("\r\nVia: 1.0 gk-1\r\n"), "the version is that of the received message: {text}");
}

#[test]
fn via_loop() {
    let names = |lines: &str| {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        accepted(bytes.as_bytes(), |head| via_names(head.fields, b"gk-1"))
    };
    for lines in [
        "Via: 1.1 gk-1\r\n",
        "via: 1.0 a, 1.1 gk-1\r\n",
        "Via: 1.0 a\r\nVia: HTTP/1.1  gk-1 (x)\r\n",
        "Via: 1.1 a (, 1.1 gk-1\r\n",
        "Via: 1.1\tgk-1\r\n",
    ] {
        assert!(names(lines), "{lines}");
    }
    for lines in [
        "",
        "Via: 1.1 gk-11\r\n",
        "Via: 1.1 GK-1\r\n",
        "Via: gk-1\r\n",
        "X: 1.1 gk-1\r\n",
        "Via: 1.1 a (gk-1)\r\n",
        "Via: \r\n",
    ] {
        assert!(!names(lines), "{lines}");
    }
}

#[test]
fn fields_of_ours_are_never_the_clients() {
    let lines = "didi-header-rid: 6\r\nDidi-Header-Usergroup: 6\r\ndidi-header-usergroupkey: 6\r\nX-Gatekeeper-App: 6\r\n\
                 x-gatekeeper-else: 6\r\ndidi_header_usergroup: 6\r\ndidi-header-spanid: 7\r\nX-Plan: 6\r\n";
    let with_underscores =
        Onward { underscore_fields: true, added: &[("x-plan", b"gold")], request_id: b"id", ..onward() };
    let text = sent("GET", lines, &with_underscores);
    let expected = format!("didi-header-spanid: 7\r\n{FORWARDING}didi-header-rid: id\r\nx-plan: gold\r\n");
    assert_eq!(text, expected);
}

/// What is sent where the trace is told in our word, without the forwarding fields.
fn traced(lines: &str) -> String {
    let bytes = format!("GET /x HTTP/1.1\r\nHost: gate\r\n{lines}\r\n");
    let trace = accepted(bytes.as_bytes(), |head| TraceOnward {
        incoming: Incoming::read(head.fields),
        parent: TraceParent { trace: TraceId::new(0xa), parent: SpanId::new(0xb), flags: trace_context::SAMPLED },
    });
    sent("GET", lines, &Onward { trace: Some(&trace), ..onward() }).replace(FORWARDING, "")
}

/// Our own words on that trace.
const TRACED: &str = "traceparent: 00-0000000000000000000000000000000a-000000000000000b-01\r\n\
                      didi-header-spanid: 000000000000000b\r\n";
/// A client's.
const PARENT: &str = "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n";

#[test]
fn a_trace_told_in_our_word_replaces_the_clients() {
    let lines = format!("{PARENT}A: 1\r\ndidi-header-spanid: 7\r\nTracestate: a=1\r\nTracestate: b=2\r\n");
    assert_eq!(traced(&lines), format!("A: 1\r\nTracestate: a=1\r\nTracestate: b=2\r\n{TRACED}"));
}

#[test]
fn a_new_trace_takes_no_state_along() {
    assert_eq!(traced("Traceparent: 00-broken\r\nTracestate: a=1\r\n"), TRACED);
    assert_eq!(traced("Tracestate: a=1\r\n"), TRACED);
    assert_eq!(traced(&format!("{PARENT}Tracestate: broken\r\n")), TRACED, "nor does an old one a broken state");
}

#[test]
fn a_trace_passes_untouched_where_nobody_looks_at_it() {
    let lines = format!("{PARENT}Tracestate: broken\r\ndidi-header-spanid: 7\r\n");
    assert_eq!(fields("GET", &lines, &onward()), lines);
}

#[test]
fn underscore_names_pass_only_if_allowed() {
    let lines = "my_field: 1\r\nA: 2\r\n";
    assert_eq!(fields("GET", lines, &onward()), "A: 2\r\n");
    let allowed = Onward { underscore_fields: true, ..onward() };
    assert_eq!(fields("GET", lines, &allowed), "my_field: 1\r\nA: 2\r\n");
    assert_eq!(fields("GET", "x_forwarded_for: 6\r\nx_real_ip: 6\r\n", &allowed), "", "what reads like ours never");
}

#[test]
fn credentials_pass_untouched() {
    let lines = "Authorization: Basic eA==\r\nCookie: a=b; c=d\r\n";
    assert_eq!(fields("GET", lines, &onward()), lines);
}

#[test]
fn a_response_is_written_anew() {
    let text =
        "HTTP/1.0 200 Fine\r\nServer: s\r\nContent-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: d\r\n\r\n";
    assert_eq!(
        got(text, &GET, &Back { body: ResponseBody::Length(2), ..back() }),
        "HTTP/1.1 200 Fine\r\nServer: s\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: d\r\nContent-Length: 2\r\n\r\n"
    );
}

#[test]
fn hop_by_hop_fields_are_removed_from_a_response() {
    let text = "HTTP/1.1 200 OK\r\nConnection: close, x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nTrailer: a\r\n\
                Proxy-Connection: close\r\nTransfer-Encoding: chunked\r\nTransfer_Encoding: x\r\nDate: d\r\nB: 3\r\n\r\n";
    assert_eq!(
        got(text, &GET, &Back { body: ResponseBody::Chunked, ..back() }),
        "HTTP/1.1 200 OK\r\nDate: d\r\nB: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn a_date_is_added_where_missing() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    assert!(got(text, &GET, &Back { body: ResponseBody::Length(0), ..back() }).contains(date));
    assert!(!got("HTTP/1.1 103 x\r\n\r\n", &GET, &back()).contains("Date"), "an interim response needs none");
}

#[test]
fn content_length_is_kept_for_head_and_304_and_removed_from_204_and_1xx() {
    let head = Asked { method: Method::Head, upgrade_websocket: false };
    for (text, asked, kept) in [
        ("200 OK\r\nContent-Length: 5", &head, true),
        ("304 x\r\nContent-Length: 5", &GET, true),
        ("204 x\r\nContent-Length: 5", &GET, false),
        ("204 x\r\nContent-Length: 0", &head, false),
        ("103 x\r\nContent-Length: 0", &GET, false),
    ] {
        let text = got(&format!("HTTP/1.1 {text}\r\n\r\n"), asked, &back());
        assert_eq!(text.contains("Content-Length: 5\r\n"), kept, "{text}");
        assert_eq!(text.contains("Content-Length"), kept, "{text}");
    }
}

#[test]
fn the_end_of_the_connection_is_said() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let length = Back { body: ResponseBody::Length(0), ..back() };
    let says = |back: &Back<'_>| {
        let text = got(text, &GET, back);
        text.split_once("Connection: ").map(|(_, rest)| rest.split("\r\n").next().unwrap().to_owned())
    };
    assert_eq!(says(&length), None);
    assert_eq!(says(&Back { close: true, ..length }).as_deref(), Some("close"));
    assert_eq!(says(&Back { body: ResponseBody::UntilClose, ..length }).as_deref(), Some("close"));
    assert_eq!(says(&Back { client_version: Version::Http10, ..length }).as_deref(), Some("keep-alive"));
    assert_eq!(says(&Back { client_version: Version::Http10, close: true, ..length }).as_deref(), Some("close"));
}

#[test]
fn interim_responses_say_nothing_of_the_connection() {
    let text = "HTTP/1.1 103 Early\r\nLink: </a>\r\nConnection: close\r\n\r\n";
    assert_eq!(got(text, &GET, &Back { close: true, ..back() }), "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n");
}

#[test]
fn the_agreed_101_names_its_protocol() {
    let asked = Asked { method: Method::Get, upgrade_websocket: true };
    let text = "HTTP/1.1 101 S\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    assert_eq!(
        got(text, &asked, &Back { upgrade_websocket: true, ..back() }),
        "HTTP/1.1 101 S\r\nSec-WebSocket-Accept: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

#[test]
fn nominated_trailers_are_known_by_the_head() {
    for (connection, nominates) in [("x-sum, close", true), ("TE, Upgrade", false), ("keep-alive, ", false)] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
        accepted(bytes.as_bytes(), |head| assert_eq!(super::nominates(head.fields), nominates, "{connection}"));
    }
}
