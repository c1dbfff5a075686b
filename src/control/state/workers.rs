//! What control knows of each worker: alive or not, the epoch it runs, the epoch it owes an answer for.
//!
//! Each worker is sent one epoch at a time and the next when it has adopted that one, so a stuck
//! worker's queue holds one order and not every health flip of the hour it is stuck. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Effect;
use crate::ids::{EpochId, WorkerId};
use crate::wall::epoch::Epoch;
use crate::wall::link::Order;

/// Every worker.
#[derive(Debug)]
pub(super) struct Workers {
    rows: BTreeMap<WorkerId, Row>,
    announced: bool,
}

/// One worker.
#[derive(Debug)]
struct Row {
    driver: Option<&'static str>,
    sent: EpochId,
    adopted: EpochId,
    /// Sent and not adopted; kept so that the last `Arc` is never dropped out of a worker's queue.
    owed: Option<Arc<Epoch>>,
    life: Life,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Drained { cut: u64 },
    Died,
}

impl Workers {
    /// Workers that have not said anything yet.
    pub(super) fn new(workers: impl IntoIterator<Item = WorkerId>) -> Self {
        let row = || Row { driver: None, sent: EpochId(0), adopted: EpochId(0), owed: None, life: Life::Running };
        Self { rows: workers.into_iter().map(|worker| (worker, row())).collect(), announced: false }
    }

    /// Sends the epoch to every worker that runs an older one and owes no answer.
    pub(super) fn offer(&mut self, epoch: &Arc<Epoch>, out: &mut Vec<Effect>) {
        for (&worker, row) in &mut self.rows {
            if row.life == Life::Running && row.owed.is_none() && row.sent < epoch.id {
                row.sent = epoch.id;
                row.owed = Some(Arc::clone(epoch));
                out.push(Effect::Send { worker, order: Order::Adopt(Arc::clone(epoch)) });
            }
        }
    }

    /// A worker runs an epoch.
    pub(super) fn adopted(&mut self, worker: WorkerId, epoch: EpochId, out: &mut Vec<Effect>) {
        let Some(row) = self.rows.get_mut(&worker) else { return };
        row.adopted = row.adopted.max(epoch);
        out.extend(row.owed.take_if(|owed| owed.id <= epoch).map(Effect::Free));
    }

    /// A worker has started.
    pub(super) fn ready(&mut self, worker: WorkerId, driver: &'static str) {
        if let Some(row) = self.rows.get_mut(&worker) {
            row.driver = Some(driver);
        }
    }

    /// Says once that all is ready: every worker has started and every socket is served.
    pub(super) fn announce(&mut self, all_open: bool, out: &mut Vec<Effect>) {
        let awaited = |row: &Row| row.life == Life::Running && row.driver.is_none();
        let nobody = self.running().next().is_none();
        if self.announced || !all_open || nobody || self.rows.values().any(awaited) {
            return;
        }
        self.announced = true;
        let mut by_driver = BTreeMap::<&str, usize>::new();
        for driver in self.rows.values().filter_map(|row| row.driver) {
            *by_driver.entry(driver).or_default() += 1;
        }
        let drivers: Vec<String> = by_driver.iter().map(|(driver, count)| format!("{count} on {driver}")).collect();
        out.push(Effect::Ready(drivers.join(", ")));
    }

    /// A worker has ended as it was asked to.
    pub(super) fn drained(&mut self, worker: WorkerId, cut: u64, out: &mut Vec<Effect>) {
        self.ended(worker, Life::Drained { cut }, out);
    }

    /// A worker has ended on its own.
    pub(super) fn died(&mut self, worker: WorkerId, out: &mut Vec<Effect>) {
        self.ended(worker, Life::Died, out);
    }

    fn ended(&mut self, worker: WorkerId, life: Life, out: &mut Vec<Effect>) {
        let Some(row) = self.rows.get_mut(&worker) else { return };
        if row.life == Life::Running {
            row.life = life;
        }
        out.extend(row.owed.take().map(Effect::Free));
    }

    /// The workers that still run.
    pub(super) fn running(&self) -> impl Iterator<Item = WorkerId> {
        self.rows.iter().filter(|(_, row)| row.life == Life::Running).map(|(&worker, _)| worker)
    }

    /// The epoch a worker runs on.
    pub(super) fn adopted_by(&self, worker: WorkerId) -> EpochId {
        self.rows.get(&worker).map_or(EpochId(0), |row| row.adopted)
    }

    /// How many workers there were at start.
    pub(super) fn total(&self) -> usize {
        self.rows.len()
    }

    /// How many workers run this epoch or a later one.
    pub(super) fn on(&self, epoch: EpochId) -> usize {
        self.rows.values().filter(|row| row.life == Life::Running && row.adopted >= epoch).count()
    }

    /// How many ended on their own.
    pub(super) fn died_total(&self) -> usize {
        self.rows.values().filter(|row| row.life == Life::Died).count()
    }

    /// Whether every running worker runs this epoch or a later one.
    pub(super) fn all_on(&self, epoch: EpochId) -> bool {
        self.running().count() == self.on(epoch)
    }

    /// Exchanges cut at the end of the drain window, over all workers.
    pub(super) fn cut_total(&self) -> u64 {
        self.rows
            .values()
            .map(|row| match row.life {
                Life::Drained { cut } => cut,
                Life::Running | Life::Died => 0,
            })
            .sum()
    }
}
