//! `/metrics`: which numbers there are. Labels come from the configuration and from closed lists, never from a request.
//!
//! Names that operators of other gateways know stand without a prefix (`http_requests_total`,
//! `gateway_request_duration_seconds`, `gateway_request_errors_total`, `active_connections`, `process_*`); the rest
//! begin with `gatekeeper_`. Out of scope: the format (`exposition`).

use std::sync::atomic::Ordering::Relaxed;

use super::exposition::{Format, Kind, Text, labels};
use super::pages::Sight;
use super::process::Process;
use super::resilience;
use crate::control::books::Keeping;
use crate::control::figures::{Classes, Number, Service};
use crate::control::journal::Journal;
use crate::control::totals;
use crate::ids::{ServiceId, TenantId};
use crate::wall::epoch::Epoch;
use crate::wall::health::Verdict;
use crate::wall::slot::layout::Core;
use crate::wall::tenants::Tenant;

/// Classes of status as labels say them.
pub(super) const CLASS_LABELS: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// Bytes of a page for each service, roughly.
const SERVICE_BYTES: usize = 4 * 1024;

/// The page.
pub(super) fn write(sight: &Sight, format: Format) -> String {
    let mut text = Text::new(format, (sight.view.epoch.snapshot.services.len() + 16) * SERVICE_BYTES);
    requests(&mut text, sight);
    endpoints(&mut text, sight);
    resilience::write(&mut text, &sight.view.epoch.snapshot);
    tenants(&mut text, sight);
    cores(&mut text, sight);
    gateway(&mut text, sight);
    if let Some(journal) = &sight.journal {
        self::journal(&mut text, journal);
    }
    if let Some(process) = Process::read() {
        self::process(&mut text, &process);
    }
    text.finish()
}

/// One gauge or counter of one number.
fn one(text: &mut Text, kind: Kind, name: &str, help: &str, value: impl std::fmt::Display) {
    text.family(kind, name, help);
    text.put("", value);
}

fn requests(text: &mut Text, sight: &Sight) {
    let Epoch { snapshot, rows, .. } = &*sight.view.epoch;
    let numbered = snapshot.services.iter().zip((0..).map(ServiceId));
    let services: Vec<(String, &Service)> = numbered
        .map(|(service, id)| (labels(&[("service", &service.name)]), sight.figures.service(rows, id)))
        .collect();
    text.family(Kind::Counter, "http_requests", "Requests that are over, by service and class of the status sent.");
    let mut unrouted = sight.figures.classes();
    for (of_service, service) in &services {
        put_classes(text, of_service, &service.classes);
        unrouted.iter_mut().zip(service.classes).for_each(|(left, count)| *left = left.saturating_sub(count));
    }
    // Answered by the gateway before a service was found, or counted for a service that is gone.
    put_classes(text, "service=\"\"", &unrouted);
    text.family(
        Kind::Histogram,
        "gateway_request_duration_seconds",
        "From a request's first byte to its answer's last.",
    );
    for (of_service, service) in &services {
        text.histogram(of_service, &octaves(&service.buckets), service.count, seconds(service.sum_us));
    }
    text.family(
        Kind::Counter,
        "gateway_request_errors",
        "Exchanges, connections and tunnels that ended early, by reason.",
    );
    for (reason, count) in &sight.figures.ends {
        text.put(&labels(&[("reason", reason)]), count);
    }
    text.family(Kind::Counter, "gatekeeper_service_tunnels", "Tunnels and tcp connections that are over, by service.");
    services.iter().for_each(|(of_service, service)| text.put(of_service, service.tunnels));
    text.family(Kind::Counter, "gatekeeper_service_received_bytes", "Bytes from clients, by service.");
    services.iter().for_each(|(of_service, service)| text.put(of_service, service.bytes_in));
    text.family(Kind::Counter, "gatekeeper_service_sent_bytes", "Bytes to clients, by service.");
    services.iter().for_each(|(of_service, service)| text.put(of_service, service.bytes_out));
    let connections = sight.figures.connections();
    one(text, Kind::Gauge, "active_connections", "Client connections, tunnels among them.", connections);
}

fn put_classes(text: &mut Text, of_service: &str, classes: &Classes) {
    for (class, count) in CLASS_LABELS.iter().zip(classes) {
        // What hardly ever happens takes no line until it has.
        if *count > 0 || !matches!(*class, "none" | "1xx") {
            text.put(&format!("{of_service},code=\"{class}\""), count);
        }
    }
}

/// Of the buckets, three to an octave, one for each: thousands of services make a long page. A bucket's own bound counts
/// for the next, which is off by a microsecond.
fn octaves(buckets: &[(u64, u64)]) -> Vec<(f64, u64)> {
    let mut all = Vec::with_capacity(buckets.len() / 3 + 1);
    let mut more = 0;
    for (index, (bound_us, count)) in buckets.iter().enumerate() {
        more += count;
        if index % 3 == 0 {
            all.push((seconds(*bound_us), std::mem::take(&mut more)));
        }
    }
    all
}

/// Of each endpoint of the configuration what control thinks of it, and what the workers have counted.
fn endpoints(text: &mut Text, sight: &Sight) {
    let Epoch { snapshot, health, rows, .. } = &*sight.view.epoch;
    let all: Vec<_> = snapshot
        .all_endpoints()
        .map(|(service, endpoint)| {
            let of = labels(&[("service", &service.name), ("endpoint", &endpoint.node)]);
            (of, endpoint, health.of(endpoint.id).verdict, sight.figures.endpoint(rows, endpoint.id))
        })
        .collect();
    text.family(Kind::Gauge, "gatekeeper_endpoint_up", "1 where probes succeed, else 0.");
    all.iter().for_each(|(of, _, verdict, _)| text.put(of, u8::from(*verdict == Verdict::Up)));
    text.family(Kind::Gauge, "gatekeeper_endpoint_weight", "Its weight, 0 on the forbid_list.");
    all.iter().for_each(|(of, endpoint, ..)| text.put(of, if endpoint.forbidden { 0 } else { endpoint.weight }));
    text.family(Kind::Gauge, "gatekeeper_endpoint_busy", "Connections to it that are in use.");
    all.iter().for_each(|(of, .., figures)| text.put(of, figures.busy));
    text.family(Kind::Counter, "gatekeeper_endpoint_attempts", "Attempts at it.");
    all.iter().for_each(|(of, .., figures)| text.put(of, figures.attempts));
    text.family(Kind::Counter, "gatekeeper_endpoint_failures", "Those of them that failed by its doing.");
    all.iter().for_each(|(of, .., figures)| text.put(of, figures.failures));
    text.family(Kind::Counter, "gatekeeper_endpoint_responses", "Answers from it.");
    all.iter().for_each(|(of, .., figures)| text.put(of, figures.responses));
    text.family(Kind::Counter, "gatekeeper_endpoint_response_seconds", "How long they were waited for in all.");
    all.iter().for_each(|(of, .., figures)| text.put(of, seconds(figures.response_us)));
    let up = all.iter().filter(|(_, _, verdict, _)| *verdict == Verdict::Up).count();
    one(text, Kind::Gauge, "gatekeeper_endpoints_up", "Endpoints whose probes succeed.", up);
    one(text, Kind::Gauge, "gatekeeper_endpoints", "Endpoints of the configuration.", all.len());
    one(text, Kind::Gauge, "gatekeeper_services", "Services of the configuration.", snapshot.services.len());
}

fn tenants(text: &mut Text, sight: &Sight) {
    let Epoch { snapshot, rows, .. } = &*sight.view.epoch;
    let of = |tenant: &Tenant| labels(&[("tenant", &tenant.app_id)]);
    let all = || snapshot.tenants.all().iter().zip((0..).map(TenantId));
    text.family(Kind::Counter, "gatekeeper_tenant_requests", "Requests on behalf of a tenant that are over.");
    all().for_each(|(tenant, id)| text.put(&of(tenant), sight.figures.tenant(rows, id)));
    let quotas = || all().filter_map(|(tenant, _)| Some((of(tenant), tenant.quota.as_ref()?)));
    text.family(Kind::Gauge, "gatekeeper_tenant_quota", "Calls per day that a tenant has.");
    quotas().for_each(|(of, quota)| text.put(&of, quota.daily_max));
    text.family(Kind::Gauge, "gatekeeper_tenant_quota_used", "Calls that it has made today.");
    quotas().for_each(|(of, quota)| text.put(&of, quota.count.of(sight.page.day)));
}

/// Everything that a worker counts, whatever it is.
fn cores(text: &mut Text, sight: &Sight) {
    let cores = &sight.figures.cores;
    let Some(first) = cores.first() else { return };
    // What it runs on is told by control, for which a dead worker runs on nothing.
    for (index, number) in first.numbers.iter().enumerate().filter(|(_, number)| number.name != "epoch") {
        let kind = if number.grows { Kind::Counter } else { Kind::Gauge };
        let counts_too =
            first.numbers.iter().any(|other| other.grows && !number.grows && family(other) == family(number));
        // How many there are now, beside how many there have been.
        let now = if counts_too { "_now" } else { "" };
        text.family(kind, &format!("{}{now}", family(number)), Core::what(&number.name));
        for (worker, core) in cores.iter().enumerate() {
            let Some(Number { value, .. }) = core.numbers.get(index) else { continue };
            let of = format!("worker=\"{worker}\"");
            match number.unit.as_str() {
                "us" => text.put(&of, seconds(*value)),
                _ => text.put(&of, value),
            }
        }
    }
}

/// A worker's number under a name of Prometheus's kind: seconds, and counters without their ending.
fn family(number: &Number) -> String {
    let bare = match number.grows {
        true => number.name.trim_end_matches("_total").trim_end_matches("_sum"),
        false => &number.name,
    };
    match number.unit.as_str() {
        "us" => format!("gatekeeper_worker_{}_seconds", bare.replacen("_us", "", 1)),
        _ => format!("gatekeeper_worker_{bare}"),
    }
}

fn gateway(text: &mut Text, sight: &Sight) {
    let view = &sight.view;
    text.family(Kind::Gauge, "gatekeeper_build_info", "1, with the version.");
    text.put(&labels(&[("version", env!("CARGO_PKG_VERSION"))]), 1);
    one(text, Kind::Gauge, "gatekeeper_ready", "1 while requests are welcome, else 0.", u8::from(view.is_ready()));
    one(text, Kind::Gauge, "gatekeeper_uptime_seconds", "Since the process started.", sight.uptime_s);
    one(text, Kind::Gauge, "gatekeeper_epoch", "The number of what is in force.", view.epoch.id.0);
    let running = view.workers.iter().filter(|worker| worker.runs).count();
    one(text, Kind::Gauge, "gatekeeper_workers", "Workers there should be.", view.workers.len());
    one(text, Kind::Gauge, "gatekeeper_workers_running", "Workers that run.", running);
    text.family(Kind::Gauge, "gatekeeper_worker_epoch", "What a worker runs on, by its number; 0 is nothing.");
    for worker in &view.workers {
        text.put(&format!("worker=\"{}\"", worker.worker), worker.epoch.0);
    }
    let replaced = view.replaced_total;
    one(text, Kind::Counter, "gatekeeper_workers_replaced", "Workers that died and were replaced.", replaced);
    text.family(
        Kind::Counter,
        "gatekeeper_config_loads",
        "Loads of changed files since the start, by what came of them.",
    );
    text.put("result=\"taken\"", view.loads.taken_total);
    text.put("result=\"refused\"", view.loads.refused_total);
    let good = view.loads.last.as_ref().is_none_or(|load| load.good);
    let help = "1 where what the files said at the last load is in force, else 0.";
    one(text, Kind::Gauge, "gatekeeper_config_last_load_good", help, u8::from(good));
    text.family(Kind::Gauge, "gatekeeper_store_up", "1 while totals and quotas are kept in a file, 0 in trouble.");
    match sight.page.store {
        Keeping::Kept(_) => text.put("", 1),
        Keeping::Troubled(..) => text.put("", 0),
        Keeping::Off => {}
    }
}

/// What became of records and spans on their way out.
fn journal(text: &mut Text, journal: &Journal) {
    let dropped = journal.dropped();
    one(text, Kind::Counter, "gatekeeper_log_dropped", "Records and lines of the logs that found no room.", dropped);
    let spans = journal.spans();
    text.family(Kind::Counter, "gatekeeper_spans", "Spans, by what became of them.");
    text.put("result=\"exported\"", spans.exported_total.load(Relaxed));
    text.put("result=\"rejected\"", spans.rejected_total.load(Relaxed));
    text.put("result=\"given_up\"", spans.given_up_total.load(Relaxed));
    let overflowed = spans.overflowed_total.load(Relaxed);
    one(text, Kind::Counter, "gatekeeper_traces_dropped", "Records of traced requests that found no room.", overflowed);
}

fn process(text: &mut Text, process: &Process) {
    one(text, Kind::Counter, "process_cpu_seconds", "Processor time.", process.cpu_s);
    one(text, Kind::Gauge, "process_resident_memory_bytes", "Memory in use.", process.resident_bytes);
    one(text, Kind::Gauge, "process_virtual_memory_bytes", "Address space.", process.virtual_bytes);
    one(text, Kind::Gauge, "process_open_fds", "Open descriptors.", process.open_descriptors);
    one(text, Kind::Gauge, "process_max_fds", "Descriptors at most.", process.descriptors_max);
    one(text, Kind::Gauge, "process_threads", "Threads.", process.threads);
    one(text, Kind::Gauge, "process_start_time_seconds", "When it started, since 1970.", process.started_s);
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// The name under which totals know a service.
pub(super) fn key(kind: totals::Kind, name: &str) -> totals::Key {
    totals::Key { kind, name: name.into() }
}
