//! Filters of tcp services: asked before the dial.

use std::net::Ipv4Addr;

use super::gateway;
use crate::support::gateway::free_port;
use crate::support::{Client, Conf, Gone, Service, saying_hello};

#[test]
fn a_connection_that_a_filter_does_not_admit_is_closed_without_a_byte() {
    let node = saying_hello();
    let port = free_port();
    let service = Service::with_nodes("line", vec![node]).base("load_type", "tcp");
    let service = service.base("frontend_addr", format!("127.0.0.1:{port}")).balance("check_method", "tcpchk");
    let service = service.filter("only", "client = \"127.0.0.5\"\nservice = \"line\"");
    let _gateway = gateway(Conf::new().service(service));
    let to = (Ipv4Addr::LOCALHOST, port).into();
    assert_eq!(Client::connect_from(Ipv4Addr::new(127, 0, 0, 5), to).wire.exactly(5), Ok(b"hello".to_vec()));
    let mut other = Client::connect_from(Ipv4Addr::new(127, 0, 0, 6), to);
    let (bytes, gone) = other.wire.rest();
    assert!(bytes.is_empty() && gone != Gone::Silent, "{bytes:?} {gone:?}");
}
