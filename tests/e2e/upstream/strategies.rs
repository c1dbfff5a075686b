//! Ways of choosing an endpoint beside round-robin: which one a request gets, as origins see it.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Client, Conf, Gateway, Origin, Service, eventually, probed};

/// Answers at once, but to a target with `slow` in it only when the test lets it.
fn held(gate: &Arc<AtomicBool>) -> Origin {
    let gate = gate.clone();
    Origin::scripted(move |peer| {
        while let Some(request) = peer.request() {
            if request.target().contains("slow") {
                eventually(|| gate.load(Ordering::SeqCst));
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

/// Answers after a pause.
fn slow(pause: Duration) -> Origin {
    Origin::scripted(move |peer| {
        while peer.request().is_some() {
            thread::sleep(pause);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

fn service(origins: &[&Origin], strategy: &str) -> Service {
    Service::at("/svc", origins).balance("type", strategy)
}

/// A gateway that knows that every origin is up.
fn start(service: Service, origins: &[&Origin]) -> Gateway {
    let gateway = Gateway::start(&Conf::new().service(service));
    probed(origins);
    gateway
}

fn taken(origins: &[&Origin]) -> Vec<usize> {
    origins.iter().map(|origin| origin.heads().len()).collect()
}

/// How many of the requests each took, of connections that spread over the workers.
fn split(gateway: &Gateway, origins: &[&Origin], requests: usize) -> Vec<usize> {
    let before = taken(origins);
    let mut clients: Vec<_> = (0..8).map(|_| gateway.connect()).collect();
    for number in 0..requests {
        assert_eq!(clients[number % 8].get("/svc/a").status(), 200);
    }
    taken(origins).iter().zip(before).map(|(after, before)| after - before).collect()
}

/// Which origin takes this request.
fn owner(origins: &[&Origin], ask: impl FnOnce()) -> usize {
    let before = taken(origins);
    ask();
    let after = taken(origins);
    (0..origins.len()).find(|&which| after[which] > before[which]).expect("one took it")
}

fn three() -> [Origin; 3] {
    [Origin::ok(), Origin::ok(), Origin::ok()]
}

#[test]
fn round_takes_turns_whatever_the_weights() {
    let origins = three();
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "round").weights(&[90, 5, 5]), &all);
    let counts = split(&gateway, &all, 240);
    assert!(counts.iter().all(|count| count.abs_diff(80) <= 12), "{counts:?}");
}

#[test]
fn random_is_even_and_comes_in_no_order() {
    let origins = three();
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "random").weights(&[90, 5, 5]), &all);
    let mut client = gateway.connect();
    let order: Vec<_> = (0..300).map(|_| owner(&all, || assert_eq!(client.get("/svc/a").status(), 200))).collect();
    for origin in 0..3 {
        let count = order.iter().filter(|which| **which == origin).count();
        assert!(count.abs_diff(100) < 50, "{count} of 300 at {origin}");
    }
    assert!(order.windows(2).any(|two| two[0] == two[1]), "turns would never give one the next too");
}

#[test]
fn weight_random_goes_by_the_weights() {
    let origins = three();
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "weight_random").weights(&[60, 30, 10]), &all);
    let counts = split(&gateway, &all, 800);
    for (count, expected) in counts.iter().zip([480_usize, 240, 80]) {
        assert!(count.abs_diff(expected) < 70, "{counts:?}");
    }
}

#[test]
fn least_conn_leaves_a_busy_endpoint_alone_whichever_worker_made_it_so() {
    let gate = Arc::new(AtomicBool::new(false));
    let origins = [held(&gate), held(&gate)];
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "least_conn"), &all);
    let mut waiting = gateway.connect();
    waiting.send("GET /svc/slow HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| taken(&all).iter().sum::<usize>() == 1));
    let busy = taken(&all).iter().position(|count| *count == 1).expect("one has it");
    for _ in 0..24 {
        assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    }
    // An answer may be here before the worker has counted its request as over: then both look alike.
    assert!(taken(&all)[busy] <= 6, "{:?}: twelve and one in turns", taken(&all));
    gate.store(true, Ordering::SeqCst);
    assert_eq!(waiting.answer().status(), 200);
    let counts = split(&gateway, &all, 48);
    assert!(counts.iter().all(|count| *count >= 12), "none is busy any more: {counts:?}");
}

#[test]
fn least_requests_are_in_proportion_to_the_weights() {
    let gate = Arc::new(AtomicBool::new(false));
    let origins = [held(&gate), held(&gate)];
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "least_requests").weights(&[30, 10]), &all);
    let mut clients = Vec::new();
    for number in 1..=16 {
        let mut client = gateway.connect();
        client.send("GET /svc/slow HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(eventually(|| taken(&all).iter().sum::<usize>() == number));
        clients.push(client);
    }
    gate.store(true, Ordering::SeqCst);
    assert_eq!(taken(&all), [12, 4]);
    clients.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
}

#[test]
fn peak_ewma_prefers_the_endpoint_that_answers_sooner() {
    let origins = [Origin::ok(), slow(Duration::from_millis(400))];
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "peak_ewma"), &all);
    let counts = split(&gateway, &all, 80);
    assert!(counts[1] >= 1 && counts[1] <= 20, "each worker tries it and then knows better: {counts:?}");
}

#[test]
fn each_url_has_its_endpoint() {
    let origins = three();
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "consistent_hash"), &all);
    let mut owners = HashSet::new();
    for number in 0..24 {
        let target = format!("/svc/item?id={number}");
        let asked: HashSet<_> =
            (0..5).map(|_| owner(&all, || assert_eq!(gateway.connect().get(&target).status(), 200))).collect();
        assert_eq!(asked.len(), 1, "{target} goes to {asked:?}");
        owners.extend(asked);
    }
    assert_eq!(owners.len(), 3);
}

#[test]
fn the_ring_is_the_one_that_explain_tells() {
    let origins = three();
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "hash"), &all);
    for number in 0..6 {
        let target = format!("/svc/{number}");
        let took = owner(&all, || assert_eq!(gateway.connect().get(&target).status(), 200));
        let told = std::process::Command::new(env!("CARGO_BIN_EXE_gatekeeper"))
            .arg("explain")
            .arg(gateway.directory().join("module.toml"))
            .args(["GET", &target])
            .output()
            .expect("it runs");
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let line = told.lines().find(|line| line.contains("belongs here")).unwrap_or_else(|| panic!("{told}"));
        assert!(line.contains(all[took].node()), "{line}, but {} took it", all[took].node());
    }
}

#[test]
fn a_part_of_the_request_may_decide_and_without_it_all_take_turns() {
    let origins = three();
    let all: Vec<_> = origins.iter().collect();
    let field = |target: String, field: String| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n");
    for key in ["header.X-User", "cookie.sid", "query.user"] {
        let gateway = start(service(&all, "consistent_hash").balance("hash_key", key), &all);
        let mut owners = HashSet::new();
        for user in 0..24 {
            let asked: HashSet<_> = (0..3)
                .map(|number| {
                    let head = match key {
                        "header.X-User" => field(format!("/svc/{number}"), format!("x-user: {user}\r\n")),
                        "cookie.sid" => field(format!("/svc/{number}"), format!("Cookie: other=1; sid={user}\r\n")),
                        _ => field(format!("/svc/{number}?a={number}&user={user}"), String::new()),
                    };
                    owner(&all, || assert_eq!(gateway.connect().ask(head).status(), 200))
                })
                .collect();
            assert_eq!(asked.len(), 1, "{key}, {user}");
            owners.extend(asked);
        }
        assert_eq!(owners.len(), 3, "{key}");
        assert!(split(&gateway, &all, 48).iter().all(|count| *count >= 8), "{key}");
    }
}

#[test]
fn ip_hash_keeps_each_client_with_its_endpoint() {
    let origins = three();
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "ip_hash"), &all);
    let mut owners = HashSet::new();
    for client in 1..=24 {
        let address = Ipv4Addr::new(127, 0, 7, client);
        let asked: HashSet<_> = (0..3)
            .map(|number| {
                let mut client = Client::connect_from(address, gateway.address());
                owner(&all, || assert_eq!(client.get(&format!("/svc/{number}")).status(), 200))
            })
            .collect();
        assert_eq!(asked.len(), 1, "{address}");
        owners.extend(asked);
    }
    assert_eq!(owners.len(), 3);
}

#[test]
fn when_an_endpoint_is_lost_only_its_keys_move() {
    let origins = three();
    let all: Vec<_> = origins.iter().collect();
    let gateway = start(service(&all, "consistent_hash"), &all);
    let ask = |number: usize| assert_eq!(gateway.connect().get(&format!("/svc/{number}")).status(), 200);
    let before: Vec<_> = (0..30).map(|number| owner(&all, || ask(number))).collect();
    let [lost, first, second] = origins;
    drop(lost);
    let left = [&first, &second];
    for (number, owned) in before.into_iter().enumerate() {
        let now = owner(&left, || ask(number)) + 1;
        assert!(owned == 0 || owned == now, "{number} was at {owned} and is at {now}");
    }
}

#[test]
fn a_key_that_everybody_asks_for_spills_over_where_loads_are_bounded() {
    for (bound, expected) in [(0, vec![0, 0, 12]), (150, vec![0, 6, 6]), (100, vec![4, 4, 4])] {
        let gate = Arc::new(AtomicBool::new(false));
        let origins = [held(&gate), held(&gate), held(&gate)];
        let all: Vec<_> = origins.iter().collect();
        let gateway = start(service(&all, "consistent_hash").balance("hash_load_max", bound), &all);
        let mut clients = Vec::new();
        for number in 1..=12 {
            let mut client = gateway.connect();
            client.send("GET /svc/slow HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(eventually(|| taken(&all).iter().sum::<usize>() == number));
            clients.push(client);
        }
        gate.store(true, Ordering::SeqCst);
        let mut counts = taken(&all);
        counts.sort_unstable();
        assert_eq!(counts, expected, "with a bound of {bound} %");
        clients.iter_mut().for_each(|client| assert_eq!(client.answer().status(), 200));
    }
}
