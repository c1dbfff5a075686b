//! Intervals as text: a table for people, JSON and CSV for programs.

use std::io::{self, Write};
use std::time::Duration;

use crate::frame::{Endpoint, Flow, Frame, Service, State, Watch};
use crate::units::{bytes, count, duration, span};

/// How an interval is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Table,
    Json,
    Csv,
}

const CSV_HEAD: &str = "unix_ms,kind,name,qps,errors_per_s,p50_us,p99_us,p999_us,in_flight,requests_total,\
    bytes_in_per_s,bytes_out_per_s";

/// Prints one interval, or one after another.
pub(crate) fn run(mut watch: Watch, interval: Duration, form: Form, once: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if form == Form::Csv {
        writeln!(out, "{CSV_HEAD}")?;
    }
    loop {
        std::thread::sleep(interval);
        let frame = watch.look();
        match form {
            Form::Table => table(&mut out, &frame)?,
            Form::Json => writeln!(out, "{}", serde_json::to_string(&frame)?)?,
            Form::Csv => csv(&mut out, &frame)?,
        }
        out.flush()?;
        if once {
            return Ok(());
        }
    }
}

/// The first line of a screen or a table.
pub(crate) fn headline(frame: &Frame) -> String {
    let process = &frame.process;
    let state = match process.state {
        State::Running => String::new(),
        State::Stopped => ", STOPPED".to_owned(),
        State::Gone => ", GONE".to_owned(),
    };
    let (pid, up, epoch) = (process.pid, span(process.up_s), process.epoch);
    format!("gatekeeper {pid}{state} · up {up} · epoch {epoch} for {}", span(process.unchanged_s))
}

/// The second.
pub(crate) fn totals(flow: &Flow) -> String {
    let quantiles = &flow.quantiles;
    let (p50, p99, p999) = (duration(quantiles.p50_us), duration(quantiles.p99_us), duration(quantiles.p999_us));
    format!(
        "{} req/s · {} err/s · p50 {p50} · p99 {p99} · p999 {p999} · {} in flight",
        count(flow.qps),
        count(flow.errors_per_s),
        flow.in_flight
    )
}

fn table(out: &mut impl Write, frame: &Frame) -> io::Result<()> {
    writeln!(out, "{}", headline(frame))?;
    writeln!(out, "{}", totals(&frame.total))?;
    writeln!(
        out,
        "\n{:<6}{:>10}{:>8}{:>10}{:>11}{:>11}{:>10}",
        "CORE", "QPS", "CPU", "P50", "P99", "IN FLIGHT", "LAG"
    )?;
    for core in &frame.cores {
        let (cpu, quantiles) = (format!("{:.0} %", core.cpu_percent), &core.flow.quantiles);
        let (p50, p99, lag) = (duration(quantiles.p50_us), duration(quantiles.p99_us), duration(Some(core.lag_us)));
        let (number, qps, in_flight) = (core.core, count(core.flow.qps), core.flow.in_flight);
        writeln!(out, "{number:<6}{qps:>10}{cpu:>8}{p50:>10}{p99:>11}{in_flight:>11}{lag:>10}")?;
    }
    services(out, &frame.services)?;
    endpoints(out, &frame.endpoints)?;
    writeln!(out, "\n{:<28}{:>10}{:>12}", "REASON", "PER S", "TOTAL")?;
    for reason in &frame.reasons {
        writeln!(out, "{:<28}{:>10}{:>12}", reason.reason, count(reason.per_s), reason.total)?;
    }
    writeln!(out, "\nin {}, out {}", bytes(frame.total.bytes_in_per_s), bytes(frame.total.bytes_out_per_s))
}

/// A tcp service has no requests; connections in flight and bytes it has.
fn services(out: &mut impl Write, services: &[Service]) -> io::Result<()> {
    let head = ["SERVICE", "QPS", "ERR/S", "P50", "P99", "P999", "IN FLIGHT", "IN", "OUT"];
    let [name, qps, errors, p50, p99, p999, busy, coming, going] = head;
    writeln!(out, "\n{name:<24}{qps:>9}{errors:>9}{p50:>10}{p99:>10}{p999:>10}{busy:>11}{coming:>13}{going:>13}  WHY")?;
    for Service { name, flow, reason, .. } in services {
        let (qps, errors, quantiles) = (count(flow.qps), count(flow.errors_per_s), &flow.quantiles);
        let (p50, p99, p999) = (duration(quantiles.p50_us), duration(quantiles.p99_us), duration(quantiles.p999_us));
        let (busy, coming, going) = (flow.in_flight, bytes(flow.bytes_in_per_s), bytes(flow.bytes_out_per_s));
        let why = reason.as_deref().unwrap_or("");
        writeln!(
            out,
            "{name:<24}{qps:>9}{errors:>9}{p50:>10}{p99:>10}{p999:>10}{busy:>11}{coming:>13}{going:>13}  {why}"
        )?;
    }
    Ok(())
}

fn endpoints(out: &mut impl Write, endpoints: &[Endpoint]) -> io::Result<()> {
    let head = ["ENDPOINT", "HEALTH", "WEIGHT", "QPS", "FAIL/S", "RESPONSE", "IN FLIGHT"];
    let [node, health, weight, qps, failed, response, busy] = head;
    writeln!(out, "\n{node:<36}{health:<11}{weight:>6}{qps:>9}{failed:>9}{response:>11}{busy:>11}")?;
    for endpoint in endpoints {
        let node = format!("{} {}", endpoint.service, endpoint.node);
        let (health, weight, busy) = (endpoint.health, endpoint.weight, endpoint.in_flight);
        let (qps, failed) = (count(endpoint.attempts_per_s), count(endpoint.failures_per_s));
        let response = duration(endpoint.response_us);
        writeln!(out, "{node:<36}{health:<11}{weight:>6}{qps:>9}{failed:>9}{response:>11}{busy:>11}")?;
    }
    Ok(())
}

fn csv(out: &mut impl Write, frame: &Frame) -> io::Result<()> {
    csv_line(out, frame, "total", "", &frame.total)?;
    for core in &frame.cores {
        csv_line(out, frame, "core", &core.core.to_string(), &core.flow)?;
    }
    for service in &frame.services {
        csv_line(out, frame, "service", &service.name, &service.flow)?;
    }
    for endpoint in &frame.endpoints {
        let flow = Flow {
            qps: endpoint.attempts_per_s,
            errors_per_s: endpoint.failures_per_s,
            in_flight: endpoint.in_flight,
            ..Flow::default()
        };
        csv_line(out, frame, "endpoint", &format!("{} {}", endpoint.service, endpoint.node), &flow)?;
    }
    Ok(())
}

fn csv_line(out: &mut impl Write, frame: &Frame, kind: &str, name: &str, flow: &Flow) -> io::Result<()> {
    let number = |us: Option<u64>| us.map(|us| us.to_string()).unwrap_or_default();
    let quantiles = &flow.quantiles;
    let (p50, p99, p999) = (number(quantiles.p50_us), number(quantiles.p99_us), number(quantiles.p999_us));
    let (at, qps, errors) = (frame.unix_ms, flow.qps, flow.errors_per_s);
    let (name, in_flight, total) = (quoted(name), flow.in_flight, flow.requests_total);
    let (coming, going) = (flow.bytes_in_per_s, flow.bytes_out_per_s);
    writeln!(
        out,
        "{at},{kind},{name},{qps:.3},{errors:.3},{p50},{p99},{p999},{in_flight},{total},{coming:.0},{going:.0}"
    )
}

/// RFC 4180: what holds a comma, a quote or a line break stands in quotes.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
