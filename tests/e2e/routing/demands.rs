//! What a rule demands beside the path.

use super::{named, said};
use crate::support::{Conf, Gateway, Origin, Service};

/// Two services at one path: the first demands something, the second takes the rest.
fn demanding(first: &Origin, rest: &Origin, demand: impl Fn(Service) -> Service) -> Gateway {
    Gateway::start(
        &Conf::new().service(demand(Service::matching("first", "url_prefix", "/a", first))).service(Service::matching(
            "rest",
            "url_prefix",
            "/a",
            rest,
        )),
    )
}

#[test]
fn a_rule_for_a_host_takes_no_other() {
    let (first, rest) = (named("first"), named("rest"));
    let gateway = demanding(&first, &rest, |service| service.rule_key("host", "api.example.com, shop.example.com"));
    let mut client = gateway.connect();
    for (host, wanted) in [
        ("api.example.com", "first"),
        ("API.Example.COM:8080", "first"),
        ("shop.example.com.", "first"),
        ("example.com", "rest"),
        ("x.api.example.com", "rest"),
        ("api.example.com.evil.test", "rest"),
    ] {
        assert_eq!(said(&mut client, "GET", "/a/x", host, ""), wanted, "{host}");
    }
}

#[test]
fn a_wildcard_takes_every_host_below_its_name() {
    let (first, rest) = (named("first"), named("rest"));
    let gateway = demanding(&first, &rest, |service| service.rule_key("host", "*.example.com"));
    let mut client = gateway.connect();
    for (host, wanted) in [
        ("a.example.com", "first"),
        ("b.A.example.com:1", "first"),
        ("example.com", "rest"),
        ("badexample.com", "rest"),
        ("a.example.org", "rest"),
    ] {
        assert_eq!(said(&mut client, "GET", "/a", host, ""), wanted, "{host}");
    }
}

#[test]
fn one_path_may_be_another_service_on_each_of_many_hosts() {
    let origins: Vec<_> = (0..20).map(|number| named(&format!("host{number}"))).collect();
    let mut conf = Conf::new();
    for (number, origin) in origins.iter().enumerate() {
        let service = Service::matching(&format!("svc{number}"), "url_prefix", "/", origin);
        conf = conf.service(service.rule_key("host", format!("host{number}.test")));
    }
    let gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    for number in 0..20 {
        assert_eq!(said(&mut client, "GET", "/x", &format!("host{number}.test"), ""), format!("host{number}"));
    }
    assert_eq!(said(&mut client, "GET", "/x", "host20.test", ""), "no_route");
}

#[test]
fn the_host_of_an_absolute_target_is_the_one_that_counts() {
    let (first, rest) = (named("first"), named("rest"));
    let gateway = demanding(&first, &rest, |service| service.rule_key("host", "api.example.com"));
    let mut client = gateway.connect();
    assert_eq!(said(&mut client, "GET", "http://api.example.com/a", "api.example.com", ""), "first");
    assert_eq!(said(&mut client, "GET", "http://other.example.com/a", "other.example.com", ""), "rest");
}

#[test]
fn a_rule_for_methods_takes_no_other() {
    let (first, rest) = (named("first"), named("rest"));
    let gateway = demanding(&first, &rest, |service| service.rule_key("method", "GET, PURGE"));
    let mut client = gateway.connect();
    for (method, wanted) in [("GET", "first"), ("PURGE", "first"), ("DELETE", "rest"), ("PROPFIND", "rest")] {
        assert_eq!(said(&mut client, method, "/a", "gate.test", ""), wanted, "{method}");
    }
    let body = "Content-Length: 0\r\n";
    assert_eq!(said(&mut client, "POST", "/a", "gate.test", body), "rest");
}

#[test]
fn a_preflight_goes_where_the_request_that_it_announces_will() {
    let (first, rest) = (named("first"), named("rest"));
    let gateway = demanding(&first, &rest, |service| service.rule_key("method", "PUT"));
    let mut client = gateway.connect();
    let announced = |method: &str| format!("Origin: http://x.test\r\nAccess-Control-Request-Method: {method}\r\n");
    assert_eq!(said(&mut client, "OPTIONS", "/a", "gate.test", &announced("PUT")), "first");
    assert_eq!(said(&mut client, "OPTIONS", "/a", "gate.test", &announced("GET")), "rest");
    assert_eq!(said(&mut client, "OPTIONS", "/a", "gate.test", ""), "rest");
    assert_eq!(said(&mut client, "GET", "/a", "gate.test", &announced("PUT")), "rest", "only OPTIONS announces");
}

#[test]
fn every_condition_must_hold() {
    let (first, rest) = (named("first"), named("rest"));
    let conditions =
        ["header.x-version >= 2", "cookie.group in a, b", "query.lang == de", "header.user-agent ~ ^curl/"];
    let gateway = demanding(&first, &rest, |service| service.rule_key("conditions", conditions));
    let mut client = gateway.connect();
    let mut ask = |version: &str, group: &str, lang: &str, agent: &str| {
        let fields = format!("X-Version: {version}\r\nCookie: x=1; group={group}\r\nUser-Agent: {agent}\r\n");
        said(&mut client, "GET", &format!("/a?lang={lang}"), "gate.test", &fields)
    };
    assert_eq!(ask("2", "a", "de", "curl/8"), "first");
    assert_eq!(ask("10", "b", "d%65", "curl/8"), "first", "numbers, not texts; values decoded");
    assert_eq!(ask("1", "a", "de", "curl/8"), "rest");
    assert_eq!(ask("x", "a", "de", "curl/8"), "rest");
    assert_eq!(ask("2", "c", "de", "curl/8"), "rest");
    assert_eq!(ask("2", "a", "fr", "curl/8"), "rest");
    assert_eq!(ask("2", "a", "de", "x curl/8"), "rest");
}

#[test]
fn what_is_absent_fulfils_not_equal_only() {
    let (first, rest) = (named("first"), named("rest"));
    let gateway = demanding(&first, &rest, |service| service.rule_key("conditions", ["header.x-beta != 1"]));
    let mut client = gateway.connect();
    assert_eq!(said(&mut client, "GET", "/a", "gate.test", ""), "first");
    assert_eq!(said(&mut client, "GET", "/a", "gate.test", "X-Beta: 0\r\n"), "first");
    assert_eq!(said(&mut client, "GET", "/a", "gate.test", "X-Beta: 1\r\n"), "rest");
    let gateway = demanding(&first, &rest, |service| service.rule_key("conditions", ["header.x-beta <= 1"]));
    assert_eq!(said(&mut gateway.connect(), "GET", "/a", "gate.test", ""), "rest");
}

#[test]
fn an_expression_demands_host_and_method_too() {
    let (first, rest) = (named("first"), named("rest"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(
                Service::matching("first", "url_regex", "^/a/[0-9]+$", &first)
                    .rule_key("host", "*.example.com")
                    .rule_key("method", "GET")
                    .rule_key("conditions", ["query.v == 1"]),
            )
            .service(Service::matching("rest", "url_prefix", "/a", &rest)),
    );
    let mut client = gateway.connect();
    assert_eq!(said(&mut client, "GET", "/a/7?v=1", "a.example.com", ""), "first");
    assert_eq!(said(&mut client, "GET", "/a/7?v=1", "example.com", ""), "rest");
    assert_eq!(said(&mut client, "DELETE", "/a/7?v=1", "a.example.com", ""), "rest");
    assert_eq!(said(&mut client, "GET", "/a/7?v=2", "a.example.com", ""), "rest");
    assert_eq!(said(&mut client, "GET", "/a/x?v=1", "a.example.com", ""), "rest");
}
