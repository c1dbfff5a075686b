//! Mutated messages and sudden closes, many at once: nothing panics, nothing leaks, good requests pass.
//!
//! The mutations are made from a fixed seed, so that a failure can be repeated.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::message::text;
use crate::support::{Client, Conf, Gateway, Origin, Service, eventually};

/// A small generator of numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

const SEEDS: &[&str] = &[
    "GET /svc/a?b=c HTTP/1.1\r\nHost: a\r\nX-A: b\r\nConnection: keep-alive\r\n\r\n",
    "POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: u\r\n\r\n",
    "PUT /svc/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    "GET http://b/svc/%41/../a HTTP/1.0\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n",
    "GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\nHEAD /svc/b HTTP/1.1\r\nHost: a\r\n\r\nGET /svc/c HTTP/1.1\r\nHost: a\r\n\r\n",
];
const SPICE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n",
    b"chunked",
    b"\xff",
    b"%00",
    b"..",
    b"HTTP/1.1",
    b"-1",
    b"99999999999999999999",
    b";",
    b"\"",
    b",",
];

/// A seed with a few bytes removed, replaced, repeated or added.
fn mutated(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = SEEDS[dice.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        if bytes.len() < 2 {
            break;
        }
        let at = dice.below(bytes.len());
        match dice.below(5) {
            0 => drop(bytes.remove(at)),
            1 => bytes[at] = u8::try_from(dice.below(256)).expect("a byte"),
            2 => drop(bytes.splice(at..at, SPICE[dice.below(SPICE.len())].iter().copied())),
            3 => bytes.truncate(at.max(1)),
            _ => {
                let again = bytes[at..].to_vec();
                bytes.extend(again);
            }
        }
    }
    bytes
}

/// Sends a mutated message in pieces and leaves in one of several ways. What is answered must be answers.
fn misbehave(gateway: std::net::SocketAddr, dice: &mut Dice) -> Result<(), String> {
    let bytes = mutated(dice);
    let mut client = Client::connect(gateway).patient(Duration::from_millis(300));
    let cut = dice.below(bytes.len());
    let _ = client.wire.try_send(&bytes[..cut]);
    if dice.below(2) == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let _ = client.wire.try_send(&bytes[cut..]);
    match dice.below(4) {
        0 => client.wire.reset(),
        1 => drop(client),
        _ => {
            client.wire.finish();
            let (answers, _) = client.wire.rest();
            let answers = text(&answers);
            if !answers.is_empty() && !answers.starts_with("HTTP/1.1 ") {
                return Err(format!("{:?} was answered {answers:?}", text(&bytes)));
            }
        }
    }
    Ok(())
}

/// Stops it and fails unless no worker says that a connection panicked.
#[track_caller]
fn expect_no_panic(mut gateway: Gateway) {
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(Duration::from_secs(30)).code(), Some(0));
    let said = gateway.stderr();
    let ended = said.lines().filter(|line| line.contains(" has ended: "));
    let faulty: Vec<_> = ended.filter(|line| !line.contains(" 0 panics")).collect();
    assert!(faulty.is_empty(), "{faulty:?}");
}

#[test]
fn mutated_requests_break_nothing() {
    let origin = Origin::echoing();
    let gateway = Gateway::start(&Conf::of(&origin).http("half_close_grace", 200));
    let address = gateway.address();
    gateway.connect().get("/svc/warm");
    let before = gateway.descriptors();
    let faults: Vec<String> = thread::scope(|scope| {
        let peers: Vec<_> = (1..=8_u64)
            .map(|seed| {
                scope.spawn(move || {
                    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                    (0..100).filter_map(|_| misbehave(address, &mut dice).err()).collect::<Vec<_>>()
                })
            })
            .collect();
        peers.into_iter().flat_map(|peer| peer.join().expect("a peer")).collect()
    });
    assert!(faults.is_empty(), "{faults:#?}");
    for _ in 0..20 {
        assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    }
    origin.drop_connections();
    let settled = eventually(|| gateway.descriptors() <= before + 8);
    assert!(settled, "{} descriptors, {before} before", gateway.descriptors());
    expect_no_panic(gateway);
}

/// A service that answers each request in one of many wrong ways, and sometimes rightly.
fn erratic() -> Origin {
    Origin::scripted(|peer| {
        let mut dice = Dice(0x1234_5678_9ABC_DEF1 + u64::try_from(peer.connection).expect("small") * 7919);
        while peer.request().is_some() {
            match dice.below(10) {
                0 => return,
                1 => return peer.reset_on_close(),
                2 => drop(peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")),
                3 => drop(peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")),
                4 => drop(peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more")),
                5 => drop(peer.send("garbage\r\n\r\n")),
                6 => peer.trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Duration::from_micros(100)),
                _ => drop(peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
            }
            if dice.below(8) == 0 {
                return;
            }
        }
    })
}

#[test]
fn an_erratic_service_leaks_no_place_in_its_pool() {
    let origin = erratic();
    let service = Service::at("/svc", &[&origin])
        .balance("connections_max", 4)
        .balance("proxy_body_timeout", 300)
        .balance("proxy_header_timeout", 2_000)
        .balance("queue_timeout", 10_000);
    let gateway = Gateway::start(&Conf::new().service(service).http("half_close_grace", 200));
    let address = gateway.address();
    thread::scope(|scope| {
        for seed in 1..=8_u64 {
            scope.spawn(move || {
                let mut dice = Dice(seed.wrapping_mul(0x5DEE_CE66_D1CE_4E5B));
                for _ in 0..60 {
                    let mut client = Client::connect(address);
                    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
                    if dice.below(5) == 0 {
                        continue;
                    }
                    if let Ok(answer) = client.try_answer() {
                        let whole = answer.status() == 200 && answer.text() == "ok";
                        assert!(whole || answer.status() >= 500, "{answer:?}");
                    }
                }
            });
        }
    });
    // Every place must be free again: more clients than places are served, one after the other.
    let mut clients: Vec<_> = (0..40).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        if let Ok(answer) = client.try_answer() {
            assert!(!answer.reason().starts_with("queue"), "a place was lost: {}", answer.reason());
        }
    }
    expect_no_panic(gateway);
}
