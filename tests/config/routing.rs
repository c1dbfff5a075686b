//! Rules and splits as files write them: what is refused, what is warned about, and that the page's examples do what it
//! says.

use std::path::Path;

use gatekeeper::config::Fault;
use gatekeeper::config::explain::{Question, tell};

use super::load_files;

/// A service `a` with these rules, and a service `b` and a tcp service beside it.
fn said(rules: &str) -> Vec<Fault> {
    let module = format!(
        "[[module]]\nbase.name = \"a\"\nload_balance.ip_list = \"127.0.0.1:1\"\n{rules}\n\
         [[module]]\nbase.name = \"b\"\nload_balance.ip_list = \"127.0.0.1:2\"\nmatch_rule = [{{ rule = \"/b\" }}]\n\
         [[module]]\nbase = {{ name = \"line\", load_type = \"tcp\", frontend_addr = \":9\" }}\n\
         load_balance.ip_list = \"127.0.0.1:3\"\n"
    );
    load_files(&[("module.toml", &module)]).map_or_else(|faults| faults, |loaded| loaded.warnings)
}

#[track_caller]
fn says(rules: &str, warning: bool, part: &str) {
    let faults = said(rules);
    let found = faults.iter().any(|fault| fault.warning == warning && fault.message.contains(part));
    assert!(found, "{part}: {faults:#?}");
}

/// One rule of this type with these further keys.
fn rule(kind: &str, rule: &str, keys: &str) -> String {
    format!("[[module.match_rule]]\ntype = \"{kind}\"\nrule = '{rule}'\n{keys}\n")
}

#[test]
fn what_is_no_rule_is_refused() {
    for (kind, text, part) in [
        ("url_exact", "", "an empty path"),
        ("url_exact", "a/b", "does not start with /"),
        ("url_pattern", "/a/(int)", "`(int)` is no segment"),
        ("url_pattern", "/a//b", "a segment is empty"),
        ("url_pattern", "/*/a", "nothing can follow `*`"),
        ("url_regex", "", "an empty expression"),
        ("url_regex", "a(", "bad expression"),
        ("url_regex", "(?=a)", "bad expression"),
    ] {
        says(&rule(kind, text, ""), false, part);
    }
    for (keys, part) in [
        ("host = \"a b\"", "`a b` is no host"),
        ("host = \"a.test:80\"", "`a.test:80` is no host"),
        ("host = \"a.*.test\"", "`a.*.test` is no host"),
        ("method = \"get\"", "not in capitals"),
        ("method = \"GET,TRACE\"", "refused before rules are asked"),
        ("conditions = [\"header.x = 1\"]", "`=` is no operator"),
        ("conditions = [\"body.x == 1\"]", "`body` is no part of a request"),
        ("conditions = [\"query.v > two\"]", "is no whole number"),
        ("conditions = [\"query.v ~ (\"]", "bad expression"),
        ("priority = 1000001", "`priority` must be"),
    ] {
        says(&rule("url_prefix", "/a", keys), false, part);
    }
}

#[test]
fn a_fault_in_a_pattern_is_shown_where_it_stands() {
    let faults = said(&rule("url_pattern", "/users/(number):id/(int)", ""));
    let fault = faults.iter().find(|fault| fault.message.contains("(int)")).expect("it is said");
    // `rule = '` takes eight characters.
    assert_eq!((fault.line, fault.column), (6, 9 + "/users/(number):id/".len()), "{fault}");
}

#[test]
fn what_a_split_could_lead_to_is_suggested_and_not_the_service_itself() {
    let faults = said("match_rule = [{ rule = \"/a\" }]\n[[module.split]]\nservice = \"c\"\nshare = 0.1\n");
    assert_eq!(faults[0].help.as_deref(), Some("did you mean `b`?"), "{faults:#?}");
}

#[test]
fn what_is_no_split_is_refused() {
    let split = |keys: &str| format!("match_rule = [{{ rule = \"/a\" }}]\n[[module.split]]\n{keys}\n");
    for (keys, part) in [
        ("service = \"c\"\nshare = 0.1", "there is no service `c`"),
        ("service = \"line\"\nshare = 0.1", "is a tcp service"),
        ("service = \"b\"", "`share`"),
        ("service = \"b\"\nshare = 1.5", "`share` must be 0 to 1"),
        ("service = \"b\"\nshare = 0.1\nsticky = \"uid\"", "`uid` is no part of a request"),
        ("service = \"b\"\nshare = 0.6\n[[module.split]]\nservice = \"b\"\nshare = 0.6", "more than 1 together"),
        (
            "service = \"b\"\nshare = 0.1\nsticky = \"client\"\n[[module.split]]\nservice = \"b\"\nshare = 0.1",
            "sticks to something else",
        ),
    ] {
        says(&split(keys), false, part);
    }
    says(&split("service = \"a\"\nshare = 0.1"), true, "is this service itself");
}

#[test]
fn a_rule_that_can_never_match_is_told_whatever_its_kind() {
    let after = |first: String, second: String| says(&(first + &second), true, "this rule can never match");
    let prefix = |keys: &str| rule("url_prefix", "/a", keys);
    after(prefix(""), rule("url_exact", "/a/b", ""));
    after(prefix(""), rule("url_pattern", "/a/(number)", ""));
    after(rule("url_prefix", "", ""), rule("url_regex", "^/x", ""));
    after(rule("url_regex", "^/x", ""), rule("url_regex", "^/x", "method = \"GET\""));
    after(rule("url_pattern", "/(string)", ""), rule("url_exact", "/x", ""));
    after(prefix("method = \"GET\""), rule("url_prefix", "/a/b", "method = \"GET\""));
    after(rule("url_prefix", "/a/b", ""), prefix("priority = 1"));
    for (first, second) in [
        (prefix("method = \"GET\""), rule("url_prefix", "/a/b", "")),
        (prefix("host = \"x.test\""), rule("url_prefix", "/a", "host = \"y.test\"")),
        (prefix("conditions = [\"query.v == 1\"]"), prefix("conditions = [\"query.v == 2\"]")),
        (rule("url_pattern", "/(number)", ""), rule("url_exact", "/x", "")),
    ] {
        assert_eq!(said(&(first + &second)), []);
    }
}

#[test]
fn what_looks_like_a_pattern_or_is_answered_by_the_gateway_is_told() {
    for text in ["/a/(number)", "/a/*", "/a/{id}", "/a?b=1", "/a$", "/a#b"] {
        says(&rule("url_prefix", text, ""), true, "is compared as it stands");
    }
    for (kind, text) in [("url_prefix", "/ping"), ("url_exact", "/reload"), ("url_prefix", "/ping/")] {
        says(&rule(kind, text, ""), true, "the gateway answers GET");
    }
    for text in ["/pings", "/ping/a", "/a-b_c.d~e/f%20g"] {
        assert_eq!(said(&rule("url_prefix", text, "")), []);
    }
}

#[test]
fn a_service_without_rules_may_be_the_end_of_a_split_only() {
    let next = "[[module]]\nbase.name = \"next\"\nload_balance.ip_list = \"127.0.0.1:2\"\n";
    let own =
        "[[module]]\nbase.name = \"a\"\nload_balance.ip_list = \"127.0.0.1:1\"\nmatch_rule = [{ rule = \"/a\" }]\n";
    let split = "[[module.split]]\nservice = \"next\"\nshare = 0.1\n";
    assert!(load_files(&[("module.toml", &format!("{own}{split}{next}"))]).is_ok());
    let faults = load_files(&[("module.toml", &format!("{own}{next}"))]).expect_err("no way leads there");
    assert!(faults.iter().any(|fault| fault.message.contains("no [[module.match_rule]]")));
}

/// Between a line that begins a block of this language and the end of that block.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_examples_of_the_page_load_and_do_what_it_says() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/routing.md")).expect("the page");
    let examples = blocks(&page, "toml");
    let module = examples.join("\n");
    let loaded = load_files(&[("module.toml", &module)]).expect("no fault");
    assert_eq!(loaded.warnings, []);
    let mut tried = 0;
    // Lines of tables: a request, with what it says after `-H`, and the service that answers.
    for line in page.lines().filter(|line| line.starts_with("| `GET ") || line.starts_with("| `POST ")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let mut request = cells[1].trim_matches('`').split(" -H ");
        let (method, url) = request.next().and_then(|start| start.split_once(' ')).expect(line);
        let fields = request.map(|field| field.split_once(": ").expect(line));
        let headers = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let question = Question { method: method.into(), url: url.into(), from: None, headers };
        let told = tell(&loaded.snapshot, &question);
        let wanted = cells[2].trim_matches('`');
        let verdict = told.lines().last().unwrap_or_default();
        assert!(verdict.ends_with(&format!("forwarded to {wanted}")) || verdict.contains(wanted), "{line}\n{told}");
        tried += 1;
    }
    assert!(examples.len() >= 4 && tried >= 12, "{} examples, {tried} requests", examples.len());
}
