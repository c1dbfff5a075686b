//! Ends that are the service's doing.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use gatekeeper::end::End;

use super::{GET, SWITCH, TUNNEL, told, untold};
use crate::support::origin::Unreachable;
use crate::support::{Conf, Gone, Origin, Peer, Service, eventually};

/// Provoked by one GET of a service that does this after it has read the request.
#[track_caller]
fn by(end: End, script: impl Fn(&mut Peer) + Send + Sync + 'static) {
    let origin = Origin::scripted(move |peer| {
        peer.request();
        script(peer);
    });
    told(end, || impatient(&origin), |gateway| gateway.connect().ask(GET));
}

fn impatient(origin: &Origin) -> Conf {
    let service = Service::at("/svc", &[origin]).balance("proxy_header_timeout", 400);
    Conf::new().service(service.balance("proxy_body_timeout", 400)).base("drain_window", 1)
}

#[test]
fn connect_refused() {
    let place = Mutex::new(None);
    told(
        End::ConnectRefused,
        || {
            let origin = Origin::ok();
            let conf = Conf::of(&origin);
            *place.lock().expect("no panic") = Some(origin);
            conf
        },
        |gateway| {
            let origin = place.lock().expect("no panic").take().expect("made with the configuration");
            assert!(eventually(|| origin.probes() > 0));
            thread::sleep(Duration::from_millis(300));
            drop(origin);
            gateway.connect().ask(GET)
        },
    );
}

#[test]
fn connect_timeout() {
    let place = Mutex::new(None);
    told(
        End::ConnectTimeout,
        || {
            let lost = Unreachable::new();
            let service = Service::with_nodes("/svc", vec![lost.node.clone()]).balance("proxy_connect_timeout", 300);
            *place.lock().expect("no panic") = Some(lost);
            Conf::new().service(service)
        },
        |gateway| {
            let lost = place.lock().expect("no panic").take().expect("made with the configuration");
            assert!(eventually(|| lost.probes() > 0));
            thread::sleep(Duration::from_millis(300));
            let _full = lost.close_up();
            gateway.connect().ask(GET)
        },
    );
}

#[test]
fn upstream_stale() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        peer.request();
    });
    told(
        End::UpstreamStale,
        || Conf::of(&origin),
        |gateway| {
            let mut client = gateway.connect();
            assert_eq!(client.ask(GET).status(), 200);
            client.ask("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
        },
    );
}

#[test]
fn upstream_closed() {
    by(End::UpstreamClosed, |_| ());
}

#[test]
fn response_timeout() {
    by(End::ResponseTimeout, |peer| drop(peer.until_gone(Duration::from_secs(20))));
}

#[test]
fn attempt_timeout() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.until_gone(Duration::from_secs(20));
    });
    let service = || Service::at("/svc", &[&origin]).table("retry", "attempts", 2).table("retry", "on", "503");
    told(
        End::AttemptTimeout,
        || Conf::new().service(service().table("retry", "attempt_timeout", 300)),
        |gateway| gateway.connect().ask(GET),
    );
}

#[test]
fn unwanted_status() {
    let origin = Origin::replying("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let service = || Service::at("/svc", &[&origin]).table("retry", "attempts", 2);
    // The failure opens the breaker of the only endpoint.
    let service = || service().table("breaker", "failures", 1).table("breaker", "of", "endpoint");
    told(End::UnwantedStatus, || Conf::new().service(service()), |gateway| gateway.connect().ask(GET));
}

#[test]
fn upstream_write_timeout() {
    let origin = Origin::scripted(|peer| {
        peer.head();
        thread::sleep(Duration::from_secs(10));
    });
    told(
        End::UpstreamWriteTimeout,
        || impatient(&origin),
        |gateway| {
            let mut client = gateway.connect().patient(Duration::from_secs(2));
            client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n");
            let piece = vec![b'x'; 1024 * 1024];
            while client.wire.try_send(&piece).is_ok() {}
            client.patient(Duration::from_secs(15)).answer()
        },
    );
}

#[test]
fn bad_response() {
    by(End::BadResponse, |peer| {
        peer.send("HTTP/1.1 banana\r\n\r\n");
    });
}

#[test]
fn response_head_too_large() {
    by(End::ResponseHeadTooLarge, |peer| {
        peer.send(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(100_000)));
    });
}

#[test]
fn response_truncated() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na");
    });
    untold(End::ResponseTruncated, &Conf::of(&origin), |gateway| {
        let mut client = gateway.connect();
        client.send(GET);
        assert_ne!(client.try_answer().expect_err("it is cut").gone, Gone::Silent);
    });
}

#[test]
fn response_stalled() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na");
        peer.until_gone(Duration::from_secs(20));
    });
    untold(End::ResponseStalled, &impatient(&origin), |gateway| {
        let mut client = gateway.connect();
        client.send(GET);
        assert_ne!(client.try_answer().expect_err("it is cut").gone, Gone::Silent);
    });
}

#[test]
fn upstream_left() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send(SWITCH);
        peer.wire.exactly(1).expect("a byte");
        peer.reset_on_close();
    });
    untold(End::UpstreamLeft, &Conf::of(&origin), |gateway| {
        let mut client = gateway.connect();
        assert_eq!(client.ask(TUNNEL).status(), 101);
        client.send("x");
        client.expect_end_of_connection();
    });
}
