//! What makes a new configuration take effect, who may ask for it, and what a bad one does.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::conf::replace;
use crate::support::{Client, Conf, Gateway, Origin, Service, eventually, lacks};

fn one(origin: &Origin) -> Conf {
    Conf::of(origin)
}

fn two(origin: &Origin) -> Conf {
    Conf::of(origin).service(Service::at("/two", &[origin]))
}

fn has_two(gateway: &Gateway) -> bool {
    gateway.connect().get("/two/a").status() == 200
}

#[test]
fn a_reload_is_answered_with_its_epoch_and_every_worker_runs_it() {
    let origin = Origin::ok();
    let conf = one(&origin);
    let gateway = Gateway::start(&conf);
    let mut idle: Vec<_> = (0..20).map(|_| gateway.connect()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/two/a").reason(), "no_route");
    }
    gateway.rewrite_files(&two(&origin));
    let answer = gateway.connect().get("/reload");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let said = answer.json()["data"].as_str().expect("text").to_owned();
    let cores = conf.workers();
    assert!(said.starts_with("gateway config loaded: epoch "), "{said}");
    assert!(said.contains(&format!(" on {cores}/{cores} cores in ")) && said.ends_with(" ms"), "{said}");
    for client in &mut idle {
        assert_eq!(client.get("/two/a").status(), 200, "kept connections run the new configuration");
    }
}

#[test]
fn epochs_are_numbered_upwards() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&one(&origin));
    let mut last = 0;
    for number in 0..5 {
        gateway.rewrite_files(&one(&origin).service(Service::at(&format!("/{number}"), &[&origin])));
        let said = gateway.connect().get("/reload").json()["data"].as_str().expect("text").to_owned();
        let epoch: u64 = said.split_whitespace().nth(4).and_then(|word| word.parse().ok()).expect("a number");
        assert!(epoch > last, "{epoch} after {last}");
        last = epoch;
    }
}

#[test]
fn a_hangup_signal_reloads() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&one(&origin));
    gateway.rewrite_files(&two(&origin));
    thread::sleep(Duration::from_millis(500));
    assert!(!has_two(&gateway), "nothing asked for it yet");
    gateway.signal(Signal::HUP);
    assert!(eventually(|| has_two(&gateway)));
}

#[test]
fn a_changed_file_reloads() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&one(&origin).base("watch", true));
    thread::sleep(Duration::from_millis(300));
    gateway.rewrite_files(&two(&origin).base("watch", true));
    assert!(eventually(|| has_two(&gateway)));
    gateway.rewrite_files(&one(&origin).base("watch", true));
    assert!(eventually(|| !has_two(&gateway)), "a second change too");
}

#[test]
fn a_timer_reloads() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&one(&origin).base("conf_load_interval", 1_000));
    gateway.rewrite_files(&two(&origin).base("conf_load_interval", 1_000));
    assert!(eventually(|| has_two(&gateway)));
}

#[test]
fn a_bad_file_changes_nothing_and_every_fault_is_returned() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&two(&origin));
    let file = gateway.directory().join("module.toml");
    let good = std::fs::read_to_string(&file).expect("our own file");
    replace(&file, &good.replace("check_timeout = 2000", "check_timeout = \"soon\"").replace("ip_list", "ip_lisst"));
    let answer = gateway.connect().get("/reload");
    assert_eq!(answer.status(), 500, "{}", answer.text());
    let said = answer.json()["errmsg"].as_str().expect("text").to_owned();
    for part in ["module.toml:", "check_timeout", "ip_lisst", "ip_list"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(has_two(&gateway), "the old configuration stays");
    gateway.signal(Signal::HUP);
    assert!(eventually(|| gateway.stderr().contains("ip_lisst")), "a fault nobody waits for is logged");
    assert!(has_two(&gateway));
    replace(&file, &good);
    assert_eq!(gateway.connect().get("/reload").status(), 200, "and it recovers");
}

#[test]
fn a_file_that_is_gone_changes_nothing() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&two(&origin));
    std::fs::remove_file(gateway.directory().join("module.toml")).expect("our own file");
    assert_eq!(gateway.connect().get("/reload").status(), 500);
    assert!(has_two(&gateway));
}

#[test]
fn a_file_beside_the_module_file_that_is_gone_changes_nothing_until_it_is_back() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&two(&origin).base("watch", true));
    let base = gateway.directory().join("base.toml");
    let text = std::fs::read_to_string(&base).expect("our own file");
    thread::sleep(Duration::from_millis(300));
    std::fs::remove_file(&base).expect("our own file");
    assert!(eventually(|| gateway.stderr().contains("base.toml: is gone")), "{}", gateway.stderr());
    assert!(has_two(&gateway), "it serves where it did");
    replace(&base, &text);
    assert!(eventually(|| gateway.stderr().contains("the files are good again")), "{}", gateway.stderr());
}

#[test]
fn a_reload_with_forwarding_fields_is_refused() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&one(&origin).http("trusted_proxies", ["127.0.0.1"]));
    for line in ["X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1", "Via: 1.1 x"] {
        let answer = gateway.connect().ask(format!("GET /reload HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"));
        answer.expect_end(403, "reload_denied");
    }
}

#[test]
fn a_reload_is_a_get() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&one(&origin));
    gateway.rewrite_files(&two(&origin));
    for method in ["POST", "DELETE", "HEAD"] {
        let mut client = gateway.connect();
        client.send(format!("{method} /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        let status = client.answer_to(method).status();
        assert!((400..500).contains(&status), "{method}: {status}");
    }
    assert!(!has_two(&gateway));
}

/// An address of this machine that is not loopback, where there is one.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: connecting a datagram socket only chooses the source address.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn a_reload_from_another_address_needs_the_cluster_list() {
    let Some(outer) = outer_address() else {
        return lacks("an address that is not loopback");
    };
    let origin = Origin::ok();
    let port = crate::support::gateway::free_port();
    let address = format!("0.0.0.0:{port}");
    let stranger = |conf: &Conf| {
        let conf = conf.clone().http("addr", address.as_str());
        let _gateway = Gateway::try_start(&conf, port, |_| ()).expect("it starts");
        Client::connect(SocketAddr::new(outer, port)).get("/reload").status()
    };
    assert_eq!(stranger(&one(&origin)), 403);
    assert_eq!(stranger(&one(&origin).cluster(&outer.to_string())), 200);
}
