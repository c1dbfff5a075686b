//! Filters that read bodies: whole, decoded, bounded; what cannot be given to them is refused.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::{gateway, gateway_of};
use crate::support::message::Framing;
use crate::support::{Answer, Conf, Gateway, Origin, Service, pattern};

/// "gate" three times, by a brotli encoder.
const BROTLI: &[u8] = b"\x1b\x0b\0\0\x24\0\xca\0\x41\xc2\x0b\0";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// An answer of these fields and this body.
fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// In front of an origin that answers so, with a filter that writes capitals of up to so many bytes.
fn capitals(origin: &Origin, body_bytes_max: usize) -> Gateway {
    gateway_of(Service::at("/svc", &[origin]).bounded_filter("capitals", body_bytes_max, ""))
}

fn asked(answer: &[u8], body_bytes_max: usize) -> Answer {
    let origin = Origin::replying(answer);
    capitals(&origin, body_bytes_max).connect().get("/svc/a")
}

#[test]
fn a_body_is_filtered_in_every_coding_that_can_be_undone() {
    for (coding, body) in [
        ("identity", b"gategategate".to_vec()),
        ("gzip", gzip(b"gategategate")),
        ("x-gzip", gzip(b"gategategate")),
        ("deflate", deflate(b"gategategate")),
        ("br", BROTLI.to_vec()),
    ] {
        let answer = asked(&answer(&format!("Content-Encoding: {coding}\r\n"), &body), 100);
        assert_eq!((answer.status(), answer.text().as_str()), (200, "GATEGATEGATE"), "{coding}");
        assert_eq!(answer.head.field("content-encoding"), None, "{coding}");
        assert!(matches!(answer.framing, Framing::Length(12)), "{:?}", answer.framing);
    }
}

#[test]
fn a_body_is_filtered_whatever_its_framing_and_pieces() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdefg";
    for whole in [chunked, until_close] {
        let origin = Origin::scripted(move |peer| {
            if peer.request().is_some() {
                peer.trickle(whole.as_bytes(), Duration::from_millis(2));
            }
        });
        let gateway = capitals(&origin, 7);
        for request in ["GET /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n", "GET /svc/a HTTP/1.0\r\n\r\n"] {
            let answer = gateway.connect().ask(request);
            assert_eq!((answer.status(), answer.text().as_str()), (200, "ABCDEFG"));
            assert!(matches!(answer.framing, Framing::Length(7)), "{:?}", answer.framing);
        }
    }
}

#[test]
fn large_bodies_are_filtered_whole_and_connections_live_on() {
    let body: Vec<u8> = pattern(900_000).iter().map(|byte| b'a' + byte % 26).collect();
    let capital = body.to_ascii_uppercase();
    let origin = Origin::replying(answer("", &body));
    let gateway = gateway(Conf::new().cores(1).service(Service::at("/svc", &[&origin]).filter("capitals", "")));
    let mut client = gateway.connect();
    for _ in 0..5 {
        assert!(client.get("/svc/a").body.bytes == capital);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_body_that_is_too_large_is_refused_as_it_comes_and_as_it_is() {
    let exact = asked(&answer("", b"12345678"), 8);
    assert_eq!((exact.status(), exact.text().as_str()), (200, "12345678"));
    asked(&answer("", b"123456789"), 8).expect_end(502, "filter_too_large");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n";
    asked(chunked, 8).expect_end(502, "filter_too_large");
    let bomb = answer("Content-Encoding: gzip\r\n", &gzip(&vec![0; 5_000_000]));
    asked(&bomb, 1_000_000).expect_end(502, "filter_too_large");
}

#[test]
fn what_cannot_be_had_whole_is_refused() {
    asked(&answer("Content-Encoding: zstd\r\n", b"abc"), 100).expect_end(502, "unfilterable");
    asked(&answer("Content-Encoding: gzip, br\r\n", b"abc"), 100).expect_end(502, "unfilterable");
    asked(&answer("Content-Encoding: gzip\r\n", b"abc"), 100).expect_end(502, "unfilterable");
    let cut = gzip(b"gategategate");
    asked(&answer("Content-Encoding: gzip\r\n", &cut[..cut.len() - 4]), 100).expect_end(502, "unfilterable");
    let part = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n\r\nabc";
    asked(part, 100).expect_end(502, "unfilterable");
}

#[test]
fn a_body_that_breaks_off_is_told_because_nothing_of_it_was_sent() {
    let origin = Origin::scripted(|peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        }
    });
    capitals(&origin, 100).connect().get("/svc/a").expect_end(502, "bad_response");
    let silent = Origin::scripted(|peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
            peer.until_gone(Duration::from_secs(10));
        }
    });
    let service = Service::at("/svc", &[&silent]).balance("proxy_body_timeout", 300).filter("capitals", "");
    gateway_of(service).connect().get("/svc/a").expect_end(504, "response_timeout");
}

#[test]
fn a_body_that_a_filter_refuses_never_reaches_the_client() {
    let origin = Origin::replying(answer("", b"secret"));
    let service = Service::at("/svc", &[&origin]).filter("refuse", "at = \"body\"\nstatus = 500");
    let gateway = gateway_of(service);
    let mut client = gateway.connect();
    let answer = client.get("/svc/a");
    answer.expect_end(500, "filter_refused");
    assert_eq!(answer.json()["errmsg"], "refused at the body");
    assert_eq!(client.get("/svc/a").status(), 500, "the connection goes on");
}

#[test]
fn only_what_a_filter_asks_for_is_read_whole() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            let media_type = request.target().trim_start_matches('/').replace('_', "/");
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nETag: \"1\"\r\nContent-Length: 3\r\n\r\nabc"
            ));
        }
    });
    let service = Service::at("/svc", &[&origin]).bounded_filter("capitals", 2, "media_type = \"application/json\"");
    let gateway = gateway_of(service);
    let mut client = gateway.connect();
    let plain = client.get("/svc/text_plain");
    assert_eq!((plain.text().as_str(), plain.head.field("etag")), ("abc", Some("\"1\"")));
    client.get("/svc/application_json").expect_end(502, "filter_too_large");
    client.get("/svc/Application_JSON;charset=utf-8").expect_end(502, "filter_too_large");
}

#[test]
fn what_was_said_of_the_body_is_not_said_of_another() {
    let fields =
        "ETag: \"1\"\r\nAccept-Ranges: bytes\r\nContent-MD5: x\r\nDigest: x\r\nContent-Digest: x\r\nRepr-Digest: x\r\n";
    let head = asked(&answer(fields, b"abc"), 100).head;
    assert_eq!(head.all("etag"), ["W/\"1\""]);
    for name in ["accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"] {
        assert_eq!(head.field(name), None, "{name}");
    }
}

#[test]
fn an_answer_without_a_body_stays_without() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            peer.send(match request.method() {
                "HEAD" => "HTTP/1.1 200 OK\r\nContent-Length: 900\r\nContent-Encoding: zstd\r\n\r\n",
                _ => "HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n",
            });
        }
    });
    let gateway = capitals(&origin, 100);
    let mut client = gateway.connect();
    let head = client.ask("HEAD /svc/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!(
        (head.status(), head.head.field("content-length")),
        (200, None),
        "that of the filtered body is not known"
    );
    assert_eq!(client.get("/svc/a").status(), 304);
}

#[test]
fn every_filter_gets_the_body_that_one_asked_for() {
    let origin = Origin::replying(answer("", b"ab"));
    let service = Service::at("/svc", &[&origin]).filter("count", "mark = \"one\"");
    let service = service.filter("capitals", "").filter("count", "mark = \"two\"");
    assert_eq!(gateway_of(service).connect().get("/svc/a").text(), "ABTWOone");
}

#[test]
fn the_service_is_asked_for_no_coding_that_cannot_be_undone() {
    let origin = Origin::ok();
    let gateway = capitals(&origin, 100);
    for accepted in ["gzip, deflate, br, zstd", "zstd", "gzip"] {
        let request = format!("GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nAccept-Encoding: {accepted}\r\n\r\n");
        assert_eq!(gateway.connect().ask(request).status(), 200);
    }
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    let said: Vec<_> =
        origin.expect_requests(4).iter().map(|request| request.head.all("accept-encoding").join("; ")).collect();
    assert_eq!(said, ["gzip, deflate, br", "identity", "gzip", ""]);
}
