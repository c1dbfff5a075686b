//! Every live key of the schema has an effect: another value loads as something else.

use std::collections::BTreeMap;
use std::fmt::Write;

use gatekeeper::config::Loaded;
use gatekeeper::config::schema::{self, File, Key, Kind, Preset, Shape, Table};

use super::{HOST_NAME, load_files};

/// Table path → key → TOML value; `/` comes before the file's tables.
type Text = BTreeMap<(&'static str, String), BTreeMap<&'static str, String>>;

/// The smallest files in which every key can have an effect.
fn baseline() -> Text {
    let mut text = Text::new();
    let mut set = |file, path: &str, key, value: &str| {
        text.entry((file, path.to_owned())).or_default().insert(key, value.to_owned());
    };
    set("module.toml", "module.base", "name", "\"unlike\"");
    set("module.toml", "module.match_rule", "rule", "\"/unlike\"");
    set("module.toml", "module.load_balance", "ip_list", "\"127.0.0.1:8701,127.0.0.1:8702,127.0.0.1:8703\"");
    set("module.toml", "module.load_balance", "check_method", "\"httpchk\"");
    set("module.toml", "module.filter", "name", "\"unlike\"");
    set("module.toml", "module.split", "service", "\"another\"");
    set("module.toml", "module.split", "share", "0.25");
    set("module.toml", "module.header", "name", "\"X-Unlike\"");
    set("module.toml", "module.validation", "part", "\"query.unlike\"");
    set("module.toml", "module.limit", "rate", "1000");
    set("app.toml", "authirized_apps", "app_id", "\"unlike\"");
    set("app.toml", "authirized_apps", "secret", "\"unlike\"");
    text
}

fn render_table(out: &mut String, text: &Text, file: &File, table: &Table, parent: &str) {
    let path = table.path(parent);
    let _ = writeln!(out, "{}", table.header(parent));
    for (key, value) in text.get(&(file.name, path.clone())).into_iter().flatten() {
        let _ = writeln!(out, "{key} = {value}");
    }
    for child in table.tables {
        render_table(out, text, file, child, &path);
    }
}

/// Further services, for what needs others; the second has a rule that is more specific than those before it.
const OTHERS: &str = r#"
[[module]]
base.name = "another"
match_rule = [{ rule = "/another" }]
load_balance.ip_list = "127.0.0.1:8704"
[[module]]
base.name = "third"
match_rule = [{ rule = "/another/deeper" }]
load_balance.ip_list = "127.0.0.1:8705"
"#;

fn render(text: &Text, file: &File) -> String {
    let mut out = String::new();
    for child in file.tables {
        render_table(&mut out, text, file, child, "");
    }
    if file.name == schema::MODULE_FILE.name {
        out += OTHERS;
    }
    out
}

fn load(text: &Text) -> Loaded {
    let files = [&schema::MODULE_FILE, &schema::BASE_FILE, &schema::APP_FILE];
    let texts = files.map(|file| (file.name, render(text, file)));
    let texts: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    load_files(&texts).expect("no fault that stops")
}

/// Everything that reaches a worker or the process, but not the maps that index it.
fn seen(loaded: &Loaded) -> String {
    let Loaded { snapshot, process, .. } = loaded;
    let (routes, tenants) = (snapshot.routes.all(), snapshot.tenants.all());
    let days = &snapshot.calendar;
    let issuer = &snapshot.issuer;
    format!("{issuer:?} {:?} {routes:?} {:?} {tenants:?} {days:?} {process:?}", snapshot.http, snapshot.services)
}

fn another_value(key: &Key) -> String {
    let text = |text: &str| format!("\"{text}\"");
    match (key.kind, key.preset) {
        _ if key.name == "white_host_name" => text(&format!("elsewhere,{HOST_NAME}")),
        // They have to be there.
        _ if key.name.ends_with("_list_file") => {
            text(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/addresses.list"))
        }
        _ if key.name == "token_file" => text(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/admin.token")),
        _ if key.name == "service" => text("third"),
        _ if key.name == "public_key_file" => key_file("two.pem"),
        _ if key.name == "jwks_file" => key_file("two.json"),
        _ if key.name == "secret" && key.status == schema::Status::New => text(&"fedcba9876543210".repeat(4)),
        (Kind::List, _) => key.example.to_owned(),
        (Kind::Word(words), Preset::Text(preset)) => {
            text(words.iter().find(|word| **word != preset).expect("more words than one"))
        }
        (Kind::Int(..), Preset::Required) => key.example.to_owned(),
        (Kind::Int(min, max), Preset::Int(preset)) => if preset < min {
            min
        } else if preset < max {
            preset + 1
        } else {
            preset - 1
        }
        .to_string(),
        (Kind::Bool, Preset::Bool(preset)) => (!preset).to_string(),
        (Kind::Share, Preset::Millionths(500_000)) => "0.25".to_owned(),
        (Kind::Share, _) => "0.5".to_owned(),
        _ if key.example.is_empty() => text("another"),
        _ => text(key.example),
    }
}

/// A file of keys that is there.
fn key_file(name: &str) -> String {
    format!("\"{}/tests/fixtures/tokens/{name}\"", env!("CARGO_MANIFEST_DIR"))
}

/// Tokens are asked for where there are algorithms and one source of keys.
fn ground_tokens(text: &mut Text, path: &str, key: &Key) {
    if path == "oauth" {
        let table = text.entry(("base.toml", path.to_owned())).or_default();
        table.insert("signing_key", "\"0123456789abcdef0123456789abcdef\"".into());
    }
    if key.name == "sign_window" {
        text.entry(("app.toml", path.to_owned())).or_default().insert("sign_method", "\"hmac-sha256\"".into());
    }
    if path != "module.jwt" {
        return;
    }
    let table = text.entry(("module.toml", path.to_owned())).or_default();
    let (algorithms, source, value) = match key.name {
        "public_key_file" => ("[\"ES256\"]", "public_key_file", key_file("one.pem")),
        "jwks_file" => ("[\"ES256\"]", "jwks_file", key_file("one.json")),
        "jwks_url" | "keys_refresh" => ("[\"ES256\"]", "jwks_url", "\"http://127.0.0.1:1/keys\"".to_owned()),
        _ => ("[\"HS512\"]", "secret", format!("\"{}\"", "0123456789abcdef".repeat(4))),
    };
    if key.name != "algorithms" {
        table.insert("algorithms", algorithms.into());
    }
    table.insert(source, value);
}

/// What must be there for a key to have an effect.
fn ground(text: &mut Text, path: &str, key: &Key) {
    ground_tokens(text, path, key);
    const TCP_ONLY: [&str; 5] =
        ["frontend_addr", "proxy_protocol_from", "proxy_protocol_to", "keepalive", "user_timeout"];
    if path == "module.base" && TCP_ONLY.contains(&key.name) {
        text.entry(("module.toml", path.to_owned())).or_default().insert("load_type", "\"tcp\"".into());
    }
    if path == "module.base" && (key.name == "load_type" || TCP_ONLY.contains(&key.name)) {
        text.entry(("module.toml", path.to_owned())).or_default().insert("frontend_addr", "\":2\"".into());
    }
    if path.contains("_writer") {
        let table = text.entry(("base.toml", path.to_owned())).or_default();
        let paths = [("log_path", "\"x\""), ("wf_log_path", "\"y\"")];
        table.extend(
            paths.map(|(key, value)| (key, value.to_owned())).into_iter().filter(|_| path.ends_with("file_writer")),
        );
        if key.name != "on" {
            table.insert("on", "true".into());
        }
    }
    if ["access_log", "access_log_sample"].contains(&key.name) {
        text.entry(("base.toml", "log.console_writer".into())).or_default().insert("on", "true".into());
    }
    if path == "trace" && key.name != "on" {
        text.entry(("base.toml", path.to_owned())).or_default().insert("on", "true".into());
    }
    let switches = [
        ("module.retry", "attempts", "2"),
        ("module.breaker", "failures", "1"),
        ("module.ejection", "failures", "1"),
        ("module.concurrency", "max", "1"),
        ("module.mirror", "service", "\"unlike\""),
    ];
    for (_, switch, value) in switches.into_iter().filter(|(table, switch, _)| *table == path && *switch != key.name) {
        text.entry(("module.toml", path.to_owned())).or_default().insert(switch, value.into());
    }
    if ["hash_key", "hash_load_max", "hash_points"].contains(&key.name) {
        text.entry(("module.toml", path.to_owned())).or_default().insert("type", "\"consistent_hash\"".into());
    }
    if path == "module.cors" && key.name != "allow_origins" {
        text.entry(("module.toml", path.to_owned())).or_default().insert("allow_origins", "\"https://a.b\"".into());
    }
    if path == "module.default_answer" && key.name != "when" {
        text.entry(("module.toml", path.to_owned())).or_default().insert("when", "\"always\"".into());
    }
    if ["client_connections_max", "service_connections_max"].contains(&key.name) {
        let base = text.entry(("module.toml", "module.base".into())).or_default();
        base.extend([("load_type", "\"tcp\"".to_owned()), ("frontend_addr", "\":2\"".into())]);
    }
    if path == "module.limit" && key.name == "share" {
        let cluster = text.entry(("base.toml", "cluster".into())).or_default();
        cluster.insert("cluster_list", "\"10.0.0.1,10.0.0.2\"".into());
    }
    if key.name == "check_method" {
        text.entry(("module.toml", path.to_owned())).or_default().remove("check_method");
    }
}

fn each_key(mut visit: impl FnMut(&'static File, &str, &'static Key)) {
    fn walk(
        file: &'static File,
        table: &'static Table,
        parent: &str,
        visit: &mut impl FnMut(&'static File, &str, &'static Key),
    ) {
        let path = table.path(parent);
        table.keys.iter().for_each(|key| visit(file, &path, key));
        assert!(table.shape != Shape::Named || table.tables.is_empty());
        table.tables.iter().for_each(|child| walk(file, child, &path, visit));
    }
    for file in schema::FILES {
        file.tables.iter().for_each(|table| walk(file, table, "", &mut visit));
    }
}

#[test]
fn another_value_of_each_live_key_loads_as_something_else() {
    let (mut idle, mut tried) = (Vec::new(), 0);
    each_key(|file, path, key| {
        let one_word = matches!(key.kind, Kind::Word([_]));
        if !key.status.is_live() || one_word {
            return;
        }
        tried += 1;
        let mut text = baseline();
        ground(&mut text, path, key);
        let before = seen(&load(&text));
        text.entry((file.name, path.to_owned())).or_default().insert(key.name, another_value(key));
        if seen(&load(&text)) == before {
            idle.push(format!("{path}.{}", key.name));
        }
    });
    assert!(idle.is_empty(), "live in the schema and without effect: {idle:?}");
    assert!(tried > 50, "only {tried} keys tried");
}

#[test]
fn a_key_with_words_refuses_every_other() {
    let mut text = baseline();
    text.entry(("module.toml", "module.match_rule".into())).or_default().insert("type", "\"domain\"".into());
    let module = render(&text, &schema::MODULE_FILE);
    let faults = load_files(&[("module.toml", &module)]).expect_err("no such kind of rule exists");
    assert!(faults.iter().any(|fault| fault.message.contains("`type`") && fault.message.contains("domain")));
}

#[test]
fn each_key_without_effect_changes_nothing_and_is_said() {
    let mut tried = 0;
    each_key(|file, path, key| {
        let silent = key.status.is_live() || matches!(key.status, schema::Status::Label | schema::Status::Later(_));
        let read = ["module.toml", "base.toml", "app.toml"].contains(&file.name);
        if silent || !read || path.contains("writer") || path.ends_with("log") {
            return;
        }
        tried += 1;
        let mut text = baseline();
        let before = seen(&load(&text));
        text.entry((file.name, path.to_owned())).or_default().insert(key.name, another_value(key));
        let loaded = load(&text);
        assert_eq!(seen(&loaded), before, "{path}.{}", key.name);
        let said = loaded.warnings.iter().any(|fault| fault.message.starts_with(&format!("`{}` in ", key.name)));
        assert!(said, "{path}.{}: {:#?}", key.name, loaded.warnings);
    });
    assert!(tried > 10, "only {tried} keys tried");
}

#[test]
fn both_ends_of_each_range_load() {
    each_key(|file, path, key| {
        let Kind::Int(min, max) = key.kind else { return };
        let read = ["module.toml", "base.toml", "app.toml"].contains(&file.name);
        for value in [min, max, if key.zero == schema::Zero::Number { min } else { 0 }] {
            let mut text = baseline();
            text.entry((file.name, path.to_owned())).or_default().insert(key.name, value.to_string());
            if read {
                load(&text);
            }
        }
    });
}
