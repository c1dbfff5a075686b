//! Upgrades under load: from any number of workers to any other, again and again, and to other addresses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use super::{Installed, Successor, status, upgrade};
use crate::support::gateway::free_port;
use crate::support::{Conf, Gateway, Origin, PATIENCE, Service, eventually};

/// Clients that ask as fast as they are answered, and count what goes wrong.
struct Load {
    done: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    /// Some on kept connections, some on one for each request.
    fn on(address: SocketAddr) -> Self {
        let (done, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..8)
            .map(|number| {
                let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
                thread::spawn(move || ask_on(address, number % 2 == 0, &done, &answered))
            })
            .collect();
        Self { done, answered, clients }
    }

    fn wait_for_more(&self) {
        let before = self.answered.load(Ordering::SeqCst);
        assert!(eventually(|| self.answered.load(Ordering::SeqCst) > before + 200), "requests are answered");
    }

    /// Stops; how many were answered, all of them well.
    #[track_caller]
    fn finish(self) -> usize {
        self.done.store(true, Ordering::SeqCst);
        let failures: Vec<_> = self.clients.into_iter().filter_map(|it| it.join().expect("no panic").err()).collect();
        assert!(failures.is_empty(), "{failures:?}");
        self.answered.load(Ordering::SeqCst)
    }
}

fn ask_on(address: SocketAddr, kept: bool, done: &AtomicBool, answered: &AtomicUsize) -> Result<(), String> {
    let mut connection: Option<TcpStream> = None;
    while !done.load(Ordering::SeqCst) {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(address).map_err(|error| format!("connecting: {error}"))?,
        };
        let closes = ask_once(&mut stream).map_err(|error| format!("asking (kept: {kept}): {error}"))?;
        answered.fetch_add(1, Ordering::SeqCst);
        connection = (kept && !closes).then_some(stream);
    }
    Ok(())
}

/// One request; whether the answer ends the connection.
fn ask_once(stream: &mut TcpStream) -> Result<bool, String> {
    let told = |error: std::io::Error| error.to_string();
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    stream.write_all(b"GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n").map_err(told)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).map_err(told)?;
        if read == 0 {
            return Err(format!("closed after {:?}", String::from_utf8_lossy(&answer)));
        }
        answer.extend_from_slice(&bytes[..read]);
    }
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(String::from_utf8_lossy(&answer).into_owned());
    }
    Ok(String::from_utf8_lossy(&answer).to_ascii_lowercase().contains("connection: close"))
}

/// Under load from `before` workers to `after`, and on to `last`.
#[track_caller]
fn moves(before: usize, after: usize, last: usize) {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&Conf::of(&origin).cores(before));
    let load = Load::on(gateway.address());
    load.wait_for_more();
    let second = upgrade(&gateway, &["--cores", &after.to_string()]).expect("an upgrade");
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0), "the old process drains and ends");
    load.wait_for_more();
    let workers = |process: &Successor| {
        let tasks = std::fs::read_dir(process.file("task")).expect("it runs").flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.starts_with("gk-worker")).count()
    };
    assert_eq!(workers(&second), after);
    let third = second.upgrade(&["--cores", &last.to_string()]).expect("an upgrade of an upgraded one");
    assert!(eventually(|| !second.runs()), "the second process ends");
    load.wait_for_more();
    assert_eq!(workers(&third), last);
    let answered = load.finish();
    assert!(answered > 600, "{answered}");
    third.stop();
}

#[test]
fn from_four_workers_to_two_and_to_three_nothing_is_lost() {
    moves(4, 2, 3);
}

#[test]
fn from_two_workers_to_four_and_to_one_nothing_is_lost() {
    moves(2, 4, 1);
}

#[test]
fn a_new_process_holds_no_more_than_one_that_was_started() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).cores(2);
    let mut gateway = Gateway::start(&conf);
    // Connections that the old process has open must not reach the new one.
    let mut idle: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    idle.iter_mut().for_each(|client| assert_eq!(client.get("/svc/a").status(), 200));
    let first = upgrade(&gateway, &[]).expect("an upgrade");
    gateway.wait(Duration::from_secs(15));
    let second = first.upgrade(&[]).expect("an upgrade of an upgraded one");
    assert!(eventually(|| !first.runs()));
    let fresh = Gateway::start(&conf);
    let pid = fresh.pid().as_raw_nonzero();
    // Nothing is left of the line to the old process, and no descriptor came along.
    assert!(eventually(|| second.descriptors() <= fresh.descriptors() + 1), "{}", second.descriptors());
    let resident = |text: String| text.trim_end_matches(" kB").parse::<usize>().expect("a number");
    let (new, started) = (resident(second.status("VmRSS")), resident(status(&format!("/proc/{pid}/status"), "VmRSS")));
    assert!(new < 2 * started, "{new} kB against {started} kB");
}

#[test]
fn a_signal_does_it_too_and_what_stands_on_the_disk_then_is_run() {
    let origin = Origin::ok();
    let installed = Installed::new();
    let mut gateway = Gateway::start(&Conf::of(&origin).program(&installed.path()));
    installed.put_script("echo a newer version >&2; exec $PROGRAM \"$@\"");
    gateway.signal(Signal::USR2);
    assert_eq!(gateway.wait(Duration::from_secs(30)).code(), Some(0));
    // The last lines may still be on their way to this test.
    assert!(eventually(|| gateway.stderr().contains("upgraded: process ")), "{}", gateway.stderr());
    let said = gateway.stderr();
    assert!(said.contains("a newer version"), "{said}");
    let number = said.split("upgraded: process ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let successor = Successor(rustix::process::Pid::from_raw(number.expect("a number")).expect("a process"));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    successor.stop();
}

#[test]
fn the_new_process_listens_where_its_files_say() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).base("watch", false);
    let mut gateway = Gateway::start(&conf);
    let (old, new) = (gateway.address(), SocketAddr::from(([127, 0, 0, 1], free_port())));
    gateway.rewrite_files(&conf.clone().http("addr", new.to_string()));
    let successor = upgrade(&gateway, &[]).expect("an upgrade");
    assert_eq!(crate::support::Client::connect(new).get("/svc/a").status(), 200);
    gateway.wait(Duration::from_secs(15));
    // The kernel lets go of a process's rings, and of what they wait on, some time after its end.
    assert!(eventually(|| TcpStream::connect(old).is_err()), "nobody listens at the old address");
    successor.stop();
}

#[test]
fn a_request_under_way_is_answered_by_the_old_process() {
    let origin = Origin::scripted(|peer| {
        while peer.request().is_some() {
            thread::sleep(Duration::from_secs(5));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        }
    });
    let conf = Conf::new().base("drain_window", 20).service(Service::at("/svc", &[&origin]));
    let mut gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| origin.heads().len() == 1));
    let successor = upgrade(&gateway, &[]).expect("an upgrade");
    // One old process at a time.
    let refused = || successor.upgrade(&[]).err().expect("no second upgrade");
    // For a moment it has not heard yet that it has proven itself, and refuses for that.
    assert!(eventually(|| refused().contains("still drains")), "{}", refused());
    let answer = client.answer();
    assert_eq!((answer.text().as_str(), answer.closes()), ("slow", true));
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
    successor.stop();
}

#[test]
fn a_tcp_service_goes_over_and_its_tunnels_live_on() {
    let origin = Origin::ok();
    let port = free_port();
    let line = Service::with_nodes("/line", vec![origin.node().to_owned()])
        .base("load_type", "tcp")
        .base("frontend_addr", format!("127.0.0.1:{port}"))
        .balance("check_method", "tcpchk");
    let mut gateway = Gateway::start(&Conf::new().base("drain_window", 60).service(line));
    let connect = || crate::support::Client::connect(([127, 0, 0, 1], port).into());
    let mut tunnel = connect();
    assert_eq!(tunnel.get("/a").text(), "ok");
    let successor = upgrade(&gateway, &["--cores", "1"]).expect("an upgrade");
    assert_eq!(tunnel.get("/a").text(), "ok");
    assert_eq!(connect().get("/a").text(), "ok");
    drop(tunnel);
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
    assert!(successor.runs());
}

#[test]
fn the_old_process_does_not_say_that_the_gateway_ends() {
    let origin = Origin::ok();
    // The delay is for a load balancer that has to notice; here there is nothing to notice.
    let mut gateway = Gateway::start(&Conf::of(&origin).base("drain_delay", 60).base("drain_window", 20));
    let mut kept = gateway.connect();
    assert_eq!(kept.get("/svc/a").status(), 200);
    let successor = upgrade(&gateway, &[]).expect("an upgrade");
    // The order to drain may still be on its way to the worker.
    let closes = eventually(|| {
        let answer = kept.get("/ping");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.closes()
    });
    assert!(closes);
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
    assert!(successor.runs());
}

#[test]
fn the_number_of_the_process_that_serves_is_written_down() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("pid");
    let gateway = Gateway::start_with(&Conf::of(&origin), |command| {
        command.arg("--pid-file").arg(&file);
    });
    let written = || std::fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
    assert!(eventually(|| written() == gateway.pid().as_raw_nonzero().to_string()));
    let successor = upgrade(&gateway, &[]).expect("an upgrade");
    assert!(eventually(|| written() == successor.0.as_raw_nonzero().to_string()), "{}", written());
    successor.stop();
    assert!(eventually(|| !file.exists()), "it goes with the last process");
}
