//! Origins that follow a script, however bad, and remember exactly what reached them.
//!
//! Health probes (`GET /gk-probe`, or a connection without a byte) are answered here and never reach
//! a script, so that a test sees only what a client caused.

use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::message::{Body, Framing, Head, text};
use super::wire::{Gone, Wire};
use super::{PATIENCE, eventually};

/// Path of the health probe in every configuration of the harness.
pub(crate) const PROBE: &str = "/gk-probe";

/// A request as it reached an origin.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) framing: Framing,
    pub(crate) body: Body,
}

impl Request {
    pub(crate) fn method(&self) -> &str {
        self.head.word(0)
    }

    pub(crate) fn target(&self) -> &str {
        self.head.word(1)
    }
}

/// What an origin remembers.
#[derive(Default)]
struct Memory {
    stopped: AtomicBool,
    sick: AtomicBool,
    probes: AtomicUsize,
    connections: AtomicUsize,
    heads: Mutex<Vec<Head>>,
    requests: Mutex<Vec<Request>>,
    open: Mutex<Vec<Socket>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listening origin. Dropping it closes its listener and every connection.
pub(crate) struct Origin {
    listener: Arc<Socket>,
    node: String,
    memory: Arc<Memory>,
}

impl Origin {
    /// Runs the script on every connection that carries a request.
    pub(crate) fn scripted(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let socket = bind(Domain::IPV4, &SocketAddr::from(([127, 0, 0, 1], 0)).into());
        let node = socket.local_addr().expect("bound").as_socket().expect("an IP address").to_string();
        Self::listen(socket, node, script)
    }

    /// On that address; port 0 is any.
    pub(crate) fn scripted_at(address: SocketAddr, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let socket = bind(Domain::for_address(address), &address.into());
        let node = socket.local_addr().expect("bound").as_socket().expect("an IP address").to_string();
        Self::listen(socket, node, script)
    }

    /// On a Unix socket.
    pub(crate) fn scripted_unix(path: &Path, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let socket = bind(Domain::UNIX, &SockAddr::unix(path).expect("a short path"));
        Self::listen(socket, format!("unix:{}", path.display()), script)
    }

    /// Reads every request whole and answers each with the same bytes.
    pub(crate) fn replying(answer: impl AsRef<[u8]>) -> Self {
        let answer = answer.as_ref().to_vec();
        Self::scripted(move |peer| while peer.request().is_some() && peer.send(&answer) {})
    }

    /// Answers 200 with a fixed short body.
    pub(crate) fn ok() -> Self {
        Self::replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    }

    /// Answers 200 with the request's own body, chunked if it came chunked.
    pub(crate) fn echoing() -> Self {
        Self::scripted(|peer| {
            while let Some(request) = peer.request() {
                let body = &request.body.bytes;
                let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
                answer.extend_from_slice(body);
                peer.send(&answer);
            }
        })
    }

    fn listen(listener: Socket, node: String, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        listener.listen(1024).expect("a bound socket listens");
        let origin = Self { listener: Arc::new(listener), node, memory: Arc::default() };
        let (listener, memory, script) = (origin.listener.clone(), origin.memory.clone(), Arc::new(script));
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if memory.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (memory, script) = (memory.clone(), script.clone());
                thread::spawn(move || serve(socket, memory, &*script));
            }
        });
        origin
    }

    /// As it is written in `ip_list`.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// The port of a TCP origin.
    pub(crate) fn port(&self) -> u16 {
        self.node.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a TCP origin")
    }

    /// Every request that came whole, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.memory.requests).clone()
    }

    /// Every request head, whether its body came whole or not.
    pub(crate) fn heads(&self) -> Vec<Head> {
        lock(&self.memory.heads).clone()
    }

    /// Waits for that many whole requests.
    #[track_caller]
    pub(crate) fn expect_requests(&self, count: usize) -> Vec<Request> {
        eventually(|| lock(&self.memory.requests).len() >= count);
        let requests = self.requests();
        assert_eq!(requests.len(), count, "{requests:?}");
        requests
    }

    /// The only request so far.
    #[track_caller]
    pub(crate) fn only(&self) -> Request {
        self.expect_requests(1).remove(0)
    }

    /// Connections that carried a request.
    pub(crate) fn connections(&self) -> usize {
        self.memory.connections.load(Ordering::SeqCst)
    }

    /// Health probes answered.
    pub(crate) fn probes(&self) -> usize {
        self.memory.probes.load(Ordering::SeqCst)
    }

    /// Makes health probes fail with 500, or succeed again.
    pub(crate) fn set_sick(&self, sick: bool) {
        self.memory.sick.store(sick, Ordering::SeqCst);
    }

    /// Closes every connection now open; the listener stays.
    pub(crate) fn drop_connections(&self) {
        for socket in lock(&self.memory.open).drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.memory.stopped.store(true, Ordering::SeqCst);
        let _ = self.listener.shutdown(Shutdown::Both);
        self.drop_connections();
    }
}

fn bind(domain: Domain, address: &SockAddr) -> Socket {
    let socket = Socket::new(domain, Type::STREAM, None).expect("descriptors");
    if domain != Domain::UNIX {
        socket.set_reuse_address(true).expect("a fresh socket");
    }
    socket.bind(address).unwrap_or_else(|error| panic!("bind {address:?}: {error}"));
    socket
}

fn serve(socket: Socket, memory: Arc<Memory>, script: &(impl Fn(&mut Peer) + ?Sized)) {
    let _ = socket.set_tcp_nodelay(true);
    if let Ok(twin) = socket.try_clone() {
        lock(&memory.open).push(twin);
    }
    let mut peer = Peer { wire: Wire::new(socket), memory, connection: 0, first: None };
    // An idle pooled connection is not an error of the origin's: it waits as long as the test runs.
    peer.wire.patience = Duration::from_secs(120);
    let Some(head) = peer.first_head() else { return };
    peer.connection = peer.memory.connections.fetch_add(1, Ordering::SeqCst);
    peer.first = Some(head);
    script(&mut peer);
}

/// An origin's side of one connection, in the hands of its script.
pub(crate) struct Peer {
    pub(crate) wire: Wire,
    memory: Arc<Memory>,
    /// Which connection this is, counted from 0.
    pub(crate) connection: usize,
    first: Option<Head>,
}

impl Peer {
    /// The first head that is not a probe's.
    fn first_head(&mut self) -> Option<Head> {
        loop {
            let head = Head::receive(&mut self.wire).ok()?;
            if head.word(1) != PROBE {
                return Some(head);
            }
            let sick = self.memory.sick.load(Ordering::SeqCst);
            let status = if sick { "500 Sick" } else { "200 OK" };
            self.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
            self.memory.probes.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The next request's head, its body not yet read. `None` when the connection ends instead.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let head = match self.first.take() {
            Some(head) => head,
            None => Head::receive(&mut self.wire).ok()?,
        };
        lock(&self.memory.heads).push(head.clone());
        Some(head)
    }

    /// The body of the request whose head was read last; remembered as a request when it is whole.
    pub(crate) fn body(&mut self, head: Head) -> Result<Request, (Body, Gone)> {
        let framing = Framing::of(&head, Framing::Nothing);
        let body = Body::receive(&mut self.wire, framing)?;
        let request = Request { head, framing, body };
        lock(&self.memory.requests).push(request.clone());
        Ok(request)
    }

    /// The next whole request.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let head = self.head()?;
        self.body(head).ok()
    }

    /// Sends, and says whether the gateway took it.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.try_send(bytes.as_ref()).is_ok()
    }

    /// Sends one byte at a time with a pause between.
    pub(crate) fn trickle(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes {
            self.send([*byte]);
            thread::sleep(pause);
        }
    }

    /// Makes the coming close a reset.
    pub(crate) fn reset_on_close(&self) {
        self.wire.socket().set_linger(Some(Duration::ZERO)).expect("linger is settable");
        self.forget();
    }

    /// Removes the second handle, so that the socket closes when the script ends.
    fn forget(&self) {
        let mine = self.wire.socket().peer_addr().ok().and_then(|address| address.as_socket());
        lock(&self.memory.open).retain(|twin| twin.peer_addr().ok().and_then(|a| a.as_socket()) != mine);
    }

    /// How the gateway ends this connection, and what it sent before.
    pub(crate) fn until_gone(&mut self, patience: Duration) -> (String, Gone) {
        self.wire.patience = patience;
        let (bytes, gone) = self.wire.rest();
        (text(&bytes), gone)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.forget();
    }
}

/// A healthy endpoint that `close_up` turns into one where connections neither open nor fail.
pub(crate) struct Unreachable {
    origin: Origin,
    pub(crate) node: String,
}

impl Unreachable {
    pub(crate) fn new() -> Self {
        let origin = Origin::ok();
        let node = origin.node().to_owned();
        Self { origin, node }
    }

    pub(crate) fn probes(&self) -> usize {
        self.origin.probes()
    }

    /// Stops accepting and fills the backlog. The returned sockets keep it full.
    #[must_use]
    pub(crate) fn close_up(&self) -> Vec<Socket> {
        let address = self.origin.listener.local_addr().expect("bound");
        // The accepting thread takes one more connection and ends.
        self.origin.memory.stopped.store(true, Ordering::SeqCst);
        let last = Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors");
        last.connect_timeout(&address, PATIENCE).expect("it still accepts");
        assert!(eventually(|| Arc::strong_count(&self.origin.listener) == 1), "the accepting thread ends");
        self.origin.listener.listen(0).expect("a listener's backlog can be changed");
        let mut filling = vec![last];
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("descriptors");
            match socket.connect_timeout(&address, Duration::from_millis(200)) {
                Ok(()) => filling.push(socket),
                Err(error) if error.kind() == ErrorKind::TimedOut => return filling,
                Err(error) => panic!("filling a backlog: {error}"),
            }
        }
        panic!("the backlog never fills");
    }
}
