//! The driver ladder: each rung serves the same, and the start says which one it is.

mod seccomp;

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::gateway::free_port;
use crate::support::{Conf, Gateway, Origin, eventually, pattern};

/// The line of the start that names the rung.
fn driver_line(gateway: &Gateway) -> String {
    let said = gateway.stdout();
    said.lines().find(|line| line.trim_start().starts_with("driver ")).expect("a driver line").trim().to_owned()
}

/// What every rung must do alike: bodies both ways, many connections, reload, stop with work in flight.
fn serves(conf: Conf, prepare: impl Fn(&mut Command), named: &str) {
    let origin = Origin::scripted(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/slow" {
                thread::sleep(Duration::from_millis(700));
            }
            let body = &request.body.bytes;
            let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            answer.extend_from_slice(body);
            peer.send(&answer);
        }
    });
    let conf = conf.service(crate::support::Service::at("/svc", &[&origin]));
    let mut gateway = Gateway::start_with(&conf, prepare);
    let line = driver_line(&gateway);
    assert!(line.ends_with(named), "{line}");
    let body = pattern(1024 * 1024);
    let mut client = gateway.connect();
    for _ in 0..3 {
        client.send(format!("PUT /svc/a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
        assert!(client.answer().body.bytes == body, "the echo differs");
    }
    let mut clients: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send("GET /svc/b HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    let before = origin.heads().len();
    client.send("GET /svc/slow HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| origin.heads().len() > before));
    gateway.signal(Signal::TERM);
    assert_eq!(client.answer().status(), 200);
    drop(clients);
    assert_eq!(gateway.wait(Duration::from_secs(15)).code(), Some(0));
}

#[test]
fn the_best_rung_serves() {
    serves(Conf::new().driver("uring"), |_| (), "on io_uring (SINGLE_ISSUER, DEFER_TASKRUN)");
}

#[test]
fn the_second_rung_serves() {
    serves(Conf::new().driver("uring-coop"), |_| (), "on io_uring (COOP_TASKRUN)");
}

#[test]
fn the_third_rung_serves() {
    serves(Conf::new().driver("uring-plain"), |_| (), "on io_uring (no flags)");
}

#[test]
fn the_last_rung_serves() {
    serves(Conf::new().driver("epoll"), |_| (), "on epoll");
}

/// In the child, before the binary runs: `io_uring_setup` fails as it does where an operator forbids it.
fn without_io_uring(command: &mut Command) {
    #[expect(unsafe_code, reason = "a filter can be set only between fork and exec")]
    // SAFETY: the closure makes two system calls on memory that it owns, and nothing else: no allocation,
    // no lock, as is demanded between fork and exec.
    unsafe {
        command.pre_exec(seccomp::forbid_io_uring);
    }
}

#[test]
fn where_io_uring_is_forbidden_it_serves_on_epoll() {
    serves(Conf::new().driver("auto"), without_io_uring, "on epoll");
}

#[test]
fn a_rung_that_was_asked_for_is_never_replaced_in_silence() {
    let origin = Origin::ok();
    for rung in ["uring", "uring-coop", "uring-plain"] {
        let conf = Conf::of(&origin).driver(rung);
        let ended = Gateway::try_start(&conf, free_port(), without_io_uring).map(|_| ());
        let ended = ended.expect_err("io_uring is forbidden");
        assert!(!ended.status.success(), "{rung}");
        assert!(ended.printed.contains("io_uring"), "{rung}: {}", ended.printed);
    }
}

#[test]
fn the_start_says_why_better_rungs_were_refused() {
    let origin = Origin::ok();
    let gateway = Gateway::start_with(&Conf::of(&origin).driver("auto"), without_io_uring);
    assert!(eventually(|| (gateway.stdout() + &gateway.stderr()).contains("not permitted")), "{}", gateway.stderr());
}
