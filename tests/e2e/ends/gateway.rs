//! Ends that are a rule or a bound of the gateway.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use gatekeeper::end::End;
use rustix::process::Signal;

use super::{GET, SWITCH, TUNNEL, told, untold};
use crate::support::conf::App;
use crate::support::gateway::free_port;
use crate::support::{Answer, Client, Conf, Gateway, Origin, Service, eventually};

fn get(gateway: &Gateway, target: &str) -> Answer {
    gateway.connect().get(target)
}

fn protected(origin: &Origin) -> Conf {
    let app = App::new("shop", "secret").set("open_api", "/svc/a").set("qps", 1);
    Conf::new().service(Service::at("/svc", &[origin]).access("open", 1)).app(app)
}

fn mute() -> Origin {
    Origin::scripted(|peer| {
        peer.request();
        peer.until_gone(Duration::from_secs(20));
    })
}

#[test]
fn breaker_open() {
    let origin = Origin::replying("HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n");
    told(
        End::BreakerOpen,
        || Conf::new().service(Service::at("/svc", &[&origin]).table("breaker", "failures", 1)),
        |gateway| {
            assert_eq!(get(gateway, "/svc/a").status(), 500);
            get(gateway, "/svc/a")
        },
    );
}

/// What a request is answered while another has the only place.
fn beside_one_under_way(gateway: &Gateway) -> Answer {
    let mut first = gateway.connect();
    first.send(GET);
    thread::sleep(Duration::from_millis(500));
    get(gateway, "/svc/a")
}

#[test]
fn concurrency_full() {
    let origin = mute();
    let service = || Service::at("/svc", &[&origin]).table("concurrency", "max", 1);
    let conf = || Conf::new().service(service().table("concurrency", "queue_max", 0)).base("drain_window", 1);
    told(End::ConcurrencyFull, conf, beside_one_under_way);
}

#[test]
fn concurrency_timeout() {
    let origin = mute();
    let service = || Service::at("/svc", &[&origin]).table("concurrency", "max", 1);
    let conf = || Conf::new().service(service().table("concurrency", "queue_timeout", 200)).base("drain_window", 1);
    told(End::ConcurrencyTimeout, conf, beside_one_under_way);
}

#[test]
fn loop_() {
    let origin = Origin::ok();
    told(
        End::Loop,
        || Conf::of(&origin),
        |gateway| {
            let mut client = gateway.connect();
            client.ask(GET);
            let via = origin.requests().pop().and_then(|seen| seen.head.field("via").map(str::to_owned));
            let via = via.expect("via");
            client.ask(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nVia: {via}\r\n\r\n"))
        },
    );
}

#[test]
fn rate_table_full() {
    let origin = Origin::ok();
    let service = || Service::at("/svc", &[&origin]).access("client_flow_limit", 1);
    told(
        End::RateTableFull,
        || Conf::new().service(service()).http("rate_keys_max", 32).http("trusted_proxies", ["127.0.0.0/8"]),
        |gateway| {
            let mut client = gateway.connect();
            let mut ask = |n: u32| {
                let from = Ipv4Addr::from(0x0a00_0000 + n);
                client.ask(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {from}\r\n\r\n"))
            };
            // A bucket that was asked once is full again after a second: 32 are below at once long before.
            (0..1_000).map(&mut ask).find(|answer| answer.status() != 200).expect("a table has an end")
        },
    );
}

#[test]
fn cors_origin() {
    let origin = Origin::ok();
    let service = || Service::at("/svc", &[&origin]).further("[module.cors]\nallow_origins = \"https://a.test\"");
    let request =
        "OPTIONS /svc/a HTTP/1.1\r\nHost: a\r\nOrigin: https://b.test\r\nAccess-Control-Request-Method: GET\r\n\r\n";
    told(End::CorsOrigin, || Conf::new().service(service()), |gateway| gateway.connect().ask(request));
}

#[test]
fn invalid() {
    let origin = Origin::ok();
    let table = "[[module.validation]]\npart = \"query.a\"\nrequired = true";
    let service = || Service::at("/svc", &[&origin]).further(table);
    told(End::Invalid, || Conf::new().service(service()), |gateway| gateway.connect().ask(GET));
}

#[test]
fn bad_rewrite() {
    let origin = Origin::ok();
    let service = || {
        let service = Service::at("/svc", &[&origin]).rewrite("/$(origin.header.x-up)");
        service.further("[module.rewrite]\nmode = \"expression\"")
    };
    let request = "GET /svc/a HTTP/1.1\r\nHost: a\r\nX-Up: ..\r\n\r\n";
    told(End::BadRewrite, || Conf::new().service(service()), |gateway| gateway.connect().ask(request));
}

#[test]
fn not_listed() {
    let origin = Origin::ok();
    let service = || Service::at("/svc", &[&origin]).access("open", 1).access("precedence", "both_pass");
    told(
        End::NotListed,
        || Conf::new().service(service().access("white_list", "10.0.0.1")),
        |gateway| gateway.connect().ask(GET),
    );
}

/// A limit of one that lets no second request pass.
fn limited(end: End, lines: &'static str, request: &str) {
    let origin = Origin::ok();
    told(
        end,
        || Conf::new().service(Service::at("/svc", &[&origin]).limit(lines)),
        |gateway| {
            let mut client = gateway.connect();
            assert_eq!(client.ask(request).status(), 200);
            client.ask(request)
        },
    );
}

#[test]
fn service_rate() {
    limited(End::ServiceRate, "by = \"service\"; rate = 1; window = \"hour\"", GET);
}

#[test]
fn endpoint_rate() {
    limited(End::EndpointRate, "by = \"endpoint\"; rate = 1; window = \"hour\"", GET);
}

#[test]
fn value_rate() {
    let request = "GET /svc/a HTTP/1.1\r\nHost: a\r\nX-Key: k\r\n\r\n";
    limited(End::ValueRate, "by = \"header.x-key\"; rate = 1; window = \"hour\"", request);
}

/// A tcp service that may have one connection.
fn one_connection(end: End, key: &'static str) {
    let origin = Origin::ok();
    let port = free_port();
    let service = Service::at("/svc", &[&origin]).base("load_type", "tcp").access(key, 1);
    let conf = Conf::new().service(service.base("frontend_addr", format!("127.0.0.1:{port}")));
    untold(end, &conf, |_| {
        let mut first = Client::connect((Ipv4Addr::LOCALHOST, port).into());
        assert_eq!(first.ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
        Client::connect((Ipv4Addr::LOCALHOST, port).into()).expect_close();
    });
}

#[test]
fn client_connections() {
    one_connection(End::ClientConnections, "client_connections_max");
}

#[test]
fn service_connections() {
    one_connection(End::ServiceConnections, "service_connections_max");
}

#[test]
fn no_route() {
    let origin = Origin::ok();
    told(End::NoRoute, || Conf::of(&origin), |gateway| get(gateway, "/nowhere"));
}

#[test]
fn service_down() {
    let origin = Origin::ok();
    let service = || Service::at("/svc", &[&origin]).base("status", "down");
    told(End::ServiceDown, || Conf::new().service(service()), |gateway| get(gateway, "/svc/a"));
}

#[test]
fn black_listed() {
    let origin = Origin::ok();
    let service = || Service::at("/svc", &[&origin]).access("open", 1).access("black_list", "127.0.0.2");
    told(
        End::BlackListed,
        || Conf::new().service(service()),
        |gateway| Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), gateway.address()).ask(GET),
    );
}

#[test]
fn reload_denied() {
    let origin = Origin::ok();
    told(
        End::ReloadDenied,
        || Conf::of(&origin),
        |gateway| gateway.connect().ask("GET /reload HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n"),
    );
}

#[test]
fn tenant_missing() {
    let origin = Origin::ok();
    told(End::TenantMissing, || protected(&origin), |gateway| get(gateway, "/svc/a"));
}

#[test]
fn tenant_unknown() {
    let origin = Origin::ok();
    told(End::TenantUnknown, || protected(&origin), |gateway| get(gateway, "/svc/a?app_id=x&sign=secret"));
}

#[test]
fn tenant_sign() {
    let origin = Origin::ok();
    told(End::TenantSign, || protected(&origin), |gateway| get(gateway, "/svc/a?app_id=shop&sign=x"));
}

#[test]
fn tenant_path() {
    let origin = Origin::ok();
    told(End::TenantPath, || protected(&origin), |gateway| get(gateway, "/svc/b?app_id=shop&sign=secret"));
}

#[test]
fn tenant_rate() {
    let origin = Origin::ok();
    let used_up = |gateway: &Gateway| {
        let mut client = gateway.connect();
        for _ in 0..3 {
            assert_eq!(client.get("/svc/a?app_id=shop&sign=secret").status(), 200);
        }
        client.get("/svc/a?app_id=shop&sign=secret")
    };
    told(End::TenantRate, || protected(&origin), used_up);
}

#[test]
fn tenant_quota() {
    let origin = Origin::ok();
    let app = || App::new("shop", "secret").set("total_query_daily", 3);
    let conf = || Conf::new().service(Service::at("/svc", &[&origin]).access("open", 1)).app(app());
    let used_up = |gateway: &Gateway| {
        let mut client = gateway.connect();
        for _ in 0..3 {
            assert_eq!(client.get("/svc/a?app_id=shop&sign=secret").status(), 200);
        }
        client.get("/svc/a?app_id=shop&sign=secret")
    };
    told(End::TenantQuota, conf, used_up);
}

#[test]
fn client_rate() {
    let origin = Origin::ok();
    let used_up = |gateway: &Gateway| {
        let mut client = gateway.connect();
        for _ in 0..3 {
            assert_eq!(client.ask(GET).status(), 200);
        }
        client.ask(GET)
    };
    told(
        End::ClientRate,
        || Conf::new().service(Service::at("/svc", &[&origin]).access("client_flow_limit", 1)),
        used_up,
    );
}

/// A gateway with a filter of the tests in front of the origin.
fn filtered(origin: &Origin, name: &str, body_bytes_max: usize, options: &str) -> Conf {
    let service = Service::at("/svc", &[origin]).bounded_filter(name, body_bytes_max, options);
    Conf::new().service(service).program(&crate::filters::program("filters-of-tests"))
}

#[test]
fn filter_refused() {
    let origin = Origin::ok();
    let options = "at = \"request\"\nstatus = 403\ntext = \"refused by a filter\"";
    told(End::FilterRefused, || filtered(&origin, "refuse", 1, options), |gateway| get(gateway, "/svc/a"));
}

#[test]
fn filter_too_large() {
    let origin = Origin::ok();
    told(End::FilterTooLarge, || filtered(&origin, "capitals", 1, ""), |gateway| get(gateway, "/svc/a"));
}

#[test]
fn unfilterable() {
    let origin = Origin::replying("HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 2\r\n\r\nok");
    told(End::Unfilterable, || filtered(&origin, "capitals", 9, ""), |gateway| get(gateway, "/svc/a"));
}

#[test]
fn filter_busy() {
    const BODY_BYTES: usize = 40 * 1024 * 1024;
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n"));
            peer.send(vec![b'a'; BODY_BYTES - 1]);
            peer.until_gone(Duration::from_secs(20));
        }
    });
    told(
        End::FilterBusy,
        || filtered(&origin, "capitals", BODY_BYTES, "").cores(1),
        |gateway| {
            let mut both = [gateway.connect(), gateway.connect()];
            both.iter_mut().for_each(|client| client.send(GET));
            // There is room for the forty mebibytes of one, and the other is told so.
            let mut said = || both.iter_mut().position(|client| client.wire.fill(Instant::now()).is_ok());
            let mut first = None;
            assert!(
                eventually(|| {
                    first = said();
                    first.is_some()
                }),
                "neither is answered"
            );
            both[first.expect("one of them")].answer()
        },
    );
}

#[test]
fn no_endpoint() {
    let origin = Origin::ok();
    let service = || Service::at("/svc", &[&origin]).balance("forbid_list", origin.node());
    told(End::NoEndpoint, || Conf::new().service(service()), |gateway| gateway.connect().ask(GET));
}

fn narrow(origin: &Origin, queue_max: i64) -> Conf {
    let service = Service::at("/svc", &[origin])
        .balance("connections_max", 1)
        .balance("slow_connections_max", 0)
        .balance("queue_max", queue_max)
        .balance("queue_timeout", 300);
    Conf::new().service(service).cores(1).base("drain_window", 0)
}

#[test]
fn queue_full() {
    let origin = mute();
    told(
        End::QueueFull,
        || narrow(&origin, 1).base("drain_window", 1),
        |gateway| {
            let before = origin.heads().len();
            let mut waiting = [gateway.connect(), gateway.connect()];
            waiting[0].send(GET);
            assert!(eventually(|| origin.heads().len() > before));
            waiting[1].send(GET);
            thread::sleep(Duration::from_millis(100));
            gateway.connect().ask(GET)
        },
    );
}

#[test]
fn queue_timeout() {
    let origin = mute();
    told(
        End::QueueTimeout,
        || narrow(&origin, 5).base("drain_window", 1),
        |gateway| {
            let before = origin.heads().len();
            let mut first = gateway.connect();
            first.send(GET);
            assert!(eventually(|| origin.heads().len() > before));
            gateway.connect().ask(GET)
        },
    );
}

#[test]
fn exhausted() {
    let origin = Origin::ok();
    told(
        End::Exhausted,
        || Conf::of(&origin),
        |gateway| {
            gateway.limit_descriptors_to_those_open_and(4);
            let mut idle = Vec::new();
            // Until one is turned away: then there is no descriptor for an upstream either.
            loop {
                let mut client = gateway.connect().patient(Duration::from_secs(5));
                // One that is turned away may be closed already.
                let _ = client.wire.try_send(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n");
                let taken = client.try_answer().is_ok_and(|answer| answer.status() == 200);
                // Kept even so: its going would free what the next connection needs.
                idle.push(client);
                if !taken {
                    break;
                }
            }
            idle.swap_remove(0).patient(Duration::from_secs(15)).ask(GET)
        },
    );
}

/// The answer to a connection that is one too many, which comes unasked.
fn turned_away(gateway: &Gateway, allowed: usize) -> Answer {
    let mut held = Vec::new();
    for _ in 0..allowed {
        let mut client = gateway.connect();
        assert_eq!(client.get("/ping").status(), 200);
        held.push(client);
    }
    gateway.connect().answer()
}

#[test]
fn core_connections() {
    let origin = Origin::ok();
    let conf = || Conf::of(&origin).http("connections_max", 3).cores(1);
    told(End::CoreConnections, conf, |gateway| turned_away(gateway, 3));
}

#[test]
fn address_connections() {
    let origin = Origin::ok();
    let conf = || Conf::of(&origin).http("address_connections_max", 3);
    told(End::AddressConnections, conf, |gateway| turned_away(gateway, 3));
}

#[test]
fn long_heads() {
    let origin = Origin::ok();
    told(
        End::LongHeads,
        || Conf::of(&origin).http("max_header_bytes", 20).cores(1),
        |gateway| {
            let part = format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(1_000_000));
            let mut waiting = Vec::new();
            loop {
                let mut client = gateway.connect();
                // The one that is refused may be answered before it has sent everything.
                let _ = client.wire.try_send(part.as_bytes());
                if client.wire.fill(Instant::now() + Duration::from_millis(500)).is_ok() {
                    return client.answer();
                }
                waiting.push(client);
                assert!(waiting.len() < 20, "20 MB of heads on one core");
            }
        },
    );
}

#[test]
fn request_timeout() {
    let origin = mute();
    let service = || Service::at("/svc", &[&origin]).balance("request_timeout", 400);
    told(End::RequestTimeout, || Conf::new().service(service()), |gateway| gateway.connect().ask(GET));
}

#[test]
fn drained() {
    let origin = mute();
    told(
        End::Drained,
        || Conf::of(&origin).base("drain_window", 1),
        |gateway| {
            let before = origin.heads().len();
            let mut client = gateway.connect();
            client.send(GET);
            assert!(eventually(|| origin.heads().len() > before));
            gateway.signal(Signal::TERM);
            client.answer()
        },
    );
}

/// Switches to a tunnel on which the service says nothing.
fn silent_tunnel() -> Origin {
    Origin::scripted(|peer| {
        peer.request();
        peer.send(SWITCH);
        peer.until_gone(Duration::from_secs(20));
    })
}

/// Provoked by a tunnel of a service that has this key.
#[track_caller]
fn by_tunnel(end: End, key: &'static str) {
    let origin = silent_tunnel();
    let conf = Conf::new().service(Service::at("/svc", &[&origin]).balance(key, 200));
    untold(end, &conf, |gateway| {
        let mut client = gateway.connect();
        assert_eq!(client.ask(TUNNEL).status(), 101);
        client.expect_end_of_connection();
    });
}

#[test]
fn tunnel_idle() {
    by_tunnel(End::TunnelIdle, "tunnel_idle_timeout");
}

#[test]
fn tunnel_expired() {
    by_tunnel(End::TunnelExpired, "tunnel_life_max");
}
