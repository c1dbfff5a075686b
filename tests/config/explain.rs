//! What `explain` tells of a request.

use std::net::IpAddr;

use gatekeeper::config::explain::{Question, explain, tell};
use gatekeeper::config::load_on;

use super::{HOST_NAME, fixture, load_files};

fn question(method: &str, url: &str) -> Question {
    Question { method: method.into(), url: url.into(), from: None, headers: Vec::new() }
}

fn from(mut question: Question, address: &str) -> Question {
    question.from = Some(address.parse::<IpAddr>().expect("an address"));
    question
}

fn with(mut question: Question, name: &str, value: &str) -> Question {
    question.headers.push((name.into(), value.into()));
    question
}

const MODULE: &str = r#"
[[module]]
base.name = "first"
base.body_bytes_max = 10
match_rule = [{ rule = "/api/first", url_rewrite = "^/nothing(.*) $1,^/api/first(.*) $1" }]
load_balance = { ip_list = "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80", weight_list = "3,1,9", forbid_list = "10.0.0.3:80" }
access_control = { open = 1, black_list = "192.0.2.0/24", white_list = "198.51.100.7", client_flow_limit = 5 }

[[module]]
base.name = "second"
base.host = "client"
match_rule = [{ rule = "/api/first/deep" }, { rule = "/api/second" }]
load_balance.ip_list = "10.0.0.4:80"
"#;

const BASE: &str =
    "http.route_prefix = \"/api\"\nhttp.trusted_proxies = [\"203.0.113.1\"]\ncluster.cluster_list = \"10.9.9.9\"";

const APP: &str =
    "[[authirized_apps]]\napp_id = \"shop\"\nsecret = \"right\"\nopen_api = \"/api/first\"\nqps = 7\ngroup_id = 9";

fn told(question: &Question) -> String {
    let loaded = load_files(&[("module.toml", MODULE), ("base.toml", BASE), ("app.toml", APP)]).expect("no fault");
    tell(&loaded.snapshot, question)
}

#[track_caller]
fn tells(question: &Question, parts: &[&str]) {
    let told = told(question);
    for part in parts {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

#[test]
fn a_request_of_a_tenant_is_followed_to_its_upstream() {
    let asked = from(question("GET", "http://gw.example/api/first/x?app_id=shop&sign=right&a=1"), "203.0.113.9");
    tells(
        &asked,
        &[
            "> 1   /api/first ",
            "second               `first` is not `second`",
            "203.0.113.9 is on no list: only as a tenant",
            "shop: sign right, may call this path",
            "7 per second for the tenant, 21 at once; more: 429",
            "5 per second for the client's address, 15 at once; more: 429",
            "/api/first/x -> /x",
            "by the item ^/api/first(.*) $1",
            "75.0 % of the requests",
            "on forbid_list: none",
            "GET /x?a=1 HTTP/1.1",
            "Host: 10.0.0.1:80",
            "didi-header-usergroup: 9",
            "verdict    forwarded to first",
        ],
    );
}

#[test]
fn what_refuses_a_request_is_named_with_its_status() {
    let first = |rest: &str| question("GET", &format!("/api/first{rest}"));
    let somebody = |question| from(question, "203.0.113.9");
    tells(&from(first(""), "192.0.2.7"), &["192.0.2.7 is on black_list", "verdict    403 black_listed"]);
    tells(&from(first(""), "198.51.100.7"), &["on white_list", "verdict    forwarded to first"]);
    tells(&somebody(first("")), &["neither a signature nor an app_id in the query", "verdict    401 tenant_missing"]);
    tells(&somebody(first("?app_id=no")), &["no tenant no", "verdict    401 tenant_unknown"]);
    tells(&somebody(first("?app_id=shop&sign=wrong")), &["is not its secret", "verdict    401 tenant_sign"]);
    tells(&question("GET", "/other"), &["not below it", "verdict    404 no_route"]);
    tells(&question("GET", "/api/firsty"), &["a part of a segment", "verdict    404 no_route"]);
    tells(&question("TRACE", "/api/second"), &["verdict    405 method_not_allowed"]);
    tells(&question("GET", "/api/..%2f"), &["verdict    400 bad_path"]);
    tells(
        &with(question("GET", "/api/second"), "Transfer-Encoding", "gzip, chunked"),
        &["verdict    501 unknown_coding"],
    );
    let large = with(from(question("POST", "/api/first"), "198.51.100.7"), "Content-Length", "11");
    tells(&large, &["10 bytes at most", "verdict    413 body_too_large"]);
}

#[test]
fn a_covered_rule_is_told_to_be_covered() {
    let asked = from(question("GET", "/api/first/deep/x"), "198.51.100.7");
    tells(&asked, &["would match too, but rule 1 comes first", "verdict    forwarded to first"]);
}

#[test]
fn the_path_that_counts_is_the_normalised_one() {
    let asked = question("GET", "http://gw.example/api//x/../second/%7ea b");
    tells(
        &asked,
        &["path       /api/second/~a%20b   (normalised)", "Host: gw.example", "verdict    forwarded to second"],
    );
}

#[test]
fn a_trusted_proxy_is_believed_and_nobody_else() {
    let asked =
        |address| with(from(question("GET", "/api/first"), address), "X-Forwarded-For", "192.0.2.7, 198.51.100.7");
    tells(&asked("203.0.113.1"), &["203.0.113.1, a trusted proxy for 198.51.100.7", "198.51.100.7 is on white_list"]);
    tells(&asked("203.0.113.2"), &["203.0.113.2 is on no list"]);
}

#[test]
fn the_gateways_own_paths_are_told() {
    let reload = || question("GET", "/reload");
    tells(&question("GET", "/ping"), &["the gateway answers it itself"]);
    tells(&from(reload(), "10.9.9.9"), &["loads its files again"]);
    tells(&from(reload(), "::1"), &["loads its files again"]);
    tells(&from(reload(), "10.9.9.8"), &["verdict    403 reload_denied"]);
    let forwarded = with(from(reload(), "127.0.0.1"), "X-Forwarded-For", "127.0.0.1");
    tells(&forwarded, &["the request was relayed: x-forwarded-for", "verdict    403 reload_denied"]);
}

#[test]
fn of_thousands_of_rules_the_near_ones_are_shown() {
    let module: String = (0..3_000)
        .map(|n| format!("[[module]]\nbase.name = \"s{n}\"\nmatch_rule = [{{ rule = \"/s{n}\" }}]\nload_balance.ip_list = \"10.0.0.1:80\"\n"))
        .collect();
    let loaded = load_files(&[("module.toml", &module)]).expect("no fault");
    let told = tell(&loaded.snapshot, &question("GET", "/s2999/x"));
    assert!(told.contains("> 3000 /s2999"), "{told}");
    assert!(told.contains("further rules"), "{told}");
    assert!(told.lines().count() < 50, "{told}");
}

#[test]
fn nothing_of_a_request_reaches_the_screen_raw() {
    let asked = with(question("GET", "/api/second/\u{1b}[2J?\u{1b}"), "X-A", "b\r\nInjected: c\u{1b}");
    assert!(!told(&asked).contains('\u{1b}'), "{}", told(&asked));
}

#[test]
fn files_that_do_not_load_are_told_instead() {
    let said = explain(&fixture("faulty/module.toml"), &question("GET", "/"));
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("did you mean"), "{}", said.err);
    assert!(load_on(&fixture("gatekeeper/module.toml"), HOST_NAME).is_ok());
}

#[test]
fn what_an_endpoint_is_told_of_a_trace_is_shown() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let base = |on: bool| format!("{BASE}\ntrace.on = {on}\n");
    let told = |on: bool, question: &Question| {
        let loaded = load_files(&[("module.toml", MODULE), ("base.toml", &base(on)), ("app.toml", APP)]);
        tell(&loaded.expect("no fault").snapshot, question)
    };
    let plain = question("GET", "/api/second");
    assert!(!told(false, &plain).contains("trace"));
    let shown = told(true, &plain);
    assert!(
        shown.contains("traceparent: (the trace and a span)\n") && shown.contains("spanid: (that span)\n"),
        "{shown}"
    );
    let asked = with(with(plain, "traceparent", parent), "tracestate", "a=1");
    let untouched = told(false, &asked);
    assert!(untouched.contains(parent) && untouched.contains("tracestate: a=1"), "{untouched}");
    let shown = told(true, &asked);
    assert!(!shown.contains(parent) && shown.contains("tracestate: a=1"), "{shown}");
    let unsampled = with(question("GET", "/api/second"), "traceparent", &parent.replace("-01", "-00"));
    assert!(told(true, &unsampled).contains("-00"), "it passes");
}

const RULES: &str = r#"
[[module]]
base.name = "users"
match_rule = [
  { type = "url_pattern", rule = "/users/(number):id/*", host = "*.example.com", method = "GET,PURGE" },
  { type = "url_exact", rule = "/users", conditions = ["query.v >= 2"], priority = 3 },
]
load_balance.ip_list = "10.0.0.1:80"
[[module.split]]
service = "next"
share = 0.25
sticky = "cookie.uid"
[[module.split]]
service = "off"
share = 0.5
sticky = "cookie.uid"
conditions = ["header.x-beta == 1"]

[[module]]
base.name = "next"
load_balance.ip_list = "10.0.0.2:80"

[[module]]
base.name = "off"
base.status = "down"
match_rule = [{ type = "url_regex", rule = "^/off" }]
load_balance.ip_list = "10.0.0.3:80"
"#;

#[track_caller]
fn tells_of_rules(question: &Question, parts: &[&str]) {
    let loaded = load_files(&[("module.toml", RULES)]).expect("no fault");
    let told = tell(&loaded.snapshot, question);
    for part in parts {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

#[test]
fn each_rule_says_which_of_its_demands_is_not_met() {
    let get = |url| question("GET", url);
    tells_of_rules(
        &get("http://a.example.com/users/7/x/y"),
        &[
            "order      higher priority first, then as in the file",
            "> 1   /users/(number):id/*",
            "matches; host *.example.com; method GET,PURGE; id is `7`; * is `x/y`",
            "2   = /users ",
            "3   ~ ^/off",
        ],
    );
    tells_of_rules(&get("http://example.com/users/7/x"), &["is for host *.example.com", "404 no_route"]);
    tells_of_rules(&question("PUT", "http://a.example.com/users/7/x"), &["is for GET,PURGE", "404 no_route"]);
    tells_of_rules(&get("/users?v=1"), &["does not hold: query.v >= 2", "404 no_route"]);
    tells_of_rules(&get("/users?v=2"), &["> 2   = /users", "matches; query.v >= 2; priority 3"]);
    tells_of_rules(&get("/off/x"), &["status     down: the service is switched off", "verdict    503 service_down"]);
}

#[test]
fn a_split_says_where_a_request_goes_and_why() {
    let user = |name: &str| with(question("GET", "/users?v=2"), "Cookie", &format!("uid={name}"));
    tells_of_rules(&user("a"), &["sticks to cookie.uid: this value is at", "does not hold: header.x-beta == 1"]);
    let beta = with(user("a"), "X-Beta", "1");
    tells_of_rules(&beta, &[" 50.00 % off                  is down: its share stays"]);
    let told: Vec<String> = (0..40)
        .map(|number| {
            let loaded = load_files(&[("module.toml", RULES)]).expect("no fault");
            tell(&loaded.snapshot, &user(&number.to_string()))
        })
        .collect();
    let to_next = |told: &&String| told.contains(">  25.00 % next") && told.contains("forwarded to next");
    let stays = |told: &&String| told.contains("   25.00 % next") && told.contains("forwarded to users");
    let (next, own) = (told.iter().filter(to_next).count(), told.iter().filter(stays).count());
    assert!(next > 0 && own > 0 && next + own == 40, "{next} and {own}");
}
