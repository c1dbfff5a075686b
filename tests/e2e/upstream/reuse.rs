//! Kept connections: used again when they are sound, replaced without harm when they are not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::support::{Conf, Gateway, Gone, Origin, Peer, Service};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[derive(Clone, Copy, Debug)]
enum Ending {
    Close,
    Reset,
}

/// Answers one request on each connection; ends the connection when the second has been received.
fn stale_at_second(ending: Ending) -> Origin {
    Origin::scripted(move |peer| {
        peer.request();
        peer.send(OK);
        peer.request();
        if matches!(ending, Ending::Reset) {
            peer.reset_on_close();
        }
    })
}

fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
}

#[test]
fn a_get_on_a_stale_connection_is_replayed_on_a_fresh_one() {
    for ending in [Ending::Close, Ending::Reset] {
        let origin = stale_at_second(ending);
        let gateway = Gateway::start(&Conf::of(&origin));
        let mut client = gateway.connect();
        for number in 0..4 {
            assert_eq!(client.get(&format!("/svc/{number}")).status(), 200, "{ending:?} {number}");
        }
        let targets: Vec<_> = origin.requests().iter().map(|seen| seen.target().to_owned()).collect();
        assert_eq!(targets, ["/0", "/1", "/1", "/2", "/2", "/3", "/3"], "{ending:?}");
    }
}

#[test]
fn every_idempotent_method_without_a_body_is_replayed() {
    for method in ["HEAD", "OPTIONS", "DELETE", "PUT"] {
        let origin = stale_at_second(Ending::Close);
        let gateway = Gateway::start(&Conf::of(&origin));
        let mut client = gateway.connect();
        client.get("/svc/first");
        client.send(format!("{method} /svc/again HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.answer_to(method).status(), 200, "{method}");
        assert_eq!(origin.requests().len(), 3, "{method}");
    }
}

#[test]
fn a_post_on_a_stale_connection_is_never_sent_twice() {
    for ending in [Ending::Close, Ending::Reset] {
        let origin = stale_at_second(ending);
        let gateway = Gateway::start(&Conf::of(&origin));
        let mut client = gateway.connect();
        assert_eq!(client.ask(post("/svc/first")).status(), 200);
        client.ask(post("/svc/second")).expect_end(502, "upstream_stale");
        let seconds = origin.heads().iter().filter(|head| head.word(1) == "/second").count();
        assert_eq!(seconds, 1, "{ending:?}");
    }
}

#[test]
fn a_connection_that_closed_while_it_was_idle_is_never_used() {
    for ending in [Ending::Close, Ending::Reset] {
        let origin = Origin::scripted(move |peer| {
            peer.request();
            peer.send(OK);
            thread::sleep(Duration::from_millis(20));
            if matches!(ending, Ending::Reset) {
                peer.reset_on_close();
            }
        });
        let gateway = Gateway::start(&Conf::of(&origin));
        let mut client = gateway.connect();
        for number in 0..5 {
            assert_eq!(client.ask(post(&format!("/svc/{number}"))).status(), 200, "{ending:?} {number}");
            thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(origin.heads().len(), 5);
    }
}

#[test]
fn a_close_at_any_moment_costs_no_get_and_doubles_no_post() {
    // Closes at once after its answer: the close races the next request.
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send(OK);
    });
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    let mut served = Vec::new();
    for number in 0..60 {
        if number % 10 > 0 {
            thread::sleep(Duration::from_micros(150 * (number % 10)));
        }
        assert_eq!(client.get("/svc/get").status(), 200, "number {number}");
        let answer = client.ask(post(&format!("/svc/post-{number}")));
        match answer.status() {
            200 => served.push(number),
            _ => answer.expect_end(502, "upstream_stale"),
        }
    }
    let heads = origin.heads();
    for number in 0..60 {
        let sent = heads.iter().filter(|head| head.word(1) == format!("/post-{number}")).count();
        assert!(sent <= 1, "post {number} was sent {sent} times");
        assert!(sent == 1 || !served.contains(&number), "post {number}");
    }
}

#[test]
fn a_replay_is_not_repeated_without_end() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let origin = Origin::scripted(move |peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/poison" {
                counted.fetch_add(1, Ordering::SeqCst);
                return;
            }
            peer.send(OK);
        }
    });
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.get("/svc/a");
    let answer = client.get("/svc/poison");
    assert_eq!(answer.status(), 502, "{answer:?}");
    let tries = tries.load(Ordering::SeqCst);
    assert!((1..=3).contains(&tries), "tried {tries} times");
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let (gone, ended) = mpsc::channel();
    let origin = Origin::scripted(move |peer| {
        peer.request();
        peer.send(OK);
        let _ = gone.send(peer.until_gone(Duration::from_secs(20)).1);
    });
    let service = Service::at("/svc", &[&origin]).balance("idle_conn_timeout", 300);
    let gateway = Gateway::start(&Conf::new().service(service));
    gateway.connect().get("/svc/a");
    assert_eq!(ended.recv_timeout(Duration::from_secs(15)), Ok(Gone::Closed));
}

#[test]
fn no_more_idle_connections_are_kept_than_the_file_says() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = closed.clone();
    let origin = Origin::scripted(move |peer| {
        let slow = |peer: &mut Peer| {
            thread::sleep(Duration::from_millis(300));
            peer.send(OK)
        };
        while peer.request().is_some() && slow(peer) {}
        count.fetch_add(1, Ordering::SeqCst);
    });
    let service = Service::at("/svc", &[&origin]).balance("max_idle_conn", 2);
    let gateway = Gateway::start(&Conf::new().service(service).cores(1));
    let mut clients: Vec<_> = (0..8).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(origin.connections(), 8);
    assert!(crate::support::eventually(|| closed.load(Ordering::SeqCst) == 6), "{closed:?} closed");
}

#[test]
fn an_idle_connection_is_let_go_after_the_last_client_has_left() {
    let (ended, end) = mpsc::channel();
    let origin = Origin::scripted(move |peer| {
        peer.request();
        peer.send(OK);
        let _ = ended.send(peer.until_gone(Duration::from_secs(10)).1);
    });
    let service = Service::at("/svc", &[&origin]).balance("idle_conn_timeout", 500);
    let gateway = Gateway::start(&Conf::new().service(service).cores(1));
    // Until the core sleeps: it must not go back to sleep over what the client leaves behind.
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    assert_eq!(end.recv_timeout(Duration::from_secs(8)), Ok(Gone::Closed));
}

fn put(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn a_put_on_a_stale_connection_is_replayed_whole_or_not_at_all() {
    for bytes in [1, 1_000, 3_900, 8_000, 100_000, 2_000_000] {
        let origin = stale_at_second(Ending::Close);
        let gateway = Gateway::start(&Conf::of(&origin));
        let mut client = gateway.connect();
        client.get("/svc/first");
        let body = crate::support::pattern(bytes);
        let _ = client.wire.try_send(&put("/svc/again", &body));
        let answer = client.answer();
        if answer.status() != 200 {
            answer.expect_end(502, "upstream_stale");
        }
        let whole =
            origin.requests().iter().filter(|seen| seen.target() == "/again").all(|seen| seen.body.bytes == body);
        assert!(whole, "{bytes}: a replay differs from what the client sent");
    }
}

#[test]
fn a_chunked_put_on_a_stale_connection_is_replayed_whole_or_not_at_all() {
    let origin = stale_at_second(Ending::Close);
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.get("/svc/first");
    let answer = client.ask(
        "PUT /svc/again HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
    );
    if answer.status() != 200 {
        answer.expect_end(502, "upstream_stale");
    }
    let seen = origin.requests();
    assert!(seen.iter().filter(|seen| seen.target() == "/again").all(|seen| seen.body.bytes == b"abcdefg"), "{seen:?}");
}

#[test]
fn an_answer_before_the_body_was_read_leaves_the_connection_usable_once_all_was_sent() {
    let origin = Origin::scripted(|peer| {
        while let Some(head) = peer.head() {
            peer.send(OK);
            thread::sleep(Duration::from_millis(50));
            if peer.body(head).is_err() {
                return;
            }
        }
    });
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    for number in 0..5 {
        assert_eq!(client.ask(post("/svc/a")).status(), 200, "number {number}");
    }
    assert!(crate::support::eventually(|| origin.requests().len() == 5), "{:?}", origin.heads());
}

/// An answer of this many bytes with its head.
fn filling(bytes: usize) -> String {
    let body = bytes - 100;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\nX-Padding: ");
    format!("{head:x<96}\r\n\r\n{}", "a".repeat(body))
}

/// The sizes are those around which a receive fills its buffer and leaves the rest behind.
#[test]
fn what_follows_an_answer_is_never_taken_for_the_next_ones() {
    for bytes in [200, 4_096, 16_384, 32_767, 32_768, 32_769, 65_536] {
        let origin = Origin::scripted(move |peer| {
            while let Some(request) = peer.request() {
                match request.target() {
                    "/first" => peer.send(filling(bytes)),
                    "/second" => {
                        thread::sleep(Duration::from_millis(300));
                        peer.send(filling(bytes) + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray")
                    }
                    _ => peer.send(OK),
                };
            }
        });
        let service = Service::at("/svc", &[&origin]).balance("connections_max", 1);
        let gateway = Gateway::start(&Conf::new().service(service).cores(1));
        let (mut first, mut other) = (gateway.connect(), gateway.connect());
        assert_eq!(first.get("/svc/first").status(), 200);
        first.send("GET /svc/second HTTP/1.1\r\nHost: a\r\n\r\n");
        thread::sleep(Duration::from_millis(100));
        // It waits for the only connection, and one more behind the first.
        other.send("GET /svc/other HTTP/1.1\r\nHost: a\r\n\r\n");
        first.send("GET /svc/third HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(first.answer().status(), 200, "{bytes}");
        assert_eq!((other.answer().text(), first.answer().text()), ("ok".into(), "ok".into()), "{bytes}");
    }
}

#[test]
fn a_connection_that_its_service_has_closed_takes_no_post_whatever_it_has_answered() {
    for bytes in [200, 16_384, 32_768, 40_000, 200_000] {
        let origin = Origin::scripted(move |peer| {
            for _ in 0..3 {
                peer.request();
                peer.send(filling(bytes));
            }
        });
        let service = Service::at("/svc", &[&origin]).balance("connections_max", 2);
        let gateway = Gateway::start(&Conf::new().service(service).cores(1));
        let mut client = gateway.connect();
        for number in 0..12 {
            assert_eq!(client.ask(post("/svc/a")).status(), 200, "{bytes} {number}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn the_idle_connections_to_an_endpoint_that_is_gone_are_closed() {
    let (ended, end) = mpsc::channel();
    let gone = Origin::scripted(move |peer| {
        peer.request();
        peer.send(OK);
        let _ = ended.send(peer.until_gone(Duration::from_secs(20)).1);
    });
    let stays = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&gone])).cores(1));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    gateway.rewrite_files(&Conf::new().service(Service::at("/svc", &[&stays])).cores(1));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert!(
        crate::support::eventually(|| gateway.connect().get("/svc/a").status() == 200 && !stays.heads().is_empty())
    );
    assert_eq!(end.recv_timeout(Duration::from_secs(5)), Ok(Gone::Closed));
}
