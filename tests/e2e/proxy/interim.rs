//! Interim answers (1xx) and `Expect: 100-continue`.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::gate;
use crate::support::wire::Wire;
use crate::support::{Conf, Gateway, Gone, Origin, Service};

const POST: &str = "POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn interim_answers_are_relayed_in_order() {
    let origin = Origin::replying(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.get("/svc/a");
        let interim: Vec<_> = answer.interim.iter().map(|head| (head.word(1), head.field("link"))).collect();
        assert_eq!(interim, [("103", Some("</a>")), ("102", None), ("103", Some("</b>"))]);
        assert_eq!(answer.text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_http_1_0_client_gets_no_interim_answer() {
    let origin = Origin::replying(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = gate(&origin);
    let answer = gateway.connect().ask("GET /svc/a HTTP/1.0\r\nHost: gate.test\r\n\r\n");
    assert_eq!((answer.interim.len(), answer.status(), answer.text()), (0, 200, "ok".into()));
}

#[test]
fn interim_answers_without_end_are_cut_off() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        while peer.send("HTTP/1.1 102 Processing\r\n\r\n") {}
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    client.answer().expect_end(502, "bad_response");
}

#[test]
fn a_client_that_expects_100_gets_it_and_its_body_arrives() {
    let origin = Origin::scripted(|peer| {
        while let Some(head) = peer.head() {
            if head.lists("expect", "100-continue") {
                peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            let request = peer.body(head).expect("a body");
            let text = String::from_utf8(request.body.bytes).expect("ascii");
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send(POST);
        assert_eq!(client.wire.through(b"\r\n\r\n").expect("an interim answer"), b"HTTP/1.1 100 Continue\r\n\r\n");
        client.send("body");
        let answer = client.answer();
        assert_eq!((answer.interim.len(), answer.text()), (0, "body".into()), "exactly one 100");
    }
}

#[test]
fn a_service_that_never_says_100_gets_the_body_after_a_bounded_wait() {
    let origin = Origin::echoing();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let start = Instant::now();
    client.send(POST);
    assert_eq!(client.wire.through(b"\r\n\r\n").expect("an interim answer"), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(start.elapsed() < Duration::from_secs(8), "after {:?}", start.elapsed());
    client.send("body");
    assert_eq!(client.answer().text(), "body");
}

#[test]
fn a_client_that_expects_100_but_does_not_wait_is_served() {
    let origin = Origin::echoing();
    let gateway = gate(&origin);
    let answer = gateway.connect().ask(format!("{POST}body"));
    assert_eq!(answer.text(), "body");
}

#[test]
fn after_a_final_answer_instead_of_100_the_body_is_not_taken_for_a_request() {
    let origin = Origin::scripted(|peer| {
        while peer.head().is_some() {
            peer.send("HTTP/1.1 401 Who\r\nContent-Length: 3\r\n\r\nwho");
            if peer.until_gone(Duration::from_secs(10)).1 != Gone::Silent {
                return;
            }
        }
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let smuggled = "GET /svc/smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n";
    let length = smuggled.len();
    client.send(format!(
        "POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    ));
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text()), (401, "who".into()));
    let _ = client.wire.try_send(smuggled.as_bytes());
    client.wire.finish();
    let (rest, _) = client.wire.rest();
    assert_eq!(rest, b"");
    thread::sleep(Duration::from_millis(100));
    assert!(origin.heads().iter().all(|head| head.word(1) == "/a"), "{:?}", origin.heads());
}

#[test]
fn an_error_of_the_gateway_comes_instead_of_100() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send(POST.replace("/svc/a", "/nowhere"));
    let answer = client.answer();
    assert_eq!((answer.interim.len(), answer.status()), (0, 404));
}

#[test]
fn an_expectation_that_is_not_100_fails() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    for value in ["200-ok", "100-continue, other", ""] {
        let answer =
            gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nExpect: {value}\r\n\r\n"));
        answer.expect_end(417, "expectation_failed");
    }
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn an_http_1_0_client_gets_no_100() {
    let origin = Origin::echoing();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send("POST /svc/a HTTP/1.0\r\nHost: gate.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody");
    let answer = client.answer();
    assert_eq!((answer.interim.len(), answer.text()), (0, "body".into()));
}

#[test]
fn an_unasked_100_is_not_fatal() {
    let origin = Origin::replying("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = gate(&origin);
    assert_eq!(gateway.connect().get("/svc/a").text(), "ok");
}

#[test]
fn an_expecting_request_whose_service_answers_late_waits_no_shorter() {
    let (told, when) = mpsc::channel();
    let origin = Origin::scripted(move |peer| {
        let Some(head) = peer.head() else { return };
        thread::sleep(Duration::from_millis(300));
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let _ = told.send(peer.body(head).is_ok());
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send(POST);
    client.wire.through(b"\r\n\r\n").expect("an interim answer");
    client.send("body");
    assert_eq!(client.answer().status(), 200);
    assert_eq!(when.recv_timeout(Duration::from_secs(5)), Ok(true));
}

/// What a client that does not read yet has received in the end, of an answer of so many bytes, interim answers of an
/// exchange that is given up in the midst of them, and another answer.
fn unread(bytes: usize) -> Vec<u8> {
    let origin = Origin::scripted(move |peer| {
        while let Some(request) = peer.request() {
            match request.target() {
                "/fill" => {
                    peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n{}", "z".repeat(bytes)))
                }
                "/hints" => {
                    let field = format!("X-Hint: {}\r\n", "h".repeat(6_000));
                    for _ in 0..14 {
                        peer.send(format!("HTTP/1.1 103 Early Hints\r\n{}\r\n", field.repeat(9)));
                    }
                    thread::sleep(Duration::from_secs(4));
                    true
                }
                _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthird"),
            };
        }
    });
    let service = Service::at("/svc", &[&origin]).balance("request_timeout", 1_500);
    let gateway = Gateway::start(&Conf::new().service(service).cores(1));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors");
    socket.set_recv_buffer_size(64 * 1024).expect("a size");
    socket.connect(&gateway.address().into()).expect("it listens");
    let mut wire = Wire::new(socket);
    let request = |target: &str| format!("GET /svc/{target} HTTP/1.1\r\nHost: a\r\n\r\n");
    wire.try_send((request("fill") + &request("hints") + &request("third")).as_bytes()).expect("little");
    thread::sleep(Duration::from_secs(3));
    wire.patience = Duration::from_secs(4);
    wire.rest().0
}

#[test]
fn nothing_follows_an_interim_answer_that_has_not_gone_whole() {
    // How much the kernel takes that nobody reads is its own affair: one of these sizes leaves it room for part of the hints.
    let all: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (1..=9).map(|part| scope.spawn(move || unread(part * 450_000))).collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect()
    });
    let mut cut = 0;
    for bytes in &all {
        for (at, _) in bytes.windows(9).enumerate().filter(|(_, window)| *window == b"HTTP/1.1 ") {
            assert!(
                at == 0 || matches!(bytes[at - 1], b'\n' | b'z' | b'}'),
                "an answer after {:?}",
                bytes[at - 1] as char
            );
        }
        cut += usize::from(bytes.ends_with(b"h"));
    }
    assert!(cut > 0, "none was cut in the midst of an interim answer");
}
