//! `[request_id]`: under which field a request's id is told, and whose word counts.

use crate::support::{Conf, Gateway, Origin};

fn with_id(field: &str, id: &str) -> String {
    format!("GET /svc/a HTTP/1.1\r\nHost: g\r\n{field}: {id}\r\n\r\n")
}

#[test]
fn the_id_goes_by_the_name_that_the_file_gives() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).request_id("header", "X-Request-Id"));
    let mut client = gateway.connect();
    client.ask(with_id("x-request-id", "abc-1"));
    client.get("/svc/a");
    let requests = origin.expect_requests(2);
    assert_eq!(requests[0].head.all("x-request-id"), ["abc-1"]);
    assert!(requests[1].head.field("x-request-id").is_some_and(|id| !id.is_empty()));
    assert_eq!(requests[1].head.field("didi-header-rid"), None);
}

#[test]
fn without_a_name_it_goes_by_gatekeepers() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let answer = gateway.connect().ask(with_id("didi-header-rid", "abc-1"));
    assert_eq!(origin.only().head.all("didi-header-rid"), ["abc-1"]);
    assert_eq!(answer.head.field("didi-header-rid"), None);
}

#[test]
fn a_clients_id_need_not_be_kept() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).request_id("header", "X-Request-Id").request_id("from_client", false);
    let gateway = Gateway::start(&conf);
    gateway.connect().ask(with_id("X-Request-Id", "abc-1"));
    let head = origin.only().head;
    let id = head.field("x-request-id").expect("one id");
    assert!(!id.is_empty() && id != "abc-1");
}

#[test]
fn an_answer_may_have_the_id_too_whoever_made_it() {
    let origin = Origin::replying("HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n");
    let conf = Conf::of(&origin).request_id("header", "X-Request-Id").request_id("on_answer", true);
    let gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    assert_eq!(client.ask(with_id("X-Request-Id", "abc-1")).head.all("x-request-id"), ["abc-1"]);
    let refused = client.get("/nowhere");
    refused.expect_end(404, "no_route");
    assert_eq!(refused.head.field("x-request-id"), refused.json()["trace_id"].as_str());
}
