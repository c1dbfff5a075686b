//! Ways of choosing an endpoint for a connection.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};

use super::{Server, connect, tcp};
use crate::support::gateway::free_port;
use crate::support::{Client, Conf, Gateway, eventually};

/// A gateway in front of three servers that answer by their names.
fn three(strategy: &str) -> (Gateway, u16, [Server; 3]) {
    let (port, servers) = (free_port(), ["a", "b", "c"].map(Server::named));
    let all: Vec<_> = servers.iter().collect();
    let gateway = Gateway::start(&Conf::new().service(tcp("line", port, &all).balance("type", strategy)));
    // Until every probe is in, only those that are up take any.
    let mut seen = HashSet::new();
    assert!(eventually(|| {
        seen.insert(name(&mut connect(port)));
        strategy == "ip_hash" || seen.len() == 3
    }));
    (gateway, port, servers)
}

/// The name of the server at the other end.
fn name(client: &mut Client) -> u8 {
    client.send(b"?");
    client.wire.exactly(2).expect("its name and the byte again")[0]
}

#[test]
fn least_conn_counts_connections_for_as_long_as_they_are_open() {
    let (_gateway, port, _servers) = three("LeastConn");
    let mut open = Vec::new();
    let opened = |open: &mut Vec<(u8, Client)>| {
        let mut client = connect(port);
        let name = name(&mut client);
        open.push((name, client));
        name
    };
    // What was open before goes within a moment.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let first: HashSet<_> = (0..3).map(|_| opened(&mut open)).collect();
    assert_eq!(first.len(), 3, "one each");
    for _ in 0..9 {
        opened(&mut open);
    }
    for server in *b"abc" {
        assert_eq!(open.iter().filter(|(name, _)| *name == server).count(), 4);
    }
    open.retain(|(name, _)| *name != b'b');
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!((0..4).map(|_| opened(&mut open)).collect::<Vec<_>>(), b"bbbb");
}

#[test]
fn ip_hash_keeps_each_client_with_its_server() {
    let (_gateway, port, _servers) = three("ip_hash");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut servers = HashSet::new();
    for client in 1..=24 {
        let ask = || {
            let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            name(&mut Client::connect_from(Ipv4Addr::new(127, 0, 9, client), gateway))
        };
        let asked: HashSet<_> = (0..3).map(|_| ask()).collect();
        assert_eq!(asked.len(), 1, "client {client}");
        servers.extend(asked);
    }
    assert_eq!(servers.len(), 3);
}
