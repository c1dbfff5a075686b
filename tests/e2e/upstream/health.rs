//! Health: who takes traffic, found out by probes and by failed connections.

use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use crate::support::message::Head;
use crate::support::wire::Wire;
use crate::support::{Conf, Gateway, Origin, Service, eventually};

fn watched(prefix: &str, origins: &[&Origin]) -> Service {
    Service::at(prefix, origins).balance("check_interval", 200).balance("check_timeout", 1_000)
}

/// How many of ten requests the origin takes.
fn share(gateway: &Gateway, origin: &Origin) -> usize {
    let before = origin.heads().len();
    let mut client = gateway.connect();
    for _ in 0..10 {
        client.get("/svc/a");
    }
    origin.heads().len() - before
}

#[test]
fn an_endpoint_whose_probe_fails_takes_nothing_until_it_succeeds() {
    let (sick, well) = (Origin::ok(), Origin::ok());
    let gateway = Gateway::start(&Conf::new().service(watched("/svc", &[&sick, &well])));
    assert!(eventually(|| share(&gateway, &sick) == 5), "both take traffic at first");
    sick.set_sick(true);
    assert!(eventually(|| share(&gateway, &sick) == 0), "none while it is down");
    sick.set_sick(false);
    assert!(eventually(|| share(&gateway, &sick) == 5), "again when it is up");
}

#[test]
fn when_every_endpoint_is_down_the_service_is_unavailable() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(watched("/svc", &[&origin])));
    let mut client = gateway.connect();
    assert!(eventually(|| client.get("/svc/a").status() == 200));
    origin.set_sick(true);
    assert!(eventually(|| client.get("/svc/a").status() == 503));
    client.get("/svc/a").expect_end(503, "no_endpoint");
    origin.set_sick(false);
    assert!(eventually(|| client.get("/svc/a").status() == 200));
}

#[test]
fn a_tcp_check_asks_only_for_a_connection() {
    let origin = Origin::ok();
    let node: SocketAddr = origin.node().parse().expect("an address");
    origin.set_sick(true);
    let gateway = Gateway::start(&Conf::new().service(watched("/svc", &[&origin]).balance("check_method", "tcpchk")));
    let mut client = gateway.connect();
    thread::sleep(Duration::from_millis(600));
    assert_eq!(client.get("/svc/a").status(), 200);
    drop(origin);
    assert!(eventually(|| client.get("/svc/a").reason() == "no_endpoint"));
    let origin = Origin::scripted_at(node, |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    assert!(eventually(|| client.get("/svc/a").status() == 200));
    drop(origin);
}

#[test]
fn only_200_is_healthy() {
    let origin = Origin::ok();
    let service = watched("/svc", &[&origin]).balance("check_url", "/other");
    // The script answers every path 200, this probe too: that is the control.
    let gateway = Gateway::start(&Conf::new().service(service));
    thread::sleep(Duration::from_millis(500));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    for status in [204, 301, 404, 500] {
        let origin = Origin::replying(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        let service = watched("/svc", &[&origin]).balance("check_url", "/other");
        let gateway = Gateway::start(&Conf::new().service(service));
        let mut client = gateway.connect();
        assert!(eventually(|| client.get("/svc/a").reason() == "no_endpoint"), "{status}");
    }
}

#[test]
fn thresholds_are_counted_in_a_row() {
    let (flaky, well) = (Origin::ok(), Origin::ok());
    let service = watched("/svc", &[&flaky, &well]).balance("fall", 4).balance("rise", 4);
    let gateway = Gateway::start(&Conf::new().service(service));
    assert!(eventually(|| share(&gateway, &flaky) == 5));
    flaky.set_sick(true);
    let probes = flaky.probes();
    assert!(eventually(|| flaky.probes() > probes + 1));
    flaky.set_sick(false);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(share(&gateway, &flaky), 5, "two failures are not four");
    flaky.set_sick(true);
    assert!(eventually(|| share(&gateway, &flaky) == 0));
    let probes = flaky.probes();
    flaky.set_sick(false);
    assert!(eventually(|| share(&gateway, &flaky) == 5));
    assert!(flaky.probes() >= probes + 4, "up after {} probes", flaky.probes() - probes);
}

#[test]
fn a_probe_that_is_not_answered_in_time_fails() {
    let well = Origin::ok();
    let stalling = Origin::scripted(|peer| {
        // The probe's path is another here, so that it comes to this script.
        peer.request();
        peer.until_gone(Duration::from_secs(20));
    });
    let service = watched("/svc", &[&stalling, &well]).balance("check_url", "/slow").balance("check_timeout", 300);
    let service = service.balance("proxy_header_timeout", 500);
    let gateway = Gateway::start(&Conf::new().service(service));
    // Until the first verdicts, within a second of the start, both may be picked.
    thread::sleep(Duration::from_millis(1_800));
    assert!(eventually(|| share(&gateway, &well) >= 10), "all traffic goes where the probe succeeds");
}

#[test]
fn a_refused_connection_counts_without_waiting_for_a_probe() {
    let (lost, well) = (Origin::ok(), Origin::ok());
    let service = Service::at("/svc", &[&lost, &well]).balance("check_interval", 60_000);
    let gateway = Gateway::start(&Conf::new().service(service));
    assert!(eventually(|| lost.probes() > 0 && well.probes() > 0));
    thread::sleep(Duration::from_millis(300));
    let node: SocketAddr = lost.node().parse().expect("an address");
    drop(lost);
    for _ in 0..10 {
        assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    }
    // It is back, but marked down until the probe, which is a minute away.
    let back = Origin::scripted_at(node, |peer| {
        while peer.request().is_some() && peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") {}
    });
    thread::sleep(Duration::from_millis(300));
    assert_eq!(share(&gateway, &back), 0);
}

#[test]
fn a_new_endpoint_is_probed_before_it_takes_traffic() {
    let (well, sick) = (Origin::ok(), Origin::ok());
    sick.set_sick(true);
    let gateway = Gateway::start(&Conf::new().service(watched("/svc", &[&well])));
    assert!(eventually(|| share(&gateway, &well) == 10));
    gateway.rewrite_files(&Conf::new().service(watched("/svc", &[&well, &sick])));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    let mut client = gateway.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
    assert_eq!(sick.heads().len(), 0, "it never passed a probe");
    sick.set_sick(false);
    assert!(eventually(|| share(&gateway, &sick) == 5));
}

#[test]
fn what_is_known_of_an_endpoint_survives_a_reload() {
    let (sick, well) = (Origin::ok(), Origin::ok());
    let conf = Conf::new().service(watched("/svc", &[&sick, &well]));
    let gateway = Gateway::start(&conf);
    assert!(eventually(|| share(&gateway, &sick) == 5));
    sick.set_sick(true);
    assert!(eventually(|| share(&gateway, &sick) == 0));
    let before = sick.heads().len();
    for number in 0..5 {
        let other = Service::at(&format!("/other-{number}"), &[&well]);
        gateway.rewrite_files(&conf.clone().service(other));
        assert_eq!(gateway.connect().get("/reload").status(), 200);
        assert_eq!(share(&gateway, &sick), 0, "after reload {number}");
    }
    assert_eq!(sick.heads().len(), before);
}

#[test]
fn one_probe_for_the_whole_process() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(watched("/svc", &[&origin]).balance("check_interval", 500)));
    assert!(eventually(|| origin.probes() > 0));
    let before = origin.probes();
    thread::sleep(Duration::from_secs(3));
    let probes = origin.probes() - before;
    assert!((2..=9).contains(&probes), "{probes} probes in six intervals");
    drop(gateway);
}

#[test]
fn the_statuses_of_the_file_are_healthy_and_no_others() {
    let (alike, strict) = (Origin::ok(), Origin::ok());
    [&alike, &strict].iter().for_each(|origin| origin.set_sick(true));
    let conf = Conf::new()
        .service(watched("/svc", &[&alike]).balance("check_status", "200,500-503"))
        .service(watched("/strict", &[&strict]).balance("check_status", "200-299,501"));
    let gateway = Gateway::start(&conf);
    assert!(eventually(|| alike.probes() > 1 && strict.probes() > 1));
    let mut client = gateway.connect();
    assert_eq!((client.get("/svc/a").status(), client.get("/strict/a").status()), (200, 503));
}

/// A service that knows its own name only.
fn named(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut wire = Wire::new(stream.into());
                while let Ok(head) = Head::receive(&mut wire) {
                    let known = head.field("host") == Some(name);
                    let status = if known { "200 OK" } else { "404 Not Found" };
                    let _ = wire.try_send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
                }
            });
        }
    });
    address
}

#[test]
fn a_probe_has_the_host_of_the_service_or_its_own() {
    let (requests, probes, neither) = (named("svc.test"), named("probe.test"), named("other.test"));
    let service = |prefix: &str, at: SocketAddr| {
        let service = Service::with_nodes(prefix, vec![at.to_string()]).balance("check_interval", 200);
        service.base("host", "svc.test")
    };
    let conf = Conf::new()
        .service(service("/svc", requests))
        .service(service("/probe", probes).balance("check_host", "probe.test"))
        .service(service("/other", neither));
    let gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    assert!(eventually(|| client.get("/other/a").status() == 503), "down");
    thread::sleep(Duration::from_millis(500));
    // The last answers what it does not know, and is asked.
    assert_eq!((client.get("/svc/a").status(), client.get("/probe/a").status()), (200, 404));
}
