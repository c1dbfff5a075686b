//! Listeners over reloads: opened, kept, moved, closed.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use rustix::process::Signal;

use super::{Server, connect, greeting, in_front_of, tcp};
use crate::support::gateway::free_port;
use crate::support::{Conf, Gateway, Origin, Service, eventually};

fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn reload(gateway: &Gateway, conf: &Conf) {
    gateway.rewrite_files(conf);
    gateway.signal(Signal::HUP);
}

#[test]
fn a_new_service_gets_a_listener_at_a_reload() {
    let server = Server::named("a");
    let (first, second) = (free_port(), free_port());
    let conf = Conf::new().service(tcp("one", first, &[&server]));
    let gateway = Gateway::start(&conf);
    reload(&gateway, &conf.service(tcp("two", second, &[&server])));
    assert!(eventually(|| is_open(second) && greeting(second, 1) == "a"));
    assert_eq!(greeting(first, 1), "a");
}

#[test]
fn a_service_that_is_gone_has_no_listener_and_its_tunnels_live() {
    let server = Server::named("a");
    let (conf, port) = in_front_of(&server);
    let gateway = Gateway::start(&conf);
    let mut client = connect(port);
    client.send(b"?");
    assert_eq!(client.wire.exactly(2), Ok(b"a?".to_vec()));
    reload(&gateway, &Conf::of(&Origin::ok()));
    assert!(eventually(|| !is_open(port)), "the listener is closed");
    client.send(b"still");
    assert_eq!(client.wire.exactly(5), Ok(b"still".to_vec()));
}

#[test]
fn a_service_moves_to_another_port() {
    let server = Server::named("a");
    let (conf, before) = in_front_of(&server);
    let gateway = Gateway::start(&conf);
    let after = free_port();
    reload(&gateway, &Conf::new().service(tcp("line", after, &[&server])));
    assert!(eventually(|| is_open(after) && !is_open(before)));
    assert_eq!(greeting(after, 1), "a");
}

#[test]
fn a_port_may_change_hands() {
    let (one, other) = (Server::named("a"), Server::named("b"));
    let (conf, port) = in_front_of(&one);
    let gateway = Gateway::start(&conf);
    assert_eq!(greeting(port, 1), "a");
    reload(&gateway, &Conf::new().service(tcp("another", port, &[&other])));
    assert!(eventually(|| greeting(port, 1) == "b"));
}

#[test]
fn the_http_listener_moves_at_a_reload() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin);
    let gateway = Gateway::start(&conf);
    let after = free_port();
    reload(&gateway, &conf.http("addr", format!("127.0.0.1:{after}")));
    assert!(eventually(|| is_open(after)));
    assert_eq!(connect(after).get("/svc/a").status(), 200);
    assert!(eventually(|| !is_open(gateway.address().port())));
}

#[test]
fn a_port_that_another_process_has_leaves_everything_as_it_was() {
    let server = Server::named("a");
    let (conf, port) = in_front_of(&server);
    let gateway = Gateway::start(&conf);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = (taken.local_addr().expect("bound").port(), taken);
    let moved = tcp("line", free_port(), &[&server]);
    reload(&gateway, &Conf::new().service(moved).service(tcp("two", taken.0, &[&server])));
    assert!(eventually(|| gateway.stderr().contains("another process listens there")));
    assert!(eventually(|| gateway.stderr().contains("stays in force")));
    assert_eq!(greeting(port, 1), "a");
}

#[test]
fn no_connection_is_lost_while_listeners_come_and_go() {
    let server = Server::named("a");
    let (conf, port) = in_front_of(&server);
    let gateway = Gateway::start(&conf);
    for round in 0..20 {
        let other = free_port();
        reload(&gateway, &conf.clone().service(tcp("other", other, &[&server])));
        for _ in 0..5 {
            assert_eq!(greeting(port, 1), "a", "round {round}");
        }
    }
}

#[test]
fn a_service_that_becomes_one_of_tcp_uses_no_connection_of_its_http_time() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() && peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {}
    });
    let port = free_port();
    let http = Service::at("/svc", &[&origin]);
    let line = Service::with_nodes("/svc", vec![origin.node().to_owned()]).base("load_type", "tcp");
    let line = line.base("frontend_addr", format!("127.0.0.1:{port}")).balance("check_method", "tcpchk");
    let other = Service::at("/other", &[&origin]);
    let gateway = Gateway::start(&Conf::new().service(http).service(other).cores(1));
    let mut clients: Vec<_> = (0..3).map(|_| gateway.connect()).collect();
    clients.iter_mut().for_each(|client| client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n"));
    clients.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
    reload(&gateway, &Conf::new().service(line).service(Service::at("/other", &[&origin])).cores(1));
    assert!(eventually(|| is_open(port)));
    for number in 0..5 {
        assert_eq!(connect(port).ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200, "{number}");
    }
}
