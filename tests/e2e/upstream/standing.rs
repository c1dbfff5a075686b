//! What the gateway learns of an endpoint: failures lower its share and successes restore it; one that is back starts
//! slowly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Client, Conf, Gateway, Origin, Service, eventually, probed};

/// Answers, or closes without an answer while it fails.
fn failing(fails: &Arc<AtomicBool>) -> Origin {
    let fails = fails.clone();
    Origin::scripted(move |peer| {
        while peer.request().is_some() && !fails.load(Ordering::SeqCst) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

fn start(service: Service, origins: &[&Origin]) -> Gateway {
    let gateway = Gateway::start(&Conf::new().service(service));
    probed(origins);
    gateway
}

/// Clients that are spread over the workers.
fn clients(gateway: &Gateway) -> Vec<Client> {
    (0..8).map(|_| gateway.connect()).collect()
}

/// How many of the requests the origin took.
fn share(clients: &mut [Client], origin: &Origin, requests: usize) -> usize {
    let before = origin.heads().len();
    for number in 0..requests {
        let which = number % clients.len();
        clients[which].get("/svc/a");
    }
    origin.heads().len() - before
}

#[test]
fn an_endpoint_that_fails_gets_less_until_it_succeeds_again() {
    let fails = Arc::new(AtomicBool::new(true));
    let (good, bad) = (Origin::ok(), failing(&fails));
    let gateway = start(Service::at("/svc", &[&good, &bad]), &[&good, &bad]);
    let mut clients = clients(&gateway);
    let lowered = share(&mut clients, &bad, 240);
    assert!((1..=60).contains(&lowered), "{lowered} of 240 failed; 120 would without any lesson");
    fails.store(false, Ordering::SeqCst);
    assert!(
        eventually(|| share(&mut clients, &bad, 80) >= 32),
        "what succeeds again gets about its half of the requests again"
    );
}

#[test]
fn an_endpoint_that_lets_requests_wait_gets_less() {
    let (good, mute) = (
        Origin::ok(),
        Origin::scripted(|peer| {
            while peer.request().is_some() {
                thread::sleep(Duration::from_secs(1));
            }
        }),
    );
    let service = Service::at("/svc", &[&good, &mute]).balance("request_timeout", 400);
    let gateway = Gateway::start(&Conf::new().cores(1).service(service));
    assert!(eventually(|| good.probes() > 0 && mute.probes() > 0));
    thread::sleep(Duration::from_millis(300));
    let lowered = share(&mut clients(&gateway), &mute, 40);
    assert!((1..=14).contains(&lowered), "{lowered} of 40 timed out; 20 would without any lesson");
}

#[test]
fn peak_ewma_learns_from_clients_that_give_up() {
    let (good, mute) = (
        Origin::ok(),
        Origin::scripted(|peer| {
            while peer.request().is_some() {
                peer.until_gone(Duration::from_secs(20));
            }
        }),
    );
    let service = Service::at("/svc", &[&good, &mute]).balance("type", "peak_ewma");
    let gateway = Gateway::start(&Conf::new().cores(1).service(service));
    assert!(eventually(|| good.probes() > 0 && mute.probes() > 0));
    thread::sleep(Duration::from_millis(300));
    for _ in 0..20 {
        let mut client = gateway.connect().patient(Duration::from_millis(400));
        client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
        let _ = client.try_answer();
        drop(client);
        thread::sleep(Duration::from_millis(20));
    }
    assert!((1..=4).contains(&mute.heads().len()), "{} of 20 went where there is no answer", mute.heads().len());
}

#[test]
fn where_failures_cost_no_weight_the_share_stays() {
    let fails = Arc::new(AtomicBool::new(true));
    let (good, bad) = (Origin::ok(), failing(&fails));
    let service = Service::at("/svc", &[&good, &bad]).balance("failure_weight", 0);
    let gateway = start(service, &[&good, &bad]);
    let failed = share(&mut clients(&gateway), &bad, 240);
    assert!(failed.abs_diff(120) <= 16, "{failed} of 240");
}

/// What an endpoint gets of 160 requests just after it was down and is back.
fn share_once_back(slow_start: i64) -> usize {
    let (steady, back) = (Origin::ok(), Origin::ok());
    let service = Service::at("/svc", &[&steady, &back]).balance("check_interval", 200);
    let gateway = start(service.balance("slow_start", slow_start), &[&steady, &back]);
    let mut clients = clients(&gateway);
    assert!(share(&mut clients, &back, 80) >= 32, "at the start nobody starts slowly");
    back.set_sick(true);
    assert!(eventually(|| share(&mut clients, &back, 80) == 0));
    back.set_sick(false);
    assert!(eventually(|| share(&mut clients, &back, 8) > 0));
    share(&mut clients, &back, 160)
}

#[test]
fn an_endpoint_that_is_back_starts_slowly_where_the_file_says_so() {
    let (slowly, at_once) = (share_once_back(60_000), share_once_back(0));
    assert!(slowly <= 32, "{slowly} of 160; a sixteenth against a whole are 10");
    assert!(at_once.abs_diff(80) <= 16, "{at_once} of 160");
}

#[test]
fn a_slow_start_ends_whether_or_not_a_worker_had_anything_to_do_meanwhile() {
    let (steady, back) = (Origin::ok(), Origin::ok());
    let service = Service::at("/svc", &[&steady, &back]).balance("check_interval", 200).balance("slow_start", 1_500);
    let gateway = start(service, &[&steady, &back]);
    let mut clients = clients(&gateway);
    share(&mut clients, &back, 80);
    back.set_sick(true);
    assert!(eventually(|| share(&mut clients, &back, 80) == 0));
    back.set_sick(false);
    assert!(eventually(|| share(&mut clients, &back, 8) > 0));
    thread::sleep(Duration::from_millis(1_800));
    let after = share(&mut clients, &back, 160);
    assert!(after.abs_diff(80) <= 16, "{after} of 160");
}
