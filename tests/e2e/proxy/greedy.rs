//! Clients that take more than their share: of memory, of time, of a core.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use super::gate;
use crate::support::{Conf, Gateway, Gone, Origin, within};

const PING: &str = "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends the same bytes and reads whatever comes, until the connection ends.
fn flood(gateway: &Gateway, bytes: String) {
    let mut wire = gateway.connect().wire;
    let mut reading = wire.socket().try_clone().expect("descriptors");
    thread::spawn(move || while wire.try_send(bytes.as_bytes()).is_ok() {});
    thread::spawn(move || while reading.read(&mut [0; 64 * 1024]).is_ok_and(|n| n > 0) {});
}

#[test]
fn pipelined_requests_do_not_pile_up() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    let before = gateway.resident_bytes();
    flood(&gateway, "GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000));
    let grown = within(Duration::from_secs(4), || gateway.resident_bytes() > before + 8 * 1024 * 1024);
    assert!(!grown, "from {before} to {} bytes", gateway.resident_bytes());
}

#[test]
fn a_client_that_does_not_take_our_own_answers_is_closed() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("write_timeout", 1));
    let mut client = gateway.connect();
    // As much as both kernels hold, and then some: the gateway stops reading when it cannot answer.
    client.wire.patience = Duration::from_secs(8);
    let pings = PING.repeat(10_000);
    let start = Instant::now();
    let mut sent = Ok(());
    while sent.is_ok() && start.elapsed() < Duration::from_secs(20) {
        sent = client.wire.try_send(pings.as_bytes());
    }
    assert!(matches!(sent, Err(Gone::Closed | Gone::Reset)), "{sent:?}");
}

#[test]
fn a_client_that_never_pauses_leaves_the_core_to_others() {
    for driver in ["auto", "epoll"] {
        let origin = Origin::ok();
        let gateway = Gateway::start(&Conf::of(&origin).cores(1).driver(driver));
        flood(&gateway, PING.repeat(1_000));
        thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        for _ in 0..5 {
            assert_eq!(gateway.connect().get("/ping").status(), 200);
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{driver}: {:?}", start.elapsed());
    }
}
