//! The gateway as a process: start, wait until it serves, signal, stop, and what it printed.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;

use super::client::Client;
use super::conf::Conf;
use super::{PATIENCE, within};

/// How long a start may take: 48 workers on two busy cores.
const START: Duration = Duration::from_secs(60);
/// Listening ports lie below the range that the kernel gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

type Printed = Arc<Mutex<String>>;

fn copy_of(printed: &Printed) -> String {
    printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A running gateway. Dropping it kills the process.
pub(crate) struct Gateway {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
    stdout: Printed,
    stderr: Printed,
}

/// What a gateway left behind that ended instead of serving.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) printed: String,
}

impl Gateway {
    /// Starts it and waits until it serves.
    #[track_caller]
    pub(crate) fn start(conf: &Conf) -> Self {
        Self::start_with(conf, |_| ())
    }

    /// As `start`, with a change to the command before it runs.
    #[track_caller]
    pub(crate) fn start_with(conf: &Conf, prepare: impl Fn(&mut Command)) -> Self {
        let mut ended = None;
        // Another process may take the port between its choice and its use.
        for _ in 0..3 {
            match Self::try_start(conf, free_port(), &prepare) {
                Ok(gateway) => return gateway,
                Err(end) => ended = Some(end),
            }
        }
        panic!("the gateway does not start: {ended:?}");
    }

    /// Starts it on that port; the error tells how it ended when it ends instead of serving.
    pub(crate) fn try_start(conf: &Conf, port: u16, prepare: impl Fn(&mut Command)) -> Result<Self, Ended> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        conf.write(directory.path(), port);
        let mut command = Command::new(conf.program_path());
        command.arg("--cores").arg(conf.workers().to_string());
        if let Some(driver) = conf.driver_name() {
            command.arg("--driver").arg(driver);
        }
        command.arg(directory.path().join("module.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().expect("the binary runs");
        let stdout = collect(child.stdout.take().expect("piped"));
        let stderr = collect(child.stderr.take().expect("piped"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let gateway = Self { child, address, directory, stdout, stderr };
        gateway.wait_until_ready()
    }

    fn wait_until_ready(mut self) -> Result<Self, Ended> {
        let until = Instant::now() + START;
        while Instant::now() < until {
            if self.stdout().lines().any(|line| line.starts_with("gatekeeper ready")) {
                return Ok(self);
            }
            if let Some(status) = self.child.try_wait().expect("our own child") {
                thread::sleep(Duration::from_millis(50));
                return Err(Ended { status, printed: self.stdout() + &self.stderr() });
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the gateway is not ready after {START:?}: {}{}", self.stdout(), self.stderr());
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn stdout(&self) -> String {
        copy_of(&self.stdout)
    }

    pub(crate) fn stderr(&self) -> String {
        copy_of(&self.stderr)
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces its files; nothing is reloaded yet.
    pub(crate) fn rewrite_files(&self, conf: &Conf) {
        conf.write(self.directory.path(), self.address.port());
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("our own child");
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let mut status = None;
        within(limit, || {
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        status.unwrap_or_else(|| panic!("still running after {limit:?}"))
    }

    /// Processor time it has used, in the kernel and outside; the kernel counts hundredths of a second.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the process runs");
        let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the process runs").count()
    }

    /// Takes away the descriptors that it does not use now, but for these many above the highest.
    pub(crate) fn limit_descriptors_to_those_open_and(&self, spare: u64) {
        let path = format!("/proc/{}/fd", self.child.id());
        let open = std::fs::read_dir(path).expect("the process runs").filter_map(Result::ok);
        let numbers = open.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
        let limit = numbers.max().expect("it has descriptors") + 1 + spare;
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        prlimit(Some(self.pid()), Resource::Nofile, limit).expect("our own child");
    }

    /// Resident memory in bytes, from the kernel's own account.
    pub(crate) fn resident_bytes(&self) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
        let kilobytes: usize = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
        kilobytes * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let said = self.stdout() + &self.stderr();
            eprintln!("--- the gateway printed:\n{}", said.chars().take(8_000).collect::<String>());
        }
    }
}

fn collect(pipe: impl Read + Send + 'static) -> Printed {
    let printed = Printed::default();
    let copy = printed.clone();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut text = copy.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            text.push('\n');
        }
    });
    printed
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    let seed = u16::try_from(std::process::id() * 97 % u32::from(width)).expect("below the width");
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let port = PORTS.start + (seed + NEXT.fetch_add(1, Ordering::Relaxed)) % width;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port in {PORTS:?}");
}
