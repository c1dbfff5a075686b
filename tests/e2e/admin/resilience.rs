//! How breakers stand, and who has a turn, in the metrics.

use super::Watched;
use crate::support::{Conf, Origin, Service, eventually};

#[test]
fn breakers_and_turns_are_in_the_metrics() {
    let bad = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/slow" {
                peer.until_gone(std::time::Duration::from_secs(20));
                return;
            }
            peer.send("HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let service = Service::at("/svc", &[&bad]).table("breaker", "failures", 2).table("breaker", "of", "both");
    let watched = Watched::start(&Conf::new().service(service.table("concurrency", "max", 1)));
    let holds = |line: &str| watched.get("/metrics").text().lines().any(|found| found == line);
    assert!(holds("gatekeeper_breaker_state{service=\"svc\"} 0"));
    let mut slow = watched.gateway.connect();
    slow.send("GET /svc/slow HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| holds("gatekeeper_concurrency_taken{service=\"svc\"} 1")));
    let mut next = watched.gateway.connect();
    next.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| holds("gatekeeper_concurrency_waiting{service=\"svc\"} 1")));
    slow.wire.reset();
    assert_eq!(next.answer().status(), 500);
    assert_eq!(next.get("/svc/a").status(), 500);
    assert!(eventually(|| holds("gatekeeper_breaker_state{service=\"svc\"} 2")));
    assert!(holds(&format!("gatekeeper_breaker_state{{service=\"svc\",endpoint=\"{}\"}} 2", bad.node())));
    assert!(holds("gatekeeper_concurrency_taken{service=\"svc\"} 0"));
}
