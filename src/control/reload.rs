//! Reading the configuration again, on a helper thread.
//!
//! In scope: running the load, and saying whether the text is the one in force. Out of scope: who
//! asked and what they are told (`state::reload`), what the text means (`config`).

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::Load;
use super::state::{Event, Reading};
use crate::config::Fault;

/// What reads.
pub(super) struct Reader {
    file: PathBuf,
    load: Arc<Load>,
    /// The files of the last good load; only the load under way touches them.
    files: Arc<Mutex<Vec<PathBuf>>>,
}

impl Reader {
    /// Reads `file` by `load`; `files` are those that the first load read.
    pub(super) fn new(file: PathBuf, load: Arc<Load>, files: Vec<PathBuf>) -> Self {
        Self { file, load, files: Arc::new(Mutex::new(files)) }
    }

    /// Starts a load; `Event::Loaded` answers.
    pub(super) fn start(&self, in_force: Option<u64>, events: mpsc::Sender<Event>) {
        let (file, load, files) = (self.file.clone(), Arc::clone(&self.load), Arc::clone(&self.files));
        let named = self.file.clone();
        tokio::spawn(async move {
            let reading = spawn_blocking(move || {
                let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
                read(&file, &*load, &mut files, in_force)
            });
            let reading = reading.await.unwrap_or_else(|panic| broken(named, &panic.to_string()));
            let _ = events.send(Event::Loaded(reading)).await;
        });
    }
}

fn read(file: &Path, load: &Load, files: &mut Vec<PathBuf>, in_force: Option<u64>) -> Reading {
    let before = Look::at(files);
    let loaded = match load(file) {
        Ok(loaded) => loaded,
        Err(faults) => return Reading::Faulty(faults),
    };
    let after = Look::at(&loaded.files);
    files.clone_from(&loaded.files);
    // Text that changed while it was read has no fingerprint: what was loaded may be neither the
    // text before nor the text after.
    let fingerprint = match (before, after) {
        (Ok(before), Ok(after)) if before == after => Some(after.text),
        _ => None,
    };
    if fingerprint.is_some() && fingerprint == in_force {
        return Reading::Same;
    }
    Reading::New(Box::new(loaded), fingerprint)
}

/// The files at one moment.
#[derive(PartialEq, Eq)]
struct Look {
    /// Names and contents.
    text: u64,
    /// Identities and times of change, which tell a file changed and changed back.
    stamps: Vec<(u64, u64, i64, i64)>,
}

impl Look {
    fn at(files: &[PathBuf]) -> io::Result<Self> {
        let mut text = DefaultHasher::new();
        let mut stamps = Vec::with_capacity(files.len());
        for file in files {
            let stamp = fs::metadata(file)?;
            stamps.push((stamp.dev(), stamp.ino(), stamp.ctime(), stamp.ctime_nsec()));
            (file, fs::read(file)?).hash(&mut text);
        }
        Ok(Self { text: text.finish(), stamps })
    }
}

fn broken(file: PathBuf, why: &str) -> Reading {
    let message = format!("the load broke down: {why}");
    Reading::Faulty(vec![Fault { warning: false, file, line: 0, column: 0, message, help: None }])
}
