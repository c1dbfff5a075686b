//! Programs that others wrote read the pages, and what is shipped for them names numbers that there are.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Watched;
use crate::support::conf::App;
use crate::support::{Conf, Origin, Service, eventually};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A gateway of which every page has something to tell.
fn busy(origin: &Origin, folder: &Path) -> Watched {
    let conf = Conf::new()
        .service(Service::at("/svc", &[origin]))
        .service(Service::at("/od\u{e9}", &[origin]).base("name", "a \"quoted\" \\ name"))
        .app(App::new("shop", "secret").set("total_query_daily", 3))
        .store("path", folder.join("store.db").display().to_string());
    let watched = Watched::start(&conf);
    let mut client = watched.gateway.connect();
    client.get("/svc/a");
    client.get("/nowhere");
    watched
}

/// What Python makes of a page: the names of its samples. It fails where the page is not what it says to be.
fn parsed(page: &str, format: &str) -> BTreeSet<String> {
    let mut python = Command::new("python3")
        .arg(root().join("tests/e2e/admin/parse.py"))
        .arg(format)
        // Where tools/test-needs installs it.
        .env("PYTHONPATH", root().join("target/test-python"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    std::io::Write::write_all(&mut python.stdin.take().expect("piped"), page.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("our own child");
    assert!(output.status.success(), "prometheus_client refuses it, or tools/test-needs has not installed it");
    String::from_utf8(output.stdout).expect("names").lines().map(str::to_owned).collect()
}

fn page(watched: &Watched, accept: &str) -> (String, String) {
    let answer = watched.connect().ask(format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"));
    assert_eq!(answer.status(), 200);
    (answer.head.field("content-type").expect("a type").to_owned(), answer.text())
}

#[test]
fn prometheus_client_of_python_reads_both_formats() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().expect("a folder");
    let watched = busy(&origin, folder.path());
    let (kind, text) = page(&watched, "*/*");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let classic = parsed(&text, "prometheus");
    let (kind, text) = page(&watched, "application/openmetrics-text; version=1.0.0");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    let open = parsed(&text, "openmetrics");
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(classic, open);
    for name in [
        "http_requests_total",
        "gateway_request_duration_seconds_bucket",
        "gateway_request_errors_total",
        "active_connections",
        "process_resident_memory_bytes",
        "gatekeeper_worker_cpu_seconds_total",
    ] {
        assert!(classic.contains(name), "{name} is not among {classic:?}");
    }
}

/// Words of PromQL that are no names of numbers, with the labels that we have.
const WORDS: &[&str] = &[
    "sum",
    "by",
    "rate",
    "increase",
    "histogram_quantile",
    "absent",
    "topk",
    "min",
    "max",
    "on",
    "group_right",
    "bool",
    "instance",
    "service",
    "endpoint",
    "reason",
    "code",
    "le",
    "worker",
    "tenant",
    "label_values",
    "m",
];

/// The names in a PromQL expression: words outside of quotes that neither are PromQL's nor a label's.
fn names(expression: &str) -> Vec<String> {
    let unquoted: String = expression.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let without_variables =
        unquoted.replace("$__rate_interval", " ").replace("$instance", " ").replace("$service", " ");
    let words = without_variables.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let words = words.filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()));
    words.filter(|word| !WORDS.contains(word)).map(str::to_owned).collect()
}

/// The strings under `key` wherever they stand.
fn under<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                if name == key {
                    found.extend(inner.as_str());
                }
                under(inner, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_and_the_alerts_name_numbers_that_there_are() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().expect("a folder");
    let watched = busy(&origin, folder.path());
    let known = || parsed(&page(&watched, "*/*").1, "prometheus");
    assert!(eventually(|| known().contains("gatekeeper_store_up")));
    let known = known();
    let read = |name: &str| std::fs::read_to_string(root().join("conf/observability").join(name)).expect("a file");
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("JSON");
    let alerts = parsed(&read("alerts.yaml"), "rules");
    let mut expressions = Vec::new();
    under(&dashboard, "expr", &mut expressions);
    under(&dashboard, "definition", &mut expressions);
    assert!(expressions.len() > 30 && alerts.len() > 10, "{} and {}", expressions.len(), alerts.len());
    let unknown: Vec<_> = expressions
        .into_iter()
        .chain(alerts.iter().map(String::as_str))
        .flat_map(names)
        .filter(|name| !known.contains(name))
        .collect();
    assert!(unknown.is_empty(), "no scrape has {unknown:?}");
}

#[test]
fn curl_follows_the_operating_page() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin).admin("token", "0123456789abcdef"));
    let url = format!("http://{}/health", watched.admin);
    let curl = |more: &[&str]| {
        let output =
            Command::new("curl").args(["-s", "-o", "/dev/null", "-w", "%{http_code}"]).args(more).arg(&url).output();
        String::from_utf8(output.expect("curl").stdout).expect("a number")
    };
    assert_eq!(curl(&[]), "401");
    assert_eq!(curl(&["-H", "Authorization: Bearer 0123456789abcdef"]), "200");
}
