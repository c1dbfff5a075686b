//! `[[module.header]]`: fields set, added and deleted, both ways.

use super::gateway;
use crate::support::{Conf, Gateway, Origin, Service};

const NOISY: &str = "HTTP/1.1 200 OK\r\nServer: secret/1.0\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok";

fn rule(on: &str, action: &str, name: &str, value: &str) -> String {
    format!("[[module.header]]\non = {on:?}\naction = {action:?}\nname = {name:?}\nvalue = {value:?}\n")
}

#[test]
fn a_request_is_given_fields_and_relieved_of_others() {
    let origin = Origin::ok();
    let rules = [
        rule("request", "set", "X-Env", "blue"),
        rule("request", "add", "X-List", "ours"),
        "[[module.header]]\naction = \"delete\"\nname = \"X-Secret\"\n".to_owned(),
    ];
    let gateway = gateway(&origin, &rules.concat());
    let fields = "X-Env: red\r\nx-env: green\r\nX-List: theirs\r\nX-Secret: s\r\nX-Kept: k\r\n";
    let answer = gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: g\r\n{fields}\r\n"));
    assert_eq!(answer.status(), 200);
    let head = origin.only().head;
    assert_eq!(head.all("x-env"), ["blue"]);
    assert_eq!(head.all("x-list"), ["theirs", "ours"]);
    assert_eq!((head.field("x-secret"), head.field("x-kept")), (None, Some("k")));
}

#[test]
fn an_answer_is_given_fields_and_relieved_of_others() {
    let origin = Origin::replying(NOISY);
    let rules = [
        rule("response", "set", "Strict-Transport-Security", "max-age=60"),
        "[[module.header]]\non = \"response\"\naction = \"delete\"\nname = \"Server\"\n".to_owned(),
    ];
    let gateway = gateway(&origin, &rules.concat());
    let answer = gateway.connect().get("/svc/a");
    assert_eq!(answer.head.field("strict-transport-security"), Some("max-age=60"));
    assert_eq!((answer.head.field("server"), answer.head.field("x-kept")), (None, Some("yes")));
    assert_eq!(origin.only().head.field("strict-transport-security"), None);
}

#[test]
fn our_own_refusals_are_given_the_fields_of_an_answer() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).access("black_list", "127.0.0.0/8");
    let service = service.further(&rule("response", "set", "X-Team", "core"));
    let gateway = Gateway::start(&Conf::new().service(service));
    let answer = gateway.connect().get("/svc/a");
    answer.expect_end(403, "black_listed");
    assert_eq!(answer.head.field("x-team"), Some("core"));
}

#[test]
fn values_may_hold_parts_of_the_request() {
    let origin = Origin::ok();
    let value = "$(origin.method) $(origin.path) $(client.address) $(origin.cookie.uid) $(origin.query.q)";
    let rules = [rule("request", "set", "X-Told", value), rule("response", "set", "X-Asked", "$(origin.host)")];
    let gateway = gateway(&origin, &rules.concat());
    let answer =
        gateway.connect().ask("GET /svc/a?q=%0d%0aX-Evil:1 HTTP/1.1\r\nHost: gate.test\r\nCookie: a=b; uid=7\r\n\r\n");
    assert_eq!(answer.head.field("x-asked"), Some("gate.test"));
    let head = origin.only().head;
    assert_eq!(head.field("x-told"), Some("GET /svc/a 127.0.0.1 7 %0D%0AX-Evil:1"));
    assert_eq!(head.field("x-evil"), None);
}

#[test]
fn rules_hold_for_every_attempt_and_are_carried_out_once() {
    let (origin, deserted) = (Origin::replying(NOISY), Origin::ok());
    let service = Service::at("/svc", &[&deserted, &origin]).balance("fall", 100);
    let rules = [rule("request", "add", "X-Once", "1"), rule("response", "add", "X-Once", "1")];
    let gateway = Gateway::start(&Conf::new().service(service.further(&rules.concat())));
    // From here on it refuses connections, so that every other request is tried twice.
    drop(deserted);
    let mut client = gateway.connect();
    for _ in 0..8 {
        let answer = client.get("/svc/a");
        assert_eq!(answer.head.all("x-once"), ["1"]);
    }
    for request in origin.expect_requests(8) {
        assert_eq!(request.head.all("x-once"), ["1"]);
    }
}

#[test]
fn a_service_without_rules_is_left_alone_beside_one_that_has_some() {
    let (ruled, plain) = (Origin::ok(), Origin::replying(NOISY));
    let service = Service::at("/ruled", &[&ruled]).further(&rule("response", "set", "Server", "gate"));
    let gateway = Gateway::start(&Conf::new().service(service).service(Service::at("/plain", &[&plain])));
    let mut client = gateway.connect();
    assert_eq!(client.get("/ruled/a").head.field("server"), Some("gate"));
    assert_eq!(client.get("/plain/a").head.field("server"), Some("secret/1.0"));
}
