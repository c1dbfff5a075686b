//! Under a service manager: what it is told, and the sockets it passes.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Installed, upgrade};
use crate::support::gateway::free_port;
use crate::support::{Conf, Gateway, Origin, PATIENCE};

/// The ear of a manager.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a short path");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self { folder, socket }
    }

    fn prepare(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
    }

    /// The next thing said that is no status line.
    fn next(&self) -> String {
        loop {
            let mut bytes = [0; 1024];
            let read = self.socket.recv(&mut bytes).expect("something is said");
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            if !text.starts_with("STATUS=") {
                return text;
            }
        }
    }
}

#[test]
fn it_hears_of_start_reload_upgrade_and_stop() {
    let origin = Origin::ok();
    let manager = Manager::new();
    let gateway = Gateway::start_with(&Conf::of(&origin), |command| manager.prepare(command));
    assert_eq!(manager.next(), "READY=1");
    gateway.signal(Signal::HUP);
    let reloading = manager.next();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(manager.next(), "READY=1");
    let successor = upgrade(&gateway, &[]).expect("an upgrade");
    assert_eq!(manager.next(), format!("MAINPID={}", successor.0.as_raw_nonzero()));
    assert_eq!(manager.next(), "READY=1");
    successor.stop();
    assert_eq!(manager.next(), "STOPPING=1");
}

#[test]
fn the_watchdog_is_fed_by_whoever_serves() {
    let origin = Origin::ok();
    let manager = Manager::new();
    let mut gateway = Gateway::start_with(&Conf::of(&origin), |command| {
        manager.prepare(command);
        command.env("WATCHDOG_USEC", "400000");
    });
    assert_eq!(manager.next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    let successor = upgrade(&gateway, &[]).expect("an upgrade");
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
    // What was said meanwhile has been said.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        manager.next();
    }
    assert_eq!(manager.next(), "WATCHDOG=1");
    successor.stop();
}

/// Passes the socket as descriptor 3, as socket activation does, to a process that knows its own number.
fn passed(conf: &Conf, socket: &TcpListener, port: u16) -> Gateway {
    let installed = Installed::new();
    installed.put_script("exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec $PROGRAM \"$@\"");
    let conf = conf.clone().program(&installed.path());
    let start = |command: &mut Command| {
        command.stdin(socket.try_clone().map(OwnedFd::from).expect("descriptors"));
    };
    Gateway::try_start(&conf, port, start).expect("it serves")
}

#[test]
fn a_socket_it_passes_is_served_and_handed_on() {
    let origin = Origin::ok();
    let port = free_port();
    let socket = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    // Nobody can add a socket to one without SO_REUSEPORT, so three workers share it.
    let gateway = passed(&Conf::of(&origin).cores(3), &socket, port);
    drop(socket);
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    let successor = upgrade(&gateway, &[]).expect("an upgrade");
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    successor.stop();
}

#[test]
fn a_socket_that_nothing_in_the_files_asks_for_is_told() {
    let origin = Origin::ok();
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let gateway = passed(&Conf::of(&origin), &socket, free_port());
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    let address = socket.local_addr().expect("bound");
    let said = gateway.stderr();
    assert!(said.contains(&format!("nothing in the files asks for: {address}")), "{said}");
}
