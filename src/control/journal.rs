//! The journal: the four logs, written by a thread of its own.
//!
//! Requests come as records by the workers' rings, all else as lines from wherever the program says something. The
//! thread alone touches files, so a disk that is slow or full stops nobody: what it cannot take is dropped, counted and
//! told. Records of traces go on from here (`control::trace`). In scope: forms of lines (`lines`), files and their rotation (`pen`), which line goes where (`book`,
//! `notes`). Out of scope: what is logged of a request (`worker::shard::log`), what the keys mean (`config::logs`).

mod book;
mod lines;
mod notes;
mod pen;
mod reader;
mod scribe;
mod statistics;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};

use super::trace::Figures;
use crate::config::Export;
use crate::config::logs::{Level, Logs};
use crate::limits::JOURNAL_LINES_MAX;
use crate::wall::journal::Journal as Rings;
pub(super) use notes::CHECK;
pub use notes::Notes;
use reader::Records;
pub(super) use statistics::tell as tell_statistics;
pub(super) use watch::watch;

/// One of the four logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `[log]`.
    Access,
    /// `[syslog]`.
    System,
    /// `[checklog]`.
    Check,
    /// `[statlog]`.
    Stat,
}

/// A line for one of the logs that are not of requests, its end included.
#[derive(Debug)]
struct Line {
    subject: Subject,
    level: Level,
    text: Vec<u8>,
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    Use(Box<Logs>),
    Export(Option<Box<Export>>),
    Reopen,
    /// Write everything there is, and say so.
    Finish(Sender<()>),
}

/// What was lost, over all logs.
#[derive(Debug, Default)]
pub struct Losses {
    /// Lines that a file or the console did not take.
    lines: AtomicU64,
    /// Lines that found too many before them.
    crowded: AtomicU64,
}

/// The way to the journal's thread.
#[derive(Clone, Debug)]
pub struct Journal {
    orders: Sender<Order>,
    lines: Sender<Line>,
    thread: Thread,
    rings: Arc<Rings>,
    losses: Arc<Losses>,
    spans: Arc<Figures>,
}

impl Journal {
    /// Starts the thread. `origin` is where the workers' clocks start.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(rings: Arc<Rings>, origin: Instant, logs: &Logs) -> std::io::Result<Self> {
        let (orders, ordered) = unbounded();
        let (lines, said) = bounded(JOURNAL_LINES_MAX);
        let losses = Arc::<Losses>::default();
        let spans = Arc::<Figures>::default();
        let records = Records::new(rings.clone(), origin, spans.clone());
        let scribe = scribe::Scribe::new(ordered, said, records, origin, logs.clone(), losses.clone());
        let thread = std::thread::Builder::new().name("gk-journal".to_owned()).spawn(move || scribe.run())?;
        Ok(Self { orders, lines, thread: thread.thread().clone(), rings, losses, spans })
    }

    /// What the files say of the logs now.
    pub fn use_logs(&self, logs: Logs) {
        self.order(Order::Use(Box::new(logs)));
    }

    /// Where the files send spans now.
    pub fn export(&self, export: Option<Export>) {
        self.order(Order::Export(export.map(Box::new)));
    }

    /// What became of spans.
    #[must_use]
    pub fn spans(&self) -> &Figures {
        &self.spans
    }

    /// Closes each file and opens the one that has its name now.
    pub fn reopen(&self) {
        self.order(Order::Reopen);
    }

    /// Waits until everything said so far is written and all spans are sent, but no longer than that.
    pub fn finish(&self, patience: Duration) {
        let (done, is_done) = bounded(1);
        self.order(Order::Finish(done));
        // A disk that hangs must not keep the process.
        let _ = is_done.recv_timeout(patience);
    }

    fn order(&self, order: Order) {
        // A thread that has gone has nothing to write.
        let _ = self.orders.send(order);
        self.thread.unpark();
    }

    /// A line for a log. Where too many wait, it is counted instead.
    fn say(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            self.losses.crowded.fetch_add(1, Relaxed);
        }
        self.thread.unpark();
    }

    /// Records of requests that found the ring full, and lines that were dropped before the thread saw them: it cannot
    /// tell of these itself, because it hangs.
    #[must_use]
    pub fn unseen(&self) -> u64 {
        self.rings.dropped() + self.losses.crowded.load(Relaxed)
    }

    /// Records and lines that were lost, wherever.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.unseen() + self.losses.lines.load(Relaxed)
    }
}
