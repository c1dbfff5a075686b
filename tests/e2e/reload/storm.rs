//! Long-lived tunnels through a storm of reloads that change everything but their own services: none is
//! closed, every byte is right, and neither memory nor descriptors grow.
//!
//! Half of the WebSockets are a real library's, the rest raw sockets whose frames are made here, so that a byte
//! out of place shows. Out of scope: requests through reloads (`busy`).

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::support::gateway::free_port;
use crate::support::{Client, Conf, Gateway, Origin, Service, eventually};

/// How many of everything; many workers on few cores get less to do.
struct Scale {
    library_websockets: usize,
    raw_websockets: usize,
    tcp: usize,
    reloads: usize,
}

const WHOLE: Scale = Scale { library_websockets: 500, raw_websockets: 500, tcp: 200, reloads: 200 };
const SMALL: Scale = Scale { library_websockets: 100, raw_websockets: 100, tcp: 50, reloads: 60 };
/// More workers than this share cores wherever the tests run.
const WORKERS_OF_WHOLE_MAX: usize = 8;
/// Memory and descriptors are compared from here on, when all that is kept for reuse is there.
const SETTLED_AFTER: usize = 20;
const TALKING_THREADS: usize = 8;
/// How long a tunnel may keep an echo: the machine may be busy, a lost one never comes.
const ECHO: Duration = Duration::from_secs(60);
const HANDSHAKE: &str = "GET /ws/chat HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A Python process that ends when its standard input does.
struct Peers {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peers {
    fn start(arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/reload/storm_peers.py");
        let mut child = Command::new("python3")
            .args([&["-B", script], arguments].concat())
            .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-python"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let line = self.lines.next().and_then(Result::ok);
        line.expect("a line of the Python peers; they need what tools/test-needs installs")
    }

    /// Lets it finish and gives its last line.
    #[track_caller]
    fn finish(&mut self) -> String {
        drop(self.child.stdin.take());
        let last = self.line();
        assert!(self.child.wait().expect("our own child").success(), "{last}");
        last
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A raw connection through the gateway, to something that sends back what it gets.
struct Tunnel {
    stream: TcpStream,
    framed: bool,
    state: u64,
    expected: Vec<u8>,
}

impl Tunnel {
    fn tcp(address: SocketAddr, number: usize) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway accepts");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(ECHO)).expect("a positive timeout");
        Self { stream, framed: false, state: number as u64 * 2 + 1, expected: Vec::new() }
    }

    fn websocket(address: SocketAddr, number: usize) -> Self {
        let mut tunnel = Self::tcp(address, number);
        tunnel.framed = true;
        tunnel.stream.write_all(HANDSHAKE.as_bytes()).expect("the gateway takes a handshake");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            tunnel.stream.read_exact(&mut byte).expect("an answer to the handshake");
            answer.extend(byte);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        tunnel
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// Sends a message of a random length; what comes back must be `expected`.
    fn say(&mut self) {
        let length = 1 + usize::try_from(self.next() % 3_000).expect("small");
        let payload: Vec<u8> = (0..length).map(|_| self.next().to_le_bytes()[3]).collect();
        if !self.framed {
            self.stream.write_all(&payload).expect("the tunnel takes bytes");
            self.expected = payload;
            return;
        }
        let mask = self.next().to_le_bytes();
        let head = |masked: u8| match u8::try_from(length) {
            Ok(short @ ..126) => vec![0x82, masked | short],
            _ => [&[0x82, masked | 126], u16::try_from(length).expect("small").to_be_bytes().as_slice()].concat(),
        };
        let masked = payload.iter().zip(mask[..4].iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let frame: Vec<u8> = head(0x80).into_iter().chain(mask[..4].iter().copied()).chain(masked).collect();
        self.stream.write_all(&frame).expect("the tunnel takes a frame");
        self.expected = [head(0), payload].concat();
    }

    fn hear(&mut self) {
        let mut heard = vec![0; self.expected.len()];
        self.stream.read_exact(&mut heard).expect("an echo");
        assert!(heard == self.expected, "an echo of {} bytes differs", heard.len());
    }
}

/// Says something on every tunnel and hears it back, until done. Gives how often.
fn talk(mut tunnels: Vec<Tunnel>, done: &AtomicBool) -> usize {
    let mut rounds = 0;
    while !done.load(Ordering::SeqCst) {
        tunnels.iter_mut().for_each(Tunnel::say);
        tunnels.iter_mut().for_each(Tunnel::hear);
        rounds += 1;
        thread::sleep(Duration::from_millis(300));
    }
    rounds
}

/// What the tunnels need: where their services are, and ports for listeners.
struct Places {
    origin: Origin,
    /// Of the two servers that send back what they get: WebSocket, bytes.
    echoes: [u16; 2],
    /// Of the tcp service under test, and of two that come and go. On an address of this process's own, because
    /// another's test may take a port while it is let go of.
    listeners: [SocketAddr; 3],
}

fn own_address() -> SocketAddr {
    let [high, low] = std::process::id().to_be_bytes()[2..].try_into().expect("two bytes");
    SocketAddr::from(([127, 77, high, low.max(1)], free_port()))
}

/// A service of load type tcp.
fn tcp(name: &str, listener: SocketAddr, nodes: Vec<String>) -> Service {
    let service = Service::with_nodes(name, nodes).base("load_type", "tcp").base("frontend_addr", listener.to_string());
    service.balance("check_method", "tcpchk")
}

/// Configuration number `k`: the tunnels' services first or last among others that come, go and change.
fn numbered(k: usize, places: &Places) -> Conf {
    let Places { origin, echoes, listeners } = places;
    let [websockets, bytes] = echoes.map(|port| vec![format!("127.0.0.1:{port}")]);
    let chat = Service::with_nodes("/ws", websockets).balance("check_method", "tcpchk");
    let chat = chat.balance("slow_connections_max", 4_000);
    let messages = tcp("messages", listeners[0], bytes.clone());
    let guest = |n: usize| tcp(&format!("guest-{}", k % 3), listeners[1 + n], bytes.clone());
    let weight = 10 + u32::try_from(k % 7).expect("small");
    let marker = Service::at(&format!("/mark-{k}"), &[origin])
        .weights(&[weight])
        .access("open", i64::from(k.is_multiple_of(2)))
        .access("black_list", "10.0.0.0/8")
        .access("white_list", "127.0.0.0/8")
        .access("client_flow_limit", i64::from(k.is_multiple_of(3)) * 1_000_000);
    let seasonal = (0..k % 5).map(|n| Service::at(&format!("/season-{n}-{}", k % 11), &[origin]));
    let conf = Conf::new().http("read_timeout", 20 + i64::try_from(k % 10).expect("small"));
    let conf = seasonal.fold(conf.service(marker), Conf::service);
    let conf = match k % 4 {
        0 => conf,
        which => conf.service(guest(which % 2)),
    };
    if k.is_multiple_of(2) { conf.service(chat).service(messages) } else { conf.service(messages).service(chat) }
}

/// SIGHUP with other files, and the moment when they are in force. An old answer may be a pooled connection's.
fn reload(gateway: &Gateway, conf: &Conf, k: usize, asking: &mut Client) {
    gateway.rewrite_files(conf);
    gateway.signal(Signal::HUP);
    let in_force = eventually(|| asking.get(&format!("/mark-{k}/x")).status() == 200);
    assert!(in_force, "reload {k} is not in force: {}", gateway.stderr().lines().last().unwrap_or("no log"));
}

fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard limit");
}

#[test]
fn tunnels_live_through_a_storm_of_reloads() {
    raise_descriptor_limit();
    let scale = if Conf::new().workers() > WORKERS_OF_WHOLE_MAX { SMALL } else { WHOLE };
    let mut echoes = Peers::start(&["origin"]);
    let places = Places {
        origin: Origin::ok(),
        echoes: [(); 2].map(|()| echoes.line().parse().expect("a port")),
        listeners: [(); 3].map(|()| own_address()),
    };
    let gateway = Gateway::start(&numbered(0, &places));
    let url = format!("ws://{}/ws/chat", gateway.address());
    let mut library = Peers::start(&["clients", &url, &scale.library_websockets.to_string()]);
    let websockets = (0..scale.raw_websockets).map(|n| Tunnel::websocket(gateway.address(), n));
    let mut tunnels: Vec<_> = websockets.chain((0..scale.tcp).map(|n| Tunnel::tcp(places.listeners[0], n))).collect();
    assert_eq!(library.line(), "open");

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let share = tunnels.len().div_ceil(TALKING_THREADS);
        let mut talks = Vec::new();
        while !tunnels.is_empty() {
            let mine = tunnels.split_off(tunnels.len().saturating_sub(share));
            talks.push(scope.spawn(|| talk(mine, &done)));
        }
        let storm = scope.spawn(|| {
            let mut asking = gateway.connect();
            let mut settled = (0, 0);
            for k in 1..=scale.reloads {
                reload(&gateway, &numbered(k, &places), k, &mut asking);
                if k == SETTLED_AFTER {
                    settled = (gateway.resident_bytes(), gateway.descriptors());
                }
            }
            (settled, (gateway.resident_bytes(), gateway.descriptors()))
        });
        let measured = storm.join();
        done.store(true, Ordering::SeqCst);
        let rounds: Vec<_> = talks.into_iter().map(|talk| talk.join().expect("a tunnel failed")).collect();
        let (before, after) = measured.expect("a reload failed");
        assert!(rounds.iter().all(|rounds| *rounds > 1), "bytes flowed all the time: {rounds:?}");
        let said = library.finish();
        assert!(said.starts_with("said "), "{said}");
        // Pools, probes and lookups come and go with the configurations; a leak would be one for each reload at least.
        assert!(after.1 <= before.1 + scale.reloads / 2, "descriptors: {} and then {}", before.1, after.1);
        let slack = before.0 / 5 + 4 * 1024 * 1024;
        assert!(after.0 <= before.0 + slack, "resident bytes: {} and then {}", before.0, after.0);
    });
}
