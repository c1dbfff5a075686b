//! `[module.default_answer]`: answers where no endpoint is asked, or none has answered.

use super::gateway;
use crate::support::conf::App;
use crate::support::{Conf, Gateway, Origin, Service};

fn table(when: &str, status: u16) -> String {
    format!(
        "[module.default_answer]\nwhen = {when:?}\nstatus = {status}\ncontent_type = \"text/plain\"\nbody = \" soon \"\n"
    )
}

/// A gateway whose service was there when it started, and is gone before anybody has noticed.
fn deserted(tables: &str) -> Gateway {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).balance("fall", 100).further(tables);
    Gateway::start(&Conf::new().service(service))
}

#[test]
fn a_mock_answers_without_asking_the_service() {
    let origin = Origin::ok();
    let gateway = gateway(&origin, &table("always", 202));
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.get("/svc/a");
        assert_eq!((answer.status(), answer.text().as_str(), answer.reason()), (202, " soon ", ""));
        assert_eq!(answer.head.field("content-type"), Some("text/plain"));
    }
    let head = client.ask("HEAD /svc/a HTTP/1.1\r\nHost: g\r\n\r\n");
    assert_eq!((head.status(), head.head.field("content-length")), (202, Some("6")));
    let answer = client.ask("POST /svc/a HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((answer.status(), client.get("/svc/b").status()), (202, 202));
    assert!(origin.requests().is_empty());
}

#[test]
fn a_mock_of_status_204_has_no_body() {
    let origin = Origin::ok();
    let gateway = gateway(&origin, "[module.default_answer]\nwhen = \"always\"\nstatus = 204\n");
    let answer = gateway.connect().get("/svc/a");
    assert_eq!((answer.status(), answer.head.field("content-length")), (204, None));
}

#[test]
fn a_long_mock_comes_whole() {
    let origin = Origin::ok();
    let body = "0123456789".repeat(6_000);
    let gateway = gateway(&origin, &format!("[module.default_answer]\nwhen = \"always\"\nbody = {body:?}\n"));
    let answer = gateway.connect().get("/svc/a");
    assert_eq!((answer.status(), answer.text() == body), (200, true));
}

#[test]
fn the_rules_of_the_service_hold_before_its_mock() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).further(&table("always", 200));
    let gateway = Gateway::start(&Conf::new().app(App::new("a", "s")).service(service));
    let mut client = gateway.connect();
    client.get("/svc/a").expect_end(401, "tenant_missing");
    assert_eq!(client.get("/svc/a?app_id=a&sign=s").text(), " soon ");
}

#[test]
fn a_failing_service_is_stood_in_for() {
    let answer = deserted(&table("failure", 200)).connect().get("/svc/a");
    assert_eq!((answer.status(), answer.text().as_str()), (200, " soon "));
    assert_eq!(answer.reason(), "connect_refused", "the reason is still told");
}

#[test]
fn a_service_that_is_down_is_stood_in_for() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).balance("forbid_list", origin.node());
    let gateway = Gateway::start(&Conf::new().service(service.further(&table("failure", 503))));
    let answer = gateway.connect().get("/svc/a");
    assert_eq!((answer.status(), answer.text().as_str(), answer.reason()), (503, " soon ", "no_endpoint"));
}

#[test]
fn a_service_that_is_switched_off_is_stood_in_for() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).base("status", "down").further(&table("failure", 503));
    let answer = Gateway::start(&Conf::new().service(service)).connect().get("/svc/a");
    assert_eq!((answer.status(), answer.text().as_str(), answer.reason()), (503, " soon ", "service_down"));
}

#[test]
fn a_service_whose_queue_is_too_slow_is_stood_in_for() {
    let silent = Origin::scripted(|peer| while peer.request().is_some() {});
    let service = Service::at("/svc", &[&silent]).balance("connections_max", 1).balance("slow_connections_max", 0);
    let service = service.balance("queue_timeout", 200).further(&table("failure", 200));
    let gateway = Gateway::start(&Conf::new().cores(1).service(service));
    let mut first = gateway.connect();
    first.send("GET /svc/a HTTP/1.1\r\nHost: g\r\n\r\n");
    silent.expect_requests(1);
    let answer = gateway.connect().get("/svc/b");
    assert_eq!((answer.text().as_str(), answer.reason()), (" soon ", "queue_timeout"));
}

#[test]
fn a_service_that_is_silent_or_talks_nonsense_is_stood_in_for() {
    let silent = Origin::scripted(|peer| while peer.request().is_some() {});
    let nonsense = Origin::replying("nonsense\r\n\r\n");
    for origin in [&silent, &nonsense] {
        let service = Service::at("/svc", &[origin]).balance("proxy_header_timeout", 200);
        let gateway = Gateway::start(&Conf::new().service(service.further(&table("failure", 200))));
        assert_eq!(gateway.connect().get("/svc/a").text(), " soon ");
    }
}

#[test]
fn what_a_healthy_service_says_goes_down_whatever_it_is() {
    let origin = Origin::replying("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops");
    let gateway = gateway(&origin, &table("failure", 200));
    let answer = gateway.connect().get("/svc/a");
    assert_eq!((answer.status(), answer.text().as_str()), (500, "oops"));
}

#[test]
fn a_clients_own_fault_is_not_stood_in_for() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).base("body_bytes_max", 2).further(&table("failure", 200));
    let gateway = Gateway::start(&Conf::new().service(service));
    let request = "POST /svc/a HTTP/1.1\r\nHost: g\r\nContent-Length: 3\r\n\r\nabc";
    gateway.connect().ask(request).expect_end(413, "body_too_large");
}

#[test]
fn without_one_a_failure_is_told() {
    deserted("").connect().get("/svc/a").expect_end(502, "connect_refused");
}
