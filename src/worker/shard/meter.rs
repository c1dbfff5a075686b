//! Counters of one core: one writer, in the core's slot of the stats file (`wall/slot`), as things happen.
//!
//! In scope: what is counted: connections as they come (`accept`), tunnels as they open, connections to endpoints as
//! pools hand them out, everything else when it is settled (`account`). Out of scope: who reads them.

use std::fmt::Write;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::account::{Account, Kind};
use crate::end::{End, Side};
use crate::ids::EpochId;
use crate::wall::link::Open;
use crate::wall::slot::buckets::{COARSE_BUCKETS, coarse, fine};
use crate::wall::slot::layout::{
    CORE_DURATION_AT, CORE_ENDS_AT, CORE_LAG_AT, CORE_TUNNEL_ENDS_AT, Core, Endpoint, REASON_SHIFT, REASONS, Rows,
    SERVICE_DURATION_AT, SERVICE_REASONS_AT, Service, Tenant,
};
use crate::wall::slot::{RowId, Slot, add};
use crate::wall::words::counted;

/// The counters of one core.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    slot: Slot,
}

/// A row of the slot.
type Row = &'static [AtomicU64];

impl Meter {
    /// Counts in this slot, whose counters go on where a worker before it has left them.
    #[must_use]
    pub fn new(slot: Slot) -> Self {
        let gauges = [Core::Idle, Core::InFlight, Core::Tunnels, Core::PoolIdle, Core::PoolBusy, Core::Queued];
        let of_endpoints = [Endpoint::Busy, Endpoint::Idle, Endpoint::Queued];
        slot.begin(&gauges.map(|gauge| gauge as usize), &of_endpoints.map(|gauge| gauge as usize));
        Self { slot }
    }

    fn count(&self, word: Core) {
        self.add(word, 1);
    }

    fn add(&self, word: Core, count: u64) {
        add(self.slot.word(word as usize), count);
    }

    fn set(&self, word: Core, value: u64) {
        self.slot.word(word as usize).store(value, Relaxed);
    }

    fn get(&self, word: Core) -> u64 {
        self.slot.word(word as usize).load(Relaxed)
    }

    /// A client connection is served here.
    pub fn connection(&self) {
        self.count(Core::Connections);
    }

    /// A client connection that was accepted here went to another worker.
    pub fn handed_over(&self) {
        self.count(Core::HandedOver);
    }

    /// A connection's task panicked.
    pub fn panic(&self) {
        self.count(Core::Panics);
    }

    /// A tunnel was opened.
    pub fn tunnel_opened(&self) {
        self.count(Core::TunnelsOpened);
    }

    /// A request is copied to another service.
    pub fn copy(&self) {
        self.count(Core::Copies);
    }

    /// One was to be, but there was no room, no endpoint, or its body was not in hand.
    pub fn copy_dropped(&self) {
        self.count(Core::CopiesDropped);
    }

    /// A copy got no whole answer in time.
    pub fn copy_failed(&self) {
        self.count(Core::CopiesFailed);
    }

    /// New requests run on this epoch.
    pub fn adopted(&self, epoch: EpochId) {
        self.set(Core::Epoch, epoch.0);
    }

    /// The worker is pinned to this processor, or to none.
    pub fn pinned(&self, cpu: Option<usize>) {
        self.set(Core::Pinned, cpu.map_or(0, |cpu| cpu as u64 + 1));
    }

    /// What is open now.
    pub fn open(&self, open: Open) {
        self.set(Core::Idle, open.idle as u64);
        self.set(Core::InFlight, open.exchanges as u64);
        self.set(Core::Tunnels, open.tunnels as u64);
    }

    /// So late a timer fired, and so much processor time the worker has had.
    pub fn tick(&self, late_us: u64, cpu_us: u64) {
        self.count(Core::LagLooks);
        self.add(Core::Lag, late_us);
        if late_us > self.get(Core::LagMax) {
            self.set(Core::LagMax, late_us);
        }
        add(self.slot.word(CORE_LAG_AT + coarse(late_us)), 1);
        self.set(Core::Cpu, cpu_us);
    }

    /// Bytes of a tunnel went on, from the client or to it.
    pub fn tunnel_bytes(&self, service: RowId, from_client: bool, bytes: u64) {
        let (core, word) =
            if from_client { (Core::BytesIn, Service::BytesIn) } else { (Core::BytesOut, Service::BytesOut) };
        self.add(core, bytes);
        if let Some(row) = self.slot.row(Rows::Services, service) {
            add(&row[word as usize], bytes);
        }
    }

    /// An endpoint is tried.
    pub fn attempt(&self, endpoint: RowId) {
        self.count_endpoint(endpoint, Endpoint::Attempts);
    }

    /// An attempt ended early, and another follows.
    pub fn retry(&self, account: &Account, end: End) {
        self.count(Core::Retries);
        if let Some(row) = self.slot.row(Rows::Services, account.rows.service) {
            add(&row[Service::Retries as usize], 1);
        }
        self.blame(account, end);
    }

    /// Something is over.
    pub fn settle(&self, kind: Kind, account: &Account) {
        let ends_at = if kind == Kind::Tunnel { CORE_TUNNEL_ENDS_AT } else { CORE_ENDS_AT };
        if let Some(end) = account.end {
            add(self.slot.word(ends_at + end as usize), 1);
            self.blame(account, end);
        }
        let service = self.slot.row(Rows::Services, account.rows.service);
        match kind {
            Kind::Exchange | Kind::Switch => self.exchange(account, service),
            Kind::Tunnel => {
                if let Some(row) = service {
                    add(&row[Service::Tunnels as usize], 1);
                }
            }
            Kind::Connection => self.bytes(account, service),
        }
        if let (Some(row), Some(end)) = (service, account.end) {
            count_reason(&row[SERVICE_REASONS_AT..SERVICE_REASONS_AT + REASONS], end);
        }
    }

    fn exchange(&self, account: &Account, service: Option<Row>) {
        let class = usize::from(account.status / 100).min(5);
        add(self.slot.word(Core::Unanswered as usize + class), 1);
        self.bytes(account, service);
        let timing = &account.timing;
        let total_us = timing.total_us().unwrap_or(0);
        let times = [
            (Core::Duration, Some(Service::Duration), Some(total_us)),
            (Core::ClientHead, None, timing.client_head_us()),
            (Core::QueueTime, Some(Service::QueueTime), timing.queue_us()),
            (Core::ConnectTime, Some(Service::ConnectTime), timing.connect_us()),
            (Core::ResponseTime, Some(Service::ResponseTime), timing.response_us()),
        ];
        for (core, word, us) in times {
            let Some(us) = us.filter(|us| *us > 0) else { continue };
            self.add(core, us);
            if let (Some(row), Some(word)) = (service, word) {
                add(&row[word as usize], us);
            }
        }
        add(self.slot.word(CORE_DURATION_AT + fine(total_us)), 1);
        if let Some(row) = service {
            add(&row[Service::Unanswered as usize + class], 1);
            count_duration(row, total_us);
        }
        if let Some(response_us) = timing.response_us() {
            self.response(account, service, response_us);
        }
        self.tenant(account);
    }

    fn bytes(&self, account: &Account, service: Option<Row>) {
        self.add(Core::BytesIn, account.bytes_in);
        self.add(Core::BytesOut, account.bytes_out);
        if let Some(row) = service {
            add(&row[Service::BytesIn as usize], account.bytes_in);
            add(&row[Service::BytesOut as usize], account.bytes_out);
        }
    }

    fn response(&self, account: &Account, service: Option<Row>, response_us: u64) {
        self.count(Core::Responses);
        if let Some(row) = service {
            add(&row[Service::Responses as usize], 1);
        }
        if let Some(row) = self.slot.row(Rows::Endpoints, account.rows.endpoint) {
            add(&row[Endpoint::Responses as usize], 1);
            add(&row[Endpoint::ResponseTime as usize], response_us);
        }
    }

    fn tenant(&self, account: &Account) {
        let Some(row) = self.slot.row(Rows::Tenants, account.rows.tenant) else { return };
        add(&row[Tenant::Requests as usize], 1);
        add(&row[Tenant::Ended as usize], account.end.is_some().into());
        add(&row[Tenant::BytesIn as usize], account.bytes_in);
        add(&row[Tenant::BytesOut as usize], account.bytes_out);
    }

    /// Counts against the endpoint what was its doing.
    fn blame(&self, account: &Account, end: End) {
        if account.attempts > 0 && end.meaning().side == Side::Upstream {
            self.count_endpoint(account.rows.endpoint, Endpoint::Failures);
        }
    }

    fn count_endpoint(&self, endpoint: RowId, word: Endpoint) {
        if let Some(row) = self.slot.row(Rows::Endpoints, endpoint) {
            add(&row[word as usize], 1);
        }
    }

    /// One line for the log, at the end.
    #[must_use]
    pub fn summary(&self) -> String {
        let classes = Core::Unanswered as usize..=Core::Status5 as usize;
        let requests: u64 = classes.map(|at| self.slot.word(at).load(Relaxed)).sum();
        let mut line = format!(
            "{}, {} handed over, {}, {}",
            counted(self.get(Core::Connections), "connection"),
            self.get(Core::HandedOver),
            counted(requests, "request"),
            counted(self.get(Core::Panics), "panic")
        );
        self.put_ends(&mut line, CORE_ENDS_AT);
        if self.get(Core::TunnelsOpened) > 0 {
            let _ = write!(line, "; {}", counted(self.get(Core::TunnelsOpened), "tunnel"));
            self.put_ends(&mut line, CORE_TUNNEL_ENDS_AT);
        }
        line
    }

    fn put_ends(&self, line: &mut String, at: usize) {
        let totals = End::ALL.iter().enumerate().map(|(index, end)| (end, self.slot.word(at + index).load(Relaxed)));
        for (end, total) in totals.filter(|(_, total)| *total > 0) {
            let _ = write!(line, ", {}={total}", end.code());
        }
    }
}

fn count_duration(row: Row, us: u64) {
    let bucket = coarse(us);
    add(&row[SERVICE_DURATION_AT + bucket], 1);
    if bucket == 0 {
        add(&row[Service::ShortSum as usize], us);
    } else if bucket == COARSE_BUCKETS - 1 {
        add(&row[Service::LongSum as usize], us);
    }
}

/// A service meets few of all reasons: each has the word that was free when it came first.
fn count_reason(words: &[AtomicU64], end: End) {
    let number = (end as u64 + 1) << REASON_SHIFT;
    for word in words {
        let held = word.load(Relaxed);
        if held == 0 {
            return word.store(number + 1, Relaxed);
        }
        if held >> REASON_SHIFT == number >> REASON_SHIFT {
            return word.store(held + 1, Relaxed);
        }
    }
    if let Some(last) = words.last() {
        add(last, 1);
    }
}

/// Counts what a pool does, for the core and for the endpoint.
#[derive(Clone, Copy, Debug)]
pub struct PoolMeter {
    meter: Meter,
    endpoint: RowId,
}

impl PoolMeter {
    /// The counters of this endpoint's pool.
    #[must_use]
    pub fn new(meter: Meter, endpoint: RowId) -> Self {
        Self { meter, endpoint }
    }

    /// Where the endpoint is counted.
    #[must_use]
    pub fn row_id(&self) -> RowId {
        self.endpoint
    }

    /// A kept connection is used again.
    pub fn hit(&self) {
        self.meter.count(Core::PoolHits);
    }

    /// There was none: one is dialled.
    pub fn miss(&self) {
        self.meter.count(Core::PoolMisses);
    }

    /// A kept connection could not be used.
    pub fn stale(&self) {
        self.meter.count(Core::PoolStale);
    }

    /// More, or fewer, connections are in use.
    pub fn busy(&self, change: i64) {
        self.shift(Core::PoolBusy, Endpoint::Busy, change);
    }

    /// More, or fewer, are kept.
    pub fn idle(&self, change: i64) {
        self.shift(Core::PoolIdle, Endpoint::Idle, change);
    }

    /// A request waits for a connection.
    pub fn queued(&self) {
        self.meter.count(Core::QueuedEver);
        self.shift(Core::Queued, Endpoint::Queued, 1);
    }

    /// It waits no more.
    pub fn unqueued(&self) {
        self.shift(Core::Queued, Endpoint::Queued, -1);
    }

    /// It has waited in vain.
    pub fn queue_timeout(&self) {
        self.meter.count(Core::QueueTimeouts);
    }

    fn shift(&self, core: Core, word: Endpoint, change: i64) {
        shift(self.meter.slot.word(core as usize), change);
        if let Some(row) = self.meter.slot.row(Rows::Endpoints, self.endpoint) {
            shift(&row[word as usize], change);
        }
    }
}

/// A gauge of somebody whose row began anew meanwhile does not fall below nothing.
fn shift(word: &AtomicU64, change: i64) {
    word.store(word.load(Relaxed).saturating_add_signed(change), Relaxed);
}
