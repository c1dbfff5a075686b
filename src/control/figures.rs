//! What the workers have counted at one moment, read out of the stats file as the admin listener wants it.
//!
//! In scope: which fields matter, and finding a service's, an endpoint's and a tenant's by the numbers of an epoch. Out
//! of scope: where the numbers stand (`wall::slot`), what is made of them (`admin`).

use std::collections::HashMap;

use crate::end::End;
use crate::ids::{EndpointId, ServiceId, TenantId};
use crate::wall::slot::RowIds;
use crate::wall::slot::layout::Kind;
use crate::wall::slot::read::{Reading, Record, Row, Stats};

/// Requests by the class of the answer's status, and at 0 those without one.
pub(super) type Classes = [u64; 6];
/// The fields that hold them, on a core and of a service.
pub(super) const CLASSES: [&str; 6] = [
    "requests_unanswered_total",
    "requests_1xx_total",
    "requests_2xx_total",
    "requests_3xx_total",
    "requests_4xx_total",
    "requests_5xx_total",
];

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Each worker, by its number.
    pub(super) cores: Vec<Core>,
    /// How often each reason ended an exchange, a connection or a tunnel early.
    pub(super) ends: Vec<(&'static str, u64)>,
    services: HashMap<usize, Service>,
    endpoints: HashMap<usize, Endpoint>,
    tenants: HashMap<usize, u64>,
}

/// One worker.
#[derive(Debug, Default)]
pub(super) struct Core {
    /// Client connections now, tunnels among them.
    pub(super) connections: u64,
    /// What else it has counted.
    pub(super) numbers: Vec<Number>,
    classes: Classes,
}

/// One number of a worker.
#[derive(Debug)]
pub(super) struct Number {
    /// As the stats file names it.
    pub(super) name: String,
    /// `us`, `bytes`, …
    pub(super) unit: String,
    /// It only grows.
    pub(super) grows: bool,
    /// How much.
    pub(super) value: u64,
}

/// One service.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// Requests by class.
    pub(super) classes: Classes,
    /// Tunnels and tcp connections that are over.
    pub(super) tunnels: u64,
    /// Bytes from clients.
    pub(super) bytes_in: u64,
    /// Bytes to clients.
    pub(super) bytes_out: u64,
    /// How long exchanges took: where each bucket ends, in microseconds, and how many are in it and not in one before.
    pub(super) buckets: Vec<(u64, u64)>,
    /// All of them.
    pub(super) count: u64,
    /// How long all took together, microseconds.
    pub(super) sum_us: u64,
}

/// One endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Endpoint {
    /// Attempts.
    pub(super) attempts: u64,
    /// Those of them that failed by its doing.
    pub(super) failures: u64,
    /// Answers.
    pub(super) responses: u64,
    /// How long all answers were waited for, microseconds.
    pub(super) response_us: u64,
    /// Connections in use.
    pub(super) busy: u64,
}

static NO_SERVICE: Service =
    Service { classes: [0; 6], tunnels: 0, bytes_in: 0, bytes_out: 0, buckets: Vec::new(), count: 0, sum_us: 0 };

impl Figures {
    /// Reads everything; takes milliseconds where there are thousands of services.
    pub(super) fn read(stats: &Stats) -> Self {
        let Reading { cores, services, endpoints, tenants, .. } = stats.read();
        Self {
            ends: ends(&cores),
            cores: cores.iter().map(core).collect(),
            services: by_row(&services, service),
            endpoints: by_row(&endpoints, endpoint),
            tenants: by_row(&tenants, |counts| counts.get("requests_total")),
        }
    }

    /// A service's.
    pub(super) fn service(&self, rows: &RowIds, id: ServiceId) -> &Service {
        self.services.get(&(rows.service(id).row as usize)).unwrap_or(&NO_SERVICE)
    }

    /// An endpoint's.
    pub(super) fn endpoint(&self, rows: &RowIds, id: EndpointId) -> Endpoint {
        self.endpoints.get(&(rows.endpoint(id).row as usize)).copied().unwrap_or_default()
    }

    /// Requests on behalf of a tenant.
    pub(super) fn tenant(&self, rows: &RowIds, id: TenantId) -> u64 {
        self.tenants.get(&(rows.tenant(id).row as usize)).copied().unwrap_or(0)
    }

    /// Client connections now.
    pub(super) fn connections(&self) -> u64 {
        self.cores.iter().map(|core| core.connections).sum()
    }

    /// All requests, by class.
    pub(super) fn classes(&self) -> Classes {
        let mut sum = Classes::default();
        for core in &self.cores {
            sum.iter_mut().zip(core.classes).for_each(|(sum, count)| *sum += count);
        }
        sum
    }
}

fn by_row<T>(rows: &[Row], read: impl Fn(&Record) -> T) -> HashMap<usize, T> {
    rows.iter().map(|row| (row.row, read(&row.counts))).collect()
}

fn core(core: &Record) -> Core {
    let number = |(field, value): (&crate::wall::slot::layout::Field, u64)| Number {
        name: field.name.clone(),
        unit: field.unit.clone(),
        grows: field.kind == Kind::Counter,
        value,
    };
    let connections = ["idle", "in_flight", "tunnels"].iter().map(|name| core.get(name)).sum();
    Core { connections, numbers: core.values().map(number).collect(), classes: CLASSES.map(|name| core.get(name)) }
}

fn ends(cores: &[Record]) -> Vec<(&'static str, u64)> {
    let mut counts = HashMap::<&str, u64>::new();
    for (code, count) in
        cores.iter().flat_map(|core| ["ends_total", "tunnel_ends_total"].map(|name| core.labelled(name))).flatten()
    {
        *counts.entry(code).or_default() += count;
    }
    End::ALL.iter().map(|end| (end.code(), counts.get(end.code()).copied().unwrap_or(0))).collect()
}

fn service(counts: &Record) -> Service {
    let (in_bucket, bounds) = counts.histogram("duration");
    Service {
        classes: CLASSES.map(|name| counts.get(name)),
        tunnels: counts.get("tunnels_ended_total"),
        bytes_in: counts.get("bytes_in_total"),
        bytes_out: counts.get("bytes_out_total"),
        buckets: bounds.iter().copied().zip(in_bucket.iter().copied()).collect(),
        count: in_bucket.iter().sum(),
        sum_us: counts.get("duration_us_sum"),
    }
}

fn endpoint(counts: &Record) -> Endpoint {
    Endpoint {
        attempts: counts.get("attempts_total"),
        failures: counts.get("failures_total"),
        responses: counts.get("responses_total"),
        response_us: counts.get("response_us_sum"),
        busy: counts.get("in_flight"),
    }
}
