//! Connections spread evenly over the workers, however the kernel deals them out.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Client, Conf, Gateway, Origin, eventually};

/// Connections that each worker had, and how many were handed over, from what each says at its end.
pub(crate) fn spread(gateway: &Gateway) -> (Vec<u64>, u64) {
    let said = gateway.stderr();
    let lines: Vec<_> = said.lines().filter_map(|line| line.split(" has ended: ").nth(1)).collect();
    let number = |line: &str, what: &str| -> u64 {
        let piece = line.split(", ").find_map(|piece| piece.trim_end_matches('s').strip_suffix(what));
        piece.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number of{what} in {line}"))
    };
    let handed = lines.iter().map(|line| number(line, " handed over")).sum();
    (lines.iter().map(|line| number(line, " connection")).collect(), handed)
}

#[test]
fn connections_that_stay_fill_no_worker_by_more_than_15_percent_over_the_mean() {
    const WORKERS: usize = 48;
    const EACH: usize = 64;
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin).cores(WORKERS).base("drain_window", 0));
    let clients: Vec<Client> = (0..WORKERS * EACH).map(|_| gateway.connect()).collect();
    let before = gateway.descriptors();
    assert!(eventually(|| gateway.descriptors() >= before.max(clients.len())), "all are accepted");
    thread::sleep(Duration::from_millis(500));
    gateway.signal(Signal::TERM);
    gateway.wait(Duration::from_secs(20));
    let (connections, handed) = spread(&gateway);
    assert_eq!(connections.len(), WORKERS);
    assert_eq!(connections.iter().sum::<u64>(), (WORKERS * EACH) as u64, "none is lost");
    let fullest = connections.iter().max().copied().unwrap_or_default();
    let over_mean = fullest as f64 / EACH as f64;
    println!("fullest {fullest} of mean {EACH}: {over_mean:.3}; {handed} handed over");
    assert!(over_mean <= 1.15, "the fullest worker has {fullest}: {over_mean:.2} times the mean");
}

#[test]
fn connections_that_are_handed_over_are_served_like_all_others() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin).cores(8));
    let mut clients: Vec<Client> = (0..400).map(|_| gateway.connect()).collect();
    for _ in 0..3 {
        for client in &mut clients {
            assert_eq!(client.get("/svc/a").status(), 200);
        }
    }
    drop(clients);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    let (connections, handed) = spread(&gateway);
    assert_eq!(connections.iter().sum::<u64>(), 400);
    assert!(handed > 0, "the kernel's hash is never even: some were handed over");
}

#[test]
fn connections_that_come_and_go_are_seldom_handed_over() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin).cores(8));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
                }
            });
        }
    });
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    let (connections, handed) = spread(&gateway);
    let total: u64 = connections.iter().sum();
    println!("{handed} of {total} handed over");
    assert!(handed * 4 < total, "{handed} of {total} were handed over");
}
