//! A new process that is no good: the old one goes on and says why.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Installed, upgrade};
use crate::support::{Conf, Gateway, Origin, eventually};

/// Tries to upgrade to this script; what was said.
#[track_caller]
fn refused(script: &str, timeout_s: i64) -> (String, String) {
    let origin = Origin::ok();
    let installed = Installed::new();
    let conf = Conf::of(&origin).cores(2).base("upgrade_timeout", timeout_s);
    let gateway = Gateway::start(&conf.program(&installed.path()));
    let mut kept = gateway.connect();
    assert_eq!(kept.get("/svc/a").status(), 200);
    installed.put_script(script);
    let why = upgrade(&gateway, &[]).err().expect("no upgrade");
    // The old process serves as before: on the connection it had, and on new ones.
    let answer = kept.get("/svc/a");
    assert_eq!((answer.status(), answer.closes()), (200, false));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    // What was left of the new one is gone, and the next try is as good as the first.
    let children = format!("/proc/{0}/task/{0}/children", gateway.pid().as_raw_nonzero());
    assert_eq!(std::fs::read_to_string(children).expect("it runs").trim(), "");
    installed.put_the_program();
    let successor = upgrade(&gateway, &[]).expect("an upgrade");
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    successor.stop();
    (why, gateway.stderr())
}

#[test]
fn one_that_is_not_a_program() {
    let (why, log) = refused("exit 126", 10);
    assert!(why.contains("it ended before it was ready: exit code 126"), "{why}");
    assert!(log.contains("it ended before it was ready: exit code 126"), "{log}");
}

#[test]
fn one_that_is_not_there() {
    let origin = Origin::ok();
    let installed = Installed::new();
    let gateway = Gateway::start(&Conf::of(&origin).program(&installed.path()));
    std::fs::remove_file(installed.path()).expect("our own file");
    let why = upgrade(&gateway, &[]).err().expect("no upgrade");
    assert!(why.contains("cannot be started: No such file"), "{why}");
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
}

#[test]
fn one_that_hangs() {
    let start = Instant::now();
    let (why, _) = refused("exec sleep 1000", 3);
    assert!(why.contains("not ready after 3 s (base.upgrade_timeout)"), "{why}");
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn one_that_dies_a_second_after_it_was_ready() {
    let (why, _) = refused(
        "$PROGRAM \"$@\" &\n\
         until grep -q \"@gatekeeper/$!\\$\" /proc/net/unix; do sleep 0.05; done\n\
         sleep 1; kill -9 $!; exit 3",
        30,
    );
    assert!(why.contains("after it was ready: exit code 3"), "{why}");
}

#[test]
fn one_that_falls_silent() {
    let (why, _) = refused(
        "(until grep -q \"@gatekeeper/$$\\$\" /proc/net/unix; do sleep 0.05; done; sleep 1; kill -STOP $$) &\n\
         exec $PROGRAM \"$@\"",
        30,
    );
    assert!(why.contains("not heard of for 10000 ms"), "{why}");
}

#[test]
fn one_that_refuses_the_files() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin);
    let gateway = Gateway::start(&conf);
    gateway.rewrite_files(&conf.clone().http("addr", "nonsense"));
    let why = upgrade(&gateway, &[]).err().expect("no upgrade");
    assert!(why.contains("it ended before it was ready: exit code 1"), "{why}");
    // What the new process had to say stands in the log of the old one.
    assert!(gateway.stderr().contains("`nonsense` is not an address"), "{}", gateway.stderr());
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
}

#[test]
fn two_at_a_time_are_one_too_many() {
    let origin = Origin::ok();
    let installed = Installed::new();
    let gateway = Gateway::start(&Conf::of(&origin).program(&installed.path()).base("upgrade_timeout", 4));
    installed.put_script("exec sleep 1000");
    gateway.signal(Signal::USR2);
    assert!(eventually(|| gateway.stderr().contains("starting a new process")));
    let why = upgrade(&gateway, &[]).err().expect("no upgrade");
    assert!(why.contains("under way already"), "{why}");
    assert!(eventually(|| gateway.stderr().contains("not ready after 4 s")), "{}", gateway.stderr());
}

#[test]
fn a_process_that_is_no_gateway_is_not_asked() {
    let why = super::ask(rustix::process::getpid(), &[]).err().expect("no upgrade");
    assert!(why.contains("is not a gateway that can be asked"), "{why}");
}
