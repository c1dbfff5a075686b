//! The file with the number of the process that serves.
//!
//! In scope: that it can be written is known at start, and that it goes with the process that it names. Out of scope:
//! when the number is written (`state`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

/// The file, while this process lives. One that still holds this process's number goes with it.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Makes sure that it can be written, and leaves what it holds: the process before may serve still.
    ///
    /// # Errors
    /// When it cannot be, in words for the user.
    pub fn claim(path: &Path) -> Result<Self, String> {
        match OpenOptions::new().append(true).create(true).open(path) {
            Ok(_) => Ok(Self { path: path.to_owned() }),
            Err(error) => Err(told(path, &error)),
        }
    }

    /// Writes this process's number down: in place, because the folder may belong to somebody else.
    pub(super) fn write(&self) {
        let written = File::create(&self.path).and_then(|mut file| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            warn!("{}", told(&self.path, &error));
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // One that somebody has taken away is not made again.
        let Ok(held) = fs::read_to_string(&self.path) else { return };
        let is_ours = held.trim().is_empty() || held.trim() == std::process::id().to_string();
        // Where the folder is another's, the file stays and names nobody.
        if is_ours && fs::remove_file(&self.path).is_err() {
            let _ = File::create(&self.path);
        }
    }
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("cannot write the pid file {} of --pid-file: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_goes_with_the_process_that_it_names() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("pid");
        let file = PidFile::claim(&path).expect("a folder of our own");
        file.write();
        assert_eq!(fs::read_to_string(&path).expect("written"), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_names_another_process_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("pid");
        fs::write(&path, "1\n").expect("written");
        drop(PidFile::claim(&path).expect("a folder of our own"));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "1\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_with_the_option_that_names_it() {
        let told = PidFile::claim(Path::new("/nowhere/pid")).unwrap_err();
        assert!(told.starts_with("cannot write the pid file /nowhere/pid of --pid-file: No such file"), "{told}");
    }
}
