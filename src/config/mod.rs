//! ROOM 4: text → sections → `Snapshot`. Every fault at once, with file, line and a suggestion.
//!
//! `schema` is the one table of keys; `read` holds a file against it; `compile` makes of the values
//! what workers run on. In scope: GateKeeper's files and the keys added to them, every default of the
//! program. Out of scope: resolving names, watching files, publishing (`control`).

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::filter::Registry;
use crate::wall::listen::Listen;
use crate::wall::snapshot::Snapshot;
use compile::{Page, Pages};
use section::Section;
use source::Faults;
use texts::Texts;

pub mod check;
mod compile;
pub mod explain;
pub mod logs;
mod read;
pub mod reference;
pub mod said;
pub mod schema;
mod section;
mod source;
mod suggest;
mod texts;

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
    /// Stands for the text it came from: that of the files, their names, the machine's host name.
    pub fingerprint: u64,
    /// When, in seconds since 1970.
    pub read_s: u64,
}

/// What a load is held against: the configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// `Loaded.fingerprint` of it.
    pub fingerprint: u64,
    /// `Loaded.files` of it.
    pub files: Vec<PathBuf>,
}

/// What the process itself needs of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `http.addr` first, then the `frontend_addr` of each tcp module.
    pub listens: Vec<Listen>,
    /// `base.conf_load_interval`; 0 is off.
    pub reload_interval_ms: u64,
    /// `base.watch`: reload on file change.
    pub reload_on_change: bool,
    /// How long a stopping gateway serves as before.
    pub drain_delay_ms: u64,
    /// How long a stopping gateway then lets what is open end.
    pub drain_window_ms: u64,
    /// How long a new process may take at an upgrade until it is ready.
    pub upgrade_timeout_ms: u64,
    /// `base.user` and `base.group`: whom the process becomes. Fixed at start.
    pub account: Option<Account>,
    /// `base.stats_dir`; `None` is where it is usual. Fixed at start.
    pub stats_dir: Option<PathBuf>,
    /// `http.rate_keys_max`. Fixed at start.
    pub rate_keys_max: usize,
    /// `[dns] servers`; empty is the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// `[admin]`; `None` is off.
    pub admin: Option<Admin>,
    /// `[store]`; `None` is off.
    pub store: Option<Store>,
    /// `base.time_location` as written; empty is UTC.
    pub zone: String,
    /// What is logged, and where to.
    pub logs: logs::Logs,
    /// `[trace]`: where spans go; `None` where nothing is traced.
    pub export: Option<Export>,
}

/// Where the gateway is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; any but a loopback address has a token.
    pub address: SocketAddr,
    /// The files say so; the default one is given up where another process is there.
    pub given: bool,
    /// What a question must bear; `None` lets everybody ask.
    pub token: Option<Token>,
}

/// What a question to the admin listener must bear.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// This.
    Text(Box<str>),
    /// What this file holds at the time, blanks around it left out.
    File(PathBuf),
}

/// Without the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What the gateway remembers over restarts, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The file, as written: relative to the state directory, or else to the module file's folder.
    pub path: PathBuf,
    /// Totals of days are kept for so many.
    pub days_kept: u32,
    /// Totals of hours are kept for so many.
    pub hours_kept: u32,
}

/// Whom the process becomes once its listeners are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user; `None` leaves it as it is.
    pub uid: Option<u32>,
    /// The group.
    pub gid: u32,
    /// Every group it is a member of, that one among them.
    pub groups: Vec<u32>,
}

/// Where spans go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Host and port of the collector, as `Host` says them.
    pub authority: Box<str>,
    /// Path and query.
    pub path: Box<str>,
    /// `service.name` of all spans.
    pub service_name: Box<str>,
    /// Further fields: names and values.
    pub fields: Box<[(Box<str>, Box<str>)]>,
    /// How long one export may take.
    pub timeout_ms: u32,
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

impl Fault {
    /// As it is printed, but for the word that says whether it is a warning: a line of the log has its level.
    #[must_use]
    pub fn without_kind(&self) -> String {
        let mut text = String::new();
        // A `String` takes everything.
        let _ = self.write(&mut text, "");
        text
    }

    fn write(&self, out: &mut impl fmt::Write, kind: &str) -> fmt::Result {
        write!(out, "{}", self.file.display())?;
        if self.line > 0 {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        write!(out, ": {kind}{}", self.message)?;
        if let Some(help) = &self.help {
            write!(out, "\n    help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, if self.warning { "warning: " } else { "error: " })
    }
}

/// Reads the module file and, where present, base.toml, app.toml and GateKeeper's other files beside it, for a program
/// without filters.
///
/// # Errors
/// Every fault of every file, warnings among them.
pub fn load(module_file: &Path) -> Result<Loaded, Vec<Fault>> {
    load_on(module_file, &host_name())
}

/// The same, for a machine of this host name (`white_host_name`).
///
/// # Errors
/// As `load`.
pub fn load_on(module_file: &Path, host_name: &str) -> Result<Loaded, Vec<Fault>> {
    load_with(module_file, host_name, &Registry::default())
}

/// The same, for a program that has these filters.
///
/// # Errors
/// As `load`.
pub fn load_with(module_file: &Path, host_name: &str, filters: &Registry) -> Result<Loaded, Vec<Fault>> {
    let mut faults = Faults::default();
    let texts = Texts::read(module_file, host_name, &[], &mut faults);
    finish(texts, host_name, filters, faults)
}

/// As `load_with`, but `None` where the text is the one in force; that costs no more than reading the files, and reading
/// the module file against the schema where it names files of addresses.
///
/// # Errors
/// As `load`, and where a file beside the module file was there and is not any more.
pub fn load_if_changed_with(
    module_file: &Path,
    in_force: &InForce,
    filters: &Registry,
) -> Result<Option<Loaded>, Vec<Fault>> {
    let host_name = host_name();
    let mut faults = Faults::default();
    let mut texts = Texts::read(module_file, &host_name, &in_force.files, &mut faults);
    if texts.may_name_lists() {
        let pages = pages(&mut texts, &mut faults);
        let same = texts.fingerprint() == in_force.fingerprint && !faults.any_error();
        return if same { Ok(None) } else { compile(&texts, pages, (&host_name, filters), faults).map(Some) };
    }
    if texts.fingerprint() == in_force.fingerprint && !faults.any_error() {
        return Ok(None);
    }
    finish(texts, &host_name, filters, faults).map(Some)
}

/// This machine's host name.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Makes a configuration of texts.
fn finish(mut texts: Texts, host_name: &str, filters: &Registry, mut faults: Faults) -> Result<Loaded, Vec<Fault>> {
    let pages = pages(&mut texts, &mut faults);
    compile(&texts, pages, (host_name, filters), faults)
}

fn compile(
    texts: &Texts,
    pages: Option<Pages>,
    (host_name, filters): (&str, &Registry),
    mut faults: Faults,
) -> Result<Loaded, Vec<Fault>> {
    let compiled = pages.map(|pages| compile::compile(&pages, host_name, filters, &mut faults));
    let stops = faults.any_error();
    let warnings = faults.sorted(&texts.files);
    match compiled {
        Some((snapshot, process)) if !stops => {
            let fingerprint = texts.fingerprint();
            Ok(Loaded { snapshot, process, warnings, files: texts.files.clone(), fingerprint, read_s: now_s() })
        }
        _ => Err(warnings),
    }
}

/// Seconds since 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads every text against the schema. `None` where there is no module file to speak of.
fn pages(texts: &mut Texts, faults: &mut Faults) -> Option<Pages> {
    let mut page = |file| page(texts, file, faults);
    let module = page(&schema::MODULE_FILE);
    let base = page(&schema::BASE_FILE);
    let app = page(&schema::APP_FILE);
    for file in [&schema::ADMIN_FILE, &schema::MYSQL_FILE, &schema::REDIS_FILE] {
        page(file);
    }
    let lists = module.as_ref().map(|page| texts.read_lists(page, faults)).unwrap_or_default();
    let absent = |file| Page { source: texts.absent(file), root: Section::absent(file, 0) };
    Some(Pages {
        module: module?,
        base: base.unwrap_or_else(|| absent(&schema::BASE_FILE)),
        app: app.unwrap_or_else(|| absent(&schema::APP_FILE)),
        lists,
    })
}

fn page(texts: &mut Texts, file: &'static schema::File, faults: &mut Faults) -> Option<Page> {
    let source = texts.take(file)?;
    let root = read::read(file, &source, faults);
    Some(Page { source, root })
}
