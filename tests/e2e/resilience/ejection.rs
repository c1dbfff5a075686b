//! `[module.ejection]`: an endpoint that keeps failing takes no traffic for a while, unless too few would be left.

use std::thread;
use std::time::Duration;

use super::{failing, reloaded, statuses};
use crate::support::{Conf, Gateway, Origin, Service, eventually, probed};

fn service(origins: &[&Origin]) -> Service {
    Service::at("/svc", origins).table("ejection", "failures", 2)
}

fn start(service: Service, origins: &[&Origin]) -> Gateway {
    let gateway = Gateway::start(&Conf::new().service(service));
    probed(origins);
    gateway
}

#[test]
fn an_endpoint_that_keeps_failing_takes_no_traffic_from_any_worker() {
    let (bad, good) = (failing(500), Origin::ok());
    let gateway = start(service(&[&bad, &good]), &[&bad, &good]);
    let seen = statuses(&gateway, 30);
    assert_eq!(bad.heads().len(), 2, "{seen:?}");
    assert_eq!(good.heads().len(), 28);
    let line = format!("endpoint {} of svc: ejected", bad.node());
    assert!(eventually(|| gateway.stderr().contains(&line)), "{}", gateway.stderr());
}

#[test]
fn it_comes_back_after_its_time() {
    let (bad, good) = (failing(500), Origin::ok());
    let gateway = start(service(&[&bad, &good]).table("ejection", "time", 1_000), &[&bad, &good]);
    assert!(statuses(&gateway, 20).contains(&500));
    assert_eq!(bad.heads().len(), 2);
    thread::sleep(Duration::from_millis(1_300));
    statuses(&gateway, 20);
    assert_eq!(bad.heads().len(), 4, "as many again, and out again");
}

#[test]
fn where_too_few_endpoints_would_be_left_all_are_asked() {
    let (bad, good) = (failing(500), Origin::ok());
    let gateway = start(service(&[&bad, &good]).table("ejection", "panic_threshold", 0.9), &[&bad, &good]);
    statuses(&gateway, 40);
    assert!(bad.heads().len() > 10, "{}", bad.heads().len());
}

#[test]
fn a_service_whose_endpoints_all_fail_is_still_asked() {
    let (one, other) = (failing(500), failing(500));
    let gateway = start(service(&[&one, &other]), &[&one, &other]);
    assert_eq!(statuses(&gateway, 20), [500; 20]);
}

#[test]
fn an_ejection_outlives_a_reload() {
    let (bad, good) = (failing(500), Origin::ok());
    let gateway = start(service(&[&bad, &good]), &[&bad, &good]);
    statuses(&gateway, 20);
    assert_eq!(bad.heads().len(), 2);
    reloaded(&gateway, &Conf::new().service(service(&[&good, &bad]).table("ejection", "time", 31_000)));
    assert_eq!(statuses(&gateway, 20), [200; 20]);
}
