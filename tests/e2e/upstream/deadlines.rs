//! Deadlines: of the service, of the client, and what must not run into one.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Conf, Gateway, Gone, Origin, Service};

#[track_caller]
fn took(start: Instant, at_least_ms: u64, at_most_ms: u64) {
    let elapsed = start.elapsed();
    let bounds = Duration::from_millis(at_least_ms)..Duration::from_millis(at_most_ms);
    assert!(bounds.contains(&elapsed), "took {elapsed:?}, not {bounds:?}");
}

fn silent() -> Origin {
    Origin::scripted(|peer| {
        peer.request();
        peer.until_gone(Duration::from_secs(30));
    })
}

#[test]
fn a_service_that_does_not_answer_in_time() {
    let origin = silent();
    let service = Service::at("/svc", &[&origin]).balance("proxy_header_timeout", 400);
    let gateway = Gateway::start(&Conf::new().service(service));
    let start = Instant::now();
    gateway.connect().get("/svc/a").expect_end(504, "response_timeout");
    took(start, 350, 5_000);
    assert_eq!(origin.heads().len(), 1, "a request that may have been worked on is not repeated");
}

#[test]
fn a_header_timeout_starts_when_the_request_is_sent() {
    let origin = Origin::echoing();
    let service = Service::at("/svc", &[&origin]).balance("proxy_header_timeout", 700);
    let gateway = Gateway::start(&Conf::new().service(service));
    let mut client = gateway.connect();
    client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(150));
        client.send("x");
    }
    assert_eq!(client.answer().text(), "xxxxxxxxxx");
}

#[test]
fn an_answer_that_stalls_is_cut() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
        peer.until_gone(Duration::from_secs(30));
    });
    let service = Service::at("/svc", &[&origin]).balance("proxy_body_timeout", 400);
    let gateway = Gateway::start(&Conf::new().service(service));
    let mut client = gateway.connect();
    let start = Instant::now();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    let cut = client.try_answer().expect_err("100 bytes were promised");
    assert_ne!(cut.gone, Gone::Silent);
    took(start, 350, 5_000);
}

#[test]
fn an_answer_that_makes_progress_lives_longer_than_every_deadline() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
        peer.trickle(b"01234567890123456789", Duration::from_millis(150));
    });
    let service = Service::at("/svc", &[&origin])
        .balance("proxy_body_timeout", 1_000)
        .balance("proxy_header_timeout", 1_000)
        .balance("proxy_connect_timeout", 1_000);
    let gateway = Gateway::start(&Conf::new().service(service).http("write_timeout", 1).http("read_timeout", 1));
    assert_eq!(gateway.connect().get("/svc/a").text(), "01234567890123456789");
}

#[test]
fn a_service_that_does_not_take_the_request_in_time() {
    let origin = Origin::scripted(|peer| {
        peer.head();
        thread::sleep(Duration::from_secs(15));
    });
    let service = Service::at("/svc", &[&origin]).balance("proxy_body_timeout", 500);
    let gateway = Gateway::start(&Conf::new().service(service));
    let mut client = gateway.connect();
    client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n");
    client.wire.patience = Duration::from_secs(3);
    let body = vec![b'x'; 1024 * 1024];
    while client.wire.try_send(&body).is_ok() {}
    client.wire.patience = Duration::from_secs(15);
    client.answer().expect_end(504, "upstream_write_timeout");
}

#[test]
fn a_head_that_does_not_come_in_time() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("read_timeout", 1));
    let mut client = gateway.connect();
    let start = Instant::now();
    client.send("GET /svc/a HTTP/1.1\r\nHo");
    let answer = client.answer();
    answer.expect_end(408, "head_timeout");
    assert!(answer.closes());
    took(start, 900, 6_000);
}

#[test]
fn a_head_that_trickles_does_not_extend_its_deadline() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("read_timeout", 1));
    let mut client = gateway.connect();
    let start = Instant::now();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\nX: ");
    client.wire.patience = Duration::from_secs(1);
    while client.wire.try_send(b"x").is_ok() && start.elapsed() < Duration::from_secs(3) {
        thread::sleep(Duration::from_millis(100));
    }
    client.answer().expect_end(408, "head_timeout");
}

#[test]
fn a_connection_without_a_byte_is_closed_without_an_answer() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("read_timeout", 1).http("keepalive_timeout", 1));
    let mut client = gateway.connect();
    let start = Instant::now();
    client.expect_end_of_connection();
    took(start, 900, 8_000);
}

#[test]
fn a_body_that_makes_no_progress_in_time() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("write_timeout", 1));
    let mut client = gateway.connect();
    let start = Instant::now();
    client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let answer = client.answer();
    answer.expect_end(408, "body_timeout");
    assert!(answer.closes());
    took(start, 900, 6_000);
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_body_that_makes_progress_is_not_timed_out() {
    let origin = Origin::echoing();
    let gateway = Gateway::start(&Conf::of(&origin).http("write_timeout", 1).http("read_timeout", 1));
    let mut client = gateway.connect();
    client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n");
    for _ in 0..12 {
        thread::sleep(Duration::from_millis(200));
        client.send("x");
    }
    assert_eq!(client.answer().text(), "xxxxxxxxxxxx");
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let (gone, ended) = mpsc::channel();
    let origin = Origin::scripted(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        peer.wire.patience = Duration::from_secs(20);
        let piece = vec![b'x'; 1024 * 1024];
        let start = Instant::now();
        while peer.send(&piece) {}
        let _ = gone.send(start.elapsed());
    });
    let gateway = Gateway::start(&Conf::of(&origin).http("write_timeout", 1));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    let after = ended.recv_timeout(Duration::from_secs(25)).expect("the exchange ends");
    assert!(after < Duration::from_secs(10), "after {after:?}");
    let cut = client.try_answer().expect_err("it was cut");
    assert_ne!(cut.gone, Gone::Silent);
}

#[test]
fn a_head_that_trickles_does_not_outlive_the_header_timeout() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
        peer.trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Duration::from_millis(150));
    });
    let service = Service::at("/svc", &[&origin]).balance("proxy_header_timeout", 600);
    let gateway = Gateway::start(&Conf::new().service(service));
    let start = Instant::now();
    gateway.connect().get("/svc/a").expect_end(504, "response_timeout");
    took(start, 550, 4_000);
}
