//! `Epoch`: one number, one frozen snapshot, one health table.
//!
//! Written by `control::publish`, read by every worker. A health flip is a new epoch with the same
//! snapshot. Out of scope: a worker's own replica of it (`worker::shard`).

use std::sync::Arc;

use super::health::Health;
use super::slot::RowIds;
use super::snapshot::Snapshot;
use crate::ids::EpochId;

/// What a worker runs on, until it adopts the next.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// Grows by one with each publication.
    pub id: EpochId,
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// The endpoints' state; as long as the snapshot has endpoints.
    pub health: Arc<Health>,
    /// Where each of them is counted in the stats file.
    pub rows: Arc<RowIds>,
}
