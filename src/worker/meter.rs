//! Counters of one core: one writer, plain cells.
//!
//! In scope: what is counted. Only `session` and `accept` count, so no path can forget. Out of scope: who
//! reads them.

use std::cell::{Cell, RefCell};

use crate::end::End;

/// The counters of one core.
#[derive(Debug)]
pub struct Meter {
    connections_total: Cell<u64>,
    handed_over_total: Cell<u64>,
    requests_total: Cell<u64>,
    panics_total: Cell<u64>,
    ends_total: RefCell<Box<[u64]>>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            connections_total: Cell::default(),
            handed_over_total: Cell::default(),
            requests_total: Cell::default(),
            panics_total: Cell::default(),
            ends_total: RefCell::new(vec![0; End::ALL.len()].into()),
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

    /// An exchange is over.
    pub fn exchange(&self, outcome: Result<(), End>) {
        count(&self.requests_total);
        if let Err(end) = outcome {
            self.ends_total.borrow_mut()[end as usize] += 1;
        }
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
        for (end, total) in End::ALL.iter().zip(self.ends_total.borrow().iter()).filter(|(_, total)| **total > 0) {
            line.push_str(&format!(", {}={total}", end.code()));
        }
        line
    }
}
