//! The roll of checked endpoints: one row per address and check, however many services share it.
//!
//! In scope: which checkers run, their verdicts, which endpoints of which epoch they speak for, the
//! names that need resolving, and the `Health` table made of all that. A row lives as long as any
//! endpoint of the newest snapshot has its key, so verdicts carry over a reload by content. Pure.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::tally::Tally;
use super::{Effect, Level};
use crate::ids::{EndpointId, EpochId};
use crate::wall::health::{EndpointHealth, Health, Verdict};
use crate::wall::snapshot::{Address, Check, Snapshot};

/// Snapshots whose reports of failed connects are still understood.
const SNAPSHOTS_KEPT: usize = 8;

/// One checker, for as long as its key is on the roll. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CheckerId(pub(crate) u64);

/// What is checked and how; endpoints with equal keys share one checker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// What is dialled.
    pub(crate) address: Address,
    /// What is tried there.
    pub(crate) check: Check,
}

/// The roll.
#[derive(Debug, Default)]
pub(super) struct Roll {
    rows: BTreeMap<CheckerId, Row>,
    by_key: HashMap<Arc<Key>, CheckerId>,
    checkers_total: u64,
    /// What each name resolves to; empty until it does.
    names: BTreeMap<Box<str>, Box<[IpAddr]>>,
    /// Which checker speaks for each endpoint, by the first epoch of its snapshot; newest last.
    tables: VecDeque<(EpochId, Box<[CheckerId]>)>,
    /// Rows whose verdict is not published yet.
    flipped: Vec<CheckerId>,
}

#[derive(Debug)]
struct Row {
    key: Arc<Key>,
    tally: Tally,
    /// The epoch that published the verdict; `None` while it waits for publication.
    told_in: Option<EpochId>,
}

impl Roll {
    /// Takes up the endpoints of a snapshot: starts and ends checkers and lookups. `first` is the
    /// first epoch that will carry the snapshot.
    pub(super) fn take_up(&mut self, snapshot: &Snapshot, first: EpochId, out: &mut Vec<Effect>) {
        self.take_up_names(snapshot, out);
        let mut table = Vec::with_capacity(snapshot.endpoints);
        let mut added = Vec::new();
        for (service, endpoint) in snapshot.all_endpoints() {
            let key = Key { address: endpoint.address.clone(), check: service.upstream.check.clone() };
            table.push(self.enrol(key, first, &mut added));
        }
        self.strike_all_but(&table, out);
        if !added.is_empty() {
            out.push(Effect::Check(added));
        }
        self.tables.push_back((first, table.into()));
        if self.tables.len() > SNAPSHOTS_KEPT {
            self.tables.pop_front();
        }
    }

    fn enrol(&mut self, key: Key, first: EpochId, added: &mut Vec<(CheckerId, Arc<Key>)>) -> CheckerId {
        if let Some(&id) = self.by_key.get(&key) {
            return id;
        }
        self.checkers_total += 1;
        let (id, key) = (CheckerId(self.checkers_total), Arc::new(key));
        self.by_key.insert(Arc::clone(&key), id);
        self.rows.insert(id, Row { key: Arc::clone(&key), tally: Tally::new(), told_in: Some(first) });
        added.push((id, key));
        id
    }

    fn strike_all_but(&mut self, table: &[CheckerId], out: &mut Vec<Effect>) {
        let wanted: HashSet<CheckerId> = table.iter().copied().collect();
        let by_key = &mut self.by_key;
        self.rows.retain(|id, row| {
            let keep = wanted.contains(id);
            if !keep {
                by_key.remove(&row.key);
                out.push(Effect::Uncheck(*id));
            }
            keep
        });
    }

    fn take_up_names(&mut self, snapshot: &Snapshot, out: &mut Vec<Effect>) {
        let wanted: HashSet<&str> = snapshot
            .all_endpoints()
            .filter_map(|(_, endpoint)| match &endpoint.address {
                Address::Name(name, _) => Some(&**name),
                Address::Socket(_) | Address::Unix(_) => None,
            })
            .collect();
        self.names.retain(|name, _| {
            let keep = wanted.contains(&**name);
            if !keep {
                out.push(Effect::Forget(name.clone()));
            }
            keep
        });
        for name in wanted {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), Box::default());
                out.push(Effect::Resolve(name.into()));
            }
        }
    }

    /// A probe has ended; true when the verdict changed.
    pub(super) fn probed(&mut self, id: CheckerId, failure: Option<&str>, out: &mut Vec<Effect>) -> bool {
        let Some(row) = self.rows.get_mut(&id) else { return false };
        let before = row.tally.verdict();
        if !row.tally.record(failure.is_none(), &row.key.check) {
            return false;
        }
        row.told_in = None;
        self.flipped.push(id);
        let address = &row.key.address;
        out.push(match failure {
            Some(why) => Effect::Say(Level::Warn, format!("endpoint {} is down: {why}", Shown(address))),
            None if before == Verdict::Down => Effect::Say(Level::Info, format!("endpoint {} is up", Shown(address))),
            None => Effect::Say(Level::Debug, format!("endpoint {} is up", Shown(address))),
        });
        true
    }

    /// A worker could not connect on this epoch; true when the verdict changed. What a worker saw
    /// before it knew the present verdict says nothing about it, and a down endpoint is probed anyway.
    pub(super) fn connect_failed(&mut self, epoch: EpochId, endpoint: EndpointId, out: &mut Vec<Effect>) -> bool {
        let Some(id) = self.checker_of(epoch, endpoint) else { return false };
        let Some(row) = self.rows.get(&id) else { return false };
        let outdated = row.told_in.is_none_or(|told| epoch < told);
        if outdated || row.tally.verdict() == Verdict::Down {
            return false;
        }
        out.push(Effect::ProbeNow(id));
        self.probed(id, Some("a worker could not connect"), out)
    }

    fn checker_of(&self, epoch: EpochId, endpoint: EndpointId) -> Option<CheckerId> {
        let (_, table) = self.tables.iter().rev().find(|(first, _)| *first <= epoch)?;
        table.get(endpoint.index()).copied()
    }

    /// A name has other addresses than before; true when that changes the table.
    pub(super) fn resolved(&mut self, name: &str, addresses: Box<[IpAddr]>, out: &mut Vec<Effect>) -> bool {
        let Some(known) = self.names.get_mut(name).filter(|known| **known != addresses) else { return false };
        let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        out.push(Effect::Say(Level::Info, format!("{name} resolves to {}", list.join(", "))));
        *known = addresses;
        true
    }

    /// The table of the newest snapshot, to be published as `epoch`.
    pub(super) fn publish(&mut self, epoch: EpochId) -> Health {
        for id in self.flipped.drain(..) {
            if let Some(row) = self.rows.get_mut(&id) {
                row.told_in = Some(epoch);
            }
        }
        let table = self.tables.back().map(|(_, table)| &**table).unwrap_or_default();
        Health { endpoints: table.iter().map(|id| self.health_of(*id)).collect() }
    }

    fn health_of(&self, id: CheckerId) -> EndpointHealth {
        let row = self.rows.get(&id).expect("the newest table names only rows on the roll");
        let addresses = match &row.key.address {
            Address::Socket(address) => [*address].into(),
            Address::Unix(_) => Box::default(),
            Address::Name(name, port) => {
                let known = self.names.get(name).map(|known| &**known).unwrap_or_default();
                known.iter().map(|ip| SocketAddr::new(*ip, *port)).collect()
            }
        };
        EndpointHealth { verdict: row.tally.verdict(), addresses }
    }
}

/// An address as the file writes it.
pub(crate) struct Shown<'a>(pub(crate) &'a Address);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Address::Socket(address) => address.fmt(f),
            Address::Name(name, port) => write!(f, "{name}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
