//! Control's part of the stats file: which rows are whose, how endpoints are, what was reloaded when.
//!
//! In scope: giving rows memory and writing titles, before a worker counts there. Out of scope: who gets which row
//! (`state::rows`).

use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::warn;

use crate::wall::epoch::Epoch;
use crate::wall::health::Verdict;
use crate::wall::slot::layout::{NAME_WORDS, Process, Rows, Title};
use crate::wall::slot::{RowId, StatsFile, add, packed};

/// What control shows.
pub(super) struct Chart {
    file: &'static StatsFile,
    /// Rows that have had a title, by kind.
    titled: [usize; Rows::ALL.len()],
    /// How many were not counted for lack of rows or memory, when that was last told.
    told: usize,
}

/// Whose row it is, and what is said of it.
struct Entry<'e> {
    id: RowId,
    name: &'e str,
    facts: Vec<(Title, u64)>,
}

impl Chart {
    /// Nothing is shown yet but when the process started.
    pub(super) fn new(file: &'static StatsFile) -> Self {
        file.process(Process::StartedMs).store(unix_ms(), Relaxed);
        Self { file, titled: [0; Rows::ALL.len()], told: 0 }
    }

    /// A reload has ended.
    pub(super) fn count_reload(&self, loaded: bool) {
        add(self.file.process(if loaded { Process::Reloads } else { Process::ReloadFailures }), 1);
        self.file.process(Process::ReloadedMs).store(unix_ms(), Relaxed);
    }

    /// Shows an epoch: its rows can be counted in when this returns.
    pub(super) fn show(&mut self, epoch: &Epoch) {
        let now_ms = unix_ms();
        let uncounted = self.show_rows(Rows::Services, &services(epoch), now_ms)
            + self.show_rows(Rows::Endpoints, &endpoints(epoch), now_ms)
            + self.show_rows(Rows::Tenants, &tenants(epoch), now_ms);
        if uncounted > self.told {
            warn!("{uncounted} services, endpoints and tenants have no row of their own in the stats file");
        }
        self.told = uncounted;
        self.file.process(Process::Uncounted).store(uncounted as u64, Relaxed);
        self.file.process(Process::Epoch).store(epoch.id.0, Relaxed);
        self.file.process(Process::ChangedMs).store(now_ms, Relaxed);
    }

    /// How many of them have no row, or none with memory.
    fn show_rows(&mut self, rows: Rows, entries: &[Entry<'_>], now_ms: u64) -> usize {
        let rowed = || entries.iter().filter(|entry| entry.id != RowId::NONE);
        let wanted = rowed().map(|entry| entry.id.row as usize + 1).max().unwrap_or(0);
        if let Err((had, error)) = self.file.back(rows, wanted) {
            warn!("the stats file has no memory for more than {had} of {wanted} rows: {error}");
        }
        let mut taken = vec![false; self.titled[rows as usize].max(wanted)];
        let mut shown = 0;
        for entry in rowed() {
            let row = entry.id.row as usize;
            let Some(title) = self.file.title(rows, row) else { continue };
            taken[row] = true;
            shown += 1;
            write(title, entry, now_ms);
        }
        for (row, _) in taken.iter().enumerate().filter(|(_, taken)| !**taken) {
            if let Some(title) = self.file.title(rows, row) {
                title[Title::Generation as usize].store(0, Relaxed);
            }
        }
        self.titled[rows as usize] = taken.len();
        let count = match rows {
            Rows::Services => Process::ServiceRows,
            Rows::Endpoints => Process::EndpointRows,
            Rows::Tenants => Process::TenantRows,
        };
        // A reader looks at no row without memory.
        let readable =
            (0..taken.len()).rev().find(|row| self.file.title(rows, *row).is_some()).map_or(0, |row| row + 1);
        self.file.process(count).store(readable as u64, Release);
        entries.len() - shown
    }
}

fn write(title: &[AtomicU64], entry: &Entry<'_>, now_ms: u64) {
    let generation = u64::from(entry.id.generation);
    let word = |word: Title| &title[word as usize];
    let new = word(Title::Generation).load(Relaxed) != generation;
    if new {
        word(Title::Generation).store(0, Relaxed);
        fence(Release);
        write_name(&title[Title::COUNT..], entry.name);
        word(Title::NameBytes).store(entry.name.len() as u64, Relaxed);
    }
    let changed = entry.facts.iter().any(|(fact, value)| *fact == Title::Health && word(*fact).load(Relaxed) != *value);
    for (fact, value) in &entry.facts {
        word(*fact).store(*value, Relaxed);
    }
    if new || changed {
        word(Title::ChangedMs).store(now_ms, Relaxed);
    }
    word(Title::Generation).store(generation, Release);
}

/// As much of the name as there is room for.
fn write_name(place: &[AtomicU64], name: &str) {
    let mut bytes = [0; NAME_WORDS * size_of::<u64>()];
    let length = name.len().min(bytes.len());
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    for (word, bytes) in place.iter().zip(bytes.chunks(size_of::<u64>())) {
        word.store(packed(bytes), Relaxed);
    }
}

fn services(epoch: &Epoch) -> Vec<Entry<'_>> {
    let all = epoch.snapshot.services.iter().zip(&epoch.rows.services);
    all.map(|(service, id)| Entry {
        id: *id,
        name: &service.name,
        facts: vec![(Title::Tcp, service.tcp.is_some().into())],
    })
    .collect()
}

fn endpoints(epoch: &Epoch) -> Vec<Entry<'_>> {
    let services = epoch.snapshot.services.iter().zip(&epoch.rows.services);
    let all = services.flat_map(|(service, id)| service.upstream.endpoints.iter().map(move |one| (one, id.row)));
    all.map(|(endpoint, service)| {
        let health = match epoch.health.of(endpoint.id).verdict {
            Verdict::Unprobed => 0,
            Verdict::Up => 1,
            Verdict::Down => 2,
        };
        Entry {
            id: epoch.rows.endpoint(endpoint.id),
            name: &endpoint.node,
            facts: vec![
                (Title::Service, service.into()),
                (Title::Health, health),
                (Title::Weight, endpoint.weight.into()),
                (Title::Forbidden, endpoint.forbidden.into()),
            ],
        }
    })
    .collect()
}

fn tenants(epoch: &Epoch) -> Vec<Entry<'_>> {
    let all = epoch.snapshot.tenants.all().iter().zip(&epoch.rows.tenants);
    all.map(|(tenant, id)| Entry { id: *id, name: &tenant.app_id, facts: Vec::new() }).collect()
}

/// Milliseconds since 1970.
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
