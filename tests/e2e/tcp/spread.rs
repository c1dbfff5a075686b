//! Connections to a tcp service spread over the workers like all others.

use std::time::Duration;

use rustix::process::Signal;

use super::{Server, connect, in_front_of};
use crate::support::{Client, Gateway};
use crate::workers::even::spread;

#[test]
fn connections_are_handed_over_and_get_their_tunnel() {
    let server = Server::named("x");
    let (conf, port) = in_front_of(&server);
    let mut gateway = Gateway::start(&conf.cores(8).base("drain_window", 0));
    let mut clients: Vec<Client> = (0..200).map(|_| connect(port)).collect();
    for client in &mut clients {
        client.send(b"?");
        assert_eq!(client.wire.exactly(2).as_deref(), Ok(&b"x?"[..]));
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    let (connections, handed) = spread(&gateway);
    assert_eq!(connections.iter().sum::<u64>(), 200);
    assert!(handed > 0, "{connections:?}");
    assert!(connections.iter().all(|count| *count <= 32), "25 each on average: {connections:?}");
}
