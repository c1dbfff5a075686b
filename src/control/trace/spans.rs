//! Spans of what happened: one record of the journal, told as OpenTelemetry's conventions for HTTP have it.
//!
//! A request gives a span of its own, and inside it up to three for each attempt: the wait for a connection (`queue`),
//! the dial (`connect`), the exchange with the endpoint. In scope: names, times, attributes, and what counts as an
//! error. A wait that took no time and did not fail has none. What is written of a target is without its
//! secrets, as in the log. Out of scope: sending them (`exporter`).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::end::{End, Side};
use crate::proto::redact;
use crate::proto::trace_context::SpanId;
use crate::wall::journal::{AccessRecord, Kind, Numbers, Text};
use crate::wall::trace::{Part, Trace};

/// Of `Span.flags`: whether the parent is in another process is known, and it is.
const PARENT_IS_KNOWN: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;
/// A wait that was shorter is none: on epoll even the way to a kept connection takes a microsecond.
const WAIT_US_MIN: u64 = 100;
/// Methods that a span may be named after (RFC 9110, RFC 5789); a client may make up any number of others.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// Microseconds since the process's origin, as nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    origin_ns: u64,
}

impl Times {
    /// By the clock of now, which somebody may have set since the last batch.
    pub(super) fn now(origin: Instant) -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = unix.saturating_sub(origin.elapsed());
        Self { origin_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) }
    }

    fn unix_ns(self, us: u64) -> u64 {
        let since = Duration::from_micros(us).as_nanos();
        self.origin_ns.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

/// The spans of a record; none where it has no trace. `secrets` are parameters whose values are left out, beside those
/// of `proto::redact`.
pub(super) fn of_record(record: &AccessRecord<'_>, times: Times, secrets: &[Box<str>]) -> Vec<Span> {
    let Some(trace) = record.trace else { return Vec::new() };
    let told = Told { record, trace, times, secrets };
    let mut spans = Vec::with_capacity(4);
    if record.numbers.kind != Kind::Attempt {
        spans.push(told.request());
    }
    if record.numbers.attempts > 0 {
        spans.extend([told.queue(), told.connect(), told.upstream()].into_iter().flatten());
    }
    spans
}

/// A record that spans are told of.
struct Told<'r> {
    record: &'r AccessRecord<'r>,
    trace: Trace,
    times: Times,
    secrets: &'r [Box<str>],
}

impl Told<'_> {
    fn numbers(&self) -> &Numbers {
        &self.record.numbers
    }

    fn text(&self, text: Text) -> String {
        let mut found = String::from_utf8_lossy(self.record.texts.get(text)).into_owned();
        if self.record.texts.was_cut(text) {
            found.push('…');
        }
        found
    }

    /// The method, where it is one of those that everybody knows.
    fn known_method(&self) -> Option<&'static str> {
        let method = self.record.texts.get(Text::Method);
        METHODS.into_iter().find(|known| known.as_bytes() == method)
    }

    /// The last attempt that the record tells of, counted from 0.
    fn attempt(&self) -> u8 {
        self.numbers().attempts.saturating_sub(1)
    }

    fn span(&self, id: SpanId, kind: SpanKind, name: String, from_us: u64, to_us: u64) -> Span {
        let is_request = id == self.trace.span;
        let parent = if is_request { self.trace.parent } else { Some(self.trace.span) };
        let remote = if is_request && parent.is_some() { PARENT_IS_REMOTE } else { 0 };
        Span {
            trace_id: self.trace.id.bytes().to_vec(),
            span_id: id.bytes().to_vec(),
            parent_span_id: parent.map(|parent| parent.bytes().to_vec()).unwrap_or_default(),
            flags: u32::from(self.trace.flags()) | PARENT_IS_KNOWN | remote,
            name,
            kind: kind as i32,
            start_time_unix_nano: self.times.unix_ns(from_us),
            end_time_unix_nano: self.times.unix_ns(to_us.max(from_us)),
            ..Span::default()
        }
    }

    /// The whole request, as the client sees it.
    fn request(&self) -> Span {
        let (numbers, stamps) = (self.numbers(), &self.numbers().stamps);
        let method = self.known_method().unwrap_or("HTTP");
        let name = match self.record.texts.get(Text::Service) {
            [] => method.to_owned(),
            _ => format!("{method} {}", self.text(Text::Service)),
        };
        let mut span = self.span(self.trace.span, SpanKind::Server, name, stamps.begun_us, stamps.end_us);
        let put = &mut span.attributes;
        self.put_method(put);
        self.put_target(put);
        text(put, "url.scheme", "http".into());
        put_host(put, &self.text(Text::Host));
        text(put, "network.protocol.version", if numbers.version == 10 { "1.0" } else { "1.1" }.into());
        text(put, "network.peer.address", numbers.peer.to_string());
        text(put, "client.address", numbers.client.to_string());
        text(put, "user_agent.original", self.text(Text::Agent));
        text(put, "gatekeeper.service", self.text(Text::Service));
        text(put, "gatekeeper.tenant", self.text(Text::Tenant));
        let id = self.record.texts.get(Text::RequestId);
        if id != self.trace.id.text() {
            text(put, "gatekeeper.request_id", self.text(Text::RequestId));
        }
        number(put, "gatekeeper.worker", numbers.worker.0.into());
        number(put, "gatekeeper.bytes_in", numbers.bytes_in);
        number(put, "gatekeeper.bytes_out", numbers.bytes_out);
        if numbers.attempts > 1 {
            number(put, "gatekeeper.attempts", numbers.attempts.into());
        }
        put_status(put, numbers.status);
        // A status below 500 is the client's own doing (4xx), or what it asked for.
        let failed = numbers.status >= 500 || (numbers.status == 0 && numbers.end.is_some());
        put_end(&mut span, numbers.end, numbers.status, failed);
        span
    }

    /// The wait until it was its turn to dial, or until a connection came free.
    fn queue(&self) -> Option<Span> {
        let stamps = &self.numbers().stamps;
        let got = [stamps.dialled_us, stamps.connected_us].into_iter().find(|us| *us > 0);
        let to_us = got.unwrap_or(stamps.end_us);
        let failed = got.is_none();
        if stamps.queued_us == 0 || (!failed && to_us.saturating_sub(stamps.queued_us) < WAIT_US_MIN) {
            return None;
        }
        Some(self.inside(Part::Queue, "queue", stamps.queued_us, to_us, failed))
    }

    /// The dial.
    fn connect(&self) -> Option<Span> {
        let stamps = &self.numbers().stamps;
        let failed = stamps.connected_us == 0;
        let to_us = if failed { stamps.end_us } else { stamps.connected_us };
        (stamps.dialled_us > 0).then(|| self.inside(Part::Connect, "connect", stamps.dialled_us, to_us, failed))
    }

    /// A step of ours on the way to the endpoint.
    fn inside(&self, part: Part, name: &str, from_us: u64, to_us: u64, failed: bool) -> Span {
        let id = self.trace.part(self.attempt(), part);
        let mut span = self.span(id, SpanKind::Internal, name.to_owned(), from_us, to_us);
        put_node(&mut span.attributes, &self.text(Text::Node));
        let end = self.numbers().end.filter(|_| failed);
        put_end(&mut span, end, 0, end.is_some_and(|end| end.meaning().side != Side::Downstream));
        span
    }

    /// The exchange with the endpoint, which knows this span as its caller.
    fn upstream(&self) -> Option<Span> {
        let (numbers, stamps) = (self.numbers(), &self.numbers().stamps);
        if stamps.connected_us == 0 {
            return None;
        }
        let id = self.trace.part(self.attempt(), Part::Upstream);
        let name = self.known_method().unwrap_or("HTTP").to_owned();
        let mut span = self.span(id, SpanKind::Client, name, stamps.connected_us, stamps.end_us);
        let put = &mut span.attributes;
        self.put_method(put);
        put_node(put, &self.text(Text::Node));
        flag(put, "gatekeeper.reused", numbers.reused);
        if self.attempt() > 0 {
            number(put, "http.request.resend_count", self.attempt().into());
        }
        let status = if stamps.first_us > 0 && numbers.kind != Kind::Attempt { numbers.status } else { 0 };
        let ours =
            numbers.end.is_some_and(|end| [false, true].iter().any(|legacy| end.status(*legacy) == Some(status)));
        let status = if ours { 0 } else { status };
        put_status(put, status);
        if stamps.first_us > 0 {
            let time_unix_nano = self.times.unix_ns(stamps.first_us);
            span.events.push(Event { time_unix_nano, name: "response head".into(), ..Event::default() });
        }
        let end = numbers.end.filter(|end| end.meaning().side == Side::Upstream);
        put_end(&mut span, end, status, end.is_some() || status >= 400);
        Some(span)
    }

    fn put_method(&self, put: &mut Vec<KeyValue>) {
        match self.known_method() {
            Some(known) => text(put, "http.request.method", known.into()),
            None => {
                text(put, "http.request.method", "_OTHER".into());
                text(put, "http.request.method_original", self.text(Text::Method));
            }
        }
    }

    /// Path and query without their secrets, whatever the form of the target.
    fn put_target(&self, put: &mut Vec<KeyValue>) {
        let mut redacted = Vec::new();
        redact::target(self.record.texts.get(Text::Target), self.secrets, &mut redacted);
        let target = String::from_utf8_lossy(&redacted);
        let (address, query) = target.split_once('?').unwrap_or((&target, ""));
        // Of `http://host/path` the path; the host is told on its own.
        let path = match address.split_once("://") {
            Some((_, rest)) if !address.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
            _ => address,
        };
        let cut = if self.record.texts.was_cut(Text::Target) { "…" } else { "" };
        text(put, "url.path", if query.is_empty() { format!("{path}{cut}") } else { path.to_owned() });
        if !query.is_empty() {
            text(put, "url.query", format!("{query}{cut}"));
        }
    }
}

fn attribute(put: &mut Vec<KeyValue>, key: &str, value: Value) {
    put.push(KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() });
}

/// A text, where there is one.
fn text(put: &mut Vec<KeyValue>, key: &str, value: String) {
    if !value.is_empty() {
        attribute(put, key, Value::StringValue(value));
    }
}

fn number(put: &mut Vec<KeyValue>, key: &str, value: u64) {
    attribute(put, key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
}

fn flag(put: &mut Vec<KeyValue>, key: &str, value: bool) {
    attribute(put, key, Value::BoolValue(value));
}

fn put_status(put: &mut Vec<KeyValue>, status: u16) {
    if status > 0 {
        number(put, "http.response.status_code", status.into());
    }
}

/// Host and port of what a client asked for.
fn put_host(put: &mut Vec<KeyValue>, host: &str) {
    let (name, port) = halves(host);
    text(put, "server.address", name.to_owned());
    if let Some(port) = port {
        number(put, "server.port", port.into());
    }
}

/// Host and port of an endpoint, as written in the file.
fn put_node(put: &mut Vec<KeyValue>, node: &str) {
    match node.strip_prefix("unix:") {
        Some(path) => {
            text(put, "server.address", path.to_owned());
            text(put, "network.transport", "unix".into());
        }
        None => put_host(put, node),
    }
}

fn halves(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name.trim_start_matches('[').trim_end_matches(']'), Some(port)),
            Err(_) => (name, None),
        },
        _ => (authority, None),
    }
}

/// How it ended, and whether that is an error of the span.
fn put_end(span: &mut Span, end: Option<End>, status: u16, failed: bool) {
    if let Some(end) = end {
        text(&mut span.attributes, "gatekeeper.end", end.meaning().code.to_owned());
    }
    if failed {
        let kind = end.map_or_else(|| status.to_string(), |end| end.meaning().code.to_owned());
        text(&mut span.attributes, "error.type", kind);
        let message = end.map(|end| end.meaning().text.to_owned()).unwrap_or_default();
        span.status = Some(Status { code: StatusCode::Error as i32, message });
    }
}

#[cfg(test)]
mod tests;
