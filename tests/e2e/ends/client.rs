//! Ends that are the client's doing.

use std::thread;
use std::time::{Duration, Instant};

use gatekeeper::end::End;

use super::{GET, told, untold};
use crate::support::{Conf, Gone, Origin, Service, eventually};

/// Provoked by one request alone.
#[track_caller]
fn by(end: End, request: &str) {
    let origin = Origin::ok();
    told(end, || Conf::of(&origin), |gateway| gateway.connect().ask(request));
}

#[test]
fn bad_request_line() {
    by(End::BadRequestLine, "GET  /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn bad_target() {
    by(End::BadTarget, "GET /svc/a#b HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn bad_path() {
    by(End::BadPath, "GET /svc/%00 HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn bad_field() {
    by(End::BadField, "GET /svc/a HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n");
}

#[test]
fn bad_proxy_header() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).http("proxy_protocol_from", ["127.0.0.1"]);
    untold(End::BadProxyHeader, &conf, |gateway| {
        let mut client = gateway.connect();
        client.send(GET);
        client.expect_close();
    });
}

#[test]
fn bad_host() {
    by(End::BadHost, "GET /svc/a HTTP/1.1\r\n\r\n");
}

#[test]
fn bad_framing() {
    by(
        End::BadFraming,
        "POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
}

#[test]
fn bad_chunk() {
    by(End::BadChunk, "POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
}

#[test]
fn bad_nomination() {
    by(End::BadNomination, "GET /svc/a HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n");
}

#[test]
fn unknown_coding() {
    by(End::UnknownCoding, "POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
}

#[test]
fn method_too_long() {
    by(End::MethodTooLong, "ABCDEFGHIJKLMNOPQRSTUVWXYZ /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn version_unsupported() {
    by(End::VersionUnsupported, "GET /svc/a HTTP/2.0\r\nHost: a\r\n\r\n");
}

#[test]
fn uri_too_long() {
    by(End::UriTooLong, &format!("GET /svc/{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(10_000)));
}

#[test]
fn head_too_large() {
    by(End::HeadTooLarge, &format!("GET /svc/a HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(200)));
}

#[test]
fn body_too_large() {
    let origin = Origin::ok();
    told(
        End::BodyTooLarge,
        || Conf::new().service(Service::at("/svc", &[&origin]).base("body_bytes_max", 1)),
        |gateway| gateway.connect().ask("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"),
    );
}

#[test]
fn expectation_failed() {
    by(End::ExpectationFailed, "GET /svc/a HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n");
}

#[test]
fn method_not_allowed() {
    by(End::MethodNotAllowed, "TRACE /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn head_timeout() {
    let origin = Origin::ok();
    told(
        End::HeadTimeout,
        || Conf::of(&origin).http("read_timeout", 1),
        |gateway| gateway.connect().ask("GET /svc/a HTTP/1.1\r\n"),
    );
}

#[test]
fn body_timeout() {
    let origin = Origin::ok();
    told(
        End::BodyTimeout,
        || Conf::of(&origin).http("write_timeout", 1),
        |gateway| gateway.connect().ask("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na"),
    );
}

#[test]
fn client_truncated() {
    let origin = Origin::ok();
    untold(End::ClientTruncated, &Conf::of(&origin), |gateway| {
        let mut client = gateway.connect();
        client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
        client.wire.finish();
        client.expect_end_of_connection();
    });
}

#[test]
fn client_left() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.until_gone(Duration::from_secs(20));
    });
    untold(End::ClientLeft, &Conf::of(&origin).http("half_close_grace", 200), |gateway| {
        let mut client = gateway.connect();
        client.send(GET);
        assert!(eventually(|| origin.requests().len() == 1));
        drop(client);
        thread::sleep(Duration::from_millis(1_000));
    });
}

#[test]
fn write_timeout() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        let piece = vec![b'x'; 1024 * 1024];
        while peer.send(&piece) {}
    });
    untold(End::WriteTimeout, &Conf::of(&origin).http("write_timeout", 1), |gateway| {
        let mut client = gateway.connect();
        client.send(GET);
        thread::sleep(Duration::from_secs(4));
    });
}

#[test]
fn body_too_slow() {
    let origin = Origin::ok();
    told(
        End::BodyTooSlow,
        || Conf::of(&origin).http("rate_grace", 1),
        |gateway| {
            let mut client = gateway.connect();
            client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
            // Progress all the time, at a tenth of the rate.
            while client.wire.fill(Instant::now() + Duration::from_millis(100)) == Err(Gone::Silent) {
                client.send("x");
            }
            client.answer()
        },
    );
}

#[test]
fn write_too_slow() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        let piece = vec![b'x'; 1024 * 1024];
        while peer.send(&piece) {}
    });
    let conf = Conf::of(&origin).http("rate_grace", 1).http("answer_rate_min", 1_000_000_000);
    untold(End::WriteTooSlow, &conf, |gateway| {
        let mut client = gateway.connect();
        client.send(GET);
        // Progress all the time, far below the rate.
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until && client.wire.fill(until).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(Instant::now() < until, "a client below the rate is cut");
    });
}
