//! `[module.breaker]`: closed, open and half open, for the whole process, of the service and of each endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{failing, reloaded, statuses};
use crate::support::{Conf, Gateway, Origin, Service, eventually, probed};

fn service(origins: &[&Origin]) -> Service {
    Service::at("/svc", origins).table("breaker", "failures", 3)
}

fn start(service: Service, origins: &[&Origin]) -> Gateway {
    let gateway = Gateway::start(&Conf::new().service(service));
    probed(origins);
    gateway
}

/// Answers 500 until it is told to be well.
fn curable(well: &Arc<AtomicBool>) -> Origin {
    let well = well.clone();
    Origin::scripted(move |peer| {
        while peer.request().is_some() {
            let status = if well.load(Ordering::SeqCst) { "200 OK" } else { "500 Ill" };
            peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
    })
}

#[test]
fn failures_in_a_row_open_it_whichever_workers_saw_them() {
    let bad = failing(500);
    let gateway = start(service(&[&bad]), &[&bad]);
    assert_eq!(statuses(&gateway, 3), [500; 3]);
    for _ in 0..6 {
        let answer = gateway.connect().get("/svc/a");
        answer.expect_end(503, "breaker_open");
        let wait: u64 = answer.head.field("retry-after").and_then(|text| text.parse().ok()).expect("when to come back");
        assert!((20..=30).contains(&wait), "{wait}");
    }
    assert_eq!(bad.requests().len(), 3);
    assert!(eventually(|| gateway.stderr().contains("service svc: its breaker opened")), "{}", gateway.stderr());
}

#[test]
fn an_end_without_an_answer_is_a_failure_too() {
    let bad = Origin::scripted(|peer| drop(peer.request()));
    let gateway = start(service(&[&bad]), &[&bad]);
    assert_eq!(statuses(&gateway, 3), [502; 3]);
    gateway.connect().get("/svc/a").expect_end(503, "breaker_open");
}

#[test]
fn what_the_client_did_wrong_is_none() {
    let strict = failing(404);
    let gateway = start(service(&[&strict]), &[&strict]);
    assert_eq!(statuses(&gateway, 10), [404; 10]);
}

#[test]
fn a_client_that_leaves_is_none() {
    let slow = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/slow" {
                thread::sleep(Duration::from_millis(700));
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let gateway = start(service(&[&slow]), &[&slow]);
    for number in 1..=6 {
        let mut client = gateway.connect();
        client.send("GET /svc/slow HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(eventually(|| slow.heads().len() == number));
        client.wire.reset();
    }
    thread::sleep(Duration::from_millis(300));
    assert_eq!(statuses(&gateway, 1), [200]);
}

#[test]
fn a_share_of_failures_opens_it_from_the_minimum_volume_on() {
    let turn = AtomicUsize::new(0);
    let flaky = Origin::scripted(move |peer| {
        while peer.request().is_some() {
            let status = if turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { "200 OK" } else { "500 Ill" };
            peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let service = Service::at("/svc", &[&flaky]).table("breaker", "error_rate", 0.4);
    let gateway = start(service.table("breaker", "volume_min", 10).table("breaker", "window", 60_000), &[&flaky]);
    let seen = statuses(&gateway, 14);
    assert_eq!(seen, [200, 500, 200, 500, 200, 500, 200, 500, 200, 500, 503, 503, 503, 503]);
}

#[test]
fn after_its_time_a_good_probe_closes_it() {
    let well = Arc::new(AtomicBool::new(false));
    let origin = curable(&well);
    let gateway = start(service(&[&origin]).table("breaker", "open_time", 1_500), &[&origin]);
    assert_eq!(statuses(&gateway, 4), [500, 500, 500, 503]);
    well.store(true, Ordering::SeqCst);
    assert_eq!(statuses(&gateway, 1), [503], "not before its time");
    thread::sleep(Duration::from_millis(1_700));
    assert_eq!(statuses(&gateway, 1), [200], "the probe");
    assert!(eventually(|| gateway.stderr().contains("service svc: its breaker closed")), "{}", gateway.stderr());
    assert_eq!(statuses(&gateway, 8), [200; 8]);
}

#[test]
fn a_probe_that_fails_opens_it_again() {
    let bad = failing(500);
    let gateway = start(service(&[&bad]).table("breaker", "open_time", 1_000), &[&bad]);
    assert_eq!(statuses(&gateway, 4), [500, 500, 500, 503]);
    thread::sleep(Duration::from_millis(1_200));
    assert_eq!(statuses(&gateway, 4), [500, 503, 503, 503]);
}

#[test]
fn one_probe_at_a_time_over_all_workers() {
    let probes = Arc::new(AtomicBool::new(false));
    let slow = probes.clone();
    let origin = Origin::scripted(move |peer| {
        while peer.request().is_some() {
            if slow.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1_500));
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
            peer.send("HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let gateway = start(service(&[&origin]).table("breaker", "open_time", 500), &[&origin]);
    assert_eq!(statuses(&gateway, 3), [500; 3]);
    thread::sleep(Duration::from_millis(800));
    probes.store(true, Ordering::SeqCst);
    let seen: Vec<u16> = thread::scope(|scope| {
        let asks: Vec<_> = (0..12).map(|_| scope.spawn(|| gateway.connect().get("/svc/a").status())).collect();
        asks.into_iter().map(|ask| ask.join().expect("no panic")).collect()
    });
    assert_eq!(seen.iter().filter(|status| **status == 200).count(), 1, "{seen:?}");
    assert_eq!(origin.heads().len(), 4);
}

#[test]
fn an_endpoint_whose_breaker_is_open_is_passed_over() {
    let (bad, good) = (failing(500), Origin::ok());
    let gateway = start(service(&[&bad, &good]).table("breaker", "of", "endpoint"), &[&bad, &good]);
    let seen = statuses(&gateway, 30);
    assert_eq!(seen.iter().filter(|status| **status == 500).count(), 3, "{seen:?}");
    assert_eq!((bad.heads().len(), good.heads().len()), (3, 27));
}

#[test]
fn with_every_endpoints_breaker_open_requests_are_refused() {
    let (one, other) = (failing(500), failing(500));
    let gateway = start(service(&[&one, &other]).table("breaker", "of", "endpoint"), &[&one, &other]);
    let seen = statuses(&gateway, 12);
    assert_eq!(seen.iter().filter(|status| **status == 500).count(), 6, "{seen:?}");
    gateway.connect().get("/svc/a").expect_end(503, "breaker_open");
}

#[test]
fn it_stays_open_over_a_reload() {
    let bad = failing(500);
    let gateway = start(service(&[&bad]), &[&bad]);
    assert_eq!(statuses(&gateway, 4), [500, 500, 500, 503]);
    reloaded(&gateway, &Conf::new().service(service(&[&bad]).table("breaker", "open_time", 40_000)));
    gateway.connect().get("/svc/a").expect_end(503, "breaker_open");
    assert_eq!(bad.heads().len(), 3);
}

#[test]
fn half_open_a_share_of_the_requests_passes() {
    let well = Arc::new(AtomicBool::new(false));
    let origin = curable(&well);
    let service = service(&[&origin]).table("breaker", "open_time", 600).table("breaker", "probe_share", 0.25);
    let gateway = start(service.table("breaker", "probes", 1_000), &[&origin]);
    assert_eq!(statuses(&gateway, 3), [500; 3]);
    well.store(true, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(900));
    let seen = statuses(&gateway, 40);
    let passed = seen.iter().filter(|status| **status == 200).count();
    assert!((10..=11).contains(&passed), "{seen:?}");
}

#[test]
fn a_client_that_sends_its_body_slowly_is_no_failure_of_the_service() {
    let origin = Origin::ok();
    let gateway =
        start(service(&[&origin]).table("breaker", "failures", 1).balance("request_timeout", 500), &[&origin]);
    for _ in 0..2 {
        let mut client = gateway.connect();
        client.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
        client.answer().expect_end(504, "request_timeout");
    }
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
}

#[test]
fn a_probe_is_over_with_a_good_head_however_long_its_answer_lasts() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let origin = Origin::scripted(move |peer| {
        while let Some(request) = peer.request() {
            let streams = request.target().contains("stream");
            peer.send(match (is_well.load(Ordering::SeqCst), streams) {
                (false, _) => "HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n",
                (true, false) => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                (true, true) => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            });
            if streams {
                let _ = peer.until_gone(Duration::from_secs(20));
            }
        }
    });
    let tables = service(&[&origin]).table("breaker", "failures", 1).table("breaker", "open_time", 500);
    let gateway = start(tables, &[]);
    assert_eq!(gateway.connect().get("/svc/a").status(), 500);
    gateway.connect().get("/svc/a").expect_end(503, "breaker_open");
    well.store(true, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(700));
    let mut stream = gateway.connect();
    stream.send("GET /svc/stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| gateway.connect().get("/svc/a").status() == 200), "{}", gateway.stderr());
}
