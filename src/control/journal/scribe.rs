//! The journal's thread: what has come is turned into lines, what can be written is written, then it sleeps.
//!
//! It looks every `limits::JOURNAL_POLL_MS` while requests are logged or traced, because workers do not wake it for a record;
//! otherwise it sleeps until somebody has something for it, and once a second while a file's time may end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{park, park_timeout};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender};
use jiff::Timestamp;

use super::book::{Book, Now};
use super::lines::Lines;
use super::notes::TROUBLE;
use super::pen::News;
use super::reader::Records;
use super::{Line, Losses, Order, Subject};
use crate::config::logs::Logs;
use crate::limits::{JOURNAL_LINES_MAX, JOURNAL_POLL_MS, LOG_RETRY_MS};

/// What the thread works with.
pub(super) struct Scribe {
    orders: Receiver<Order>,
    said: Receiver<Line>,
    records: Records,
    origin: Instant,
    logs: Logs,
    losses: Arc<Losses>,
}

/// The four logs, open.
struct Books {
    access: Book,
    system: Book,
    check: Book,
    stat: Book,
}

impl Books {
    fn all(&mut self) -> [&mut Book; 4] {
        [&mut self.access, &mut self.system, &mut self.check, &mut self.stat]
    }

    fn follow(&mut self, logs: &Logs) {
        self.access.follow(&logs.access.writers, true);
        for (book, writers) in
            [(&mut self.system, &logs.system), (&mut self.check, &logs.check), (&mut self.stat, &logs.stat)]
        {
            book.follow(writers, false);
        }
    }

    fn of(&mut self, subject: Subject) -> &mut Book {
        match subject {
            Subject::Access => &mut self.access,
            Subject::System => &mut self.system,
            Subject::Check => &mut self.check,
            Subject::Stat => &mut self.stat,
        }
    }
}

impl Scribe {
    /// Does nothing yet.
    pub(super) fn new(
        orders: Receiver<Order>,
        said: Receiver<Line>,
        records: Records,
        origin: Instant,
        logs: Logs,
        losses: Arc<Losses>,
    ) -> Self {
        Self { orders, said, records, origin, logs, losses }
    }

    /// Writes for as long as the process lives.
    pub(super) fn run(mut self) {
        let mut books = Books {
            access: Book::closed("[log]"),
            system: Book::closed("[syslog]"),
            check: Book::closed("[checklog]"),
            stat: Book::closed("[statlog]"),
        };
        books.follow(&self.logs);
        let mut lines = Lines::new(&self.logs);
        self.records.read_here();
        // Those that wait for everything to be written.
        let mut finished = Vec::new();
        loop {
            let now = self.now();
            let mut news = Vec::new();
            finished.extend(self.obey(&mut books, &mut lines, &now, &mut news));
            for Line { subject, level, text } in self.said.try_iter().take(JOURNAL_LINES_MAX) {
                self.lose(books.of(subject).write(level, &text));
            }
            lines.set_offset(unix_us().saturating_sub(self.origin.elapsed().as_micros()));
            let mut dropped = 0;
            let more = self.records.read(|record| {
                let (level, line) = lines.line(record);
                dropped += books.access.write(level, line);
            });
            self.lose(dropped);
            books.all().into_iter().for_each(|book| book.flush(&now, &mut news));
            tell(&news);
            if more {
                continue;
            }
            if !finished.is_empty() {
                say_lost(books.all().into_iter().map(Book::lost).sum());
                self.records.finish();
            }
            for done in finished.drain(..) {
                // Whoever asked may have given up.
                let _ = done.send(());
            }
            self.sleep(&mut books);
        }
    }

    fn now(&self) -> Now {
        let zone = self.logs.zone.clone();
        Now { instant: Instant::now(), local: zone.to_datetime(Timestamp::now()), zone }
    }

    /// Those that wait for everything to be written.
    fn obey(&mut self, books: &mut Books, lines: &mut Lines, now: &Now, news: &mut Vec<News>) -> Vec<Sender<()>> {
        let mut finished = Vec::new();
        for order in self.orders.try_iter() {
            match order {
                Order::Use(logs) => {
                    self.logs = *logs;
                    self.records.redact(&self.logs.access.redact);
                    books.follow(&self.logs);
                    *lines = Lines::new(&self.logs);
                }
                Order::Export(export) => self.records.export(export.map(|export| *export), &self.logs.access.redact),
                Order::Reopen => books.all().into_iter().for_each(|book| book.reopen(now, news)),
                Order::Finish(done) => finished.push(done),
            }
        }
        finished
    }

    fn lose(&self, dropped: u64) {
        if dropped > 0 {
            self.losses.lines.fetch_add(dropped, Relaxed);
        }
    }

    fn sleep(&self, books: &mut Books) {
        let waits = books.all().into_iter().any(Book::has_waiting);
        let open = books.all().into_iter().any(|book| book.is_open());
        if self.logs.access.sample > 0 || self.records.are_traced() || waits {
            park_timeout(Duration::from_millis(JOURNAL_POLL_MS));
        } else if open {
            park_timeout(Duration::from_millis(LOG_RETRY_MS));
        } else {
            park();
        }
    }
}

fn unix_us() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

fn say_lost(lost: u64) {
    if lost > 0 {
        tracing::error!(target: TROUBLE, "{lost} lines of the logs were dropped or could not be written before the end");
    }
}

/// Trouble with a log is told where it does not depend on that log.
fn tell(news: &[News]) {
    for news in news {
        match news {
            News::Trouble(text) => tracing::error!(target: TROUBLE, "{text}"),
            News::Well(text) => tracing::warn!(target: TROUBLE, "{text}"),
        }
    }
}
