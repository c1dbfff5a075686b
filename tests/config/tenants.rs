//! What is said of tenants and tokens at load, and what `explain` tells of them.

use gatekeeper::config::Fault;
use gatekeeper::config::explain::{Question, tell};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::{fixture, load_files};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn module(tables: &str) -> String {
    format!(
        "[[module]]\nbase.name = \"a\"\nload_balance.ip_list = \"127.0.0.1:1\"\n[[module.match_rule]]\nrule = \"/a\"\n{tables}\n"
    )
}

fn said(tables: &str, base: &str, app: &str) -> Vec<Fault> {
    let files = [("module.toml", &*module(tables)), ("base.toml", base), ("app.toml", app)];
    load_files(&files).map_or_else(|faults| faults, |loaded| loaded.warnings)
}

#[track_caller]
fn says(warning: bool, faults: &[Fault], part: &str) {
    let found = faults.iter().any(|fault| fault.warning == warning && fault.message.contains(part));
    assert!(found, "{part}: {faults:#?}");
}

#[test]
fn every_example_of_the_page_loads() {
    let page = std::fs::read_to_string(fixture("../../docs/tenants.md")).expect("the page");
    let examples: Vec<_> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let faults = match example.split_once('\n').expect("a comment first").0 {
            first if first.contains("app.toml") => said("", "", example),
            first if first.contains("base.toml") => said("", example, ""),
            _ => said(example, "", ""),
        };
        assert!(faults.is_empty(), "{example}{faults:#?}");
    }
}

#[test]
fn a_secret_in_the_url_is_warned_of_and_the_way_out_named() {
    let app =
        |more: &str| format!("[[authirized_apps]]\napp_id = \"x\"\nsecret = \"{SECRET}\"\nopen_api = \"/\"\n{more}");
    let faults = said("", "", &app(""));
    says(true, &faults, "where logs and proxies see it");
    assert!(faults.iter().any(|fault| fault.help.as_deref().is_some_and(|help| help.contains("hmac-sha256"))));
    assert!(said("", "", &app("sign_method = \"hmac-sha256\"")).is_empty());
    says(false, &said("", "", &app("sign_method = \"md5\"")), "sign_method");
    let short =
        "[[authirized_apps]]\napp_id = \"a b\"\nsecret = \"s\"\nopen_api = \"/\"\nsign_method = \"hmac-sha256\"";
    says(true, &said("", "", short), "is short");
    says(false, &said("", "", short), "cannot stand in a signature");
}

#[test]
fn keys_that_do_not_suit_the_algorithms_are_refused() {
    let (pem, set) = (fixture("tokens/one.pem"), fixture("tokens/one.json"));
    let (pem, set) = (format!("public_key_file = {pem:?}"), format!("jwks_file = {set:?}"));
    let secret = format!("secret = \"{SECRET}\"");
    for (algorithms, keys, part) in [
        ("\"HS256\"", "", "0 sources of keys"),
        ("\"HS256\"", &*format!("{secret}\n{set}"), "2 sources of keys"),
        ("\"none\"", &secret, "`none` is not an algorithm"),
        ("\"HS256\", \"RS256\"", &secret, "for HS algorithms alone"),
        ("\"HS256\"", "secret = \"short\"", "a secret of 5 bytes"),
        ("\"HS512\"", &secret, "want 64 or more"),
        ("\"HS256\"", &pem, "one public key is for algorithms of one kind"),
        ("\"ES256\", \"RS256\"", &pem, "one public key is for algorithms of one kind"),
        ("\"RS256\"", &pem, "not a public key in PEM"),
        ("\"RS256\"", &set, "none of its 1 keys"),
        ("\"ES256\", \"HS256\"", &set, "different keys"),
        ("\"HS256\"", "jwks_url = \"https://a/b\"", "holds no secret"),
        ("\"ES256\"", "jwks_url = \"ftp://a/b\"", "not an http or https URL"),
        ("\"ES256\"", "jwks_url = \"https://me:pass@a/b\"", "not an http or https URL"),
        ("\"ES256\"", "jwks_file = \"/nowhere.json\"", "/nowhere.json"),
        ("\"ES256\"", &*format!("{set}\nclaims_to_headers = [\"sub\"]"), "not a claim and a field"),
        ("\"ES256\"", &*format!("{set}\nclaims_to_headers = [\"sub Host\"]"), "not a field that may be set"),
        ("\"ES256\"", &*format!("{set}\nclaims_to_headers = [\"sub X-Forwarded-For\"]"), "not a field that may be set"),
    ] {
        says(false, &said(&format!("[module.jwt]\nalgorithms = [{algorithms}]\n{keys}"), "", ""), part);
    }
    says(true, &said(&format!("[module.jwt]\n{secret}"), "", ""), "no token is asked for");
    says(true, &said(&format!("[module.jwt]\nalgorithms = [\"ES256\"]\n{set}"), "", ""), "no `issuers`");
    says(false, &said("", "[oauth]\nsigning_key = \"short\"", ""), "a secret of 5 bytes");
    says(false, &said("", &format!("[oauth]\nsigning_key = \"{SECRET}\"\npath = \"/\""), ""), "every path");
}

#[test]
fn no_fault_shows_a_secret() {
    let app = "[[authirized_apps]]\napp_id = \"x\"\nsecret = \"hush\"\nsign_method = \"hmac-sha256\"\nopen_api = \"/\"";
    let base = "[oauth]\nsigning_key = \"hush-hush\"";
    for fault in said("[module.jwt]\nalgorithms = [\"HS256\"]\nsecret = \"hush-hush\"", base, app) {
        assert!(!fault.to_string().contains("hush"), "{fault}");
    }
}

fn told(tables: &str, fields: &[(&str, String)]) -> String {
    let base = format!("[oauth]\nsigning_key = \"{SECRET}\"");
    let app = format!(
        "[[authirized_apps]]\napp_id = \"shop\"\nsecret = \"{SECRET}\"\nopen_api = \"/\"\nsign_method = \"hmac-sha256\""
    );
    let loaded = load_files(&[("module.toml", &*module(tables)), ("base.toml", &*base), ("app.toml", &*app)]);
    let headers = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let question = Question { method: "GET".into(), url: "/a/b?x=1".into(), from: None, headers };
    tell(&loaded.expect("no fault").snapshot, &question)
}

fn bearer(claims: &serde_json::Value) -> (&'static str, String) {
    let key = EncodingKey::from_secret(SECRET.as_bytes()).expect("a key");
    ("Authorization", format!("Bearer {}", encode(&Header::default(), claims, &key).expect("a token")))
}

#[test]
fn explain_looks_at_tokens() {
    let rules = format!(
        "[module.jwt]\nalgorithms = [\"HS256\"]\nsecret = \"{SECRET}\"\nissuers = [\"them\"]\nclaims_to_headers = [\"sub X-User\"]"
    );
    let good = json!({ "iss": "them", "sub": "u-1", "exp": 4_000_000_000u64 });
    let text = told(&rules, &[bearer(&good), ("X-User", "forged".into())]);
    for part in ["asked for: HS256 with the keys of a secret", "valid, of `u-1`", "X-User: u-1", "forwarded to a"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("forged") && !text.contains("Bearer"), "{text}");
    assert!(told(&rules, &[]).contains("401 token_missing"));
    let foreign = json!({ "iss": "others", "exp": 4_000_000_000u64 });
    assert!(told(&rules, &[bearer(&foreign)]).contains("401 token_claims"));
    let url = "[module.jwt]\nalgorithms = [\"ES256\"]\nissuers = [\"a\"]\njwks_url = \"http://127.0.0.1:1/k?secret=1\"";
    let text = told(url, &[bearer(&good)]);
    assert!(text.contains("keys of http://127.0.0.1:1/k") && text.contains("was not looked at"), "{text}");
}

#[test]
fn explain_looks_at_signatures_and_at_tokens_of_our_own() {
    let open = "[module.access_control]\nopen = 1";
    let ours = json!({ "iss": "gatekeeper", "sub": "shop", "exp": 4_000_000_000u64 });
    let text = told(open, &[bearer(&ours)]);
    assert!(text.contains("shop: by a token that this gateway gave") && !text.contains("Bearer"), "{text}");
    let hex = "0".repeat(64);
    let fields = |timestamp: u64| {
        let value = format!("app_id=shop, timestamp={timestamp}, nonce=n, body={hex}, sign={hex}");
        [("Authorization", format!("Gatekeeper-HMAC-SHA256 {value}"))]
    };
    assert!(told(open, &fields(1)).contains("too far from now"));
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(told(open, &fields(now_s)).contains("the signature is not that of this request"));
    assert!(told(open, &[]).contains("401 tenant_missing"));
}
