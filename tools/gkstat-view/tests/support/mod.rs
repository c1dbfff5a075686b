//! A gateway in this process under steady traffic, for all tests of a program.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use gatekeeper::cli;
use gatekeeper::control::upgrade::Inherited;
use gatekeeper::wall::slot::read::Stats;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers every request with two bytes.
fn origin() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

fn write_files(folder: &Path, port: u16, wires: u16, origin: u16, stats: &Path) {
    let mut module = String::new();
    for name in ["orders", "payments"] {
        module += &format!(
            "[[module]]\nbase.name = \"{name}\"\nbase.load_type = \"http\"\n\
             match_rule = [{{ type = \"url_prefix\", rule = \"/{name}\" }}]\n\
             load_balance.check_method = \"tcpchk\"\nload_balance.ip_list = \"127.0.0.1:{origin}\"\n"
        );
    }
    module += &format!(
        "[[module]]\nbase.name = \"wires\"\nbase.load_type = \"tcp\"\nbase.frontend_addr = \"127.0.0.1:{wires}\"\n\
         load_balance.check_method = \"tcpchk\"\nload_balance.ip_list = \"127.0.0.1:{origin}\"\n"
    );
    std::fs::write(folder.join("module.toml"), module).expect("written");
    let base = format!("[base]\nwatch = false\nstats_dir = {stats:?}\n[http]\naddr = \"127.0.0.1:{port}\"\n");
    std::fs::write(folder.join("base.toml"), base).expect("written");
}

/// Some hundred requests a second to these paths in turn, for ever.
fn load(port: u16, paths: &[&str]) {
    let mut stream = connect(port);
    for path in paths.iter().cycle() {
        let mut bytes = [0; 4096];
        let asked = write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        if asked.is_err() || !stream.read(&mut bytes).is_ok_and(|count| count > 0) {
            stream = connect(port);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn connect(port: u16) -> TcpStream {
    let start = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(start.elapsed() < PATIENCE, "the gateway does not listen: {error}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The folder with the stats file of a gateway with two workers under load.
pub(crate) fn busy() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let stats = tempfile::tempdir_in("/dev/shm").expect("a tmpfs at /dev/shm").keep();
        let files = tempfile::tempdir().expect("a folder").keep();
        let (port, wires, origin) = (free_port(), free_port(), origin());
        write_files(&files, port, wires, origin, &stats);
        let file = files.join("module.toml");
        let options = cli::Run { file, cores: Some(2), driver: cli::Driver::Auto, pid_file: None };
        thread::spawn(move || {
            gatekeeper::run::run(&options, Inherited::default(), gatekeeper::filter::Registry::default())
        });
        thread::spawn(move || load(port, &["/orders/1", "/orders/2", "/orders/3", "/payments/1", "/nowhere"]));
        thread::spawn(move || load(wires, &["/"]));
        eventually(|| Stats::newest(std::slice::from_ref(&stats)).is_ok_and(|stats| requests(&stats) > 20));
        stats
    })
}

fn requests(stats: &Stats) -> u64 {
    stats.read().cores.iter().map(|core| core.get("requests_2xx_total")).sum()
}

/// Waits until it holds.
#[track_caller]
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it does not come true");
        thread::sleep(Duration::from_millis(20));
    }
}
