//! Which endpoint takes a request.

use std::thread;
use std::time::Duration;

use crate::support::{Conf, Gateway, Origin, Service, eventually};

/// How many of the requests each origin took, over several connections.
fn split(conf: &Conf, origins: &[&Origin], requests: usize) -> Vec<usize> {
    let gateway = Gateway::start(conf);
    for origin in origins {
        assert!(eventually(|| origin.probes() > 0), "no probe came");
    }
    thread::sleep(Duration::from_millis(300));
    let clients = 8;
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = gateway.connect();
                // Several at once: the count matters here, not the order.
                for _ in 0..requests / clients / 25 {
                    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(25));
                    for _ in 0..25 {
                        assert_eq!(client.answer().status(), 200);
                    }
                }
            });
        }
    });
    origins.iter().map(|origin| origin.heads().len()).collect()
}

#[test]
fn requests_are_split_as_the_weights_say() {
    let origins = [Origin::ok(), Origin::ok(), Origin::ok()];
    let all: Vec<_> = origins.iter().collect();
    let conf = Conf::new().service(Service::at("/svc", &all).weights(&[50, 30, 20]));
    let counts = split(&conf, &all, 4_000);
    for (count, expected) in counts.iter().zip([2_000, 1_200, 800]) {
        assert!(count.abs_diff(expected) <= 40, "{counts:?}: within 1 % of 4,000");
    }
}

#[test]
fn without_weights_all_are_equal() {
    let origins = [Origin::ok(), Origin::ok()];
    let all: Vec<_> = origins.iter().collect();
    let counts = split(&Conf::new().service(Service::at("/svc", &all)), &all, 800);
    assert!(counts[0].abs_diff(counts[1]) <= 16, "{counts:?}");
}

#[test]
fn a_weight_of_zero_takes_nothing() {
    let origins = [Origin::ok(), Origin::ok()];
    let all: Vec<_> = origins.iter().collect();
    let counts = split(&Conf::new().service(Service::at("/svc", &all).weights(&[0, 1])), &all, 200);
    assert_eq!(counts, [0, 200]);
}

#[test]
fn when_every_weight_is_zero_the_first_takes_everything() {
    let origins = [Origin::ok(), Origin::ok()];
    let all: Vec<_> = origins.iter().collect();
    let counts = split(&Conf::new().service(Service::at("/svc", &all).weights(&[0, 0])), &all, 200);
    assert_eq!(counts, [200, 0]);
}

#[test]
fn a_forbidden_endpoint_takes_nothing() {
    let (taken, forbidden) = (Origin::ok(), Origin::ok());
    let service = Service::at("/svc", &[&taken, &forbidden]).balance("forbid_list", forbidden.node());
    let gateway = Gateway::start(&Conf::new().service(service));
    let mut client = gateway.connect();
    for _ in 0..50 {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
    assert_eq!((taken.heads().len(), forbidden.heads().len()), (50, 0));
}

#[test]
fn one_worker_goes_round_smoothly() {
    let origins = [Origin::ok(), Origin::ok(), Origin::ok()];
    let all: Vec<_> = origins.iter().collect();
    let gateway = Gateway::start(&Conf::new().cores(1).service(Service::at("/svc", &all).weights(&[1, 2, 1])));
    for origin in &all {
        assert!(eventually(|| origin.probes() > 0));
    }
    thread::sleep(Duration::from_millis(300));
    let mut client = gateway.connect();
    let mut before = vec![0; 3];
    let mut order = Vec::new();
    for _ in 0..12 {
        client.get("/svc/a");
        let now: Vec<_> = all.iter().map(|origin| origin.heads().len()).collect();
        order.push((0..3).find(|&which| now[which] > before[which]).expect("one took it"));
        before = now;
    }
    assert_eq!(before, [3, 6, 3], "{order:?}");
    assert!(order.windows(3).all(|three| three != [1, 1, 1]), "the heavy one is spread out: {order:?}");
}
