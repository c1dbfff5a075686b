//! Streams of receives on real sockets: nothing is lost, nothing piles up, nothing is left behind.

use std::cell::Cell;
use std::io::{Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::RINGS;
use super::bytes;
use super::connection;
use super::eventually;
use super::everything;
use super::flights;
use super::on_best;
use super::pause;
use super::poll_once;
use super::run;
use crate::limits::{LARGE_BUFFERS_MAX, SMALL_BUFFER_BYTES};
use crate::worker::io::{Connection, Received};
use crate::worker::runtime::{Sizes, spawn};
use crate::worker::shard::buffer::{Buffers, Class};
use crate::worker::thread::driver::Driver;

fn streaming(buffers: &Buffers) -> (Connection, std::net::TcpStream) {
    let (mut connection, peer) = connection(buffers);
    connection.rx.may_stream();
    (connection, peer)
}

#[test]
fn small_messages_come_by_one_operation() {
    on_best(async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = streaming(&buffers);
        for round in 0..100_u8 {
            peer.write_all(&[round; 7]).unwrap();
            assert_eq!(bytes(connection.rx.receive(Class::Small).await), [round; 7]);
            assert_eq!(flights(), 1, "the stream, which goes on");
        }
        drop(peer);
        assert!(matches!(connection.rx.receive(Class::Small).await, Received::End));
        assert_eq!((flights(), buffers.leased()), (0, 0));
    });
}

#[test]
fn large_and_small_pieces_come_in_order() {
    for driver in RINGS {
        run(driver, Sizes::default(), async {
            let buffers = Buffers::default();
            let (mut connection, mut peer) = streaming(&buffers);
            let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
            let expected = sent.clone();
            std::thread::spawn(move || {
                // Bursts that flood, with small messages between them.
                for (index, piece) in sent.chunks(100_000).enumerate() {
                    peer.write_all(&piece[..50]).unwrap();
                    std::thread::sleep(Duration::from_millis(index as u64 % 3));
                    peer.write_all(&piece[50..]).unwrap();
                }
            });
            let came = everything(&mut connection).await;
            assert!(came == expected, "{} of {} bytes", came.len(), expected.len());
            assert_eq!((flights(), buffers.leased()), (0, 0));
        });
    }
}

#[test]
fn what_nobody_takes_stops_coming() {
    on_best(async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = streaming(&buffers);
        assert!(poll_once(pin!(connection.rx.receive(Class::Small))).is_pending());
        let writer = std::thread::spawn(move || {
            peer.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut sent = 0;
            while let Ok(count) = peer.write(&[7; 65_536]) {
                sent += count;
            }
            (peer, sent)
        });
        pause(500).await;
        let first = bytes(connection.rx.receive(Class::Small).await).len();
        // Thirty-two receives are what the kernel makes of a stream before others have their turn.
        assert!(first <= 64 * SMALL_BUFFER_BYTES, "{first} bytes came unasked");
        let (peer, sent) = writer.join().unwrap();
        drop(peer);
        let mut came = first;
        while let Received::Data(lease) = connection.rx.receive(Class::Large).await {
            came += lease.bytes().len();
        }
        assert_eq!(came, sent);
    });
}

#[test]
fn a_settled_stream_hands_over_what_came_and_receives_no_more() {
    for driver in RINGS {
        run(driver, Sizes::default(), async {
            let buffers = Buffers::default();
            let (mut connection, mut peer) = streaming(&buffers);
            assert!(poll_once(pin!(connection.rx.receive(Class::Small))).is_pending());
            peer.write_all(b"early").unwrap();
            pause(5).await;
            let came = connection.rx.settle().await.map(|lease| lease.bytes().to_vec());
            assert_eq!(came.as_deref(), Some(&b"early"[..]));
            assert!(connection.rx.settle().await.is_none());
            peer.write_all(b"late").unwrap();
            pause(5).await;
            assert_eq!(flights(), 0);
            assert!(connection.into_socket().is_some(), "nothing is pending");
        });
    }
}

#[test]
fn a_connection_that_is_dropped_under_a_stream_is_closed() {
    on_best(async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = streaming(&buffers);
        assert!(poll_once(pin!(connection.rx.receive(Class::Small))).is_pending());
        peer.write_all(b"unread").unwrap();
        pause(5).await;
        drop(connection);
        eventually(|| flights() == 0).await;
        assert_eq!(buffers.leased(), 0);
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let ended = peer.read(&mut [0]);
        assert!(!ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{ended:?}");
        assert_ne!(ended.ok(), Some(1));
    });
}

#[test]
fn more_streams_than_buffers_starve_nobody() {
    let sizes = Sizes { buffers: [2, 2], ..Sizes::default() };
    run(Driver::UringDefer, sizes, async {
        let buffers = Buffers::default();
        let served = Rc::new(Cell::new(0));
        let mut peers = Vec::new();
        for _ in 0..100 {
            let (mut connection, peer) = streaming(&buffers);
            let served = served.clone();
            // Each waits before anything comes, so that only its stream can wake it.
            spawn(async move {
                for round in 0..3_u8 {
                    assert_eq!(bytes(connection.rx.receive(Class::Small).await), [round; 100]);
                    served.set(served.get() + 1);
                }
            });
            peers.push(peer);
        }
        for round in 0..3_u8 {
            pause(5).await;
            for peer in &mut peers {
                peer.write_all(&[round; 100]).unwrap();
            }
            eventually(|| served.get() == 100 * (usize::from(round) + 1)).await;
        }
    });
}

/// An answer as large as these is taken with the buffer that it came in, of which there are as many as before.
#[test]
fn large_answers_come_in_order_with_room_for_a_head_however_many_are_held() {
    for driver in RINGS {
        run(driver, Sizes { buffers: [4, 4], ..Sizes::default() }, async {
            let buffers = Buffers::default();
            let (mut connection, mut peer) = streaming(&buffers);
            connection.rx.expect_answers();
            let mut held = Vec::new();
            for round in 0..LARGE_BUFFERS_MAX + 20 {
                let answer: Vec<u8> = (0..16_000).map(|at| ((round + at) % 251) as u8).collect();
                peer.write_all(&answer).unwrap();
                let mut came = Vec::new();
                while came.len() < answer.len() {
                    let Received::Data(lease) = connection.rx.receive(Class::Small).await else { panic!("{round}") };
                    came.extend_from_slice(lease.bytes());
                    held.push((came.len(), lease));
                }
                assert!(came == answer, "{round}");
            }
            // Whichever driver it was, what is held is not written to by what came later.
            for (round, answer) in held.chunk_by(|(before, _), (after, _)| before < after).enumerate() {
                let whole: Vec<u8> = answer.iter().flat_map(|(_, lease)| lease.bytes()).copied().collect();
                assert!((0..16_000).all(|at| whole[at] == ((round + at) % 251) as u8), "{round}");
            }
            drop((peer, held));
            assert!(matches!(connection.rx.receive(Class::Small).await, Received::End));
            assert_eq!((flights(), buffers.leased()), (0, 0));
        });
    }
}

#[test]
fn a_large_answer_leaves_room_for_the_head_that_is_put_before_it() {
    on_best(async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = streaming(&buffers);
        connection.rx.expect_answers();
        peer.write_all(&[7; 16_000]).unwrap();
        let Received::Data(mut lease) = connection.rx.receive(Class::Small).await else { panic!("an answer") };
        assert!(lease.front_bytes() >= 500, "{}", lease.front_bytes());
        lease.precede(b"head");
        assert!(lease.bytes().starts_with(b"head\x07"));
    });
}
