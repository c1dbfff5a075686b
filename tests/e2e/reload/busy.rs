//! 200 busy clients through 200 reloads: no request fails, and each answer is of an epoch that was in
//! force while it was worked on.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Client, Conf, Gateway, Origin, Service};

const CLIENTS: usize = 200;
const RELOADS: usize = 200;
/// On the black list of every odd configuration.
const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// Configuration number `k`: the rewrite tells the service, and so the client, which one served it.
fn numbered(k: usize, origins: &[Origin]) -> Conf {
    let mut endpoints: Vec<_> = origins.iter().collect();
    endpoints.rotate_left(k % origins.len());
    endpoints.truncate(2);
    let weights: Vec<u32> = [10, 20, 30].iter().map(|weight| weight + u32::try_from(k % 7).expect("small")).collect();
    let listed = if k % 2 == 1 { "127.0.0.9,10.0.0.0/8" } else { "10.0.0.0/8" };
    let service = Service::at("/svc", &endpoints)
        .rewrite(&format!("^/svc(.*) /e{k}$1"))
        .weights(&weights[..2])
        .access("open", 1)
        .access("black_list", listed)
        .access("white_list", "127.0.0.0/8");
    let other = Service::at(&format!("/other-{k}"), &endpoints);
    let conf = Conf::new();
    if k.is_multiple_of(3) { conf.service(other).service(service) } else { conf.service(service).service(other) }
}

struct Progress {
    /// The newest configuration that was written to the files.
    written: AtomicUsize,
    /// The newest whose reload was answered.
    acknowledged: AtomicUsize,
    done: AtomicBool,
}

/// Which configuration served a request, as the service saw it or as the list says.
fn client(gateway: &Gateway, progress: &Progress, source: Ipv4Addr) -> usize {
    let mut client = Client::connect_from(source, gateway.address());
    let mut asked = 0;
    while !progress.done.load(Ordering::SeqCst) {
        let oldest = progress.acknowledged.load(Ordering::SeqCst);
        let answer = client.get("/svc/x");
        let newest = progress.written.load(Ordering::SeqCst);
        if source == LISTED && answer.status() == 403 {
            assert_eq!(answer.reason(), "black_listed");
            assert!((oldest..=newest).any(|k| k % 2 == 1), "refused between {oldest} and {newest}");
        } else {
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let seen = answer.text();
            let number = seen.trim_start_matches("/e").trim_end_matches("/x").parse().expect("a number");
            assert!((oldest..=newest).contains(&number), "served by {number} between {oldest} and {newest}");
            assert!(source != LISTED || number % 2 == 0, "served by {number}, which lists this address");
        }
        asked += 1;
        thread::sleep(Duration::from_millis(150));
    }
    asked
}

#[test]
fn busy_clients_see_no_reload() {
    let origins: [Origin; 3] = std::array::from_fn(|_| {
        Origin::scripted(|peer| {
            while let Some(request) = peer.request() {
                let body = request.target();
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
            }
        })
    });
    let gateway = Gateway::start(&numbered(0, &origins));
    let progress =
        Progress { written: AtomicUsize::new(0), acknowledged: AtomicUsize::new(0), done: AtomicBool::new(false) };
    let (gateway, progress) = (&gateway, &progress);
    let asked: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let source = if number % 20 == 0 { LISTED } else { Ipv4Addr::LOCALHOST };
                scope.spawn(move || client(gateway, progress, source))
            })
            .collect();
        let reloads = thread::Builder::new()
            .spawn_scoped(scope, || {
                let mut asking = gateway.connect();
                for k in 1..=RELOADS {
                    progress.written.store(k, Ordering::SeqCst);
                    gateway.rewrite_files(&numbered(k, &origins));
                    let answer = asking.get("/reload");
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                    progress.acknowledged.store(k, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                }
            })
            .expect("a thread");
        let reloaded = reloads.join();
        progress.done.store(true, Ordering::SeqCst);
        assert!(reloaded.is_ok(), "a reload failed");
        clients.into_iter().map(|client| client.join().expect("a client failed")).sum()
    });
    assert!(asked > CLIENTS * 10, "{asked} requests are not busy");
}
