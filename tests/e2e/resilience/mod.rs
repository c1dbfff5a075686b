//! What a service has against endpoints that fail: retries, breakers, ejection, a bound on requests at once, copies.

mod breakers;
mod concurrency;
mod copies;
mod ejection;
mod retries;

use crate::support::{Conf, Gateway, Origin};

/// Answers every request with this status.
fn failing(status: u16) -> Origin {
    Origin::replying(format!("HTTP/1.1 {status} Failing\r\nContent-Length: 0\r\n\r\n"))
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
