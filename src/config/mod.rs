//! ROOM 4: text → `Config` → `Snapshot`. Every fault at once, with file, line and a suggestion.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::wall::snapshot::Snapshot;

/// A configuration that may be published, and what the process itself needs of it.
#[derive(Debug)]
pub struct Loaded {
    /// For the workers.
    pub snapshot: Snapshot,
    /// For run and control.
    pub process: Process,
    /// What was said at load and does not stop it.
    pub warnings: Vec<Fault>,
    /// The files read, to be watched.
    pub files: Vec<PathBuf>,
}

/// What the process itself needs of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `http.addr`; `:8081` is `[::]:8081` and takes IPv4 too. Fixed at start.
    pub listen: SocketAddr,
    /// True where `listen` was written without an address: IPv6 and IPv4 both.
    pub listen_any: bool,
    /// `base.conf_load_interval`; 0 is off.
    pub reload_interval_ms: u64,
    /// `base.watch`: reload on file change.
    pub reload_on_change: bool,
    /// How long a stopping gateway lets exchanges finish.
    pub drain_window_ms: u64,
    /// `[dns] servers`; empty is the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// `tcp` modules, not served yet: name and `frontend_addr`.
    pub tcp_modules: Vec<(String, String)>,
}

/// One thing wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A warning does not stop the load.
    pub warning: bool,
    /// The file as given.
    pub file: PathBuf,
    /// Counted from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Counted in characters from 1; 0 as above.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning" } else { "error" };
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {kind}: {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, "\n    help: {help}")?;
        }
        Ok(())
    }
}

/// Reads the module file and, where present, base.toml, app.toml and admin.toml beside it.
///
/// # Errors
/// Every fault of every file, warnings among them.
pub fn load(module_file: &Path) -> Result<Loaded, Vec<Fault>> {
    Err(vec![Fault {
        warning: false,
        file: module_file.to_path_buf(),
        line: 0,
        column: 0,
        message: "loading is not built yet".into(),
        help: None,
    }])
}
