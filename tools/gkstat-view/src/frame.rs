//! What happened between two looks at a stats file: rates, quantiles, and what is open now.

use std::collections::HashMap;
use std::io;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gatekeeper::wall::slot::read::{Reading, Record, Row, Stats};
use serde::Serialize;

use crate::find::Wanted;
use crate::quantiles::{Merged, Quantiles};

/// One interval.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Frame {
    pub(crate) unix_ms: u64,
    pub(crate) interval_s: f64,
    pub(crate) process: Process,
    pub(crate) total: Flow,
    pub(crate) cores: Vec<Core>,
    pub(crate) services: Vec<Service>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) reasons: Vec<Reason>,
}

/// How the process is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Process {
    pub(crate) pid: u64,
    pub(crate) state: State,
    pub(crate) up_s: u64,
    pub(crate) epoch: u64,
    /// Since an epoch was published.
    pub(crate) unchanged_s: u64,
    pub(crate) reloads_total: u64,
    pub(crate) reload_failures_total: u64,
}

/// Whether the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Running,
    /// By a signal.
    Stopped,
    Gone,
}

/// Requests and their answers.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Flow {
    pub(crate) qps: f64,
    /// Answers with a status of 500 or more, and none at all.
    pub(crate) errors_per_s: f64,
    #[serde(flatten)]
    pub(crate) quantiles: Quantiles,
    pub(crate) bytes_in_per_s: f64,
    pub(crate) bytes_out_per_s: f64,
    pub(crate) requests_total: u64,
    /// Requests; of a service, connections to its endpoints that are in use, for a request or as a tunnel.
    pub(crate) in_flight: u64,
    pub(crate) idle: u64,
    pub(crate) tunnels: u64,
    pub(crate) queued: u64,
}

/// A core.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Core {
    pub(crate) core: usize,
    #[serde(flatten)]
    pub(crate) flow: Flow,
    /// Of one processor.
    pub(crate) cpu_percent: f64,
    /// How late the loop was, on average.
    pub(crate) lag_us: u64,
    pub(crate) epoch: u64,
}

/// A service.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) tcp: bool,
    #[serde(flatten)]
    pub(crate) flow: Flow,
    /// The most frequent reason of the interval.
    pub(crate) reason: Option<String>,
}

/// An endpoint.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Endpoint {
    pub(crate) service: String,
    pub(crate) node: String,
    pub(crate) health: &'static str,
    pub(crate) weight: u64,
    pub(crate) attempts_per_s: f64,
    pub(crate) failures_per_s: f64,
    pub(crate) response_us: Option<u64>,
    pub(crate) in_flight: u64,
    pub(crate) idle: u64,
    pub(crate) queued: u64,
}

/// Why exchanges, tunnels and connections ended early.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reason {
    pub(crate) reason: String,
    pub(crate) per_s: f64,
    pub(crate) total: u64,
}

/// Looks at one gateway again and again.
pub(crate) struct Watch {
    wanted: Wanted,
    stats: Stats,
    before: (Instant, Reading),
}

impl Watch {
    /// Finds the gateway and takes a first look.
    pub(crate) fn new(wanted: Wanted) -> io::Result<Self> {
        let stats = wanted.find()?;
        let before = (Instant::now(), stats.read());
        Ok(Self { wanted, stats, before })
    }

    /// What happened since the last look. Goes over to a gateway that has been started since; then the next look tells.
    pub(crate) fn look(&mut self) -> Frame {
        let newer = self.wanted.is_outdated(&self.stats).then(|| self.wanted.find().ok()).flatten();
        let moved = newer.map(|newer| self.stats = newer).is_some();
        let now = (Instant::now(), self.stats.read());
        if moved {
            self.before.1 = now.1.clone();
        }
        let seconds = (now.0 - self.before.0).as_secs_f64().max(0.001);
        let frame = frame(&self.before.1, &now.1, seconds, self.stats.is_live());
        self.before = now;
        frame
    }
}

/// A record at two times.
struct Between<'r> {
    before: Option<&'r Record>,
    after: &'r Record,
    seconds: f64,
}

impl Between<'_> {
    fn grown(&self, name: &str) -> u64 {
        let before = self.before.map_or(0, |before| before.get(name));
        self.after.get(name).saturating_sub(before)
    }

    fn rate(&self, name: &str) -> f64 {
        self.grown(name) as f64 / self.seconds
    }

    fn mean(&self, sum: &str, count: &str) -> Option<u64> {
        self.grown(sum).checked_div(self.grown(count))
    }

    fn flow(&self) -> Flow {
        let names = ["1xx", "2xx", "3xx", "4xx", "5xx", "unanswered"].map(|class| format!("requests_{class}_total"));
        let mut merged = Merged::new();
        merged.add(self.before, self.after);
        Flow {
            qps: names.iter().map(|name| self.rate(name)).sum(),
            errors_per_s: names[4..].iter().map(|name| self.rate(name)).sum(),
            quantiles: merged.quantiles(),
            bytes_in_per_s: self.rate("bytes_in_total"),
            bytes_out_per_s: self.rate("bytes_out_total"),
            requests_total: names.iter().map(|name| self.after.get(name)).sum(),
            in_flight: self.after.get("in_flight"),
            idle: self.after.get("idle"),
            tunnels: self.after.get("tunnels"),
            queued: self.after.get("queued"),
        }
    }

    fn ends(&self) -> HashMap<&str, u64> {
        let mut ends: HashMap<&str, u64> = self.after.labelled("ends").into_iter().collect();
        for (label, count) in self.before.map(|before| before.labelled("ends")).unwrap_or_default() {
            ends.entry(label).and_modify(|total| *total = total.saturating_sub(count));
        }
        ends
    }
}

fn frame(before: &Reading, after: &Reading, seconds: f64, live: bool) -> Frame {
    let cores: Vec<_> = (after.cores.iter().enumerate())
        .map(|(index, core)| (index, Between { before: before.cores.get(index), after: core, seconds }))
        .collect();
    let services: HashMap<_, _> = before.services.iter().map(|row| (key(row), &row.counts)).collect();
    let endpoints: HashMap<_, _> = before.endpoints.iter().map(|row| (key(row), &row.counts)).collect();
    let names: HashMap<u64, &str> = after.services.iter().map(|row| (row.row as u64, &*row.name)).collect();
    let core_frames: Vec<Core> = cores.iter().map(|(index, core)| core_of(*index, core)).collect();
    let endpoint_frames: Vec<Endpoint> = (after.endpoints.iter())
        .map(|row| {
            let service = names.get(&row.title.get("service_row")).copied().unwrap_or("?");
            endpoint_of(service, row, &Between { before: earlier(&endpoints, row), after: &row.counts, seconds })
        })
        .collect();
    let mut in_flight: HashMap<&str, u64> = HashMap::new();
    for endpoint in &endpoint_frames {
        *in_flight.entry(&endpoint.service).or_default() += endpoint.in_flight;
    }
    Frame {
        unix_ms: unix_ms(),
        interval_s: seconds,
        process: process(&after.process, live),
        total: total(before, after, &core_frames),
        cores: core_frames,
        services: (after.services.iter())
            .map(|row| {
                let counts = Between { before: earlier(&services, row), after: &row.counts, seconds };
                service_of(row, &counts, in_flight.get(&*row.name).copied().unwrap_or(0))
            })
            .collect(),
        endpoints: endpoint_frames,
        reasons: reasons(before, after, seconds),
    }
}

/// A row's counts of the look before.
fn earlier<'r>(known: &HashMap<(usize, u64), &'r Record>, row: &Row) -> Option<&'r Record> {
    known.get(&key(row)).copied()
}

/// What stays the same for as long as it is the same service or endpoint.
fn key(row: &Row) -> (usize, u64) {
    (row.row, row.title.get("generation"))
}

fn process(record: &Record, live: bool) -> Process {
    let pid = record.get("pid");
    let since = |name: &str| unix_ms().saturating_sub(record.get(name)) / 1_000;
    Process {
        pid,
        state: match live {
            false => State::Gone,
            true if is_stopped(pid) => State::Stopped,
            true => State::Running,
        },
        up_s: since("started_unix_ms"),
        epoch: record.get("epoch"),
        unchanged_s: since("changed_unix_ms"),
        reloads_total: record.get("reloads_total"),
        reload_failures_total: record.get("reload_failures_total"),
    }
}

/// proc(5): the state stands behind the name, which may hold anything.
fn is_stopped(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 't']))
}

fn total(before: &Reading, after: &Reading, cores: &[Core]) -> Flow {
    let mut merged = Merged::new();
    for (index, core) in after.cores.iter().enumerate() {
        merged.add(before.cores.get(index), core);
    }
    let sum = cores.iter().fold(Flow::default(), |sum, core| Flow {
        qps: sum.qps + core.flow.qps,
        errors_per_s: sum.errors_per_s + core.flow.errors_per_s,
        quantiles: sum.quantiles,
        bytes_in_per_s: sum.bytes_in_per_s + core.flow.bytes_in_per_s,
        bytes_out_per_s: sum.bytes_out_per_s + core.flow.bytes_out_per_s,
        requests_total: sum.requests_total + core.flow.requests_total,
        in_flight: sum.in_flight + core.flow.in_flight,
        idle: sum.idle + core.flow.idle,
        tunnels: sum.tunnels + core.flow.tunnels,
        queued: sum.queued + core.flow.queued,
    });
    Flow { quantiles: merged.quantiles(), ..sum }
}

fn core_of(index: usize, core: &Between<'_>) -> Core {
    Core {
        core: index,
        flow: core.flow(),
        cpu_percent: core.rate("cpu_us_total") / 10_000.0,
        lag_us: core.mean("lag_us_sum", "lag_total").unwrap_or(0),
        epoch: core.after.get("epoch"),
    }
}

/// What is in flight is counted at its endpoints only.
fn service_of(row: &Row, counts: &Between<'_>, in_flight: u64) -> Service {
    let ends = counts.ends();
    let most = ends.iter().filter(|(_, count)| **count > 0).max_by_key(|(label, count)| (**count, **label));
    Service {
        name: row.name.clone(),
        tcp: row.title.get("tcp") == 1,
        flow: Flow { in_flight, ..counts.flow() },
        reason: most.map(|(label, _)| (*label).to_owned()),
    }
}

fn endpoint_of(service: &str, row: &Row, counts: &Between<'_>) -> Endpoint {
    let health = match (row.title.get("forbidden"), row.title.get("health")) {
        (1, _) => "forbidden",
        (_, 1) => "up",
        (_, 2) => "down",
        _ => "unprobed",
    };
    Endpoint {
        service: service.to_owned(),
        node: row.name.clone(),
        health,
        weight: row.title.get("weight"),
        attempts_per_s: counts.rate("attempts_total"),
        failures_per_s: counts.rate("failures_total"),
        response_us: counts.mean("response_us_sum", "responses_total"),
        in_flight: counts.after.get("in_flight"),
        idle: counts.after.get("idle"),
        queued: counts.after.get("queued"),
    }
}

/// The most frequent first.
fn reasons(before: &Reading, after: &Reading, seconds: f64) -> Vec<Reason> {
    let sum = |reading: &Reading| {
        let mut totals: HashMap<String, u64> = HashMap::new();
        for core in &reading.cores {
            for (label, count) in ["ends_total", "tunnel_ends_total"].iter().flat_map(|name| core.labelled(name)) {
                *totals.entry(label.to_owned()).or_default() += count;
            }
        }
        totals
    };
    let earlier = sum(before);
    let mut reasons: Vec<Reason> = (sum(after).into_iter())
        .map(|(reason, total)| {
            let more = total.saturating_sub(earlier.get(&reason).copied().unwrap_or(0));
            Reason { reason, per_s: more as f64 / seconds, total }
        })
        .collect();
    reasons.sort_by(|one, other| {
        other.per_s.total_cmp(&one.per_s).then(other.total.cmp(&one.total)).then(one.reason.cmp(&other.reason))
    });
    reasons
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
