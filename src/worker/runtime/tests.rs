//! The executor and the ring on real sockets, on every rung of the ladder where it may matter.

mod streams;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Descriptor;
use super::Executor;
use super::Group;
use super::Sizes;
use super::Work;
use super::sleep;
use super::spawn;
use crate::limits::{FLOW_TURN_BYTES, LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES};
use crate::worker::io::{Connection, Received};
use crate::worker::shard::buffer::{Buffers, Class};
use crate::worker::thread::driver::Driver;

pub(super) const RINGS: [Driver; 3] = [Driver::UringDefer, Driver::UringCoop, Driver::UringPlain];

pub(super) fn run<F: Future>(driver: Driver, sizes: Sizes, future: F) -> F::Output {
    driver.runtime_of(sizes).unwrap().block_on(future)
}

pub(super) fn on_best<F: Future>(future: F) -> F::Output {
    run(Driver::UringDefer, Sizes::default(), future)
}

fn descriptor(stream: UnixStream) -> Rc<Descriptor> {
    Descriptor::new(stream.into(), Executor::current().unwrap())
}

pub(super) fn flights() -> usize {
    Executor::current().unwrap().flights()
}

pub(super) async fn pause(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

/// Waits for what the kernel does in its own time.
pub(super) async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if what() {
            return;
        }
        pause(2).await;
    }
    assert!(what(), "not within four seconds");
}

pub(super) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A connection on the ring, and its peer.
pub(super) fn connection(buffers: &Buffers) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    (Connection::accepted(stream, buffers).unwrap(), peer)
}

pub(super) fn bytes(received: Received) -> Vec<u8> {
    match received {
        Received::Data(lease) => lease.bytes().to_vec(),
        other => panic!("{other:?} instead of bytes"),
    }
}

#[test]
fn a_receive_that_was_given_up_loses_no_bytes() {
    for driver in RINGS {
        run(driver, Sizes::default(), async {
            let buffers = Buffers::default();
            let (mut connection, mut peer) = connection(&buffers);
            let mut came = Vec::new();
            let mut sent = Vec::new();
            for round in 0..200_u8 {
                assert!(poll_once(pin!(connection.rx.receive(Class::Small))).is_pending());
                peer.write_all(&[round; 3]).unwrap();
                sent.extend([round; 3]);
                if round % 3 == 0 {
                    pause(1).await;
                }
                // Given up again: before it completed, after, and with its outcome never looked at.
                if round % 2 == 0
                    && let Poll::Ready(received) = poll_once(pin!(connection.rx.receive(Class::Small)))
                {
                    came.extend(bytes(received));
                }
                while came.len() < sent.len() {
                    came.extend(bytes(connection.rx.receive(Class::Small).await));
                }
            }
            assert_eq!(came, sent);
        });
    }
}

#[test]
fn a_waiting_receive_holds_no_buffer() {
    on_best(async {
        let buffers = Buffers::default();
        drop(buffers.lease(Class::Small));
        let (mut connection, mut peer) = connection(&buffers);
        assert!(poll_once(pin!(connection.rx.receive(Class::Small))).is_pending());
        pause(5).await;
        assert_eq!(buffers.shelved(Class::Small), 1, "the receive took none");
        peer.write_all(b"now").unwrap();
        assert_eq!(bytes(connection.rx.receive(Class::Small).await), b"now");
    });
}

#[test]
fn a_body_that_flows_and_is_waited_for_holds_no_buffer() {
    on_best(async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = connection(&buffers);
        peer.write_all(&[b'x'; SMALL_BUFFER_BYTES]).unwrap();
        assert_eq!(bytes(connection.rx.receive(Class::Small).await).len(), SMALL_BUFFER_BYTES);
        {
            let mut waiting = pin!(connection.rx.receive(Class::Huge));
            assert!(poll_once(waiting.as_mut()).is_pending());
            pause(5).await;
            assert_eq!(buffers.leased(), 0);
            peer.write_all(&[b'y'; SMALL_BUFFER_BYTES]).unwrap();
            assert_eq!(bytes(waiting.await).len(), SMALL_BUFFER_BYTES);
        }
        assert!(poll_once(pin!(connection.rx.receive(Class::Huge))).is_pending());
        assert!(connection.into_socket().is_some(), "a wait holds nothing that could be lost");
    });
}

#[test]
fn a_body_that_flows_lets_others_have_their_turn() {
    on_best(async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = connection(&buffers);
        let writer = std::thread::spawn(move || while peer.write_all(&[b'x'; 1 << 20]).is_ok() {});
        let mut longest = 0;
        for _ in 0..50 {
            let mut at_once = 0;
            while let Poll::Ready(received) = poll_once(pin!(connection.rx.receive(Class::Large))) {
                at_once += bytes(received).len();
            }
            longest = longest.max(at_once);
            let _ = connection.rx.receive(Class::Large).await;
        }
        assert!(longest < FLOW_TURN_BYTES + LARGE_BUFFER_BYTES, "{longest}");
        drop(connection);
        writer.join().unwrap();
    });
}

/// What comes until the end, taken by small and large receives in turn.
async fn everything(connection: &mut Connection) -> Vec<u8> {
    let mut came = Vec::new();
    for class in [Class::Small, Class::Large, Class::Large, Class::Small].into_iter().cycle() {
        match connection.rx.receive(class).await {
            Received::Data(lease) => came.extend_from_slice(lease.bytes()),
            Received::End => break,
            Received::Broken => panic!("broken after {}", came.len()),
        }
    }
    came
}

#[test]
fn large_and_small_receives_bring_the_stream_in_order() {
    on_best(async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = connection(&buffers);
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let expected = sent.clone();
        std::thread::spawn(move || peer.write_all(&sent).unwrap());
        let came = everything(&mut connection).await;
        assert!(came == expected, "{} of {} bytes", came.len(), expected.len());
    });
}

#[test]
fn a_send_that_was_given_up_keeps_its_lease_until_it_completes() {
    on_best(async {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        let socket = descriptor(stream);
        let buffers = Buffers::default();
        let filled = |byte: u8| {
            let mut lease = buffers.lease(Class::Large);
            lease.vec().extend_from_slice(&[byte; 60_000]);
            lease
        };
        let mut sent = 0;
        let mut sending = socket.begin(Work::Send(filled(1)));
        while let Poll::Ready(outcome) = {
            pause(5).await;
            poll_once(Pin::new(&mut sending))
        } {
            sent += outcome.result.unwrap();
            sending = socket.begin(Work::Send(filled(1)));
        }
        let shelved = buffers.shelved(Class::Large);
        drop(sending);
        assert_eq!((flights(), buffers.shelved(Class::Large)), (1, shelved), "the kernel has it");
        eventually(|| flights() == 0).await;
        assert_eq!(buffers.shelved(Class::Large), shelved + 1);
        drop(socket);
        let mut came = Vec::new();
        peer.read_to_end(&mut came).unwrap();
        assert!(came.len() >= sent && came.iter().all(|byte| *byte == 1));
    });
}

#[test]
fn more_receives_than_buffers_starve_nobody() {
    for driver in RINGS {
        let sizes = Sizes { buffers: [2, 2], ..Sizes::default() };
        run(driver, sizes, async {
            let buffers = Buffers::default();
            let mut pairs: Vec<_> = (0..100).map(|_| connection(&buffers)).collect();
            for (connection, _) in &mut pairs {
                assert!(poll_once(pin!(connection.rx.receive(Class::Small))).is_pending());
            }
            pause(5).await;
            for (index, (_, peer)) in pairs.iter_mut().enumerate() {
                peer.write_all(&[index as u8; 100]).unwrap();
            }
            for (index, (connection, _)) in pairs.iter_mut().enumerate() {
                assert_eq!(bytes(connection.rx.receive(Class::Small).await), [index as u8; 100]);
            }
            assert_eq!(flights(), 0);
        });
    }
}

#[test]
fn without_provided_buffers_receives_bring_their_own() {
    let sizes = Sizes { buffers: [0, 0], ..Sizes::default() };
    run(Driver::UringPlain, sizes, async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = connection(&buffers);
        for word in [&b"one"[..], b"two", b"three"] {
            peer.write_all(word).unwrap();
            assert_eq!(bytes(connection.rx.receive(Class::Small).await), word);
        }
        drop(peer);
        assert!(matches!(connection.rx.receive(Class::Small).await, Received::End));
    });
}

#[test]
fn a_wait_that_was_given_up_is_cancelled_and_its_socket_closed() {
    for driver in RINGS {
        run(driver, Sizes::default(), async {
            let (stream, mut peer) = UnixStream::pair().unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let socket = descriptor(stream);
            let mut waiting = socket.begin(Work::Readable);
            assert!(poll_once(Pin::new(&mut waiting)).is_pending());
            pause(5).await;
            drop((waiting, socket));
            assert_eq!(flights(), 1, "the kernel has not let go of it yet");
            eventually(|| flights() == 0).await;
            assert_eq!(peer.read(&mut [0]).unwrap(), 0, "closed");
        });
    }
}

#[test]
fn a_connection_that_is_dropped_under_a_receive_is_closed() {
    on_best(async {
        let buffers = Buffers::default();
        let (mut connection, mut peer) = connection(&buffers);
        peer.write_all(&[0; SMALL_BUFFER_BYTES]).unwrap();
        assert_eq!(bytes(connection.rx.receive(Class::Small).await).len(), SMALL_BUFFER_BYTES);
        // It flows, so this one brings its own buffer.
        assert!(poll_once(pin!(connection.rx.receive(Class::Large))).is_pending());
        pause(5).await;
        drop(connection);
        eventually(|| flights() == 0).await;
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        assert_eq!(buffers.shelved(Class::Large), 1);
    });
}

#[test]
fn dialling_says_why_it_failed() {
    on_best(async {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = Connection::dial(closed, &Buffers::default()).await.err().unwrap();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let nowhere = Connection::dial_unix("/nowhere/at/all".as_ref(), &Buffers::default()).await.err().unwrap();
        assert_eq!(nowhere.kind(), std::io::ErrorKind::NotFound);
        assert_eq!(flights(), 0);
    });
}

#[test]
fn timers_fire_in_their_order() {
    for driver in RINGS {
        run(driver, Sizes::default(), async {
            let order = Rc::new(RefCell::new(Vec::new()));
            let begun = Instant::now();
            let tasks: Vec<_> = [60, 20, 40, 20]
                .map(|ms| {
                    let order = order.clone();
                    spawn(async move {
                        pause(ms).await;
                        assert!(begun.elapsed() >= Duration::from_millis(ms), "{ms} ms are not over");
                        order.borrow_mut().push(ms);
                    })
                })
                .into();
            for task in tasks {
                task.await;
            }
            assert_eq!(*order.borrow(), [20, 20, 40, 60]);
        });
    }
}

#[test]
fn a_timer_that_was_given_up_does_not_fire() {
    on_best(async {
        let fired = Rc::new(Cell::new(false));
        let task = {
            let fired = fired.clone();
            spawn(async move {
                let mut given_up = Box::pin(pause(10));
                poll_fn(|cx| {
                    assert!(given_up.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                drop(given_up);
                poll_fn(|_| {
                    fired.set(true);
                    Poll::<()>::Pending
                })
                .await;
            })
        };
        pause(1).await;
        fired.set(false);
        pause(40).await;
        assert!(!fired.get(), "woken by a timer that nobody waits for");
        drop(task);
    });
}

/// Wakes itself whenever it runs.
async fn restless(stop: Rc<Cell<bool>>) {
    poll_fn(|cx| {
        if stop.get() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn tasks_that_wake_themselves_delay_neither_timers_nor_sockets() {
    for driver in RINGS {
        run(driver, Sizes::default(), async {
            let stop = Rc::new(Cell::new(false));
            let tasks: Vec<_> = (0..3).map(|_| spawn(restless(stop.clone()))).collect();
            let buffers = Buffers::default();
            let (mut connection, mut peer) = connection(&buffers);
            let mut late: Vec<_> = Vec::new();
            for _ in 0..20 {
                let begun = Instant::now();
                pause(10).await;
                peer.write_all(b"x").unwrap();
                assert_eq!(bytes(connection.rx.receive(Class::Small).await), b"x");
                late.push(begun.elapsed().saturating_sub(Duration::from_millis(10)));
            }
            stop.set(true);
            for task in tasks {
                task.await;
            }
            late.sort_unstable();
            // The worst are the machine's: other processes have its cores, too.
            assert!(late[10] <= Duration::from_millis(20), "{driver}: {late:?}");
        });
    }
}

#[test]
fn a_task_that_is_over_is_not_woken() {
    on_best(async {
        let kept = Rc::new(RefCell::new(None));
        let first = {
            let kept = kept.clone();
            spawn(poll_fn(move |cx| {
                *kept.borrow_mut() = Some(cx.waker().clone());
                Poll::Ready(())
            }))
        };
        first.await;
        let runs = Rc::new(Cell::new(0));
        let second = {
            let runs = runs.clone();
            spawn(poll_fn(move |_| {
                runs.set(runs.get() + 1);
                Poll::<()>::Pending
            }))
        };
        pause(1).await;
        kept.borrow_mut().take().unwrap().wake();
        pause(1).await;
        assert_eq!(runs.get(), 1, "the second task has the slot of the first");
        drop(second);
    });
}

#[test]
fn a_wake_on_another_thread_harms_nobody() {
    on_best(async {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        std::thread::spawn(move || waker.wake()).join().unwrap();
    });
}

#[test]
fn more_completions_than_the_queue_holds_are_all_seen() {
    for driver in RINGS {
        let sizes = Sizes { submissions: 8, completions: 16, buffers: [4, 4] };
        run(driver, sizes, async {
            let (sockets, peers): (Vec<_>, Vec<_>) = (0..200)
                .map(|_| {
                    let (stream, peer) = UnixStream::pair().unwrap();
                    (descriptor(stream), peer)
                })
                .unzip();
            let mut waits: Vec<_> = sockets.iter().map(|socket| socket.begin(Work::Readable)).collect();
            pause(5).await;
            for mut peer in &peers {
                peer.write_all(b"x").unwrap();
            }
            for wait in &mut waits {
                assert!(wait.await.result.is_ok());
            }
            assert_eq!(flights(), 0);
        });
    }
}

#[test]
fn ten_thousand_sockets_are_served() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    if maximum.is_some_and(|most| most < 12_000) {
        assert!(std::env::var_os("GK_MUST").is_none(), "GK_MUST: 12,000 descriptors, not {maximum:?}");
        return;
    }
    on_best(async {
        let buffers = Buffers::default();
        let served = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..5_000)
            .map(|_| {
                let (one, other) = UnixStream::pair().unwrap();
                let (one, other) = (descriptor(one), descriptor(other));
                let (buffers, served) = (buffers.clone(), served.clone());
                spawn(async move {
                    let there = Work::Receive { buffers: buffers.clone(), quiet: true, group: Group::Small };
                    let back = Work::Receive { buffers: buffers.clone(), quiet: false, group: Group::Small };
                    let (there, back) = (other.begin(there), one.begin(back));
                    let mut word = buffers.lease(Class::Small);
                    word.append(b"word");
                    assert_eq!(one.begin(Work::Send(word)).await.result.unwrap(), 4);
                    let echo = there.await.lease.unwrap();
                    assert_eq!(other.begin(Work::Send(echo)).await.result.unwrap(), 4);
                    assert_eq!(back.await.lease.unwrap().bytes(), b"word");
                    served.set(served.get() + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!((served.get(), flights()), (5_000, 0));
    });
}
