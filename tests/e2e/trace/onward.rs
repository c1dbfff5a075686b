//! What an endpoint is told of a request's trace.

use std::collections::HashSet;

use super::{CALLER, Collector, TRACE, parts, traced};
use crate::support::message::Head;
use crate::support::{Conf, Gateway, Origin, eventually};

/// The head that the origin saw of a GET with these extra lines.
#[track_caller]
fn seen_with(conf: &Conf, origin: &Origin, lines: &str) -> Head {
    let gateway = Gateway::start(conf);
    let answer = gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n{lines}\r\n"));
    assert_eq!(answer.status(), 200, "{answer:?}");
    origin.only().head
}

/// Where every new trace is recorded; nobody collects.
fn conf(origin: &Origin) -> Conf {
    Conf::of(origin).trace("on", true).trace("sample_ratio", 1.0).trace("endpoint", "http://127.0.0.1:9/v1/traces")
}

#[test]
fn fields_of_a_trace_pass_untouched_where_nothing_is_traced() {
    let origin = Origin::ok();
    let lines = format!(
        "Traceparent: cc-{TRACE}-{CALLER}-09-what\r\nTracestate: broken\r\ntracestate: a=1\r\ndidi-header-spanid: 7\r\n"
    );
    let head = seen_with(&Conf::of(&origin), &origin, &lines);
    assert_eq!(head.all("traceparent"), [format!("cc-{TRACE}-{CALLER}-09-what")]);
    assert_eq!(head.all("tracestate"), ["broken", "a=1"]);
    assert_eq!(head.all("didi-header-spanid"), ["7"]);
}

#[test]
fn a_request_without_a_trace_begins_one() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    for _ in 0..20 {
        assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    }
    let requests = origin.expect_requests(20);
    let mut traces = HashSet::new();
    for request in &requests {
        let [trace, parent, flags] = parts(request.head.field("traceparent").expect("a trace"));
        assert_eq!(flags, "01");
        assert_eq!(request.head.all("didi-header-rid"), [trace], "GateKeeper's id is the same");
        assert_eq!(request.head.all("didi-header-spanid"), [parent]);
        traces.insert(trace);
    }
    assert_eq!(traces.len(), requests.len());
}

#[test]
fn a_recorded_trace_goes_on_with_a_parent_of_our_own_and_its_state() {
    let origin = Origin::ok();
    let lines = format!(
        "traceparent: 00-{TRACE}-{CALLER}-01\r\nX-Between: 1\r\nTraceState: b=2, 0t@sys=x y\r\ntracestate: c=3\r\n"
    );
    let head = seen_with(&conf(&origin), &origin, &lines);
    let [trace, parent, flags] = parts(head.field("traceparent").expect("a trace"));
    assert_eq!((trace, flags), (TRACE, "01"));
    assert_ne!(parent, CALLER);
    assert_eq!(head.all("traceparent").len(), 1);
    assert_eq!(head.all("tracestate"), ["b=2, 0t@sys=x y", "c=3"]);
    assert_eq!(head.all("didi-header-rid"), [TRACE]);
}

#[test]
fn a_trace_that_is_not_recorded_passes_as_it_came() {
    let origin = Origin::ok();
    let lines = format!("traceparent: 00-{TRACE}-{CALLER}-00\r\ntracestate: a=1\r\ndidi-header-spanid: 7\r\n");
    let head = seen_with(&conf(&origin), &origin, &lines);
    assert_eq!(head.all("traceparent"), [format!("00-{TRACE}-{CALLER}-00")]);
    assert_eq!((head.all("tracestate"), head.all("didi-header-spanid")), (vec!["a=1"], vec!["7"]));
}

#[test]
fn where_callers_do_not_decide_the_ratio_does() {
    let origin = Origin::ok();
    let lines = format!("traceparent: 00-{TRACE}-{CALLER}-00\r\n");
    let head = seen_with(&conf(&origin).trace("parent_based", false), &origin, &lines);
    let [trace, parent, flags] = parts(head.field("traceparent").expect("a trace"));
    assert_eq!((trace, flags), (TRACE, "01"));
    assert_ne!(parent, CALLER);
}

#[test]
fn a_trace_that_breaks_a_rule_gives_way_to_a_new_one() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let zero = "0".repeat(32);
    let broken = [
        format!("traceparent: 00-{TRACE}-{CALLER}-01-more\r\n"),
        format!("traceparent: ff-{TRACE}-{CALLER}-01\r\n"),
        format!("traceparent: 00-{zero}-{CALLER}-01\r\n"),
        format!("traceparent: 00-{TRACE}-0000000000000000-01\r\n"),
        format!("traceparent: 00-{}-{CALLER}-01\r\n", TRACE.to_uppercase()),
        format!("traceparent: 00-{TRACE}-{CALLER}-01\r\nTraceparent: 00-{TRACE}-{CALLER}-01\r\n"),
        "traceparent: \r\n".to_owned(),
        String::new(),
    ];
    for lines in &broken {
        let request = format!("GET /svc/a HTTP/1.1\r\nHost: a\r\n{lines}tracestate: a=1\r\n\r\n");
        assert_eq!(gateway.connect().ask(request).status(), 200);
    }
    for request in origin.expect_requests(broken.len()) {
        let [trace, parent, _] = parts(request.head.field("traceparent").expect("a trace"));
        assert!(trace != TRACE && parent != CALLER && request.head.all("traceparent").len() == 1, "{request:?}");
        assert!(request.head.all("tracestate").is_empty(), "a state is of its trace: {request:?}");
    }
}

#[test]
fn a_higher_version_goes_on_as_ours_and_a_broken_state_not_at_all() {
    let origin = Origin::ok();
    let lines = format!("traceparent: cc-{TRACE}-{CALLER}-01-what-will-be\r\ntracestate: a=1,=\r\n");
    let head = seen_with(&conf(&origin), &origin, &lines);
    let [trace, _, flags] = parts(head.field("traceparent").expect("a trace"));
    assert_eq!((trace, flags), (TRACE, "01"));
    assert!(head.all("tracestate").is_empty());
}

#[test]
fn gatekeepers_own_fields_join_a_trace() {
    let origin = Origin::ok();
    let rid = "0a0b0c0d5f5e100000010002abcdefb0";
    let head = seen_with(&conf(&origin), &origin, &format!("didi-header-rid: {rid}\r\n"));
    let [trace, parent, _] = parts(head.field("traceparent").expect("a trace"));
    assert_eq!((trace, head.all("didi-header-rid")), (rid, vec![rid]));
    assert_eq!(head.all("didi-header-spanid"), [parent]);
}

#[test]
fn a_clients_own_id_stays_beside_the_trace() {
    let origin = Origin::ok();
    let lines = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\ndidi-header-rid: my-own\r\n");
    let head = seen_with(&conf(&origin), &origin, &lines);
    assert_eq!(parts(head.field("traceparent").expect("a trace"))[0], TRACE);
    assert_eq!(head.all("didi-header-rid"), ["my-own"]);
}

#[test]
fn our_own_answers_name_the_trace() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let line = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    let answer = gateway.connect().ask(format!("GET /nowhere HTTP/1.1\r\nHost: a\r\n{line}\r\n"));
    assert_eq!((answer.status(), answer.json()["trace_id"].as_str()), (404, Some(TRACE)));
}

#[test]
fn a_reload_turns_traces_on_and_off() {
    let origin = Origin::ok();
    let collector = Collector::start();
    let gateway = Gateway::start(&Conf::of(&origin));
    let traced_at = |number: usize| {
        assert_eq!(gateway.connect().get("/svc/a").status(), 200);
        origin.expect_requests(number)[number - 1].head.field("traceparent").is_some()
    };
    assert!(!traced_at(1));
    gateway.rewrite_files(&traced(&origin, &collector));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert!(traced_at(2));
    assert!(eventually(|| !collector.spans().is_empty()));
    gateway.rewrite_files(&Conf::of(&origin));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert!(!traced_at(3));
}
