//! What the files say of the four logs, in the form that the journal works by.
//!
//! In scope: where lines go, which, in what form, and when files are rotated. Out of scope: how it is written in the
//! files (`schema`), what is wrong with it (`compile::logs`), writing (`control::journal`).

mod format;
mod pattern;

use std::path::PathBuf;

use jiff::tz::TimeZone;

pub use format::{Format, Piece, Variable};
pub use pattern::Pattern;

/// How loud a line is, in GateKeeper's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warning,
    /// Worth a call.
    Error,
    /// The end.
    Fatal,
}

impl Level {
    /// The words of `log_level`, the least loud first.
    pub const WORDS: &'static [&'static str] = &["trace", "debug", "info", "warning", "error", "fatal"];
    const ALL: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Fatal];

    /// The level of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::WORDS.iter().position(|known| *known == word).map(|at| Self::ALL[at])
    }
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// Of times in lines and in the names of rotated files.
    pub zone: TimeZone,
    /// `[log]`: requests.
    pub access: Access,
    /// `[syslog]`: what the gateway says of itself.
    pub system: Writers,
    /// `[checklog]`: health checks.
    pub check: Writers,
    /// `[statlog]`: statistics.
    pub stat: Writers,
    /// Between two lines of statistics.
    pub stat_interval_s: u32,
    /// Lines of the latter three are JSON.
    pub json: bool,
    /// Rooms of the program that have a level of their own in `[syslog]`.
    pub rooms: Box<[(Box<str>, Level)]>,
}

/// The request log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where to.
    pub writers: Writers,
    /// The form of a line.
    pub format: Format,
    /// One request in so many is logged, and each that ended early or with a status of 500 or more. 0 is none.
    pub sample: u32,
    /// Query parameters whose values are left out, beside those of `proto::redact`; in lower case.
    pub redact: Box<[Box<str>]>,
}

/// Where the lines of one log go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writers {
    /// The least loud lines that are written.
    pub level: Level,
    /// The file of lines up to `Info`, and of the others where they have no file of their own.
    pub file: Option<Destination>,
    /// The file of `Warning` and louder.
    pub wf: Option<Destination>,
    /// On the console; whether in colour.
    pub console: Option<bool>,
}

impl Writers {
    /// Whether lines go anywhere.
    #[must_use]
    pub fn any(&self) -> bool {
        self.file.is_some() || self.console.is_some()
    }
}

/// A file, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The file.
    pub path: PathBuf,
    /// What it is called once its time is over; `None` where time does not end it.
    pub rotated: Option<Pattern>,
    /// It is full at this size; 0 is never.
    pub bytes_max: u64,
}
