//! Messages that are well formed and too much.

use std::fmt::Write;
use std::time::Duration;

use crate::support::{Conf, Gateway, Origin};

/// The answer to one message, and whether a service saw it whole.
fn refused(conf: &Conf, origin: &Origin, request: impl AsRef<[u8]>, status: u16, reason: &str) {
    let gateway = Gateway::start(conf);
    let mut client = gateway.connect();
    // It may be refused before it is all taken.
    let _ = client.wire.try_send(request.as_ref());
    let answer = client.answer();
    answer.expect_end(status, reason);
    assert!(answer.closes(), "{answer:?}");
    assert_eq!(origin.requests().len(), 0);
}

fn served(conf: &Conf, request: impl AsRef<[u8]>) {
    let gateway = Gateway::start(conf);
    let answer = gateway.connect().ask(request);
    assert_eq!(answer.status(), 200, "{answer:?}");
}

fn with_target(bytes: usize) -> String {
    format!("GET /svc/{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(bytes - "/svc/".len()))
}

#[test]
fn a_target_over_the_limit() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).http("uri_bytes_max", 100);
    refused(&conf, &origin, with_target(101), 414, "uri_too_long");
    served(&conf, with_target(100));
}

#[test]
fn a_target_that_never_ends() {
    let origin = Origin::ok();
    refused(&Conf::of(&origin), &origin, format!("GET /svc/{}", "a".repeat(64 * 1024)), 414, "uri_too_long");
}

#[test]
fn a_target_over_the_limit_that_is_all_query() {
    let origin = Origin::ok();
    refused(&Conf::of(&origin), &origin, with_target(9_000).replace("/svc/a", "/svc?a"), 414, "uri_too_long");
}

#[test]
fn a_head_over_the_limit() {
    let origin = Origin::ok();
    // An exponent, as GateKeeper's files have it: 1 << 12 bytes.
    let conf = Conf::of(&origin).http("max_header_bytes", 12);
    let long = |bytes| format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(bytes));
    refused(&conf, &origin, long(4_096), 431, "head_too_large");
    served(&conf, long(3_000));
}

#[test]
fn a_head_that_never_ends() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).http("max_header_bytes", 14);
    let endless = format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(20_000));
    refused(&conf, &origin, endless, 431, "head_too_large");
}

fn with_fields(count: usize) -> String {
    let mut head = "GET /svc/a HTTP/1.1\r\nHost: a\r\n".to_owned();
    for number in 1..count {
        let _ = write!(head, "X-{number}: {number}\r\n");
    }
    head + "\r\n"
}

#[test]
fn more_fields_than_the_limit() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).http("fields_max", 20);
    refused(&conf, &origin, with_fields(21), 431, "head_too_large");
    served(&conf, with_fields(20));
}

#[test]
fn more_fields_than_any_file_may_allow() {
    let origin = Origin::ok();
    refused(&Conf::of(&origin), &origin, with_fields(200), 431, "head_too_large");
}

const CHUNKED: &str = "POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_chunk_line_that_is_too_long() {
    let origin = Origin::ok();
    let request = format!("{CHUNKED}3;a={}\r\nabc\r\n0\r\n\r\n", "x".repeat(2_000));
    refused(&Conf::of(&origin), &origin, request, 400, "bad_chunk");
}

#[test]
fn extensions_that_are_too_much_over_a_message() {
    let origin = Origin::ok();
    let line = format!("1;a={}\r\nx\r\n", "x".repeat(900));
    refused(&Conf::of(&origin), &origin, format!("{CHUNKED}{}0\r\n\r\n", line.repeat(6)), 400, "bad_chunk");
}

#[test]
fn chunks_that_are_mostly_chunk_lines() {
    let origin = Origin::ok();
    let request = format!("{CHUNKED}{}0\r\n\r\n", "1;a=b\r\nx\r\n".repeat(40_000));
    refused(&Conf::of(&origin), &origin, request, 400, "bad_chunk");
}

#[test]
fn trailers_that_are_too_long() {
    let origin = Origin::ok();
    let request = format!("{CHUNKED}0\r\nX: {}\r\n\r\n", "x".repeat(10_000));
    refused(&Conf::of(&origin), &origin, request, 431, "head_too_large");
}

#[test]
fn trailers_that_are_too_many() {
    let origin = Origin::ok();
    let request = format!("{CHUNKED}0\r\n{}\r\n", "X: y\r\n".repeat(300));
    refused(&Conf::of(&origin), &origin, request, 431, "head_too_large");
}

#[test]
fn a_body_over_the_services_limit_by_its_length() {
    let origin = Origin::ok();
    let gateway = limited(&origin);
    let mut client = gateway.connect();
    let answer = client.ask("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n01234567890");
    answer.expect_end(413, "body_too_large");
    assert!(answer.closes());
    assert_eq!(origin.heads().len(), 0, "a length that is too much is known before anything goes on");
}

#[test]
fn a_body_over_the_services_limit_by_its_chunks() {
    let origin = Origin::ok();
    let gateway = limited(&origin);
    let mut client = gateway.connect();
    let answer = client.ask(format!("{CHUNKED}8\r\n01234567\r\n3\r\nabc\r\n0\r\n\r\n"));
    answer.expect_end(413, "body_too_large");
    assert!(answer.closes());
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_body_at_the_services_limit() {
    let origin = Origin::ok();
    let gateway = limited(&origin);
    let mut client = gateway.connect();
    let plain = client.ask("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
    let in_chunks = client.ask(format!("{CHUNKED}8\r\n01234567\r\n2\r\nab\r\n0\r\n\r\n"));
    assert_eq!((plain.status(), in_chunks.status()), (200, 200));
}

fn limited(origin: &Origin) -> Gateway {
    Gateway::start(&Conf::new().service(crate::support::Service::at("/svc", &[origin]).base("body_bytes_max", 10)))
}

#[test]
fn a_refused_client_that_goes_on_sending_still_reads_the_answer() {
    let origin = Origin::ok();
    let gateway = limited(&origin);
    let mut client = gateway.connect();
    client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    for _ in 0..10 {
        if client.wire.try_send(&[b'x'; 15_000]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    client.answer().expect_end(413, "body_too_large");
}

#[test]
fn more_connection_options_than_anybody_needs() {
    let origin = Origin::ok();
    let options = "x,".repeat(2_000);
    let request = format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nConnection: {options}y\r\n\r\n");
    refused(&Conf::of(&origin), &origin, request, 431, "head_too_large");
}
