//! Methods, request lines and versions, and several requests on one connection.

use super::gate;
use crate::support::message::Framing;
use crate::support::{Conf, Gateway, Origin};

#[test]
fn every_method_reaches_the_service_and_its_answer_the_client() {
    let origin = Origin::echoing();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"] {
        let body = format!("{method} body");
        let length = body.len();
        let answer = client
            .ask(format!("{method} /svc/a?b=c HTTP/1.1\r\nHost: gate.test\r\nContent-Length: {length}\r\n\r\n{body}"));
        assert_eq!((answer.status(), answer.text()), (200, body.clone()), "{method}");
        let seen = origin.requests().pop().expect("it reached the origin");
        assert_eq!((seen.method(), seen.target()), (method, "/a?b=c"));
        assert_eq!(seen.framing, Framing::Length(length), "{method}");
    }
}

#[test]
fn head_is_answered_with_the_length_and_without_the_body() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.ask("HEAD /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        assert_eq!((answer.status(), answer.head.field("content-length")), (200, Some("1234")));
    }
    assert_eq!(origin.connections(), 1, "a bodiless answer leaves the connection usable");
}

#[test]
fn an_error_of_the_gateway_to_head_has_no_body() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let answer = client.ask("HEAD /nowhere HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!((answer.status(), answer.reason()), (404, "no_route"));
    let next = client.get("/svc/a");
    assert_eq!((next.status(), next.text()), (200, "ok".into()), "no stray body before the next answer");
}

#[test]
fn a_post_without_a_body_goes_on_with_length_zero() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let answer = gateway.connect().ask("POST /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!(answer.status(), 200);
    assert_eq!(origin.only().head.all("content-length"), ["0"]);
}

#[test]
fn a_get_without_a_body_goes_on_without_a_length() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    gateway.connect().get("/svc/a");
    let seen = origin.only();
    assert_eq!(seen.head.all("content-length"), [""; 0]);
    assert_eq!(seen.head.all("transfer-encoding"), [""; 0]);
}

#[test]
fn one_connection_carries_many_requests_each_way() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for number in 0..50 {
        let answer = client.get(&format!("/svc/{number}"));
        assert_eq!((answer.status(), answer.text(), answer.closes()), (200, "ok".into(), false));
    }
    assert_eq!(origin.expect_requests(50)[49].target(), "/49");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            let body = format!("{} {}", request.target(), request.body.bytes.len());
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let mut all = String::new();
    for number in 0..20 {
        all += &match number % 3 {
            0 => format!("GET /svc/{number} HTTP/1.1\r\nHost: gate.test\r\n\r\n"),
            1 => format!("POST /svc/{number} HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 3\r\n\r\nabc"),
            _ => format!(
                "PUT /svc/{number} HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                 2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
            ),
        };
    }
    client.send(&all);
    for number in 0..20 {
        let bytes = [0, 3, 5][number % 3];
        assert_eq!(client.answer().text(), format!("/{number} {bytes}"));
    }
}

#[test]
fn requests_behind_one_that_is_refused_are_not_answered() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /svc/b HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let answer = client.answer();
    answer.expect_end(400, "bad_host");
    assert!(answer.closes());
    client.wire.finish();
    client.expect_close();
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn connection_close_is_honoured_and_said() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).cores(1));
    let mut client = gateway.connect();
    let answer = client.ask("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n");
    assert!(answer.closes());
    client.expect_close();
    gateway.connect().get("/svc/a");
    assert_eq!(origin.connections(), 1, "the client's wish is not the upstream connection's");
}

#[test]
fn an_http_1_0_client_is_answered_and_closed() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let answer = client.ask("GET /svc/a HTTP/1.0\r\nHost: gate.test\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (200, "ok".into()));
    client.expect_close();
    assert_eq!(origin.only().head.word(2), "HTTP/1.1", "the hop behind speaks our own version");
}

#[test]
fn an_http_1_0_client_needs_no_host() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let answer = gateway.connect().ask("GET /svc/a HTTP/1.0\r\n\r\n");
    assert_eq!(answer.status(), 200);
}

#[test]
fn an_http_1_0_client_that_asks_for_it_is_kept() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.ask("GET /svc/a HTTP/1.0\r\nHost: gate.test\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(answer.status(), 200);
        assert!(answer.head.lists("connection", "keep-alive"), "{:?}", answer.head);
    }
}

#[test]
fn an_http_1_0_client_never_sees_chunks() {
    let origin =
        Origin::replying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let answer = client.ask("GET /svc/a HTTP/1.0\r\nHost: gate.test\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((answer.framing, answer.text()), (Framing::UntilClose, "abcde".into()));
}

#[test]
fn an_http_1_0_answer_goes_on_as_1_1() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\nok");
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.get("/svc/a");
        assert_eq!((answer.head.word(0), answer.status(), answer.text()), ("HTTP/1.1", 200, "ok".into()));
    }
    assert_eq!(origin.connections(), 2, "1.0 without keep-alive is not reused");
}

#[test]
fn the_reason_phrase_passes() {
    let origin = Origin::replying("HTTP/1.1 299 Quite All Right\r\nContent-Length: 0\r\n\r\n");
    let gateway = gate(&origin);
    assert_eq!(gateway.connect().get("/svc/a").head.start, "HTTP/1.1 299 Quite All Right");
}

#[test]
fn an_empty_reason_phrase_is_allowed() {
    let origin = Origin::replying("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok");
    let gateway = gate(&origin);
    let answer = gateway.connect().get("/svc/a");
    assert_eq!((answer.status(), answer.text()), (200, "ok".into()));
}

#[test]
fn an_absolute_target_is_taken_apart_and_its_authority_wins() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let answer = gateway.connect().ask("GET http://real.test:81/svc/a?q HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert_eq!(answer.status(), 200);
    let seen = origin.only();
    assert_eq!(seen.target(), "/a?q");
    assert_eq!(seen.head.field("x-forwarded-host"), Some("real.test:81"));
}

#[test]
fn options_for_the_server_itself_is_answered_here() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let answer = gateway.connect().ask("OPTIONS * HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert!(matches!(answer.status(), 200 | 204), "{:?}", answer.head);
    assert!(answer.head.lists("allow", "GET"), "{:?}", answer.head);
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn ping_is_answered_as_gatekeeper_does() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let answer = gateway.connect().get("/ping");
    assert_eq!((answer.status(), answer.reason()), (200, ""));
    let envelope = answer.json();
    assert_eq!((&envelope["errno"], &envelope["errmsg"]), (&0.into(), &"".into()));
    assert_eq!(envelope["data"], "gateway pong");
    assert!(envelope["trace_id"].as_str().is_some_and(|id| !id.is_empty()), "{envelope}");
}

#[test]
fn up_to_two_empty_lines_before_a_request_are_skipped() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let answer = client.ask("\r\nGET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_request_sent_byte_by_byte_is_served() {
    let origin = Origin::echoing();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for byte in b"POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" {
        client.send([*byte]);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (200, "abc".into()));
}

#[test]
fn a_client_that_pipelines_without_reading_is_held_back() {
    let origin = Origin::replying(format!("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n{}", "x".repeat(20_000)));
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.get("/svc/warm");
    let before = gateway.resident_bytes();
    client.wire.patience = std::time::Duration::from_secs(1);
    let many = "GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n".repeat(1_000);
    let mut sent = 0;
    // Sixteen megabytes are more than the kernel's buffers hold on both sides.
    while sent < 400 && client.wire.try_send(many.as_bytes()).is_ok() {
        sent += 1;
    }
    assert!(sent < 400, "the gateway takes {sent},000 requests whose answers nobody reads");
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "grew by {grown} bytes");
}
