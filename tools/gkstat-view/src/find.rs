//! Which gateway is meant, and saying what to do where there is none.

use std::io;
use std::path::PathBuf;

use gatekeeper::wall::slot::read::{Stats, pid_of};

/// The gateway that is meant.
#[derive(Debug)]
pub(crate) struct Wanted {
    pid: Option<u32>,
    folders: Vec<PathBuf>,
}

impl Wanted {
    /// The one of that number, or the one started last, in those folders or where stats files usually are.
    pub(crate) fn new(pid: Option<u32>, folders: Vec<PathBuf>) -> Self {
        Self { pid, folders: if folders.is_empty() { Stats::folders() } else { folders } }
    }

    /// Its stats file.
    pub(crate) fn find(&self) -> io::Result<Stats> {
        let found = match self.pid {
            None => Stats::newest(&self.folders),
            Some(pid) => self.of(pid),
        };
        found.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.nothing_found(),
            io::ErrorKind::PermissionDenied => {
                let told = format!("{error}; the file is for the gateway's user and group: run gkstat as one of them");
                io::Error::new(error.kind(), told)
            }
            _ => error,
        })
    }

    /// Whether another one is meant by now: a newer, where none was named.
    pub(crate) fn is_outdated(&self, stats: &Stats) -> bool {
        self.pid.is_none() && self.find().is_ok_and(|newest| newest.path() != stats.path())
    }

    fn of(&self, pid: u32) -> io::Result<Stats> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for folder in &self.folders {
            let path = folder.join(format!("gatekeeper-{pid}.stats"));
            debug_assert_eq!(pid_of(&path), Some(pid));
            match Stats::open(&path) {
                Ok(stats) => return Ok(stats),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => last = io::Error::new(error.kind(), format!("{}: {error}", path.display())),
            }
        }
        Err(last)
    }

    fn nothing_found(&self) -> io::Error {
        let who = self.pid.map_or_else(|| "no gatekeeper".to_owned(), |pid| format!("no gatekeeper of number {pid}"));
        let folders: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        let told = format!(
            "{who} has a stats file in {}; is one running here? Where base.stats_dir names another folder, say --dir",
            folders.join(" or ")
        );
        io::Error::new(io::ErrorKind::NotFound, told)
    }
}
