//! A line for each request, whoever served it, with everything that is known of it.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Folder, expect_json, expect_lines, logged, logging};
use crate::support::conf::App;
use crate::support::{Conf, Gateway, Origin, Service};

#[test]
fn every_request_has_one_line_and_no_other_has() {
    for cores in [1, 4] {
        let (origin, folder) = (Origin::ok(), Folder::new());
        let gateway = Gateway::start(&logging(&origin, &folder, "$request_uri $status $bytes_sent").cores(cores));
        let asking = (0..8).map(|client| {
            let address = gateway.address();
            thread::spawn(move || {
                let mut connection = crate::support::Client::connect(address);
                for number in 0..50 {
                    assert_eq!(connection.get(&format!("/svc/{client}/{number}")).status(), 200);
                }
            })
        });
        asking.collect::<Vec<_>>().into_iter().for_each(|client| client.join().expect("answers"));
        let mut found = expect_lines(&folder.path("access.log"), 400);
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 400, "each line is another request's");
        for client in 0..8 {
            for number in 0..50 {
                let start = format!("/svc/{client}/{number} 200 ");
                assert!(found.iter().any(|line| line.starts_with(&start)), "{start}");
            }
        }
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("`{key}` is no text: {value}"))
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("`{key}` is no number: {value}"))
}

#[test]
fn a_line_tells_everything_of_a_request() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            thread::sleep(Duration::from_millis(60));
            peer.send("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    let folder = Folder::new();
    let service = Service::at("/orders", &[&origin]).access("open", 1);
    let conf = Conf::new().service(service).app(App::new("shop", "s3cret")).http("trusted_proxies", ["127.0.0.1"]);
    let conf = logged(conf, &folder, "json");
    let gateway = Gateway::start(&conf.cores(1));
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let request = "POST /orders/new?app_id=shop&sign=s3cret&x=1 HTTP/1.1\r\nHost: gate.test:80\r\n\
                   Referer: http://from.test/a\r\nUser-Agent: tester/1 (é)\r\nX-Forwarded-For: 192.0.2.9\r\n\
                   didi-header-rid: my-own-id\r\nContent-Length: 3\r\n\r\nabc";
    let mut client = gateway.connect();
    assert_eq!(client.ask(request).status(), 201);
    let before_second = client.wire.received.len();
    assert_eq!(client.ask(request).status(), 201);
    let sent = client.wire.received.len() - before_second;
    let line = expect_json(&folder.path("access.log"), 2).remove(1);

    let texts = [
        ("kind", "request"),
        ("client", "192.0.2.9"),
        ("peer", "127.0.0.1"),
        ("method", "POST"),
        ("target", "/orders/new?app_id=shop&sign=***&x=1"),
        ("host", "gate.test:80"),
        ("protocol", "HTTP/1.1"),
        ("service", "orders"),
        ("tenant", "shop"),
        ("upstream", origin.node()),
        ("trace_id", "my-own-id"),
        ("referer", "http://from.test/a"),
        ("user_agent", "tester/1 (é)"),
    ];
    for (key, wanted) in texts {
        assert_eq!(text(&line, key), wanted, "{key}");
    }
    let numbers = [
        ("status", 201),
        ("bytes_in", request.len() as u64),
        ("bytes_out", sent as u64),
        ("body_bytes_out", 5),
        ("attempts", 1),
        ("retries", 0),
        ("worker", 0),
        ("connect_us", 0),
    ];
    for (key, wanted) in numbers {
        assert_eq!(number(&line, key), wanted, "{key} in {line}");
    }
    assert_eq!((&line["reused"], &line["end"], &line["side"]), (&Value::Bool(true), &Value::Null, &Value::Null));
    let (response, total) = (number(&line, "response_us"), number(&line, "total_us"));
    assert!((50_000..2_000_000).contains(&response) && total >= response, "{line}");
    assert!(number(&line, "client_head_us") < total && number(&line, "queue_us") < total, "{line}");
    let time: jiff::Timestamp = text(&line, "time").parse().expect("a time");
    let since = time.as_microsecond() / 1_000_000 - i64::try_from(before.as_secs()).expect("small");
    assert!((-2..10).contains(&since), "{time} is {since} s after the request");
}

#[test]
fn what_is_answered_here_and_what_is_not_found_has_a_line_too() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let form = "$request_method $uri $status $end $side $service $upstream_addr $attempts";
    let gateway = Gateway::start(&logging(&origin, &folder, form));
    let mut client = gateway.connect();
    client.get("/ping");
    client.get("/nowhere");
    client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    client.ask("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
    let found = expect_lines(&folder.path("access.log"), 4);
    let wanted = [
        "GET /ping 200 - - - - 0",
        "GET /nowhere 404 no_route gateway - - 0",
        "OPTIONS * 200 - - - - 0",
        "TRACE / 405 method_not_allowed client - - 0",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn a_retry_is_told_and_the_endpoint_is_the_one_that_answered() {
    let (good, bad, folder) = (Origin::ok(), crate::support::origin::Unreachable::new(), Folder::new());
    let nodes = vec![bad.node.clone(), good.node().to_owned()];
    let service = Service::with_nodes("/svc", nodes).balance("proxy_connect_timeout", 200);
    let conf = logged(Conf::new().service(service), &folder, "$upstream_addr $retries");
    let gateway = Gateway::start(&conf.cores(1));
    let _filling = bad.close_up();
    let mut client = gateway.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
    let found = expect_lines(&folder.path("access.log"), 2);
    let mut wanted = [0, 1].map(|retries| format!("{} {retries}", good.node()));
    wanted.sort();
    let mut found = found;
    found.sort();
    assert_eq!(found, wanted);
}

#[test]
fn a_sample_has_one_in_so_many_and_every_failure() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = logging(&origin, &folder, "$uri $status").base("access_log_sample", 10).cores(1);
    let gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    for number in 0..100 {
        assert_eq!(client.get("/svc/a").status(), 200);
        if number % 25 == 0 {
            assert_eq!(client.get("/nowhere").status(), 404);
        }
    }
    let found = expect_lines(&folder.path("access.log"), 14);
    assert_eq!(found.iter().filter(|line| *line == "/nowhere 404").count(), 4);
}

#[test]
fn nothing_is_written_where_the_log_is_off_and_a_reload_turns_it_on() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = logging(&origin, &folder, "$uri");
    let gateway = Gateway::start(&conf.clone().base("access_log", "off"));
    let mut client = gateway.connect();
    assert_eq!(client.get("/svc/quiet").status(), 200);
    gateway.rewrite_files(&conf);
    assert_eq!(client.get("/reload").status(), 200);
    assert_eq!(client.get("/svc/loud").status(), 200);
    let found = expect_lines(&folder.path("access.log"), 1);
    assert_eq!(found, ["/svc/loud"]);
    gateway.rewrite_files(&conf.base("access_log", "off"));
    assert_eq!(client.get("/reload").status(), 200);
    assert_eq!(client.get("/svc/quiet").status(), 200);
    expect_lines(&folder.path("access.log"), 1);
}

#[test]
fn long_texts_are_cut_and_say_so() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let gateway = Gateway::start(&logging(&origin, &folder, "json"));
    let (path, agent) = ("x".repeat(5_000), "y".repeat(3_000));
    let answer = gateway
        .connect()
        .ask(format!("GET /svc/{path} HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\nReferer: /r\r\n\r\n"));
    assert_eq!(answer.status(), 200);
    let line = expect_json(&folder.path("access.log"), 1).remove(0);
    for key in ["target", "user_agent"] {
        let text = text(&line, key);
        assert!(text.ends_with("...") && text.len() < 2_100, "{key}: {} bytes", text.len());
    }
    assert_eq!((text(&line, "referer"), text(&line, "upstream")), ("/r", origin.node()));
}

#[test]
fn the_file_of_warnings_has_what_went_wrong_and_the_other_the_rest() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = logging(&origin, &folder, "$uri").log("log.file_writer", "wf_log_path", folder.text("access.wf"));
    let gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    assert_eq!(client.get("/svc/a").status(), 200);
    assert_eq!(client.get("/nowhere").status(), 404);
    assert_eq!(expect_lines(&folder.path("access.log"), 1), ["/svc/a"]);
    assert_eq!(expect_lines(&folder.path("access.wf"), 1), ["/nowhere"]);
}

#[test]
fn the_level_of_the_log_leaves_out_what_went_well() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let gateway = Gateway::start(&logging(&origin, &folder, "$uri").log("log", "log_level", "warning"));
    let mut client = gateway.connect();
    assert_eq!(client.get("/svc/a").status(), 200);
    assert_eq!(client.get("/nowhere").status(), 404);
    assert_eq!(expect_lines(&folder.path("access.log"), 1), ["/nowhere"]);
}
