//! GateKeeper's files load unchanged.

use gatekeeper::config::{Loaded, load_on};
use gatekeeper::wall::routes::{Asked, Route, RouteScratch};
use gatekeeper::wall::snapshot::{Address, CheckMethod, HostMode, Snapshot};

use super::{HOST_NAME, fixture, load_files};

fn gatekeeper_files() -> Loaded {
    load_on(&fixture("gatekeeper/module.toml"), HOST_NAME).expect("no fault that stops")
}

#[test]
fn every_value_of_gatekeepers_base_file_arrives() {
    let Loaded { snapshot, process, .. } = gatekeeper_files();
    let http = &snapshot.http;
    assert_eq!(&*http.route_prefix, b"/api");
    assert_eq!(http.fixed_host.as_deref(), Some(&b"10.9.8.7"[..]));
    assert_eq!((http.head_timeout_ms, http.progress_timeout_ms), (20_000, 40_000));
    assert_eq!(http.head_bytes_max, 1 << 18);
    assert_eq!(http.cluster.len(), 2);
    let listen = &process.listens[0];
    assert_eq!((listen.to_string().as_str(), listen.any), ("http://[::]:8181", true));
    assert_eq!(process.reload_interval_ms, 600_000);
}

#[test]
fn every_value_of_gatekeepers_module_file_arrives() {
    let Loaded { snapshot, process, .. } = gatekeeper_files();
    let [catalogue, redis, bare, orders] = &*snapshot.services else { panic!("four services") };
    assert_eq!(catalogue.limits.as_ref().expect("a limit").each[0].rate.burst, 30);
    assert!(catalogue.access.open && catalogue.access.host_listed);
    assert!(catalogue.access.lists.white.contains("10.200.0.1".parse().expect("address")));
    assert_eq!(catalogue.host, HostMode::Default);
    let upstream = &catalogue.upstream;
    let endpoints: Vec<_> = upstream.endpoints.iter().map(|e| (e.id.0, &*e.node, e.weight, e.forbidden)).collect();
    let wanted = [(0, "127.0.0.1:9001", 50, false), (1, "127.0.0.1:9002", 30, false), (2, "127.0.0.1:9003", 0, true)];
    assert_eq!(endpoints, wanted);
    assert_eq!(
        upstream.check.method,
        CheckMethod::Http { path: "/ping".into(), host: None, statuses: [(200, 200)].into() }
    );
    assert_eq!((upstream.check.timeout_ms, upstream.check.interval_ms), (1_500, 4_000));
    let timeouts = (upstream.connect_timeout_ms, upstream.header_timeout_ms, upstream.body_timeout_ms);
    assert_eq!(timeouts, (1_001, 1_002, 1_003));
    assert_eq!((upstream.idle_max, upstream.idle_timeout_ms), (200, 1_004));
    assert_eq!(orders.upstream.endpoints[0].address, Address::Name("orders.internal".into(), 80));
    assert_eq!(orders.upstream.endpoints[0].weight, 50);
    let unbounded = &orders.upstream;
    assert_eq!((unbounded.header_timeout_ms, unbounded.body_timeout_ms), (0, 0));
    assert!(unbounded.idle_max > 0 && unbounded.idle_timeout_ms > 0, "0 is the default, not no bound");
    assert!(!orders.access.open);
    assert_eq!(snapshot.endpoints, 6);
    let listens: Vec<_> = process.listens.iter().map(ToString::to_string).collect();
    assert_eq!(listens, ["http://[::]:8181", "tcp://[::]:8900", "tcp://127.0.0.1:8901"]);
    assert!(redis.tcp.is_some() && bare.tcp.is_some() && orders.tcp.is_none());
}

fn route<'s>(snapshot: &'s Snapshot, path: &str) -> Option<&'s Route> {
    snapshot.routes.find(&Asked::get(path.as_bytes()), &mut RouteScratch::default())
}

#[test]
fn rules_have_the_form_of_paths() {
    let Loaded { snapshot, .. } = gatekeeper_files();
    let rules: Vec<_> = snapshot.routes.all().iter().map(|route| String::from_utf8_lossy(&route.rule)).collect();
    assert_eq!(rules, ["/api/catalogue", "/api/old_catalogue", "/api/%E8%AE%A2%E5%8D%95"]);
}

#[test]
fn every_value_of_gatekeepers_tenants_arrives() {
    let Loaded { snapshot, .. } = gatekeeper_files();
    let [shop, audit] = snapshot.tenants.all() else { panic!("two tenants") };
    assert_eq!((&*shop.app_id, &*shop.name, shop.group_id), ("shop", "商店", 7));
    assert_eq!(shop.rate.map(|rate| (rate.requests, rate.burst)), Some((2, 6)));
    assert!(shop.may_call(b"/api/orders/1") && !shop.may_call(b"/api/orders2"));
    assert!(shop.white.contains("10.1.1.1".parse().expect("address")));
    assert!(audit.may_call(b"/anything"), "/ allows every path");
    assert_eq!(audit.rate, None);
}

#[test]
fn each_key_without_effect_is_said_once() {
    let warnings = gatekeeper_files().warnings;
    let text: Vec<_> = warnings.iter().map(|fault| fault.message.as_str()).collect();
    for key in [
        "debug_mode",
        "cluster_ip",
        "cluster_addr",
        "clusterIp",
        "clusterList",
        "pass_auth_type",
        "rule_ext",
        "auth_type",
        "max_retry_time",
        "retry_interval",
        "method",
        "timeout",
        "city_ids",
    ] {
        let said = text.iter().filter(|message| message.starts_with(&format!("`{key}` in "))).count();
        assert_eq!(said, 1, "{key}: {text:#?}");
    }
    for part in ["admin.toml", "mysql_map.toml", "redis_map.toml"] {
        assert_eq!(text.iter().filter(|message| message.starts_with(part)).count(), 1, "{part}: {text:#?}");
    }
}

#[test]
fn what_protects_and_is_not_built_is_said() {
    let warnings = gatekeeper_files().warnings;
    assert!(warnings.iter().any(|fault| fault.message.contains("sends its secret")), "{warnings:#?}");
}

#[test]
fn a_module_file_alone_is_enough() {
    let module =
        "[[module]]\nbase.name = \"a\"\nload_balance.ip_list = \"127.0.0.1:1\"\nmatch_rule = [{ rule = \"/\" }]\n";
    let Loaded { snapshot, process, warnings, files, .. } = load_files(&[("module.toml", module)]).expect("no fault");
    assert_eq!(process.listens[0].to_string(), "http://[::]:8700");
    assert!(route(&snapshot, "/any/path").is_some());
    assert_eq!(warnings, []);
    assert_eq!(files.len(), 1);
}

#[test]
fn five_thousand_services_load_and_each_is_found() {
    let module: String = (0..5_000)
        .map(|n| {
            format!(
                "[[module]]\n[module.base]\nname = \"s{n}\"\n[[module.match_rule]]\nrule = \"/api/s{n}\"\n\
                 url_rewrite = \"^/api/s{n}(.*) $1\"\n[module.load_balance]\nip_list = \"10.0.0.1:{}\"\n",
                n + 1
            )
        })
        .collect();
    let snapshot = load_files(&[("module.toml", &module)]).expect("no fault").snapshot;
    assert_eq!(snapshot.services.len(), 5_000);
    for (n, service) in snapshot.services.iter().enumerate() {
        let route = route(&snapshot, &format!("/api/s{n}/x")).expect("a route");
        assert_eq!(snapshot.service(route.service).name, service.name);
    }
}

#[test]
fn the_files_of_this_project_load_and_complain_of_the_sample_secret_only() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/module.toml");
    let warnings = load_on(&file, HOST_NAME).expect("no fault that stops").warnings;
    assert!(warnings.iter().all(|fault| fault.message.contains("secret")), "{warnings:#?}");
    assert_eq!(warnings.len(), 2);
}
