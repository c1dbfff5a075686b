//! Bounded connections to an endpoint, and the queue for them.

use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, Conf, Gateway, Origin, Service, eventually};

/// Answers each request when it is let go.
fn gated() -> (Origin, Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |peer| {
        while let Some(request) = peer.request() {
            if wait.lock().expect("no panic").recv_timeout(Duration::from_secs(20)).is_err() {
                return;
            }
            let body = request.target();
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    (origin, go)
}

/// One worker, one connection, no share for slow exchanges.
fn narrow(origin: &Origin, queue_max: i64, queue_timeout_ms: i64) -> Gateway {
    let service = Service::at("/svc", &[origin])
        .balance("connections_max", 1)
        .balance("slow_connections_max", 0)
        .balance("queue_max", queue_max)
        .balance("queue_timeout", queue_timeout_ms);
    Gateway::start(&Conf::new().service(service).cores(1))
}

fn asking(gateway: &Gateway, path: &str) -> Client {
    let mut client = gateway.connect();
    client.send(format!("GET /svc/{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client
}

#[test]
fn requests_wait_in_order_for_the_only_connection() {
    let (origin, go) = gated();
    let gateway = narrow(&origin, 10, 10_000);
    let mut clients = Vec::new();
    for number in 0..5 {
        clients.push(asking(&gateway, &number.to_string()));
        thread::sleep(Duration::from_millis(100));
    }
    for _ in 0..5 {
        go.send(()).expect("the origin waits");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.answer().text(), format!("/{number}"));
    }
    let targets: Vec<_> = origin.requests().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/0", "/1", "/2", "/3", "/4"]);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_full_queue_refuses_at_once() {
    let (origin, go) = gated();
    let gateway = narrow(&origin, 1, 10_000);
    let mut first = asking(&gateway, "first");
    assert!(eventually(|| origin.heads().len() == 1));
    let mut second = asking(&gateway, "second");
    thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    asking(&gateway, "third").answer().expect_end(503, "queue_full");
    assert!(start.elapsed() < Duration::from_secs(3));
    go.send(()).expect("the origin waits");
    go.send(()).expect("the origin waits");
    assert_eq!((first.answer().status(), second.answer().status()), (200, 200));
}

#[test]
fn a_request_waits_no_longer_than_the_queue_deadline() {
    let (origin, go) = gated();
    let gateway = narrow(&origin, 10, 400);
    let mut first = asking(&gateway, "first");
    assert!(eventually(|| origin.heads().len() == 1));
    let start = Instant::now();
    asking(&gateway, "second").answer().expect_end(503, "queue_timeout");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(350) && waited < Duration::from_secs(4), "{waited:?}");
    go.send(()).expect("the origin waits");
    assert_eq!(first.answer().status(), 200);
    assert_eq!(origin.heads().len(), 1, "a request that gave up is never sent");
}

#[test]
fn a_client_that_leaves_the_queue_gives_up_its_place() {
    let (origin, go) = gated();
    let gateway = narrow(&origin, 1, 10_000);
    let mut first = asking(&gateway, "first");
    assert!(eventually(|| origin.heads().len() == 1));
    let leaver = asking(&gateway, "leaver");
    thread::sleep(Duration::from_millis(200));
    leaver.wire.reset();
    let mut third = None;
    let taken = eventually(|| {
        thread::sleep(Duration::from_millis(100));
        let mut client = asking(&gateway, "third").patient(Duration::from_millis(500));
        let refused = client.try_answer().is_ok();
        third = Some(client.patient(Duration::from_secs(15)));
        !refused
    });
    assert!(taken, "the place came free");
    go.send(()).expect("the origin waits");
    go.send(()).expect("the origin waits");
    assert_eq!(first.answer().status(), 200);
    assert_eq!(third.expect("it waits").answer().text(), "/third");
    assert!(origin.heads().iter().all(|head| head.word(1) != "/leaver"));
}

#[test]
fn streams_do_not_starve_short_requests() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/stream" {
                peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
                while peer.send("3\r\nhi\n\r\n") {
                    thread::sleep(Duration::from_millis(200));
                }
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let service = Service::at("/svc", &[&origin])
        .balance("connections_max", 1)
        .balance("slow_connections_max", 3)
        .balance("queue_timeout", 10_000);
    let gateway = Gateway::start(&Conf::new().service(service).cores(1));
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = asking(&gateway, "stream");
        stream.wire.through(b"hi\n").expect("the stream flows");
        streams.push(stream);
        thread::sleep(Duration::from_millis(1_500));
    }
    for _ in 0..5 {
        assert_eq!(asking(&gateway, "short").answer().text(), "ok");
    }
    for stream in &mut streams {
        stream.wire.through(b"hi\n").expect("the stream still flows");
    }
}

#[test]
fn many_clients_share_few_connections() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            thread::sleep(Duration::from_millis(2));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let service = Service::at("/svc", &[&origin]).balance("connections_max", 8).balance("queue_timeout", 20_000);
    let conf = Conf::new().service(service);
    let gateway = Gateway::start(&conf);
    let mut clients: Vec<_> = (0..150).map(|_| gateway.connect()).collect();
    for _ in 0..3 {
        for client in &mut clients {
            client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.answer().status(), 200);
        }
    }
    let bound = conf.workers().max(8);
    assert!(origin.connections() <= bound, "{} connections", origin.connections());
}

#[test]
fn a_tunnel_does_not_starve_short_requests() {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/tunnel" {
                peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
                peer.until_gone(Duration::from_secs(30));
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let service = Service::at("/svc", &[&origin]).balance("connections_max", 1).balance("slow_connections_max", 1);
    let gateway = Gateway::start(&Conf::new().service(service.balance("queue_timeout", 10_000)).cores(1));
    let mut tunnel = gateway.connect();
    let ask = "GET /svc/tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(tunnel.ask(ask).status(), 101);
    for _ in 0..3 {
        assert_eq!(asking(&gateway, "short").answer().text(), "ok");
    }
}

#[test]
fn what_lacked_a_descriptor_is_served_when_there_are_some_again() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    gateway.limit_descriptors_to_those_open_and(6);
    let mut clients: Vec<_> = (0..40).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    // Each that is served closes and makes room for the next in the accept queue.
    for client in &mut clients {
        let answer = client.answer();
        assert!(answer.status() == 200 || answer.reason() == "exhausted", "{answer:?}");
    }
    drop(clients);
    assert!(eventually(|| asking(&gateway, "after").answer().status() == 200));
}
