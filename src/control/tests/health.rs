//! Health from real probes to the table the workers read.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::house::{House, Origin, eventually};
use crate::wall::health::Verdict;

#[test]
fn a_new_endpoint_is_unprobed_and_then_up() {
    let origin = Origin::open();
    let house = House::open(1, &origin.line());
    house.workers[0].await_verdict(0, Verdict::Up);
    let first = &house.workers[0].epochs()[0];
    assert_eq!(first.health.endpoints[0].verdict, Verdict::Unprobed);
    assert_eq!(&*house.workers[0].health(0).addresses, [origin.address]);
}

#[test]
fn a_probe_is_a_get_of_the_path_with_the_nodes_host() {
    let origin = Origin::open();
    let house = House::open(1, &origin.line());
    house.workers[0].await_verdict(0, Verdict::Up);
    let request = origin.requests.lock().expect("lock")[0].to_ascii_lowercase();
    assert!(request.starts_with("get /ping http/1.1\r\n"), "{request}");
    for field in [&format!("host: {}", origin.address), "user-agent: gatekeeper-health", "connection: close"] {
        assert!(request.contains(&format!("\r\n{field}\r\n")), "{field} in {request}");
    }
}

#[test]
fn any_status_but_200_is_down_and_200_is_up_again() {
    let origin = Origin::open();
    let house = House::open(2, &origin.line());
    house.workers[1].await_verdict(0, Verdict::Up);
    for status in [204, 404, 500] {
        origin.status.store(status, Ordering::Relaxed);
        house.workers[1].await_verdict(0, Verdict::Down);
        origin.status.store(200, Ordering::Relaxed);
        house.workers[1].await_verdict(0, Verdict::Up);
    }
}

#[test]
fn rise_and_fall_take_that_many_probes() {
    let origin = Origin::open();
    let house = House::open(1, &format!("{} /ping 50 1000 3 4\n", origin.address));
    house.workers[0].await_verdict(0, Verdict::Up);
    origin.status.store(500, Ordering::Relaxed);
    let before = origin.connections();
    house.workers[0].await_verdict(0, Verdict::Down);
    assert!(origin.connections() - before >= 3);
    origin.status.store(200, Ordering::Relaxed);
    let before = origin.connections();
    house.workers[0].await_verdict(0, Verdict::Up);
    assert!(origin.connections() - before >= 2);
}

#[test]
fn an_origin_that_answers_nothing_is_down_at_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = silent.local_addr().expect("bound");
    let house = House::open(1, &format!("{address} /ping 50 100 1 1\n{address} tcp 50 100 1 1\n"));
    house.workers[0].await_verdict(0, Verdict::Down);
    house.workers[0].await_verdict(1, Verdict::Up);
}

#[test]
fn services_that_share_an_address_and_a_check_share_its_probes() {
    let origin = Origin::open();
    let slow = format!("{} /ping 60000 1000 1 1\n", origin.address);
    let house = House::open(1, &slow.repeat(20));
    for endpoint in 0..20 {
        house.workers[0].await_verdict(endpoint, Verdict::Up);
    }
    assert_eq!(origin.connections(), 1);
    house.write(&slow.repeat(30));
    assert_eq!(house.workers[0].reload().0, 200);
    house.workers[0].await_verdict(29, Verdict::Up);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(origin.connections(), 1, "the verdict survives the reload, also for a new endpoint of the same key");
}

#[test]
fn a_removed_endpoint_is_no_longer_probed_and_a_changed_check_starts_anew() {
    let origin = Origin::open();
    let house = House::open(1, &origin.line());
    house.workers[0].await_verdict(0, Verdict::Up);
    house.write(&format!("{} /other 60000 1000 1 1\n", origin.address));
    house.workers[0].reload();
    house.workers[0].await_verdict(0, Verdict::Up);
    let before = origin.connections();
    thread::sleep(Duration::from_millis(200));
    assert_eq!(origin.connections(), before);
    assert!(origin.requests.lock().expect("lock")[before - 1].starts_with("GET /other "));
}

#[test]
fn a_failed_connect_is_down_at_once_and_the_next_probe_brings_it_back() {
    let origin = Origin::open();
    let house = House::open(1, &format!("{} /ping 60000 1000 1 1\n", origin.address));
    house.workers[0].await_verdict(0, Verdict::Up);
    for _ in 0..1_000 {
        house.workers[0].connect_failed(0);
    }
    eventually("down, then up", || {
        let verdicts: Vec<Verdict> =
            house.workers[0].epochs().iter().map(|epoch| epoch.health.endpoints[0].verdict).collect();
        verdicts.ends_with(&[Verdict::Up, Verdict::Down, Verdict::Up])
    });
    assert_eq!(origin.connections(), 2, "a flood of reports is one probe");
}

#[test]
fn a_failed_connect_to_an_origin_that_has_gone_stays_down() {
    let origin = Origin::open();
    let house = House::open(1, &format!("{} tcp 60000 1000 1 1\n", origin.address));
    house.workers[0].await_verdict(0, Verdict::Up);
    origin.close();
    house.workers[0].connect_failed(0);
    house.workers[0].await_verdict(0, Verdict::Down);
    thread::sleep(Duration::from_millis(400));
    assert_eq!(house.workers[0].health(0).verdict, Verdict::Down);
}

#[test]
fn a_unix_socket_is_probed_too() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("origin.sock");
    let listener = UnixListener::bind(&path).expect("socket");
    let house = House::open(1, &format!("unix:{} tcp 50 1000 1 1\n", path.display()));
    house.workers[0].await_verdict(0, Verdict::Up);
    assert!(house.workers[0].health(0).addresses.is_empty());
    drop(listener);
    house.workers[0].await_verdict(0, Verdict::Down);
}

#[test]
fn a_burst_of_flips_is_few_epochs() {
    let dead: String = (1..=100).map(|number| format!("127.0.1.{number}:9 tcp 60000 1000 1 1\n")).collect();
    let house = House::open(1, &dead);
    for endpoint in 0..100 {
        house.workers[0].await_verdict(endpoint, Verdict::Down);
    }
    assert!(house.workers[0].epoch().id.0 < 20, "{}", house.workers[0].epoch().id);
}
