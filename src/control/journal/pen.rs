//! One file, or the console: lines in, bytes out, rotation in between.
//!
//! Lines wait here until they are written, within a bound; beyond that they are dropped and counted. A file is opened
//! for appending and never waited for, so a pipe that nobody reads holds nothing up. Nothing is lost in a rotation,
//! because the one thread that writes is the one that rotates; another process that writes the same file, as during an
//! upgrade, may rotate it first, which is seen by the file's identity. Out of scope: which lines (`book`).

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::book::Now;
use crate::config::logs::Destination;
use crate::limits::{LOG_PIECE_BYTES, LOG_RETRY_MS, LOG_ROTATE_RETRY_MS, LOG_WAITING_BYTES_MAX};

/// Where the bytes go.
enum Place {
    /// The console's standard output.
    Console,
    /// A file, opened when there is something to write.
    File { destination: Destination, open: Option<Open> },
}

/// A file that is open.
struct Open {
    file: File,
    /// A pipe or a device is not rotated.
    regular: bool,
    bytes: u64,
    /// When its content began, for the name it gets.
    began: DateTime,
}

/// What is worth telling of a pen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It cannot write, or not fast enough.
    Trouble(String),
    /// It can again.
    Well(String),
}

/// A file that has not been opened yet.
struct Trial {
    /// What names it in the configuration.
    key: String,
    /// It was tried in vain, and told.
    failed: bool,
}

/// A file or the console.
pub(super) struct Pen {
    place: Place,
    /// While it is not known that the file can be opened, which is found out before there is a line.
    untried: Option<Trial>,
    waiting: Vec<u8>,
    /// `waiting` begins inside a line.
    torn: bool,
    /// Not before this.
    retry: Option<Instant>,
    /// It could not be rotated; this is tried again no sooner than then.
    unturned: Option<Instant>,
    /// Lines dropped since trouble began; `None` while there is none.
    trouble: Option<u64>,
    dropped: u64,
}

impl Pen {
    /// Writes to a file, which this key names.
    pub(super) fn file(destination: Destination, key: String) -> Self {
        Self { untried: Some(Trial { key, failed: false }), ..Self::new(Place::File { destination, open: None }) }
    }

    /// Writes to standard output.
    pub(super) fn console() -> Self {
        Self::new(Place::Console)
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            untried: None,
            waiting: Vec::new(),
            torn: false,
            retry: None,
            unturned: None,
            trouble: None,
            dropped: 0,
        }
    }

    /// Goes on with another destination, in the same file where that has the same path.
    pub(super) fn follow(&mut self, wanted: &Destination, key: String) {
        if let Place::File { destination, open } = &mut self.place {
            if destination.path != wanted.path {
                *open = None;
                self.retry = None;
                self.untried = Some(Trial { key, failed: false });
            }
            destination.clone_from(wanted);
        }
    }

    /// Takes a line, its end included. False where too many wait.
    pub(super) fn add(&mut self, line: &[u8]) -> bool {
        if self.waiting.len() + line.len() > LOG_WAITING_BYTES_MAX {
            self.dropped += 1;
            return false;
        }
        self.waiting.extend_from_slice(line);
        true
    }

    /// Whether lines wait.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes as much as goes now.
    pub(super) fn flush(&mut self, now: &Now, news: &mut Vec<News>) {
        let outcome = self.try_flush(now, news);
        let dropped = std::mem::take(&mut self.dropped);
        let name = self.name();
        if outcome.is_err() {
            self.retry = Some(now.instant + Duration::from_millis(LOG_RETRY_MS));
        }
        let trial = self.untried.as_mut().filter(|trial| outcome.is_err() && !trial.failed);
        let key = trial.map(|trial| {
            trial.failed = true;
            format!("{}: ", trial.key)
        });
        self.trouble = match (outcome, self.trouble) {
            (Err(_), Some(before)) if key.is_none() => Some(before + dropped),
            (Err(error), before) => {
                let key = key.unwrap_or_default();
                let text = format!("{key}{name}: {error}; lines wait, and are dropped where too many do");
                news.push(News::Trouble(text));
                Some(before.unwrap_or(0) + dropped)
            }
            (Ok(_), None) if dropped > 0 => {
                let text = format!("{name} does not take lines as fast as they come; those beyond are dropped");
                news.push(News::Trouble(text));
                Some(dropped)
            }
            (Ok(true), Some(before)) if dropped == 0 => {
                news.push(News::Well(format!("{name} is written again; {before} lines were dropped")));
                None
            }
            (Ok(_), Some(before)) => Some(before + dropped),
            (Ok(_), None) => None,
        };
    }

    /// What of a trouble that lasts is lost: what waits, and what was dropped. For the end.
    pub(super) fn lost(&self) -> u64 {
        self.trouble.unwrap_or(0) + self.dropped + memchr::memchr_iter(b'\n', &self.waiting).count() as u64
    }

    fn name(&self) -> String {
        match &self.place {
            Place::Console => "standard output".to_owned(),
            Place::File { destination, .. } => destination.path.display().to_string(),
        }
    }

    /// Closes the file; the next line opens the one that has its name then.
    pub(super) fn reopen(&mut self, now: &Now, news: &mut Vec<News>) {
        self.flush(now, news);
        if let Place::File { open, .. } = &mut self.place {
            *open = None;
            self.retry = None;
            self.forget_torn();
        }
    }

    /// The rest of a line whose beginning is in a file that is closed is of no use.
    fn forget_torn(&mut self) {
        if std::mem::take(&mut self.torn) {
            let end = memchr::memchr(b'\n', &self.waiting).map_or(self.waiting.len(), |at| at + 1);
            self.waiting.drain(..end);
            self.dropped += 1;
        }
    }

    /// True where nothing waits any more.
    fn try_flush(&mut self, now: &Now, news: &mut Vec<News>) -> io::Result<bool> {
        if self.retry.is_some_and(|retry| now.instant < retry) {
            return if self.trouble.is_some() { Ok(false) } else { Ok(self.waiting.is_empty()) };
        }
        self.retry = None;
        self.turn_page(now, news)?;
        let mut written = 0;
        let outcome = loop {
            if written == self.waiting.len() {
                break Ok(true);
            }
            match self.write_some(written, now, news) {
                Ok(0) => break Ok(false),
                Ok(bytes) => written += bytes,
                Err(error) => break Err(error),
            }
        };
        if written > 0 {
            self.torn = self.waiting[written - 1] != b'\n';
            self.waiting.drain(..written);
        }
        outcome
    }

    /// Opens the file where it is not, and rotates it where its time is over.
    fn turn_page(&mut self, now: &Now, news: &mut Vec<News>) -> io::Result<()> {
        let Place::File { destination, open } = &mut self.place else { return Ok(()) };
        if open.is_none() {
            if self.waiting.is_empty() && self.untried.is_none() {
                return Ok(());
            }
            let opened = Open::at(&destination.path, now)?;
            self.untried = None;
            // An empty one that stays open would be rotated.
            *open = Some(opened).filter(|_| !self.waiting.is_empty());
        }
        let is_over = |open: &Open| {
            let pattern = destination.rotated.as_ref();
            open.regular && pattern.is_some_and(|pattern| pattern.name(open.began) != pattern.name(now.local))
        };
        if !self.torn && open.as_ref().is_some_and(is_over) {
            self.rotate(now, news)?;
        }
        Ok(())
    }

    /// Writes some of what waits, from that byte on. 0 where nothing is taken now.
    fn write_some(&mut self, from: usize, now: &Now, news: &mut Vec<News>) -> io::Result<usize> {
        let waiting = &self.waiting[from..];
        let (destination, open) = match &mut self.place {
            Place::Console => return piecemeal(&io::stdout(), waiting),
            Place::File { destination, open } => (destination, open),
        };
        let Some(file) = open.as_mut() else { return Ok(0) };
        if !file.regular {
            return piecemeal(&file.file, waiting);
        }
        let room = match destination.bytes_max {
            0 => waiting.len(),
            most => usize::try_from(most.saturating_sub(file.bytes)).unwrap_or(usize::MAX),
        };
        let fits = whole_lines(waiting, room);
        let at_line = if from == 0 { !self.torn } else { self.waiting[from - 1] == b'\n' };
        if fits == 0 && at_line && file.bytes > 0 && self.rotate(now, news)? {
            return self.write_some(from, now, news);
        }
        let (waiting, Place::File { open: Some(file), .. }) = (&self.waiting[from..], &mut self.place) else {
            return Ok(0);
        };
        // A line that is longer than a file may be has one to itself.
        let end = if fits > 0 { fits } else { memchr::memchr(b'\n', waiting).map_or(waiting.len(), |at| at + 1) };
        let taken = (&file.file).write(&waiting[..end])?;
        file.bytes += taken as u64;
        Ok(taken)
    }

    /// Gives the file the name of its time, and opens another one; where another process has done the former already,
    /// only the latter. A file that cannot be renamed is written on; false then.
    fn rotate(&mut self, now: &Now, news: &mut Vec<News>) -> io::Result<bool> {
        let Place::File { destination, open } = &mut self.place else { return Ok(false) };
        let Some(Open { file, began, .. }) = open.as_ref() else { return Ok(false) };
        if self.unturned.is_some_and(|until| now.instant < until) {
            return Ok(false);
        }
        let path = &destination.path;
        let name = destination.rotated.as_ref().map(|pattern| PathBuf::from(pattern.name(*began)));
        if is_at(file, path)
            && let Err(error) = move_away(path, name)
        {
            let until = now.instant + Duration::from_millis(LOG_ROTATE_RETRY_MS);
            if self.unturned.replace(until).is_none() {
                let text = format!("{} cannot be rotated and is written on: {error}", path.display());
                news.push(News::Trouble(text));
            }
            return Ok(false);
        }
        self.unturned = None;
        *open = None;
        *open = Some(Open::at(path, now)?);
        Ok(true)
    }
}

/// How many of the first `room` bytes are whole lines.
fn whole_lines(bytes: &[u8], room: usize) -> usize {
    if bytes.len() <= room { bytes.len() } else { memchr::memrchr(b'\n', &bytes[..room]).map_or(0, |at| at + 1) }
}

/// Writes to what may have no room now, in pieces that a pipe takes whole; 0 where it has none.
fn piecemeal(out: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let mut ready = [PollFd::new(out, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut ready, Some(&at_once))? == 0 {
        return Ok(0);
    }
    match rustix::io::write(out, &bytes[..bytes.len().min(LOG_PIECE_BYTES)]) {
        Ok(taken) => Ok(taken),
        Err(Errno::AGAIN) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

impl Open {
    fn at(path: &Path, now: &Now) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        // Opening a pipe that nobody reads, or writing to it, must not wait.
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::from_raw_mode(0o640)) {
            Ok(file) => File::from(file),
            Err(Errno::NXIO) => return Err(io::Error::other("nobody reads this pipe")),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        let began = if metadata.len() == 0 { now.local } else { modified(&metadata, &now.zone).unwrap_or(now.local) };
        Ok(Self { regular: metadata.is_file(), bytes: metadata.len(), file, began })
    }
}

/// When something was last written to a file of an earlier process.
fn modified(metadata: &Metadata, zone: &TimeZone) -> Option<DateTime> {
    let time = jiff::Timestamp::try_from(metadata.modified().ok()?).ok()?;
    Some(zone.to_datetime(time))
}

/// Whether the file is the one that has this name.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let (ours, theirs) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours == theirs)
}

/// Renames the file, to its own name where there is no other, with the first number that makes the name a free one.
fn move_away(path: &Path, name: Option<PathBuf>) -> io::Result<()> {
    let first = usize::from(name.is_none());
    let name = name.unwrap_or_else(|| path.to_owned());
    if let Some(folder) = name.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    for number in first.. {
        let mut wanted = name.clone().into_os_string();
        if number > 0 {
            wanted.push(format!(".{number}"));
        }
        match rename_to_free(path, Path::new(&wanted)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome,
        }
    }
    Ok(())
}

fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot look and rename in one step.
        Err(Errno::INVAL | Errno::NOSYS) if !to.exists() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        outcome => outcome.map_err(io::Error::from),
    }
}
