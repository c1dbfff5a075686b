//! The shapes of `/api/status` and `/health/metrics`. Keys are only ever added.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::metrics::{CLASS_LABELS, key};
use super::pages::Sight;
use crate::control::books::Keeping;
use crate::control::totals::{Kind, Rate};
use crate::ids::{ServiceId, TenantId};
use crate::wall::health::Verdict;
use crate::wall::snapshot;

/// `/health/metrics`: the gateway in a few numbers.
#[derive(Serialize)]
pub(super) struct Summary {
    status: &'static str,
    ready: bool,
    uptime_s: u64,
    epoch: u64,
    active_connections: u64,
    requests_total: u64,
    errors_total: u64,
    requests_per_second: f64,
    services: usize,
    endpoints: Endpoints,
    workers: Workers,
}

#[derive(Serialize)]
struct Endpoints {
    total: usize,
    up: usize,
    down: usize,
}

#[derive(Serialize)]
struct Workers {
    total: usize,
    running: usize,
}

/// Of everything a few numbers.
pub(super) fn summary(sight: &Sight) -> Summary {
    let view = &sight.view;
    let verdicts = || view.epoch.health.endpoints.iter().map(|health| health.verdict);
    let rates = sight.page.rates.iter();
    Summary {
        status: view.stage.word(),
        ready: view.is_ready(),
        uptime_s: sight.uptime_s,
        epoch: view.epoch.id.0,
        active_connections: sight.figures.connections(),
        requests_total: sight.figures.classes().iter().sum(),
        errors_total: sight.figures.ends.iter().map(|(_, count)| count).sum(),
        requests_per_second: rounded(
            rates.filter(|(key, _)| key.kind == Kind::Service).map(|(_, rate)| rate.per_second).sum(),
        ),
        services: view.epoch.snapshot.services.len(),
        endpoints: Endpoints {
            total: view.epoch.snapshot.endpoints,
            up: verdicts().filter(|verdict| *verdict == Verdict::Up).count(),
            down: verdicts().filter(|verdict| *verdict == Verdict::Down).count(),
        },
        workers: Workers {
            total: view.workers.len(),
            running: view.workers.iter().filter(|worker| worker.runs).count(),
        },
    }
}

/// `/api/status`: everything.
#[derive(Serialize)]
pub(super) struct Status<'s> {
    version: &'static str,
    pid: u32,
    uptime_s: u64,
    stage: &'static str,
    ready: bool,
    epoch: u64,
    /// `base.time_location`, and the date there.
    zone: &'s str,
    day: String,
    listeners: Vec<String>,
    config: Config<'s>,
    store: Store<'s>,
    cores: Vec<Core<'s>>,
    services: Vec<Service<'s>>,
    tenants: Vec<Tenant<'s>>,
    /// Only those that took place.
    reasons: BTreeMap<&'s str, u64>,
}

#[derive(Serialize)]
struct Config<'s> {
    files: &'s [PathBuf],
    loads_taken_total: u64,
    loads_refused_total: u64,
    last_load: Option<Load<'s>>,
}

#[derive(Serialize)]
struct Load<'s> {
    good: bool,
    ago_s: u64,
    text: &'s str,
}

#[derive(Serialize)]
struct Store<'s> {
    state: &'static str,
    path: Option<&'s PathBuf>,
    trouble: Option<&'s str>,
}

#[derive(Serialize)]
struct Core<'s> {
    worker: u16,
    runs: bool,
    driver: Option<&'static str>,
    epoch: u64,
    connections: u64,
    #[serde(flatten)]
    numbers: BTreeMap<&'s str, u64>,
}

#[derive(Serialize)]
struct Service<'s> {
    name: &'s str,
    kind: &'static str,
    #[serde(flatten)]
    calls: Calls,
    requests_total: u64,
    by_class: BTreeMap<&'static str, u64>,
    tunnels_total: u64,
    received_bytes_total: u64,
    sent_bytes_total: u64,
    endpoints: Vec<Endpoint<'s>>,
}

/// Of a service or tenant.
#[derive(Serialize)]
struct Calls {
    per_second: f64,
    this_hour: u64,
    today: u64,
}

#[derive(Serialize)]
struct Endpoint<'s> {
    endpoint: &'s str,
    health: &'static str,
    addresses: &'s [SocketAddr],
    weight: u32,
    forbidden: bool,
    busy: u64,
    attempts_total: u64,
    failures_total: u64,
}

#[derive(Serialize)]
struct Tenant<'s> {
    app_id: &'s str,
    name: &'s str,
    requests_total: u64,
    #[serde(flatten)]
    calls: Calls,
    quota: Option<Quota>,
}

#[derive(Serialize)]
struct Quota {
    daily_max: u64,
    used: u64,
}

/// Everything there is to see.
pub(super) fn status(sight: &Sight) -> Status<'_> {
    let view = &sight.view;
    Status {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        uptime_s: sight.uptime_s,
        stage: view.stage.word(),
        ready: view.is_ready(),
        epoch: view.epoch.id.0,
        zone: if view.zone.is_empty() { "UTC" } else { &view.zone },
        day: sight.page.day.to_string(),
        listeners: view.listens.iter().map(ToString::to_string).collect(),
        config: config(sight),
        store: store(&sight.page.store),
        cores: cores(sight),
        services: services(sight),
        tenants: tenants(sight),
        reasons: sight.figures.ends.iter().filter(|(_, count)| *count > 0).copied().collect(),
    }
}

fn config(sight: &Sight) -> Config<'_> {
    let loads = &sight.view.loads;
    let last_load = loads.last.as_ref();
    Config {
        files: &sight.view.files,
        loads_taken_total: loads.taken_total,
        loads_refused_total: loads.refused_total,
        last_load: last_load.map(|load| Load { good: load.good, ago_s: load.ago.as_secs(), text: &load.text }),
    }
}

fn store(keeping: &Keeping) -> Store<'_> {
    match keeping {
        Keeping::Off => Store { state: "off", path: None, trouble: None },
        Keeping::Kept(path) => Store { state: "kept", path: Some(path), trouble: None },
        Keeping::Troubled(path, why) => Store { state: "troubled", path: Some(path), trouble: Some(why) },
    }
}

fn cores(sight: &Sight) -> Vec<Core<'_>> {
    let mut all = Vec::new();
    for worker in &sight.view.workers {
        let figures = sight.figures.cores.get(worker.worker.index());
        let numbers = figures.map_or(&[][..], |core| &core.numbers);
        all.push(Core {
            worker: worker.worker.0,
            runs: worker.runs,
            driver: worker.driver,
            epoch: worker.epoch.0,
            connections: figures.map_or(0, |core| core.connections),
            // The epoch is told above, by control.
            numbers: numbers.iter().filter(|one| one.name != "epoch").map(|one| (&*one.name, one.value)).collect(),
        });
    }
    all
}

fn services(sight: &Sight) -> Vec<Service<'_>> {
    let epoch = &sight.view.epoch;
    let mut all = Vec::with_capacity(epoch.snapshot.services.len());
    for (service, id) in epoch.snapshot.services.iter().zip((0..).map(ServiceId)) {
        let figures = sight.figures.service(&epoch.rows, id);
        let by_class = CLASS_LABELS.into_iter().zip(figures.classes);
        all.push(Service {
            name: &service.name,
            kind: if service.tcp.is_some() { "tcp" } else { "http" },
            calls: calls(sight, Kind::Service, &service.name),
            requests_total: figures.classes.iter().sum(),
            by_class: by_class.filter(|(_, count)| *count > 0).collect(),
            tunnels_total: figures.tunnels,
            received_bytes_total: figures.bytes_in,
            sent_bytes_total: figures.bytes_out,
            endpoints: endpoints(sight, service),
        });
    }
    all
}

fn endpoints<'s>(sight: &'s Sight, service: &'s snapshot::Service) -> Vec<Endpoint<'s>> {
    let epoch = &sight.view.epoch;
    let mut all = Vec::with_capacity(service.upstream.endpoints.len());
    for endpoint in &service.upstream.endpoints {
        let known = epoch.health.of(endpoint.id);
        let counted = sight.figures.endpoint(&epoch.rows, endpoint.id);
        all.push(Endpoint {
            endpoint: &endpoint.node,
            health: health(known.verdict),
            addresses: &known.addresses,
            weight: endpoint.weight,
            forbidden: endpoint.forbidden,
            busy: counted.busy,
            attempts_total: counted.attempts,
            failures_total: counted.failures,
        });
    }
    all
}

fn tenants(sight: &Sight) -> Vec<Tenant<'_>> {
    let epoch = &sight.view.epoch;
    let mut all = Vec::new();
    for (tenant, id) in epoch.snapshot.tenants.all().iter().zip((0..).map(TenantId)) {
        let quota = tenant.quota.as_ref();
        all.push(Tenant {
            app_id: &tenant.app_id,
            name: &tenant.name,
            requests_total: sight.figures.tenant(&epoch.rows, id),
            calls: calls(sight, Kind::Tenant, &tenant.app_id),
            quota: quota.map(|quota| Quota { daily_max: quota.daily_max, used: quota.count.of(sight.page.day) }),
        });
    }
    all
}

fn calls(sight: &Sight, kind: Kind, name: &str) -> Calls {
    let Rate { sum, per_second } = sight.page.rates.get(&key(kind, name)).copied().unwrap_or_default();
    Calls { per_second: rounded(per_second), this_hour: sum.hour, today: sum.day }
}

const fn health(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unprobed => "unprobed",
        Verdict::Up => "up",
        Verdict::Down => "down",
    }
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
