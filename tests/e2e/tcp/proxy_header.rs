//! The PROXY protocol, both versions, in and out, on tcp services and on the http listener.

use std::time::Duration;

use super::{Server, connect, tcp};
use crate::support::gateway::free_port;
use crate::support::{Conf, Gateway, Gone, Origin, Service};

const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n";

/// Version 2, IPv4, from 203.0.113.9:40000, with one value after the addresses.
fn block() -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 192, 0, 2, 1, 0x9c, 0x40, 0x01, 0xbb];
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11".as_slice(), &addresses, &[4, 0, 2, 7, 7]].concat()
}

fn echo() -> Server {
    Server::scripted(|mut wire| {
        while let Ok(bytes) = wire.exactly(1) {
            let _ = wire.try_send(&bytes);
        }
    })
}

#[test]
fn a_trusted_proxys_header_is_taken_off_and_its_client_counts_for_lists() {
    for header in [LINE.to_vec(), block()] {
        for white in ["203.0.113.9", "203.0.113.8"] {
            let server = echo();
            let port = free_port();
            let service = tcp("line", port, &[&server]).base("proxy_protocol_from", ["127.0.0.0/8"]);
            let service = service.access("open", 1).access("white_list", white);
            let _gateway = Gateway::start(&Conf::new().service(service));
            let mut client = connect(port);
            client.send([header.as_slice(), b"payload"].concat());
            if white == "203.0.113.9" {
                assert_eq!(client.wire.exactly(7), Ok(b"payload".to_vec()));
            } else {
                assert_ne!(client.wire.rest().1, Gone::Silent);
                assert_eq!(server.connections(), 0);
            }
        }
    }
}

#[test]
fn a_header_may_come_in_pieces() {
    let server = echo();
    let port = free_port();
    let service = tcp("line", port, &[&server]).base("proxy_protocol_from", ["127.0.0.1"]);
    let _gateway = Gateway::start(&Conf::new().service(service));
    let mut client = connect(port);
    for byte in block() {
        client.send([byte]);
        std::thread::sleep(Duration::from_millis(2));
    }
    client.send(b"payload");
    assert_eq!(client.wire.exactly(7), Ok(b"payload".to_vec()));
}

#[test]
fn a_trusted_proxy_must_send_one() {
    let server = echo();
    let port = free_port();
    let service = tcp("line", port, &[&server]).base("proxy_protocol_from", ["127.0.0.1"]);
    let _gateway = Gateway::start(&Conf::new().service(service));
    let mut client = connect(port);
    client.send(b"payload");
    assert_ne!(client.wire.rest().1, Gone::Silent);
    assert_eq!(server.connections(), 0);
}

#[test]
fn from_anybody_else_it_is_ordinary_bytes() {
    let server = echo();
    let port = free_port();
    let service = tcp("line", port, &[&server]).base("proxy_protocol_from", ["10.0.0.0/8"]);
    let _gateway = Gateway::start(&Conf::new().service(service));
    let mut client = connect(port);
    client.send(LINE);
    assert_eq!(client.wire.exactly(LINE.len()), Ok(LINE.to_vec()));
}

#[test]
fn an_endpoint_is_told_the_client_in_either_version() {
    for (version, length) in [("v1", None), ("v2", Some(28))] {
        let server = echo();
        let port = free_port();
        let service = tcp("line", port, &[&server]).base("proxy_protocol_to", version);
        let _gateway = Gateway::start(&Conf::new().service(service));
        let mut client = connect(port);
        let own = client.wire.socket().local_addr().expect("connected").as_socket().expect("an IP address").port();
        client.send(b"x");
        match length {
            None => {
                let line = client.wire.through(b"\r\n").expect("a line");
                let wanted = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {own} {port}\r\n");
                assert_eq!(String::from_utf8_lossy(&line), wanted);
            }
            Some(length) => {
                let block = client.wire.exactly(length).expect("a block");
                assert_eq!(block[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
                assert_eq!(block[24..28], [own.to_be_bytes(), port.to_be_bytes()].concat());
            }
        }
        assert_eq!(client.wire.exactly(1), Ok(b"x".to_vec()));
    }
}

#[test]
fn a_requests_client_is_the_one_a_trusted_proxy_names() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).access("white_list", "203.0.113.9");
    let conf = Conf::new().service(service).http("proxy_protocol_from", ["127.0.0.1"]);
    let gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    client.send(block());
    assert_eq!(client.get("/svc/a").status(), 200);
    assert_eq!(client.get("/svc/b").status(), 200, "once per connection");
    assert_eq!(origin.requests()[0].head.field("x-forwarded-for"), Some("203.0.113.9"));
}

#[test]
fn a_request_without_the_header_a_trusted_proxy_must_send_is_closed() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).http("proxy_protocol_from", ["127.0.0.1"]));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    let (bytes, gone) = client.wire.rest();
    assert!(bytes.is_empty() && gone != Gone::Silent, "{bytes:?}");
}

#[test]
fn the_http_listener_takes_no_header_from_others() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.send([LINE, b"GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    assert_eq!(client.answer().status(), 400);
}
