//! A record as a text of the user's. A variable without a value is `-`, as in nginx.

use super::time::Times;
use super::{Entry, escape, put_number, put_seconds};
use crate::config::logs::{Piece, Variable};
use crate::wall::journal::Text;
use crate::wall::timing::Timing;

/// Appends the text.
pub(super) fn put(out: &mut Vec<u8>, entry: &Entry<'_>, times: &mut Times, pieces: &[Piece]) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Variable(variable) => {
                let before = out.len();
                put_variable(out, entry, times, *variable);
                if out.len() == before {
                    out.push(b'-');
                }
            }
        }
    }
}

fn put_variable(out: &mut Vec<u8>, entry: &Entry<'_>, times: &mut Times, variable: Variable) {
    let (numbers, timing) = (entry.numbers(), &entry.numbers().stamps);
    match variable {
        Variable::RemoteAddr => word(out, &numbers.client.to_string()),
        Variable::PeerAddr => word(out, &numbers.peer.to_string()),
        Variable::RemoteUser => {}
        Variable::TimeLocal => times.put_common(out, entry.begun_unix_us),
        Variable::TimeIso8601 => times.put_iso(out, entry.begun_unix_us, 0),
        Variable::Msec => put_seconds(out, entry.begun_unix_us, 3),
        Variable::Request => put_request(out, entry),
        Variable::RequestMethod => put_text(out, entry, Text::Method),
        Variable::RequestUri => escape::hex(out, entry.target),
        Variable::Uri => escape::hex(out, entry.halves().0),
        Variable::Args => escape::hex(out, entry.halves().1.unwrap_or(b"")),
        Variable::ServerProtocol => word(out, entry.protocol()),
        Variable::Host => put_text(out, entry, Text::Host),
        Variable::HttpReferer => escape::hex(out, entry.referer),
        Variable::HttpUserAgent => put_text(out, entry, Text::Agent),
        Variable::Status => put_number(out, numbers.status),
        Variable::BodyBytesSent => put_number(out, entry.body_bytes_sent()),
        Variable::BytesSent => put_number(out, numbers.bytes_out),
        Variable::RequestLength => put_number(out, numbers.bytes_in),
        Variable::RequestTime => put_time(out, timing.total_us()),
        Variable::UpstreamAddr => put_text(out, entry, Text::Node),
        Variable::UpstreamConnectTime => put_time(out, timing.connect_us()),
        Variable::UpstreamHeaderTime => put_time(out, timing.response_us()),
        Variable::UpstreamResponseTime => put_time(out, since(timing.sent_us, timing.end_us)),
        Variable::RequestId | Variable::TraceId => put_text(out, entry, Text::RequestId),
        Variable::W3cTraceId => {
            if let Some(trace) = &trace_id(entry) {
                out.extend_from_slice(trace);
            }
        }
        Variable::Kind => word(out, entry.kind()),
        Variable::Service => put_text(out, entry, Text::Service),
        Variable::Tenant => put_text(out, entry, Text::Tenant),
        Variable::End => word(out, entry.end().unwrap_or("")),
        Variable::DryRun => word(out, entry.spared().unwrap_or("")),
        Variable::Side => word(out, entry.side().unwrap_or("")),
        Variable::Attempts => put_number(out, numbers.attempts),
        Variable::Retries => put_number(out, entry.retries()),
        Variable::Reused => put_number(out, u8::from(numbers.reused)),
        Variable::Timers => put_timers(out, timing),
        Variable::TimerHead => put_timer(out, timing.client_head_us()),
        Variable::TimerQueue => put_timer(out, timing.queue_us()),
        Variable::TimerConnect => put_timer(out, timing.connect_us()),
        Variable::TimerResponse => put_timer(out, timing.response_us()),
        Variable::TimerTotal => put_timer(out, timing.total_us()),
        Variable::Worker => put_number(out, numbers.worker.0),
        Variable::Pid => put_number(out, std::process::id()),
    }
}

fn trace_id(entry: &Entry<'_>) -> Option<[u8; 32]> {
    entry.record.trace.map(|trace| trace.id.text())
}

fn word(out: &mut Vec<u8>, word: &str) {
    out.extend_from_slice(word.as_bytes());
}

fn put_text(out: &mut Vec<u8>, entry: &Entry<'_>, text: Text) {
    escape::hex(out, entry.text(text));
    if entry.record.texts.was_cut(text) {
        out.extend_from_slice(b"...");
    }
}

/// The request line, or the first line where it was not understood.
fn put_request(out: &mut Vec<u8>, entry: &Entry<'_>) {
    if entry.text(Text::Method).is_empty() {
        return escape::hex(out, entry.target);
    }
    put_text(out, entry, Text::Method);
    out.push(b' ');
    escape::hex(out, entry.target);
    out.push(b' ');
    word(out, entry.protocol());
}

fn since(from_us: u64, to_us: u64) -> Option<u64> {
    (from_us > 0).then(|| to_us.saturating_sub(from_us))
}

fn put_time(out: &mut Vec<u8>, us: Option<u64>) {
    if let Some(us) = us {
        put_seconds(out, us, 3);
    }
}

/// Milliseconds, -1 for what did not take place.
fn put_timer(out: &mut Vec<u8>, us: Option<u64>) {
    match us {
        Some(us) => put_number(out, us / 1_000),
        None => out.extend_from_slice(b"-1"),
    }
}

/// HAProxy's five.
pub(super) fn put_timers(out: &mut Vec<u8>, timing: &Timing) {
    let timers =
        [timing.client_head_us(), timing.queue_us(), timing.connect_us(), timing.response_us(), timing.total_us()];
    for (number, timer) in timers.into_iter().enumerate() {
        if number > 0 {
            out.push(b'/');
        }
        put_timer(out, timer);
    }
}
