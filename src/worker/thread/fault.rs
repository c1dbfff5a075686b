//! Faults on demand, so that tests can prove what becomes of one. Compiled in debug builds only.
//!
//! Where the environment has `GATEKEEPER_FAULTS` at start, a request with the field `X-Gatekeeper-Fault` breaks
//! what the field names. A release build holds none of this, whatever its environment says. Out of scope: a stuck
//! control (`control/signals`).

use std::cell::Cell;
use std::sync::OnceLock;

use memchr::memmem;

/// Panics where the request asks for a fault at this place.
#[expect(clippy::panic, reason = "a panic is what is asked for")]
pub fn at(place: &str, head: &[u8]) {
    static ASKED: OnceLock<bool> = OnceLock::new();
    if !ASKED.get_or_init(|| std::env::var_os("GATEKEEPER_FAULTS").is_some()) {
        return;
    }
    let wants = |place: &str| memmem::find(head, format!("X-Gatekeeper-Fault: {place}\r\n").as_bytes()).is_some();
    if wants(place) {
        panic!("asked for in the {place}");
    }
    if place == "exchange" && (wants("worker") || wants("worker twice")) {
        TWICE.set(wants("worker twice"));
        // Outside of the connection's task nothing catches it.
        crate::worker::runtime::spawn(async { panic!("asked for in the worker") });
    }
}

thread_local! {
    static TWICE: Cell<bool> = const { Cell::new(false) };
}

/// Panics where the worker that winds up was asked to die twice.
#[expect(clippy::panic, reason = "a panic is what is asked for")]
pub fn again() {
    if TWICE.take() {
        panic!("asked for in the end");
    }
}
