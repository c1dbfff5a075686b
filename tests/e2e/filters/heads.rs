//! Filters before admission and on the head of an answer.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use super::{gateway, gateway_of};
use crate::support::conf::App;
use crate::support::{Client, Conf, Gateway, Origin, Service, eventually, probed};

#[test]
fn a_filter_sees_the_request_as_the_rules_do() {
    let origin = Origin::ok();
    let gateway = gateway_of(Service::at("/svc", &[&origin]).filter("show", ""));
    let request = "POST /svc/./a%7e?q=a%20b&x HTTP/1.1\r\nHost: gate.test\r\nX-Say: hi\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(gateway.connect().ask(request).status(), 200);
    let seen = "POST | /svc/a~ | q=a%20b&x | a b | gate.test | hi | 3 | 127.0.0.1 | svc | nobody";
    assert_eq!(origin.only().head.field("x-seen"), Some(seen));
    assert_eq!(origin.only().target(), "/a~?q=a%20b&x");
}

#[test]
fn a_filter_knows_the_tenant_and_the_client_behind_trusted_proxies() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).filter("show", "");
    let conf = Conf::new().service(service).app(App::new("shop", "0123456789abcdef"));
    let gateway = gateway(conf.http("trusted_proxies", ["127.0.0.0/8"]));
    let target = "/svc/a?app_id=shop&sign=0123456789abcdef";
    let request = format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");
    assert_eq!(gateway.connect().ask(request).status(), 200);
    let head = origin.only().head;
    assert!(head.field("x-seen").is_some_and(|seen| seen.ends_with("| 203.0.113.7 | svc | shop")), "{head:?}");
}

#[test]
fn fields_are_set_and_removed_both_ways() {
    let origin = Origin::replying("HTTP/1.1 200 OK\r\nX-Secret: 1\r\nX-Mine: no\r\nContent-Length: 2\r\n\r\nok");
    let options = "remove = [\"x-secret\"]\nset = { X-Mine = \"yes\" }";
    let gateway = gateway_of(Service::at("/svc", &[&origin]).filter("fields", options));
    let mut client = gateway.connect();
    for _ in 0..3 {
        let request = "GET /svc/a HTTP/1.1\r\nHost: gate.test\r\nx-secret: 2\r\nX-SECRET: 3\r\nx-mine: no\r\n\r\n";
        let answer = client.ask(request);
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        assert_eq!((answer.head.all("x-secret"), answer.head.all("x-mine")), (vec![], vec!["yes"]));
    }
    for request in origin.expect_requests(3) {
        assert_eq!((request.head.all("x-secret"), request.head.all("x-mine")), (vec![], vec!["yes"]));
        assert_eq!(request.head.field("host"), Some(origin.node()));
    }
}

#[test]
fn a_filter_cannot_touch_what_frames_a_message() {
    let origin = Origin::ok();
    let options = "set = { Content-Length = \"0\" }";
    let gateway = gateway_of(Service::at("/svc", &[&origin]).filter("fields", options));
    gateway.connect().get("/svc/a").expect_end(500, "filter_refused");
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn a_refused_request_is_answered_by_the_filter_and_goes_nowhere() {
    let origin = Origin::ok();
    let refusing = Service::at("/svc", &[&origin]).filter("refuse", "at = \"request\"\nstatus = 451");
    let moved = Service::at("/old", &[&origin]).filter("refuse", "at = \"request\"\nstatus = 308\nlocation = \"/new\"");
    let gateway = gateway(Conf::new().service(refusing).service(moved));
    let mut client = gateway.connect();
    let answer = client.get("/svc/a");
    answer.expect_end(451, "filter_refused");
    assert_eq!(answer.json()["errmsg"], "refused at the request");
    let answer = client.get("/old/a");
    assert_eq!((answer.status(), answer.head.field("location")), (308, Some("/new")));
    assert_eq!(client.get("/svc/a").status(), 451, "the connection goes on");
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn lists_come_before_filters() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).access("black_list", "127.0.0.2");
    let service = service.access("white_list", "127.0.0.0/8").filter("refuse", "at = \"request\"\nstatus = 451");
    let gateway = gateway_of(service);
    let mut black = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), gateway.address());
    black.get("/svc/a").expect_end(403, "black_listed");
    gateway.connect().get("/svc/a").expect_end(451, "filter_refused");
}

#[test]
fn filters_come_before_the_bound_of_the_body() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).base("body_bytes_max", 1);
    let gateway = gateway_of(service.filter("refuse", "at = \"request\"\nstatus = 451"));
    let request = "POST /svc/a HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 3\r\n\r\nabc";
    gateway.connect().ask(request).expect_end(451, "filter_refused");
}

#[test]
fn an_answer_that_a_filter_refuses_never_reaches_the_client() {
    let origin = Origin::replying("HTTP/1.1 200 OK\r\nX-Secret: 1\r\nContent-Length: 6\r\n\r\nsecret");
    let service = Service::at("/svc", &[&origin]).filter("refuse", "at = \"response\"\nstatus = 502");
    let gateway = gateway_of(service);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.get("/svc/a");
        answer.expect_end(502, "filter_refused");
        assert_eq!(answer.head.field("x-secret"), None);
    }
}

#[test]
fn filters_are_asked_in_order_about_requests_and_backwards_about_answers() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]);
    let service = service.filter("count", "mark = \"one\"").filter("count", "mark = \"two\"");
    let gateway = gateway_of(service);
    let answer = gateway.connect().get("/svc/a");
    assert_eq!(answer.head.all("x-answered"), ["two", "one"]);
    assert_eq!(origin.only().head.all("x-asked"), ["one 1", "two 1"]);
}

#[test]
fn a_request_that_is_tried_again_was_asked_about_once() {
    let (lost, kept) = (Origin::ok(), Origin::ok());
    let service = Service::at("/svc", &[&lost, &kept]).filter("count", "mark = \"one\"");
    let gateway = gateway(Conf::new().cores(1).service(service));
    let mut count = 0;
    let mut get = || {
        count += 1;
        assert_eq!(gateway.connect().get("/svc/a").status(), 200);
        count
    };
    assert!(eventually(|| get() > 0 && !lost.heads().is_empty() && !kept.heads().is_empty()));
    drop(lost);
    // One of these is dialled for at the lost one first.
    (0..4).for_each(|_| _ = get());
    let last = format!("one {}", get());
    let asked: Vec<_> =
        kept.requests().iter().flat_map(|request| request.head.field("x-asked").map(str::to_owned)).collect();
    assert_eq!(asked.last(), Some(&last), "{asked:?}");
}

#[test]
fn a_request_that_waited_for_its_turn_was_asked_about_once() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            thread::sleep(Duration::from_millis(500));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let service = Service::at("/svc", &[&origin]).filter("count", "mark = \"one\"").table("concurrency", "max", 1);
    let gateway = gateway_of(service);
    probed(&[&origin]);
    let mut clients = [gateway.connect(), gateway.connect()];
    clients.iter_mut().for_each(|client| client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n"));
    clients.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
    let requests = origin.expect_requests(2);
    let mut asked: Vec<_> = requests.iter().filter_map(|request| request.head.field("x-asked")).collect();
    asked.sort_unstable();
    assert_eq!(asked, ["one 1", "one 2"]);
}

#[test]
fn one_filter_serves_every_worker() {
    let origin = Origin::ok();
    let gateway = gateway_of(Service::at("/svc", &[&origin]).filter("count", "mark = \"all\""));
    for _ in 0..16 {
        assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    }
    let asked: Vec<_> = origin
        .expect_requests(16)
        .iter()
        .flat_map(|request| request.head.field("x-asked").map(str::to_owned))
        .collect();
    assert!(asked.contains(&"all 16".to_owned()), "{asked:?}");
}

#[test]
fn a_filter_that_panics_costs_one_connection() {
    let origin = Origin::ok();
    let panics = Service::at("/bad", &[&origin]).filter("refuse", "at = \"panic\"\nstatus = 400");
    let gateway = gateway(Conf::new().service(panics).service(Service::at("/svc", &[&origin])));
    let mut beside = gateway.connect();
    assert_eq!(beside.get("/svc/a").status(), 200);
    for _ in 0..3 {
        let mut client = gateway.connect();
        client.send("GET /bad/a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        client.expect_end_of_connection();
    }
    assert_eq!(beside.get("/svc/a").status(), 200);
}

#[test]
fn a_service_without_filters_is_as_it_is() {
    let origin = Origin::replying("HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 2\r\n\r\nok");
    let filtered = Service::at("/svc", &[&origin]).filter("capitals", "");
    let gateway = gateway(Conf::new().service(filtered).service(Service::at("/plain", &[&origin])));
    let request = "GET /plain/a HTTP/1.1\r\nHost: gate.test\r\nAccept-Encoding: zstd\r\n\r\n";
    let answer = gateway.connect().ask(request);
    assert_eq!((answer.text().as_str(), answer.head.field("content-encoding")), ("ok", Some("zstd")));
    assert_eq!(origin.only().head.field("accept-encoding"), Some("zstd"));
}

#[test]
fn a_reload_makes_filters_of_their_new_options() {
    let origin = Origin::ok();
    let conf =
        |mark: &str| Conf::new().service(Service::at("/svc", &[&origin]).filter("count", &format!("mark = {mark:?}")));
    let gateway = gateway(conf("old"));
    let answered = |gateway: &Gateway| gateway.connect().get("/svc/a").head.field("x-answered").map(str::to_owned);
    assert_eq!(answered(&gateway).as_deref(), Some("old"));
    gateway.rewrite_files(&conf("new"));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert!(eventually(|| answered(&gateway).as_deref() == Some("new")));
}
