//! What a collector gets: spans of what happened to requests, and of those only that are sampled.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{CALLER, CLIENT, Collector, ERROR, INTERNAL, SERVER, TRACE, one, parts, traced, traced_with};
use crate::support::{Gateway, Origin, Service, eventually};

const MS: u64 = 1_000_000;

fn ns(span: &Value, key: &str) -> u64 {
    span[key].as_u64().expect("a time")
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

/// Answers after a while.
fn slow_origin(pause: Duration) -> Origin {
    Origin::scripted(move |peer| {
        while peer.request().is_some() {
            thread::sleep(pause);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

#[test]
fn a_request_is_told_by_spans_that_hang_together() {
    let (origin, collector) = (slow_origin(Duration::from_millis(200)), Collector::start());
    let conf = traced(&origin, &collector).trace("service_name", "edge").trace("headers", ["x-tenant: shop"]);
    let gateway = Gateway::start(&conf);
    let before_ns = unix_ns();
    let lines = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\nUser-Agent: tester\r\n");
    let answer =
        gateway.connect().ask(format!("GET /svc/a?b=1&sign=geheim HTTP/1.1\r\nHost: gate.test:80\r\n{lines}\r\n"));
    assert_eq!(answer.status(), 200);
    let after_ns = unix_ns();
    let spans = collector.expect(3);
    let (request, connect) = (one(&spans, SERVER, "GET svc"), one(&spans, INTERNAL, "connect"));
    let upstream = one(&spans, CLIENT, "GET");

    assert!(spans.iter().all(|span| span["trace"] == TRACE && span["unknown"] == false));
    assert_eq!(request["parent"], CALLER);
    assert!([connect, upstream].iter().all(|span| span["parent"] == request["span"]));
    let told = origin.only().head;
    let [trace, parent, _] = parts(told.field("traceparent").expect("a trace"));
    assert_eq!((trace, Some(parent)), (TRACE, upstream["span"].as_str()), "the endpoint was called by this span");

    let within = |span: &Value| before_ns - 50 * MS <= ns(span, "start_ns") && ns(span, "end_ns") <= after_ns + 50 * MS;
    assert!(spans.iter().all(within), "{spans:#?}");
    let long = |span: &Value| ns(span, "end_ns") - ns(span, "start_ns");
    assert!(long(request) >= 200 * MS && long(upstream) >= 200 * MS && long(connect) < 150 * MS, "{spans:#?}");
    assert!(ns(request, "start_ns") <= ns(connect, "start_ns") && ns(connect, "end_ns") <= ns(upstream, "start_ns"));
    assert!(ns(upstream, "end_ns") <= ns(request, "end_ns"));
    let head_ns = upstream["events"]["response head"].as_u64().expect("an event");
    assert!(head_ns - ns(upstream, "start_ns") >= 200 * MS);

    let said = &request["attributes"];
    assert_eq!(said["http.request.method"], "GET");
    assert_eq!((&said["url.path"], &said["url.query"]), (&"/svc/a".into(), &"b=1&sign=***".into()));
    assert_eq!((&said["server.address"], &said["server.port"]), (&"gate.test".into(), &80.into()));
    assert_eq!((&said["client.address"], &said["network.peer.address"]), (&"127.0.0.1".into(), &"127.0.0.1".into()));
    assert_eq!((&said["http.response.status_code"], &said["user_agent.original"]), (&200.into(), &"tester".into()));
    assert_eq!(said["gatekeeper.service"], "svc");
    let asked = &upstream["attributes"];
    assert_eq!((&asked["server.address"], &asked["server.port"]), (&"127.0.0.1".into(), &origin.port().into()));
    assert!(spans.iter().all(|span| span["status"] == 0 && span["attributes"]["error.type"].is_null()));

    assert_eq!((&request["resource"]["service.name"], &request["scope"]), (&"edge".into(), &"gatekeeper".into()));
    assert_eq!((&request["path"], &request["fields"]["x-tenant"]), (&"/v1/traces".into(), &"shop".into()));
    assert_eq!(request["fields"]["content-type"], "application/x-protobuf");
}

#[test]
fn what_is_exported_is_what_was_sampled() {
    for cores in [1, 4] {
        let (origin, collector) = (Origin::ok(), Collector::start());
        let gateway = Gateway::start(&traced(&origin, &collector).trace("sample_ratio", 0.25).cores(cores));
        let clients = (0..8).map(|_| gateway.connect());
        for mut client in clients {
            (0..50).for_each(|_| assert_eq!(client.get("/svc/a").status(), 200));
        }
        let told = origin.expect_requests(400);
        let told = told.iter().map(|seen| parts(seen.head.field("traceparent").expect("a trace")));
        let sampled: HashSet<_> = told
            .filter(|[_, _, flags]| *flags == "01")
            .map(|[trace, parent, _]| (trace.to_owned(), parent.to_owned()))
            .collect();
        assert!((50..150).contains(&sampled.len()), "{} of 400 at a quarter", sampled.len());
        assert!(eventually(|| collector.requests().len() >= sampled.len()));
        let exported: HashSet<_> = collector
            .spans()
            .iter()
            .filter(|span| span["kind"] == CLIENT)
            .map(|span| [&span["trace"], &span["span"]].map(|id| id.as_str().expect("an id").to_owned()))
            .map(|[trace, span]| (trace, span))
            .collect();
        assert_eq!(exported, sampled, "with {cores} workers");
    }
}

#[test]
fn each_attempt_has_its_spans_and_the_endpoint_knows_its_own() {
    let (origin, collector) = (Origin::ok(), Collector::start());
    let gone = Origin::ok();
    let dead = gone.node().to_owned();
    let service = Service::at("/svc", &[&gone, &origin]);
    let gateway = Gateway::start(&traced_with(service, &collector).cores(1));
    assert!(eventually(|| gone.probes() > 0 && origin.probes() > 0));
    thread::sleep(Duration::from_millis(300));
    // Known as healthy, and not there any more.
    drop(gone);
    let mut client = gateway.connect();
    (0..2).for_each(|_| assert_eq!(client.get("/svc/a").status(), 200));
    let told = origin.expect_requests(2);
    assert!(eventually(|| collector.requests().len() == 2));
    let spans = collector.spans();
    let failed = spans.iter().find(|span| span["status"] == ERROR).expect("the dead endpoint was tried");
    assert_eq!((&failed["name"], &failed["kind"]), (&"connect".into(), &INTERNAL.into()));
    assert_eq!(failed["attributes"]["error.type"], "connect_refused");
    let address = failed["attributes"]["server.port"].as_u64().expect("a port");
    assert!(dead.ends_with(&format!(":{address}")));
    let of_trace: Vec<_> = spans.iter().filter(|span| span["trace"] == failed["trace"]).cloned().collect();
    let request = one(&of_trace, SERVER, "GET svc");
    assert_eq!((&request["attributes"]["gatekeeper.attempts"], &request["status"]), (&2.into(), &0.into()));
    assert!(of_trace.iter().all(|span| span["span"] == request["span"] || span["parent"] == request["span"]));
    let second = one(&of_trace, CLIENT, "GET");
    assert_eq!(second["attributes"]["http.request.resend_count"], 1);
    let callers: Vec<_> =
        told.iter().map(|seen| parts(seen.head.field("traceparent").expect("a trace"))[1].to_owned()).collect();
    assert!(callers.iter().any(|caller| second["span"] == **caller), "{callers:?}");
}

#[test]
fn a_replay_over_a_new_connection_is_another_attempt() {
    let collector = Collector::start();
    // Answers one request on each connection, and closes when the second has come.
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        peer.request();
    });
    let gateway = Gateway::start(&traced(&origin, &collector));
    let mut client = gateway.connect();
    (0..2).for_each(|_| assert_eq!(client.get("/svc/a").status(), 200));
    let callers: Vec<_> = origin
        .expect_requests(3)
        .iter()
        .map(|seen| parts(seen.head.field("traceparent").expect("a trace")).map(str::to_owned))
        .collect();
    assert!(callers[1][0] == callers[2][0] && callers[1][1] != callers[2][1], "one trace, two callers: {callers:?}");
    assert!(eventually(|| collector.requests().len() == 2));
    let spans = collector.spans();
    let asked = |caller: &str| spans.iter().find(|span| span["span"] == caller).expect("both attempts have a span");
    let (stale, fresh) = (asked(&callers[1][1]), asked(&callers[2][1]));
    assert_eq!(stale["attributes"]["error.type"], "upstream_stale");
    assert_eq!((&stale["status"], &stale["attributes"]["gatekeeper.reused"]), (&ERROR.into(), &true.into()));
    assert_eq!((&fresh["status"], &fresh["attributes"]["http.request.resend_count"]), (&0.into(), &1.into()));
    assert_eq!(stale["parent"], fresh["parent"]);
}

#[test]
fn a_wait_for_a_connection_is_a_span() {
    let collector = Collector::start();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |peer| {
        while peer.request().is_some() {
            let _ = wait.lock().expect("no panic").recv_timeout(Duration::from_secs(20));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let service = Service::at("/svc", &[&origin]).balance("connections_max", 1).balance("slow_connections_max", 0);
    let gateway = Gateway::start(&traced_with(service, &collector).cores(1));
    let mut clients = [gateway.connect(), gateway.connect()];
    for client in &mut clients {
        client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
        thread::sleep(Duration::from_millis(200));
    }
    (0..2).for_each(|_| go.send(()).expect("the origin waits"));
    clients.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
    assert!(eventually(|| collector.requests().len() == 2));
    let spans = collector.spans();
    let long = |span: &&Value| ns(span, "end_ns") - ns(span, "start_ns") >= 150 * MS;
    let waits = spans.iter().filter(|span| span["name"] == "queue").filter(long);
    assert_eq!(waits.count(), 1, "{spans:#?}");
}

#[test]
fn a_tunnel_is_one_long_request() {
    let collector = Collector::start();
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        while peer.wire.exactly(1).is_ok() {}
    });
    let gateway = Gateway::start(&traced(&origin, &collector));
    let mut client = gateway.connect();
    let ask = "GET /svc/chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(client.ask(ask).status(), 101);
    thread::sleep(Duration::from_millis(500));
    assert!(collector.requests().is_empty(), "it is not over");
    drop(client);
    let has_come = |name: &str| collector.spans().iter().any(|span| span["name"] == name);
    assert!(eventually(|| has_come("GET svc") && has_come("GET")));
    let spans = collector.spans();
    let (request, upstream) = (one(&spans, SERVER, "GET svc"), one(&spans, CLIENT, "GET"));
    assert_eq!(request["attributes"]["http.response.status_code"], 101);
    assert!(ns(upstream, "end_ns") - ns(upstream, "start_ns") >= 450 * MS);
    let told = origin.only().head;
    assert_eq!(parts(told.field("traceparent").expect("a trace"))[1], upstream["span"].as_str().expect("an id"));
}

#[test]
fn a_refusal_has_a_span_and_what_was_not_understood_has_none() {
    let (origin, collector) = (Origin::ok(), Collector::start());
    let gateway = Gateway::start(&traced(&origin, &collector));
    assert_eq!(gateway.connect().ask("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n").status(), 400);
    assert_eq!(gateway.connect().get("/nowhere").status(), 404);
    let spans = collector.expect(1);
    let said = &spans[0]["attributes"];
    assert_eq!((&said["gatekeeper.end"], &said["http.response.status_code"]), (&"no_route".into(), &404.into()));
    assert_eq!((&spans[0]["name"], &spans[0]["status"]), (&"GET".into(), &0.into()));
}

#[test]
fn no_secret_leaves_with_the_spans() {
    let (origin, collector) = (Origin::ok(), Collector::start());
    let gateway = Gateway::start(&traced(&origin, &collector));
    let lines = "Authorization: Bearer geheim\r\nCookie: id=geheim\r\nReferer: http://a/?token=geheim\r\n";
    let target = "/svc/a?sign=geheim&access_token=geheim&si%67n=geheim&x=1";
    assert_eq!(gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).status(), 200);
    let spans = collector.expect(3);
    assert!(!format!("{spans:?}").contains("geheim"), "{spans:#?}");
    let request = one(&spans, SERVER, "GET svc");
    assert_eq!(request["attributes"]["url.query"], "sign=***&access_token=***&si%67n=***&x=1");
}

#[test]
fn requests_are_logged_and_traced_each_as_it_is_asked_for() {
    let (origin, collector) = (Origin::ok(), Collector::start());
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("access.log");
    let path = file.to_str().expect("a plain path");
    let conf = traced(&origin, &collector).trace("sample_ratio", 0.0).base("access_log_format", "json");
    let gateway = Gateway::start(&conf.log("log.file_writer", "on", true).log("log.file_writer", "log_path", path));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    let line = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    assert_eq!(gateway.connect().ask(format!("GET /svc/b HTTP/1.1\r\nHost: a\r\n{line}\r\n")).status(), 200);
    assert!(eventually(|| !collector.requests().is_empty()));
    thread::sleep(Duration::from_millis(300));
    let requests = collector.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0]["attributes"]["url.path"], "/svc/b");
    let lines = || std::fs::read_to_string(&file).unwrap_or_default();
    assert!(eventually(|| lines().lines().count() == 2), "{}", lines());
    let logged: HashSet<_> = lines()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an object")["trace_id"].to_string())
        .collect();
    let told = origin.expect_requests(2);
    let told = told.iter().map(|seen| parts(seen.head.field("traceparent").expect("a trace"))[0]);
    assert_eq!(logged, told.map(|trace| format!("{trace:?}")).collect(), "whether its spans are exported or not");
}
