//! Connections that cost an attacker nothing cost the gateway little, end at their deadlines, and leave nothing.
//! `bench/attack` does the same with 10,000 of each kind and records what it measures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Conf, Gateway, Origin, Service};

const ATTACKERS: usize = 1_000;
/// What one that waits may cost: its state, a tiny buffer, the runtime's own, what the allocator adds. Without
/// optimisation a state is some three times as large.
const WAITING_BYTES: usize = if cfg!(debug_assertions) { 12 * 1024 } else { 4 * 1024 };
/// The same of one whose request is under way or queued.
const SERVED_BYTES: usize = if cfg!(debug_assertions) { 16 * 1024 } else { 8 * 1024 };
/// The program's own growth in the meantime, whatever the number of connections.
const BYTES_ONCE: usize = 6 * 1024 * 1024;
/// All deadlines of the gateway under attack.
const DEADLINE_S: i64 = 4;
const GOOD_PATIENCE: Duration = Duration::from_secs(5);

fn conf(origin: &Origin) -> Conf {
    let service = |path| Service::at(path, &[origin]).balance("queue_timeout", DEADLINE_S * 1_000);
    let conf = Conf::new().service(service("/attacked").balance("connections_max", 64)).service(service("/good"));
    let conf = conf.http("read_timeout", DEADLINE_S).http("write_timeout", DEADLINE_S);
    conf.http("keepalive_timeout", DEADLINE_S).http("rate_grace", DEADLINE_S).cores(2)
}

fn origin() -> Origin {
    Origin::scripted(|peer| {
        while let Some(head) = peer.head() {
            match head.word(1) {
                "/attacked/large" => {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n");
                    let piece = vec![b'x'; 256 * 1024];
                    while peer.send(&piece) {}
                }
                _ => drop(peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
            }
        }
    })
}

struct Attack {
    first: String,
    again: &'static str,
    reads: bool,
    bytes_each: usize,
}

fn attack(first: impl Into<String>) -> Attack {
    Attack { first: first.into(), again: "", reads: true, bytes_each: WAITING_BYTES }
}

/// Opens one connection; `None` where the gateway does not take it.
fn open(gateway: &Gateway, attack: &Attack) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(gateway.address()).ok()?;
    stream.set_nonblocking(true).expect("a socket");
    let _ = stream.write(attack.first.as_bytes());
    Some(stream)
}

/// Attacks, and fails where it costs too much, hurts a good client, outlives its deadlines or leaves something.
#[track_caller]
fn withstands(attack: &Attack) {
    let _turn = super::alone();
    let origin = origin();
    let gateway = Gateway::start(&conf(&origin));
    for _ in 0..50 {
        assert_eq!(gateway.connect().get("/good/a").status(), 200);
    }
    let (memory, descriptors) = (gateway.resident_bytes(), gateway.descriptors());
    let mut attackers: Vec<_> = (0..ATTACKERS).filter_map(|_| open(&gateway, attack)).collect();
    assert_eq!(attackers.len(), ATTACKERS);
    let mut most = 0;
    let mut good = gateway.connect().patient(GOOD_PATIENCE);
    let until = Instant::now() + Duration::from_secs(DEADLINE_S.unsigned_abs() * 4 + 30);
    // Idle connections to the service are no leak: as many are kept as it allows.
    let held = || gateway.descriptors().saturating_sub(descriptors);
    while held() > 150 {
        assert!(Instant::now() < until, "{} connections outlive every deadline", held());
        most = most.max(gateway.resident_bytes());
        assert_eq!(good.get("/good/a").status(), 200);
        assert_eq!(gateway.connect().patient(GOOD_PATIENCE).get("/good/a").status(), 200);
        for stream in &mut attackers {
            let _ = stream.write(attack.again.as_bytes());
            if attack.reads {
                let _ = stream.read(&mut [0; 16 * 1024]);
            }
        }
        thread::sleep(Duration::from_millis(200));
    }
    let grown = most.saturating_sub(memory);
    assert!(grown < BYTES_ONCE + ATTACKERS * attack.bytes_each, "{ATTACKERS} attackers cost {grown} bytes");
    assert_eq!(gateway.connect().get("/attacked/a").status(), 200);
}

#[test]
fn connections_that_say_nothing() {
    withstands(&attack(""));
}

#[test]
fn heads_that_never_end() {
    let first = "GET /attacked/a HTTP/1.1\r\nHost: a\r\n";
    withstands(&Attack { again: "X: y\r\n", ..attack(first) });
}

#[test]
fn heads_of_more_than_a_tiny_buffer() {
    withstands(&attack(format!("GET /attacked/a HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(1_000))));
}

#[test]
fn kept_connections_without_another_request() {
    withstands(&attack("GET /attacked/a HTTP/1.1\r\nHost: a\r\n\r\n"));
}

#[test]
fn bodies_that_trickle() {
    let first = "POST /attacked/a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    withstands(&Attack { again: "x", bytes_each: SERVED_BYTES, ..attack(first) });
}

#[test]
fn chunks_of_one_byte() {
    let first = "POST /attacked/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    withstands(&Attack { again: "1\r\nx\r\n", bytes_each: SERVED_BYTES, ..attack(first) });
}

#[test]
fn answers_that_are_not_read() {
    // Large buffers are bounded by number; some are full of what nobody takes.
    withstands(&Attack {
        reads: false,
        bytes_each: SERVED_BYTES,
        ..attack("GET /attacked/large HTTP/1.1\r\nHost: a\r\n\r\n")
    });
}
