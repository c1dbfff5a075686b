//! `[module.retry]`: what is tried again, what never is, and the budget.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{failing, statuses};
use crate::support::{Conf, Gateway, Origin, Service, probed};

const POST: &str = "POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
const PUT: &str = "PUT /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

fn service(origins: &[&Origin]) -> Service {
    Service::at("/svc", origins).table("retry", "attempts", 2).table("retry", "pause", 0)
}

fn start(service: Service, origins: &[&Origin]) -> Gateway {
    let gateway = Gateway::start(&Conf::new().service(service));
    probed(origins);
    gateway
}

/// Hangs up on every request without an answer.
fn closing() -> Origin {
    Origin::scripted(|peer| drop(peer.request()))
}

fn silent() -> Origin {
    Origin::scripted(|peer| {
        peer.request();
        peer.until_gone(Duration::from_secs(30));
    })
}

#[test]
fn an_answer_with_a_status_of_the_list_is_exchanged_for_another_endpoints() {
    let (bad, good) = (failing(503), Origin::ok());
    let gateway = start(service(&[&bad, &good]), &[&bad, &good]);
    assert_eq!(statuses(&gateway, 12), [200; 12]);
    assert_eq!(good.requests().len(), 12);
    assert!(!bad.requests().is_empty());
}

#[test]
fn without_rules_and_beside_the_list_answers_are_the_services() {
    let bad = failing(503);
    let gateway = start(Service::at("/svc", &[&bad]), &[&bad]);
    assert_eq!(statuses(&gateway, 2), [503; 2]);
    assert_eq!(bad.requests().len(), 2);
    let other = failing(500);
    let gateway = start(service(&[&other]), &[&other]);
    assert_eq!(statuses(&gateway, 2), [500; 2]);
    assert_eq!(other.requests().len(), 2);
}

#[test]
fn only_statuses_that_are_named_are_exchanged() {
    let (bad, good) = (failing(500), Origin::ok());
    let gateway = start(service(&[&bad, &good]).table("retry", "on", "500"), &[&bad, &good]);
    assert_eq!(statuses(&gateway, 6), [200; 6]);
}

#[test]
fn a_connection_closed_without_an_answer_is_tried_again() {
    let (bad, good) = (closing(), Origin::ok());
    let gateway = start(service(&[&bad, &good]), &[&bad, &good]);
    assert_eq!(statuses(&gateway, 8), [200; 8]);
    assert!(!bad.heads().is_empty());
}

#[test]
fn without_closed_in_the_list_it_is_not() {
    let bad = closing();
    let gateway = start(service(&[&bad]).table("retry", "on", "503"), &[&bad]);
    gateway.connect().get("/svc/a").expect_end(502, "upstream_closed");
    assert_eq!(bad.heads().len(), 1);
}

#[test]
fn a_request_with_its_body_in_hand_is_sent_again_whole() {
    let (bad, good) = (failing(503), Origin::ok());
    let gateway = start(service(&[&bad, &good]), &[&bad, &good]);
    for _ in 0..4 {
        assert_eq!(gateway.connect().ask(PUT).status(), 200);
    }
    let bodies: Vec<_> = good.requests().into_iter().map(|request| request.body.bytes).collect();
    assert_eq!(bodies, [b"abc"; 4]);
}

#[test]
fn a_method_that_is_not_idempotent_is_not_tried_again() {
    let bad = failing(503);
    let gateway = start(service(&[&bad]), &[&bad]);
    assert_eq!(gateway.connect().ask(POST).status(), 503);
    assert_eq!(bad.heads().len(), 1);
}

#[test]
fn unless_the_file_says_so() {
    for methods in ["all", "GET, POST"] {
        let (bad, good) = (failing(503), Origin::ok());
        let gateway = start(service(&[&bad, &good]).table("retry", "methods", methods), &[&bad, &good]);
        for _ in 0..4 {
            assert_eq!(gateway.connect().ask(POST).status(), 200, "{methods}");
        }
    }
}

#[test]
fn a_chunked_body_is_not_sent_again() {
    let bad = failing(503);
    let gateway = start(service(&[&bad]), &[&bad]);
    let request = "PUT /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(gateway.connect().ask(request).status(), 503);
    assert_eq!(bad.heads().len(), 1);
}

#[test]
fn the_only_endpoint_is_asked_again_as_often_as_the_file_says() {
    let times = AtomicUsize::new(0);
    let origin = Origin::scripted(move |peer| {
        peer.request();
        let status = if times.fetch_add(1, Ordering::SeqCst) < 2 { "503 No" } else { "200 OK" };
        peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    });
    let gateway = start(service(&[&origin]).table("retry", "attempts", 3), &[&origin]);
    assert_eq!(statuses(&gateway, 1), [200]);
    assert_eq!(origin.heads().len(), 3);
}

#[test]
fn the_last_attempts_answer_is_the_clients() {
    let bad = failing(503);
    let gateway = start(service(&[&bad]).table("retry", "attempts", 3), &[&bad]);
    let answer = gateway.connect().get("/svc/a");
    assert_eq!((answer.status(), answer.reason()), (503, ""));
    assert_eq!(bad.heads().len(), 3);
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up_for_another() {
    let (slow, good) = (silent(), Origin::ok());
    let gateway = start(service(&[&slow, &good]).table("retry", "attempt_timeout", 300), &[&slow, &good]);
    let started = Instant::now();
    assert_eq!(statuses(&gateway, 4), [200; 4]);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!slow.heads().is_empty());
}

#[test]
fn an_attempts_time_ends_with_the_head_of_its_answer() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        peer.trickle(b"0123456789", Duration::from_millis(100));
    });
    let gateway = start(service(&[&origin]).table("retry", "attempt_timeout", 400), &[&origin]);
    assert_eq!(gateway.connect().get("/svc/a").text(), "0123456789");
}

#[test]
fn nothing_is_tried_again_once_the_client_has_a_byte_of_an_answer() {
    let (bad, good) = (
        Origin::scripted(|peer| {
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }),
        Origin::ok(),
    );
    let gateway = start(service(&[&bad, &good]), &[&bad, &good]);
    for _ in 0..6 {
        let mut client = gateway.connect();
        client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
        if let Ok(answer) = client.try_answer() {
            assert_eq!(answer.text(), "ok");
        }
    }
    assert_eq!(bad.heads().len() + good.heads().len(), 6);
}

#[test]
fn nor_an_interim_one() {
    let bad = Origin::scripted(|peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
        thread::sleep(Duration::from_millis(100));
        peer.send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
        peer.until_gone(Duration::from_secs(30));
    });
    let gateway = start(service(&[&bad]), &[&bad]);
    assert_eq!(statuses(&gateway, 1), [503]);
    assert_eq!(bad.heads().len(), 1);
}

#[test]
fn the_budget_holds_over_all_workers() {
    let bad = failing(503);
    let service = service(&[&bad]).table("retry", "budget", 0.5).table("retry", "budget_min", 0);
    let gateway = start(service, &[&bad]);
    assert_eq!(statuses(&gateway, 20), [503; 20]);
    assert_eq!(bad.heads().len(), 30, "half as many again as requests");
}

#[test]
fn some_attempts_are_allowed_beside_the_budget() {
    let bad = failing(503);
    let service = service(&[&bad]).table("retry", "budget", 0.0).table("retry", "budget_min", 2);
    let gateway = start(service, &[&bad]);
    assert_eq!(statuses(&gateway, 4), [503; 4]);
    assert!((5..=8).contains(&bad.heads().len()), "{}", bad.heads().len());
}

#[test]
fn there_is_a_pause_before_another_attempt() {
    let bad = failing(503);
    let gateway = start(service(&[&bad]).table("retry", "pause", 1_000), &[&bad]);
    let started = Instant::now();
    assert_eq!(statuses(&gateway, 1), [503]);
    let elapsed = started.elapsed();
    assert!((Duration::from_millis(450)..Duration::from_secs(8)).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn the_whole_requests_deadline_ends_the_pause() {
    let bad = failing(503);
    let service = service(&[&bad]).table("retry", "pause", 10_000).balance("request_timeout", 500);
    let gateway = start(service, &[&bad]);
    let started = Instant::now();
    gateway.connect().get("/svc/a").expect_end(504, "request_timeout");
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn the_whole_requests_deadline_is_answered_408_where_the_file_says_so() {
    let slow = silent();
    let service = Service::at("/svc", &[&slow]).balance("request_timeout", 300).balance("request_timeout_408", true);
    let gateway = start(service, &[&slow]);
    gateway.connect().get("/svc/a").expect_end(408, "request_timeout");
}

#[test]
fn an_answer_is_not_thrown_away_where_the_breaker_would_refuse_another_attempt() {
    let bad = failing(503);
    let gateway = start(service(&[&bad]).table("breaker", "failures", 1), &[&bad]);
    let answer = gateway.connect().get("/svc/a");
    assert_eq!((answer.status(), answer.reason()), (503, ""));
    gateway.connect().get("/svc/a").expect_end(503, "breaker_open");
    assert_eq!(bad.heads().len(), 1);
}

#[test]
fn a_body_that_came_with_its_head_is_sent_again_whatever_its_size() {
    for bytes in [400, 1_000, 3_000, 6_000, 20_000, 47_000] {
        let origin = Origin::scripted(move |peer| {
            let Some(request) = peer.request() else { return };
            // Hangs up on the first attempt.
            if peer.connection > 0 {
                let length = request.body.bytes.len().to_string();
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{length}", length.len()));
            }
        });
        let gateway = start(service(&[&origin]).table("retry", "methods", "all"), &[&origin]);
        let answer = gateway
            .connect()
            .ask(format!("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n{}", "b".repeat(bytes)));
        assert_eq!((answer.status(), answer.text()), (200, bytes.to_string()));
    }
}

#[test]
fn the_time_of_an_attempt_counts_while_it_waits_for_a_connection() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        thread::sleep(Duration::from_secs(5));
    });
    let service = service(&[&origin]).table("retry", "attempt_timeout", 400).balance("connections_max", 1);
    let service = service.balance("slow_connections_max", 0);
    let gateway = Gateway::start(&Conf::new().service(service).cores(1));
    let mut first = gateway.connect();
    first.send("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    thread::sleep(Duration::from_millis(100));
    let asked = Instant::now();
    gateway.connect().get("/svc/b").expect_end(504, "attempt_timeout");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}
