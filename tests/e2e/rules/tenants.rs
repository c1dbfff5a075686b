//! Tenants of app.toml: who they are, what they may call, what the service learns of them.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use crate::support::conf::App;
use crate::support::message::text;
use crate::support::{Answer, Client, Conf, Gateway, Origin, Service};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn protected(origin: &Origin) -> Conf {
    Conf::new().service(Service::at("/svc", &[origin]).access("open", 1)).app(App::new("shop", SECRET))
}

fn post_form(gateway: &Gateway, target: &str, form: &str) -> Answer {
    let length = form.len();
    gateway.connect().ask(format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{form}"
    ))
}

#[test]
fn a_tenant_is_known_by_its_query() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    let mut client = gateway.connect();
    assert_eq!(client.get(&format!("/svc/a?app_id=shop&sign={SECRET}")).status(), 200);
    client.get("/svc/a").expect_end(401, "tenant_missing");
    client.get("/svc/a?app_id=").expect_end(401, "tenant_missing");
    client.get(&format!("/svc/a?app_id=nobody&sign={SECRET}")).expect_end(401, "tenant_unknown");
    client.get("/svc/a?app_id=shop").expect_end(401, "tenant_sign");
    client.get("/svc/a?app_id=shop&sign=wrong").expect_end(401, "tenant_sign");
    client.get(&format!("/svc/a?app_id=shop&sign={SECRET}x")).expect_end(401, "tenant_sign");
    client.get(&format!("/svc/a?app_id=shop&sign={}", &SECRET[1..])).expect_end(401, "tenant_sign");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_tenant_is_known_by_its_form() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    assert_eq!(post_form(&gateway, "/svc/a", &format!("x=1&app_id=shop&sign={SECRET}&y=2")).status(), 200);
    post_form(&gateway, "/svc/a", "x=1&app_id=shop&sign=wrong").expect_end(401, "tenant_sign");
    post_form(&gateway, "/svc/a", "x=1").expect_end(401, "tenant_missing");
    assert_eq!(post_form(&gateway, &format!("/svc/a?app_id=shop&sign={SECRET}"), "x=1").status(), 200);
}

#[test]
fn a_form_in_chunks_is_read_too() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    let form = format!("app_id=shop&sign={SECRET}&x=1");
    let (first, second) = form.split_at(10);
    let answer = gateway.connect().ask(format!(
        "POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    ));
    assert_eq!(answer.status(), 200);
    assert!(text(&origin.only().body.bytes).ends_with("x=1"));
}

#[test]
fn escaped_credentials_are_the_same_credentials() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    let answer = gateway.connect().get(&format!("/svc/a?%61pp_id=sh%6Fp&sign={SECRET}"));
    assert_eq!(answer.status(), 200);
    assert!(!origin.only().target().contains(SECRET));
}

#[test]
fn credentials_never_reach_the_service() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    let mut client = gateway.connect();
    client.get(&format!("/svc/a?x=1&app_id=shop&y=%2F2&sign={SECRET}&z"));
    client.get(&format!("/svc/b?app_id=shop&sign={SECRET}"));
    post_form(&gateway, "/svc/c?q=1", &format!("x=1&app_id=shop&sign={SECRET}&y=%2F2"));
    let seen = origin.expect_requests(3);
    assert_eq!(seen[0].target(), "/a?x=1&y=%2F2&z");
    assert!(matches!(seen[1].target(), "/b" | "/b?"), "{}", seen[1].target());
    assert_eq!(seen[2].target(), "/c?q=1");
    for request in seen {
        let all = format!("{:?} {}", request.head, text(&request.body.bytes));
        assert!(!all.contains(SECRET), "{all}");
    }
}

#[test]
fn the_rest_of_a_form_reaches_the_service_in_order() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    post_form(&gateway, "/svc/c", &format!("x=1&app_id=shop&sign={SECRET}&y=%2F2"));
    assert_eq!(text(&origin.only().body.bytes), "x=1&y=%2F2");
}

#[test]
fn credentials_are_not_printed() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    let mut client = gateway.connect();
    client.get(&format!("/svc/a?app_id=shop&sign={SECRET}"));
    client.get(&format!("/nowhere?app_id=shop&sign={SECRET}"));
    client.get(&format!("/svc/a?app_id=nobody&sign={SECRET}"));
    post_form(&gateway, "/svc/a", &format!("app_id=shop&sign={SECRET}"));
    thread::sleep(Duration::from_millis(300));
    let printed = gateway.stdout() + &gateway.stderr();
    assert!(!printed.contains(SECRET), "{printed}");
}

#[test]
fn a_service_that_asks_for_no_tenant_gets_the_query_as_it_came() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    gateway.connect().get("/svc/a?app_id=x&sign=y");
    assert_eq!(origin.only().target(), "/a?app_id=x&sign=y");
}

#[test]
fn a_form_too_large_to_read_is_refused() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    let form = format!("x={}&app_id=shop&sign={SECRET}", "a".repeat(70_000));
    post_form(&gateway, "/svc/a", &form).expect_end(413, "body_too_large");
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn a_tenants_own_addresses_need_no_sign() {
    let origin = Origin::ok();
    let app = App::new("shop", SECRET).set("white_ips", "127.0.0.7,127.0.1.0/24");
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app));
    let ask = |address: [u8; 4], target: &str| {
        Client::connect_from(Ipv4Addr::from(address), gateway.address()).get(target).reason().to_owned()
    };
    assert_eq!(ask([127, 0, 0, 7], "/svc/a?app_id=shop"), "");
    assert_eq!(ask([127, 0, 1, 99], "/svc/a?app_id=shop"), "");
    assert_eq!(ask([127, 0, 0, 8], "/svc/a?app_id=shop"), "tenant_sign");
    assert_eq!(ask([127, 0, 0, 7], "/svc/a"), "tenant_missing", "an address alone names nobody");
}

#[test]
fn a_tenant_may_call_its_paths_by_whole_segments() {
    let origin = Origin::ok();
    let app = App::new("shop", SECRET).set("open_api", "/svc/a,/svc/b/c");
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app));
    let mut client = gateway.connect();
    let mut ask = |path: &str| client.get(&format!("{path}?app_id=shop&sign={SECRET}")).reason().to_owned();
    for path in ["/svc/a", "/svc/a/x", "/svc/b/c", "/svc/b/c/d"] {
        assert_eq!(ask(path), "", "{path}");
    }
    for path in ["/svc/ab", "/svc/b", "/svc/b/cd", "/svc", "/svc/a/../b", "/svc/A"] {
        assert_eq!(ask(path), "tenant_path", "{path}");
    }
}

#[test]
fn a_tenant_without_paths_may_call_nothing() {
    let origin = Origin::ok();
    let app = App::new("shop", SECRET).set("open_api", "");
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app));
    let answer = gateway.connect().get(&format!("/svc/a?app_id=shop&sign={SECRET}"));
    answer.expect_end(403, "tenant_path");
}

#[test]
fn the_service_learns_the_tenants_group() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin).app(App::new("grouped", SECRET).set("group_id", 42)));
    let mut client = gateway.connect();
    client.get(&format!("/svc/a?app_id=grouped&sign={SECRET}"));
    client.get(&format!("/svc/a?app_id=shop&sign={SECRET}"));
    let seen = origin.expect_requests(2);
    assert_eq!(seen[0].head.all("didi-header-usergroup"), ["42"]);
    assert_eq!(seen[0].head.all("didi-header-usergroupkey"), ["gatekeeper_upm_42"]);
    assert_eq!(seen[1].head.all("didi-header-usergroup"), [""; 0]);
}

#[test]
fn a_client_cannot_give_itself_a_group() {
    let origin = Origin::ok();
    let conf = protected(&origin).app(App::new("grouped", SECRET).set("group_id", 42));
    let gateway = Gateway::start(&conf.service(Service::at("/free", &[&origin])));
    let mut client = gateway.connect();
    for target in [format!("/svc/a?app_id=grouped&sign={SECRET}"), "/free/a".to_owned()] {
        let answer = client.ask(format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\ndidi-header-usergroup: 1\r\nDidi-Header-UserGroupKey: evil\r\n\
             didi-header-userother: evil\r\n\r\n"
        ));
        assert_eq!(answer.status(), 200);
    }
    let seen = origin.expect_requests(2);
    assert_eq!(seen[0].head.all("didi-header-usergroup"), ["42"]);
    assert_eq!(seen[1].head.all("didi-header-usergroup"), [""; 0]);
    for request in seen {
        let all = format!("{:?}", request.head);
        assert!(!all.contains("evil"), "{all}");
    }
}

#[test]
fn repeated_credentials_are_judged_as_one_and_all_taken_off() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&protected(&origin));
    let answer = gateway.connect().get(&format!("/svc/a?app_id=shop&sign={SECRET}&app_id=other&sign=x"));
    if answer.status() == 200 {
        assert!(!origin.only().target().contains("app_id"), "the service would read another tenant");
    } else {
        assert_eq!(answer.status(), 401);
    }
}

#[test]
fn a_form_is_asked_for_once() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        thread::sleep(Duration::from_millis(1_500));
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let gateway = Gateway::start(&protected(&origin));
    let form = format!("app_id=shop&sign={SECRET}");
    let mut client = gateway.connect();
    client.send(format!(
        "POST /svc/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        form.len()
    ));
    assert_eq!(client.wire.through(b"\r\n\r\n").as_deref(), Ok(b"HTTP/1.1 100 Continue\r\n\r\n".as_slice()));
    client.send(form);
    let answer = client.answer();
    assert_eq!((answer.status(), answer.interim.len()), (200, 0), "{answer:?}");
}

#[test]
fn a_tenant_is_told_what_it_has_left_where_it_wants_to_know() {
    let origin = Origin::ok();
    let app = || App::new("shop", SECRET).set("total_query_daily", 3).set("qps", 50);
    let told = app().set("app_id", "told").set("usage_headers", true);
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app()).app(told));
    let mut client = gateway.connect();
    let mut left = |app_id: &str| {
        let answer = client.get(&format!("/svc/a?app_id={app_id}&sign={SECRET}"));
        let field = |name: &str| answer.head.field(name).unwrap_or_default().to_owned();
        if answer.head.field("x-quota-reset").is_some() {
            let reset: u64 = field("x-quota-reset").parse().expect("seconds");
            assert!((1..=25 * 3_600).contains(&reset), "{reset}");
        }
        (answer.status(), field("x-quota-limit"), field("x-quota-remaining"), field("x-rate-limit"))
    };
    let told = |status: u16, left: &str| (status, "3".to_owned(), left.to_owned(), "50".to_owned());
    for (status, remaining) in [(200, "2"), (200, "1"), (200, "0"), (429, "0")] {
        assert_eq!(left("told"), told(status, remaining));
    }
    assert_eq!(left("shop"), (200, String::new(), String::new(), String::new()));
}
