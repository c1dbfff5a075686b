//! Lists and the rate are asked before the dial; endpoints by weight and health.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use super::{Server, connect, greeting, in_front_of, tcp};
use crate::support::gateway::free_port;
use crate::support::{Client, Conf, Gateway, Gone, eventually, saying_hello};

/// Closed without a byte, and the server never heard of it.
#[track_caller]
fn refused(mut client: Client, server: &Server) {
    let _ = client.wire.try_send(b"?");
    let (bytes, gone) = client.wire.rest();
    assert!(bytes.is_empty() && gone != Gone::Silent, "{bytes:?} {gone:?}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn bytes_go_both_ways_and_each_side_may_finish_first() {
    let server = Server::scripted(|mut wire| {
        let asked = wire.rest().0;
        let _ = wire.try_send(&asked.repeat(2));
        wire.finish();
    });
    let (conf, port) = in_front_of(&server);
    let _gateway = Gateway::start(&conf);
    let mut client = connect(port);
    client.send(b"half");
    client.wire.finish();
    assert_eq!(client.wire.rest(), (b"halfhalf".to_vec(), Gone::Closed));
}

#[test]
fn a_server_that_speaks_first_is_heard() {
    let node = saying_hello();
    let port = free_port();
    let service = tcp("line", port, &[]).nodes(vec![node]);
    let _gateway = Gateway::start(&Conf::new().service(service));
    assert_eq!(connect(port).wire.exactly(5), Ok(b"hello".to_vec()));
}

#[test]
fn who_is_on_the_black_list_gets_no_connection() {
    let server = Server::named("a");
    let port = free_port();
    let service = tcp("line", port, &[&server]).access("open", 1).access("black_list", "127.0.0.2");
    let gateway = Gateway::start(&Conf::new().service(service.access("white_list", "127.0.0.0/8")));
    let address = (Ipv4Addr::LOCALHOST, port).into();
    refused(Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), address), &server);
    assert_eq!(greeting(port, 1), "a");
    drop(gateway);
}

#[test]
fn open_with_empty_lists_refuses_everybody_and_the_start_says_so() {
    let server = Server::named("a");
    let port = free_port();
    let gateway = Gateway::start(&Conf::new().service(tcp("line", port, &[&server]).access("open", 1)));
    refused(connect(port), &server);
    let said = gateway.stderr();
    assert!(said.contains("this tcp service refuses everybody"), "{said}");
}

#[test]
fn connections_over_the_rate_are_closed() {
    let server = Server::named("a");
    let port = free_port();
    let service = tcp("line", port, &[&server]).access("client_flow_limit", 1);
    let _gateway = Gateway::start(&Conf::new().service(service));
    let served = (0..20).filter(|_| greeting(port, 1) == "a").count();
    assert!((3..10).contains(&served), "{served} of 20: three at once, then one a second");
}

#[test]
fn an_endpoint_that_refuses_is_passed_over() {
    let server = Server::named("a");
    let dead = free_port();
    let port = free_port();
    let nodes = vec![format!("127.0.0.1:{dead}"), server.address.to_string()];
    let _gateway = Gateway::start(&Conf::new().service(tcp("line", port, &[]).nodes(nodes)));
    for _ in 0..10 {
        assert_eq!(greeting(port, 1), "a");
    }
}

#[test]
fn without_an_endpoint_the_connection_is_closed() {
    let dead = free_port();
    let port = free_port();
    let service = tcp("line", port, &[]).nodes(vec![format!("127.0.0.1:{dead}")]);
    let _gateway = Gateway::start(&Conf::new().service(service));
    let mut client = connect(port).patient(Duration::from_secs(10));
    assert_ne!(client.wire.rest().1, Gone::Silent);
}

#[test]
fn endpoints_take_turns_by_weight() {
    let (one, other) = (Server::named("a"), Server::named("b"));
    let port = free_port();
    let service = tcp("line", port, &[&one, &other]).weights(&[3, 1]);
    let _gateway = Gateway::start(&Conf::new().service(service).cores(1));
    assert!(eventually(|| greeting(port, 1) == "b"), "both are up");
    let (before_one, before_other) = (one.connections(), other.connections());
    for _ in 0..16 {
        greeting(port, 1);
    }
    assert_eq!((one.connections() - before_one, other.connections() - before_other), (12, 4));
}

#[test]
fn a_bound_on_connections_that_is_asked_for_holds() {
    let server = Server::named("a");
    let port = free_port();
    let service = tcp("line", port, &[&server]).balance("connections_max", 2).balance("slow_connections_max", 0);
    let service = service.balance("queue_timeout", 300);
    let _gateway = Gateway::start(&Conf::new().service(service).cores(1));
    let mut held: Vec<_> = (0..2).map(|_| connect(port)).collect();
    for client in &mut held {
        client.send(b"?");
        assert_eq!(client.wire.exactly(1), Ok(b"a".to_vec()));
    }
    let (bytes, gone) = connect(port).wire.rest();
    assert!(bytes.is_empty() && gone != Gone::Silent, "{bytes:?} {gone:?}");
    held.pop();
    assert!(eventually(|| greeting(port, 1) == "a"));
}

#[test]
fn a_limit_of_a_tcp_service_counts_connections() {
    let server = Server::named("a");
    let port = free_port();
    let service = tcp("line", port, &[&server]).limit("by = \"service\"; rate = 5; window = \"hour\"");
    let _gateway = Gateway::start(&Conf::new().service(service));
    assert_eq!((0..12).filter(|_| greeting(port, 1) == "a").count(), 5);
}

#[test]
fn a_client_has_as_many_connections_as_it_may_and_again_when_they_close() {
    let server = Server::named("a");
    let port = free_port();
    let service = tcp("line", port, &[&server]).access("client_connections_max", 3);
    let _gateway = Gateway::start(&Conf::new().service(service));
    let open = || {
        let mut client = connect(port);
        let _ = client.wire.try_send(b"?");
        (client.wire.exactly(1).is_ok()).then_some(client)
    };
    let held: Vec<_> = (0..6).filter_map(|_| open()).collect();
    assert_eq!(held.len(), 3);
    let other = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), (Ipv4Addr::LOCALHOST, port).into());
    let mut other = other;
    other.send(b"?");
    assert!(other.wire.exactly(1).is_ok(), "another address has its own");
    drop(held);
    assert!(eventually(|| open().is_some()));
}

#[test]
fn a_service_has_as_many_connections_as_it_may_over_all_clients() {
    let server = Server::named("a");
    let port = free_port();
    let service = tcp("line", port, &[&server]).access("service_connections_max", 4);
    let _gateway = Gateway::start(&Conf::new().service(service));
    let held: Vec<_> = (1..=8)
        .filter_map(|last| {
            let mut client = Client::connect_from(Ipv4Addr::new(127, 0, 0, last), (Ipv4Addr::LOCALHOST, port).into());
            let _ = client.wire.try_send(b"?");
            (client.wire.exactly(1).is_ok()).then_some(client)
        })
        .collect();
    assert_eq!(held.len(), 4);
}

#[test]
fn a_precedence_holds_for_connections_too() {
    let server = Server::named("a");
    let port = free_port();
    let service = tcp("line", port, &[&server]).access("open", 1).access("precedence", "both_pass");
    let gateway = Gateway::start(&Conf::new().service(service.access("black_list", "127.0.0.2")));
    let address = (Ipv4Addr::LOCALHOST, port).into();
    refused(Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), address), &server);
    assert_eq!(greeting(port, 1), "a");
    drop(gateway);
}

#[test]
fn a_client_that_breaks_off_while_it_waits_gives_its_places_back() {
    let server = Server::named("a");
    let port = free_port();
    let service = tcp("line", port, &[&server]).balance("connections_max", 1).balance("slow_connections_max", 0);
    let service = service.access("client_connections_max", 2).balance("queue_timeout", 60_000);
    let _gateway = Gateway::start(&Conf::new().service(service).cores(1));
    let mut held = connect(port);
    held.send(b"?");
    assert_eq!(held.wire.exactly(1), Ok(b"a".to_vec()));
    let waits = connect(port);
    thread::sleep(Duration::from_millis(300));
    assert_ne!(connect(port).wire.rest().1, Gone::Silent, "two are as many as may be");
    waits.wire.reset();
    let stays = || {
        let mut next = connect(port);
        next.wire.patience = Duration::from_millis(300);
        next.wire.rest().1 == Gone::Silent
    };
    assert!(eventually(stays));
}
