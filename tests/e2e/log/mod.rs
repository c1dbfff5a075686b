//! The logs, as whoever reads the files finds them: every request has its line, and whatever goes wrong with a file
//! costs lines at most.

mod application;
mod ends;
mod formats;
mod losses;
mod requests;
mod rotation;
mod secrets;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Conf, Origin, within};

/// How long a line may take to be in its file: the journal looks 20 times a second, but the machine may be busy.
const SOON: Duration = Duration::from_secs(10);

/// A folder of log files, outside of the gateway's own.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a plain path").to_owned()
    }

    /// The names of all files, sorted.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("a folder").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The lines of all files whose name begins like this.
    fn lines_of_all(&self, start: &str) -> Vec<String> {
        let names = self.names().into_iter().filter(|name| name.starts_with(start));
        names.flat_map(|name| lines(&self.path(&name))).collect()
    }
}

/// The lines of a file; none where it is not there.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8(text).expect("logs are UTF-8");
    assert!(text.is_empty() || text.ends_with('\n') || text.len() > 4_000, "half a line: {text:?}");
    text.lines().map(str::to_owned).collect()
}

/// Waits for exactly so many lines.
#[track_caller]
fn expect_lines(path: &Path, count: usize) -> Vec<String> {
    within(SOON, || lines(path).len() >= count);
    // One more that should not be there would come with the journal's next look.
    std::thread::sleep(Duration::from_millis(150));
    let found = lines(path);
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

/// The same as JSON.
#[track_caller]
fn expect_json(path: &Path, count: usize) -> Vec<Value> {
    let found = expect_lines(path, count);
    found.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Requests of one service at `/svc` go to `access.log` in this form.
fn logging(origin: &Origin, folder: &Folder, form: &str) -> Conf {
    logged(Conf::of(origin), folder, form)
}

/// Requests go to `access.log` in this form.
fn logged(conf: Conf, folder: &Folder, form: &str) -> Conf {
    let conf = conf.base("access_log_format", form);
    conf.log("log.file_writer", "on", true).log("log.file_writer", "log_path", folder.text("access.log"))
}
