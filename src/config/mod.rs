//! ROOM 4: text → sections → `Snapshot`. Every fault at once, with file, line and a suggestion.
//!
//! `schema` is the one table of keys; `read` holds a file against it; `compile` makes of the values
//! what workers run on. In scope: GateKeeper's files and the keys added to them, every default of the
//! program. Out of scope: resolving names, watching files, publishing (`control`).

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::wall::snapshot::Snapshot;
use compile::{Page, Pages};
use section::Section;
use source::{Faults, Source};

pub mod check;
mod compile;
pub mod explain;
mod read;
pub mod reference;
pub mod schema;
mod section;
mod source;
mod suggest;

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

/// Reads the module file and, where present, base.toml, app.toml and GateKeeper's other files beside it.
///
/// # Errors
/// Every fault of every file, warnings among them.
pub fn load(module_file: &Path) -> Result<Loaded, Vec<Fault>> {
    let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    load_on(module_file, &host_name)
}

/// The same, for a machine of this host name (`white_host_name`).
///
/// # Errors
/// As `load`.
pub fn load_on(module_file: &Path, host_name: &str) -> Result<Loaded, Vec<Fault>> {
    let mut faults = Faults::default();
    let mut files = Vec::new();
    let pages = pages(module_file, &mut files, &mut faults);
    let compiled = pages.map(|pages| compile::compile(&pages, host_name, &mut faults));
    let stops = faults.any_error();
    let faults = faults.sorted(&files);
    match compiled {
        Some((snapshot, process)) if !stops => Ok(Loaded { snapshot, process, warnings: faults, files }),
        _ => Err(faults),
    }
}

/// Reads every file. `None` where there is no module file to speak of.
fn pages(module_file: &Path, files: &mut Vec<PathBuf>, faults: &mut Faults) -> Option<Pages> {
    if let Some(wrong) = sibling_given(module_file) {
        faults.whole(module_file, false, wrong, None);
        return None;
    }
    let module = page(module_file, &schema::MODULE_FILE, files, faults);
    let mut beside = |file: &'static schema::File| {
        let path = module_file.with_file_name(file.name);
        let page = is_there(&path).then(|| page(&path, file, files, faults)).flatten();
        page.unwrap_or_else(|| Page { source: Source::new(&path, String::new()), root: Section::absent(file, 0) })
    };
    let (base, app) = (beside(&schema::BASE_FILE), beside(&schema::APP_FILE));
    for file in [&schema::ADMIN_FILE, &schema::MYSQL_FILE, &schema::REDIS_FILE] {
        beside(file);
    }
    module.map(|module| Pages { base, module, app })
}

fn page(path: &Path, file: &'static schema::File, files: &mut Vec<PathBuf>, faults: &mut Faults) -> Option<Page> {
    files.push(path.to_path_buf());
    let source = Source::open(path, faults)?;
    let root = read::read(file, &source, faults);
    Some(Page { source, root })
}

/// A link to nowhere is there and cannot be read, which is an error: what protects must not vanish in silence.
fn is_there(path: &Path) -> bool {
    !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// Says so where a file beside the module file is named in its place.
fn sibling_given(module_file: &Path) -> Option<String> {
    let name = module_file.file_name()?;
    let sibling = schema::FILES.iter().skip(1).find(|file| file.name == name)?;
    Some(format!("{} is read from beside the module file: name that one, such as module.toml", sibling.name))
}
