//! Exact counts of known traffic, and histograms that hold it.

use std::time::Duration;

use gatekeeper::wall::slot::buckets::{coarse, fine};

use super::{counted_in, folder, labelled, named, over_cores, stats};
use crate::support::{Conf, Gateway, Origin, Service, eventually};

fn origin() -> Origin {
    Origin::scripted(|peer| {
        while let Some(head) = peer.head() {
            let answer = match head.word(1) {
                "/missing" => "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
                "/moved" => "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
                "/broken" => "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
                "/slow" => {
                    std::thread::sleep(Duration::from_millis(100));
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                }
                "/closed" => return,
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            };
            peer.send(answer);
        }
    })
}

const PATHS: [(&str, usize); 4] = [("/a", 7), ("/missing", 3), ("/moved", 2), ("/broken", 1)];

fn ask(gateway: &Gateway, path: &str) {
    let mut client = gateway.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client.answer();
}

#[test]
fn requests_are_counted_by_class_service_and_endpoint() {
    let (origin, folder) = (origin(), folder());
    let gateway = Gateway::start(&counted_in(&folder, Conf::of(&origin)));
    for (path, times) in PATHS {
        (0..times).for_each(|_| ask(&gateway, &format!("/svc{path}")));
    }
    (0..5).for_each(|_| ask(&gateway, "/nowhere"));
    let stats = stats(&folder, &gateway);
    assert!(eventually(|| over_cores(&stats.read(), "in_flight") == 0));
    let reading = stats.read();
    let classes =
        ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| over_cores(&reading, &format!("requests_{class}_total")));
    assert_eq!(classes, [0, 7, 2, 8, 1]);
    assert_eq!(labelled(&reading.cores, "ends_total", "no_route"), 5);
    let service = &named(&reading.services, "svc").counts;
    assert_eq!(["2xx", "3xx", "4xx", "5xx"].map(|class| service.get(&format!("requests_{class}_total"))), [7, 2, 3, 1]);
    let endpoint = &named(&reading.endpoints, origin.node()).counts;
    assert_eq!((endpoint.get("attempts_total"), endpoint.get("responses_total")), (13, 13));
    assert_eq!((endpoint.get("failures_total"), endpoint.get("in_flight")), (0, 0));
    assert_eq!(over_cores(&reading, "connections_total"), 18);
    assert_eq!(over_cores(&reading, "pool_hits_total") + over_cores(&reading, "pool_misses_total"), 13);
}

#[test]
fn bytes_are_those_that_went_over_the_clients_connection() {
    let (origin, folder) = (Origin::echoing(), folder());
    let gateway = Gateway::start(&counted_in(&folder, Conf::of(&origin)));
    let body = "x".repeat(100_000);
    let head =
        format!("POST /svc/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let request = head + &body;
    let mut received = 0;
    for _ in 0..3 {
        let mut client = gateway.connect();
        client.send(&request);
        received += client.wire.rest().0.len();
    }
    let stats = stats(&folder, &gateway);
    let service = || named(&stats.read().services, "svc").counts.clone();
    assert!(eventually(|| service().get("requests_2xx_total") == 3));
    assert_eq!(service().get("bytes_in_total"), 3 * request.len() as u64);
    assert_eq!(service().get("bytes_out_total"), received as u64);
    assert_eq!(over_cores(&stats.read(), "bytes_in_total"), 3 * request.len() as u64);
}

#[test]
fn durations_fall_into_the_buckets_of_both_histograms() {
    let (origin, folder) = (origin(), folder());
    let gateway = Gateway::start(&counted_in(&folder, Conf::of(&origin)));
    (0..4).for_each(|_| ask(&gateway, "/svc/slow"));
    let stats = stats(&folder, &gateway);
    assert!(eventually(|| over_cores(&stats.read(), "requests_2xx_total") == 4));
    let reading = stats.read();
    // The origin takes 100 ms; a busy machine may take ten seconds more.
    let (least_us, most_us) = (100_000, 10_000_000);
    let within = |counts: &[u64], from: usize, to: usize| counts[from..=to].iter().sum::<u64>();
    let cores: Vec<&[u64]> = reading.cores.iter().map(|core| core.histogram("duration").0).collect();
    assert_eq!(cores.iter().map(|counts| within(counts, fine(least_us), fine(most_us))).sum::<u64>(), 4);
    let service = &named(&reading.services, "svc").counts;
    let (counts, _) = service.histogram("duration");
    assert_eq!(within(counts, coarse(least_us), coarse(most_us)), 4);
    assert_eq!(counts.iter().sum::<u64>(), 4);
    let response_us = service.get("response_us_sum") / service.get("responses_total");
    assert!((99_000..most_us).contains(&response_us), "{response_us}");
    assert!(service.get("duration_us_sum") >= service.get("response_us_sum"));
}

#[test]
fn an_end_is_counted_for_its_service_and_against_its_endpoint() {
    let (origin, folder) = (origin(), folder());
    let gateway = Gateway::start(&counted_in(&folder, Conf::of(&origin)));
    (0..3).for_each(|_| ask(&gateway, "/svc/closed"));
    let stats = stats(&folder, &gateway);
    assert!(eventually(|| labelled(&stats.read().cores, "ends_total", "upstream_closed") == 3));
    let reading = stats.read();
    assert_eq!(named(&reading.services, "svc").counts.labelled("ends"), [("upstream_closed", 3)]);
    assert_eq!(named(&reading.endpoints, origin.node()).counts.get("failures_total"), 3);
}

#[test]
fn another_attempt_is_a_retry_and_counts_against_the_endpoint_that_failed() {
    let (leaves, stays, folder) = (Origin::ok(), Origin::ok(), folder());
    let service = Service::at("/svc", &[&leaves, &stays]).balance("fall", 100).balance("rise", 1);
    let gateway = Gateway::start(&counted_in(&folder, Conf::new().service(service)));
    let stats = stats(&folder, &gateway);
    let health = |node: &str| named(&stats.read().endpoints, node).title.get("health");
    let gone = leaves.node().to_owned();
    assert!(eventually(|| (health(&gone), health(stays.node())) == (1, 1)));
    drop(leaves);
    (0..10).for_each(|_| ask(&gateway, "/svc/a"));
    assert!(eventually(|| over_cores(&stats.read(), "requests_2xx_total") == 10));
    let reading = stats.read();
    let failed = named(&reading.endpoints, &gone).counts.get("failures_total");
    assert!(failed > 0);
    assert_eq!(over_cores(&reading, "retries_total"), failed, "each was followed by an attempt elsewhere");
    assert_eq!(named(&reading.services, "svc").counts.get("retries_total"), failed);
    assert_eq!(named(&reading.endpoints, stays.node()).counts.get("responses_total"), 10);
}

#[test]
fn what_is_open_is_told_while_it_is() {
    let (origin, folder) = (Origin::scripted(|peer| while peer.head().is_some() {}), folder());
    let gateway = Gateway::start(&counted_in(&folder, Conf::of(&origin)));
    let stats = stats(&folder, &gateway);
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    let idle = gateway.connect();
    let open = |name: &str| over_cores(&stats.read(), name);
    assert!(eventually(|| (open("in_flight"), open("idle"), open("pool_busy")) == (1, 1, 1)));
    assert_eq!(named(&stats.read().endpoints, origin.node()).counts.get("in_flight"), 1);
    drop((client, idle));
    assert!(eventually(|| (open("in_flight"), open("idle"), open("pool_busy")) == (0, 0, 0)));
}
