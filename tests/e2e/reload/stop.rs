//! Stopping: what is in flight finishes, what waits is served, nothing lives longer than its window.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Conf, Gateway, Gone, Origin, eventually};

/// Answers after the pause that the path names in milliseconds.
fn pausing() -> Origin {
    Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            let pause = request.target().trim_start_matches('/').parse().unwrap_or(0);
            thread::sleep(Duration::from_millis(pause));
            if !peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {
                return;
            }
        }
    })
}

#[test]
fn what_is_in_flight_finishes_and_the_process_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let origin = pausing();
        let mut gateway = Gateway::start(&Conf::of(&origin));
        let mut clients: Vec<_> = (0..10).map(|_| gateway.connect()).collect();
        for client in &mut clients {
            client.send("GET /svc/800 HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        assert!(eventually(|| origin.heads().len() == 10));
        gateway.signal(signal);
        for client in &mut clients {
            let answer = client.answer();
            assert_eq!((answer.status(), answer.closes()), (200, true));
            client.expect_close();
        }
        assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    }
}

#[test]
fn an_idle_connection_has_its_next_request_answered_and_is_closed() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_window", 60));
    let mut idle: Vec<_> = (0..20).map(|_| gateway.connect()).collect();
    for client in &mut idle {
        client.get("/svc/a");
    }
    idle.extend((0..4).map(|_| gateway.connect()));
    gateway.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(1_500));
    for client in &mut idle {
        let answer = client.get("/svc/b");
        assert_eq!((answer.status(), answer.closes()), (200, true));
        client.expect_close();
    }
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
}

#[test]
fn idle_connections_are_closed_at_the_end_of_the_window_and_are_not_cut_exchanges() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_window", 2));
    let mut idle: Vec<_> = (0..4).map(|_| gateway.connect()).collect();
    idle[0].get("/svc/a");
    let start = Instant::now();
    gateway.signal(Signal::TERM);
    for client in &mut idle {
        client.expect_close();
        assert!(start.elapsed() >= Duration::from_millis(1_900), "{:?}", start.elapsed());
    }
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(gateway.stderr().contains("0 exchanges cut"), "{}", gateway.stderr());
}

#[test]
fn a_stop_ends_when_the_last_connection_has_gone() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_window", 60));
    let mut client = gateway.connect();
    client.get("/svc/a");
    gateway.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(300));
    drop(client);
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
}

#[test]
fn for_the_delay_everything_is_served_and_ping_says_no() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_delay", 4));
    let mut kept = gateway.connect();
    assert!(kept.get("/ping").text().contains("gateway pong"));
    let start = Instant::now();
    gateway.signal(Signal::TERM);
    assert!(eventually(|| gateway.connect().get("/ping").status() == 503), "readiness fails first");
    for _ in 0..8 {
        let answer = gateway.connect().get("/svc/a");
        assert_eq!((answer.status(), answer.closes()), (200, true));
    }
    let answer = kept.get("/svc/a");
    assert_eq!((answer.status(), answer.closes()), (200, true));
    kept.expect_close();
    let address = gateway.address();
    assert!(eventually(|| std::net::TcpStream::connect(address).is_err()), "the port is given up");
    assert!(start.elapsed() >= Duration::from_millis(3_900), "{:?}", start.elapsed());
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_stop_says_what_it_waits_for_and_a_second_signal_ends_it() {
    let origin = pausing();
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_window", 60));
    let mut busy = gateway.connect();
    busy.send("GET /svc/20000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut idle: Vec<_> = (0..3).map(|_| gateway.connect()).collect();
    idle[0].get("/svc/0");
    assert!(eventually(|| origin.heads().len() == 2));
    gateway.signal(Signal::INT);
    let told = "waiting for 3 idle connections, 1 exchange, 0 tunnels; ";
    assert!(eventually(|| gateway.stderr().contains(told)), "{}", gateway.stderr());
    assert!(gateway.stderr().contains("a second signal ends at once"));
    gateway.signal(Signal::INT);
    assert_eq!(gateway.wait(Duration::from_secs(5)).code(), Some(1));
    assert!(gateway.stderr().contains("1 exchange cut"), "{}", gateway.stderr());
}

#[test]
fn connections_in_the_accept_queue_are_served() {
    let origin = Origin::ok();
    for _ in 0..3 {
        let mut gateway = Gateway::start(&Conf::of(&origin));
        // Stopped, the process accepts nothing: these wait in the kernel's queue.
        gateway.signal(Signal::STOP);
        let mut waiting: Vec<_> = (0..40).map(|_| gateway.connect()).collect();
        for client in &mut waiting {
            client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        gateway.signal(Signal::TERM);
        gateway.signal(Signal::CONT);
        for client in &mut waiting {
            let answer = client.try_answer().expect("a connection that was taken in is served, not reset");
            assert_eq!(answer.status(), 200);
        }
        assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
    }
}

#[test]
fn nothing_new_is_accepted_while_it_stops() {
    let origin = pausing();
    let mut gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.send("GET /svc/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| origin.heads().len() == 1));
    gateway.signal(Signal::TERM);
    let address = gateway.address();
    assert!(eventually(|| std::net::TcpStream::connect(address).is_err()), "the port is given up");
    assert_eq!(client.answer().status(), 200);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn what_does_not_finish_in_the_window_is_cut() {
    let origin = pausing();
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_window", 1));
    let mut client = gateway.connect();
    client.send("GET /svc/20000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| origin.heads().len() == 1));
    let start = Instant::now();
    gateway.signal(Signal::TERM);
    client.answer().expect_end(503, "drained");
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
}

#[test]
fn a_stream_that_does_not_end_is_cut_at_the_end_of_the_window() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while peer.send("2\r\nhi\r\n") {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_window", 1));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    client.wire.through(b"hi\r\n").expect("the stream flows");
    gateway.signal(Signal::TERM);
    let (rest, gone) = client.wire.rest();
    assert_ne!(gone, Gone::Silent);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a stream that was cut does not look whole");
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
}
