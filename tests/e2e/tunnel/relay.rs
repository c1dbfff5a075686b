//! What a tunnel carries and how long it lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{ASK, SWITCH, echo_tunnel, gate, gate_with, switched};
use crate::support::{Conf, Gateway, Gone, Origin, eventually, pattern};

const MIB: usize = 1024 * 1024;

/// Switches, then runs the script.
fn after_switch(script: impl Fn(&mut crate::support::Peer) + Send + Sync + 'static) -> Origin {
    Origin::scripted(move |peer| {
        peer.request();
        peer.send(SWITCH);
        peer.wire.patience = Duration::from_secs(20);
        script(peer);
    })
}

#[test]
fn bytes_between_the_request_and_the_switch_stay_unread_until_then() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        thread::sleep(Duration::from_millis(600));
        peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
        peer.until_gone(Duration::from_millis(600));
    });
    let gateway = gate(&origin);
    let mut client = gateway.connect();
    client.send(ASK);
    assert!(eventually(|| origin.heads().len() == 1));
    // More than a gateway that reads on would keep from being noticed: the kernel's buffers fill.
    client.wire.patience = Duration::from_millis(500);
    let piece = vec![b'x'; 64 * 1024];
    let mut taken = 0;
    while taken < 64 * MIB && client.wire.try_send(&piece).is_ok() {
        taken += piece.len();
    }
    assert!(taken < 64 * MIB, "somebody reads what may not be HTTP");
    assert_eq!(origin.heads().len(), 1);
}

#[test]
fn eight_mebibytes_go_both_ways_at_once_as_they_are() {
    let origin = after_switch(|peer| {
        let bytes = pattern(8 * MIB);
        let (mut sending, receiving) = (peer.wire.socket().try_clone().expect("descriptors"), 8 * MIB);
        thread::scope(|scope| {
            scope.spawn(|| std::io::Write::write_all(&mut sending, &bytes).expect("the gateway takes it"));
            let came = peer.wire.exactly(receiving).expect("all of it");
            assert!(came == bytes, "what came up differs");
        });
        peer.wire.exactly(1).expect("word that the client has all");
        peer.send("+");
    });
    let gateway = gate(&origin);
    let mut client = switched(&gateway).patient(Duration::from_secs(20));
    let bytes = pattern(8 * MIB);
    let mut sending = client.wire.socket().try_clone().expect("descriptors");
    thread::scope(|scope| {
        scope.spawn(|| std::io::Write::write_all(&mut sending, &bytes).expect("the gateway takes it"));
        assert!(client.wire.exactly(8 * MIB).expect("all of it") == bytes, "what came down differs");
    });
    client.send("?");
    assert_eq!(client.wire.exactly(1).as_deref(), Ok(b"+".as_slice()));
}

#[test]
fn a_service_that_has_finished_is_still_sent_to() {
    let origin = after_switch(|peer| {
        peer.send("last");
        peer.wire.finish();
        let (came, gone) = peer.wire.rest();
        assert_eq!(gone, Gone::Closed);
        peer.wire.received.clear();
        peer.wire.received.extend(came);
    });
    let gateway = gate(&origin);
    let mut client = switched(&gateway);
    let (last, gone) = client.wire.rest();
    assert_eq!((last.as_slice(), gone), (b"last".as_slice(), Gone::Closed));
    // The other direction still works: a tunnel that was cut would answer this with a reset, and then refuse it.
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(100));
        client.send("on");
    }
}

#[test]
fn a_reset_on_one_side_ends_the_other() {
    let origin = after_switch(|peer| {
        peer.wire.exactly(1).expect("a byte");
        peer.reset_on_close();
    });
    let gateway = gate(&origin);
    let mut client = switched(&gateway);
    client.send("x");
    client.expect_end_of_connection();
}

#[test]
fn a_tunnel_on_which_nothing_moves_ends() {
    let origin = echo_tunnel();
    let gateway = gate_with(&origin, &[("tunnel_idle_timeout", 600)]);
    let mut client = switched(&gateway);
    client.wire.exactly(5).expect("the greeting");
    // As long as something moves it stays.
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(300));
        client.send("x");
        client.wire.exactly(1).expect("the echo");
    }
    let still = Instant::now();
    client.expect_end_of_connection();
    assert!(still.elapsed() >= Duration::from_millis(600), "{:?}", still.elapsed());
}

#[test]
fn a_tunnel_has_no_longer_life_than_its_service_allows() {
    let origin = echo_tunnel();
    let gateway = gate_with(&origin, &[("tunnel_life_max", 800)]);
    let begun = Instant::now();
    let mut client = switched(&gateway);
    client.wire.exactly(5).expect("the greeting");
    while client.wire.try_send(b"x").is_ok() && client.wire.exactly(1).is_ok() {
        thread::sleep(Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(10), "it lives on");
    }
    assert!(begun.elapsed() >= Duration::from_millis(800), "{:?}", begun.elapsed());
}

#[test]
fn what_one_side_does_not_take_waits_in_the_kernel() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let origin = after_switch(move |peer| {
        let piece = vec![b'x'; 256 * 1024];
        peer.wire.patience = Duration::from_secs(3);
        while peer.send(&piece) {
            count.fetch_add(piece.len(), Ordering::SeqCst);
        }
    });
    let gateway = gate(&origin);
    let mut clients: Vec<_> = (0..8).map(|_| switched(&gateway)).collect();
    let before = gateway.resident_bytes();
    thread::sleep(Duration::from_millis(1_500));
    let (taken, grown) = (sent.load(Ordering::SeqCst), gateway.resident_bytes().saturating_sub(before));
    // One buffer of 256 KiB for each.
    assert!(taken > 16 * MIB && grown < 4 * MIB, "{taken} bytes were taken, {grown} of them are in the gateway");
    let more = clients[0].wire.exactly(16 * MIB).expect("it flows again");
    assert!(more.iter().all(|byte| *byte == b'x'));
}

#[test]
fn an_idle_tunnel_costs_little_memory() {
    let origin = after_switch(|peer| while peer.wire.exactly(1).is_ok() && peer.send("x") {});
    let gateway = Gateway::start(&Conf::of(&origin).cores(1));
    let open = |count| {
        let mut clients: Vec<_> = (0..count).map(|_| switched(&gateway)).collect();
        for client in &mut clients {
            client.send("x");
            client.wire.exactly(1).expect("the echo");
        }
        clients
    };
    let _first = open(100);
    let before = gateway.resident_bytes();
    let _more = open(1_000);
    let grown = gateway.resident_bytes().saturating_sub(before);
    // Memory comes in huge pages of 2 MiB, so a few thousand bytes each and two of those pages. Two receives that
    // wait would hold 8 KiB each tunnel by themselves.
    assert!(grown < 10 * MIB, "{grown} bytes");
}
