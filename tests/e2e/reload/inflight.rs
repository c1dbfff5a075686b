//! What is under way when a new configuration comes: it ends as it began, and holds nothing up.

use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Conf, Gateway, Origin, Service, eventually};

/// Answers each request when it is let go.
fn gated() -> (Origin, Sender<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |peer| {
        while peer.request().is_some() {
            let _ = wait.lock().map(|wait| wait.recv_timeout(Duration::from_secs(20)));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    (origin, go)
}

#[track_caller]
fn reload(gateway: &Gateway, conf: &Conf) {
    gateway.rewrite_files(conf);
    let answer = gateway.connect().get("/reload");
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[test]
fn a_request_to_a_service_that_is_removed_is_still_answered() {
    let (origin, go) = gated();
    let other = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| origin.heads().len() == 1));
    reload(&gateway, &Conf::new().service(Service::at("/new", &[&other])));
    go.send(()).expect("the origin waits");
    assert_eq!(client.answer().text(), "ok");
    assert_eq!(client.get("/svc/a").reason(), "no_route", "the next request is of the new configuration");
    assert_eq!(client.get("/new/a").status(), 200);
}

#[test]
fn a_request_in_a_queue_is_served_after_a_reload() {
    let (origin, go) = gated();
    let of = |weight: u32| {
        let service = Service::at("/svc", &[&origin]).weights(&[weight]);
        let service = service.balance("connections_max", 1).balance("slow_connections_max", 0);
        Conf::new().service(service.balance("queue_timeout", 10_000)).cores(1)
    };
    let gateway = Gateway::start(&of(1));
    let mut first = gateway.connect();
    first.send("GET /svc/first HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| origin.heads().len() == 1));
    let mut second = gateway.connect();
    second.send("GET /svc/second HTTP/1.1\r\nHost: a\r\n\r\n");
    thread::sleep(Duration::from_millis(100));
    for weight in 2..6 {
        reload(&gateway, &of(weight));
    }
    for _ in 0..2 {
        go.send(()).expect("the origin waits");
    }
    assert_eq!((first.answer().status(), second.answer().status()), (200, 200));
    assert_eq!(origin.connections(), 1, "the bound holds over reloads");
}

#[test]
fn a_request_from_before_a_reload_does_not_bring_old_bounds_back() {
    const JSON: &str = "[[module.validation]]\npart = \"json.a\"\nrequired = true\n";
    const REST: &str = "{\"a\":1}";
    const HEAD: &str = "POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n";
    let (origin, go) = gated();
    let of = |connections: i64| {
        let service = Service::at("/svc", &[&origin]).further(JSON).balance("connections_max", connections);
        Conf::new().service(service.balance("slow_connections_max", 0).balance("queue_max", 0)).cores(1)
    };
    let gateway = Gateway::start(&of(1));
    let mut before = gateway.connect();
    before.send(format!("{HEAD}Expect: 100-continue\r\n\r\n"));
    // It was looked at, and its body is wanted.
    assert_eq!(before.wire.through(b"\r\n\r\n").as_deref(), Ok(b"HTTP/1.1 100 Continue\r\n\r\n".as_slice()));
    reload(&gateway, &of(3));
    let mut after = [gateway.connect(), gateway.connect()];
    after[0].send(format!("{HEAD}\r\n{REST}"));
    assert!(eventually(|| origin.heads().len() == 1));
    before.send(REST);
    assert!(eventually(|| origin.heads().len() == 2));
    after[1].send(format!("{HEAD}\r\n{REST}"));
    for _ in 0..3 {
        go.send(()).expect("the origin waits");
    }
    for client in after.iter_mut().chain([&mut before]) {
        assert_eq!(client.answer().text(), "ok");
    }
}

#[test]
fn a_body_that_flows_is_not_disturbed() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n");
        peer.trickle(&[b'x'; 40], Duration::from_millis(25));
    });
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    for number in 0..5 {
        thread::sleep(Duration::from_millis(100));
        reload(&gateway, &Conf::of(&origin).service(Service::at(&format!("/other-{number}"), &[&origin])));
    }
    assert_eq!(client.answer().text(), "x".repeat(40));
}

#[test]
fn kept_connections_to_an_unchanged_service_stay() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    for number in 0..5 {
        assert_eq!(client.get("/svc/a").status(), 200);
        reload(&gateway, &Conf::of(&origin).service(Service::at(&format!("/other-{number}"), &[&origin])));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn kept_connections_to_a_removed_service_are_closed() {
    let (gone, ended) = mpsc::channel();
    let origin = Origin::scripted(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let _ = gone.send(peer.until_gone(Duration::from_secs(20)).1);
    });
    let other = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    gateway.connect().get("/svc/a");
    reload(&gateway, &Conf::new().service(Service::at("/new", &[&other])));
    let end = ended.recv_timeout(Duration::from_secs(15)).expect("an end");
    assert_ne!(end, crate::support::Gone::Silent);
}

#[test]
fn old_configurations_are_given_back() {
    let origin = Origin::ok();
    let large = |marker: usize| {
        let services = (0..400).map(|number| Service::at(&format!("/s{marker}-{number}"), &[&origin]));
        services.fold(Conf::of(&origin), Conf::service)
    };
    let gateway = Gateway::start(&large(0));
    // These live through every reload and must hold none of what they no longer need.
    let mut idle: Vec<_> = (0..20).map(|_| gateway.connect()).collect();
    for client in &mut idle {
        client.get("/svc/a");
    }
    for marker in 1..10 {
        reload(&gateway, &large(marker));
    }
    let before = gateway.resident_bytes();
    for marker in 10..60 {
        reload(&gateway, &large(marker));
    }
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 24 * 1024 * 1024, "fifty reloads grew it by {grown} bytes");
    for client in &mut idle {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
}

#[test]
fn a_tunnel_is_cut_at_the_end_of_the_drain_window() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x02\x7d.");
        peer.until_gone(Duration::from_secs(30));
    });
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_window", 1));
    let mut client = gateway.connect();
    let answer = client.ask("GET /svc/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(answer.status(), 101);
    client.wire.exactly(3).expect("the beginning of a frame");
    // A frame that never ends leaves no place for a goodbye.
    gateway.signal(Signal::TERM);
    client.expect_end_of_connection();
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn many_who_ask_for_a_reload_at_once_are_all_answered() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut asking: Vec<_> = (0..40).map(|_| gateway.connect()).collect();
    for (number, client) in asking.iter_mut().enumerate() {
        if number % 10 == 0 {
            gateway.rewrite_files(&Conf::of(&origin).service(Service::at(&format!("/n{number}"), &[&origin])));
        }
        client.send("GET /reload HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut asking {
        let answer = client.answer();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!(gateway.connect().get("/n30/a").status(), 200);
}

#[test]
fn an_upload_under_way_at_the_stop_is_finished() {
    let origin = Origin::echoing();
    let mut gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    assert!(eventually(|| origin.heads().len() == 1));
    gateway.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(700));
    client.send("56789");
    assert_eq!(client.answer().text(), "0123456789");
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_head_under_way_at_the_stop_is_served() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\n");
    thread::sleep(Duration::from_millis(100));
    gateway.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(300));
    client.send("Host: a\r\n\r\n");
    assert_eq!(client.answer().status(), 200);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_hangup_while_it_stops_does_not_disturb_the_stop() {
    let (origin, go) = gated();
    let mut gateway = Gateway::start(&Conf::of(&origin));
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| origin.heads().len() == 1));
    gateway.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(100));
    gateway.signal(Signal::HUP);
    thread::sleep(Duration::from_millis(200));
    go.send(()).expect("the origin waits");
    assert_eq!(client.answer().status(), 200);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
}
