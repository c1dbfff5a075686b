//! One log: its file, its file of warnings, the console; which line goes to which.

use std::time::Instant;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::pen::{News, Pen};
use crate::config::logs::{Destination, Level, Writers};

/// The time, read once per turn of the journal.
#[derive(Clone, Debug)]
pub(super) struct Now {
    /// For waits.
    pub(super) instant: Instant,
    /// For names of files.
    pub(super) local: DateTime,
    /// Where that is.
    pub(super) zone: TimeZone,
}

/// One log.
pub(super) struct Book {
    /// What the files say of it.
    table: &'static str,
    level: Level,
    main: Option<Pen>,
    wf: Option<Pen>,
    console: Option<(Pen, bool)>,
}

impl Book {
    /// A log that is written nowhere.
    pub(super) fn closed(table: &'static str) -> Self {
        Self { table, level: Level::Info, main: None, wf: None, console: None }
    }

    /// Writes as the files say from now on. Of a log that is not of requests, whoever has a line looks at its level and
    /// writes to the console (`notes`).
    pub(super) fn follow(&mut self, writers: &Writers, of_requests: bool) {
        self.level = if of_requests { writers.level } else { Level::Trace };
        follow(&mut self.main, writers.file.as_ref(), format!("log_path of {}", self.table));
        follow(&mut self.wf, writers.wf.as_ref(), format!("wf_log_path of {}", self.table));
        self.console = match (writers.console.filter(|_| of_requests), self.console.take()) {
            (Some(colour), Some((pen, _))) => Some((pen, colour)),
            (Some(colour), None) => Some((Pen::console(), colour)),
            (None, _) => None,
        };
    }

    /// Takes a line, its end included. Gives how often it was dropped.
    pub(super) fn write(&mut self, level: Level, line: &[u8]) -> u64 {
        if level < self.level {
            return 0;
        }
        let mut dropped = 0;
        let file = if level >= Level::Warning && self.wf.is_some() { &mut self.wf } else { &mut self.main };
        if let Some(pen) = file {
            dropped += u64::from(!pen.add(line));
        }
        if let Some((pen, colour)) = &mut self.console {
            let painted = if *colour { painted(level, line) } else { None };
            dropped += u64::from(!pen.add(painted.as_deref().unwrap_or(line)));
        }
        dropped
    }

    fn pens(&mut self) -> impl Iterator<Item = &mut Pen> {
        let Self { main, wf, console, .. } = self;
        main.iter_mut().chain(wf.iter_mut()).chain(console.iter_mut().map(|(pen, _)| pen))
    }

    /// Writes what waits, as far as it goes now.
    pub(super) fn flush(&mut self, now: &Now, news: &mut Vec<News>) {
        self.pens().for_each(|pen| pen.flush(now, news));
    }

    /// Closes each file and opens the one that has its name then.
    pub(super) fn reopen(&mut self, now: &Now, news: &mut Vec<News>) {
        self.pens().for_each(|pen| pen.reopen(now, news));
    }

    /// Whether there is a file whose time may end, or something waits.
    pub(super) fn is_open(&self) -> bool {
        self.main.is_some() || self.console.is_some()
    }

    /// Lines that will not be written if this is the end.
    pub(super) fn lost(&mut self) -> u64 {
        self.pens().map(|pen| pen.lost()).sum()
    }

    /// Whether lines wait that could not be written.
    pub(super) fn has_waiting(&mut self) -> bool {
        self.pens().any(|pen| pen.has_waiting())
    }
}

/// Keeps the pen, with its file where that stays the same.
fn follow(pen: &mut Option<Pen>, wanted: Option<&Destination>, key: String) {
    match (pen.as_mut(), wanted) {
        (Some(pen), Some(wanted)) => pen.follow(wanted, key),
        (None, Some(wanted)) => *pen = Some(Pen::file(wanted.clone(), key)),
        (_, None) => *pen = None,
    }
}

/// The line in the colour of its level, where that has one.
pub(super) fn painted(level: Level, line: &[u8]) -> Option<Vec<u8>> {
    let colour: &[u8] = match level {
        Level::Error | Level::Fatal => b"\x1b[31m",
        Level::Warning => b"\x1b[33m",
        _ => return None,
    };
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    Some([colour, text, b"\x1b[0m\n"].concat())
}
