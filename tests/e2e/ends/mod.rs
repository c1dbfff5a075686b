//! Every `End` provoked on a real socket, under both tables of status codes, and counted by the gateway.
//!
//! Each test has the name of its end's code, and one test holds that none is missing.

mod access;
mod client;
mod complete;
mod gateway;
mod service;

use std::time::Duration;

use gatekeeper::end::{End, Side};
use rustix::process::Signal;
use tempfile::TempDir;

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
        let log = Log::new();
        let mut gateway = Gateway::start(&log.of(conf().http("legacy_status", legacy)));
        let answer = provoke(&gateway);
        answer.expect_end(end.status(legacy).expect("an end that is told"), end.code());
        assert_eq!(answer.json()["errmsg"], end.meaning().text);
        let times = counted(end, &mut gateway);
        log.expect(end, &format!(" {}", answer.status()), times);
    }
}

/// Provokes an end that cannot be told any more, and fails unless it is counted.
#[track_caller]
fn untold(end: End, conf: &Conf, provoke: impl Fn(&Gateway)) {
    assert_eq!(end.status(false), None);
    let log = Log::new();
    let mut gateway = Gateway::start(&log.of(conf.clone()));
    provoke(&gateway);
    let times = counted(end, &mut gateway);
    log.expect(end, "", times);
}

/// A request log of ends and statuses.
struct Log(TempDir);

impl Log {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn of(&self, conf: Conf) -> Conf {
        let path = self.0.path().join("log").display().to_string();
        let conf = conf.base("access_log_format", "$end $side $status").base("access_log_sample", 1_000_000);
        conf.log("log.file_writer", "on", true).log("log.file_writer", "log_path", path)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.0.path().join("log")).unwrap_or_default()
    }

    /// Fails unless the end was logged as often as it took place, with this status if one is given.
    #[track_caller]
    fn expect(&self, end: End, status: &str, times: usize) {
        let wanted = format!("{} {}{status}", end.code(), side(end));
        let text = self.text();
        let found = text.lines().filter(|line| line.starts_with(&wanted)).count();
        assert_eq!(found, times, "{wanted:?} in {text:?}");
    }
}

fn side(end: End) -> &'static str {
    match end.meaning().side {
        Side::Downstream => "client",
        Side::Gateway => "gateway",
        Side::Upstream => "service",
    }
}

/// Stops the gateway and fails unless its workers say that the end took place. Gives how often.
#[track_caller]
fn counted(end: End, gateway: &mut Gateway) -> usize {
    // A second signal would end it at once, without a word.
    if end != End::Drained {
        gateway.signal(Signal::TERM);
    }
    assert_eq!(gateway.wait(Duration::from_secs(30)).code(), Some(0));
    let counted = crate::support::eventually(|| gateway.stderr().contains(&format!(", {}=", end.code())));
    assert!(counted, "{} is not among what was counted", end.code());
    let (said, mark) = (gateway.stderr(), format!(", {}=", end.code()));
    let counts = said.split(&mark).skip(1);
    let number = |rest: &str| rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<usize>().ok();
    counts.filter_map(number).sum()
}
