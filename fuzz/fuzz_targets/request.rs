//! A request head: one verdict at any split, and what is sent on is read back as it was meant.
#![no_main]

use gatekeeper::proto::forward::{self, Onward};
use gatekeeper::proto::head::{Body, HeadLimits, Storage, parse_request};
use gatekeeper::proto::trace_context::{Incoming, SpanId, TraceId, TraceOnward, TraceParent};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 2048, uri_bytes_max: 256, fields_max: 64 };
/// What we add may push a head past the limits it came in under.
const OUR_LIMITS: HeadLimits = HeadLimits { head_bytes_max: 1 << 16, uri_bytes_max: 1024, fields_max: 128 };

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let mut storage = Storage::new();
    let whole = parse_request(bytes, &LIMITS, &mut storage);
    let cut = usize::from(cut) % (bytes.len() + 1);
    let mut shorter = Storage::new();
    match (parse_request(&bytes[..cut], &LIMITS, &mut shorter), &whole) {
        (Ok(None), _) => {}
        (Ok(Some(part)), Ok(Some(whole))) => assert_eq!(part.head_bytes, whole.head_bytes),
        (Err(part), Err(whole)) => assert_eq!(part, *whole),
        (part, whole) => panic!("{part:?} at {cut}, {whole:?} in all"),
    }
    let Ok(Some(head)) = whole else { return };
    assert!(head.head_bytes <= bytes.len());
    let mut sent = Vec::new();
    let parent = TraceParent { trace: TraceId::new(7), parent: SpanId::new(8), flags: 0 };
    let trace = TraceOnward { incoming: Incoming::read(head.fields), parent };
    let onward = Onward {
        path: b"/",
        query: None,
        host: b"origin",
        body: head.body,
        client: b"::1",
        peer: b"::1",
        trusted: cut % 2 == 0,
        proto: "http",
        via: Some(b"gk"),
        request_id: b"id",
        trace: Some(&trace),
        added: &[("x-a", b"b")],
        underscore_fields: cut % 3 == 0,
        upgrade_websocket: head.upgrade_websocket,
        expect_continue: head.expects_continue,
        te_trailers: head.te_trailers,
    };
    forward::request(&mut sent, &head, &onward);
    let mut storage = Storage::new();
    if matches!(head.method_text, b"CONNECT") {
        return;
    }
    let again = parse_request(&sent, &OUR_LIMITS, &mut storage).expect("ours is good").expect("ours is complete");
    assert_eq!(again.head_bytes, sent.len());
    let expected = if head.body == Body::None && head.method.expects_body() { Body::Length(0) } else { head.body };
    assert_eq!((again.body, again.host), (expected, b"origin".as_slice()));
    assert!(again.keep_alive && forward::via_names(again.fields, b"gk"));
    assert_eq!(again.upgrade_websocket, head.upgrade_websocket);
    assert_eq!(Incoming::read(again.fields).parent, Some(parent));
});
