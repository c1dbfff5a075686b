//! Health checks: one task per spot and check, for the whole process.
//!
//! In scope: starting, stopping and hurrying the checkers. Out of scope: what a result means for the
//! verdict (`state`), one endpoint's rhythm (`checker`), one probe (`probe`).

mod checker;
mod jitter;
mod probe;
mod pulse;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::state::{CheckerId, Event, Target};
use crate::limits;
use checker::Checker;
use pulse::Pulse;

/// Every checker that runs.
pub(super) struct Checkers {
    running: HashMap<CheckerId, Running>,
    shared: Arc<Shared>,
}

/// What all checkers use.
struct Shared {
    events: mpsc::Sender<Event>,
    /// One permit per descriptor that probes may hold.
    permits: Semaphore,
    pulse: Pulse,
}

/// A checker; it ends when this is dropped.
struct Running {
    nudge: Arc<Notify>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Checkers {
    /// None yet. Needs the runtime.
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        let permits = Semaphore::new(limits::PROBES_AT_ONCE_MAX);
        Self { running: HashMap::new(), shared: Arc::new(Shared { events, permits, pulse: Pulse::start() }) }
    }

    /// Starts checkers. A few probe at once; thousands spread their first probes.
    pub(super) fn start(&mut self, added: Vec<(CheckerId, Target)>) {
        let count = added.len().max(FIRST_PROBES_PACED);
        for (position, (id, target)) in added.into_iter().enumerate() {
            let spread = Duration::from_millis(limits::PROBE_SPREAD_MS)
                .min(Duration::from_millis(target.check.interval_ms.into()));
            let delay = spread.mul_f64(position as f64 / count as f64);
            let nudge = Arc::new(Notify::new());
            let checker = Checker::new(id, target, Arc::clone(&nudge), Arc::clone(&self.shared));
            let task = tokio::spawn(checker.run(delay)).abort_handle();
            self.running.insert(id, Running { nudge, task });
        }
    }

    /// Stops a checker, in the middle of a probe if need be.
    pub(super) fn stop(&mut self, id: CheckerId) {
        self.running.remove(&id);
    }

    /// Probes now, or as soon as the gap between two probes allows.
    pub(super) fn probe_now(&self, id: CheckerId) {
        if let Some(running) = self.running.get(&id) {
            running.nudge.notify_one();
        }
    }
}

/// First probes start no closer together than the spread divided by this: 0.2 ms.
const FIRST_PROBES_PACED: usize = 5_000;
