//! A collector that is down, slow or unwilling: traffic goes on, and nothing is lost without a word.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Collector, traced};
use crate::support::{Conf, Gateway, Origin, eventually};

/// Two hundred requests, none of which takes longer than a busy machine may need.
#[track_caller]
fn traffic_is_not_delayed(gateway: &Gateway) {
    let mut client = gateway.connect();
    for number in 0..200 {
        let begun = Instant::now();
        assert_eq!(client.get("/svc/a").status(), 200);
        assert!(begun.elapsed() < Duration::from_secs(1), "request {number} took {:?}", begun.elapsed());
    }
}

#[test]
fn a_collector_that_is_down_is_told_of_and_holds_nobody_up() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).trace("on", true).trace("sample_ratio", 1.0);
    let gateway = Gateway::start(&conf.trace("endpoint", "http://127.0.0.1:9/v1/traces"));
    traffic_is_not_delayed(&gateway);
    assert!(eventually(|| gateway.stderr().contains("127.0.0.1:9 does not take spans: ")), "{}", gateway.stderr());
    traffic_is_not_delayed(&gateway);
}

#[test]
fn a_collector_that_says_nothing_holds_nobody_up_not_even_at_the_end() {
    let (origin, collector) = (Origin::ok(), Collector::saying(&["hang"]));
    let mut gateway = Gateway::start(&traced(&origin, &collector));
    traffic_is_not_delayed(&gateway);
    let begun = Instant::now();
    gateway.signal(Signal::TERM);
    assert!(gateway.wait(Duration::from_secs(15)).success());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(gateway.stderr().contains(" given up"), "{}", gateway.stderr());
}

#[test]
fn a_collector_that_is_slow_gets_everything_in_the_end() {
    let (origin, collector) = (Origin::ok(), Collector::saying(&["slow"]));
    let gateway = Gateway::start(&traced(&origin, &collector));
    traffic_is_not_delayed(&gateway);
    assert!(eventually(|| collector.requests().len() == 200), "{}", collector.requests().len());
}

#[test]
fn a_collector_that_asks_for_another_try_gets_it() {
    let (origin, collector) = (Origin::ok(), Collector::saying(&["503", "429", "200"]));
    let gateway = Gateway::start(&traced(&origin, &collector));
    traffic_is_not_delayed(&gateway);
    assert!(eventually(|| collector.requests().len() == 200), "{}", gateway.stderr());
    assert!(eventually(|| gateway.stderr().contains("spans are exported again")), "{}", gateway.stderr());
}

#[test]
fn spans_that_a_collector_refuses_are_counted() {
    let (origin, collector) = (Origin::ok(), Collector::saying(&["400"]));
    let mut gateway = Gateway::start(&traced(&origin, &collector));
    traffic_is_not_delayed(&gateway);
    assert!(eventually(|| gateway.stderr().contains("status 400; given up")), "{}", gateway.stderr());
    gateway.signal(Signal::TERM);
    assert!(gateway.wait(Duration::from_secs(15)).success());
    let said = gateway.stderr();
    let last = said.lines().rev().find(|line| line.contains("spans exported")).expect("the last words");
    // A connect span, and of each request its own and its upstream's; some may have waited.
    assert!(last.contains("0 spans exported, 0 rejected, ") && last.contains("; 0 records dropped"), "{last}");
    let given_up = last.split("rejected, ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    assert!(given_up.is_some_and(|given_up| given_up >= 401), "{last}");
}

#[test]
fn what_waits_when_the_gateway_stops_goes_out() {
    let (origin, collector) = (Origin::ok(), Collector::start());
    let mut gateway = Gateway::start(&traced(&origin, &collector));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    gateway.signal(Signal::TERM);
    assert!(gateway.wait(Duration::from_secs(15)).success());
    assert!(eventually(|| collector.requests().len() == 1), "{}", gateway.stderr());
}
