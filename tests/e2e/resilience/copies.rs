//! `[module.mirror]`: requests once more, to a service whose answers nobody sees.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::failing;
use crate::support::{Conf, Gateway, Origin, Service, eventually, probed};

fn mirrored(origin: &Origin) -> Service {
    Service::at("/svc", &[origin]).table("mirror", "service", "shadow")
}

fn shadow(origin: &Origin) -> Service {
    Service::at("/shadow", &[origin]).without_rules()
}

fn start(service: Service, origin: &Origin, copied: &Origin) -> Gateway {
    let gateway = Gateway::start(&Conf::new().service(service).service(shadow(copied)));
    probed(&[origin, copied]);
    gateway
}

#[test]
fn a_request_is_copied_with_its_body_and_says_that_it_is_a_copy() {
    let (origin, copied) = (Origin::ok(), failing(500));
    let gateway = start(mirrored(&origin), &origin, &copied);
    let answer = gateway.connect().ask("POST /svc/a?b=c HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(answer.text(), "ok");
    let (original, copy) = (origin.only(), copied.only());
    assert_eq!((copy.method(), copy.target(), &copy.body.bytes[..]), ("POST", "/a?b=c", &b"abc"[..]));
    assert_eq!((copy.head.field("x"), copy.head.field("x-gatekeeper-copy")), (Some("y"), Some("1")));
    assert_eq!(original.head.field("x-gatekeeper-copy"), None);
    assert_eq!(copy.head.field("host"), Some(copied.node()));
}

#[test]
fn copies_use_kept_connections() {
    let (origin, copied) = (Origin::ok(), Origin::ok());
    let gateway = Gateway::start(&Conf::new().service(mirrored(&origin)).service(shadow(&copied)).cores(1));
    probed(&[&origin, &copied]);
    let mut client = gateway.connect();
    for number in 1..=20 {
        assert_eq!(client.get("/svc/a").status(), 200);
        assert!(eventually(|| copied.requests().len() == number));
    }
    assert!(copied.connections() <= 3, "{}", copied.connections());
}

#[test]
fn answers_of_every_shape_are_read_to_their_end() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let (origin, copied) = (Origin::ok(), Origin::replying(answer));
        let gateway = Gateway::start(&Conf::new().service(mirrored(&origin)).service(shadow(&copied)).cores(1));
        probed(&[&origin, &copied]);
        let mut client = gateway.connect();
        for number in 1..=5 {
            assert_eq!(client.get("/svc/a").text(), "ok");
            assert!(eventually(|| copied.requests().len() == number));
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(copied.connections(), 1, "{answer}");
    }
}

#[test]
fn a_share_of_the_requests_is_copied() {
    let (origin, copied) = (Origin::ok(), Origin::ok());
    let service = mirrored(&origin).table("mirror", "share", 0.25);
    let gateway = Gateway::start(&Conf::new().service(service).service(shadow(&copied)));
    probed(&[&origin, &copied]);
    let mut client = gateway.connect();
    for _ in 0..40 {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
    copied.expect_requests(10);
}

#[test]
fn a_service_that_gets_copies_and_refuses_them_fails_nobody() {
    let (origin, copied) = (Origin::ok(), Origin::ok());
    let gateway = start(mirrored(&origin), &origin, &copied);
    drop(copied);
    for _ in 0..10 {
        assert_eq!(gateway.connect().get("/svc/a").text(), "ok");
    }
}

/// The slowest but one of a hundred.
fn p99(gateway: &Gateway) -> Duration {
    let mut client = gateway.connect();
    let mut times: Vec<_> = (0..300)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(client.get("/svc/a").status(), 200);
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[test]
fn a_service_that_gets_copies_and_hangs_delays_nobody_and_its_copies_are_bounded() {
    let origin = Origin::ok();
    let hung = Origin::scripted(|peer| {
        peer.head();
        peer.until_gone(Duration::from_secs(60));
    });
    let service = || mirrored(&origin).table("mirror", "copies_max", 8).table("mirror", "timeout", 60_000);
    let plain = Gateway::start(&Conf::of(&origin));
    let copying = Gateway::start(&Conf::new().service(service()).service(shadow(&hung)));
    probed(&[&origin, &hung]);
    // Alternately, so that what else the machine does meets both.
    let rounds: Vec<_> = (0..5).map(|_| (p99(&plain), p99(&copying))).collect();
    let best = |of: fn(&(Duration, Duration)) -> Duration| rounds.iter().map(of).min().expect("rounds");
    let (without, with) = (best(|round| round.0), best(|round| round.1));
    assert!(with < without * 2 + Duration::from_millis(5), "p99 {with:?} with a copy, {without:?} without");
    assert!(hung.heads().len() <= 8, "{} copies under way", hung.heads().len());
    assert!(!hung.heads().is_empty());
}

#[test]
fn a_copy_ends_at_its_deadline_and_makes_room() {
    let origin = Origin::ok();
    let hung = Origin::scripted(|peer| {
        peer.head();
        peer.until_gone(Duration::from_secs(60));
    });
    let service = mirrored(&origin).table("mirror", "copies_max", 1).table("mirror", "timeout", 300);
    let gateway = Gateway::start(&Conf::new().service(service).service(shadow(&hung)).cores(1));
    probed(&[&origin, &hung]);
    let mut client = gateway.connect();
    assert!(eventually(|| {
        assert_eq!(client.get("/svc/a").status(), 200);
        hung.heads().len() >= 3
    }));
}

#[test]
fn a_stop_waits_for_no_copy() {
    let origin = Origin::ok();
    let hung = Origin::scripted(|peer| {
        peer.head();
        peer.until_gone(Duration::from_secs(60));
    });
    let mut gateway = start(mirrored(&origin).table("mirror", "timeout", 60_000), &origin, &hung);
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    assert!(eventually(|| hung.heads().len() == 1));
    let started = Instant::now();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn a_service_that_is_switched_off_gets_no_copies() {
    let (origin, copied) = (Origin::ok(), Origin::ok());
    let gateway = Gateway::start(
        &Conf::new().service(mirrored(&origin)).service(shadow(&copied).base("status", "down")).cores(1),
    );
    probed(&[&origin]);
    let mut client = gateway.connect();
    (0..5).for_each(|_| assert_eq!(client.get("/svc/a").status(), 200));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(copied.heads().len(), 0);
}
