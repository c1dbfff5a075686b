//! The examples do what GateKeeper's own filters do, and what docs/filters.md says.

use serde_json::{Value, json};

use super::program;
use crate::support::{Conf, Gateway, Origin, Service};

const GOODS: &str = "/gatekeeper/tester_filter/goods_list";

/// The city filter in front of an origin that answers so, for the cities 12 and 14.
fn cities(body: &str, status: &str) -> (Gateway, Origin) {
    let origin = Origin::replying(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let options = format!("city_ids = [12, 14]\npaths = [{GOODS:?}]");
    let service = Service::at("/gatekeeper", &[&origin]).filter("city", &options);
    (Gateway::start(&Conf::new().service(service).program(&program("city_filter"))), origin)
}

#[test]
fn only_goods_of_allowed_cities_reach_the_client() {
    let body = json!({"errno": 0, "data": {"total": 4, "list": [
        {"city_id": 12, "name": "a"}, {"city_id": 13, "name": "b"}, {"name": "c"}, {"city_id": 14, "name": "d"},
    ]}});
    let (gateway, _origin) = cities(&body.to_string(), "200 OK");
    let answer = gateway.connect().get(GOODS);
    let wanted = json!({"errno": 0, "data": {"total": 4, "list": [
        {"city_id": 12, "name": "a"}, {"city_id": 14, "name": "d"},
    ]}});
    assert_eq!((answer.status(), answer.json()), (200, wanted));
    assert_eq!(gateway.connect().get("/gatekeeper/other").json(), body, "another path is not filtered");
}

#[test]
fn what_is_not_a_list_of_goods_is_refused_and_an_error_passes() {
    for body in ["{\"data\": {}}", "not json", ""] {
        let (gateway, _origin) = cities(body, "200 OK");
        gateway.connect().get(GOODS).expect_end(502, "filter_refused");
    }
    let (gateway, _origin) = cities("no goods", "503 Service Unavailable");
    let answer = gateway.connect().get(GOODS);
    assert_eq!((answer.status(), answer.text().as_str()), (503, "no goods"));
}

const SECRET: &str = "62fda0f2212eaffbd1b9e1a9f2f5e2e8";

fn tenants(origin: &Origin) -> Gateway {
    let tenant = |name: &str, more: &str| {
        format!(
            "[[module.filter.options.tenants]]\napp_id = {name:?}\nsecret = {SECRET:?}\nopen_api = [\"/gatekeeper/tester/\"]\n{more}\n"
        )
    };
    let options = tenant("shop", "group_id = 7") + &tenant("near", "white_ips = [\"127.0.0.1\"]");
    let service = Service::at("/gatekeeper", &[origin]).filter("tenant", &options);
    Gateway::start(&Conf::new().service(service).program(&program("tenant_check")))
}

#[test]
fn a_tenant_is_known_by_its_sign_and_told_onward() {
    let origin = Origin::ok();
    let gateway = tenants(&origin);
    let target = format!("/gatekeeper/tester/a?app_id=shop&sign={SECRET}");
    let request = format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\ndidi-header-usergroup: 1\r\n\r\n");
    assert_eq!(gateway.connect().ask(request).status(), 200);
    let head = origin.only().head;
    assert_eq!(head.all("didi-header-usergroup"), ["7"]);
    assert_eq!(head.all("didi-header-usergroupkey"), ["gatekeeper_upm_7"]);
    assert_eq!(gateway.connect().get("/gatekeeper/tester/a?app_id=near").status(), 200, "by its address");
}

#[test]
fn who_is_no_tenant_is_told_why() {
    let origin = Origin::ok();
    let gateway = tenants(&origin);
    for (target, status, why) in [
        ("/gatekeeper/tester/a", 401, "app_id empty"),
        ("/gatekeeper/tester/a?app_id=", 401, "app_id empty"),
        ("/gatekeeper/tester/a?app_id=nobody", 401, "unknown app_id"),
        ("/gatekeeper/tester/a?app_id=shop&sign=guess", 401, "sign error"),
        ("/gatekeeper/tester/a?app_id=shop", 401, "sign error"),
        ("/gatekeeper/else?app_id=near", 403, "rights"),
    ] {
        let answer = gateway.connect().get(target);
        answer.expect_end(status, "filter_refused");
        let said: Value = answer.json();
        assert!(said["errmsg"].as_str().is_some_and(|text| text.contains(why)), "{target}: {said}");
    }
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn the_first_filter_of_the_page_works_with_the_file_of_the_page() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/filters.md")).expect("the page");
    let file = page.split("```toml\n").find(|part| part.starts_with("[[module]]")).expect("a module file");
    let file = file.split("```").next().expect("its end");
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).program(&program("first_filter")));
    let file = file.replace("127.0.0.1:8701", origin.node());
    crate::support::conf::replace(&gateway.directory().join("module.toml"), &file);
    let answer = gateway.connect().get("/reload");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    gateway.connect().get("/orders").expect_end(401, "filter_refused");
    let request = "GET /orders HTTP/1.1\r\nHost: gate.test\r\nX-Key: k-7d1f0c35\r\nX-Caller: root\r\n\r\n";
    assert_eq!(gateway.connect().ask(request).status(), 200);
    let head = origin.only().head;
    assert_eq!((head.all("x-key"), head.all("x-caller")), (vec![], vec!["the shop"]));
}
