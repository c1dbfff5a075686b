//! `[[module.validation]]`: what a request must have.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::gateway;
use crate::support::{Conf, Gateway, Origin, Service};

const PAGE: &str =
    "[[module.validation]]\npart = \"query.page\"\nrequired = true\nmatches = [\"^[0-9]+$\", \"^.{1,3}$\"]\n";
const AGE: &str = "[[module.validation]]\npart = \"json.user.age\"\nrequired = true\nmatches = [\"^[0-9]{1,3}$\"]\n";

fn post(body: &str) -> String {
    format!(
        "POST /svc/a HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_parameter_that_is_required_must_be_there_and_match() {
    let origin = Origin::ok();
    let gateway = gateway(&origin, PAGE);
    let mut client = gateway.connect();
    assert_eq!(client.get("/svc/a?page=12").status(), 200);
    assert_eq!(client.get("/svc/a?page=%31").status(), 200);
    for target in
        ["/svc/a", "/svc/a?page=", "/svc/a?page=x", "/svc/a?page=1234", "/svc/a?page=1&page=x", "/svc/a?Page=1"]
    {
        client.get(target).expect_end(400, "invalid");
    }
    origin.expect_requests(2);
}

#[test]
fn what_is_not_required_may_be_absent_but_not_wrong() {
    let origin = Origin::ok();
    let gateway = gateway(&origin, &PAGE.replace("required = true", "required = false"));
    let mut client = gateway.connect();
    assert_eq!(client.get("/svc/a").status(), 200);
    client.get("/svc/a?page=x").expect_end(400, "invalid");
}

#[test]
fn fields_and_cookies_are_held_to_rules() {
    let origin = Origin::ok();
    let tables = "[[module.validation]]\npart = \"header.X-Token\"\nrequired = true\n\
                  [[module.validation]]\npart = \"cookie.uid\"\nmatches = [\"^[0-9]+$\"]\n";
    let gateway = gateway(&origin, tables);
    let mut client = gateway.connect();
    let mut status = |fields: &str| client.ask(format!("GET /svc/a HTTP/1.1\r\nHost: g\r\n{fields}\r\n")).status();
    assert_eq!(status("x-token: t\r\n"), 200);
    assert_eq!(status("x-token: t\r\nCookie: uid=7\r\n"), 200);
    assert_eq!(status("Cookie: uid=7\r\n"), 400);
    assert_eq!(status("x-token: t\r\nCookie: uid=x\r\n"), 400);
    assert_eq!(status("x-token: t\r\nCookie: uid=7; uid=x\r\n"), 400);
}

#[test]
fn a_value_in_a_json_body_is_held_to_rules_and_the_body_goes_on() {
    let origin = Origin::echoing();
    let gateway = gateway(&origin, AGE);
    let mut client = gateway.connect();
    for body in [r#"{"user":{"age":17}}"#, r#"{"user":{"age":"17"},"x":[1,{}]}"#] {
        let answer = client.ask(post(body));
        assert_eq!((answer.status(), answer.text().as_str()), (200, body));
    }
    let chunked = "POST /svc/a HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"user\":\r\nb\r\n{\"age\": 1}}\r\n\
                   0\r\n\r\n";
    assert_eq!(client.ask(chunked).text(), "{\"user\":{\"age\": 1}}");
    for body in [r#"{"user":{"age":-1}}"#, r#"{"user":{}}"#, "age=17", "{", r#"{"user":{"age":1,"age":-1}}"#, ""] {
        client.ask(post(body)).expect_end(400, "invalid");
    }
    client.get("/svc/a").expect_end(400, "invalid");
    origin.expect_requests(3);
}

#[test]
fn a_body_that_must_be_read_is_bounded() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).base("read_body_bytes_max", 64).further(AGE);
    let gateway = Gateway::start(&Conf::new().service(service));
    let body = format!("{{\"user\":{{\"age\":1}},\"pad\":\"{}\"}}", "x".repeat(64));
    gateway.connect().ask(post(&body)).expect_end(413, "body_too_large");
    assert_eq!(gateway.connect().ask(post("{\"user\":{\"age\":1}}")).status(), 200);
    assert!(origin.expect_requests(1)[0].body.bytes.ends_with(b"}}"));
}

#[test]
fn rates_are_spent_once_by_a_request_whose_body_was_read() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("client_flow_limit", 1).further(AGE);
    let gateway = Gateway::start(&Conf::new().service(service));
    let mut client = gateway.connect();
    // A rate of 1 lets 3 come at once.
    for _ in 0..3 {
        assert_eq!(client.ask(post("{\"user\":{\"age\":1}}")).status(), 200);
    }
}

#[test]
fn who_may_not_come_in_is_told_that_first() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).further(PAGE);
    let gateway = Gateway::start(&Conf::new().service(service));
    gateway.connect().get("/svc/a").expect_end(401, "tenant_missing");
}

#[test]
fn a_body_that_is_read_first_is_held_to_the_services_bound_too() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).base("body_bytes_max", 32).further(AGE);
    let gateway = Gateway::start(&Conf::new().service(service));
    let body = format!("{{\"user\":{{\"age\":1}}{}}}", " ".repeat(32));
    let chunked = format!(
        "POST /svc/a HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    gateway.connect().ask(chunked).expect_end(413, "body_too_large");
    gateway.connect().ask(post(&body)).expect_end(413, "body_too_large");
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_name_in_another_case_is_not_taken_for_absent() {
    let origin = Origin::ok();
    let gateway = gateway(&origin, &AGE.replace("required = true", "required = false"));
    gateway.connect().ask(post("{\"user\":{\"AGE\":-1}}")).expect_end(400, "invalid");
}

#[test]
fn a_body_that_is_read_first_has_the_time_of_the_whole_request_and_no_longer_than_the_gateway() {
    let origin = Origin::ok();
    let begun = "POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
    let service = Service::at("/svc", &[&origin]).further(AGE).balance("request_timeout", 500);
    let gateway = Gateway::start(&Conf::new().service(service).cores(1));
    let mut client = gateway.connect();
    client.send(begun);
    client.answer().expect_end(504, "request_timeout");

    let service = Service::at("/svc", &[&origin]).further(AGE);
    let conf = Conf::new().service(service).base("drain_window", 1).cores(1);
    let mut gateway = Gateway::start(&conf);
    let (mut body, mut head) = (gateway.connect(), gateway.connect());
    body.send(begun);
    head.send("GET /svc/a HTT");
    thread::sleep(Duration::from_millis(300));
    gateway.signal(Signal::TERM);
    body.answer().expect_end(503, "drained");
    head.answer().expect_end(503, "drained");
    drop((body, head));
    gateway.wait(Duration::from_secs(10));
    assert!(gateway.stderr().contains("left: 0 sessions, 0 tunnels, 0 buffers"), "{}", gateway.stderr());
}
