//! Black list, white list, host name: who may come in, and in which order they decide.

use std::net::Ipv4Addr;

use crate::support::{Client, Conf, Gateway, Origin, Service};

/// The reason for which a client of that address is refused; empty when it is served.
fn refusal(gateway: &Gateway, last: u8) -> String {
    let mut client = Client::connect_from(Ipv4Addr::new(127, 0, 0, last), gateway.address());
    client.get("/svc/a").reason().to_owned()
}

fn listed(origin: &Origin, keys: &[(&'static str, &str)]) -> Gateway {
    let service = Service::at("/svc", &[origin]).access("open", 1);
    Gateway::start(&Conf::new().service(keys.iter().fold(service, |service, (key, value)| service.access(key, *value))))
}

#[test]
fn an_address_on_the_black_list_is_refused() {
    let origin = Origin::ok();
    let gateway = listed(&origin, &[("black_list", "127.0.0.2,127.0.0.3"), ("white_list", "127.0.0.0/8")]);
    assert_eq!([1, 2, 3, 4].map(|last| refusal(&gateway, last)), ["", "black_listed", "black_listed", ""]);
    Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), gateway.address()).get("/svc/a").expect_end(403, "black_listed");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_black_list_takes_ranges() {
    let origin = Origin::ok();
    let gateway = listed(&origin, &[("black_list", "127.0.0.64/26"), ("white_list", "127.0.0.0/8")]);
    let refusals = [63, 64, 127, 128].map(|last| refusal(&gateway, last));
    assert_eq!(refusals, ["", "black_listed", "black_listed", ""]);
}

#[test]
fn the_white_list_admits_without_a_tenant_and_nobody_else() {
    let origin = Origin::ok();
    let gateway = listed(&origin, &[("white_list", "127.0.0.5,127.0.0.16/28")]);
    let refusals = [5, 6, 16, 31, 32].map(|last| refusal(&gateway, last));
    assert_eq!(refusals, ["", "tenant_missing", "", "", "tenant_missing"]);
}

#[test]
fn a_protected_service_without_lists_admits_nobody_unnamed() {
    let origin = Origin::ok();
    let gateway = listed(&origin, &[]);
    gateway.connect().get("/svc/a").expect_end(401, "tenant_missing");
    assert_eq!(origin.heads().len(), 0);
}

#[test]
fn a_service_that_is_not_open_has_no_lists() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 0).access("black_list", "127.0.0.0/8");
    let gateway = Gateway::start(&Conf::new().service(service));
    assert_eq!(refusal(&gateway, 1), "");
}

#[test]
fn a_service_of_this_machines_name_admits_everybody_but_the_black_list() {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let origin = Origin::ok();
    let listing = format!("other-host,{name}");
    let gateway = listed(&origin, &[("white_host_name", &listing), ("black_list", "127.0.0.2")]);
    assert_eq!([1, 2].map(|last| refusal(&gateway, last)), ["", "black_listed"]);
    let elsewhere = listed(&origin, &[("white_host_name", "other-host")]);
    assert_eq!(refusal(&elsewhere, 1), "tenant_missing");
}

#[test]
fn forwarding_fields_of_a_stranger_do_not_open_a_list() {
    let origin = Origin::ok();
    let gateway = listed(&origin, &[("white_list", "10.9.8.7")]);
    for line in ["X-Forwarded-For: 10.9.8.7", "X-Real-IP: 10.9.8.7", "Forwarded: for=10.9.8.7"] {
        let answer = gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"));
        answer.expect_end(401, "tenant_missing");
    }
}

#[test]
fn behind_a_trusted_proxy_the_lists_judge_the_client() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1).access("white_list", "10.9.8.7");
    let service = service.access("black_list", "10.6.6.0/24");
    let gateway = Gateway::start(&Conf::new().http("trusted_proxies", ["127.0.0.1"]).service(service));
    let mut client = gateway.connect();
    let mut ask = |address: &str| {
        let request = format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\r\n");
        client.ask(request).reason().to_owned()
    };
    assert_eq!(ask("10.9.8.7"), "");
    assert_eq!(ask("10.6.6.6"), "black_listed");
    assert_eq!(ask("10.9.8.7, 10.6.6.6"), "black_listed", "the rightmost untrusted address decides");
    assert_eq!(ask("10.1.1.1"), "tenant_missing");
}
