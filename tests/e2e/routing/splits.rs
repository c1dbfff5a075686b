//! A share of a service's requests goes to another one.

use std::net::{Ipv4Addr, TcpListener};

use super::{named, said};
use crate::support::conf::App;
use crate::support::{Client, Conf, Gateway, Service};

/// How many of so many requests the service `next` answers; each request says who it is from.
fn to_next(gateway: &Gateway, requests: usize, fields: impl Fn(usize) -> String) -> usize {
    // Several connections, so that several workers have a part.
    let mut clients: Vec<_> = (0..8).map(|_| gateway.connect()).collect();
    (0..requests)
        .filter(|number| {
            let answer = said(&mut clients[number % 8], "GET", "/svc/x", "gate.test", &fields(*number));
            assert!(answer == "own" || answer == "next", "{answer}");
            answer == "next"
        })
        .count()
}

#[test]
fn a_share_of_the_requests_goes_to_the_other_service() {
    let (own, next) = (named("own"), named("next"));
    let conf = |share| {
        Conf::new()
            .service(Service::at("/svc", &[&own]).split("next", share))
            .service(Service::at("/next", &[&next]).without_rules())
    };
    let gateway = Gateway::start(&conf(0.2));
    let count = to_next(&gateway, 400, |_| String::new());
    assert!((70..=90).contains(&count), "{count} of 400 are not a fifth");
    let seen = next.expect_requests(count);
    assert!(seen.iter().all(|request| request.target() == "/x"), "rewritten by the rule that matched");
    for (share, wanted) in [(0.0, 0), (1.0, 40)] {
        assert_eq!(to_next(&Gateway::start(&conf(share)), 40, |_| String::new()), wanted, "{share}");
    }
}

#[test]
fn several_shares_lie_side_by_side() {
    let (own, next, third) = (named("own"), named("next"), named("third"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::at("/svc", &[&own]).split("next", 0.5).split("third", 0.5))
            .service(Service::at("/next", &[&next]))
            .service(Service::at("/third", &[&third])),
    );
    let mut client = gateway.connect();
    let answers: Vec<_> = (0..100).map(|_| said(&mut client, "GET", "/svc", "gate.test", "")).collect();
    let of_next = answers.iter().filter(|answer| *answer == "next").count();
    assert!((46..=54).contains(&of_next), "{of_next}");
    assert!(answers.iter().all(|answer| answer == "next" || answer == "third"), "nothing is left over");
}

#[test]
fn what_sticks_goes_to_the_same_side_on_every_connection_and_after_a_restart() {
    let (own, next) = (named("own"), named("next"));
    let conf = Conf::new()
        .service(Service::at("/svc", &[&own]).split("next", 0.5).split_key("sticky", "cookie.uid"))
        .service(Service::at("/next", &[&next]).without_rules());
    let user = |number: usize| format!("Cookie: a=b; uid=user{number}\r\n");
    let sides = |gateway: &Gateway| -> Vec<bool> {
        (0..200).map(|number| to_next(gateway, 1, |_| user(number)) == 1).collect()
    };
    let gateway = Gateway::start(&conf);
    let first = sides(&gateway);
    assert_eq!(sides(&gateway), first);
    let count = first.iter().filter(|next| **next).count();
    // 100 of 200 with a deviation of 7: four of them.
    assert!((72..=128).contains(&count), "{count} of 200 users");
    drop(gateway);
    assert_eq!(sides(&Gateway::start(&conf)), first);
}

#[test]
fn what_sticks_to_the_client_goes_by_its_address() {
    let (own, next) = (named("own"), named("next"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::at("/svc", &[&own]).split("next", 0.5).split_key("sticky", "client"))
            .service(Service::at("/next", &[&next]).without_rules()),
    );
    let mut sides = Vec::new();
    for last in 1..=40 {
        let ask = || {
            let mut client = Client::connect_from(Ipv4Addr::new(127, 0, 0, last), gateway.address());
            said(&mut client, "GET", "/svc", "gate.test", "")
        };
        let side = ask();
        assert_eq!(ask(), side);
        sides.push(side);
    }
    assert!(sides.iter().any(|side| side == "own") && sides.iter().any(|side| side == "next"), "{sides:?}");
}

#[test]
fn a_split_with_conditions_takes_no_other_requests() {
    let (own, next) = (named("own"), named("next"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::at("/svc", &[&own]).split("next", 1.0).split_key("conditions", ["header.x-beta == 1"]))
            .service(Service::at("/next", &[&next]).without_rules()),
    );
    assert_eq!(to_next(&gateway, 8, |_| "X-Beta: 1\r\n".into()), 8);
    assert_eq!(to_next(&gateway, 8, |_| String::new()), 0);
}

#[test]
fn the_other_services_lists_hold_for_its_share() {
    let (own, next) = (named("own"), named("next"));
    let gateway =
        Gateway::start(&Conf::new().service(Service::at("/svc", &[&own]).split("next", 1.0)).service(
            Service::at("/next", &[&next]).without_rules().access("open", 1).access("black_list", "127.0.0.1"),
        ));
    assert_eq!(said(&mut gateway.connect(), "GET", "/svc", "gate.test", ""), "black_listed");
}

#[test]
fn another_attempt_at_a_request_goes_to_the_service_that_had_it() {
    // The first endpoint refuses, so that each request of this service is planned twice.
    let refusing = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dead = refusing.local_addr().expect("an address").to_string();
    drop(refusing);
    let (own, next) = (named("own"), named("next"));
    let service = Service::with_nodes("/next", vec![dead, next.node().to_owned()]).without_rules();
    let gateway = Gateway::start(
        &Conf::new()
            .cores(1)
            .service(Service::at("/svc", &[&own]).split("next", 0.5))
            .service(service.balance("fall", 100)),
    );
    let count = to_next(&gateway, 200, |_| String::new());
    assert!((94..=106).contains(&count), "{count} of 200 are not half");
}

#[test]
fn a_request_whose_body_is_read_first_stays_with_the_service_that_had_it() {
    let (own, next) = (named("own"), named("next"));
    let gateway = Gateway::start(
        &Conf::new()
            .app(App::new("shop", "right"))
            .service(Service::at("/svc", &[&own]).access("open", 1).split("next", 0.5))
            .service(Service::at("/next", &[&next]).without_rules()),
    );
    let form = "app_id=shop&sign=right";
    let fields = format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", form.len());
    let mut client = gateway.connect();
    let mut count = 0;
    for _ in 0..100 {
        let answer = client.ask(format!("POST /svc HTTP/1.1\r\nHost: gate.test\r\n{fields}\r\n{form}"));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        count += usize::from(answer.text() == "next");
    }
    assert!((46..=54).contains(&count), "{count} of 100 are not half");
}
