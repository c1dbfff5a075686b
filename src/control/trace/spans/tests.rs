//! What a record is told as: one test for each thing that happens to a request.

use super::*;
use crate::ids::WorkerId;
use crate::proto::trace_context::{Incoming, TraceId, TraceParent};
use crate::wall::journal::Texts;
use crate::wall::timing::Timing;
use crate::wall::trace::Sampling;

fn trace() -> Trace {
    let parent = TraceParent { trace: TraceId::new(0xabc), parent: SpanId::new(0xca11e4), flags: 1 };
    let incoming = Incoming { parent: Some(parent), ..Incoming::default() };
    Sampling { ratio_millionths: 0, parent_based: true }.begin(&incoming, None, || (1, 2))
}

fn numbers() -> Numbers {
    Numbers {
        status: 200,
        attempts: 1,
        version: 11,
        worker: WorkerId(3),
        peer: "192.0.2.1".parse().expect("an address"),
        client: "198.51.100.7".parse().expect("an address"),
        stamps: Timing {
            begun_us: 1_000,
            head_us: 1_100,
            queued_us: 1_200,
            dialled_us: 1_500,
            connected_us: 1_800,
            sent_us: 1_900,
            first_us: 3_000,
            end_us: 4_000,
        },
        ..Numbers::default()
    }
}

fn texts() -> Texts<'static> {
    let mut texts = Texts::default();
    for (text, value) in [
        (Text::Method, "GET"),
        (Text::Target, "/orders/7?a=1&sign=secret&phone=123"),
        (Text::Host, "shop.test:8080"),
        (Text::Agent, "curl/8"),
        (Text::RequestId, "00000000000000000000000000000abc"),
        (Text::Service, "orders"),
        (Text::Node, "127.0.0.1:8701"),
    ] {
        texts.set(text, value.as_bytes(), 100);
    }
    texts
}

fn told(numbers: Numbers, texts: Texts<'_>) -> Vec<Span> {
    let record = AccessRecord { numbers, trace: Some(trace()), texts };
    of_record(&record, Times { origin_ns: 1_000_000_000 }, &["phone".into()])
}

/// An attribute as text.
fn value(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.clone()?.value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => format!("{other:?}"),
    })
}

fn has(span: &Span, pairs: &[(&str, &str)]) {
    for (key, wanted) in pairs {
        assert_eq!(value(span, key).as_deref(), Some(*wanted), "{key} of {}", span.name);
    }
}

fn named<'s>(spans: &'s [Span], name: &str) -> Option<&'s Span> {
    spans.iter().find(|span| span.name == name)
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32)
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| &*span.name).collect()
}

#[test]
fn a_request_gives_a_span_for_each_step() {
    let spans = told(numbers(), texts());
    assert_eq!(names(&spans), ["GET orders", "queue", "connect", "GET"]);
    let ns = |us: u64| 1_000_000_000 + us * 1_000;
    let times: Vec<_> = spans.iter().map(|span| (span.start_time_unix_nano, span.end_time_unix_nano)).collect();
    assert_eq!(times, [(ns(1_000), ns(4_000)), (ns(1_200), ns(1_500)), (ns(1_500), ns(1_800)), (ns(1_800), ns(4_000))]);
    assert!(spans.iter().all(|span| span.trace_id == TraceId::new(0xabc).bytes() && !is_error(span)));
    assert_eq!(spans[0].parent_span_id, SpanId::new(0xca11e4).bytes());
    assert!(spans[1..].iter().all(|span| span.parent_span_id == spans[0].span_id));
    assert_eq!(spans[3].span_id, trace().onward(0).parent.bytes(), "as the endpoint is told");
    let kinds: Vec<_> = spans.iter().map(Span::kind).collect();
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Internal, SpanKind::Internal, SpanKind::Client]);
    assert_eq!((spans[0].flags, spans[3].flags), (0x301, 0x101), "only the request's parent is elsewhere");
    assert_eq!(spans[3].events[0].time_unix_nano, ns(3_000));
}

#[test]
fn the_request_is_told_as_the_conventions_have_it() {
    let spans = told(numbers(), texts());
    has(
        &spans[0],
        &[
            ("http.request.method", "GET"),
            ("url.path", "/orders/7"),
            ("url.query", "a=1&sign=***&phone=***"),
            ("url.scheme", "http"),
            ("server.address", "shop.test"),
            ("server.port", "8080"),
            ("network.protocol.version", "1.1"),
            ("network.peer.address", "192.0.2.1"),
            ("client.address", "198.51.100.7"),
            ("user_agent.original", "curl/8"),
            ("http.response.status_code", "200"),
            ("gatekeeper.service", "orders"),
            ("gatekeeper.worker", "3"),
        ],
    );
    let absent = ["error.type", "gatekeeper.end", "gatekeeper.request_id", "gatekeeper.attempts"];
    assert!(absent.iter().all(|key| value(&spans[0], key).is_none()));
    has(
        &spans[3],
        &[
            ("http.request.method", "GET"),
            ("server.address", "127.0.0.1"),
            ("server.port", "8701"),
            ("http.response.status_code", "200"),
            ("gatekeeper.reused", "false"),
        ],
    );
}

#[test]
fn no_secret_is_told_whatever_the_form_of_the_target() {
    for (target, path, query) in [
        ("http://me:pw@shop.test/a?token=abc", "/a", "token=***"),
        ("http://shop.test?sig=abc", "/", "sig=***"),
        ("/a//b?x=http://u&SIGN=abc", "/a//b", "x=http://u&SIGN=***"),
        ("*", "*", ""),
    ] {
        let mut texts = texts();
        texts.set(Text::Target, target.as_bytes(), 100);
        let spans = told(numbers(), texts);
        has(&spans[0], &[("url.path", path)]);
        assert_eq!(value(&spans[0], "url.query").unwrap_or_default(), query);
        let all = format!("{spans:?}");
        assert!(!all.contains("=abc") && !all.contains("pw"), "{all}");
    }
}

#[test]
fn a_text_that_was_cut_says_so() {
    let mut texts = texts();
    texts.set(Text::Target, b"/aaaaaaaaaa", 5);
    texts.set(Text::Agent, b"curl and more", 4);
    has(&told(numbers(), texts)[0], &[("url.path", "/aaaa…"), ("user_agent.original", "curl…")]);
}

#[test]
fn a_kept_connection_takes_no_time() {
    let stamps = Timing { queued_us: 1_799, dialled_us: 0, ..numbers().stamps };
    let spans = told(Numbers { stamps, reused: true, ..numbers() }, texts());
    assert_eq!(names(&spans), ["GET orders", "GET"]);
    has(&spans[1], &[("gatekeeper.reused", "true")]);
}

#[test]
fn a_method_that_nobody_knows_names_no_span() {
    let mut texts = texts();
    texts.set(Text::Method, b"BREW", 100);
    let spans = told(numbers(), texts);
    assert_eq!((&*spans[0].name, &*spans[3].name), ("HTTP orders", "HTTP"));
    has(&spans[0], &[("http.request.method", "_OTHER"), ("http.request.method_original", "BREW")]);
}

#[test]
fn a_refusal_has_one_span_and_is_the_clients_doing() {
    let stamps = Timing { queued_us: 0, dialled_us: 0, connected_us: 0, sent_us: 0, first_us: 0, ..numbers().stamps };
    let mut texts = texts();
    texts.set(Text::Service, b"", 0);
    let numbers = Numbers { status: 404, end: Some(End::NoRoute), attempts: 0, stamps, ..numbers() };
    let spans = told(numbers, texts);
    assert_eq!(names(&spans), ["GET"]);
    has(&spans[0], &[("gatekeeper.end", "no_route"), ("http.response.status_code", "404")]);
    assert!(!is_error(&spans[0]) && value(&spans[0], "error.type").is_none());
}

#[test]
fn a_dial_that_failed_is_the_error() {
    let stamps = Timing { connected_us: 0, sent_us: 0, first_us: 0, ..numbers().stamps };
    let spans = told(Numbers { status: 502, end: Some(End::ConnectRefused), stamps, ..numbers() }, texts());
    assert_eq!(names(&spans), ["GET orders", "queue", "connect"]);
    let code = End::ConnectRefused.meaning().code;
    has(&spans[0], &[("error.type", code), ("gatekeeper.end", code)]);
    has(&spans[2], &[("error.type", code)]);
    assert!(is_error(&spans[0]) && !is_error(&spans[1]) && is_error(&spans[2]));
    assert_eq!(spans[2].end_time_unix_nano, 1_004_000_000);
}

#[test]
fn a_queue_that_was_too_long_is_the_error() {
    let stamps = Timing { dialled_us: 0, connected_us: 0, sent_us: 0, first_us: 0, ..numbers().stamps };
    let spans = told(Numbers { status: 503, end: Some(End::QueueTimeout), stamps, ..numbers() }, texts());
    assert_eq!(names(&spans), ["GET orders", "queue"]);
    assert!(is_error(&spans[1]));
    let at_once = Timing { queued_us: 4_000, ..stamps };
    let spans = told(Numbers { status: 503, end: Some(End::QueueFull), stamps: at_once, ..numbers() }, texts());
    assert_eq!(names(&spans), ["GET orders", "queue"], "a failure is told even if it took no time");
}

#[test]
fn an_endpoint_that_does_not_answer_is_the_error_and_our_answer_is_not_its() {
    let stamps = Timing { first_us: 0, ..numbers().stamps };
    let spans = told(Numbers { status: 504, end: Some(End::ResponseTimeout), stamps, ..numbers() }, texts());
    let upstream = named(&spans, "GET").expect("it was asked");
    has(upstream, &[("error.type", End::ResponseTimeout.meaning().code)]);
    assert!(is_error(upstream) && value(upstream, "http.response.status_code").is_none());
}

#[test]
fn a_status_of_the_endpoint_is_an_error_where_the_conventions_say_so() {
    let spans = told(Numbers { status: 404, ..numbers() }, texts());
    assert!(!is_error(&spans[0]) && is_error(&spans[3]));
    has(&spans[3], &[("error.type", "404")]);
    let spans = told(Numbers { status: 500, ..numbers() }, texts());
    assert!(is_error(&spans[0]) && is_error(&spans[3]));
    has(&spans[0], &[("error.type", "500")]);
}

#[test]
fn a_client_that_left_is_no_error_of_the_endpoint() {
    let stamps = Timing { first_us: 0, ..numbers().stamps };
    let spans = told(Numbers { status: 0, end: Some(End::ClientLeft), stamps, ..numbers() }, texts());
    assert!(is_error(&spans[0]) && !is_error(&spans[3]));
    has(&spans[0], &[("error.type", "client_left")]);
}

#[test]
fn an_attempt_that_is_followed_by_another_gives_its_own_spans_only() {
    let failed = Numbers {
        kind: Kind::Attempt,
        status: 0,
        end: Some(End::UpstreamStale),
        attempts: 1,
        reused: true,
        stamps: Timing { dialled_us: 0, queued_us: 1_800, first_us: 0, end_us: 2_000, ..numbers().stamps },
        ..numbers()
    };
    let first = told(failed, texts());
    assert_eq!(names(&first), ["GET"]);
    has(&first[0], &[("error.type", End::UpstreamStale.meaning().code)]);
    let second = told(Numbers { attempts: 2, ..numbers() }, texts());
    assert_eq!(first[0].parent_span_id, second[0].span_id);
    assert_ne!(first[0].span_id, second[3].span_id);
    assert_eq!(second[3].span_id, trace().onward(1).parent.bytes());
    has(&second[3], &[("http.request.resend_count", "1")]);
    has(&second[0], &[("gatekeeper.attempts", "2")]);
    assert!(value(&first[0], "http.request.resend_count").is_none());
}

#[test]
fn a_record_without_a_trace_gives_no_span() {
    let record = AccessRecord { numbers: numbers(), trace: None, texts: texts() };
    assert!(of_record(&record, Times { origin_ns: 0 }, &[]).is_empty());
}

#[test]
fn endpoints_of_every_form_are_told() {
    for (node, address, port) in [
        ("[2001:db8::1]:80", "2001:db8::1", Some("80")),
        ("orders.internal:8701", "orders.internal", Some("8701")),
        ("unix:/run/orders.sock", "/run/orders.sock", None),
        ("2001:db8::1", "2001:db8::1", None),
    ] {
        let mut texts = texts();
        texts.set(Text::Node, node.as_bytes(), 100);
        let spans = told(numbers(), texts);
        assert_eq!(value(&spans[3], "server.address").as_deref(), Some(address));
        assert_eq!(value(&spans[3], "server.port").as_deref(), port, "{node}");
    }
}
