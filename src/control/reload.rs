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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::tests::house;

    /// What a load finds after one that put `drain 1` in force; `during` happens while it runs.
    fn read_again(during: fn(&Path)) -> Reading {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("module.toml");
        fs::write(&file, "drain 1\n").expect("file");
        let mut files = vec![file.clone()];
        let in_force = number(read(&file, &house::load, &mut files, None));
        let load = move |file: &Path| {
            let loaded = house::load(file);
            during(file);
            loaded
        };
        read(&file, &load, &mut files, in_force)
    }

    fn number(reading: Reading) -> Option<u64> {
        match reading {
            Reading::New(_, number) => number,
            other => panic!("not a new configuration: {other:?}"),
        }
    }

    #[test]
    fn the_same_text_is_the_same() {
        assert!(matches!(read_again(|_| {}), Reading::Same));
    }

    #[test]
    fn text_that_changes_while_it_is_read_has_no_number() {
        assert_eq!(number(read_again(|file| fs::write(file, "drain 2\n").expect("file"))), None);
    }

    #[test]
    fn text_that_changes_and_changes_back_while_it_is_read_has_no_number() {
        assert_eq!(number(read_again(|file| fs::write(file, "drain 1\n").expect("file"))), None);
    }

    #[test]
    fn other_text_has_another_number() {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("module.toml");
        let numbers = ["drain 1\n", "drain 2\n"].map(|text| {
            fs::write(&file, text).expect("file");
            number(read(&file, &house::load, &mut vec![file.clone()], None))
        });
        assert!(numbers[0].is_some() && numbers[1].is_some() && numbers[0] != numbers[1], "{numbers:?}");
    }

    #[test]
    fn a_file_that_has_gone_is_a_fault() {
        let gone = Path::new("/nonexistent/module.toml");
        assert!(
            matches!(read(gone, &house::load, &mut Vec::new(), None), Reading::Faulty(faults) if faults.len() == 1)
        );
    }
}
