//! What a tunnel of a tcp service carries when much flows: it is spliced then, through pipes of the core.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Server, connect, in_front_of, tcp};
use crate::support::gateway::free_port;
use crate::support::wire::Wire;
use crate::support::{Client, Conf, Gateway, Gone, PATIENCE, pattern};

const MIB: usize = 1024 * 1024;

/// Sends the bytes on one thread and receives as many on another; what came.
fn both_ways(wire: &mut Wire, bytes: &[u8]) -> Vec<u8> {
    let mut sending = wire.socket().try_clone().expect("descriptors");
    thread::scope(|scope| {
        scope.spawn(|| std::io::Write::write_all(&mut sending, bytes).expect("the gateway takes it"));
        wire.exactly(bytes.len()).expect("all of it")
    })
}

/// Takes a byte, then sends without an end.
fn fountain() -> Server {
    Server::scripted(|mut wire| {
        let piece = vec![b'x'; 256 * 1024];
        wire.patience = Duration::from_secs(120);
        while wire.try_send(&piece).is_ok() {}
    })
}

#[test]
fn much_goes_both_ways_at_once_as_it_is_and_small_pieces_after_it() {
    let server = Server::scripted(|mut wire| {
        wire.patience = Duration::from_secs(20);
        let bytes = pattern(32 * MIB);
        assert!(both_ways(&mut wire, &bytes) == bytes, "what came up differs");
        while let Ok(byte) = wire.exactly(1) {
            let _ = wire.try_send(&byte);
        }
    });
    let (conf, port) = in_front_of(&server);
    let _gateway = Gateway::start(&conf);
    let mut client = connect(port).patient(Duration::from_secs(20));
    let bytes = pattern(32 * MIB);
    assert!(both_ways(&mut client.wire, &bytes) == bytes, "what came down differs");
    for round in 0..100_u8 {
        client.send([round]);
        assert_eq!(client.wire.exactly(1), Ok(vec![round]));
    }
}

#[test]
fn a_reader_that_pauses_gets_all_in_the_end() {
    let server = Server::scripted(|mut wire| {
        wire.patience = Duration::from_secs(20);
        wire.exactly(1).expect("the first byte");
        assert_eq!(wire.try_send(&pattern(24 * MIB)), Ok(()));
        wire.finish();
    });
    let (conf, port) = in_front_of(&server);
    let _gateway = Gateway::start(&conf);
    let mut client = connect(port).patient(Duration::from_secs(20));
    client.send("?");
    let mut came = Vec::new();
    for _ in 0..24 {
        thread::sleep(Duration::from_millis(20));
        came.extend(client.wire.exactly(MIB).expect("more of it"));
    }
    assert!(came == pattern(24 * MIB), "what came differs");
    client.expect_close();
}

#[test]
fn many_who_read_nothing_leave_the_others_their_way() {
    let (server, quick) = (fountain(), Server::named("quick"));
    let (stuck_port, quick_port) = (free_port(), free_port());
    let services = [tcp("stuck", stuck_port, &[&server]), tcp("quick", quick_port, &[&quick])];
    let gateway = Gateway::start(&services.into_iter().fold(Conf::new().cores(1), Conf::service));
    let before = gateway.resident_bytes();
    // More than a core has pipes.
    let mut stuck: Vec<Client> = (0..70).map(|_| connect(stuck_port)).collect();
    stuck.iter_mut().for_each(|client| client.send("?"));
    thread::sleep(Duration::from_millis(1_500));
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 70 * 300 * 1024, "{grown} bytes");
    let mut client = connect(quick_port);
    client.send("!");
    assert_eq!(client.wire.exactly(6).as_deref(), Ok(b"quick!".as_slice()));
    // Whoever reads again is served again: some have their bytes in a pipe, some in a buffer.
    for client in stuck.iter_mut().step_by(39) {
        client.wire.patience = Duration::from_secs(20);
        let came = client.wire.exactly(12 * MIB).expect("it flows");
        assert!(came.iter().all(|byte| *byte == b'x'));
        let _ = client.wire.socket().shutdown(std::net::Shutdown::Both);
    }
}

#[test]
fn one_on_which_nothing_moves_ends() {
    let server = Server::named("quiet");
    let port = free_port();
    let service = tcp("quiet", port, &[&server]).balance("tunnel_idle_timeout", 500);
    let _gateway = Gateway::start(&Conf::new().service(service));
    let mut client = connect(port);
    client.send("?");
    assert_eq!(client.wire.exactly(6).as_deref(), Ok(b"quiet?".as_slice()));
    client.expect_end_of_connection();
}

/// A server that resets once it has heard something, or tells how its connection ended.
fn breaking(resets: bool) -> (Server, mpsc::Receiver<Gone>) {
    let (tell, told) = mpsc::channel();
    let server = Server::scripted(move |mut wire| {
        let _ = wire.exactly(1);
        let _ = wire.try_send(b"!");
        if resets {
            return wire.reset();
        }
        let _ = tell.send(wire.rest().1);
    });
    (server, told)
}

#[test]
fn a_reset_of_the_server_is_a_reset_to_the_client() {
    let (server, _told) = breaking(true);
    let (conf, port) = in_front_of(&server);
    let _gateway = Gateway::start(&conf);
    let mut client = connect(port);
    client.send("?");
    let (_, gone) = client.wire.rest();
    assert_eq!(gone, Gone::Reset, "an end would look like all there was");
}

#[test]
fn a_reset_of_the_client_is_a_reset_to_the_server() {
    let (server, told) = breaking(false);
    let (conf, port) = in_front_of(&server);
    let _gateway = Gateway::start(&conf);
    let mut client = connect(port);
    client.send("?");
    assert_eq!(client.wire.exactly(1).as_deref(), Ok(b"!".as_slice()));
    client.wire.reset();
    assert_eq!(told.recv_timeout(PATIENCE).expect("the connection ends"), Gone::Reset);
}
