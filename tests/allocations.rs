//! A request on an established connection with a pooled upstream allocates nothing on its core, whether it is traced or
//! not, whether filters look at its heads or not, by whichever rule its endpoint is chosen, and whatever its service has
//! against endpoints that fail.
//!
//! In scope: counting the allocations of worker threads in a gateway that runs in this process. Out of scope:
//! control and the test's own threads, which allocate as they like.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gatekeeper::Gateway;
use gatekeeper::cli;
use gatekeeper::control::upgrade::Inherited;
use gatekeeper::filter::{HttpFilter, Request, Response, Verdict};

/// So many that every buffer and pool has been made.
const WARM_REQUESTS: usize = 2_000;
const ROUND_REQUESTS: usize = 400;
/// A health epoch or the once-a-second sweep may fall into a round. What every tenth request of a path allocates shows
/// 40 times.
const ROUND_ALLOCATIONS: u64 = 20;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<Option<bool>> = const { Cell::new(None) };
}

struct Counting;

fn count() {
    // Naming a thread allocates nothing; the first look is remembered because it is not free.
    let counted = COUNTED.try_with(|known| {
        known.get().unwrap_or_else(|| {
            known.set(Some(false));
            let is_worker = std::thread::current().name().is_some_and(|name| name.starts_with("gk-worker"));
            known.set(Some(is_worker));
            is_worker
        })
    });
    if counted == Ok(true) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "a global allocator cannot be written without")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Answers every request on every connection with twelve bytes.
fn origin() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(n) = stream.read(&mut bytes) {
        let whole = n >= 4 && bytes[..n].ends_with(b"\r\n\r\n");
        if n == 0 || !whole || stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world").is_err() {
            return;
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn ask(client: &mut TcpStream, path: &str) {
    // In one write: a head that comes in pieces is another case.
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    while !answer.ends_with(b"hello, world") {
        let n = client.read(&mut bytes).unwrap();
        assert!(n > 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..n]);
    }
}

fn connect(port: u16) -> TcpStream {
    let tries = (0..200).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let stream = tries.expect("the gateway listens within ten seconds");
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Changes the heads of requests and answers.
struct Heads;

impl HttpFilter for Heads {
    fn on_request(&self, request: &mut Request<'_>) -> Verdict {
        let from = if request.client().is_loopback() { "near" } else { "far" };
        request.set("x-asked", from)?;
        Ok(request.remove("accept")?)
    }

    fn on_response(&self, request: &Request<'_>, response: &mut Response<'_>) -> Verdict {
        assert_eq!(request.path(), b"/filtered/a");
        let status = if response.status() == 200 { "well" } else { "else" };
        Ok(response.add("x-answered", status)?)
    }
}

/// A service whose endpoint is chosen by this rule, with all that belongs to it.
fn balanced(rule: &str, origins: [u16; 2]) -> String {
    let bound = if rule == "consistent_hash" { "hash_load_max = 150" } else { "" };
    format!(
        r#"
        [[module]]
        [module.base]
        name = "{rule}"
        [[module.match_rule]]
        rule = "/{rule}"
        [module.load_balance]
        check_interval = 600000
        ip_list = "127.0.0.1:{},127.0.0.1:{}"
        type = "{rule}"
        slow_start = 1000
        {bound}
        "#,
        origins[0], origins[1]
    )
}

/// A service with all that there is against endpoints that fail, but copies, which are requests of their own.
fn resilient(origin: u16) -> String {
    format!(
        r#"
        [[module]]
        [module.base]
        name = "resilient"
        [[module.match_rule]]
        rule = "/resilient"
        [module.load_balance]
        check_interval = 600000
        ip_list = "127.0.0.1:{origin}"
        [module.retry]
        attempts = 3
        attempt_timeout = 5000
        [module.breaker]
        of = "both"
        failures = 5
        error_rate = 0.5
        [module.ejection]
        failures = 5
        [module.concurrency]
        max = 10
        "#
    )
}

#[test]
fn a_steady_request_allocates_nothing() {
    let (origin, second, port) = (origin(), origin(), free_port());
    let folder = tempfile::tempdir().unwrap();
    let module = format!(
        r#"
        [[module]]
        [module.base]
        load_type = "http"
        name = "svc"
        [[module.match_rule]]
        type = "url_prefix"
        rule = "/plain"
        [[module.match_rule]]
        type = "url_prefix"
        rule = "/rewritten"
        url_rewrite = "^/rewritten/([a-z]+)/(.*) /$2/$1"
        [[module.match_rule]]
        type = "url_pattern"
        rule = "/typed/(number):id/*"
        host = "a"
        method = "GET"
        [[module.match_rule]]
        type = "url_regex"
        rule = "^/found/[a-z]+$"
        conditions = ["header.user-agent ~ ^te", "header.accept != x"]
        [[module.match_rule]]
        type = "url_prefix"
        rule = "/shaped"
        url_rewrite = "^/shaped(.*) $1"
        [[module.header]]
        name = "X-Told"
        value = "$(client.address) $(origin.query.page)"
        [[module.header]]
        on = "response"
        name = "X-Team"
        value = "core"
        [module.cors]
        allow_origins = "https://app.test"
        [[module.validation]]
        part = "query.page"
        matches = ["^[0-9]+$"]
        [module.load_balance]
        check_method = "tcpchk"
        check_interval = 600000
        ip_list = "127.0.0.1:{origin}"
        proxy_connect_timeout = 1000
        [module.access_control]
        open = 1
        white_list = "127.0.0.0/8"
        client_flow_limit = 1000000
        [[module.limit]]
        by = "header.host"
        rate = 1000000
        [[module.limit]]
        by = "endpoint"
        rate = 1000000
        [[module]]
        [module.base]
        name = "filtered"
        [[module.match_rule]]
        rule = "/filtered"
        [module.load_balance]
        check_interval = 600000
        ip_list = "127.0.0.1:{origin}"
        [[module.filter]]
        name = "heads"
        "#
    );
    let rules =
        ["consistent_hash", "random", "least_requests", "peak_ewma"].map(|rule| balanced(rule, [origin, second]));
    std::fs::write(folder.path().join("module.toml"), module + &rules.concat() + &resilient(origin)).unwrap();
    // All requests are logged, and half of them are traced; nobody collects.
    let base = format!(
        "[base]\nwatch = false\n[log.file_writer]\non = true\nlog_path = {:?}\n[http]\naddr = \"127.0.0.1:{port}\"\n[trace]\non = true\nsample_ratio = 0.5\n\
         endpoint = \"http://127.0.0.1:9\"\n",
        folder.path().join("log")
    );
    std::fs::write(folder.path().join("base.toml"), base).unwrap();
    let file = folder.path().join("module.toml");
    let options = cli::Run { file, cores: Some(1), driver: cli::Driver::Auto, pid_file: None };
    let filters = Gateway::new().http_filter("heads", |_: BTreeMap<String, String>| Ok(Heads)).into_filters();
    std::thread::spawn(move || gatekeeper::run::run(&options, Inherited::default(), filters));

    let mut client = connect(port);
    let paths = [
        "/plain/a",
        "/rewritten/abc/def",
        "/typed/17/a",
        "/found/abc",
        "/shaped/x?page=7",
        "/consistent_hash/a?b",
        "/random",
        "/least_requests",
        "/peak_ewma",
        "/resilient",
        "/filtered/a",
    ];
    for path in paths.iter().cycle().take(WARM_REQUESTS) {
        ask(&mut client, path);
    }
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > 0, "the counter counts");
    // Each path by itself, so that none hides behind those that allocate nothing; then all in turn.
    let rounds = || paths.chunks(1).chain([&paths[..]]);
    for asked in rounds() {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for path in asked.iter().cycle().take(ROUND_REQUESTS) {
            ask(&mut client, path);
        }
        let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert!(made < ROUND_ALLOCATIONS, "{made} allocations in {ROUND_REQUESTS} requests for {asked:?}");
    }
    let requests = WARM_REQUESTS + rounds().count() * ROUND_REQUESTS;
    let is_logged =
        || std::fs::read_to_string(folder.path().join("log")).is_ok_and(|log| log.lines().count() == requests);
    assert!(
        (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            is_logged()
        }),
        "all are logged"
    );
}
