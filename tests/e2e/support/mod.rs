//! The harness: a gateway process, clients that send exact bytes, origins that follow a script.
//!
//! Blocking sockets with deadlines on plain threads, so that a test reads as a sequence of events.
//! Nothing here uses the gateway's own parser: a fault in it must not hide itself.

pub(crate) mod client;
pub(crate) mod conf;
pub(crate) mod gateway;
pub(crate) mod message;
pub(crate) mod origin;
pub(crate) mod sign;
pub(crate) mod wire;

use std::time::{Duration, Instant};

pub(crate) use client::{Answer, Client};
pub(crate) use conf::{Conf, Service};
pub(crate) use gateway::Gateway;
pub(crate) use origin::{Origin, Peer};
pub(crate) use wire::Gone;

/// How long anything that must happen is waited for: generous, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A server that says hello to whoever connects, and hangs up; where it is.
pub(crate) fn saying_hello() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let node = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut &stream, b"hello");
        }
    });
    node
}

/// Tells that a test is left out because this machine lacks something, and fails where `GK_MUST` says that it is there.
#[track_caller]
pub(crate) fn lacks(what: &str) {
    assert!(std::env::var_os("GK_MUST").is_none(), "GK_MUST: this machine lacks {what}");
    eprintln!("left out: this machine lacks {what}");
}

/// Waits until health has looked at each origin, and until that is published.
#[track_caller]
pub(crate) fn probed(origins: &[&Origin]) {
    for origin in origins {
        assert!(eventually(|| origin.probes() > 0), "no probe came");
    }
    std::thread::sleep(Duration::from_millis(300));
}

/// Waits until the condition holds and says whether it did.
pub(crate) fn eventually(condition: impl FnMut() -> bool) -> bool {
    within(PATIENCE, condition)
}

/// Waits until the condition holds, at most so long, and says whether it did.
pub(crate) fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Bytes that no proxy could make up: position-dependent, not compressible to a pattern of 256.
pub(crate) fn pattern(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..bytes).map(next).collect()
}
