//! The body of a request is never a request, whatever becomes of the request.

use std::thread;
use std::time::Duration;

use crate::support::{Conf, Gateway, Origin, Service};

const SMUGGLED: &str = "GET /svc/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn gate(origin: &Origin) -> Gateway {
    let small = Service::at("/small", &[origin]).base("body_bytes_max", 5);
    let protected = Service::at("/closed", &[origin]).access("open", 1);
    let black = Service::at("/black", &[origin]).access("open", 1).access("black_list", "127.0.0.0/8");
    Gateway::start(&Conf::of(origin).service(small).service(protected).service(black))
}

/// Sends the head, and the smuggled request as its body; the service must not see it.
fn body_stays_body(start: &str, fields: &str) {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let length = SMUGGLED.len();
    let framings = [
        format!("Content-Length: {length}\r\n\r\n{SMUGGLED}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
    ];
    for framing in framings {
        for pause in [false, true] {
            let mut client = gateway.connect();
            let whole = format!("{start} HTTP/1.1\r\nHost: a\r\n{fields}{framing}");
            let (head, body) = whole.split_at(whole.find("\r\n\r\n").expect("a head") + 4);
            client.send(head);
            if pause {
                thread::sleep(Duration::from_millis(30));
            }
            let _ = client.wire.try_send(body.as_bytes());
            let answer = client.answer();
            assert!(answer.status() >= 400, "{start}: {answer:?}");
            client.wire.finish();
            let (more, _) = client.wire.rest();
            assert!(more.is_empty(), "{start}: its body was answered: {}", String::from_utf8_lossy(&more));
        }
    }
    let smuggled = origin.heads().iter().any(|head| head.word(1) == "/smuggled");
    assert!(!smuggled, "{start}: its body reached the service as a request");
}

#[test]
fn of_a_request_without_a_route() {
    body_stays_body("POST /nowhere", "");
}

#[test]
fn of_a_request_whose_path_is_refused() {
    body_stays_body("POST /svc/%00", "");
}

#[test]
fn of_a_request_whose_method_is_not_allowed() {
    body_stays_body("TRACE /svc/a", "");
}

#[test]
fn of_a_request_that_needs_a_tenant() {
    body_stays_body("POST /closed/a", "");
}

#[test]
fn of_a_form_that_needs_a_tenant() {
    body_stays_body("POST /closed/a", "Content-Type: application/x-www-form-urlencoded\r\n");
}

#[test]
fn of_a_request_from_the_black_list() {
    body_stays_body("PUT /black/a", "");
}

#[test]
fn of_a_request_that_is_too_large() {
    body_stays_body("POST /small/a", "");
}

#[test]
fn of_a_request_that_expects_too_much() {
    body_stays_body("POST /svc/a", "Expect: everything\r\n");
}

#[test]
fn of_a_request_that_names_a_protected_field() {
    body_stays_body("POST /svc/a", "Connection: host\r\n");
}

#[test]
fn of_a_request_for_the_gateway_itself() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let length = SMUGGLED.len();
    let mut client = gateway.connect();
    client.send(format!("GET /ping HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"));
    assert_eq!(client.answer().status(), 200);
    client.wire.finish();
    assert_eq!(client.wire.rest().0, b"");
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn of_a_get_that_is_served() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let length = SMUGGLED.len();
    let mut client = gateway.connect();
    client.send(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"));
    assert_eq!(client.answer().status(), 200);
    client.wire.finish();
    assert_eq!(client.wire.rest().0, b"");
    assert_eq!(origin.only().body.bytes, SMUGGLED.as_bytes());
}

#[test]
fn of_a_request_whose_service_answers_early() {
    let origin = Origin::scripted(|peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        peer.until_gone(Duration::from_secs(5));
    });
    let gateway = gate(&origin);
    let length = SMUGGLED.len() + 10_000;
    let mut client = gateway.connect();
    client.send(format!("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
    assert_eq!(client.answer().status(), 200);
    let _ = client.wire.try_send(SMUGGLED.as_bytes());
    client.wire.finish();
    assert_eq!(client.wire.rest().0, b"");
    assert!(origin.heads().iter().all(|head| head.word(1) == "/a"));
}
