//! What no fault may be made of: a process that is stopped for a while, and a request that asks for a fault.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::asking_for;
#[cfg(not(debug_assertions))]
use super::fragile;
use crate::support::{Conf, Gateway, Origin};

#[test]
fn a_process_that_is_stopped_and_continued_serves_on() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let mut kept = gateway.connect();
    assert_eq!(kept.get("/svc/a").status(), 200);
    gateway.signal(Signal::STOP);
    kept.send("GET /svc/b HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut waiting = gateway.connect();
    waiting.send("GET /svc/b HTTP/1.1\r\nHost: a\r\n\r\n");
    thread::sleep(Duration::from_secs(3));
    gateway.signal(Signal::CONT);
    assert_eq!(kept.answer().status(), 200);
    assert_eq!(waiting.answer().status(), 200);
    assert_eq!(gateway.connect().get("/reload").status(), 200);
}

#[test]
fn nobody_breaks_a_gateway_that_was_not_started_for_it() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    for fault in ["exchange", "attempt", "worker"] {
        assert_eq!(gateway.connect().ask(asking_for(fault)).status(), 200);
    }
}

#[cfg(not(debug_assertions))]
#[test]
fn a_release_build_has_no_faults_whatever_it_is_told() {
    let origin = Origin::ok();
    let gateway = fragile(&Conf::of(&origin));
    for fault in ["exchange", "attempt", "worker"] {
        assert_eq!(gateway.connect().ask(asking_for(fault)).status(), 200);
    }
    let binary = std::fs::read(env!("CARGO_BIN_EXE_gatekeeper")).expect("the binary");
    let holds = |needle: &[u8]| memchr::memmem::find(&binary, needle).is_some();
    assert!(!holds(b"X-Gatekeeper-Fault") && !holds(b"GATEKEEPER_FAULTS"));
}
