//! Traces on the control side: records of sampled requests become spans, which go to a collector in OTLP over HTTP.
//!
//! The journal's thread offers frames, which are copied into a bounded queue without ever waiting: what finds no room is
//! dropped, counted and told. A thread of its own makes spans of them (`spans`), puts them into batches and
//! sends each, again where the collector is down or asks for it (`exporter`, `collector`). In scope: that. Out of
//! scope: which requests are sampled (`wall::trace`), what the workers record (`worker::shard::log`).

mod collector;
mod exporter;
mod spans;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracing::warn;

use crate::config::Export;
use crate::limits::{TRACE_FLUSH_GRACE_MS, TRACE_FLUSH_MS, TRACE_QUEUE_RECORDS};
use exporter::Orders;

/// What became of spans and records so far. **Who writes**: the journal's thread and the exporter's. **Who reads**: anybody.
#[derive(Debug, Default)]
pub struct Figures {
    /// Spans that a collector took.
    pub exported_total: AtomicU64,
    /// Spans that a collector took with the others and refused by itself.
    pub rejected_total: AtomicU64,
    /// Spans given up: refused as a whole, or not taken in several tries.
    pub given_up_total: AtomicU64,
    /// Records, of one to four spans each, that found no room in the queue.
    pub overflowed_total: AtomicU64,
}

/// The journal's hold on the thread that exports.
#[derive(Debug)]
pub struct Exporter {
    frames: mpsc::Sender<Box<[u8]>>,
    orders: watch::Sender<Orders>,
    figures: Arc<Figures>,
    ended: Receiver<()>,
}

impl Exporter {
    /// Starts the thread. `origin` is where the workers' stamps count from.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(export: Export, secrets: Arc<[Box<str>]>, origin: Instant, figures: Arc<Figures>) -> io::Result<Self> {
        let (frames, inbox) = mpsc::channel(TRACE_QUEUE_RECORDS);
        let (orders, told) = watch::channel(Orders { export: Arc::new(export), secrets, ends_at: None });
        let (ending, ended) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
        let shared = figures.clone();
        std::thread::Builder::new().name("gk-trace".to_owned()).spawn(move || {
            runtime.block_on(exporter::run(inbox, told, shared, origin));
            // A look-up of the collector's name may be stuck.
            runtime.shutdown_background();
            // Whoever waited may have given up.
            let _ = ending.send(());
        })?;
        Ok(Self { frames, orders, figures, ended })
    }

    /// Takes a frame that holds a record, if there is room, and returns at once.
    pub fn offer(&self, frame: &[u8]) {
        if self.frames.try_send(frame.into()).is_err() {
            self.figures.overflowed_total.fetch_add(1, Relaxed);
        }
    }

    /// Another collector from now on, or other words to it. What waits goes there.
    pub fn change(&self, export: Export, secrets: Arc<[Box<str>]>) {
        self.orders.send_modify(|orders| *orders = Orders { export: Arc::new(export), secrets, ..orders.clone() });
    }

    /// Other parameters are secrets from now on.
    pub fn redact(&self, secrets: Arc<[Box<str>]>) {
        self.orders.send_if_modified(|orders| {
            let changed = orders.secrets != secrets;
            orders.secrets = secrets;
            changed
        });
    }

    /// No more records come: sends what waits, for as long as `limits::TRACE_FLUSH_MS`.
    pub fn finish(self) {
        let Self { orders, ended, .. } = self;
        let bound = Duration::from_millis(TRACE_FLUSH_MS);
        orders.send_modify(|orders| orders.ends_at = Some(Instant::now() + bound));
        let patience = bound + Duration::from_millis(TRACE_FLUSH_GRACE_MS);
        if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            warn!("traces: the exporter did not end in time");
        }
    }
}
