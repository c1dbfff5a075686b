//! What an endpoint may be: an IPv4 or IPv6 address, a name, a Unix socket.

use std::time::Duration;

use crate::support::{Conf, Gateway, Origin, Peer, Service, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn serve(peer: &mut Peer) {
    while peer.request().is_some() && peer.send(OK) {}
}

#[test]
fn an_ipv6_endpoint() {
    let origin = Origin::scripted_at("[::1]:0".parse().expect("an address"), serve);
    let gateway = Gateway::start(&Conf::of(&origin));
    assert_eq!(gateway.connect().get("/svc/a").text(), "ok");
    assert_eq!(origin.only().head.all("host"), [origin.node()]);
}

#[test]
fn a_unix_socket() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let origin = Origin::scripted_unix(&directory.path().join("origin"), serve);
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&origin]).base("host", "client")));
    let mut client = gateway.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/svc/a").text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.requests()[0].head.all("host"), ["gate.test"]);
}

#[test]
fn a_unix_socket_is_probed_and_balanced_like_any_other() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let unix = Origin::scripted_unix(&directory.path().join("origin"), serve);
    let plain = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&unix, &plain]).base("host", "client")));
    assert!(eventually(|| unix.probes() > 0 && plain.probes() > 0));
    std::thread::sleep(Duration::from_millis(300));
    let mut client = gateway.connect();
    for _ in 0..10 {
        client.get("/svc/a");
    }
    assert_eq!((unix.heads().len(), plain.heads().len()), (5, 5));
}

#[test]
fn a_name_is_resolved() {
    let origin = Origin::scripted(serve);
    let node = format!("localhost:{}", origin.port());
    let gateway = Gateway::start(&Conf::new().service(Service::with_nodes("/svc", vec![node.clone()])));
    let mut client = gateway.connect();
    assert!(eventually(|| client.get("/svc/a").status() == 200), "{:?}", client.get("/svc/a"));
    assert_eq!(origin.requests()[0].head.all("host"), [node]);
}

#[test]
fn a_name_that_does_not_resolve_stops_neither_the_start_nor_the_others() {
    let origin = Origin::ok();
    let lost = Service::with_nodes("/lost", vec!["no-such-host.invalid:80".to_owned()]);
    let gateway = Gateway::start(&Conf::of(&origin).service(lost));
    let mut client = gateway.connect();
    assert_eq!(client.get("/svc/a").status(), 200);
    assert!(eventually(|| client.get("/lost/a").reason() == "no_endpoint"), "what cannot be dialled is down");
}
