//! How the file says by which rule an endpoint is chosen, and the page that explains it.

use gatekeeper::config::explain::{Question, explain};
use gatekeeper::wall::attribute::Attribute;
use gatekeeper::wall::balance::{Balance, HashKey, HashRule, Strategy};

use super::{fixture, load_files};

/// A service of two endpoints with these lines in its table.
fn module(base: &str, lines: &str) -> String {
    let rule = if base.contains("tcp") { "" } else { "[[module.match_rule]]\nrule = \"/a\"\n" };
    format!(
        "[[module]]\n[module.base]\nname = \"a\"\n{base}\n{rule}[module.load_balance]\n\
         ip_list = \"127.0.0.1:1,127.0.0.1:2\"\nweight_list = \"3,1\"\n{lines}\n"
    )
}

#[track_caller]
fn balance(base: &str, lines: &str) -> Balance {
    let loaded = load_files(&[("module.toml", &module(base, lines))]).expect("it loads");
    assert_eq!(loaded.warnings.len(), 0, "{:?}", loaded.warnings);
    loaded.snapshot.services[0].upstream.balance.clone()
}

/// The rule that a type names, and whether weights count.
#[track_caller]
fn named(name: &str) -> (&'static str, bool) {
    let balance = balance("", &format!("type = \"{name}\""));
    let rule = match balance.strategy {
        Strategy::RoundRobin => "round-robin",
        Strategy::Random => "random",
        Strategy::Hash(HashRule { key: HashKey::Url, .. }) => "url",
        Strategy::Hash(HashRule { key: HashKey::Client, .. }) => "client",
        Strategy::Hash(_) => "hash",
        Strategy::LeastRequests => "least",
        Strategy::PeakEwma => "ewma",
    };
    (rule, balance.weighted)
}

#[test]
fn every_name_of_a_rule_means_what_the_system_that_has_it_means() {
    let names = [
        ("round-robin", ("round-robin", true)),
        ("weight_round", ("round-robin", true)),
        ("WightRobin", ("round-robin", true)),
        ("round", ("round-robin", false)),
        ("RoundRobin", ("round-robin", false)),
        ("random", ("random", false)),
        ("Rand", ("random", false)),
        ("weight_random", ("random", true)),
        ("consistent_hash", ("url", true)),
        ("hash", ("url", true)),
        ("ip_hash", ("client", true)),
        ("IPHash", ("client", true)),
        ("least_requests", ("least", true)),
        ("least_conn", ("least", true)),
        ("LeastConn", ("least", true)),
        ("peak_ewma", ("ewma", true)),
    ];
    for (name, meaning) in names {
        assert_eq!(named(name), meaning, "{name}");
    }
}

#[test]
fn a_hash_goes_by_what_its_key_says() {
    let key = |base, key: &str| match balance(base, &format!("type = \"hash\"\n{key}")).strategy {
        Strategy::Hash(rule) => rule.key,
        other => panic!("{other:?}"),
    };
    assert_eq!(key("", ""), HashKey::Url);
    assert_eq!(key("", "hash_key = \"url\""), HashKey::Url);
    assert_eq!(key("", "hash_key = \"client\""), HashKey::Client);
    assert_eq!(key("", "hash_key = \"header.X-User\""), HashKey::Attribute(Attribute::Header("x-user".into())));
    assert_eq!(key("", "hash_key = \"query.id\""), HashKey::Attribute(Attribute::Query("id".into())));
    assert_eq!(key("", "hash_key = \"cookie.sid\""), HashKey::Attribute(Attribute::Cookie("sid".into())));
    assert_eq!(key("load_type = \"tcp\"\nfrontend_addr = \":2\"", ""), HashKey::Client);
}

/// Whether the file is told this, as a warning or as a fault.
#[track_caller]
fn says(base: &str, lines: &str, warning: bool, part: &str) {
    let told = load_files(&[("module.toml", &module(base, lines))]);
    let faults = told.map_or_else(|faults| faults, |loaded| loaded.warnings);
    let found = faults.iter().any(|fault| fault.warning == warning && fault.message.contains(part));
    assert!(found, "{part}: {faults:#?}");
}

#[test]
fn what_has_no_meaning_or_no_effect_is_said() {
    let hash = "type = \"consistent_hash\"\n";
    for (key, part) in [("uri", "no part of a request"), ("header.", "has no name"), ("body.a", "no part of a request")]
    {
        says("", &format!("{hash}hash_key = \"{key}\""), false, part);
    }
    let tcp = "load_type = \"tcp\"\nfrontend_addr = \":2\"";
    says(tcp, &format!("{hash}hash_key = \"url\""), false, "knows nothing of `url`");
    for line in ["hash_key = \"client\"", "hash_load_max = 125", "hash_points = 160"] {
        says("", line, true, "has no effect with type `round-robin`");
    }
    says("", "type = \"ip_hash\"\nhash_key = \"url\"", true, "has no effect with type `ip_hash`");
}

fn explained(lines: &str, headers: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, module("", lines)).expect("a file in it");
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    explain(&file, &Question { method: "GET".into(), url: "/a/b?c".into(), from: None, headers }).out
}

#[test]
fn explain_tells_the_rule_and_whose_the_key_is() {
    let plain = explained("", &[]);
    assert!(!plain.contains("\nbalance") && plain.contains("weight 3      75.0 % of the requests"), "{plain}");
    let even = explained("type = \"round\"\nslow_start = 5000", &[]);
    assert!(even.contains("balance    each in its turn, all alike\n"), "{even}");
    assert!(even.contains("one that is back gets its full share within 5000 ms\n"), "{even}");
    assert!(even.contains("weight 3      50.0 % of the requests"), "{even}");
    let least = explained("type = \"least_conn\"", &[]);
    assert!(least.contains("balance    the one with the fewest requests under way for its weight\n"), "{least}");
    let lines = "type = \"hash\"\nhash_key = \"header.X-User\"\nhash_load_max = 125";
    let hashed = explained(lines, &[("X-User", "ada")]);
    assert!(hashed.contains("balance    by a hash of header.x-user: "), "{hashed}");
    assert!(hashed.contains("none has more under way than 125 % of its share; then the next\n"), "{hashed}");
    assert_eq!(hashed.matches("the request's key belongs here").count(), 1, "{hashed}");
    let without = explained(lines, &[]);
    assert!(without.contains("by a hash of header.x-user, which the request has not: each in its turn\n"), "{without}");
    assert!(!without.contains("belongs here"), "{without}");
}

#[test]
fn every_example_of_the_page_loads() {
    let page = std::fs::read_to_string(fixture("../../docs/balance.md")).expect("the page");
    let examples: Vec<_> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 3, "{} examples", examples.len());
    for example in examples {
        let loaded = load_files(&[("module.toml", example)]).unwrap_or_else(|faults| panic!("{example}{faults:?}"));
        assert_eq!(loaded.warnings.len(), 0, "{example}{:?}", loaded.warnings);
    }
}
