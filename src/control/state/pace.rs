//! How long things take that the state waits for.

use std::time::Duration;

use crate::limits;

/// The times that tests shorten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two health epochs.
    pub(crate) health_gap: Duration,
    /// Whoever asked for a reload is answered after this, whether or not every worker has adopted.
    pub(crate) answer: Duration,
    /// A watched directory has to be quiet this long.
    pub(crate) settle: Duration,
    /// A change is read after this at the latest.
    pub(crate) settle_max: Duration,
    /// How long a worker may overrun the drain window.
    pub(crate) grace: Duration,
    /// When a stop first says what it waits for.
    pub(crate) first_notice: Duration,
    /// Between two such lines.
    pub(crate) notice: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            health_gap: Duration::from_millis(limits::HEALTH_EPOCH_GAP_MS),
            answer: Duration::from_millis(limits::RELOAD_ANSWER_MS),
            settle: Duration::from_millis(limits::FILE_SETTLE_MS),
            settle_max: Duration::from_millis(limits::FILE_SETTLE_MAX_MS),
            grace: Duration::from_millis(limits::DRAIN_GRACE_MS),
            first_notice: Duration::from_millis(limits::DRAIN_FIRST_NOTICE_MS),
            notice: Duration::from_millis(limits::DRAIN_NOTICE_MS),
        }
    }
}
