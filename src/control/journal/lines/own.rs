//! A record as GateKeeper writes the end of a request: `[INFO][time][gatekeeper] _com_request_out||key=value||…`.
//!
//! `uri`, `method`, `args`, `from`, `proc_time` and `traceid` are GateKeeper's keys; the others are new and come after
//! them. A key without a value is there all the same, but for `dry_run`.

use super::time::Times;
use super::{Entry, escape, put_number, put_seconds};
use crate::config::logs::Level;
use crate::wall::journal::Text;

/// Appends the line.
pub(super) fn put(out: &mut Vec<u8>, entry: &Entry<'_>, times: &mut Times) {
    let level: &[u8] = match entry.level {
        Level::Error | Level::Fatal => b"[ERROR][",
        Level::Warning => b"[WARN][",
        _ => b"[INFO][",
    };
    out.extend_from_slice(level);
    times.put_local(out, entry.begun_unix_us, 3);
    out.extend_from_slice(b"][gatekeeper] _com_request_out");
    let numbers = entry.numbers();
    let (path, query) = entry.halves();
    text(out, "traceid", entry, Text::RequestId);
    value(out, "uri", path);
    text(out, "method", entry, Text::Method);
    value(out, "args", query.unwrap_or(b""));
    value(out, "from", numbers.client.to_string().as_bytes());
    key(out, "proc_time");
    put_seconds(out, numbers.stamps.total_us().unwrap_or(0), 6);
    number(out, "status", numbers.status);
    value(out, "end", entry.end().unwrap_or("").as_bytes());
    if let Some(spared) = entry.spared() {
        value(out, "dry_run", spared.as_bytes());
    }
    value(out, "kind", entry.kind().as_bytes());
    text(out, "module", entry, Text::Service);
    text(out, "app_id", entry, Text::Tenant);
    text(out, "upstream", entry, Text::Node);
    number(out, "attempts", numbers.attempts);
    key(out, "timers");
    super::text::put_timers(out, &numbers.stamps);
    number(out, "bytes_in", numbers.bytes_in);
    number(out, "bytes_out", numbers.bytes_out);
    text(out, "host", entry, Text::Host);
    value(out, "referer", entry.referer);
    text(out, "agent", entry, Text::Agent);
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"||");
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}

fn number(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    key(out, name);
    put_number(out, value);
}

fn value(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    key(out, name);
    escape::quoted(out, value);
}

fn text(out: &mut Vec<u8>, name: &str, entry: &Entry<'_>, text: Text) {
    value(out, name, entry.text(text));
    if entry.record.texts.was_cut(text) {
        out.extend_from_slice(b"...");
    }
}
