//! A control loop with fake workers, a configuration of one endpoint per line, and origins on loopback.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::config::logs::{self, Format, Level, Logs, Writers};
use crate::config::{Fault, InForce, Loaded, Process};
use crate::control::Notes;
use crate::control::bind::{Group, Opened};
use crate::control::state::{Event, Pace};
use crate::control::{Life, Office, Outcome, thread::turn};
use crate::ids::{EndpointId, EpochId, WorkerId};
use crate::wall::access::{Access, AddressSet};
use crate::wall::balance::{Balance, Strategy};
use crate::wall::epoch::Epoch;
use crate::wall::health::{EndpointHealth, Verdict};
use crate::wall::link::{self, Order, Report, ReportSender, WorkerEnd};
use crate::wall::listen::{Entrance, Listen};
use crate::wall::routes::Routes;
use crate::wall::slot::StatsFile;
use crate::wall::snapshot::{
    Address, Check, CheckMethod, Endpoint, HostMode, HttpRules, RequestIdRules, Service, Snapshot, Upstream,
};
use crate::wall::tenants::Tenants;

/// Waits for something that takes a while, and fails when it does not come.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A snapshot with one service per endpoint.
pub(crate) fn snapshot(endpoints: Vec<(Address, Check)>) -> Snapshot {
    let services = endpoints.into_iter().enumerate().map(|(number, (address, check))| service(number, address, check));
    Snapshot::new(rules(), Routes::default(), services.collect(), Tenants::default())
}

fn service(number: usize, address: Address, check: Check) -> Service {
    let id = EndpointId(u32::try_from(number).expect("small"));
    let endpoint = Endpoint { id, node: "node".into(), address, weight: 1, forbidden: false };
    Service {
        name: format!("service{number}").into(),
        access: Access::default(),
        jwt: None,
        limits: None,
        body_bytes_max: 0,
        read_body_bytes_max: 0,
        trailers: false,
        host: HostMode::Default,
        headers: None,
        cors: None,
        validation: None,
        default_answer: None,
        upstream: Upstream {
            endpoints: [endpoint].into(),
            balance: Balance { strategy: Strategy::RoundRobin, weighted: true, slow_start_ms: 0, failure_percent: 0 },
            connect_timeout_ms: 1,
            request_timeout_ms: 0,
            request_timeout_408: false,
            header_timeout_ms: 1,
            body_timeout_ms: 1,
            tunnel_idle_ms: 1,
            tunnel_life_ms: 0,
            idle_max: 1,
            idle_timeout_ms: 1,
            connections_max: 1,
            slow_connections_max: 1,
            queue_timeout_ms: 1,
            queue_max: 1,
            check,
            resilience: None,
        },
        tcp: None,
        mirror: None,
        filters: None,
        down: false,
        splits: None,
    }
}

fn rules() -> HttpRules {
    HttpRules {
        route_prefix: Box::default(),
        specific_first: false,
        fixed_host: None,
        head_timeout_ms: 1,
        progress_timeout_ms: 1,
        connections_max: 0,
        address_connections_max: 0,
        body_rate_min: 0,
        answer_rate_min: 0,
        rate_grace_ms: 0,
        keepalive_timeout_ms: 1,
        half_close_grace_ms: 1,
        head_bytes_max: 1,
        uri_bytes_max: 1,
        fields_max: 1,
        trusted_proxies: Box::default(),
        proxy_from: AddressSet::default(),
        cluster: Box::default(),
        legacy_status: false,
        underscore_fields: false,
        merge_slashes: false,
        via: false,
        reason: true,
        request_id: RequestIdRules { header: None, from_client: true, on_answer: false },
        log_sample: 0,
        sampling: None,
    }
}

/// What the process needs when the file says nothing of it.
pub(crate) fn process() -> Process {
    Process {
        listens: vec![listen("127.0.0.1:8081", Entrance::Http)],
        reload_interval_ms: 0,
        reload_on_change: false,
        drain_delay_ms: 0,
        drain_window_ms: 1_000,
        upgrade_timeout_ms: 1_000,
        account: None,
        stats_dir: None,
        rate_keys_max: 32,
        dns_servers: Vec::new(),
        admin: None,
        store: None,
        zone: String::new(),
        logs: no_logs(),
        export: None,
    }
}

/// Nothing is written anywhere.
fn no_logs() -> Logs {
    let writers = Writers { level: Level::Info, file: None, wf: None, console: None };
    let access = logs::Access { writers: writers.clone(), format: Format::Json, sample: 0, redact: Box::default() };
    let (system, check, stat) = (writers.clone(), writers.clone(), writers);
    let (zone, rooms) = (jiff::tz::TimeZone::UTC, Box::default());
    Logs { zone, access, system, check, stat, stat_interval_s: 60, json: false, rooms }
}

/// Listeners without sockets: nothing is dealt.
pub(crate) fn unserved(listens: &[Listen]) -> Vec<Group> {
    listens.iter().map(|listen| Group { listen: listen.clone(), sockets: Vec::new() }).collect()
}

/// A listener on one address.
pub(crate) fn listen(address: &str, entrance: Entrance) -> Listen {
    Listen { address: address.parse().expect("address"), any: false, entrance }
}

/// Lines: `watch`, `timer MS`, `drain MS`, `server ADDR`, `listen ADDR`, or
/// `ADDRESS METHOD INTERVAL_MS TIMEOUT_MS RISE FALL` where METHOD is `tcp` or a path.
pub(crate) fn load(file: &Path) -> Result<Loaded, Vec<Fault>> {
    let text = fs::read_to_string(file).map_err(|error| vec![fault(file, &error.to_string())])?;
    let (mut process, mut endpoints) = (process(), Vec::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["watch"] => process.reload_on_change = true,
            ["timer", ms] => process.reload_interval_ms = ms.parse().expect("number"),
            ["server", address] => process.dns_servers.push(address.parse().expect("address")),
            ["drain", ms] => process.drain_window_ms = ms.parse().expect("number"),
            ["listen", address] => process.listens = vec![listen(address, Entrance::Http)],
            [node, method, interval, timeout, rise, fall] => {
                let number = |word: &str| word.parse::<u32>().expect("number");
                let method = match method {
                    "tcp" => CheckMethod::Tcp,
                    path => CheckMethod::Http { path: path.into(), host: None, statuses: [(200, 200)].into() },
                };
                let (interval_ms, timeout_ms) = (number(interval), number(timeout));
                let check = Check { method, interval_ms, timeout_ms, rise: number(rise), fall: number(fall) };
                endpoints.push((address(node), check));
            }
            _ => return Err(vec![fault(file, "first fault"), fault(file, "second fault")]),
        }
    }
    let fingerprint = fingerprint(&text);
    Ok(Loaded {
        snapshot: snapshot(endpoints),
        process,
        warnings: Vec::new(),
        files: vec![file.into()],
        fingerprint,
        read_s: 0,
    })
}

/// The same as control wants it.
pub(crate) fn load_if_changed(file: &Path, in_force: &InForce) -> Result<Option<Loaded>, Vec<Fault>> {
    load(file).map(|loaded| Some(loaded).filter(|loaded| loaded.fingerprint != in_force.fingerprint))
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn address(node: &str) -> Address {
    if let Some(path) = node.strip_prefix("unix:") {
        return Address::Unix(path.into());
    }
    node.parse().map(Address::Socket).unwrap_or_else(|_| {
        let (name, port) = node.rsplit_once(':').expect("name and port");
        Address::Name(name.into(), port.parse().expect("port"))
    })
}

pub(crate) fn fault(file: &Path, message: &str) -> Fault {
    Fault { warning: false, file: file.into(), line: 0, column: 0, message: message.into(), help: None }
}

/// A worker that adopts what it is given, unless it is stuck.
pub(super) struct FakeWorker {
    pub(super) stuck: Arc<AtomicBool>,
    epochs: Arc<Mutex<Vec<Arc<Epoch>>>>,
    answers: crossbeam_channel::Receiver<(u64, u16, String)>,
    reports: ReportSender,
    worker: WorkerId,
}

impl FakeWorker {
    fn start(end: WorkerEnd) -> Self {
        let (stuck, epochs) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (answered, answers) = crossbeam_channel::unbounded();
        let (worker, reports) = (end.worker, end.reports.try_clone().expect("descriptors"));
        let (is_stuck, seen) = (Arc::clone(&stuck), Arc::clone(&epochs));
        thread::spawn(move || {
            end.reports.send(Report::Ready { worker, driver: "fake" });
            for order in &end.orders {
                if !matches!(order, Order::ReloadAnswer { .. }) {
                    eventually("unstuck", || !is_stuck.load(Ordering::Relaxed));
                }
                match order {
                    Order::Adopt(epoch) => {
                        let id = epoch.id;
                        seen.lock().expect("lock").push(epoch);
                        end.reports.send(Report::Adopted { worker, epoch: id });
                    }
                    Order::ReloadAnswer { ticket, status, text } => {
                        let _ = answered.send((ticket, status, text.into()));
                    }
                    Order::Ping => end.reports.send(Report::Pong { worker }),
                    Order::Listen { .. } | Order::Unlisten { .. } => {}
                    Order::Drain { .. } => break,
                }
            }
            end.reports.send(Report::Drained { worker, cut: 2, summary: String::new() });
        });
        Self { stuck, epochs, answers, reports, worker }
    }

    /// The epoch it runs on.
    pub(super) fn epoch(&self) -> Arc<Epoch> {
        let mut epoch = None;
        eventually("an epoch", || {
            epoch = self.epochs.lock().expect("lock").last().cloned();
            epoch.is_some()
        });
        epoch.expect("just seen")
    }

    /// Every epoch it has run on.
    pub(super) fn epochs(&self) -> Vec<Arc<Epoch>> {
        self.epochs.lock().expect("lock").clone()
    }

    /// What it knows of an endpoint.
    pub(super) fn health(&self, endpoint: u32) -> EndpointHealth {
        self.epoch().health.of(EndpointId(endpoint)).clone()
    }

    /// Waits for a verdict.
    pub(super) fn await_verdict(&self, endpoint: u32, verdict: Verdict) {
        eventually(&format!("endpoint {endpoint} {verdict:?}"), || self.health(endpoint).verdict == verdict);
    }

    /// Reports that it could not connect on the epoch it runs on.
    pub(super) fn connect_failed(&self, endpoint: u32) {
        self.reports.send(Report::ConnectFailed { epoch: self.epoch().id, endpoint: EndpointId(endpoint) });
    }

    /// Asks for a reload without waiting.
    pub(super) fn ask(&self, ticket: u64) {
        self.reports.send(Report::ReloadAsked { worker: self.worker, ticket });
    }

    /// The next answer.
    pub(super) fn answer(&self) -> (u64, u16, String) {
        self.answers.recv_timeout(Duration::from_secs(20)).expect("an answer")
    }

    /// Asks for a reload; status and text.
    pub(super) fn reload(&self) -> (u16, String) {
        self.ask(7);
        let (ticket, status, text) = self.answer();
        assert_eq!(ticket, 7);
        (status, text)
    }
}

/// Control, its workers and its file.
pub(super) struct House {
    pub(super) workers: Vec<FakeWorker>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) file: PathBuf,
    running: Option<JoinHandle<io::Result<Outcome>>>,
    _directory: tempfile::TempDir,
}

impl House {
    pub(super) fn open(workers: u16, text: &str) -> Self {
        let pace = Pace { answer: Duration::from_millis(300), ..Pace::default() };
        Self::open_with(workers, text, pace, Box::new(load_if_changed))
    }

    /// With other times or another loader.
    pub(super) fn open_with(workers: u16, text: &str, pace: Pace, load: Box<crate::control::Load>) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("module.toml");
        fs::write(&file, text).expect("file");
        let loaded = load(&file, &InForce::default()).expect("a good first file").expect("no text is in force");
        let (up, reports) = link::report_channel().expect("descriptors");
        let (links, workers) = (0..workers)
            .map(|worker| {
                let (control, end) = link::connect(WorkerId(worker), &up).expect("descriptors");
                (control, FakeWorker::start(end))
            })
            .unzip();
        let listening = Opened { groups: unserved(&loaded.process.listens), admin: None };
        let (spawn, ready) = (Box::new(|_| Err(io::ErrorKind::Unsupported.into())), Box::new(|_: &str| {}));
        let (copy, life) = (file.clone(), Life::default());
        let stats = StatsFile::anonymous(1).expect("room");
        let notes = Notes::quiet();
        let office = Office { file: copy, load, loaded, listening, links, spawn, reports, ready, life, stats, notes };
        let channel = mpsc::channel(64);
        let events = channel.0.clone();
        let running = Some(thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            runtime.block_on(turn(office, pace, channel))
        }));
        Self { workers, events, file, running, _directory: directory }
    }

    /// Writes the file anew.
    pub(super) fn write(&self, text: &str) {
        fs::write(&self.file, text).expect("file");
    }

    /// Writes another file and renames it over this one.
    pub(super) fn replace(&self, text: &str) {
        let next = self.file.with_extension("next");
        fs::write(&next, text).expect("file");
        fs::rename(next, &self.file).expect("rename");
    }

    pub(super) fn send(&self, event: Event) {
        self.events.blocking_send(event).expect("control runs");
    }

    /// Stops it; how it ended.
    pub(super) fn stop(self) -> Outcome {
        self.send(Event::Stop);
        self.ended().expect("an outcome")
    }

    /// Waits until it ends on its own.
    pub(super) fn ended(mut self) -> io::Result<Outcome> {
        self.running.take().expect("ends once").join().expect("no panic")
    }

    /// All workers run on this epoch.
    pub(super) fn await_epoch(&self, epoch: u64) {
        eventually(&format!("epoch {epoch}"), || self.workers.iter().all(|worker| worker.epoch().id == EpochId(epoch)));
    }
}

impl Drop for House {
    /// A loop left over from one test must not compete with the next.
    fn drop(&mut self) {
        for _ in 0..2 {
            let _ = self.events.try_send(Event::Stop);
        }
    }
}

/// An HTTP origin that answers every request on a new connection.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    pub(super) status: Arc<AtomicU16>,
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Origin {
    pub(super) fn open() -> Self {
        Self::open_at("127.0.0.1:0".parse().expect("address"))
    }

    pub(super) fn open_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("port");
        let mut origin = Self {
            address: listener.local_addr().expect("bound"),
            status: Arc::new(AtomicU16::new(200)),
            connections: Arc::default(),
            requests: Arc::default(),
            open: Arc::new(AtomicBool::new(true)),
            serving: None,
        };
        let (status, connections) = (Arc::clone(&origin.status), Arc::clone(&origin.connections));
        let (requests, open) = (Arc::clone(&origin.requests), Arc::clone(&origin.open));
        origin.serving = Some(thread::spawn(move || {
            for stream in listener.incoming() {
                if !open.load(Ordering::Relaxed) {
                    return;
                }
                connections.fetch_add(1, Ordering::Relaxed);
                let Ok(mut stream) = stream else { continue };
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).unwrap_or(0);
                requests.lock().expect("lock").push(String::from_utf8_lossy(&bytes[..read]).into_owned());
                let status = status.load(Ordering::Relaxed);
                let _ = write!(stream, "HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\n\r\nok");
            }
        }));
        origin
    }

    /// A line of the file: `GET /ping` every 50 ms.
    pub(super) fn line(&self) -> String {
        format!("{} /ping 50 1000 1 1\n", self.address)
    }

    /// Closes the listener; a connect is refused from now on.
    pub(super) fn close(mut self) {
        self.open.store(false, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
