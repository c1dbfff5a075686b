//! `Upgrade: websocket`: a tunnel after a valid 101, an ordinary exchange otherwise.

use std::thread;
use std::time::Duration;

use super::{ASK, SWITCH, echo_tunnel, gate};
use crate::support::{Conf, Gateway, Gone, Origin, Service, pattern};

#[test]
fn a_websocket_becomes_a_tunnel() {
    let origin = echo_tunnel();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let answer = client.ask(ASK);
    assert_eq!(answer.status(), 101);
    assert!(answer.head.lists("upgrade", "websocket") && answer.head.lists("connection", "upgrade"), "{answer:?}");
    assert_eq!(answer.head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(client.wire.exactly(5).as_deref(), Ok(b"early".as_slice()));
    let seen = origin.only().head;
    assert!(seen.lists("upgrade", "websocket") && seen.lists("connection", "upgrade"), "{seen:?}");
    assert_eq!(seen.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    for round in 0..3 {
        let text = format!("frame {round}");
        client.send(&text);
        assert_eq!(client.wire.exactly(text.len()).as_deref(), Ok(text.as_bytes()));
    }
}

#[test]
fn bytes_sent_before_the_switch_reach_the_service_after_it() {
    let origin = echo_tunnel();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    let answer = client.ask(format!("{ASK}too early"));
    assert_eq!(answer.status(), 101);
    let all = client.wire.exactly(14).expect("greeting and echo");
    assert_eq!(all, b"earlytoo early");
}

#[test]
fn a_tunnel_carries_a_mebibyte_both_ways() {
    let origin = echo_tunnel();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    assert_eq!(client.ask(ASK).status(), 101);
    client.wire.exactly(5).expect("the greeting");
    let bytes = pattern(1024 * 1024);
    for part in bytes.chunks(64 * 1024) {
        client.send(part);
        assert!(client.wire.exactly(part.len()).as_deref() == Ok(part), "the echo differs");
    }
}

#[test]
fn the_end_of_one_side_of_a_tunnel_reaches_the_other() {
    let origin = echo_tunnel();
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.ask(ASK);
    client.wire.exactly(5).expect("the greeting");
    client.wire.finish();
    let (last, gone) = client.wire.rest();
    assert_eq!((last.as_slice(), gone), (b"bye".as_slice(), Gone::Closed));
}

#[test]
fn a_tunnel_may_be_idle() {
    let origin = echo_tunnel();
    let gateway = Gateway::start(&Conf::of(&origin).http("keepalive_timeout", 1).http("read_timeout", 1));
    let mut client = gateway.connect();
    client.ask(ASK);
    client.wire.exactly(5).expect("the greeting");
    thread::sleep(Duration::from_secs(3));
    client.send("still here");
    assert_eq!(client.wire.exactly(10).as_deref(), Ok(b"still here".as_slice()));
}

#[test]
fn a_refused_websocket_is_an_ordinary_answer() {
    let origin = Origin::replying("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.ask(ASK);
        assert_eq!((answer.status(), answer.text(), answer.closes()), (403, "no".into(), false));
    }
    assert_eq!(client.get("/svc/a").status(), 403);
}

#[test]
fn a_switch_nobody_asked_for_is_malformed() {
    let origin = Origin::replying(SWITCH);
    let gateway = gate(&origin);
    gateway.connect().get("/svc/a").expect_end(502, "bad_response");
}

#[test]
fn a_switch_to_another_protocol_is_malformed() {
    for answer in [
        "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let origin = Origin::replying(answer);
        let gateway = gate(&origin);
        gateway.connect().ask(ASK).expect_end(502, "bad_response");
    }
}

#[test]
fn only_a_websocket_handshake_asks_for_a_switch() {
    let origin = Origin::ok();
    let gateway = gate(&origin);
    let others = [
        ASK.replace("websocket", "h2c").replace("\r\n\r\n", "\r\nHTTP2-Settings: AAA\r\n\r\n"),
        ASK.replace("GET ", "PUT "),
        ASK.replace("HTTP/1.1", "HTTP/1.0"),
        ASK.replace("keep-alive, Upgrade", "keep-alive"),
        ASK.replace("websocket", "TLS/1.0, websocket2"),
    ];
    for other in &others {
        let answer = gateway.connect().ask(other);
        assert_eq!(answer.status(), 200, "{other}: {answer:?}");
    }
    for seen in origin.expect_requests(others.len()) {
        let head = seen.head;
        assert!(head.all("upgrade").is_empty() && !head.lists("connection", "upgrade"), "{head:?}");
        assert!(head.all("http2-settings").is_empty(), "{head:?}");
    }
}

#[test]
fn tunnels_leave_the_connections_of_a_service_to_requests() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            peer.send(if request.target() == "/chat" { SWITCH } else { "HTTP/1.1 204 No Content\r\n\r\n" });
        }
    });
    let service = Service::at("/svc", &[&origin]).balance("connections_max", 1).balance("queue_timeout", 3_000);
    let gateway = Gateway::start(&Conf::new().service(service).cores(1));
    let mut tunnel = gateway.connect();
    assert_eq!(tunnel.ask(ASK).status(), 101);
    assert_eq!(gateway.connect().get("/svc/a").status(), 204);
}
