//! What may have to be done: everything that `State::apply` gives out.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use super::event::Watcher;
use super::{CheckerId, Target, View};
use crate::config::logs::Logs;
use crate::config::{Export, InForce, Token};
use crate::control::Outcome;
use crate::control::bind::Wanted;
use crate::control::books::Subject;
use crate::control::systemd::Notice;
use crate::control::upgrade::Said;
use crate::ids::{ListenerId, WorkerId};
use crate::wall::epoch::Epoch;
use crate::wall::keys::Kept;
use crate::wall::link::Order;
use crate::wall::listen::Entrance;

/// Something to be done.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Send an order.
    Send {
        /// To whom.
        worker: WorkerId,
        /// What.
        order: Order,
    },
    /// Start this worker, which has died, again; `Event::NotReplaced` answers where it cannot be.
    Replace(WorkerId),
    /// Read the files on a helper thread; `Event::Loaded` answers.
    Load {
        /// Unless they say what is in force.
        in_force: InForce,
    },
    /// Open these listeners on a helper thread; `Event::Opened` answers.
    Open(Wanted),
    /// Answer at this socket to whoever watches, and at no other.
    OpenAdmin(TcpListener),
    /// Answer those who bear this token; without one, everybody.
    AskForToken(Option<Token>),
    /// Answer no more.
    CloseAdmin,
    /// Show this to one who watches.
    Show(Watcher, Box<View>),
    /// Account for this from now on.
    Account(Subject),
    /// Keep these key sets up to date, and no others.
    KeepKeys(Vec<Kept>),
    /// Hold these sockets of a listener.
    Hold(ListenerId, Vec<TcpListener>),
    /// Give a worker a handle on a socket that is held.
    Deal {
        /// To whom.
        worker: WorkerId,
        /// Which listener.
        listener: ListenerId,
        /// What comes in.
        entrance: Entrance,
        /// Which of its sockets.
        socket: usize,
    },
    /// Let go of a listener's sockets.
    Close(ListenerId),
    /// Start these checkers.
    Check(Vec<(CheckerId, Target)>),
    /// Stop this checker.
    Uncheck(CheckerId),
    /// Probe again as soon as the gap between two probes allows.
    ProbeNow(CheckerId),
    /// Resolve through these servers from now on; none are the system's.
    UseServers(Vec<SocketAddr>),
    /// Keep this name resolved.
    Resolve(Box<str>),
    /// Nobody needs this name any more.
    Forget(Box<str>),
    /// Watch these files, and no others.
    Watch(Vec<PathBuf>),
    /// Drop this off the loop, if this is the last of it.
    Free(Arc<Epoch>),
    /// Show this epoch in the stats file, and give its rows memory.
    Chart(Arc<Epoch>),
    /// A reload has ended: a configuration was loaded, or none.
    CountReload {
        /// Whether one was.
        loaded: bool,
    },
    /// Write a line to the log.
    Say(Level, String),
    /// Write a line to the log of health checks.
    SayOfHealth(Level, String),
    /// Log as this says from now on.
    UseLogs(Box<Logs>),
    /// Send spans there from now on; nothing is traced where there is none.
    Export(Option<Box<Export>>),
    /// Close the files of the logs and open those that have their names now.
    ReopenLogs,
    /// Every worker has started, on these rungs of the driver ladder.
    Ready(String),
    /// Tell the service manager.
    Tell(Notice),
    /// Start a new process; `Event::Successor` tells what becomes of it.
    StartSuccessor {
        /// With this many workers; `None` as now.
        cores: Option<usize>,
        /// Until it has to be ready.
        timeout_ms: u64,
    },
    /// The new process is to end.
    AbandonSuccessor,
    /// The new process is to serve alone.
    YieldToSuccessor,
    /// The new process has ended, and the line to it is of no use any more.
    ForgetSuccessor,
    /// The old process has ended; likewise.
    ForgetPredecessor,
    /// Tell the old process.
    TellPredecessor(Said),
    /// This process is the gateway: write down its number.
    WritePid,
    /// Tell an asker at the desk.
    AnswerDesk {
        /// Which.
        number: u64,
        /// What came of it.
        outcome: Result<String, String>,
    },
    /// End: with the outcome, or because no worker is left.
    End(Result<Outcome, String>),
}

/// How loud a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warn,
    /// Worth a call.
    Error,
}
