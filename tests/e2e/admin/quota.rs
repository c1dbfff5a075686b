//! Daily quotas: exact for the whole process, over restarts, reloads and the day's end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use super::Watched;
use crate::support::conf::App;
use crate::support::{Conf, Gateway, Origin, Service};

const CALL: &str = "/svc/a?app_id=shop&sign=secret";

fn with_quota(origin: &Origin, quota: i64) -> Conf {
    let service = Service::at("/svc", &[origin]).access("open", 1);
    Conf::new().service(service).app(App::new("shop", "secret").set("total_query_daily", quota))
}

/// How many of these calls are served, over as many connections.
fn served(gateway: &Gateway, connections: usize, calls: usize) -> usize {
    let total = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = gateway.connect();
                for _ in 0..calls {
                    match client.get(CALL).status() {
                        200 => drop(total.fetch_add(1, Ordering::Relaxed)),
                        429 => {}
                        status => panic!("{status}"),
                    }
                }
            });
        }
    });
    total.into_inner()
}

#[test]
fn exactly_the_quota_is_served_by_any_number_of_workers() {
    let origin = Origin::ok();
    for cores in [1, 4] {
        let gateway = Gateway::start(&with_quota(&origin, 333).cores(cores));
        assert_eq!(served(&gateway, 8, 60), 333, "with {cores} workers");
    }
}

#[test]
fn a_refusal_says_when_to_come_back_and_is_not_counted() {
    let origin = Origin::ok();
    let watched = Watched::start(&with_quota(&origin, 2));
    assert_eq!(served(&watched.gateway, 1, 5), 2);
    let answer = watched.gateway.connect().get(CALL);
    answer.expect_end(429, "tenant_quota");
    let retry: u64 = answer.head.field("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let left_s = 86_400 - now_s % 86_400;
    assert!(retry.abs_diff(left_s) < 5 || left_s < 5, "{retry} of {left_s}");
    let quota = watched.status()["tenants"][0]["quota"].clone();
    assert_eq!((&quota["daily_max"], &quota["used"]), (&2.into(), &2.into()));
}

#[test]
fn a_reload_keeps_the_count_and_another_limit_holds_at_once() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&with_quota(&origin, 3));
    assert_eq!(served(&gateway, 1, 5), 3);
    let reload = |quota: i64, via: bool| {
        gateway.rewrite_files(&with_quota(&origin, quota).http("via", via));
        assert_eq!(gateway.connect().get("/reload").status(), 200);
    };
    reload(3, false);
    assert_eq!(served(&gateway, 1, 5), 0);
    reload(5, false);
    assert_eq!(served(&gateway, 1, 5), 2);
    reload(4, true);
    assert_eq!(served(&gateway, 1, 5), 0);
    reload(0, true);
    assert_eq!(served(&gateway, 1, 5), 5);
}

#[test]
fn a_restart_goes_on_counting() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db").display().to_string();
    for (cores, expected) in [(1, 30), (4, 30), (1, 15), (4, 0)] {
        let mut gateway = Gateway::start(&with_quota(&origin, 75).cores(cores).store("path", path.clone()));
        assert_eq!(served(&gateway, 3, 10), expected);
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.wait(Duration::from_secs(20)).code(), Some(0));
    }
}

#[test]
fn a_process_that_is_killed_forgets_no_more_than_a_few_seconds() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db").display().to_string();
    let conf = with_quota(&origin, 10).store("path", path);
    let mut gateway = Gateway::start(&conf);
    assert_eq!(served(&gateway, 1, 8), 8);
    thread::sleep(Duration::from_secs(3));
    gateway.signal(Signal::KILL);
    gateway.wait(Duration::from_secs(20));
    assert_eq!(served(&Gateway::start(&conf), 1, 8), 2);
}

#[test]
fn a_new_day_of_the_zone_begins_with_nothing_used() {
    let origin = Origin::ok();
    // A zone whose midnight is a few seconds from now.
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let ahead_s = (86_400 - (now_s + 6) % 86_400) % 86_400;
    let (sign, away_s) = if ahead_s > 43_200 { ('+', 86_400 - ahead_s) } else { ('-', ahead_s) };
    let zone = format!("<gate>{sign}{}:{:02}:{:02}", away_s / 3_600, away_s / 60 % 60, away_s % 60);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db").display().to_string();
    let conf = with_quota(&origin, 2).base("time_location", zone).store("path", path);
    let gateway = Gateway::start(&conf);
    assert_eq!(served(&gateway, 1, 4), 2);
    let midnight = UNIX_EPOCH + Duration::from_secs(now_s + 6);
    thread::sleep(midnight.duration_since(SystemTime::now()).unwrap_or_default() + Duration::from_millis(500));
    assert_eq!(served(&gateway, 1, 4), 2);
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(served(&gateway, 1, 4), 0, "and the store brings nothing back");
}
