//! ROOM 5, the office: one tokio current-thread loop that decides what the workers run on.
//!
//! In scope: publishing epochs, reloading the files, probing endpoints, resolving names, signals, the
//! drain at the end. Out of scope: serving requests, and how workers are started and pinned (`run`
//! hands in the links, and how one that died is replaced). A control that is stuck stops no traffic.

mod admin;
mod aside;
pub mod bind;
mod books;
pub mod desk;
mod dns;
mod figures;
pub mod given;
mod health;
pub mod journal;
mod keys;
mod passage;
pub mod pid_file;
pub mod privileges;
mod reload;
mod reports;
mod signals;
mod state;
mod stats_file;
mod store;
pub mod systemd;
#[cfg(test)]
mod tests;
mod thread;
mod totals;
pub mod trace;
pub mod upgrade;
mod watch;
mod watchers;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bind::Opened;

use crate::config::{Fault, InForce, Loaded};
use crate::ids::WorkerId;
use crate::wall::link::{ControlEnd, Reports};
use crate::wall::slot::StatsFile;
pub use journal::Notes;
pub use passage::Life;

/// Reads the module file and what lies beside it, unless the text is the one in force;
/// `config::load_if_changed_with`, or a test's own.
pub type Load = dyn Fn(&Path, &InForce) -> Result<Option<Loaded>, Vec<Fault>> + Send + Sync;

/// Starts the worker of this number, another after one that has died, and gives control's end of the link to it.
pub type Spawn = dyn Fn(WorkerId) -> io::Result<ControlEnd> + Send;

/// Told once, when every worker has started: how many on which rung of the driver ladder.
pub type Ready = dyn FnOnce(&str) + Send;

/// What control needs to begin.
pub struct Office {
    /// The module file, to be read again at each reload.
    pub file: PathBuf,
    /// How it is read.
    pub load: Box<Load>,
    /// What it said at start: epoch 1. Its warnings are the caller's to print.
    pub loaded: Loaded,
    /// The listeners it wants, opened.
    pub listening: Opened,
    /// One link per worker.
    pub links: Vec<ControlEnd>,
    /// How a worker that has died is replaced.
    pub spawn: Box<Spawn>,
    /// What comes up from all workers.
    pub reports: Reports,
    /// Called when every worker has started.
    pub ready: Box<Ready>,
    /// What the process is born into, and what comes after it.
    pub life: Life,
    /// Where everybody can see what is in force.
    pub stats: &'static StatsFile,
    /// Where lines go.
    pub notes: Notes,
}

impl fmt::Debug for Office {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Office").field("file", &self.file).field("links", &self.links).finish_non_exhaustive()
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every worker ended in time and none of them by dying; those that were replaced do not count.
    pub clean: bool,
    /// Epochs published.
    pub epochs: u64,
    /// Exchanges cut, at the end of the drain window or of the process, over all workers.
    pub cut: u64,
    /// Workers that died and were replaced.
    pub replaced: u64,
}

/// Runs the control plane on the calling thread until the workers have drained after SIGTERM or
/// SIGINT, until the drain window and its grace have passed, or until a second such signal.
///
/// # Errors
/// When the loop or the signals cannot be set up, or when no worker can be started.
pub fn run(office: Office) -> io::Result<Outcome> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(HELPER_THREADS_MAX).build()?;
    let outcome = runtime.block_on(thread::serve(office));
    // A helper thread stuck in a read of a dead file system must not keep the process alive.
    runtime.shutdown_background();
    outcome
}

/// Threads for what waits: binding, reads of the hosts file and of tokens; and for what others wait for, such as metrics.
const HELPER_THREADS_MAX: usize = 8;
