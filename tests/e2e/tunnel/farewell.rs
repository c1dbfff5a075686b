//! A WebSocket when the gateway stops: Close 1001 where a frame ends, an answer awaited, then the end.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{SWITCH, switched};
use crate::support::{Client, Conf, Gateway, Gone, Origin, Peer};

/// Close 1001 as a server sends it.
const CLOSE: &[u8] = &[0x88, 2, 0x03, 0xe9];
/// A masked Close 1001.
const MASKED_CLOSE: &[u8] = &[0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2];

/// Switches and runs the script; the receiver gets what it gives.
fn service<T: Send + 'static>(script: impl Fn(&mut Peer) -> T + Send + Sync + 'static) -> (Origin, mpsc::Receiver<T>) {
    let (given, taken) = mpsc::channel();
    let given = std::sync::Mutex::new(given);
    let origin = Origin::scripted(move |peer| {
        peer.request();
        peer.send(SWITCH);
        peer.wire.patience = Duration::from_secs(20);
        let value = script(peer);
        let _ = given.lock().expect("no panic").send(value);
    });
    (origin, taken)
}

fn gate(origin: &Origin, window_s: i64) -> Gateway {
    Gateway::start(&Conf::of(origin).base("drain_window", window_s))
}

fn stop(mut gateway: Gateway) {
    assert_eq!(gateway.wait(Duration::from_secs(20)).code(), Some(0));
}

/// A masked frame unmasked.
fn unmasked(frame: &[u8]) -> Vec<u8> {
    assert_eq!(frame[1] & 0x80, 0x80, "a server's peer masks");
    let payload = frame[6..].iter().zip(frame[2..6].iter().cycle()).map(|(byte, key)| byte ^ key);
    [frame[0], frame[1] & 0x7f].into_iter().chain(payload).collect()
}

#[test]
fn both_sides_are_told_and_their_answers_end_the_tunnel() {
    let (origin, told) = service(|peer| {
        let close = peer.wire.exactly(8).expect("a Close");
        peer.send(CLOSE);
        (close, peer.wire.rest())
    });
    let gateway = gate(&origin, 3);
    let mut client = switched(&gateway);
    let start = Instant::now();
    gateway.signal(Signal::TERM);
    assert_eq!(client.wire.exactly(4).as_deref(), Ok(CLOSE));
    client.send(MASKED_CLOSE);
    client.expect_close();
    let (close, (rest, gone)) = told.recv_timeout(Duration::from_secs(10)).expect("the service was told");
    assert_eq!((unmasked(&close).as_slice(), rest.as_slice(), gone), (CLOSE, &b""[..], Gone::Closed));
    stop(gateway);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn who_does_not_answer_is_not_waited_for_long() {
    let (origin, _told) = service(|peer| peer.wire.rest());
    let gateway = gate(&origin, 20);
    let mut client = switched(&gateway);
    gateway.signal(Signal::TERM);
    client.wire.patience = Duration::from_secs(25);
    assert_eq!(client.wire.exactly(4).as_deref(), Ok(CLOSE));
    let told = Instant::now();
    client.expect_close();
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

#[test]
fn a_frame_on_its_way_is_finished_first() {
    // A binary frame of 300 bytes, of which the service sends 100 before the gateway stops.
    let (origin, _told) = service(|peer| {
        let mut frame = vec![0x82, 126, 1, 44];
        frame.resize(304, b'f');
        peer.send(&frame[..100]);
        peer.wire.exactly(8).expect("the service is told meanwhile");
        thread::sleep(Duration::from_millis(300));
        // What comes after the frame belongs to nobody any more.
        frame.extend([0x82, 1, b'g']);
        peer.send(&frame[100..]);
        peer.wire.rest()
    });
    let gateway = gate(&origin, 1);
    let mut client = switched(&gateway);
    client.wire.exactly(100).expect("the first part");
    gateway.signal(Signal::TERM);
    let (rest, gone) = client.wire.rest();
    assert_eq!((&rest[..204], &rest[204..], gone), (&[b'f'; 204][..], CLOSE, Gone::Closed));
}

#[test]
fn what_comes_in_part_is_not_broken_into() {
    let (origin, _told) = service(|peer| {
        peer.send([0x82, 100, b'f']);
        peer.wire.rest()
    });
    let gateway = gate(&origin, 1);
    let mut client = switched(&gateway);
    client.wire.exactly(3).expect("the first part");
    gateway.signal(Signal::TERM);
    client.expect_end_of_connection();
}

#[test]
fn who_is_closing_by_itself_is_told_nothing() {
    let (origin, told) = service(|peer| peer.wire.rest());
    let gateway = gate(&origin, 1);
    let mut client = switched(&gateway);
    client.send(MASKED_CLOSE);
    thread::sleep(Duration::from_millis(200));
    gateway.signal(Signal::TERM);
    client.expect_end_of_connection();
    let (came, _) = told.recv_timeout(Duration::from_secs(10)).expect("the tunnel ends");
    assert_eq!(came, MASKED_CLOSE);
}

#[test]
fn what_is_no_websocket_is_only_cut() {
    let (origin, told) = service(|peer| {
        peer.send("these are no frames");
        peer.wire.rest()
    });
    let gateway = gate(&origin, 1);
    let mut client = switched(&gateway);
    client.wire.exactly(19).expect("they pass as they are");
    gateway.signal(Signal::TERM);
    client.expect_end_of_connection();
    let (came, _) = told.recv_timeout(Duration::from_secs(10)).expect("the tunnel ends");
    assert_eq!(came, b"");
}

#[test]
fn tunnels_do_not_all_end_at_once() {
    let (origin, _told) = service(|peer| {
        peer.wire.exactly(8).expect("a Close");
        peer.send(CLOSE);
    });
    let gateway = gate(&origin, 5);
    let clients: Vec<_> = (0..30).map(|_| switched(&gateway)).collect();
    gateway.signal(Signal::TERM);
    let begun = Instant::now();
    let told = |mut client: Client| {
        assert_eq!(client.wire.exactly(4).as_deref(), Ok(CLOSE));
        client.send(MASKED_CLOSE);
        begun.elapsed()
    };
    let times: Vec<_> = thread::scope(|scope| {
        let waiting: Vec<_> = clients.into_iter().map(|client| scope.spawn(move || told(client))).collect();
        waiting.into_iter().map(|one| one.join().expect("told")).collect()
    });
    let (first, last) = (times.iter().min().expect("some"), times.iter().max().expect("some"));
    assert!(*last - *first > Duration::from_millis(1_500), "from {first:?} to {last:?}");
}
