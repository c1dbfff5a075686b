//! `[module.cors]`: preflights answered here, answers dressed, a service's own word replaced.

use super::gateway;
use crate::support::{Answer, Conf, Gateway, Origin, Service};

const LISTED: &str = "[module.cors]\nallow_origins = \"https://app.test, https://*.pages.test\"\n";

fn from(origin: &str) -> String {
    format!("GET /svc/a HTTP/1.1\r\nHost: g\r\nOrigin: {origin}\r\n\r\n")
}

fn preflight(origin: &str, method: &str, headers: &str) -> String {
    let headers =
        if headers.is_empty() { String::new() } else { format!("Access-Control-Request-Headers: {headers}\r\n") };
    format!(
        "OPTIONS /svc/a HTTP/1.1\r\nHost: g\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n{headers}\r\n"
    )
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.head.field("access-control-allow-origin")
}

#[test]
fn a_page_of_a_listed_origin_may_read_the_answer_and_no_other() {
    let origin = Origin::ok();
    let gateway = gateway(&origin, LISTED);
    let mut client = gateway.connect();
    for listed in ["https://app.test", "https://a.pages.test"] {
        let answer = client.ask(from(listed));
        assert_eq!((answer.status(), allowed(&answer)), (200, Some(listed)));
        assert!(answer.head.lists("vary", "origin"), "{:?}", answer.head);
    }
    for other in ["https://evil.test", "http://app.test", "https://app.test.evil", "null"] {
        let answer = client.ask(from(other));
        assert_eq!((answer.status(), allowed(&answer)), (200, None), "{other}");
    }
    let answer = client.get("/svc/a");
    assert_eq!(allowed(&answer), None);
    assert!(answer.head.lists("vary", "origin"), "a cache must not mix the two: {:?}", answer.head);
    origin.expect_requests(7);
}

#[test]
fn a_preflight_is_answered_here() {
    let origin = Origin::ok();
    let keys = "allow_methods = \"GET, PUT\"\nallow_headers = \"X-Token\"\nmax_age = 60\nallow_credentials = true\n";
    let gateway = gateway(&origin, &format!("{LISTED}{keys}"));
    let mut client = gateway.connect();
    let answer = client.ask(preflight("https://app.test", "PUT", "x-token"));
    assert_eq!((answer.status(), allowed(&answer)), (204, Some("https://app.test")));
    let field = |name| answer.head.field(name);
    assert_eq!(field("access-control-allow-methods"), Some("GET, PUT"));
    assert_eq!(field("access-control-allow-headers"), Some("X-Token"));
    assert_eq!(field("access-control-max-age"), Some("60"));
    assert_eq!(field("access-control-allow-credentials"), Some("true"));
    assert_eq!((field("content-length"), field("content-type")), (None, None), "RFC 9110 section 8.6");
    assert_eq!(client.get("/svc/a").status(), 200, "the connection lives on");
    assert_eq!(origin.only().method(), "GET");
}

#[test]
fn a_preflight_from_elsewhere_is_refused() {
    let origin = Origin::ok();
    let gateway = gateway(&origin, LISTED);
    let answer = gateway.connect().ask(preflight("https://evil.test", "GET", ""));
    answer.expect_end(403, "cors_origin");
    assert_eq!(allowed(&answer), None);
    assert!(origin.requests().is_empty());
}

#[test]
fn the_star_is_everything_that_is_asked_for() {
    let origin = Origin::ok();
    let tables = "[module.cors]\nallow_origins = \"*\"\nallow_methods = \"*\"\nallow_headers = \"*\"\n";
    let gateway = gateway(&origin, tables);
    let mut client = gateway.connect();
    let answer = client.ask(preflight("https://any.test", "PATCH", "x-a, x-b"));
    assert_eq!(allowed(&answer), Some("*"));
    assert_eq!(answer.head.field("access-control-allow-methods"), Some("PATCH"));
    assert_eq!(answer.head.field("access-control-allow-headers"), Some("x-a, x-b"));
    let answer = client.ask(from("https://any.test"));
    assert_eq!((allowed(&answer), answer.head.field("vary")), (Some("*"), None));
}

#[test]
fn the_services_own_word_is_replaced() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nVary: Accept\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let gateway = gateway(&origin, &format!("{LISTED}expose_headers = \"X-Total\"\n"));
    let mut client = gateway.connect();
    let answer = client.ask(from("https://app.test"));
    assert_eq!(allowed(&answer), Some("https://app.test"));
    assert_eq!(answer.head.field("access-control-allow-credentials"), None);
    assert_eq!(answer.head.field("access-control-expose-headers"), Some("X-Total"));
    assert_eq!(answer.head.all("vary"), ["Accept", "Origin"]);
    assert_eq!(allowed(&client.ask(from("https://evil.test"))), None);
}

#[test]
fn a_refusal_can_be_read_by_the_page_too() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).further(LISTED);
    let gateway = Gateway::start(&Conf::new().service(service));
    let answer = gateway.connect().ask(from("https://app.test"));
    answer.expect_end(401, "tenant_missing");
    assert_eq!(allowed(&answer), Some("https://app.test"));
}

#[test]
fn a_preflight_needs_no_credentials() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).further(LISTED);
    let gateway = Gateway::start(&Conf::new().service(service));
    assert_eq!(gateway.connect().ask(preflight("https://app.test", "GET", "")).status(), 204);
}

#[test]
fn without_rules_preflights_and_answers_are_the_services() {
    let origin =
        Origin::replying("HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: theirs\r\nContent-Length: 0\r\n\r\n");
    let gateway = gateway(&origin, "");
    let answer = gateway.connect().ask(preflight("https://app.test", "GET", ""));
    assert_eq!((answer.status(), allowed(&answer)), (200, Some("theirs")));
    assert_eq!(origin.only().method(), "OPTIONS");
}
