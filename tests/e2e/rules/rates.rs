//! Rates: exact for the whole process, whoever asks and however many workers there are.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::conf::App;
use crate::support::{Client, Conf, Gateway, Origin, Service};

const SPAN: Duration = Duration::from_secs(4);

/// Asks as fast as it is answered, with a short pause after a refusal, and counts what was served.
fn served(gateway: &Gateway, source: Ipv4Addr, target: &str, until: Instant) -> usize {
    let mut client = Client::connect_from(source, gateway.address());
    let mut count = 0;
    while Instant::now() < until {
        let answer = client.get(target);
        match answer.status() {
            200 => count += 1,
            429 => thread::sleep(Duration::from_millis(4)),
            status => panic!("{status} {}", answer.reason()),
        }
    }
    count
}

/// Fails unless the count is within 2 % of rate × time + 3 × rate, time being known only in bounds.
#[track_caller]
fn exact(what: &str, count: usize, rate: f64, at_least: Duration, at_most: Duration) {
    let low = (rate * at_least.as_secs_f64() + 3.0 * rate) * 0.98 - 1.0;
    let high = (rate * at_most.as_secs_f64() + 3.0 * rate) * 1.02 + 1.0;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand requests")]
    let count = count as f64;
    assert!((low..=high).contains(&count), "{what}: {count} served, {low:.0} to {high:.0} expected");
}

#[test]
fn one_address_over_many_connections_gets_its_rate_and_burst() {
    let origin = Origin::ok();
    let gateway =
        Gateway::start(&Conf::new().service(Service::at("/svc", &[&origin]).access("client_flow_limit", 100)));
    let start = Instant::now();
    let until = start + SPAN;
    let total = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                total.fetch_add(served(&gateway, Ipv4Addr::LOCALHOST, "/svc/a", until), Ordering::Relaxed);
            });
        }
    });
    exact("one address", total.into_inner(), 100.0, SPAN.saturating_sub(Duration::from_millis(50)), start.elapsed());
}

#[test]
fn each_of_many_addresses_gets_its_own_rate_and_burst() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&origin]).access("client_flow_limit", 10)));
    let start = Instant::now();
    let until = start + SPAN;
    let gateway = &gateway;
    let counts: Vec<usize> = thread::scope(|scope| {
        let clients: Vec<_> = (1..=12)
            .map(|last| scope.spawn(move || served(gateway, Ipv4Addr::new(127, 0, 0, last), "/svc/a", until)))
            .collect();
        clients.into_iter().map(|client| client.join().expect("served")).collect()
    });
    let at_most = start.elapsed();
    for count in counts {
        exact("one of many", count, 10.0, SPAN.saturating_sub(Duration::from_millis(100)), at_most);
    }
}

#[test]
fn a_tenants_rate_is_one_over_all_its_addresses() {
    let origin = Origin::ok();
    let app = App::new("shop", "s").set("qps", 50);
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app));
    let start = Instant::now();
    let until = start + SPAN;
    let total = AtomicUsize::new(0);
    thread::scope(|scope| {
        for last in 1..=6 {
            let (gateway, total) = (&gateway, &total);
            scope.spawn(move || {
                let source = Ipv4Addr::new(127, 0, 0, last);
                total.fetch_add(served(gateway, source, "/svc/a?app_id=shop&sign=s", until), Ordering::Relaxed);
            });
        }
    });
    exact("a tenant", total.into_inner(), 50.0, SPAN.saturating_sub(Duration::from_millis(50)), start.elapsed());
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&origin]).access("client_flow_limit", 1)));
    let mut client = gateway.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
    let answer = client.get("/svc/a");
    answer.expect_end(429, "client_rate");
    let seconds: u64 = answer.head.field("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=3).contains(&seconds), "{seconds}");
    thread::sleep(Duration::from_secs(seconds));
    assert_eq!(client.get("/svc/a").status(), 200, "it may be believed");
}

#[test]
fn services_do_not_share_a_clients_rate() {
    let origin = Origin::ok();
    let conf = ["/one", "/two"]
        .iter()
        .fold(Conf::new(), |conf, prefix| conf.service(Service::at(prefix, &[&origin]).access("client_flow_limit", 1)));
    let gateway = Gateway::start(&conf.service(Service::at("/free", &[&origin])));
    let mut client = gateway.connect();
    while client.get("/one/a").status() == 200 {}
    assert_eq!(client.get("/two/a").status(), 200);
    for _ in 0..20 {
        assert_eq!(client.get("/free/a").status(), 200);
    }
}

#[test]
fn a_changed_rate_holds_while_traffic_flows() {
    let origin = Origin::ok();
    let of = |rate: i64| Conf::new().service(Service::at("/svc", &[&origin]).access("client_flow_limit", rate));
    let gateway = Gateway::start(&of(1));
    let mut client = gateway.connect();
    while client.get("/svc/a").status() == 200 {}
    gateway.rewrite_files(&of(1_000));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    thread::sleep(Duration::from_millis(200));
    for number in 0..50 {
        assert_eq!(client.get("/svc/a").status(), 200, "request {number} under the new rate");
    }
}

#[test]
fn behind_a_trusted_proxy_the_rate_is_the_clients() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("client_flow_limit", 1);
    let gateway = Gateway::start(&Conf::new().http("trusted_proxies", ["127.0.0.1"]).service(service));
    let mut client = gateway.connect();
    let mut ask = |address: &str| {
        client.ask(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\r\n")).status()
    };
    while ask("10.0.0.1") == 200 {}
    assert_eq!(ask("10.0.0.2"), 200);
    while ask("2001:db8:1:1::1") == 200 {}
    assert_eq!(ask("2001:db8:1:1::2"), 429, "one /64 is one client");
    assert_eq!(ask("2001:db8:1:2::1"), 200);
}

/// How many requests of one address are served in ten seconds by so many workers, with connections to all of them.
fn one_hot_key(workers: usize) {
    const SPAN: Duration = Duration::from_secs(10);
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).limit("rate = 200; burst = 100");
    let gateway = Gateway::start(&Conf::new().cores(workers).service(service));
    let start = Instant::now();
    let until = start + SPAN;
    let total = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..workers.max(8) * 2 {
            scope.spawn(|| {
                let mut client = Client::connect(gateway.address());
                while Instant::now() < until {
                    match client.get("/svc/a").status() {
                        200 => drop(total.fetch_add(1, Ordering::Relaxed)),
                        _ => thread::sleep(Duration::from_millis(100)),
                    }
                }
            });
        }
    });
    let (least, most) = (SPAN.saturating_sub(Duration::from_millis(50)), start.elapsed());
    let count = total.into_inner();
    let bound = |time: Duration, share: f64| (100.0 + 200.0 * time.as_secs_f64()) * share;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand requests")]
    let served = count as f64;
    assert!((bound(least, 0.98)..=bound(most, 1.02)).contains(&served), "{workers} workers: {count} in {most:?}");
}

#[test]
fn one_hot_key_over_2_workers_gets_its_rate_and_burst() {
    one_hot_key(2);
}

#[test]
fn one_hot_key_over_48_workers_gets_its_rate_and_burst() {
    one_hot_key(48);
}
