//! What is refused: every malformed or dangerous message, whole and split at every byte.
//!
//! The tables are the corpus. A row is one message, the verdict that it must meet, and the number of
//! the attack in docs/security.md. The same row sent in two parts, split at each of its bytes, must
//! meet the same verdict: a parser that sees a message in pieces is the same parser.

mod accepted;
mod answers;
mod chaos;
mod chunks;
mod framing;
mod limits;
mod requests;
mod smuggling;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::support::{Client, Conf, Gateway, Origin};

/// One message and its verdict.
pub(super) struct Case {
    /// The attack's number in docs/security.md.
    row: u8,
    /// Exact bytes from the first of the connection.
    bytes: Vec<u8>,
    /// The status and reason that must come.
    verdict: (u16, &'static str),
}

/// A row; `{}` in the text stands for the field that every complete request needs.
fn case(row: u8, bytes: impl AsRef<[u8]>, status: u16, reason: &'static str) -> Case {
    Case { row, bytes: bytes.as_ref().to_vec(), verdict: (status, reason) }
}

/// A GET with one more field line.
fn with_line(line: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /svc/a HTTP/1.1\r\nHost: a\r\n", line.as_ref(), b"\r\n\r\n"].concat()
}

/// Sends the parts with a pause between, and fails unless the verdict comes and the connection closes.
fn judge(gateway: SocketAddr, case: &Case, split: Option<usize>) -> Result<(), String> {
    let mut client = Client::connect(gateway).patient(Duration::from_secs(8));
    let (first, second) = case.bytes.split_at(split.unwrap_or(case.bytes.len()));
    let shown = || format!("row {} split {split:?} {:?}", case.row, String::from_utf8_lossy(&case.bytes));
    // A gateway that has refused the first part may be gone before the second: that is an answer too.
    let _ = client.wire.try_send(first);
    if !second.is_empty() {
        thread::sleep(Duration::from_micros(300));
        let _ = client.wire.try_send(second);
    }
    let answer = client.try_answer().map_err(|cut| format!("{}: {cut:?}", shown()))?;
    let verdict = (answer.status(), answer.reason());
    if verdict != case.verdict {
        return Err(format!("{}: expected {:?}, got {verdict:?}", shown(), case.verdict));
    }
    // What is wrong with a path or an expectation leaves no doubt where the message ends.
    if !answer.closes() && !["bad_path", "expectation_failed"].contains(&case.verdict.1) {
        return Err(format!("{}: refused without Connection: close", shown()));
    }
    client.wire.finish();
    let (more, _) = client.wire.rest();
    if more.is_empty() { Ok(()) } else { Err(format!("{}: a second answer", shown())) }
}

/// Every case whole and split everywhere, over a few threads; every fault is listed.
fn judge_all(cases: &[Case]) {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let address = gateway.address();
    let mut attempts: Vec<(&Case, Option<usize>)> = Vec::new();
    for case in cases {
        attempts.push((case, None));
        attempts.extend((1..case.bytes.len()).map(|at| (case, Some(at))));
    }
    let share = attempts.len().div_ceil(4).max(1);
    let mut faults: Vec<String> = thread::scope(|scope| {
        let judges: Vec<_> = attempts
            .chunks(share)
            .map(|part| {
                // A few faults tell enough; each may have cost a whole deadline.
                let faults = part.iter().filter_map(move |(case, at)| judge(address, case, *at).err());
                scope.spawn(move || faults.take(5).collect())
            })
            .collect();
        judges.into_iter().flat_map(|judge| judge.join().unwrap_or_else(|_| vec!["a judge died".into()])).collect()
    });
    let reached = origin.requests().len();
    if reached > 0 {
        faults.push(format!("{reached} refused requests reached the service whole"));
    }
    faults.dedup();
    let shown: Vec<_> = faults.iter().take(40).map(String::as_str).collect();
    assert!(faults.is_empty(), "{} faults of {}:\n{}", faults.len(), attempts.len(), shown.join("\n"));
}
