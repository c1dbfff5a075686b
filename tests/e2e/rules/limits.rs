//! Limits of a service: whom they count, in which windows, what answers say, who waits, who is only noted.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::conf::App;
use crate::support::{Answer, Client, Conf, Gateway, Origin, Service, eventually};

fn limited(origin: &Origin, lines: &'static str) -> Gateway {
    Gateway::start(&Conf::new().service(Service::at("/svc", &[origin]).limit(lines)))
}

fn from(gateway: &Gateway, last: u8) -> Client {
    Client::connect_from(Ipv4Addr::new(127, 0, 0, last), gateway.address())
}

/// How many of so many requests in a row are served.
fn served(client: &mut Client, request: &str, tries: usize) -> usize {
    (0..tries).filter(|_| client.ask(request).status() == 200).count()
}

const GET: &str = "GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n";

fn with(field: &str) -> String {
    format!("GET /svc/a HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n")
}

#[test]
fn a_limit_by_client_counts_each_address() {
    let origin = Origin::ok();
    let gateway = limited(&origin, "rate = 3; window = \"hour\"");
    assert_eq!([1, 2].map(|last| served(&mut from(&gateway, last), GET, 6)), [3, 3]);
    from(&gateway, 1).get("/svc/a").expect_end(429, "client_rate");
}

#[test]
fn a_limit_by_service_counts_all_clients_together() {
    let origin = Origin::ok();
    let gateway = limited(&origin, "by = \"service\"; rate = 5; window = \"hour\"");
    let each = [1, 2, 3].map(|last| served(&mut from(&gateway, last), GET, 4));
    assert_eq!(each, [4, 1, 0]);
    from(&gateway, 4).get("/svc/a").expect_end(429, "service_rate");
}

#[test]
fn a_limit_by_tenant_counts_each_tenant_at_this_service() {
    let origin = Origin::ok();
    let service = |prefix| {
        let service = Service::at(prefix, &[&origin]).access("open", 1);
        service.limit("by = \"tenant\"; rate = 2; window = \"hour\"")
    };
    let conf = Conf::new().service(service("/svc")).service(service("/other"));
    let gateway = Gateway::start(&conf.app(App::new("one", "s")).app(App::new("two", "s")));
    let mut client = gateway.connect();
    let mut of = |path: &str, tenant: &str| {
        let target = format!("GET {path}/a?app_id={tenant}&sign=s HTTP/1.1\r\nHost: a\r\n\r\n");
        served(&mut client, &target, 4)
    };
    assert_eq!([of("/svc", "one"), of("/svc", "two"), of("/other", "one")], [2, 2, 2]);
}

#[test]
fn a_limit_by_a_field_a_cookie_or_a_parameter_counts_each_value_and_nobody_without_one() {
    let origin = Origin::ok();
    let cases: [(&'static str, [String; 2]); 3] = [
        ("by = \"header.x-key\"; rate = 2; window = \"hour\"", [with("X-Key: a"), with("x-key: b")]),
        ("by = \"cookie.uid\"; rate = 2; window = \"hour\"", [with("Cookie: x=1; uid=a"), with("Cookie: uid=b; x=1")]),
        (
            "by = \"query.key\"; rate = 2; window = \"hour\"",
            ["a", "%62"].map(|key| format!("GET /svc/a?key={key} HTTP/1.1\r\nHost: a\r\n\r\n")),
        ),
    ];
    for (lines, requests) in cases {
        let gateway = limited(&origin, lines);
        let mut client = gateway.connect();
        for request in &requests {
            assert_eq!(served(&mut client, request, 4), 2, "{lines} {request}");
            client.ask(request).expect_end(429, "value_rate");
        }
        assert_eq!(served(&mut client, GET, 8), 8, "{lines}: nobody without one");
    }
}

#[test]
fn an_endpoint_whose_rate_is_used_up_leaves_its_requests_to_others() {
    let origins = [Origin::ok(), Origin::ok()];
    let service = Service::at("/svc", &[&origins[0], &origins[1]]).weights(&[9, 1]);
    let service = service.limit("by = \"endpoint\"; rate = 4; window = \"hour\"");
    let gateway = Gateway::start(&Conf::new().service(service));
    // Both are known to be up, and the workers know it.
    assert!(eventually(|| origins.iter().all(|origin| origin.probes() > 0)));
    thread::sleep(Duration::from_millis(700));
    let mut client = gateway.connect();
    assert_eq!(served(&mut client, GET, 12), 8);
    assert_eq!(origins.each_ref().map(|origin| origin.requests().len()), [4, 4]);
    let answer = client.ask(GET);
    answer.expect_end(429, "endpoint_rate");
    assert!(answer.head.field("retry-after").is_some());
}

#[test]
fn a_window_is_a_second_a_minute_or_an_hour() {
    let origin = Origin::ok();
    let windows: [(&'static str, u64); 3] = [
        ("rate = 2; window = \"second\"", 1),
        ("rate = 2; window = \"minute\"", 30),
        ("rate = 2; window = \"hour\"", 1_800),
    ];
    for (lines, interval_s) in windows {
        let gateway = limited(&origin, lines);
        let mut client = gateway.connect();
        let refused = (0..20).map(|_| client.ask(GET)).find(|answer| answer.status() == 429).expect("a limit");
        let again_s: u64 = refused.head.field("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
        assert!((interval_s.saturating_sub(2)..=interval_s).contains(&again_s), "{lines}: {again_s}");
    }
}

#[test]
fn a_burst_is_what_may_come_at_once() {
    let origin = Origin::ok();
    let gateway = limited(&origin, "rate = 3; window = \"hour\"; burst = 7");
    assert_eq!(served(&mut gateway.connect(), GET, 12), 7);
}

#[test]
fn the_members_of_a_cluster_share_a_rate() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).limit("rate = 8; window = \"hour\"; share = \"cluster\"");
    let gateway = Gateway::start(&Conf::new().cluster("127.0.0.1,10.0.0.2").service(service));
    assert_eq!(served(&mut gateway.connect(), GET, 12), 4);
}

fn told(answer: &Answer) -> [&str; 2] {
    ["ratelimit-policy", "ratelimit"].map(|name| answer.head.field(name).unwrap_or_default())
}

#[test]
fn answers_of_the_service_and_refusals_say_what_is_left() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).limit("rate = 2; window = \"minute\"");
    let service = service.limit("by = \"service\"; rate = 100; window = \"hour\"; name = \"all\"");
    let gateway = Gateway::start(&Conf::new().service(service));
    let mut client = gateway.connect();
    let policy = "\"client-minute\";q=2;w=60, \"all\";q=100;w=3600";
    assert_eq!(told(&client.ask(GET)), [policy, "\"client-minute\";r=1;t=30, \"all\";r=99;t=36"]);
    assert_eq!(told(&client.ask(GET))[1].split(';').nth(1), Some("r=0"));
    let refused = client.ask(GET);
    refused.expect_end(429, "client_rate");
    let again = refused.head.field("retry-after").expect("seconds");
    let standing = format!("\"client-minute\";r=0;t={again}");
    assert_eq!(told(&refused), ["\"client-minute\";q=2;w=60", &standing], "only what refuses");
}

#[test]
fn fields_may_be_left_out_of_answers_but_not_of_refusals() {
    let origin = Origin::ok();
    let gateway = limited(&origin, "rate = 1; window = \"hour\"; fields = false");
    let mut client = gateway.connect();
    assert_eq!(told(&client.ask(GET)), ["", ""]);
    assert!(told(&client.ask(GET))[1].starts_with("\"client-hour\";r=0;t="));
}

#[test]
fn a_client_flow_limit_says_what_is_left_when_nothing_is() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&origin]).access("client_flow_limit", 1)));
    let mut client = gateway.connect();
    assert_eq!(told(&client.ask(GET)), ["", ""]);
    let refused = (0..20).map(|_| client.ask(GET)).find(|answer| answer.status() == 429).expect("a limit");
    assert_eq!(told(&refused)[0], "\"client_flow_limit\";q=1;w=1");
}

#[test]
fn who_is_refused_by_one_limit_uses_up_none_of_another() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).limit("by = \"service\"; rate = 6; window = \"hour\"");
    let gateway = Gateway::start(&Conf::new().service(service.limit("rate = 2; window = \"hour\"")));
    assert_eq!(served(&mut from(&gateway, 1), GET, 50), 2);
    assert_eq!([2, 3, 4].map(|last| served(&mut from(&gateway, last), GET, 10)), [2, 2, 0]);
}

#[test]
fn a_request_over_the_rate_waits_for_its_turn_and_is_served() {
    let origin = Origin::ok();
    let gateway = limited(&origin, "rate = 10; burst = 1; wait = 3000");
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..11 {
            scope.spawn(|| assert_eq!(gateway.connect().ask(GET).status(), 200));
        }
    });
    let took = start.elapsed();
    assert!((Duration::from_millis(990)..Duration::from_millis(2_500)).contains(&took), "{took:?}");
}

#[test]
fn whose_turn_is_further_away_than_the_wait_is_refused_at_once() {
    let origin = Origin::ok();
    let gateway = limited(&origin, "rate = 1; burst = 1; wait = 1500");
    assert_eq!(gateway.connect().ask(GET).status(), 200);
    let mut waiting = gateway.connect();
    waiting.send(GET);
    thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    gateway.connect().get("/svc/a").expect_end(429, "client_rate");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(waiting.answer().status(), 200);
}

#[test]
fn a_body_comes_through_a_wait_whole() {
    let origin = Origin::echoing();
    let gateway = limited(&origin, "rate = 5; burst = 1; wait = 2000");
    let body = "0123456789".repeat(3_000);
    let request = format!("POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut client = gateway.connect();
    for _ in 0..3 {
        let answer = client.ask(&request);
        assert_eq!((answer.status(), answer.text() == body), (200, true));
    }
}

#[test]
fn a_wait_ends_where_the_whole_request_may_take_no_longer() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).balance("request_timeout", 300);
    let gateway = Gateway::start(&Conf::new().service(service.limit("rate = 1; window = \"minute\"; wait = 60000")));
    let mut client = gateway.connect();
    assert_eq!(client.ask(GET).status(), 200);
    let start = Instant::now();
    client.ask(GET).expect_end(504, "request_timeout");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_limit_in_dry_run_refuses_nobody_and_the_log_has_whom_it_would_have() {
    let (origin, folder) = (Origin::ok(), TempDir::new().expect("a temporary folder"));
    let path = folder.path().join("log");
    let service = Service::at("/svc", &[&origin]).limit("rate = 2; window = \"hour\"; dry_run = true");
    let conf = Conf::new().service(service).base("access_log_format", "$status $end|$dry_run|");
    let conf = conf.base("access_log_sample", 1_000_000).log("log.file_writer", "on", true);
    let gateway = Gateway::start(&conf.log("log.file_writer", "log_path", path.display().to_string()));
    assert_eq!(served(&mut gateway.connect(), GET, 5), 5);
    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    let spared = || lines().lines().filter(|line| *line == "200 -|client_rate|").count();
    assert!(eventually(|| spared() == 3), "{}", lines());
    assert!(gateway.stderr().contains("the limit `client-hour` refuses nobody"), "{}", gateway.stderr());
}

#[test]
fn a_changed_limit_takes_effect_at_once_whatever_was_used_up_before() {
    let origin = Origin::ok();
    let of = |lines: &'static str| Conf::new().service(Service::at("/svc", &[&origin]).limit(lines));
    let gateway = Gateway::start(&of("rate = 1; window = \"hour\"; name = \"calls\""));
    let mut client = gateway.connect();
    assert_eq!(served(&mut client, GET, 3), 1, "the next one would be in an hour");
    gateway.rewrite_files(&of("rate = 100; name = \"calls\""));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert_eq!(served(&mut client, GET, 50), 50);
    gateway.rewrite_files(&of("rate = 1; window = \"hour\"; name = \"calls\""));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert!(served(&mut client, GET, 10) <= 1);
}

#[test]
fn limits_of_one_service_do_not_touch_another() {
    let origin = Origin::ok();
    let service = |prefix| Service::at(prefix, &[&origin]).limit("rate = 1; window = \"hour\"");
    let gateway = Gateway::start(&Conf::new().service(service("/svc")).service(service("/other")));
    let mut client = gateway.connect();
    assert_eq!(served(&mut client, GET, 3), 1);
    assert_eq!(served(&mut client, "GET /other/a HTTP/1.1\r\nHost: a\r\n\r\n", 3), 1);
}

#[test]
fn a_limit_in_dry_run_makes_nobody_wait() {
    let origin = Origin::ok();
    let gateway = limited(&origin, "rate = 1; burst = 1; wait = 20000; dry_run = true");
    let begun = Instant::now();
    assert_eq!(served(&mut gateway.connect(), GET, 8), 8);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}
