//! A service that is switched off.

use std::net::{Ipv4Addr, SocketAddr};

use super::{named, said, who};
use crate::support::gateway::free_port;
use crate::support::{Client, Conf, Gateway, Service};

#[test]
fn a_service_that_is_down_answers_503_and_gives_its_paths_to_nobody() {
    let (off, every) = (named("off"), named("every"));
    let conf = |status| {
        Conf::new()
            .service(Service::matching("off", "url_prefix", "/off", &off).base("status", status))
            .service(Service::matching("every", "url_prefix", "/", &every))
    };
    let gateway = Gateway::start(&conf("down"));
    gateway.connect().get("/off/x").expect_end(503, "service_down");
    assert_eq!(who(&gateway, "/other"), "every");
    assert!(off.requests().is_empty());
    gateway.rewrite_files(&conf("up"));
    let reload = gateway.connect().get("/reload");
    assert_eq!(reload.status(), 200, "{}", reload.text());
    assert_eq!(who(&gateway, "/off/x"), "off");
}

#[test]
fn a_split_to_a_service_that_is_down_takes_nothing() {
    let (own, next, third) = (named("own"), named("next"), named("third"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::at("/svc", &[&own]).split("next", 0.5).split("third", 0.5))
            .service(Service::at("/next", &[&next]).without_rules().base("status", "down"))
            .service(Service::at("/third", &[&third]).without_rules()),
    );
    let mut client = gateway.connect();
    let answers: Vec<_> = (0..40).map(|_| said(&mut client, "GET", "/svc", "gate.test", "")).collect();
    let count = |name: &str| answers.iter().filter(|answer| *answer == name).count();
    assert_eq!(count("own") + count("third"), 40);
    assert!((16..=24).contains(&count("third")), "the other share is what it was: {}", count("third"));
}

#[test]
fn a_tcp_service_that_is_down_closes_its_connections() {
    let (origin, port) = (named("line"), free_port());
    let service = Service::at("/line", &[&origin]).base("load_type", "tcp").balance("check_method", "tcpchk");
    let service = service.base("frontend_addr", format!("127.0.0.1:{port}")).base("status", "down");
    let _gateway = Gateway::start(&Conf::new().service(service));
    let mut client = Client::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    client.expect_end_of_connection();
    assert!(origin.requests().is_empty());
}
