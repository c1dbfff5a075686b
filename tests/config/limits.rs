//! Lists and limits in the files: the page's examples load, what cannot hold is told, `explain` tells the rest.

use std::net::IpAddr;

use gatekeeper::config::explain::{Question, tell};
use gatekeeper::config::{self, InForce, Loaded};
use gatekeeper::filter::Registry;

use super::load_files;

const PAGE: &str = include_str!("../../docs/limits.md");

#[test]
fn every_example_of_the_page_loads_without_a_word() {
    let examples: Vec<_> = PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let loaded = load_files(&[("module.toml", example)]).unwrap_or_else(|faults| panic!("{example}: {faults:#?}"));
        assert_eq!(loaded.warnings, [], "{example}");
    }
}

/// A service with these lines, and what is said of it.
fn said(lines: &str) -> String {
    let module = format!(
        "[[module]]\nbase.name = \"a\"\nmatch_rule = [{{ rule = \"/a\" }}]\nload_balance.ip_list = \"127.0.0.1:1\"\n{lines}"
    );
    let faults = load_files(&[("module.toml", &module)]).map_or_else(|faults| faults, |loaded| loaded.warnings);
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[track_caller]
fn says(lines: &str, parts: &[&str]) {
    let said = said(lines);
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_limit_that_cannot_hold_is_told() {
    says("limit = [{ by = \"client\" }]", &["error", "`rate`"]);
    says("limit = [{ rate = 1, by = \"ip\" }]", &["error", "`ip` is no part of a request", "header.NAME"]);
    says("limit = [{ rate = 1, by = \"header.a b\" }]", &["error", "no name that a request can have"]);
    says("limit = [{ rate = 1 }, { rate = 2 }]", &["error", "another limit of this service is named `client-second`"]);
    says("limit = [{ rate = 1, name = \"a\\\"b\" }]", &["error", "cannot stand in a field"]);
    says("limit = [{ rate = 1, by = \"endpoint\", wait = 5 }]", &["error", "cannot wait for its turn"]);
    says("limit = [{ rate = 1, window = \"hour\", burst = 100_000 }]", &["error", "more than nine years"]);
    says("limit = [{ rate = 1, window = \"day\" }]", &["error", "`window`"]);
    says("limit = [{ rate = 1, dry_run = true }]", &["warning", "refuses nobody"]);
    says("limit = [{ rate = 1, share = \"cluster\" }]", &["warning", "each gateway has the whole rate"]);
    let many: Vec<_> = (0..17).map(|n| format!("{{ rate = 1, name = \"n{n}\" }}")).collect();
    says(&format!("limit = [{}]", many.join(",")), &["error", "17 limits: a service has 16 at most"]);
    assert_eq!(said("limit = [{ rate = 1 }, { rate = 2, window = \"hour\" }, { by = \"service\", rate = 1 }]"), "");
}

#[test]
fn a_tcp_service_has_neither_tenants_nor_values_nor_waits() {
    let tcp = |limit: &str| {
        let base = "base = { name = \"t\", load_type = \"tcp\", frontend_addr = \":1\" }";
        let module = format!("[[module]]\n{base}\nload_balance.ip_list = \"127.0.0.1:1\"\nlimit = [{{ {limit} }}]");
        let faults = load_files(&[("module.toml", &module)]).map_or_else(|faults| faults, |loaded| loaded.warnings);
        faults.iter().map(ToString::to_string).collect::<String>()
    };
    assert!(tcp("rate = 1, by = \"tenant\"").contains("a tcp service knows no tenant"));
    assert!(tcp("rate = 1, by = \"header.a\"").contains("a tcp service knows no header.a"));
    assert!(tcp("rate = 1, wait = 1").contains("cannot wait for its turn"));
    assert_eq!(tcp("rate = 1, by = \"service\""), "");
}

#[test]
fn bounds_on_connections_of_an_http_service_are_told_to_have_no_effect() {
    for key in ["client_connections_max", "service_connections_max"] {
        says(&format!("access_control.{key} = 1"), &["warning", &format!("{key} has no effect")]);
    }
}

#[test]
fn a_file_of_addresses_is_told_where_it_is_wrong() {
    let module = "[[module]]\nbase.name = \"a\"\nmatch_rule = [{ rule = \"/a\" }]\nload_balance.ip_list = \"127.0.0.1:1\"\n\
                  access_control = { black_list_file = \"black.list\" }";
    let told = |files: &[(&str, &str)]| {
        let faults = load_files(files).map_or_else(|faults| faults, |loaded| loaded.warnings);
        faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()
    };
    let missing = told(&[("module.toml", module)]);
    assert!(
        missing.contains("module.toml:5:38: error: ") && missing.contains("black.list cannot be read"),
        "{missing}"
    );
    let wrong = told(&[("module.toml", module), ("black.list", "# two\n10.0.0.1\n  nobody # here\n")]);
    assert!(wrong.contains("black.list:3:3: error: `nobody` is not an IP address"), "{wrong}");
    let many = told(&[("module.toml", module), ("black.list", &"x\n".repeat(120))]);
    assert!(many.contains("and 100 more lines") && many.lines().count() < 60, "{many}");
}

#[test]
fn a_changed_file_of_addresses_is_another_configuration() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let (module, list) = (folder.path().join("module.toml"), folder.path().join("black.list"));
    let text = "[[module]]\nbase.name = \"a\"\nmatch_rule = [{ rule = \"/a\" }]\nload_balance.ip_list = \"127.0.0.1:1\"\n\
                access_control.black_list_file = \"black.list\"";
    std::fs::write(&module, text).expect("a file");
    std::fs::write(&list, "10.0.0.1\n").expect("a file");
    let first = config::load(&module).expect("no fault");
    assert_eq!(first.files, [module.clone(), list.clone()], "it is watched");
    let again = |loaded: &Loaded| {
        let in_force = InForce { fingerprint: loaded.fingerprint, files: loaded.files.clone() };
        config::load_if_changed_with(&module, &in_force, &Registry::default()).expect("no fault")
    };
    assert!(again(&first).is_none());
    std::fs::write(&list, "10.0.0.2\n").expect("a file");
    let second = again(&first).expect("another configuration");
    assert!(again(&second).is_none());
}

#[test]
fn explain_tells_of_lists_and_limits() {
    let module = "[[module]]\nbase.name = \"a\"\nmatch_rule = [{ rule = \"/a\" }]\nload_balance.ip_list = \"127.0.0.1:1\"\n\
                  access_control = { open = 1, precedence = \"both_pass\", white_list = \"10.0.0.0/8\", \
                  url_white_list = \"/a/open\" }\n\
                  limit = [{ rate = 5, window = \"minute\", wait = 700 }, { by = \"header.x-key\", rate = 9 }, \
                  { by = \"endpoint\", rate = 7, dry_run = true }]";
    let loaded = load_files(&[("module.toml", module)]).expect("no fault");
    let told = |url: &str, from: &str, headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let from = Some(from.parse::<IpAddr>().expect("an address"));
        tell(&loaded.snapshot, &Question { method: "GET".into(), url: url.into(), from, headers })
    };
    let passes = told("/a/x", "10.0.0.1", &[("X-Key", "k1")]);
    for part in [
        "10.0.0.1 is on white_list",
        "5 per minute for the client's address, 5 at once; more: wait up to 700 ms, then 429",
        "9 per second for header.x-key = k1, 9 at once; more: 429",
        "7 per second for the endpoint, 7 at once; more: 429, in dry run",
        "verdict    forwarded to a",
    ] {
        assert!(passes.contains(part), "{part}: {passes}");
    }
    let without = told("/a/open/x", "192.0.2.1", &[]);
    for part in ["url_white_list has the path", "for header.x-key, 9 at once; more: 429 (not of this request)"] {
        assert!(without.contains(part), "{part}: {without}");
    }
    let refused = told("/a/x", "192.0.2.1", &[]);
    for part in ["192.0.2.1 is not on the white list", "verdict    403 not_listed"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}
