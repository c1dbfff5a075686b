//! What is told is what took place: known traffic, exact counts, on every page.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Watched;
use crate::support::conf::App;
use crate::support::{Conf, Origin, Service, eventually};

/// The value of a sample of the text, by its name with labels.
fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn scrape(watched: &Watched) -> String {
    let answer = watched.get("/metrics");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text()
}

/// One service that answers by its target, one that is down, a tenant.
fn traffic(origin: &Origin) -> Watched {
    let conf = Conf::new()
        .service(Service::at("/svc", &[origin]))
        .service(Service::with_nodes("/down", vec!["127.0.0.1:1".into()]))
        .service(Service::at("/closed", &[origin]).access("open", 1))
        .app(App::new("shop", "secret").set("total_query_daily", 3));
    let watched = Watched::start(&conf);
    let mut client = watched.gateway.connect();
    for _ in 0..7 {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
    for _ in 0..2 {
        assert_eq!(client.get("/nowhere").status(), 404);
    }
    for _ in 0..5 {
        client.get("/closed/a?app_id=shop&sign=secret");
    }
    assert!(eventually(|| client.get("/down/a").status() == 503));
    watched
}

#[test]
fn metrics_count_what_took_place() {
    let origin = Origin::ok();
    let watched = traffic(&origin);
    let wanted = [
        ("http_requests_total{service=\"svc\",code=\"2xx\"}", 7.0),
        ("http_requests_total{service=\"svc\",code=\"5xx\"}", 0.0),
        ("http_requests_total{service=\"closed\",code=\"2xx\"}", 3.0),
        ("http_requests_total{service=\"closed\",code=\"4xx\"}", 2.0),
        ("http_requests_total{service=\"\",code=\"4xx\"}", 2.0),
        ("gateway_request_errors_total{reason=\"no_route\"}", 2.0),
        ("gateway_request_errors_total{reason=\"tenant_quota\"}", 2.0),
        ("gateway_request_errors_total{reason=\"bad_host\"}", 0.0),
        ("gateway_request_duration_seconds_count{service=\"svc\"}", 7.0),
        ("gateway_request_duration_seconds_bucket{service=\"svc\",le=\"+Inf\"}", 7.0),
        ("gatekeeper_tenant_requests_total{tenant=\"shop\"}", 5.0),
        ("gatekeeper_tenant_quota{tenant=\"shop\"}", 3.0),
        ("gatekeeper_tenant_quota_used{tenant=\"shop\"}", 3.0),
        ("gatekeeper_ready", 1.0),
        ("gatekeeper_services", 3.0),
        ("gatekeeper_endpoints", 3.0),
        ("active_connections", 0.0),
        ("gatekeeper_config_loads_total{result=\"taken\"}", 0.0),
    ];
    let all_told = || {
        let text = scrape(&watched);
        wanted
            .iter()
            .filter(|(name, value)| sample(&text, name) != Some(*value))
            .map(|(name, _)| (*name, sample(&text, name)))
            .collect::<Vec<_>>()
    };
    assert!(eventually(|| all_told().is_empty()), "{:?}", all_told());
    let endpoint = format!("{{service=\"svc\",endpoint=\"{}\"}}", origin.node());
    let up = format!("gatekeeper_endpoint_up{endpoint}");
    assert!(eventually(|| sample(&scrape(&watched), &up) == Some(1.0)));
    let text = scrape(&watched);
    assert_eq!(sample(&text, &format!("gatekeeper_endpoint_attempts_total{endpoint}")), Some(7.0));
    assert_eq!(sample(&text, "gatekeeper_endpoint_up{service=\"down\",endpoint=\"127.0.0.1:1\"}"), Some(0.0));
    let sum = sample(&text, "gateway_request_duration_seconds_sum{service=\"svc\"}").expect("a sum");
    assert!((0.000_001..60.0).contains(&sum), "{sum}");
}

#[test]
fn no_path_and_no_address_of_a_client_is_a_label() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin));
    let mut client = watched.gateway.connect();
    client.get("/svc/secret-path?token=secret-value");
    client.get("/secret-nowhere");
    assert!(eventually(|| sample(&scrape(&watched), "http_requests_total{service=\"\",code=\"4xx\"}") == Some(1.0)));
    for page in [scrape(&watched), watched.get("/api/status").text(), watched.get("/health/metrics").text()] {
        assert!(!page.contains("secret"), "{page}");
    }
}

#[test]
fn connections_under_way_are_told() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin));
    let kept: Vec<_> = (0..5).map(|_| watched.gateway.connect()).collect();
    assert!(eventually(|| sample(&scrape(&watched), "active_connections") == Some(5.0)));
    drop(kept);
    assert!(eventually(|| sample(&scrape(&watched), "active_connections") == Some(0.0)));
}

#[test]
fn status_tells_everything_and_the_summary_a_little() {
    let origin = Origin::ok();
    let watched = traffic(&origin);
    let counted = || watched.status()["services"][0]["this_hour"].as_u64() >= Some(7);
    assert!(eventually(counted), "{}", watched.status());
    let probed = || watched.get("/health/metrics").json()["endpoints"] == json!({"total": 3, "up": 2, "down": 1});
    assert!(eventually(probed), "{}", watched.status());
    let status = watched.status();
    let service = |n: usize| &status["services"][n];
    assert_eq!((&service(0)["name"], &service(0)["kind"]), (&json!("svc"), &json!("http")));
    assert_eq!((&service(0)["requests_total"], &service(0)["by_class"]), (&json!(7), &json!({"2xx": 7})));
    assert_eq!(service(0)["today"], 7);
    assert_eq!(service(0)["endpoints"][0]["health"], "up");
    assert_eq!(service(0)["endpoints"][0]["attempts_total"], 7);
    assert_eq!(service(1)["endpoints"][0]["health"], "down");
    assert_eq!(service(2)["by_class"], json!({"2xx": 3, "4xx": 2}));
    assert_eq!(status["tenants"][0]["quota"], json!({"daily_max": 3, "used": 3}));
    assert_eq!(status["reasons"]["no_route"], 2);
    assert_eq!((&status["stage"], &status["ready"], &status["zone"]), (&json!("serving"), &json!(true), &json!("UTC")));
    let cores = status["cores"].as_array().expect("cores");
    let served: u64 = cores.iter().map(|core| core["requests_2xx_total"].as_u64().expect("a number")).sum();
    assert!(served >= 10, "{cores:?}");
    assert!(cores.iter().all(|core| core["runs"] == true && core["epoch"] == status["epoch"]), "{cores:?}");
    let files = status["config"]["files"].as_array().expect("files");
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(status["listeners"].as_array().map(Vec::len), Some(1));

    let summary = watched.get("/health/metrics").json();
    assert_eq!((&summary["status"], &summary["services"]), (&json!("serving"), &json!(3)));
    assert_eq!(summary["endpoints"], json!({"total": 3, "up": 2, "down": 1}));
    assert!(summary["requests_total"].as_u64() >= Some(14), "{summary}");
    assert!(summary["errors_total"].as_u64() >= Some(4), "{summary}");
}

#[test]
fn counters_go_on_over_reloads() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin);
    let watched = Watched::start(&conf);
    let mut client = watched.gateway.connect();
    let counted = |count: f64| {
        eventually(|| sample(&scrape(&watched), "http_requests_total{service=\"svc\",code=\"2xx\"}") == Some(count))
    };
    client.get("/svc/a");
    assert!(counted(1.0));
    let more = Service::at("/more", &[&origin]);
    watched.gateway.rewrite_files(&super::watched(&conf.clone().service(more), watched.admin));
    assert_eq!(watched.gateway.connect().get("/reload").status(), 200);
    client.get("/svc/a");
    assert!(counted(2.0));
    let text = scrape(&watched);
    assert_eq!(sample(&text, "http_requests_total{service=\"more\",code=\"2xx\"}"), Some(0.0));
    assert_eq!(sample(&text, "gatekeeper_config_loads_total{result=\"taken\"}"), Some(1.0));
}

#[test]
fn totals_go_on_over_restarts() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().expect("a folder");
    let conf = Conf::of(&origin).store("path", folder.path().join("store.db").display().to_string());
    for round in 1..=3 {
        let mut watched = Watched::start(&conf);
        let mut client = watched.gateway.connect();
        for _ in 0..4 {
            assert_eq!(client.get("/svc/a").status(), 200);
        }
        let today = || watched.status()["services"][0]["today"].as_u64();
        assert!(eventually(|| today() == Some(4 * round)), "{:?} in round {round}", today());
        assert_eq!(watched.status()["services"][0]["requests_total"], 4, "of this process alone");
        drop(client);
        watched.gateway.signal(rustix::process::Signal::TERM);
        assert_eq!(watched.gateway.wait(Duration::from_secs(20)).code(), Some(0));
    }
}

/// Five thousand services with an endpoint each.
fn large() -> Conf {
    let node = |n: u32| format!("127.0.0.{}:{}", 1 + n % 250, 20_000 + n);
    (0..5_000).fold(Conf::new(), |conf, n| {
        let service = Service::with_nodes(&format!("/s{n}"), vec![node(n)]).balance("check_method", "tcpchk");
        conf.service(service.balance("check_interval", 600_000))
    })
}

#[test]
fn a_scrape_of_five_thousand_services_is_quick_and_pauses_nobody() {
    let origin = Origin::ok();
    let conf = large().service(Service::at("/svc", &[&origin])).cores(2);
    let watched = Watched::start(&conf);
    let scrape_took = || {
        let start = Instant::now();
        let text = scrape(&watched);
        let took = start.elapsed();
        assert!(text.contains("http_requests_total{service=\"s4999\",code=\"2xx\"} 0\n"));
        took
    };
    scrape_took();
    let best = (0..5).map(|_| scrape_took()).min().expect("some");
    // A debug build on a busy machine; a release build takes less than a tenth of a second.
    assert!(best < Duration::from_secs(4), "{best:?}");
    let mut client = watched.gateway.connect();
    client.get("/svc/a");
    let slowest = std::thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            for _ in 0..3 {
                scrape_took();
            }
        });
        let mut slowest = Duration::ZERO;
        while !scraper.is_finished() {
            let start = Instant::now();
            assert_eq!(client.get("/svc/a").status(), 200);
            slowest = slowest.max(start.elapsed());
        }
        slowest
    });
    assert!(slowest < Duration::from_millis(500), "a request took {slowest:?} while scrapes went on");
}

#[test]
fn metrics_tell_what_became_of_spans_and_of_lines_of_the_logs() {
    let (origin, folder) = (Origin::ok(), tempfile::tempdir().expect("a folder"));
    let log = folder.path().join("access.log");
    // Nobody reads it: what does not fit there waits, and what does not fit here is dropped.
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &log,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("a pipe");
    let conf = Conf::of(&origin)
        .base("access_log", "on")
        .log("log.file_writer", "on", true)
        .log("log.file_writer", "log_path", log.display().to_string())
        .trace("on", true)
        .trace("sample_ratio", 1.0)
        .trace("endpoint", "http://127.0.0.1:9/v1/traces");
    let watched = Watched::start(&conf);
    for result in ["exported", "rejected", "given_up"] {
        assert_eq!(sample(&scrape(&watched), &format!("gatekeeper_spans_total{{result=\"{result}\"}}")), Some(0.0));
    }
    assert_eq!(sample(&scrape(&watched), "gatekeeper_traces_dropped_total"), Some(0.0));
    assert_eq!(sample(&scrape(&watched), "gatekeeper_log_dropped_total"), Some(0.0));
    let mut client = watched.gateway.connect();
    let long = format!("/svc/{}", "x".repeat(4_000));
    let dropped = || sample(&scrape(&watched), "gatekeeper_log_dropped_total").expect("told");
    let traces = || sample(&scrape(&watched), "gatekeeper_traces_dropped_total").expect("told");
    let begun = Instant::now();
    while (dropped() == 0.0 || traces() == 0.0) && begun.elapsed() < Duration::from_secs(60) {
        for _ in 0..500 {
            assert_eq!(client.get(&long).status(), 200);
        }
    }
    assert!(dropped() > 0.0 && traces() > 0.0, "{} lines, {} traces", dropped(), traces());
}
