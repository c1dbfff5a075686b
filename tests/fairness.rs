//! A busy connection does not hold its core: of 10 ms timers beside it, nine in ten fire within 100 ms more.
//!
//! In scope: one shard on a real driver, a client that downloads and one that uploads without a pause, a timer
//! on the same core. With DEFER_TASKRUN a task that woke itself would starve timers and sockets alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatekeeper::config;
use gatekeeper::ids::{EpochId, WorkerId};
use gatekeeper::wall::addresses::Addresses;
use gatekeeper::wall::epoch::Epoch;
use gatekeeper::wall::health::{EndpointHealth, Health, Verdict};
use gatekeeper::wall::link;
use gatekeeper::wall::listen::Entrance;
use gatekeeper::wall::nonces::Nonces;
use gatekeeper::wall::rate::RateTable;
use gatekeeper::wall::slot::StatsFile;
use gatekeeper::worker::accept;
use gatekeeper::worker::accept::handover::Handovers;
use gatekeeper::worker::runtime;
use gatekeeper::worker::shard::{Shard, Shared};
use gatekeeper::worker::thread::driver::Driver;

const TIMER: Duration = Duration::from_millis(10);
const TIMERS: usize = 80;
/// How late nine in ten may fire. A core that one connection holds is held for as long as that is busy, here without end;
/// the kernel's own turns take some tens of milliseconds where threads are more than processors.
const DELAY_MAX: Duration = Duration::from_millis(100);
const BODY_BYTES: usize = 1 << 40;

/// Sends a body that does not end, whatever is asked, and reads what is sent.
fn endless_origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let reading = stream.try_clone().unwrap();
                std::thread::spawn(move || drain(reading));
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
                pour(stream, head.as_bytes());
            });
        }
    });
    address
}

fn pour(mut stream: TcpStream, head: &[u8]) {
    let piece = [b'x'; 64 * 1024];
    let mut alive = stream.write_all(head).is_ok();
    while alive {
        alive = stream.write_all(&piece).is_ok();
    }
}

fn drain(mut stream: TcpStream) {
    let mut piece = [0; 64 * 1024];
    while matches!(stream.read(&mut piece), Ok(n) if n > 0) {}
}

/// Downloads without a pause, or uploads as well.
fn busy_client(gateway: SocketAddr, uploads: bool) {
    let stream = TcpStream::connect(gateway).unwrap();
    let reading = stream.try_clone().unwrap();
    std::thread::spawn(move || drain(reading));
    let head = match uploads {
        true => format!("POST /svc HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY_BYTES}\r\n\r\n"),
        false => "GET /svc HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    };
    match uploads {
        true => drop(std::thread::spawn(move || pour(stream, head.as_bytes()))),
        false => {
            (&stream).write_all(head.as_bytes()).unwrap();
            std::mem::forget(stream);
        }
    }
}

fn epoch(origin: SocketAddr) -> Arc<Epoch> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("module.toml");
    let module = format!(
        "[[module]]\n[module.base]\nname = \"svc\"\n[[module.match_rule]]\nrule = \"/svc\"\n\
         [module.load_balance]\nip_list = \"{origin}\"\n"
    );
    std::fs::write(&file, module).unwrap();
    let snapshot = config::load(&file).unwrap().snapshot;
    let up = EndpointHealth { verdict: Verdict::Up, back_since: None, addresses: [].into() };
    let health = Health { endpoints: vec![up; snapshot.endpoints].into() };
    Arc::new(Epoch { id: EpochId(1), snapshot: Arc::new(snapshot), health: Arc::new(health), rows: Arc::default() })
}

/// How late each of `TIMERS` timers, one after the other, fired beside two busy connections.
fn delays(driver: Driver) -> Vec<Duration> {
    let origin = endless_origin();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = listener.local_addr().unwrap();
    let epoch = epoch(origin);
    driver.runtime().unwrap().block_on(async move {
        let (up, _reports) = link::report_channel().unwrap();
        let rates = Arc::new(RateTable::new(64));
        let handovers = Arc::new(Handovers::new(1).unwrap());
        let shared = Shared {
            workers: 1,
            pseudonym: "test".into(),
            rates,
            nonces: Arc::new(Nonces::new().unwrap()),
            addresses: Addresses::new(0),
            loads: Box::leak(Box::default()),
            connections_max: 1_000,
            handovers,
            origin: Instant::now(),
            journal: Arc::default(),
            stats: StatsFile::anonymous(1).unwrap(),
        };
        let shard: Rc<Shard> = Shard::new(WorkerId(0), shared, up, None);
        shard.adopt(epoch);
        runtime::spawn(shard.deadlines.clone().sweep(|| false, |_| ()));
        listener.set_nonblocking(true).unwrap();
        let door = accept::Door::open(listener, Entrance::Http, EpochId(1)).unwrap();
        runtime::spawn(accept::run(shard.clone(), door, Rc::new(accept::Gate::default())));
        busy_client(gateway, false);
        busy_client(gateway, true);
        runtime::sleep(Duration::from_millis(200)).await;
        let mut delays = Vec::new();
        for _ in 0..TIMERS {
            let start = Instant::now();
            runtime::sleep(TIMER).await;
            delays.push(start.elapsed().saturating_sub(TIMER));
        }
        assert_eq!(shard.open().exchanges, 2, "both connections stayed busy");
        delays
    })
}

fn judge(driver: Driver) {
    let mut delays = delays(driver);
    delays.sort_unstable();
    // The worst tenth is the machine's: other processes have its cores, too.
    let worst_counted = delays[delays.len() * 9 / 10];
    assert!(worst_counted <= DELAY_MAX, "{driver}: a 10 ms timer fired {worst_counted:?} late");
}

#[test]
fn a_busy_connection_does_not_starve_timers_on_the_best_driver() {
    judge(Driver::best().0);
}

#[test]
fn a_busy_connection_does_not_starve_timers_on_epoll() {
    judge(Driver::Epoll);
}
