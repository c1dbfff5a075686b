//! Which row of the stats file each service, endpoint and tenant has.
//!
//! A name keeps its row for as long as it is in the files, and gets it back, with what was counted there, when it returns
//! before somebody else has needed it. Rows are given out in order, so that few of them take memory; one whose owner is
//! gone is used again under a new generation. Pure. Out of scope: memory and names in the file (`control::stats_file`).

use std::collections::{HashMap, VecDeque};

use crate::limits::STATS_ROWS_STEP;
use crate::wall::slot::layout::Rows;
use crate::wall::slot::{RowId, RowIds};
use crate::wall::snapshot::Snapshot;

/// Every row there is.
#[derive(Debug)]
pub(super) struct RowBook {
    services: Book,
    endpoints: Book,
    tenants: Book,
}

impl Default for RowBook {
    fn default() -> Self {
        let book = |rows: Rows| Book { most: rows.most(), ..Book::default() };
        Self { services: book(Rows::Services), endpoints: book(Rows::Endpoints), tenants: book(Rows::Tenants) }
    }
}

impl RowBook {
    /// The rows of everything in a snapshot; what is not in it is gone.
    pub(super) fn assign(&mut self, snapshot: &Snapshot) -> RowIds {
        let services = snapshot.services.iter().map(|service| service.name.clone());
        let endpoints = snapshot.all_endpoints().map(|(service, endpoint)| {
            // No name holds a line break, so no two endpoints share a key.
            format!("{}\n{}", service.name, endpoint.node).into()
        });
        let tenants = snapshot.tenants.all().iter().map(|tenant| tenant.app_id.clone());
        RowIds {
            services: self.services.assign(services),
            endpoints: self.endpoints.assign(endpoints),
            tenants: self.tenants.assign(tenants),
        }
    }
}

/// The rows of one kind.
#[derive(Debug, Default)]
struct Book {
    most: usize,
    owners: HashMap<Box<str>, Owner>,
    /// Owners that are gone, the longest gone first, with the last round that each was in.
    gone: VecDeque<(Box<str>, u64)>,
    /// Rows given out so far.
    used: u32,
    generation: u32,
    round: u64,
}

#[derive(Debug)]
struct Owner {
    id: RowId,
    /// The last round that it was in.
    seen: u64,
}

impl Book {
    fn assign(&mut self, names: impl Iterator<Item = Box<str>>) -> Box<[RowId]> {
        self.round += 1;
        let names: Vec<_> = names.collect();
        // Whoever has a row keeps it, before others look for one.
        for name in &names {
            if let Some(owner) = self.owners.get_mut(name) {
                owner.seen = self.round;
            }
        }
        let last_round = self.round - 1;
        let left = self.owners.iter().filter(|(_, owner)| owner.seen == last_round);
        let mut left: Vec<_> = left.map(|(name, owner)| (name.clone(), owner.seen)).collect();
        left.sort_unstable();
        self.gone.extend(left);
        let owners = &self.owners;
        self.gone.retain(|(name, seen)| owners.get(name).is_some_and(|owner| owner.seen == *seen));
        names.into_iter().map(|name| self.id(name)).collect()
    }

    fn id(&mut self, name: Box<str>) -> RowId {
        if let Some(owner) = self.owners.get(&name) {
            return owner.id;
        }
        let Some(row) = self.free_row() else { return RowId::NONE };
        self.generation += 1;
        let id = RowId { row, generation: self.generation };
        self.owners.insert(name, Owner { id, seen: self.round });
        id
    }

    /// One that has memory already, else one whose owner is gone, else the next.
    fn free_row(&mut self) -> Option<u32> {
        let has_memory = !(self.used as usize).is_multiple_of(STATS_ROWS_STEP);
        let fresh = (self.used as usize) < self.most;
        if !has_memory && let Some(row) = self.former_row() {
            return Some(row);
        }
        if fresh {
            self.used += 1;
            return Some(self.used - 1);
        }
        self.former_row()
    }

    fn former_row(&mut self) -> Option<u32> {
        let (name, _) = self.gone.pop_front()?;
        self.owners.remove(&name).map(|owner| owner.id.row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn book(most: usize) -> Book {
        Book { most, ..Book::default() }
    }

    fn assign(book: &mut Book, names: &[&str]) -> Vec<RowId> {
        book.assign(names.iter().map(|&name| name.into())).into_vec()
    }

    #[test]
    fn a_name_keeps_its_row_whatever_comes_and_goes_beside_it() {
        let mut book = book(100);
        let first = assign(&mut book, &["a", "b", "c"]);
        let second = assign(&mut book, &["x", "c", "a"]);
        assert_eq!((second[1], second[2]), (first[2], first[0]));
    }

    #[test]
    fn a_name_that_comes_back_has_its_row_and_its_generation_again() {
        let mut book = book(100);
        let first = assign(&mut book, &["a", "b"]);
        assign(&mut book, &["a"]);
        assert_eq!(assign(&mut book, &["b", "a"])[0], first[1]);
    }

    #[test]
    fn a_row_is_used_again_under_a_larger_generation() {
        let mut book = book(2);
        let first = assign(&mut book, &["a", "b"]);
        let second = assign(&mut book, &["b", "c"]);
        assert_eq!((second[1].row, second[0]), (first[0].row, first[1]));
        assert!(second[1].generation > first[0].generation);
    }

    #[test]
    fn the_longest_gone_gives_its_row_first() {
        let mut book = book(2);
        let first = assign(&mut book, &["a", "b"]);
        assign(&mut book, &["a"]);
        assign(&mut book, &[]);
        assert_eq!(assign(&mut book, &["c"])[0].row, first[1].row);
    }

    #[test]
    fn what_comes_back_and_goes_again_is_not_the_longest_gone() {
        let mut book = book(2);
        let first = assign(&mut book, &["a", "b"]);
        assign(&mut book, &["b"]);
        assign(&mut book, &["a"]);
        assign(&mut book, &[]);
        assert_eq!(assign(&mut book, &["c"])[0].row, first[1].row);
    }

    #[test]
    fn beyond_the_last_row_nothing_is_counted() {
        let mut book = book(1);
        assert_eq!(assign(&mut book, &["a", "b"])[1], RowId::NONE);
    }

    #[test]
    fn rows_with_memory_come_first_and_then_those_of_the_gone() {
        let mut book = book(10_000);
        let names: Vec<String> = (0..STATS_ROWS_STEP).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assign(&mut book, &names[..60]);
        assert_eq!(assign(&mut book, &["a", "b", "c", "d"])[3].row, 63);
        assert!(assign(&mut book, &["a", "b", "c", "d", "e"])[4].row < 60);
    }

    proptest! {
        #[test]
        fn no_two_of_an_epoch_share_a_row(rounds in prop::collection::vec(prop::collection::btree_set(0_u8..24, 0..16), 1..20)) {
            let mut book = book(16);
            for names in rounds {
                let ids = book.assign(names.iter().map(|name| name.to_string().into()));
                let mut rows: Vec<_> = ids.iter().map(|id| id.row).collect();
                rows.sort_unstable();
                rows.dedup();
                prop_assert_eq!(rows.len(), names.len());
                prop_assert!(rows.last().is_none_or(|row| *row < 16));
            }
        }
    }
}
