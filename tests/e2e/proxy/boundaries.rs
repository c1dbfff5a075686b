//! Messages of every size around the sizes of buffers, in pieces of every size.

use std::thread;
use std::time::Duration;

use super::gate;
use crate::support::message::Framing;
use crate::support::{Conf, Gateway, Origin, pattern};

/// Sizes around those that a proxy's buffers may have.
const SIZES: &[usize] = &[
    1, 2, 1_023, 1_024, 1_025, 4_090, 4_095, 4_096, 4_097, 4_110, 8_191, 8_193, 16_384, 65_530, 65_535, 65_536, 65_537,
    131_073,
];

/// Cuts bytes into pieces of sizes that repeat irregularly.
fn pieces(bytes: &[u8], seed: usize) -> Vec<&[u8]> {
    const STEPS: &[usize] = &[1, 3, 17, 250, 1_000, 4_096, 9_000, 65_537];
    let mut rest = bytes;
    let mut all = Vec::new();
    let mut turn = seed;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(STEPS[turn * 5 % STEPS.len()].min(rest.len()));
        all.push(piece);
        rest = after;
        turn += 1;
    }
    all
}

fn in_chunks(body: &[u8], seed: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces(body, seed) {
        bytes.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[test]
fn heads_of_every_size_pass() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("max_header_bytes", 20));
    let mut client = gateway.connect();
    for size in SIZES {
        let value = "v".repeat(*size);
        let answer = client.ask(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nX-Long: {value}\r\nX-Last: end\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{size}: {answer:?}");
        let seen = origin.requests().pop().expect("it arrived").head;
        assert!(seen.field("x-long") == Some(&value) && seen.field("x-last") == Some("end"), "{size}");
    }
}

#[test]
fn a_head_and_the_body_behind_it_pass_at_every_offset() {
    let origin = Origin::echoing();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for padding in (4_000..4_120).chain(8_100..8_200) {
        let body = format!("body {padding}");
        let length = body.len();
        let value = "v".repeat(padding);
        let next = "GET /svc/next HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send(format!(
            "POST /svc/a HTTP/1.1\r\nHost: a\r\nX-Long: {value}\r\nContent-Length: {length}\r\n\r\n{body}{next}"
        ));
        assert_eq!(client.answer().text(), body, "{padding}");
        assert_eq!(client.answer().text(), "", "{padding}");
    }
}

#[test]
fn bodies_of_every_size_pass_both_ways() {
    let origin = Origin::echoing();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for size in SIZES {
        let body = pattern(*size);
        for chunked in [false, true] {
            let mut request = b"POST /svc/a HTTP/1.1\r\nHost: a\r\n".to_vec();
            if chunked {
                request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                request.extend(in_chunks(&body, *size));
            } else {
                request.extend_from_slice(format!("Content-Length: {size}\r\n\r\n").as_bytes());
                request.extend_from_slice(&body);
            }
            assert!(client.ask(&request).body.bytes == body, "{size} chunked {chunked}");
        }
    }
}

#[test]
fn a_chunked_request_passes_however_it_is_cut_and_sent() {
    let origin = Origin::echoing();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let body = pattern(40_000);
    for seed in 0..8 {
        client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in pieces(&in_chunks(&body, seed), seed + 3) {
            client.send(piece);
            thread::sleep(Duration::from_micros(200));
        }
        assert!(client.answer().body.bytes == body, "seed {seed}");
    }
}

#[test]
fn a_chunked_answer_passes_however_it_is_cut_and_sent() {
    let body = pattern(40_000);
    let expected = body.clone();
    let origin = Origin::scripted(move |peer| {
        let mut seed = 0;
        while peer.request().is_some() {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            answer.extend(in_chunks(&body, seed));
            for piece in pieces(&answer, seed + 3) {
                peer.send(piece);
                thread::sleep(Duration::from_micros(200));
            }
            seed += 1;
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for seed in 0..8 {
        let answer = client.get("/svc/a");
        assert_eq!(answer.framing, Framing::Chunked);
        assert!(answer.body.bytes == expected, "seed {seed}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn answer_heads_of_every_size_pass() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            let size = request.target().trim_start_matches('/').parse().unwrap_or(0);
            let value = "v".repeat(size);
            peer.send(format!("HTTP/1.1 200 OK\r\nX-Long: {value}\r\nContent-Length: 4\r\n\r\nbody"));
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for size in SIZES.iter().copied().filter(|size| *size < 60_000).chain(3_950..4_060) {
        let answer = client.get(&format!("/svc/{size}"));
        assert_eq!((answer.status(), answer.text()), (200, "body".into()), "{size}");
        assert_eq!(answer.head.field("x-long").map(str::len), Some(size));
    }
}

#[test]
fn a_target_as_long_as_the_limit_passes_whole() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    for length in [4_000, 4_096, 8_000, 8_192] {
        let target = format!("/svc/{}", "a".repeat(length - 5));
        assert_eq!(client.get(&target).status(), 200, "{length}");
        assert_eq!(origin.requests().pop().expect("it arrived").target(), &target[4..]);
    }
}

#[test]
fn several_requests_and_a_close_of_the_sending_half_are_all_answered() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5));
    client.wire.finish();
    for number in 0..5 {
        assert_eq!(client.answer().text(), "ok", "number {number}");
    }
    client.expect_close();
}

#[test]
fn a_bodiless_answer_that_names_chunks_has_none() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            let status = if request.method() == "HEAD" { "200 OK" } else { "304 Same" };
            peer.send(format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        assert_eq!(client.ask("HEAD /svc/a HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
        assert_eq!(client.get("/svc/a").status(), 304);
    }
    assert_eq!(origin.connections(), 1);
}
