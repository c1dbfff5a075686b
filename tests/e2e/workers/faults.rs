//! Faults inside: a panic costs a connection, a dead worker is replaced, a stuck control stops no traffic.
//!
//! The faults are asked for, which debug builds allow where the environment says so.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{asking_for, fragile};
use crate::support::{Client, Conf, Gateway, Origin, Peer, Service, eventually};

fn serves(gateway: &Gateway, connections: usize) {
    let mut clients: Vec<_> = (0..connections).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
}

#[test]
fn a_panic_in_an_exchange_costs_its_connection_and_nothing_else() {
    let origin = Origin::ok();
    for fault in ["exchange", "attempt"] {
        let mut gateway = fragile(&Conf::of(&origin).cores(1));
        let mut beside = gateway.connect();
        assert_eq!(beside.get("/svc/a").status(), 200);
        for _ in 0..20 {
            let mut broken = gateway.connect();
            broken.send(asking_for(fault));
            broken.expect_end_of_connection();
        }
        assert_eq!(beside.get("/svc/a").status(), 200);
        serves(&gateway, 5);
        drop(beside);
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
        let said = gateway.stderr();
        assert!(said.contains(" 20 panics") && said.contains(" 0 workers replaced"), "{said}");
    }
}

#[test]
fn a_connection_that_panics_gives_its_place_at_the_endpoint_back() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).balance("connections_max", 1).balance("slow_connections_max", 1);
    let gateway = fragile(&Conf::new().service(service).cores(1));
    for _ in 0..5 {
        let mut broken = gateway.connect();
        broken.send(asking_for("attempt"));
        broken.expect_end_of_connection();
    }
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
}

#[test]
fn requests_of_a_dead_worker_are_no_load_any_more() {
    let origins = [Origin::scripted(silent_to_slow), Origin::scripted(silent_to_slow)];
    let all: Vec<_> = origins.iter().collect();
    let service = Service::at("/svc", &all).balance("type", "least_conn");
    let gateway = fragile(&Conf::new().service(service).cores(1));
    assert!(eventually(|| all.iter().all(|origin| origin.probes() > 0)));
    thread::sleep(Duration::from_millis(300));
    let taken = || all.iter().map(|origin| origin.heads().len()).collect::<Vec<_>>();
    let hold = |count: usize| {
        let before: usize = taken().iter().sum();
        let held = (1..=count).map(|number| {
            let mut client = gateway.connect();
            client.send("GET /svc/slow HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(eventually(|| taken().iter().sum::<usize>() == before + number));
            client
        });
        held.collect::<Vec<_>>()
    };
    let lost = hold(3);
    let mut uneven = taken();
    gateway.connect().send(asking_for("worker"));
    assert!(eventually(|| gateway.stderr().contains("has been replaced")), "{}", gateway.stderr());
    // What killed the worker may have reached an endpoint before it did.
    let counted = taken();
    let held = hold(6);
    let more: Vec<_> = taken().iter().zip(&counted).map(|(now, before)| now - before).collect();
    uneven.sort_unstable();
    assert_eq!((uneven, more), (vec![1, 2], vec![3, 3]));
    drop((lost, held));
}

/// Answers, but nothing to a target with `slow` in it.
fn silent_to_slow(peer: &mut Peer) {
    while peer.request().is_some_and(|request| !request.target().contains("slow")) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    let _ = peer.until_gone(Duration::from_secs(60));
}

fn a_dead_worker_is_replaced(fault: &str) {
    let origin = Origin::ok();
    let mut gateway = fragile(&Conf::of(&origin).cores(3));
    let mut kept: Vec<Client> = (0..60).map(|_| gateway.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
    thread::sleep(Duration::from_millis(1_100));
    let start = Instant::now();
    let mut last = gateway.connect();
    last.send(asking_for(fault));
    assert!(eventually(|| gateway.stderr().contains("has been replaced")), "{}", gateway.stderr());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(3), "replaced after {took:?}");
    let mut ended = 0;
    for mut client in kept {
        client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
        match client.try_answer() {
            Ok(answer) => assert_eq!(answer.status(), 200),
            Err(cut) => {
                assert_ne!(cut.gone, crate::support::Gone::Silent, "a dead worker's connection hangs");
                ended += 1;
            }
        }
    }
    assert!((1..60).contains(&ended), "{ended} of 60 connections were the dead worker's");
    for _ in 0..10 {
        serves(&gateway, 20);
    }
    let reload = gateway.connect().get("/reload");
    assert!(reload.text().contains("on 3/3 cores"), "{}", reload.text());
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    let said = gateway.stderr();
    assert!(said.contains("has died: panic: asked for in the worker"), "{said}");
    assert!(said.contains(" 1 worker replaced"), "{said}");
}

#[test]
fn a_worker_that_dies_is_replaced_and_its_connections_end() {
    a_dead_worker_is_replaced("worker");
}

#[test]
fn a_worker_that_cannot_even_end_is_replaced_and_its_connections_end() {
    a_dead_worker_is_replaced("worker twice");
}

#[test]
fn a_worker_that_dies_again_and_again_keeps_no_descriptors_and_does_not_spin() {
    let origin = Origin::ok();
    let gateway = fragile(&Conf::of(&origin).cores(1));
    serves(&gateway, 50);
    let before = gateway.descriptors();
    let start = Instant::now();
    let deaths = || gateway.stderr().matches("has died").count();
    for death in 1..=3 {
        let mut client = gateway.connect();
        client.send(asking_for("worker"));
        let mut waiting = gateway.connect();
        waiting.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(eventually(|| deaths() == death));
        assert!(eventually(|| gateway.stderr().matches("has been replaced").count() == death));
        serves(&gateway, 50);
    }
    assert!(start.elapsed() >= Duration::from_secs(4), "replaced without pause: {:?}", start.elapsed());
    // What is left of each: its runtime, which is never taken down.
    let left = || gateway.descriptors().saturating_sub(before);
    assert!(eventually(|| left() < 3 * 10), "{} descriptors more than before", left());
}

#[test]
fn a_control_that_is_stuck_stops_no_traffic() {
    let origin = Origin::ok();
    let dead = Service::with_nodes("/dead", vec!["127.0.0.1:1".to_owned()]).balance("check_method", "tcpchk");
    let limited = Service::at("/limited", &[&origin]).access("client_flow_limit", 1);
    let conf = Conf::of(&origin).service(dead).service(limited);
    let gateway = fragile(&conf);
    let mut kept = gateway.connect();
    assert_eq!(kept.get("/svc/a").status(), 200);
    let mut asking = gateway.connect();
    let before = Instant::now();
    gateway.signal(Signal::WINCH);
    thread::sleep(Duration::from_millis(200));
    asking.send("GET /reload HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut refused = 0;
    while before.elapsed() < Duration::from_secs(4) {
        assert_eq!(kept.get("/svc/a").status(), 200);
        let mut fresh = gateway.connect();
        assert_eq!(fresh.get("/svc/a").status(), 200);
        assert!([502, 503].contains(&fresh.get("/dead/a").status()));
        refused += usize::from(fresh.get("/limited/a").status() == 429);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(asking.wire.pending().is_empty());
    assert_eq!(asking.answer().status(), 200, "the reload that was asked for meanwhile");
    assert!(before.elapsed() >= Duration::from_millis(4_900), "control was stuck: {:?}", before.elapsed());
    assert!(refused > 10, "limits hold");
    gateway.rewrite_files(&Conf::of(&origin).service(Service::at("/new", &[&origin])));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert_eq!(gateway.connect().get("/new/a").status(), 200);
}
