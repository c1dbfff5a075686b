//! What the README promises, tried: its configuration serves, its commands print what it shows, its names exist.
//!
//! In scope: the README's own words. Out of scope: the behaviours it sums up, which `e2e` tests one by one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const README: &str = include_str!("../README.md");
const PATIENCE: Duration = Duration::from_secs(30);

/// The README's blocks of code in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn configuration() -> &'static str {
    let blocks = blocks("toml");
    assert_eq!(blocks.len(), 1, "one configuration");
    blocks[0]
}

/// The README's commands with what it says they print.
fn commands() -> Vec<(&'static str, &'static str)> {
    let commands = blocks("console").into_iter().flat_map(|block| block.split("$ ").skip(1));
    commands.filter_map(|text| text.split_once('\n')).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect(name)
}

fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file in it");
    }
    folder
}

fn gatekeeper(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gatekeeper")).current_dir(folder).args(words).output().expect("the binary runs")
}

/// Faults, then the summary, as a terminal shows them.
fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn check_and_explain_print_what_is_shown() {
    let faulty = configuration().replace("ip_list", "ip_lst");
    let folder = folder_with(&[("module.toml", configuration()), ("faulty.toml", &faulty)]);
    let mut tried = 0;
    for (command, wanted) in commands() {
        let Some(words) = command.strip_prefix("gatekeeper ") else { continue };
        let output = gatekeeper(folder.path(), &words.split(' ').collect::<Vec<_>>());
        assert_eq!(shown(&output), wanted, "{command}");
        assert_eq!(output.status.code(), Some(i32::from(words.contains("faulty"))), "{command}");
        tried += 1;
    }
    assert_eq!(tried, 3);
}

/// A gateway on a configuration, in a folder of its own.
struct Gateway {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    printed: String,
}

impl Gateway {
    fn start(module: &str, words: &[&str]) -> Self {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).expect("a port").port();
        let base = format!("[base]\nwatch = false\n[http]\naddr = \"127.0.0.1:{port}\"\n");
        let folder = folder_with(&[("module.toml", module), ("base.toml", &base)]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatekeeper"));
        command.current_dir(folder.path()).args(words).arg("module.toml").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary runs");
        let mut printed = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        while !printed.contains("gatekeeper ready") {
            assert!(lines.read_line(&mut printed).expect("text") > 0, "ended: {printed}");
        }
        Self { child, folder, address: (Ipv4Addr::LOCALHOST, port).into(), printed }
    }

    fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn ends_on(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).expect("our own child");
        let mut code = None;
        eventually(|| {
            let status = self.child.try_wait().expect("our own child");
            code = status.and_then(|status| status.code());
            status.is_some()
        });
        code
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service that answers `/` with the status and everything else with 200, and tells what else it is asked for.
fn service(status: &'static str) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    let (asked, targets) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().expect("a handle")).lines().map_while(Result::ok);
            let line = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let status = if target == "/" { status } else { "200 OK" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if target != "/" && asked.send(target).is_err() {
                return;
            }
        }
    });
    (address, targets)
}

fn with_endpoints(first: SocketAddr, second: SocketAddr) -> String {
    let text = configuration().replace("127.0.0.1:9001", &first.to_string());
    text.replace("127.0.0.1:9002", &second.to_string())
}

/// Waits until the condition holds, such as that both endpoints were probed.
fn eventually(mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_ten_lines_serve_as_described() {
    assert_eq!(configuration().lines().count(), 10);
    let ((first, to_first), (second, to_second)) = (service("200 OK"), service("200 OK"));
    let gateway = Gateway::start(&with_endpoints(first, second), &["--cores", "1"]);
    // Two of three go to the first once both were probed; before, either may be alone.
    eventually(|| {
        for _ in 0..9 {
            assert!(gateway.get("/shop/cart").starts_with("HTTP/1.1 200 OK\r\n"));
        }
        let (first, second): (Vec<_>, Vec<_>) = (to_first.try_iter().collect(), to_second.try_iter().collect());
        assert!(first.iter().chain(&second).all(|target| target == "/cart"));
        (first.len(), second.len()) == (6, 3)
    });
    assert!(gateway.get("/shopping").starts_with("HTTP/1.1 404 "));
}

#[test]
fn an_endpoint_that_does_not_answer_200_gets_nothing() {
    let ((good, to_good), (bad, to_bad)) = (service("200 OK"), service("503 Service Unavailable"));
    let gateway = Gateway::start(&with_endpoints(bad, good), &["--cores", "1"]);
    eventually(|| {
        (0..6).for_each(|_| drop(gateway.get("/shop/cart")));
        (to_good.try_iter().count(), to_bad.try_iter().count()) == (6, 0)
    });
}

/// The text with every number and trace id made the same.
fn masked(text: &str) -> String {
    let body = text.split("\r\n\r\n").last().unwrap_or_default().trim_end();
    let start = body.split("\"trace_id\":\"").next().unwrap_or_default();
    let words = start.split(' ').map(|word| if word.bytes().all(|byte| byte.is_ascii_digit()) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_reload_answers_as_shown() {
    let (_, wanted) = commands().into_iter().find(|(command, _)| command.ends_with("/reload")).expect("a reload");
    let (address, _targets) = service("200 OK");
    let gateway = Gateway::start(&with_endpoints(address, address), &["--cores", "4"]);
    let path = gateway.folder.path().join("module.toml");
    std::fs::write(&path, with_endpoints(address, address).replace("100,50", "50,50")).expect("written");
    assert_eq!(masked(&gateway.get("/reload")), masked(wanted));
    std::fs::write(&path, "[[module]]\n").expect("written");
    assert!(gateway.get("/reload").contains("is missing"), "faults are returned");
    assert!(gateway.get("/shop/a").starts_with("HTTP/1.1 200 "), "the configuration in force stays");
}

#[test]
fn both_signals_end_it_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (address, _targets) = service("200 OK");
        let gateway = Gateway::start(&with_endpoints(address, address), &["--cores", "2"]);
        assert_eq!(gateway.ends_on(signal), Some(0));
    }
}

#[test]
fn the_start_says_which_driver_runs_and_where_it_listens() {
    let (address, _targets) = service("200 OK");
    let tcp = "[[module]]\nbase = { name = \"db\", load_type = \"tcp\", frontend_addr = \":3306\" }\n\
               load_balance.ip_list = \"127.0.0.1:3307\"\n";
    let gateway = Gateway::start(&(with_endpoints(address, address) + tcp), &["--cores", "1", "--driver", "epoll"]);
    assert!(gateway.printed.contains("1 on epoll"), "{}", gateway.printed);
    assert!(gateway.printed.contains("listen     tcp://[::]:3306 (IPv4 and IPv6) → db"), "{}", gateway.printed);
}

#[test]
fn a_daily_quota_is_explained() {
    let app = "[[authirized_apps]]\napp_id = \"a\"\nsecret = \"b\"\nopen_api = \"/\"\ntotal_query_daily = 5\n";
    let module = configuration()
        .replace("  [module.load_balance]", "  [module.access_control]\n    open = 1\n  [module.load_balance]");
    let folder = folder_with(&[("module.toml", &module), ("app.toml", app)]);
    let said = shown(&gatekeeper(folder.path(), &["explain", "module.toml", "GET", "/shop/x?app_id=a&sign=b"]));
    assert!(said.contains("5 per day for the tenant; more: 429"), "{said}");
}

#[test]
fn the_flags_are_those_of_the_help() {
    let help = |words: &[&str]| shown(&gatekeeper(root(), words));
    // gkstat's help is held to its flags by its own tests; what the README tells of them stands in its options.
    let gkstat = include_str!("../tools/gkstat-view/src/main.rs").lines().map(|line| {
        let field = line.trim().split(": ").next().unwrap_or_default();
        format!("--{}\n", field.replace('_', "-"))
    });
    let all = help(&["--help"]) + &help(&["explain", "--help"]) + &gkstat.collect::<String>();
    let flags = README.split('`').skip(1).step_by(2).filter(|name| name.starts_with("--"));
    let flags: Vec<_> = flags.map(|text| text.split(' ').next().unwrap_or_default()).collect();
    assert!(flags.len() > 4, "{flags:?}");
    for flag in flags {
        assert!(all.contains(flag), "{flag} is not in the help");
    }
    for row in README.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 4) {
        let name = row.split('`').nth(1).unwrap_or_default();
        assert!(
            name.ends_with('/') || name.starts_with('-') || all.contains(&format!("- {name}:")),
            "{name} is no driver"
        );
    }
    let version = shown(&gatekeeper(root(), &["--version"]));
    assert_eq!(version, format!("gatekeeper {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_make_targets_exist_and_the_demo_prints_the_line_shown() {
    let makefile = file("Makefile") + &file("bench/bench.mk");
    let targets = README.split(['`', '\n']).filter_map(|text| text.strip_prefix("make "));
    for target in targets.filter(|target| !target.contains(' ')) {
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
    let line = blocks("sh").into_iter().find(|block| block.starts_with("curl")).expect("a line to try").trim();
    assert!(file("tools/demo").contains(line), "tools/demo prints {line}");
    let target = line.split("8700").nth(1).expect("a path");
    let said = shown(&gatekeeper(root(), &["explain", "conf/module.toml", "GET", target]));
    assert!(said.contains("verdict    forwarded to demo"), "{said}");
}

#[test]
fn the_version_of_rust_is_the_one_demanded() {
    let demanded = file("Cargo.toml");
    let version =
        demanded.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a version");
    assert!(README.contains(&format!("Rust {version}")), "{version}");
}
