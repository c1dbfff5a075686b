//! What may happen: everything that `State::apply` takes in.

use std::net::IpAddr;

use tokio::sync::oneshot;

use super::{Asker, CheckerId, Predecessor, Successor, View, Wisher};
use crate::config::{Fault, Loaded};
use crate::control::bind::Opened;
use crate::ids::WorkerId;
use crate::wall::link::Report;

/// Where one who watches waits for an answer.
pub(crate) type Watcher = oneshot::Sender<Box<View>>;

/// Something that has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker says something.
    Report(Report),
    /// A worker that died cannot be started again.
    NotReplaced {
        /// Which.
        worker: WorkerId,
        /// Why.
        cause: String,
    },
    /// Nobody is left to report: every worker's end is gone.
    Silence,
    /// The configuration shall be read again.
    Asked(Asker),
    /// Something has changed in a watched directory.
    Touched,
    /// A load has ended.
    Loaded(Reading),
    /// Listeners that a load wants have been opened, all of them or none: then the reasons.
    Opened(Result<Opened, Vec<String>>),
    /// A probe has ended.
    Probed {
        /// Which.
        checker: CheckerId,
        /// Why it failed, if it did.
        failure: Option<String>,
    },
    /// A lookup of a name has ended.
    Resolved {
        /// Whose.
        name: Box<str>,
        /// What it found, sorted.
        addresses: Box<[IpAddr]>,
    },
    /// SIGUSR1.
    ReopenLogs,
    /// Somebody watches and wants to see the state.
    Watched(Watcher),
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGUSR2, or `gatekeeper upgrade`.
    UpgradeAsked {
        /// Who is to be told.
        wisher: Wisher,
        /// With this many workers; `None` as now.
        cores: Option<usize>,
    },
    /// News of the new process of an upgrade.
    Successor(Successor),
    /// News of the old process of an upgrade.
    Predecessor(Predecessor),
    /// The time named by `State::due` has come.
    Due,
}

/// What a load found.
#[derive(Debug)]
pub(crate) enum Reading {
    /// A configuration that may be published.
    New(Box<Loaded>),
    /// The text in force.
    Same,
    /// Everything that is wrong with the files.
    Faulty(Vec<Fault>),
}
