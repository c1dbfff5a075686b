//! What control knows of each worker: alive or not, the epoch it runs, the epoch it owes an answer for.
//!
//! Each worker is sent one epoch at a time and the next when it has adopted that one, so a stuck
//! worker's queue holds one order and not every health flip of the hour it is stuck. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Effect, Level, WorkerView};
use crate::ids::{EpochId, WorkerId};
use crate::limits;
use crate::wall::epoch::Epoch;
use crate::wall::link::Order;

const GAP: Duration = Duration::from_millis(limits::REPLACE_GAP_MS);
const GAP_MAX: Duration = Duration::from_millis(limits::REPLACE_GAP_MAX_MS);
const CALM: Duration = Duration::from_millis(limits::REPLACE_CALM_MS);

/// Every worker.
#[derive(Debug)]
pub(super) struct Workers {
    rows: BTreeMap<WorkerId, Row>,
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
    started: Instant,
    /// How soon after its start it may be started again.
    gap: Duration,
    replaced: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Drained { cut: u64 },
    Died,
}

impl Row {
    /// When it is to be started again.
    fn due(&self) -> Option<Instant> {
        (self.life == Life::Died).then(|| self.started + self.gap)
    }
}

impl Workers {
    /// Workers that have not said anything yet.
    pub(super) fn new(workers: impl IntoIterator<Item = WorkerId>, now: Instant) -> Self {
        let row = || Row {
            driver: None,
            sent: EpochId(0),
            adopted: EpochId(0),
            owed: None,
            life: Life::Running,
            started: now,
            gap: GAP,
            replaced: 0,
        };
        Self { rows: workers.into_iter().map(|worker| (worker, row())).collect() }
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
    pub(super) fn ready(&mut self, worker: WorkerId, driver: &'static str, out: &mut Vec<Effect>) {
        let Some(row) = self.rows.get_mut(&worker) else { return };
        row.driver = Some(driver);
        if row.replaced > 0 {
            out.push(Effect::Say(Level::Warn, format!("worker {worker} has been replaced, on {driver}")));
        }
    }

    /// Whether every worker that runs has started.
    pub(super) fn all_started(&self) -> bool {
        let awaited = |row: &Row| row.life == Life::Running && row.driver.is_none();
        self.running().next().is_some() && !self.rows.values().any(awaited)
    }

    /// How many workers run on which rung of the driver ladder.
    pub(super) fn drivers(&self) -> String {
        let mut by_driver = BTreeMap::<&str, usize>::new();
        for driver in self.rows.values().filter_map(|row| row.driver) {
            *by_driver.entry(driver).or_default() += 1;
        }
        let drivers: Vec<String> = by_driver.iter().map(|(driver, count)| format!("{count} on {driver}")).collect();
        drivers.join(", ")
    }

    /// A worker has ended as it was asked to.
    pub(super) fn drained(&mut self, worker: WorkerId, cut: u64, out: &mut Vec<Effect>) {
        self.ended(worker, Life::Drained { cut }, out);
    }

    /// A worker has ended on its own.
    pub(super) fn died(&mut self, now: Instant, worker: WorkerId, out: &mut Vec<Effect>) {
        if let Some(row) = self.rows.get_mut(&worker)
            && now.saturating_duration_since(row.started) >= CALM
        {
            row.gap = GAP;
        }
        self.ended(worker, Life::Died, out);
    }

    /// Starts every worker again that has died and whose time has come.
    pub(super) fn replace(&mut self, now: Instant, out: &mut Vec<Effect>) {
        for (&worker, row) in self.rows.iter_mut().filter(|(_, row)| row.due().is_some_and(|due| now >= due)) {
            row.life = Life::Running;
            (row.driver, row.sent, row.adopted) = (None, EpochId(0), EpochId(0));
            row.started = now;
            row.gap = (row.gap * 2).min(GAP_MAX);
            row.replaced += 1;
            out.push(Effect::Replace(worker));
        }
    }

    /// When `replace` next has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.rows.values().filter_map(Row::due).min()
    }

    /// Whether nobody serves and nobody will: those that died did so before they had started.
    pub(super) fn is_hopeless(&self) -> bool {
        let is_lost = |row: &Row| match row.life {
            Life::Running => false,
            Life::Drained { .. } => true,
            Life::Died => row.driver.is_none(),
        };
        self.rows.values().all(is_lost)
    }

    /// How many were started again.
    pub(super) fn replaced_total(&self) -> u64 {
        self.rows.values().map(|row| row.replaced).sum()
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

    /// Every worker, for whoever watches.
    pub(super) fn view(&self) -> Vec<WorkerView> {
        let view = |(&worker, row): (&WorkerId, &Row)| WorkerView {
            worker,
            runs: row.life == Life::Running,
            driver: row.driver,
            epoch: row.adopted,
        };
        self.rows.iter().map(view).collect()
    }

    /// How many have ended on their own and not been replaced.
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
