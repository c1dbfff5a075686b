//! What holds for every input, tried on many.
//!
//! In scope: totality, independence of splits, idempotence, and that what we send is read back as what
//! we meant. Out of scope: single rules, which are tested beside the code.

use proptest::collection::vec;
use proptest::prelude::*;

use super::cases::{self, GET, LIMITS, decoded};
use super::chunked::{CHUNK_END, put_chunk_head, put_last_chunk};
use super::edits::Edits;
use super::forward::{self, Back, Onward};
use super::head::{Body, Method, ResponseBody, Version};
use super::trace_context::{Incoming, SpanId, TraceId, TraceOnward, TraceParent};
use super::{form, target};
use crate::limits;

/// Bytes that a head is likely to turn on, between bytes of any kind.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec()),
        Just(b"POST ".to_vec()),
        Just(b"/".to_vec()),
        Just(b" HTTP/1.1\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"Content-Length: ".to_vec()),
        Just(b"Transfer-Encoding: chunked".to_vec()),
        Just(b"Connection: ".to_vec()),
        Just(b"Host: a".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b": ".to_vec()),
        Just(b",".to_vec()),
        Just(b"5".to_vec()),
        Just(b"_".to_vec()),
        Just(b"0\r\n".to_vec()),
        Just(b";a=\"".to_vec()),
        vec(any::<u8>(), 0..8),
    ];
    vec(word, 0..12).prop_map(|words| words.concat())
}

fn path() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("/"),
        Just("."),
        Just(".."),
        Just("a"),
        Just(";"),
        Just("%2e"),
        Just("%2F"),
        Just("%5c"),
        Just("%25"),
        Just("%41"),
        Just("2e"),
        Just("%zz"),
        Just("%3B"),
        Just("~"),
        Just("/../"),
        Just("%c3%a4"),
    ];
    vec(word, 0..10).prop_map(|words| format!("/{}", words.concat()))
}

/// Field lines that every strict reader accepts.
fn lines() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("Accept".to_owned()),
        Just("X-Forwarded-For".to_owned()),
        Just("Keep-Alive".to_owned()),
        Just("my_field".to_owned()),
        Just("Via".to_owned()),
        Just("Upgrade".to_owned()),
        Just("TE".to_owned()),
        Just("Traceparent".to_owned()),
        Just("tracestate".to_owned()),
        "[a-zA-Z][a-zA-Z0-9-]{0,12}",
    ];
    let line = (name, "[ -~]{0,20}").prop_filter_map("a field that rules the message", |(name, value)| {
        let rules = ["host", "content-length", "transfer-encoding", "connection", "expect", "max-forwards"];
        (!rules.contains(&name.to_ascii_lowercase().as_str())).then(|| format!("{name}: {value}\r\n"))
    });
    vec(line, 0..8).prop_map(|lines| lines.concat())
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![Just(Body::None), (0..u64::MAX >> 1).prop_map(Body::Length), Just(Body::Chunked)]
}

fn declared(body: Body) -> String {
    match body {
        Body::None => String::new(),
        Body::Length(length) => format!("Content-Length: {length}\r\n"),
        Body::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_has_one_verdict_however_it_is_split(bytes in hostile()) {
        let _ = cases::request(&bytes, &LIMITS, |_| ());
    }

    #[test]
    fn a_response_has_one_verdict_however_it_is_split(bytes in hostile()) {
        let _ = cases::response(&bytes, &GET, 512, |_| ());
    }

    #[test]
    fn a_chunked_body_has_one_outcome_however_it_is_split(bytes in hostile()) {
        let _ = cases::unchunked(&bytes, true);
    }

    #[test]
    fn any_bytes_at_all_are_judged(bytes in vec(any::<u8>(), 0..200)) {
        let _ = cases::request(&bytes, &LIMITS, |_| ());
        let _ = cases::response(&bytes, &GET, 512, |_| ());
        let _ = cases::unchunked(&bytes, true);
        let _ = target::canonical(&bytes, true, &mut Vec::new());
        let mut out = Vec::new();
        form::strip(&bytes, &[b"a"], &mut out);
        prop_assert!(form::find(&out, b"a", &mut Vec::new()).is_none());
    }

    #[test]
    fn canonical_is_idempotent(path in path(), merge in any::<bool>()) {
        let mut first = Vec::new();
        if let Ok(once) = target::canonical(path.as_bytes(), merge, &mut first) {
            let mut second = Vec::new();
            prop_assert_eq!(target::canonical(once, merge, &mut second), Ok(once));
        }
    }

    #[test]
    fn no_decoder_finds_a_dot_segment_in_a_canonical_path(path in path()) {
        let mut scratch = Vec::new();
        if let Ok(path) = target::canonical(path.as_bytes(), true, &mut scratch) {
            let mut eager = String::from_utf8(path.to_vec()).unwrap();
            for _ in 0..eager.len() {
                for (escape, byte) in [("%2E", "."), ("%2e", "."), ("%2F", "/"), ("%2f", "/"), ("%5C", "\\"), ("%5c", "\\"), ("%3B", ";"), ("%25", "%")] {
                    eager = eager.replace(escape, byte);
                }
            }
            let mut segments = eager.split(['/', '\\']).map(|segment| segment.split(';').next().unwrap());
            prop_assert!(!segments.any(|segment| segment == "." || segment == ".."), "{} in {:?}", eager, path);
        }
    }

    #[test]
    fn what_we_chunk_is_decoded_to_itself(data in vec(any::<u8>(), 0..300), sizes in vec(1_usize..40, 1..40), cuts in vec(1_usize..20, 1..40)) {
        let mut sent = Vec::new();
        let mut rest = data.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            put_chunk_head(&mut sent, chunk.len());
            sent.extend_from_slice(chunk);
            sent.extend_from_slice(CHUNK_END);
            rest = after;
        }
        put_last_chunk(&mut sent, b"");
        let mut pieces = Vec::new();
        let mut rest = sent.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(decoded(pieces, false), Ok(Some((data, Vec::new(), sent.len()))));
    }

    #[test]
    fn a_request_sent_on_is_read_as_it_was_meant(lines in lines(), body in body(), trusted in any::<bool>(), underscore_fields in any::<bool>()) {
        let received = format!("PUT /a HTTP/1.1\r\nHost: gate\r\n{lines}{}\r\n", declared(body));
        let parent = TraceParent { trace: TraceId::new(7), parent: SpanId::new(8), flags: 0 };
        let sent = cases::accepted(received.as_bytes(), |head| {
            assert_eq!(head.body, body);
            let mut out = Vec::new();
            let trace = TraceOnward { incoming: Incoming::read(head.fields), parent };
            forward::request(&mut out, head, &Onward {
                path: b"/b", query: Some(b"q"), host: b"origin", body: head.body, client: b"::1", peer: b"::1", trusted, proto: "http",
                via: Some(b"gk"), request_id: b"id", trace: Some(&trace), added: &[("x-a", b"b")], edits: Edits::default(), underscore_fields, upgrade_websocket: head.upgrade_websocket,
                expect_continue: false, te_trailers: head.te_trailers,
            });
            out
        });
        cases::accepted(&sent, |head| {
            let expected = if body == Body::None { Body::Length(0) } else { body };
            assert_eq!((head.body, head.host, head.path), (expected, b"origin".as_slice(), b"/b".as_slice()));
            assert_eq!((head.keep_alive, head.head_bytes), (true, sent.len()));
            assert!(forward::via_names(head.fields, b"gk"));
            assert_eq!(Incoming::read(head.fields).parent, Some(parent));
        });
    }

    #[test]
    fn a_response_sent_on_is_read_as_it_was_meant(lines in lines(), body in body(), status in 200_u16..600, head_asked in any::<bool>(), old in any::<bool>()) {
        let asked = super::head::Asked { method: if head_asked { Method::Head } else { Method::Get }, upgrade_websocket: false };
        let client_version = if old { Version::Http10 } else { Version::Http11 };
        let received = format!("HTTP/1.1 {status} x\r\n{lines}{}\r\n", declared(body));
        let (sent, meant) = cases::answered(received.as_bytes(), &asked, |head| {
            let meant = head.body.onward(client_version);
            let mut out = Vec::new();
            forward::response(&mut out, head, &Back { client_version, close: false, body: meant, date: b"now", edits: Edits::default(), upgrade_websocket: false });
            (out, meant)
        });
        let verdict = cases::response(&sent, &asked, limits::RESPONSE_HEAD_BYTES_MAX, |head| (head.body, head.keep_alive, head.has_date));
        prop_assert_eq!(verdict, Ok(Some((meant, meant != ResponseBody::UntilClose, true))));
    }
}
