//! `[module.concurrency]`: requests under way at once, and those that wait, over all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Conf, Gateway, Origin, Service, eventually, probed};

const GET: &str = "GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n";

fn service(origin: &Origin, max: i64) -> Service {
    Service::at("/svc", &[origin]).table("concurrency", "max", max)
}

fn start(service: Service, origin: &Origin) -> Gateway {
    let gateway = Gateway::start(&Conf::new().service(service));
    probed(&[origin]);
    gateway
}

/// Takes so long for each answer.
fn slow(ms: u64) -> Origin {
    Origin::scripted(move |peer| {
        while peer.request().is_some() {
            thread::sleep(Duration::from_millis(ms));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

#[test]
fn never_more_than_the_bound_are_under_way_and_those_who_wait_are_served() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, peak) = (now.clone(), most.clone());
    let origin = Origin::scripted(move |peer| {
        while peer.request().is_some() {
            peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(15));
            inside.fetch_sub(1, Ordering::SeqCst);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let gateway = start(service(&origin, 3).table("concurrency", "queue_timeout", 60_000), &origin);
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let mut client = gateway.connect();
                for _ in 0..5 {
                    assert_eq!(client.get("/svc/a").status(), 200);
                }
            });
        }
    });
    assert_eq!(origin.heads().len(), 120);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn a_place_that_comes_free_wakes_whoever_waits_wherever() {
    let origin = slow(1_000);
    let gateway = start(service(&origin, 1).table("concurrency", "queue_timeout", 30_000), &origin);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(gateway.connect().get("/svc/a").status(), 200));
        }
    });
    // One after another; a place that waited for some timer would show.
    let elapsed = started.elapsed();
    assert!((Duration::from_millis(4_000)..Duration::from_millis(5_500)).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn with_a_full_queue_a_request_is_refused_at_once() {
    let origin = slow(2_000);
    let gateway = start(service(&origin, 1).table("concurrency", "queue_max", 0), &origin);
    let mut first = gateway.connect();
    first.send(GET);
    assert!(eventually(|| origin.heads().len() == 1));
    let started = Instant::now();
    gateway.connect().get("/svc/a").expect_end(503, "concurrency_full");
    assert!(started.elapsed() < Duration::from_millis(1_500));
    assert_eq!(first.answer().status(), 200);
}

#[test]
fn a_request_waits_so_long_and_no_longer() {
    let origin = slow(3_000);
    let gateway = start(service(&origin, 1).table("concurrency", "queue_timeout", 500), &origin);
    let mut first = gateway.connect();
    first.send(GET);
    assert!(eventually(|| origin.heads().len() == 1));
    let started = Instant::now();
    gateway.connect().get("/svc/a").expect_end(503, "concurrency_timeout");
    let elapsed = started.elapsed();
    assert!((Duration::from_millis(450)..Duration::from_millis(2_500)).contains(&elapsed), "{elapsed:?}");
    assert_eq!(first.answer().status(), 200);
}

#[test]
fn those_who_wait_get_the_places_that_a_reload_adds() {
    let origin = slow(3_000);
    let of = |max| Conf::new().service(service(&origin, max).table("concurrency", "queue_timeout", 30_000));
    let gateway = Gateway::start(&of(1));
    probed(&[&origin]);
    let mut clients = [gateway.connect(), gateway.connect(), gateway.connect()];
    for (count, client) in clients.iter_mut().enumerate() {
        client.send(GET);
        assert!(eventually(|| origin.heads().len() == 1), "{count} sent");
    }
    // Whoever is not among those under way has to be in the line.
    thread::sleep(Duration::from_millis(200));
    gateway.rewrite_files(&of(3));
    let started = Instant::now();
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert!(eventually(|| origin.heads().len() == 3));
    assert!(started.elapsed() < Duration::from_millis(2_500), "before the first was answered");
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn a_client_that_leaves_the_queue_takes_no_place() {
    let origin = slow(1_000);
    let gateway = start(service(&origin, 1).table("concurrency", "queue_timeout", 20_000), &origin);
    let mut first = gateway.connect();
    first.send(GET);
    assert!(eventually(|| origin.heads().len() == 1));
    for _ in 0..4 {
        let mut gone = gateway.connect();
        gone.send(GET);
        thread::sleep(Duration::from_millis(50));
        gone.wire.reset();
    }
    let mut last = gateway.connect();
    last.send(GET);
    assert_eq!((first.answer().status(), last.answer().status()), (200, 200));
    assert_eq!(origin.heads().len(), 2);
}

#[test]
fn a_tunnel_gives_its_place_back_when_it_opens() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/tunnel" {
                peer.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                );
                peer.until_gone(Duration::from_secs(20));
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let gateway = start(service(&origin, 1).table("concurrency", "queue_max", 0), &origin);
    let mut tunnel = gateway.connect();
    let asked = "GET /svc/tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(tunnel.ask(asked).status(), 101);
    assert!(eventually(|| gateway.connect().get("/svc/a").status() == 200));
}

#[test]
fn taking_the_table_away_lets_those_who_wait_go() {
    let origin = slow(4_000);
    let gateway = start(service(&origin, 1).table("concurrency", "queue_timeout", 30_000), &origin);
    let mut first = gateway.connect();
    first.send(GET);
    assert!(eventually(|| origin.heads().len() == 1));
    let mut waits = gateway.connect();
    waits.send(GET);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(origin.heads().len(), 1);
    super::reloaded(&gateway, &Conf::new().service(Service::at("/svc", &[&origin])));
    let asked = Instant::now();
    assert!(eventually(|| origin.heads().len() == 2) && asked.elapsed() < Duration::from_secs(3));
}
