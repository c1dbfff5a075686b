//! Traces: what endpoints are told of them, and what a collector gets that decodes with the official messages.

mod exported;
mod onward;
mod trouble;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::support::{Conf, Origin, Service, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A collector of Python, its script in `collector.py`.
struct Collector {
    child: Child,
    port: u16,
    spans: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    /// Takes everything.
    fn start() -> Self {
        Self::saying(&["200"])
    }

    /// Answers like this, one export after the other.
    fn saying(script: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("python3")
            .arg(root.join("tests/e2e/trace/collector.py"))
            .args(script)
            // Where tools/test-needs installs it.
            .env("PYTHONPATH", root.join("target/test-python"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines.next().and_then(|line| line.ok()?.parse().ok());
        let port = port.expect("the collector's port; tools/test-needs installs what it needs");
        let spans = Arc::<Mutex<Vec<Value>>>::default();
        let kept = spans.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let span = serde_json::from_str(&line).expect("a span");
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(span);
            }
        });
        Self { child, port, spans }
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/v1/traces", self.port)
    }

    fn spans(&self) -> Vec<Value> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for that many spans, but for waits: on a busy machine any request may have one.
    #[track_caller]
    fn expect(&self, count: usize) -> Vec<Value> {
        let steps = || self.spans().into_iter().filter(|span| span["name"] != "queue").collect::<Vec<_>>();
        eventually(|| steps().len() >= count);
        let spans = steps();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }

    /// Of every request, its own span.
    fn requests(&self) -> Vec<Value> {
        self.spans().into_iter().filter(|span| span["kind"] == SERVER).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kinds of spans, as the messages number them.
const INTERNAL: i64 = 1;
const SERVER: i64 = 2;
const CLIENT: i64 = 3;
/// The status of a span that is an error.
const ERROR: i64 = 2;

/// `/svc` in front of the origin, every new trace recorded.
fn traced(origin: &Origin, collector: &Collector) -> Conf {
    traced_with(Service::at("/svc", &[origin]), collector)
}

fn traced_with(service: Service, collector: &Collector) -> Conf {
    Conf::new().service(service).trace("on", true).trace("sample_ratio", 1.0).trace("endpoint", collector.endpoint())
}

/// The one span of this kind and name.
#[track_caller]
fn one<'s>(spans: &'s [Value], kind: i64, name: &str) -> &'s Value {
    let mut found = spans.iter().filter(|span| span["kind"] == kind && span["name"] == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} of kind {kind}: {spans:#?}"));
    assert!(found.next().is_none(), "more than one {name}: {spans:#?}");
    span
}

/// The parts of a `traceparent` of version 00: trace, parent, flags.
#[track_caller]
fn parts(traceparent: &str) -> [&str; 3] {
    let parts: Vec<_> = traceparent.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    let hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    assert!(lengths == [2, 32, 16, 2] && parts[0] == "00" && parts.iter().all(|part| hex(part)), "{traceparent}");
    [parts[1], parts[2], parts[3]]
}
