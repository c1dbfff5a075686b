//! The epoch in force and the rhythm of health epochs: the first flip of a burst goes out at once,
//! the rest together when the gap has passed. Pure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ids::EpochId;
use crate::wall::epoch::Epoch;
use crate::wall::health::Health;
use crate::wall::slot::RowIds;
use crate::wall::snapshot::Snapshot;

/// The epoch in force.
#[derive(Debug)]
pub(super) struct Publisher {
    current: Arc<Epoch>,
    gap: Duration,
    /// From when on the next health epoch may go out.
    free_at: Instant,
    stale: bool,
}

impl Publisher {
    /// The first epoch of the process.
    pub(super) fn open(snapshot: Snapshot, health: Health, rows: RowIds, now: Instant, gap: Duration) -> Self {
        let (snapshot, health, rows) = (Arc::new(snapshot), Arc::new(health), Arc::new(rows));
        let current = Arc::new(Epoch { id: EpochId(1), snapshot, health, rows });
        Self { current, gap, free_at: now, stale: false }
    }

    /// The epoch in force.
    pub(super) fn current(&self) -> &Arc<Epoch> {
        &self.current
    }

    /// The number of the next epoch.
    pub(super) fn next_id(&self) -> EpochId {
        EpochId(self.current.id.0 + 1)
    }

    /// The health table in force is out of date.
    pub(super) fn outdate(&mut self) {
        self.stale = true;
    }

    /// When a health epoch may go out, if one is wanted.
    pub(super) fn due(&self) -> Option<Instant> {
        self.stale.then_some(self.free_at)
    }

    /// Publishes a health table with the snapshot in force; returns the epoch replaced.
    pub(super) fn publish_health(&mut self, health: Health, now: Instant) -> Arc<Epoch> {
        self.replace(Arc::clone(&self.current.snapshot), health, Arc::clone(&self.current.rows), now)
    }

    /// Publishes a new configuration; returns the epoch replaced.
    pub(super) fn publish(&mut self, snapshot: Snapshot, health: Health, rows: RowIds, now: Instant) -> Arc<Epoch> {
        self.replace(Arc::new(snapshot), health, Arc::new(rows), now)
    }

    fn replace(&mut self, snapshot: Arc<Snapshot>, health: Health, rows: Arc<RowIds>, now: Instant) -> Arc<Epoch> {
        self.stale = false;
        self.free_at = now + self.gap;
        let next = Epoch { id: self.next_id(), snapshot, health: Arc::new(health), rows };
        std::mem::replace(&mut self.current, Arc::new(next))
    }
}
