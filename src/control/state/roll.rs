//! The roll: every place that endpoints of the newest snapshot name, and what is known of it.
//!
//! In scope: which checkers run, their verdicts, which endpoints of which epoch they speak for, the
//! names that need resolving, and the `Health` table made of all that. A place lives as long as any
//! endpoint of the newest snapshot has its key, so verdicts carry over a reload by content. Pure.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::place::{Key, Place};
use super::{CheckerId, Effect, Level, Target};
use crate::ids::{EndpointId, EpochId};
use crate::wall::health::Health;
use crate::wall::snapshot::{Address, Snapshot};

/// Snapshots whose reports of failed connects are still understood.
const SNAPSHOTS_KEPT: usize = 8;

/// One place, for as long as its key is on the roll. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PlaceId(u64);

/// The roll.
#[derive(Debug, Default)]
pub(super) struct Roll {
    places: BTreeMap<PlaceId, Place>,
    by_key: HashMap<Arc<Key>, PlaceId>,
    by_checker: HashMap<CheckerId, PlaceId>,
    places_total: u64,
    checkers_total: u64,
    /// What each name resolves to; `None` until its first lookup has ended.
    names: BTreeMap<Box<str>, Option<Box<[IpAddr]>>>,
    /// Which place each endpoint means, by the first epoch of its snapshot; newest last.
    tables: VecDeque<(EpochId, Box<[PlaceId]>)>,
    /// Places whose state is not published yet.
    changed: Vec<PlaceId>,
}

impl Roll {
    /// Takes up the endpoints of a snapshot: starts and ends checkers and lookups. `first` is the
    /// first epoch that will carry the snapshot.
    pub(super) fn take_up(&mut self, snapshot: &Snapshot, first: EpochId, out: &mut Vec<Effect>) {
        self.take_up_names(snapshot, out);
        let mut added = Vec::new();
        let table: Box<[PlaceId]> = snapshot
            .all_endpoints()
            .map(|(service, endpoint)| {
                let key = Key { address: endpoint.address.clone(), check: service.upstream.check.clone() };
                self.enrol(key, &mut added)
            })
            .collect();
        self.strike_all_but(&table, out);
        start(added, out);
        self.tables.push_back((first, table));
        if self.tables.len() > SNAPSHOTS_KEPT {
            self.tables.pop_front();
        }
    }

    fn enrol(&mut self, key: Key, added: &mut Vec<(CheckerId, Target)>) -> PlaceId {
        if let Some(&id) = self.by_key.get(&key) {
            return id;
        }
        self.places_total += 1;
        let (id, key) = (PlaceId(self.places_total), Arc::new(key));
        self.by_key.insert(Arc::clone(&key), id);
        let found = match &key.address {
            Address::Name(name, _) => self.names.get(name).cloned().flatten(),
            Address::Socket(_) | Address::Unix(_) => None,
        };
        self.places.insert(id, Place::new(key));
        self.man(id, found.as_deref(), added);
        self.changed.push(id);
        id
    }

    /// Gives a place the checkers it needs; returns those it no longer needs.
    fn man(&mut self, id: PlaceId, found: Option<&[IpAddr]>, added: &mut Vec<(CheckerId, Target)>) -> Vec<CheckerId> {
        let Some(place) = self.places.get_mut(&id) else { return Vec::new() };
        let numbers = &mut self.checkers_total;
        let before = added.len();
        let removed = place.man(found, added, || {
            *numbers += 1;
            CheckerId(*numbers)
        });
        self.by_checker.extend(added[before..].iter().map(|(checker, _)| (*checker, id)));
        for checker in &removed {
            self.by_checker.remove(checker);
        }
        removed
    }

    fn strike_all_but(&mut self, table: &[PlaceId], out: &mut Vec<Effect>) {
        let wanted: HashSet<PlaceId> = table.iter().copied().collect();
        let (by_key, by_checker) = (&mut self.by_key, &mut self.by_checker);
        self.places.retain(|id, place| {
            let keep = wanted.contains(id);
            if !keep {
                by_key.remove(place.key());
                for checker in place.checkers() {
                    by_checker.remove(&checker);
                    out.push(Effect::Uncheck(checker));
                }
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
                self.names.insert(name.into(), None);
                out.push(Effect::Resolve(name.into()));
            }
        }
    }

    /// A probe has ended; true when that changes the table.
    pub(super) fn probed(&mut self, checker: CheckerId, failure: Option<&str>, out: &mut Vec<Effect>) -> bool {
        let Some(&id) = self.by_checker.get(&checker) else { return false };
        let changed = self.places.get_mut(&id).is_some_and(|place| place.record(checker, failure, out));
        self.changed.extend(changed.then_some(id));
        changed
    }

    /// A worker could not connect on this epoch; true when that changes the table.
    pub(super) fn connect_failed(&mut self, epoch: EpochId, endpoint: EndpointId, out: &mut Vec<Effect>) -> bool {
        let Some(id) = self.place_of(epoch, endpoint) else { return false };
        let Some(place) = self.places.get_mut(&id) else { return false };
        let changed = place.connect_failed(epoch, out);
        self.changed.extend(changed.then_some(id));
        changed
    }

    fn place_of(&self, epoch: EpochId, endpoint: EndpointId) -> Option<PlaceId> {
        let (_, table) = self.tables.iter().rev().find(|(first, _)| *first <= epoch)?;
        table.get(endpoint.index()).copied()
    }

    /// A lookup has ended, with the addresses found, sorted; true when that changes the table. A name
    /// that no longer resolves keeps its last addresses.
    pub(super) fn resolved(&mut self, name: &str, addresses: &[IpAddr], out: &mut Vec<Effect>) -> bool {
        let Some(known) = self.names.get_mut(name) else { return false };
        if known.as_deref() == Some(addresses) || (known.is_some() && addresses.is_empty()) {
            return false;
        }
        *known = Some(addresses.into());
        out.push(told(name, addresses));
        let named = |place: &Place| matches!(&place.key().address, Address::Name(own, _) if **own == *name);
        let ids: Vec<PlaceId> = self.places.iter().filter(|(_, place)| named(place)).map(|(id, _)| *id).collect();
        let mut added = Vec::new();
        for id in ids {
            out.extend(self.man(id, Some(addresses), &mut added).into_iter().map(Effect::Uncheck));
            self.changed.push(id);
        }
        start(added, out);
        true
    }

    /// The table of the newest snapshot, to be published as `epoch`.
    pub(super) fn publish(&mut self, epoch: EpochId, now: Instant) -> Health {
        for id in self.changed.drain(..) {
            if let Some(place) = self.places.get_mut(&id) {
                place.told(epoch, now);
            }
        }
        let table = self.tables.back().map(|(_, table)| &**table).unwrap_or_default();
        let place = |id| self.places.get(id).expect("the newest table names only places on the roll");
        Health { endpoints: table.iter().map(|id| place(id).health()).collect() }
    }
}

fn start(added: Vec<(CheckerId, Target)>, out: &mut Vec<Effect>) {
    if !added.is_empty() {
        out.push(Effect::Check(added));
    }
}

fn told(name: &str, addresses: &[IpAddr]) -> Effect {
    let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    let level = if list.is_empty() { Level::Debug } else { Level::Info };
    Effect::Say(level, format!("{name} resolves to [{}]", list.join(", ")))
}
