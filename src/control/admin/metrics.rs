//! `/metrics`: which numbers there are. Labels come from the configuration and from closed lists, never from a request.
//!
//! Names that operators of other gateways know stand without a prefix (`http_requests_total`,
//! `gateway_request_duration_seconds`, `gateway_request_errors_total`, `active_connections`, `process_*`); the rest
//! begin with `gatekeeper_`. Out of scope: the format (`exposition`).

use super::exposition::{Format, Kind, Text, labels};
use super::pages::Sight;
use super::process::Process;
use crate::control::books::Keeping;
use crate::control::figures::{Endpoint, Service};
use crate::control::totals;
use crate::wall::health::Verdict;

/// As labels say it.
pub(super) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// Bytes of a page for each service, roughly.
const SERVICE_BYTES: usize = 4 * 1024;

/// The page.
pub(super) fn write(sight: &Sight, format: Format) -> String {
    let mut text = Text::new(format, (sight.figures.services.len() + 16) * SERVICE_BYTES);
    requests(&mut text, sight);
    cores(&mut text, sight);
    endpoints(&mut text, sight);
    tenants(&mut text, sight);
    gateway(&mut text, sight);
    if let Some(process) = Process::read() {
        self::process(&mut text, &process);
    }
    text.finish()
}

/// One gauge or counter of one number.
fn one(text: &mut Text, kind: Kind, name: &'static str, help: &'static str, value: impl std::fmt::Display) {
    text.family(kind, name, help);
    text.put("", value);
}

fn requests(text: &mut Text, sight: &Sight) {
    let services: Vec<(String, &Service)> =
        sight.figures.services.iter().map(|service| (labels(&[("service", &service.name)]), service)).collect();
    text.family(Kind::Counter, "http_requests", "Exchanges that are over, by service and class of the status sent.");
    for (of_service, service) in &services {
        for (class, count) in CLASSES.iter().zip(service.classes) {
            if *class != "none" && *class != "1xx" || count > 0 {
                text.put(&format!("{of_service},code=\"{class}\""), count);
            }
        }
    }
    text.family(
        Kind::Histogram,
        "gateway_request_duration_seconds",
        "From a request's first byte to its answer's last.",
    );
    for (of_service, service) in &services {
        let buckets: Vec<_> = service.duration.buckets.iter().map(|(us, count)| (seconds(*us), *count)).collect();
        text.histogram(of_service, &buckets, service.duration.count, seconds(service.duration.sum_us));
    }
    text.family(Kind::Counter, "gateway_request_errors", "Exchanges and connections that ended early, by reason.");
    for (reason, count) in &sight.figures.ends {
        text.put(&labels(&[("reason", reason)]), count);
    }
    text.family(Kind::Counter, "gatekeeper_service_received_bytes", "Bytes from clients, by service.");
    for (of_service, service) in &services {
        text.put(of_service, service.bytes_in);
    }
    text.family(Kind::Counter, "gatekeeper_service_sent_bytes", "Bytes to clients, by service.");
    for (of_service, service) in &services {
        text.put(of_service, service.bytes_out);
    }
}

/// Of each endpoint of the configuration what control thinks of it, and what the workers have counted.
fn endpoints(text: &mut Text, sight: &Sight) {
    let epoch = &sight.view.epoch;
    let counted: std::collections::HashMap<&str, &Service> =
        sight.figures.services.iter().map(|service| (&*service.name, service)).collect();
    let rows: Vec<_> = epoch
        .snapshot
        .all_endpoints()
        .map(|(service, endpoint)| {
            let figures = counted.get(&*service.name).and_then(|figures| figures.endpoints.get(&endpoint.node));
            let verdict = epoch.health.of(endpoint.id).verdict;
            let of = labels(&[("service", &service.name), ("endpoint", &endpoint.node)]);
            (of, endpoint, verdict, figures.copied().unwrap_or_default())
        })
        .collect();
    text.family(Kind::Gauge, "gatekeeper_endpoint_up", "1 where probes succeed, else 0.");
    for (of, _, verdict, _) in &rows {
        text.put(of, u8::from(*verdict == Verdict::Up));
    }
    text.family(Kind::Gauge, "gatekeeper_endpoint_weight", "Its weight, 0 on the forbid_list.");
    for (of, endpoint, _, _) in &rows {
        text.put(of, if endpoint.forbidden { 0 } else { endpoint.weight });
    }
    let counter = |text: &mut Text, name, help, number: fn(&Endpoint) -> u64| {
        text.family(Kind::Counter, name, help);
        rows.iter().for_each(|(of, _, _, figures)| text.put(of, number(figures)));
    };
    counter(text, "gatekeeper_endpoint_attempts", "Attempts at it that are over.", |figures| figures.attempts);
    counter(text, "gatekeeper_endpoint_failures", "Those of them that failed.", |figures| figures.failures);
    text.family(Kind::Counter, "gatekeeper_endpoint_seconds", "How long all attempts took together.");
    rows.iter().for_each(|(of, _, _, figures)| text.put(of, seconds(figures.sum_us)));
    text.family(Kind::Gauge, "gatekeeper_endpoint_in_flight", "Attempts under way.");
    rows.iter().for_each(|(of, _, _, figures)| text.put(of, figures.in_flight));
    let up = rows.iter().filter(|(_, _, verdict, _)| *verdict == Verdict::Up).count();
    one(text, Kind::Gauge, "gatekeeper_endpoints_up", "Endpoints whose probes succeed.", up);
    one(text, Kind::Gauge, "gatekeeper_endpoints", "Endpoints of the configuration.", rows.len());
    one(text, Kind::Gauge, "gatekeeper_services", "Services of the configuration.", epoch.snapshot.services.len());
}

fn tenants(text: &mut Text, sight: &Sight) {
    text.family(Kind::Counter, "gatekeeper_tenant_requests", "Exchanges on behalf of a tenant that are over.");
    for (app_id, count) in &sight.figures.tenants {
        text.put(&labels(&[("tenant", app_id)]), count);
    }
    let quotas: Vec<_> = sight
        .view
        .epoch
        .snapshot
        .tenants
        .all()
        .iter()
        .filter_map(|tenant| Some((labels(&[("tenant", &tenant.app_id)]), tenant.quota.as_ref()?)))
        .collect();
    text.family(Kind::Gauge, "gatekeeper_tenant_quota", "Calls per day that a tenant has.");
    quotas.iter().for_each(|(of, quota)| text.put(of, quota.daily_max));
    text.family(Kind::Gauge, "gatekeeper_tenant_quota_used", "Calls that it has made today.");
    quotas.iter().for_each(|(of, quota)| text.put(of, quota.count.of(sight.page.day)));
}

fn cores(text: &mut Text, sight: &Sight) {
    let connections: u64 = sight.figures.cores.iter().map(|core| core.connections).sum();
    one(text, Kind::Gauge, "active_connections", "Client connections, tunnels among them.", connections);
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
    let kept = match sight.page.store {
        Keeping::Kept(_) => 1,
        Keeping::Off | Keeping::Troubled(..) => 0,
    };
    one(text, Kind::Gauge, "gatekeeper_store_up", "1 while totals and quotas are kept in a file, else 0.", kept);
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
