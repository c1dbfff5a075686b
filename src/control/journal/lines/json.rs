//! A record as one JSON object. Every member is always there; one without a value is `null`.

use super::time::Times;
use super::{Entry, escape, put_number};
use crate::wall::journal::Text;

/// Appends the object.
pub(super) fn put(out: &mut Vec<u8>, entry: &Entry<'_>, times: &mut Times) {
    out.extend_from_slice(b"{\"time\":\"");
    times.put_iso(out, entry.begun_unix_us, 6);
    out.push(b'"');
    let numbers = entry.numbers();
    string(out, "kind", entry.kind().as_bytes());
    string(out, "client", numbers.client.to_string().as_bytes());
    string(out, "peer", numbers.peer.to_string().as_bytes());
    text(out, "method", entry, Text::Method);
    string(out, "target", entry.target);
    text(out, "host", entry, Text::Host);
    string(out, "protocol", entry.protocol().as_bytes());
    number(out, "status", Some(numbers.status).filter(|status| *status > 0));
    string(out, "dry_run", entry.spared().unwrap_or("").as_bytes());
    string(out, "end", entry.end().unwrap_or("").as_bytes());
    string(out, "side", entry.side().unwrap_or("").as_bytes());
    number(out, "bytes_in", Some(numbers.bytes_in));
    number(out, "bytes_out", Some(numbers.bytes_out));
    number(out, "body_bytes_out", Some(entry.body_bytes_sent()));
    text(out, "service", entry, Text::Service);
    text(out, "tenant", entry, Text::Tenant);
    text(out, "upstream", entry, Text::Node);
    number(out, "attempts", Some(numbers.attempts));
    number(out, "retries", Some(entry.retries()));
    name(out, "reused");
    out.extend_from_slice(if numbers.reused { b"true" } else { b"false" });
    let timing = &numbers.stamps;
    number(out, "client_head_us", timing.client_head_us());
    number(out, "queue_us", timing.queue_us());
    number(out, "connect_us", timing.connect_us());
    number(out, "response_us", timing.response_us());
    number(out, "total_us", timing.total_us());
    text(out, "trace_id", entry, Text::RequestId);
    let trace = entry.record.trace.map(|trace| trace.id.text());
    string(out, "w3c_trace_id", trace.as_ref().map_or(b"", |id| &id[..]));
    string(out, "referer", entry.referer);
    text(out, "user_agent", entry, Text::Agent);
    number(out, "worker", Some(numbers.worker.0));
    out.push(b'}');
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, key: &str, value: Option<impl itoa::Integer>) {
    name(out, key);
    match value {
        Some(value) => put_number(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn string(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    name(out, key);
    if value.is_empty() { out.extend_from_slice(b"null") } else { escape::json(out, value) }
}

fn text(out: &mut Vec<u8>, key: &str, entry: &Entry<'_>, text: Text) {
    string(out, key, entry.text(text));
    if entry.record.texts.was_cut(text) {
        out.pop();
        out.extend_from_slice(b"...\"");
    }
}
