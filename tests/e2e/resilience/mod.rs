//! What a service has against endpoints that fail: retries, breakers, ejection, a bound on requests at once, copies.

mod breakers;
mod concurrency;
mod copies;
mod ejection;
mod retries;

use std::thread;
use std::time::Duration;

use crate::support::{Conf, Gateway, Origin, eventually};

/// Answers every request with this status.
fn failing(status: u16) -> Origin {
    Origin::replying(format!("HTTP/1.1 {status} Failing\r\nContent-Length: 0\r\n\r\n"))
}

/// Waits until health has looked at each origin, and until that is published.
fn probed(origins: &[&Origin]) {
    for origin in origins {
        assert!(eventually(|| origin.probes() > 0), "no probe came");
    }
    thread::sleep(Duration::from_millis(300));
}

/// The statuses of so many GETs, each on a connection of its own, so that all workers have some.
fn statuses(gateway: &Gateway, count: usize) -> Vec<u16> {
    (0..count).map(|_| gateway.connect().get("/svc/a").status()).collect()
}

/// Puts this configuration in force.
fn reloaded(gateway: &Gateway, conf: &Conf) {
    gateway.rewrite_files(conf);
    let answer = gateway.connect().get("/reload");
    assert!(answer.text().contains("gateway config loaded"), "{}", answer.text());
}
