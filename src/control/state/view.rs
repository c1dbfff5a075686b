//! What the state shows of itself to whoever watches the gateway.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ids::{EpochId, WorkerId};
use crate::wall::epoch::Epoch;
use crate::wall::listen::Listen;

/// The state at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// How far the process is.
    pub(crate) stage: Stage,
    /// What is in force.
    pub(crate) epoch: Arc<Epoch>,
    /// Every worker.
    pub(crate) workers: Vec<WorkerView>,
    /// Where connections are accepted.
    pub(crate) listens: Vec<Listen>,
    /// The configuration's files.
    pub(crate) files: Vec<PathBuf>,
    /// `base.time_location`.
    pub(crate) zone: String,
    /// The loads since the start.
    pub(crate) loads: Loads,
    /// Workers that have died and were replaced.
    pub(crate) replaced_total: u64,
}

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not every worker serves yet.
    Starting,
    /// Every worker has begun to serve.
    Serving,
    /// It is about to end.
    Stopping,
}

impl Stage {
    /// In a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Stopping => "stopping",
        }
    }
}

/// One worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerView {
    /// Which.
    pub(crate) worker: WorkerId,
    /// It has neither died nor ended.
    pub(crate) runs: bool,
    /// The rung of the driver ladder, once it has started.
    pub(crate) driver: Option<&'static str>,
    /// What it runs on; 0 is nothing yet.
    pub(crate) epoch: EpochId,
}

impl View {
    /// Whether requests are welcome here: all have started, it does not stop, and a worker runs an epoch.
    pub(crate) fn is_ready(&self) -> bool {
        self.stage == Stage::Serving && self.workers.iter().any(|worker| worker.runs && worker.epoch.0 > 0)
    }
}

/// What became of loads of the configuration, the first one not among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loads {
    /// How many found something new and put it in force.
    pub(crate) taken_total: u64,
    /// How many were refused.
    pub(crate) refused_total: u64,
    /// The last one that ended, whatever became of it.
    pub(crate) last: Option<Load>,
}

/// One load.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    at: Instant,
    /// How long ago it ended, when looked at.
    pub(crate) ago: Duration,
    /// Whether what the files say is in force.
    pub(crate) good: bool,
    /// What came of it, or every fault.
    pub(crate) text: String,
}

impl Loads {
    /// A load has ended.
    pub(super) fn ended(&mut self, at: Instant, good: bool, text: String) {
        self.last = Some(Load { at, ago: Duration::ZERO, good, text });
    }

    /// Whether what the files said the last time was not put in force.
    pub(super) fn last_was_refused(&self) -> bool {
        self.last.as_ref().is_some_and(|last| !last.good)
    }

    /// As seen now.
    pub(super) fn seen(&self, now: Instant) -> Self {
        let mut seen = self.clone();
        if let Some(last) = &mut seen.last {
            last.ago = now.saturating_duration_since(last.at);
        }
        seen
    }
}
