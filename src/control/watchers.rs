//! Those who look on: what the gateway shows of itself, and what it remembers.
//!
//! In scope: opening them together, because they read the same counters. Out of scope: what each does (`stats_file`,
//! `books`, `admin`).

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Notes;
use super::admin::Admin;
use super::books::{Books, Subject};
use super::state::Event;
use super::stats_file::Chart;
use crate::wall::slot::StatsFile;
use crate::wall::slot::read::Stats;

/// Everything that looks on.
pub(super) struct Watchers {
    /// The stats file.
    pub(super) stats: &'static StatsFile,
    /// What is logged, and by whom it is written.
    pub(super) notes: Notes,
    /// Control's part of the stats file.
    pub(super) chart: Chart,
    /// Totals and quotas.
    pub(super) books: Books,
    /// The admin listener.
    pub(super) admin: Admin,
}

impl Watchers {
    /// Opens them.
    pub(super) fn open(
        file: &'static StatsFile,
        notes: Notes,
        module_file: &Path,
        events: &mpsc::Sender<Event>,
    ) -> io::Result<Self> {
        let stats = Arc::new(Stats::own(file)?);
        let books = Books::open(stats.clone(), module_file)?;
        let admin = Admin::new(events.clone(), stats, &books, notes.journal().cloned());
        Ok(Self { stats: file, notes, chart: Chart::new(file), books, admin })
    }

    /// Quotas go on where they stopped, from the first request on: waits a moment for the store to tell.
    pub(super) async fn begin(&mut self, subject: Subject) {
        self.books.take_up(subject);
        self.books.opened().await;
    }
}
