//! Every `End` provoked on a real socket, under both tables of status codes, and counted by the gateway.
//!
//! Each test has the name of its end's code, and one test holds that none is missing.

mod client;
mod complete;
mod gateway;
mod service;

use std::time::Duration;

use gatekeeper::end::End;
use rustix::process::Signal;

use crate::support::{Answer, Conf, Gateway};

/// A GET of the service.
const GET: &str = "GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request to become a tunnel.
const TUNNEL: &str = "GET /svc/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// Its answer.
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Provokes an end that the client is told, under both tables, and fails unless it is told right and counted.
#[track_caller]
fn told(end: End, conf: impl Fn() -> Conf, provoke: impl Fn(&Gateway) -> Answer) {
    for legacy in [false, true] {
        let mut gateway = Gateway::start(&conf().http("legacy_status", legacy));
        let answer = provoke(&gateway);
        answer.expect_end(end.status(legacy).expect("an end that is told"), end.code());
        assert_eq!(answer.json()["errmsg"], end.meaning().text);
        counted(end, &mut gateway);
    }
}

/// Provokes an end that cannot be told any more, and fails unless it is counted.
#[track_caller]
fn untold(end: End, conf: &Conf, provoke: impl Fn(&Gateway)) {
    assert_eq!(end.status(false), None);
    let mut gateway = Gateway::start(conf);
    provoke(&gateway);
    counted(end, &mut gateway);
}

/// Stops the gateway and fails unless its workers say that the end took place.
#[track_caller]
fn counted(end: End, gateway: &mut Gateway) {
    // A second signal would end it at once, without a word.
    if end != End::Drained {
        gateway.signal(Signal::TERM);
    }
    assert_eq!(gateway.wait(Duration::from_secs(30)).code(), Some(0));
    let counted = crate::support::eventually(|| gateway.stderr().contains(&format!(", {}=", end.code())));
    assert!(counted, "{} is not among what was counted", end.code());
}
