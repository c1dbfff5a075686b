//! What is said of tables that shape requests and answers, and what `explain` tells of them.

use gatekeeper::config::Fault;
use gatekeeper::config::explain::{Question, tell};

use super::{fixture, load_files};

fn module(tables: &str) -> String {
    format!(
        "[[module]]\nbase.name = \"a\"\nload_balance.ip_list = \"127.0.0.1:1\"\n[[module.match_rule]]\nrule = \"/a\"\n{tables}\n"
    )
}

fn said(tables: &str) -> Vec<Fault> {
    load_files(&[("module.toml", &module(tables))]).map_or_else(|faults| faults, |loaded| loaded.warnings)
}

#[track_caller]
fn says(warning: bool, tables: &str, part: &str) {
    let faults = said(tables);
    let found = faults.iter().any(|fault| fault.warning == warning && fault.message.contains(part));
    assert!(found, "{tables}: {part}: {faults:#?}");
}

#[test]
fn every_example_of_the_page_loads() {
    let page = std::fs::read_to_string(fixture("../../docs/shaping.md")).expect("the page");
    let examples: Vec<_> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 5, "{} examples", examples.len());
    for example in examples {
        let loaded = load_files(&[("module.toml", example)]).unwrap_or_else(|faults| panic!("{example}{faults:?}"));
        assert_eq!(loaded.warnings.len(), 0, "{example}{:?}", loaded.warnings);
    }
}

#[test]
fn fields_that_are_not_to_be_edited_are_refused() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "Host",
        "X-Forwarded-For",
        "X-Gatekeeper-App",
        "Date",
        "a b",
    ] {
        let tables = format!("[[module.header]]\nname = {name:?}\nvalue = \"x\"");
        assert!(said(&tables).iter().any(|fault| !fault.warning), "{name}");
    }
    says(false, "[[module.header]]\nname = \"a\"\nvalue = \"b\\nc\"", "control characters");
    says(false, "[[module.header]]\nvalue = \"b\"", "name");
    says(true, "[[module.header]]\naction = \"delete\"\nname = \"a\"\nvalue = \"b\"", "value has no effect");
}

#[test]
fn a_part_that_no_request_has_is_refused_where_it_stands() {
    let faults = said("[[module.header]]\nname = \"a\"\nvalue = \"1 $(origin.body.x)\"");
    let fault = faults.iter().find(|fault| fault.message.contains("is no part of a request")).expect("it is said");
    assert_eq!((fault.line, fault.column), (8, 12), "{fault}");
}

#[test]
fn expressions_are_judged_with_their_rules() {
    let expression = |text: &str| format!("url_rewrite = {text:?}\n[module.rewrite]\nmode = \"expression\"");
    says(false, &expression("a$(origin.path)"), "begins with `/`");
    says(true, &expression("/$(param.id)"), "no parameter `id`");
    assert_eq!(said(&expression("/$(param.*)")).len(), 0);
    says(true, "type = \"url_exact\"\n[module.rewrite]\nstrip_prefix = true", "strip_prefix has no effect");
}

#[test]
fn origins_are_judged() {
    says(false, "[module.cors]\nallow_origins = \"app.test\"", "is no origin");
    says(false, "[module.cors]\nallow_origins = \"*\"\nallow_credentials = true", "origins must be named");
    says(false, "[module.cors]\nallow_origins = \"*\"\nallow_methods = \"GET PUT\"", "is no name");
    says(true, "[module.cors]\nmax_age = 5", "without allow_origins");
}

#[test]
fn validation_rules_are_judged() {
    says(false, "[[module.validation]]\npart = \"body.x\"\nrequired = true", "is no part of a request");
    says(false, "[[module.validation]]\npart = \"query.x\"\nmatches = [\"(\"]", "bad expression");
    says(true, "[[module.validation]]\npart = \"query.x\"", "demands nothing");
}

#[test]
fn default_answers_are_judged() {
    says(true, "[module.default_answer]\nbody = \"x\"", "body has no effect");
    says(true, "[module.default_answer]\nwhen = \"always\"\nstatus = 204\nbody = \"x\"", "body has no effect");
    let long = format!("[module.default_answer]\nwhen = \"always\"\nbody = \"{}\"", "x".repeat(60_001));
    says(false, &long, "60000 at most");
}

#[test]
fn a_field_that_cannot_carry_an_id_is_refused() {
    let base = |name: &str| format!("[request_id]\nheader = {name:?}\n");
    for name in ["Host", "a b", "Content-Length"] {
        let faults = load_files(&[("module.toml", &module("")), ("base.toml", &base(name))]).expect_err(name);
        assert!(faults.iter().any(|fault| fault.message.contains("cannot carry")), "{faults:?}");
    }
}

const SHAPED: &str = r#"
url_rewrite = "/v2/$(param.*)"
[module.rewrite]
mode = "expression"
[[module.header]]
name = "X-Who"
value = "$(client.address)"
[[module.header]]
on = "response"
name = "X-Team"
value = "core"
[module.cors]
allow_origins = "https://app.test"
[[module.validation]]
part = "query.page"
matches = ["^[0-9]+$"]
[module.default_answer]
when = "failure"
body = "soon"
"#;

fn told(method: &str, url: &str, headers: &[(&str, &str)]) -> String {
    let loaded = load_files(&[("module.toml", &module(SHAPED))]).expect("no fault");
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let from = Some("192.0.2.9".parse().expect("an address"));
    tell(&loaded.snapshot, &Question { method: method.into(), url: url.into(), from, headers })
}

#[test]
fn explain_tells_every_table() {
    let told = told("GET", "/a/x?page=1", &[("Origin", "https://app.test")]);
    for part in [
        "answered   X-Team: core",
        "Access-Control-Allow-Origin: https://app.test",
        "validation query.page optional, ^[0-9]+$",
        "default    where every endpoint fails: 200, 4 bytes",
        "rewrite    /v2/x",
        "by the expression /v2/$(param.*)",
        "X-Who: 192.0.2.9",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

#[test]
fn explain_tells_what_refuses_a_request() {
    let refused = told("GET", "/a/x?page=y", &[]);
    assert!(refused.contains("(not met)") && refused.contains("400 invalid"), "{refused}");
    let preflight = [("Origin", "https://app.test"), ("Access-Control-Request-Method", "GET")];
    assert!(told("OPTIONS", "/a/x", &preflight).contains("answers the preflight itself"));
    let other = [("Origin", "https://evil.test"), ("Access-Control-Request-Method", "GET")];
    assert!(told("OPTIONS", "/a/x", &other).contains("403 cors_origin"));
}
