//! Connections: who closes when, and which upstream connections may be used again.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::gate;
use crate::support::{Conf, Gateway, Gone, Origin, eventually};

#[test]
fn a_client_that_closed_its_sending_half_is_still_served() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        thread::sleep(Duration::from_millis(300));
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let gateway = Gateway::start(&Conf::of(&origin).http("half_close_grace", 5_000));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    client.wire.finish();
    assert_eq!(client.answer().text(), "ok");
    client.expect_close();
}

#[test]
fn a_half_closed_client_is_given_up_after_the_grace() {
    let (gone, ended) = mpsc::channel();
    let origin = Origin::scripted(move |peer| {
        peer.request();
        let _ = gone.send(peer.until_gone(Duration::from_secs(20)).1);
    });
    let gateway = Gateway::start(&Conf::of(&origin).http("half_close_grace", 300));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    client.wire.finish();
    client.expect_end_of_connection();
    assert_ne!(ended.recv_timeout(Duration::from_secs(10)).expect("an end"), Gone::Silent);
}

#[test]
fn the_exchange_of_a_client_that_leaves_is_abandoned() {
    for reset in [false, true] {
        let (gone, ended) = mpsc::channel();
        let origin = Origin::scripted(move |peer| {
            peer.request();
            let start = Instant::now();
            let end = peer.until_gone(Duration::from_secs(20)).1;
            let _ = gone.send((end, start.elapsed()));
        });
        let gateway = Gateway::start(&Conf::of(&origin).http("half_close_grace", 500));
        let mut client = gateway.connect();
        client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        assert!(eventually(|| origin.requests().len() == 1));
        if reset {
            client.wire.reset();
        } else {
            drop(client);
        }
        let (end, after) = ended.recv_timeout(Duration::from_secs(25)).expect("an end");
        assert_ne!(end, Gone::Silent, "reset {reset}: nobody waits for this answer");
        assert!(after < Duration::from_secs(5), "reset {reset}: after {after:?}");
    }
}

#[test]
fn a_stream_nobody_reads_any_more_is_abandoned() {
    let (gone, ended) = mpsc::channel();
    let origin = Origin::scripted(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let start = Instant::now();
        while peer.send("5\r\nevent\r\n") && start.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = gone.send(start.elapsed());
    });
    let gateway = Gateway::start(&Conf::of(&origin).http("half_close_grace", 500));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    client.wire.through(b"event").expect("the stream flows");
    drop(client);
    let after = ended.recv_timeout(Duration::from_secs(25)).expect("an end");
    assert!(after < Duration::from_secs(8), "after {after:?}");
}

#[test]
fn a_connection_with_bytes_behind_its_answer_is_not_reused() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            peer.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            );
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/svc/a").text(), "ok");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn a_connection_that_speaks_unasked_is_not_reused() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            thread::sleep(Duration::from_millis(100));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/svc/a").text(), "ok");
        thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn a_connection_whose_chunked_answer_is_followed_by_bytes_is_not_reused() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            peer.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 Poison\r\n\r\n",
            );
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/svc/a").text(), "ok");
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn an_upstream_that_says_close_is_not_used_again() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.get("/svc/a");
        assert_eq!((answer.text(), answer.closes()), ("ok".into(), false), "its close is not the client's");
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn an_idle_client_connection_is_closed_in_time() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("keepalive_timeout", 1));
    let mut client = gateway.connect();
    client.get("/svc/a");
    let start = Instant::now();
    client.expect_close();
    let after = start.elapsed();
    assert!(after > Duration::from_millis(800) && after < Duration::from_secs(6), "after {after:?}");
}

#[test]
fn a_client_that_reads_slowly_gets_everything() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        let body = vec![b'x'; 4 * 1024 * 1024];
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        peer.send(&body);
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    client.wire.through(b"\r\n\r\n").expect("a head");
    for _ in 0..16 {
        thread::sleep(Duration::from_millis(50));
        client.wire.exactly(256 * 1024).expect("the next quarter of a mebibyte");
    }
}

/// Closing at once would reset the connection as soon as the client sends anything, and throw away what it has not
/// read yet.
#[test]
fn an_answer_after_which_the_connection_ends_arrives_whole_although_the_client_sends_more() {
    const BYTES: usize = 3_000_000;
    for (version, length) in [("1.1", format!("Content-Length: {BYTES}\r\n")), ("1.0", String::new())] {
        let origin = Origin::scripted(move |peer| {
            peer.request();
            peer.send(format!("HTTP/1.1 200 OK\r\n{length}\r\n"));
            peer.send(vec![b'a'; BYTES]);
        });
        let gateway = gate(&origin);
        let mut client = gateway.connect();
        client.send(format!("GET /svc/a HTTP/{version}\r\nHost: gate.test\r\nConnection: close\r\n\r\n"));
        thread::sleep(Duration::from_millis(300));
        client.send("\r\n");
        thread::sleep(Duration::from_millis(300));
        assert_eq!(client.answer().body.bytes.len(), BYTES, "{version}");
        client.expect_close();
    }
}
