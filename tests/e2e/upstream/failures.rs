//! Endpoints that refuse, vanish or do not answer.

use std::thread;
use std::time::Duration;

use crate::support::origin::Unreachable;
use crate::support::{Conf, Gateway, Origin, Service, eventually};

/// Waits until health has looked at each origin, and until that is published.
fn probed(origins: &[&Origin]) {
    for origin in origins {
        assert!(eventually(|| origin.probes() > 0), "no probe came");
    }
    thread::sleep(Duration::from_millis(300));
}

#[test]
fn an_endpoint_that_refuses_costs_no_request() {
    let (lost, good) = (Origin::ok(), Origin::ok());
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&lost, &good])));
    probed(&[&lost, &good]);
    drop(lost);
    for number in 0..20 {
        let request = format!("POST /svc/{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(gateway.connect().ask(request).status(), 200, "{number}: nothing was sent, so another may be tried");
    }
    assert_eq!(good.requests().len(), 20);
}

#[test]
fn the_only_endpoint_that_refuses_is_a_bad_gateway() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    probed(&[&origin]);
    drop(origin);
    gateway.connect().get("/svc/a").expect_end(502, "connect_refused");
}

#[test]
fn an_endpoint_that_does_not_accept_in_time_costs_no_request() {
    let (good, lost) = (Origin::ok(), Unreachable::new());
    let service = Service::with_nodes("/svc", vec![lost.node.clone(), good.node().to_owned()]);
    let gateway = Gateway::start(&Conf::new().service(service.balance("proxy_connect_timeout", 300)));
    assert!(eventually(|| lost.probes() > 0 && good.probes() > 0));
    thread::sleep(Duration::from_millis(300));
    let _full = lost.close_up();
    for number in 0..6 {
        assert_eq!(gateway.connect().get("/svc/a").status(), 200, "{number}");
    }
}

#[test]
fn the_only_endpoint_that_does_not_accept_in_time_is_a_timeout() {
    let lost = Unreachable::new();
    let service = Service::with_nodes("/svc", vec![lost.node.clone()]).balance("proxy_connect_timeout", 300);
    let gateway = Gateway::start(&Conf::new().service(service));
    assert!(eventually(|| lost.probes() > 0));
    thread::sleep(Duration::from_millis(300));
    let _full = lost.close_up();
    gateway.connect().get("/svc/a").expect_end(504, "connect_timeout");
}

#[test]
fn a_fresh_connection_closed_without_an_answer_is_not_tried_again() {
    for reset in [false, true] {
        let origin = Origin::scripted(move |peer| {
            peer.request();
            if reset {
                peer.reset_on_close();
            }
        });
        let gateway = Gateway::start(&Conf::of(&origin));
        gateway.connect().get("/svc/a").expect_end(502, "upstream_closed");
        assert_eq!(origin.heads().len(), 1, "reset {reset}");
    }
}

#[test]
fn a_connection_closed_inside_the_head_is_a_bad_gateway() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Le");
    });
    let gateway = Gateway::start(&Conf::of(&origin));
    let answer = gateway.connect().get("/svc/a");
    assert_eq!(answer.status(), 502, "{answer:?}");
    assert!(matches!(answer.reason(), "upstream_closed" | "bad_response"), "{answer:?}");
}

#[test]
fn a_connection_that_ends_after_an_interim_answer_is_not_replayed() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/b" {
                peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.get("/svc/a");
    let answer = client.get("/svc/b");
    assert_eq!(answer.status(), 502, "{answer:?}");
    assert_eq!(origin.heads().len(), 2);
}
