//! Bodies: framing regenerated, large ones in bounded memory, and ones that end badly.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::gate;
use crate::support::message::Framing;
use crate::support::{Conf, Gateway, Gone, Origin, Service, eventually, pattern};

const LARGE_BYTES: usize = 10 * 1024 * 1024;
/// What a gateway may grow by while large bodies flow over a few connections: buffers of the
/// kernel's do not count, its own are 64 KiB a side.
const GROWTH_BYTES_MAX: usize = 6 * 1024 * 1024;

fn chunked(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[test]
fn a_chunked_request_is_chunked_anew() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let answer = gateway.connect().ask(
        "POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: Chunked\r\n\r\n\
         0003;one=1;two=\"t w o\"\r\nabc\r\nA;three\r\n0123456789\r\n0;last=x\r\n\r\n",
    );
    assert_eq!(answer.status(), 200);
    let seen = origin.only();
    assert_eq!(seen.head.all("transfer-encoding"), ["chunked"]);
    assert_eq!(seen.body.bytes, b"abc0123456789");
    for line in &seen.body.chunk_lines {
        assert!(line.bytes().all(|byte| byte.is_ascii_hexdigit()), "an extension went on: {line:?}");
        assert!(line == "0" || !line.starts_with('0'), "a chunk line went on as it came: {line:?}");
    }
}

#[test]
fn a_chunked_answer_is_chunked_anew() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0003;x=y\r\nabc\r\nA\r\n0123456789\r\n000;z\r\n\r\n",
    );
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.get("/svc/a");
        assert_eq!((answer.framing, answer.text()), (Framing::Chunked, "abc0123456789".into()));
        for line in &answer.body.chunk_lines {
            assert!(line.bytes().all(|byte| byte.is_ascii_hexdigit()), "an extension went on: {line:?}");
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_answer_without_a_length_becomes_chunked() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nall of");
        thread::sleep(Duration::from_millis(50));
        peer.send(" it");
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.get("/svc/a");
        assert_eq!((answer.framing, answer.text()), (Framing::Chunked, "all of it".into()));
    }
}

#[test]
fn an_answer_without_a_length_that_is_reset_is_not_taken_for_whole() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nall of");
        thread::sleep(Duration::from_millis(200));
        peer.reset_on_close();
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let cut = client.try_answer().expect_err("an answer that was cut must not look whole");
    assert_ne!(cut.gone, Gone::Silent);
}

#[test]
fn a_204_loses_its_length_and_a_304_keeps_it() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            let status = request.target().trim_start_matches('/').to_owned();
            let length = if status == "204" { 0 } else { 77 };
            peer.send(format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n"));
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    assert_eq!(client.get("/svc/204").head.all("content-length"), [""; 0]);
    assert_eq!(client.get("/svc/304").head.all("content-length"), ["77"]);
    assert_eq!(client.get("/svc/204").status(), 204);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn bytes_after_a_bodiless_answer_never_reach_a_client() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let origin = Origin::scripted(move |peer| {
            peer.request();
            peer.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 6\r\n\r\npoison"));
            peer.until_gone(Duration::from_secs(10));
        });
        let gateway = gate(&origin);
        let mut client = gateway.connect();
        for _ in 0..2 {
            let answer = client.ask(format!("{method} /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n"));
            assert_eq!(answer.status(), status);
            thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(origin.connections(), 2, "{method} {status}: a connection with stray bytes is not reused");
    }
}

#[test]
fn a_large_body_arrives_whole_and_in_bounded_memory() {
    let (done, whole) = mpsc::channel();
    let sent = pattern(LARGE_BYTES);
    let expected = sent.clone();
    let origin = Origin::scripted(move |peer| {
        while let Some(head) = peer.head() {
            // Slow to start, so that the gateway must hold back the client.
            thread::sleep(Duration::from_millis(300));
            let request = peer.body(head).expect("a whole body");
            let _ = done.send(request.body.bytes == expected);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.get("/svc/warm");
    let before = gateway.resident_bytes();
    client.send(format!("PUT /svc/a HTTP/1.1\r\nHost: gate.test\r\nContent-Length: {LARGE_BYTES}\r\n\r\n"));
    client.send(&sent);
    assert_eq!(client.answer().status(), 200);
    assert_eq!(whole.try_iter().last(), Some(true));
    client.send("PUT /svc/a HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(chunked(&sent.chunks(70_000).collect::<Vec<_>>()));
    assert_eq!(client.answer().status(), 200);
    assert_eq!(whole.try_iter().last(), Some(true));
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "grew by {grown} bytes");
}

#[test]
fn a_large_answer_arrives_whole_and_in_bounded_memory() {
    let body = pattern(LARGE_BYTES);
    let mut plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE_BYTES}\r\n\r\n").into_bytes();
    plain.extend_from_slice(&body);
    let mut in_chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    in_chunks.extend_from_slice(&chunked(&body.chunks(100_000).collect::<Vec<_>>()));
    let origin = Origin::scripted(move |peer| {
        while let Some(request) = peer.request() {
            match request.target() {
                "/plain" => peer.send(&plain),
                "/chunked" => peer.send(&in_chunks),
                _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            };
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.get("/svc/warm");
    let before = gateway.resident_bytes();
    for target in ["/svc/plain", "/svc/chunked"] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\n\r\n"));
        // Slow to start, so that the gateway must hold back the origin.
        thread::sleep(Duration::from_millis(300));
        let grown = gateway.resident_bytes().saturating_sub(before);
        assert!(grown < GROWTH_BYTES_MAX, "grew by {grown} bytes");
        assert!(client.answer().body.bytes == body, "{target} differs");
    }
}

#[test]
fn an_answer_streams_as_it_comes() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::scripted(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for number in 0..3 {
            peer.send(format!("2\r\n{number}!\r\n"));
            let _ = wait.lock().map(|wait| wait.recv_timeout(Duration::from_secs(10)));
        }
        peer.send("0\r\n\r\n");
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    for number in 0..3 {
        // Each piece must come before the origin is let go on.
        client.wire.through(format!("{number}!\r\n").as_bytes()).expect("the piece is not held back");
        go.send(()).expect("the origin waits");
    }
    client.wire.through(b"0\r\n\r\n").expect("the last chunk");
}

#[test]
fn a_request_streams_as_it_comes() {
    let origin = Origin::scripted(|peer| {
        let head = peer.head();
        peer.send("HTTP/1.1 103 Early Hints\r\nX-Step: head\r\n\r\n");
        if peer.wire.through(b"first").is_ok() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        }
        drop(head);
        peer.until_gone(Duration::from_secs(10));
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 1000\r\n\r\nfirst");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (200, "first".into()));
}

#[test]
fn trickled_messages_are_served() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
            peer.trickle(answer, Duration::from_millis(1));
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/svc/a").text(), "abc");
    }
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let origin = Origin::scripted(|peer| {
        peer.head();
        peer.send("HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nstop");
        peer.until_gone(Duration::from_secs(10));
    });
    let gateway = gate(&origin);
    for _ in 0..2 {
        let mut client = gateway.connect();
        client.send("POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 100000\r\n\r\npart");
        let answer = client.answer();
        assert_eq!((answer.status(), answer.text(), answer.closes()), (403, "stop".into(), true));
        let _ = client.wire.try_send(b"more of the body");
        client.wire.finish();
        client.expect_end_of_connection();
    }
    assert_eq!(origin.connections(), 2, "an upstream connection with half a request on it is not reused");
}

#[test]
fn an_early_answer_reaches_a_client_that_does_not_stop_sending() {
    let origin = Origin::scripted(|peer| {
        peer.head();
        peer.send("HTTP/1.1 413 Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop");
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 200000\r\n\r\n");
    client.send(vec![b'x'; 150_000]);
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (413, "stop".into()));
}

#[test]
fn an_answer_cut_short_of_its_length_aborts_the_client() {
    for reset in [false, true] {
        let origin = Origin::scripted(move |peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
            thread::sleep(Duration::from_millis(200));
            if reset {
                peer.reset_on_close();
            }
        });
        let gateway = gate(&origin);
        let mut client = gateway.connect();
        client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        let cut = client.try_answer().expect_err("100 bytes were promised");
        assert_ne!(cut.gone, Gone::Silent, "the client is not left waiting");
        assert!(b"only this".starts_with(&cut.body.bytes), "{cut:?}");
    }
}

#[test]
fn an_answer_cut_between_chunks_has_no_last_chunk() {
    for end in ["", "5\r\nab", "zz\r\n", "3\r\nabcd\r\n"] {
        let origin = Origin::scripted(move |peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n");
            thread::sleep(Duration::from_millis(100));
            peer.send(end);
        });
        let gateway = gate(&origin);
        let mut client = gateway.connect();
        client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        let (bytes, gone) = client.wire.rest();
        let received = crate::support::message::text(&bytes);
        assert!(received.starts_with("HTTP/1.1 200"), "{end:?}: {received:?}");
        assert!(!received.contains("\r\n0\r\n"), "{end:?}: a broken answer looks whole: {received:?}");
        assert_ne!(gone, Gone::Silent, "{end:?}: the client is not left waiting");
    }
}

#[test]
fn a_request_cut_short_is_not_completed_for_the_service() {
    let endings = [
        "Content-Length: 10\r\n\r\n12345",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ];
    for reset in [false, true] {
        for ending in endings {
            let (gone, ended) = mpsc::channel();
            let origin = Origin::scripted(move |peer| {
                if let Some(head) = peer.head() {
                    peer.wire.patience = Duration::from_secs(10);
                    let _ = gone.send(peer.body(head).map(|_| ()).map_err(|(_, gone)| gone));
                }
            });
            let gateway = gate(&origin);
            let mut client = gateway.connect();
            client.send(format!("POST /svc/a HTTP/1.1\r\nHost: gate.test\r\n{ending}"));
            assert!(eventually(|| origin.heads().len() == 1), "the head goes on before the body is whole");
            if reset {
                client.wire.reset();
            } else {
                drop(client);
            }
            let end = ended.recv_timeout(Duration::from_secs(12)).expect("the origin saw an end");
            assert!(matches!(end, Err(Gone::Closed | Gone::Reset)), "reset {reset}, {ending:?}: {end:?}");
        }
    }
}

#[test]
fn a_broken_chunked_request_is_not_completed_for_the_service() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    for body in
        ["5\r\nabc\r\n0\r\n\r\n", "3\r\nabcX0\r\n\r\n", "g\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nbad field\r\n\r\n"]
    {
        let mut client = gateway.connect();
        let answer =
            client.ask(format!("POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        answer.expect_end(400, "bad_chunk");
        assert!(answer.closes());
    }
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn request_trailers_are_dropped() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let answer = client.ask(
        "POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n",
    );
    assert_eq!(answer.status(), 200);
    let seen = origin.only();
    assert_eq!(seen.body.trailers, []);
    assert!(seen.head.all("x-sum").is_empty(), "trailers are never merged: {:?}", seen.head);
}

#[test]
fn request_trailers_pass_where_the_service_allows_them() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&origin]).base("trailers", true)));
    let answer = gateway.connect().ask(
        "POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Sum: 6\r\nConnection: X-Sum\r\nHost: evil.test\r\nAuthorization: evil\r\nCookie: evil\r\n\r\n",
    );
    assert_eq!(answer.status(), 200);
    assert_eq!(origin.only().body.trailers, [("X-Sum".to_owned(), "6".to_owned())]);
}

#[test]
fn trailers_cannot_say_what_header_rules_own() {
    let origin = Origin::ok();
    let rule = "[[module.header]]\nname = \"X-User\"\naction = \"delete\"\n";
    let service = Service::at("/svc", &[&origin]).base("trailers", true).further(rule);
    let gateway = Gateway::start(&Conf::new().service(service));
    let answer = gateway.connect().ask(
        "POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nX-User: admin\r\n\r\n",
    );
    assert_eq!(answer.status(), 200);
    assert_eq!(origin.only().body.trailers, []);
}

const WITH_TRAILERS: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nSet-Cookie: evil\r\n\r\n";

#[test]
fn answer_trailers_are_dropped() {
    let origin = Origin::replying(WITH_TRAILERS);
    let gateway = gate(&origin);
    let answer =
        gateway.connect().ask("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert_eq!((answer.text(), answer.body.trailers), ("abc".into(), vec![]));
}

#[test]
fn answer_trailers_pass_where_service_and_client_allow_them() {
    let origin = Origin::replying(WITH_TRAILERS);
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&origin]).base("trailers", true)));
    let mut client = gateway.connect();
    let answer = client.ask("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert_eq!(answer.body.trailers, [("X-Sum".to_owned(), "6".to_owned())]);
    assert_eq!(client.get("/svc/a").body.trailers, [], "a client that did not ask for trailers gets none");
}
