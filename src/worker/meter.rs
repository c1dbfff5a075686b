//! Counters of one core: one writer, plain cells.
//!
//! In scope: what is counted: connections as they come (`accept`), tunnels as they open, everything else when it is
//! settled (`account`). Out of scope: who reads them.

use std::cell::{Cell, RefCell};
use std::fmt::Write;

use super::account::{Account, Kind};
use crate::end::End;

/// The counters of one core.
#[derive(Debug)]
pub struct Meter {
    connections_total: Cell<u64>,
    handed_over_total: Cell<u64>,
    requests_total: Cell<u64>,
    panics_total: Cell<u64>,
    ends_total: RefCell<Box<[u64]>>,
    tunnels_total: Cell<u64>,
    tunnel_ends_total: RefCell<Box<[u64]>>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            connections_total: Cell::default(),
            handed_over_total: Cell::default(),
            requests_total: Cell::default(),
            panics_total: Cell::default(),
            ends_total: RefCell::new(vec![0; End::ALL.len()].into()),
            tunnels_total: Cell::default(),
            tunnel_ends_total: RefCell::new(vec![0; End::ALL.len()].into()),
        }
    }
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Meter {
    /// A client connection is served here.
    pub fn connection(&self) {
        count(&self.connections_total);
    }

    /// A client connection that was accepted here went to another worker.
    pub fn handed_over(&self) {
        count(&self.handed_over_total);
    }

    /// A connection's task panicked.
    pub fn panic(&self) {
        count(&self.panics_total);
    }

    /// Something is over.
    pub fn settle(&self, kind: Kind, account: &Account) {
        let ends = match kind {
            Kind::Exchange | Kind::Switch => {
                count(&self.requests_total);
                &self.ends_total
            }
            Kind::Connection => &self.ends_total,
            Kind::Tunnel => &self.tunnel_ends_total,
        };
        if let Some(end) = account.end {
            ends.borrow_mut()[end as usize] += 1;
        }
    }

    /// A tunnel was opened.
    pub fn tunnel_opened(&self) {
        count(&self.tunnels_total);
    }

    /// One line for the log, at the end.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = format!(
            "{} connections, {} handed over, {} requests, {} panics",
            self.connections_total.get(),
            self.handed_over_total.get(),
            self.requests_total.get(),
            self.panics_total.get()
        );
        put_ends(&mut line, &self.ends_total.borrow());
        if self.tunnels_total.get() > 0 {
            let _ = write!(line, "; {} tunnels", self.tunnels_total.get());
            put_ends(&mut line, &self.tunnel_ends_total.borrow());
        }
        line
    }
}

fn put_ends(line: &mut String, totals: &[u64]) {
    for (end, total) in End::ALL.iter().zip(totals).filter(|(_, total)| **total > 0) {
        let _ = write!(line, ", {}={total}", end.code());
    }
}
