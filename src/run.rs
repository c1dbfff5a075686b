//! The composition root: the only file that sees both sides of the wall.
//!
//! In scope: the order of starting, what is printed at start, the exit. Out of scope: everything that is
//! started.

mod descriptors;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli;
use crate::config::{self, Fault, Loaded};
use crate::control::bind::Opened;
use crate::control::given::Given;
use crate::control::journal::{Journal, Notes};
use crate::control::pid_file::PidFile;
use crate::control::systemd::Systemd;
use crate::control::upgrade::{Inherited, Line, Succession};
use crate::control::{self, Life, Office, privileges};
use crate::filter::Registry;
use crate::ids::WorkerId;
use crate::limits::{JOURNAL_END_MS, TRACE_FLUSH_GRACE_MS, TRACE_FLUSH_MS, UPGRADE_TAKE_MS};
use crate::wall::addresses::Addresses;
use crate::wall::link;
use crate::wall::listen::{Entrance, Listen};
use crate::wall::nonces::Nonces;
use crate::wall::rate::RateTable;
use crate::wall::slot::StatsFile;
use crate::wall::slot::read::Stats;
use crate::wall::words::counted;
use crate::worker::accept::handover::Handovers;
use crate::worker::shard::Shared;
use crate::worker::thread::driver::Driver;
use crate::worker::thread::{self, Post};

/// Serves until told to stop. The exit code is 0 after a drain, 1 where a worker died.
///
/// # Errors
/// What kept the gateway from starting, in words for its user.
pub fn run(options: &cli::Run, inherited: Inherited, filters: Registry) -> Result<ExitCode, String> {
    let notes = Notes::install();
    refuse_huge_pages();
    // Before anybody can change the working directory or replace the file.
    let succession = succession(options);
    let loaded =
        config::load_with(&options.file, &config::host_name(), &filters).map_err(|faults| describe(&faults))?;
    notes.follow(&loaded.process.logs);
    say_warnings(&loaded.warnings);
    let descriptors = descriptors::raise_limit();
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = options.cores.unwrap_or(available);
    let (driver, may_descend) = choose_driver(options.driver)?;
    let process = &loaded.process;
    descriptors::suffice(descriptors, workers, process.listens.len())?;
    let predecessor = inherited.line;
    let mut given = given(predecessor.as_ref(), inherited.passed)?;
    let nonces = nonces(&mut given)?;
    let listening = listen(given, process, workers)?;
    if let Some(account) = &process.account {
        let sockets: Vec<_> = listening.groups.iter().flat_map(|group| &group.sockets).map(AsFd::as_fd).collect();
        privileges::take_on(account, &sockets)?;
        warn_unreadable(&loaded);
    }
    let pid_file = options.pid_file.as_deref().map(PidFile::claim).transpose()?;
    let address = listening.groups[0].address();
    print_start(&describe_start(&loaded, &listening, workers, &cores, descriptors));

    let stats = open_stats(process.stats_dir.as_deref(), workers)?;
    let (up, reports) = link::report_channel().map_err(|error| format!("cannot link the workers: {error}"))?;
    let shared = shared(process, workers, descriptors::for_clients(descriptors), stats, &nonces)
        .map_err(|error| format!("cannot link the workers: {error}"))?;
    let journal = start_journal(&shared, process)?;
    notes.write_by(journal.clone());
    let spawn = move |worker: WorkerId| {
        let (control, link) = link::connect(worker, &up)?;
        let core = (!cores.is_empty()).then(|| cores[worker.index() % cores.len()]);
        thread::spawn(Post { link, core, driver, may_descend, shared: shared.clone() })?;
        Ok(control)
    };
    let numbers = (0..workers).map(|index| WorkerId(u16::try_from(index).expect("at most limits::WORKERS_MAX")));
    let links = numbers.map(&spawn).collect::<io::Result<_>>();
    let links = links.map_err(|error| format!("cannot start a worker: {error}"))?;
    let office = Office {
        file: options.file.clone(),
        load: Box::new(move |file, in_force| config::load_if_changed_with(file, in_force, &filters)),
        loaded,
        listening,
        links,
        spawn: Box::new(spawn),
        reports,
        ready: Box::new(move |drivers| {
            print_start(&format!("  driver     {drivers}\ngatekeeper ready on http://{address}\n"));
        }),
        life: Life { systemd: Systemd::from_environment(), predecessor, succession, nonces: Some(nonces), pid_file },
        stats,
        notes,
    };
    let outcome = control::run(office).map_err(|error| error.to_string());
    journal.finish(Duration::from_millis(JOURNAL_END_MS + TRACE_FLUSH_MS + TRACE_FLUSH_GRACE_MS));
    Ok(if outcome?.clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every listener that the files want: those given, and the rest opened.
fn listen(mut given: Given, process: &config::Process, workers: usize) -> Result<Opened, String> {
    let groups = process.listens.iter().map(|listen| given.group(listen, workers)).collect::<Result<Vec<_>, _>>()?;
    let admin = match &process.admin {
        Some(admin) => given.admin(admin)?,
        None => None,
    };
    for left in given.unclaimed() {
        tracing::warn!("was given a listening socket that nothing in the files asks for: {left}");
    }
    Ok(Opened { groups, admin })
}

/// What writes the logs and sends spans.
fn start_journal(shared: &Shared, process: &config::Process) -> Result<Journal, String> {
    let journal = Journal::start(shared.journal.clone(), shared.origin, &process.logs);
    let journal = journal.map_err(|error| format!("cannot start the journal: {error}"))?;
    journal.export(process.export.clone());
    Ok(journal)
}

/// The sockets that this process gets instead of opening them.
fn given(predecessor: Option<&Line>, passed: Vec<OwnedFd>) -> Result<Given, String> {
    let Some(line) = predecessor else { return Ok(passed.into()) };
    let until = Instant::now() + Duration::from_millis(UPGRADE_TAKE_MS);
    let taken = line.take_over(until).map_err(|error| format!("the old process hands no sockets over: {error}"))?;
    Ok(taken.into())
}

/// The nonces that the process before has seen, or none yet.
fn nonces(given: &mut Given) -> Result<Arc<Nonces>, String> {
    let table = given.nonces().map_or_else(Nonces::new, Ok);
    table.map(Arc::new).map_err(|error| format!("no room for the table of nonces: {error}"))
}

/// What all workers have in common.
fn shared(
    process: &config::Process,
    workers: usize,
    connections: usize,
    stats: &'static StatsFile,
    nonces: &Arc<Nonces>,
) -> io::Result<Shared> {
    Ok(Shared {
        workers,
        pseudonym: format!("gatekeeper-{:016x}", RandomState::new().hash_one(Instant::now())).into(),
        rates: Arc::new(RateTable::new(process.rate_keys_max)),
        nonces: nonces.clone(),
        addresses: Addresses::new(connections),
        loads: Box::leak(Box::default()),
        connections_max: (connections / workers).max(1),
        handovers: Arc::new(Handovers::new(workers)?),
        origin: Instant::now(),
        journal: Arc::default(),
        stats,
    })
}

/// Where everybody can see what the workers count.
fn open_stats(folder: Option<&Path>, workers: usize) -> Result<&'static StatsFile, String> {
    let folders = folder.map_or_else(Stats::folders, |folder| vec![folder.to_path_buf()]);
    let opened = StatsFile::open(&folders, workers);
    let (stats, refused) = opened.map_err(|error| format!("no room for the workers' counters: {error}"))?;
    if stats.path().is_none() {
        for why in refused {
            tracing::warn!("{why}");
        }
        tracing::warn!("counters are in this process's memory alone: tools that read the stats file will not see it");
    }
    Ok(stats)
}

/// How this process would be started again: the same program by the same name, whatever stands there then.
fn succession(options: &cli::Run) -> Option<Succession> {
    let options = options.clone();
    let program = program(&std::env::args_os().next()?)?;
    Some(Succession { program, arguments: Box::new(move |cores| options.arguments(cores)) })
}

/// A name with a slash is a path; another is looked for as the shell does.
fn program(name: &OsStr) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 {
        return std::path::absolute(name).ok();
    }
    let search = std::env::var_os("PATH")?;
    std::env::split_paths(&search).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A reload reads the files as the user that the process has become.
fn warn_unreadable(loaded: &Loaded) {
    for file in &loaded.files {
        if let Err(error) = std::fs::File::open(file)
            && error.kind() == io::ErrorKind::PermissionDenied
        {
            tracing::warn!("{}: a reload will not be able to read it as this user: {error}", file.display());
        }
    }
}

/// The rung to begin on. One asked for by name is used or refused, never exchanged.
fn choose_driver(asked: cli::Driver) -> Result<(Driver, bool), String> {
    let exact = match asked {
        cli::Driver::Auto => {
            let (best, refused) = Driver::best();
            for (rung, error) in refused {
                tracing::warn!("{rung} is refused here: {error}");
            }
            return Ok((best, true));
        }
        cli::Driver::Uring => Driver::UringDefer,
        cli::Driver::UringCoop => Driver::UringCoop,
        cli::Driver::UringPlain => Driver::UringPlain,
        cli::Driver::Epoll => Driver::Epoll,
    };
    exact.try_out().map_err(|error| format!("{exact} is refused here: {error}"))?;
    Ok((exact, false))
}

/// A connection that waits keeps some hundred bytes here and there, and with transparent huge pages each of them may
/// hold two mebibytes.
fn refuse_huge_pages() {
    // Where the kernel refuses, more memory is taken, and all else is the same.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn describe(faults: &[Fault]) -> String {
    let errors = faults.iter().filter(|fault| !fault.warning).count();
    let mut text: String = faults.iter().fold(String::new(), |mut text, fault| {
        let _ = writeln!(text, "{fault}");
        text
    });
    let _ = write!(text, "{}: not started", counted(errors, "error"));
    text
}

fn say_warnings(warnings: &[Fault]) {
    for warning in warnings {
        tracing::warn!("{}", warning.without_kind());
    }
}

/// A reader that has gone is no reason not to serve.
fn print_start(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

fn describe_start(
    loaded: &Loaded,
    listening: &Opened,
    workers: usize,
    cores: &[core_affinity::CoreId],
    descriptors: Option<u64>,
) -> String {
    let mut text = format!("gatekeeper {}\n", env!("CARGO_PKG_VERSION"));
    let snapshot = &loaded.snapshot;
    for group in &listening.groups {
        let both = if group.listen.any { " (IPv4 and IPv6)" } else { "" };
        let what = match &group.listen.entrance {
            Entrance::Http => String::new(),
            Entrance::Tcp { service } => format!(" → {service}"),
        };
        let listen = Listen { address: group.address(), ..group.listen.clone() };
        let _ = writeln!(text, "  listen     {listen}{both}{what}");
    }
    let tcp = snapshot.services.iter().filter(|service| service.tcp.is_some()).count();
    let http = snapshot.services.len() - tcp;
    let _ = writeln!(text, "  services   {http} http, {tcp} tcp, {}", counted(snapshot.endpoints, "endpoint"));
    for route in snapshot.routes.all().iter().take(START_ROUTES_MAX) {
        let service = snapshot.service(route.service);
        let nodes: Vec<_> = service.upstream.endpoints.iter().take(4).map(|endpoint| &*endpoint.node).collect();
        let more = if service.upstream.endpoints.len() > nodes.len() { ", …" } else { "" };
        let down = if service.down { ", down" } else { "" };
        let _ = writeln!(text, "             {route} → {} ({}{more}{down})", service.name, nodes.join(", "));
    }
    if snapshot.routes.all().len() > START_ROUTES_MAX {
        let _ = writeln!(text, "             and {} more rules", snapshot.routes.all().len() - START_ROUTES_MAX);
    }
    if let (Some(sampling), Some(export)) = (&snapshot.http.sampling, &loaded.process.export) {
        let percent = f64::from(sampling.ratio_millionths) / 1e4;
        let _ = writeln!(text, "  traces     {percent} % of new ones, to http://{}{}", export.authority, export.path);
    }
    let shared = match cores.len() {
        0 => " (not pinned: the cores are not known)".to_owned(),
        count if workers > count => format!(", pinned; they share {count} cores"),
        _ => ", each pinned to its core".to_owned(),
    };
    let _ = writeln!(text, "  workers    {workers}{shared}");
    if let Some(descriptors) = descriptors {
        let _ = writeln!(text, "  descriptors {descriptors}");
    }
    if let Some(address) = listening.admin.as_ref().and_then(|socket| socket.local_addr().ok()) {
        let _ = writeln!(text, "  admin      http://{address}");
    }
    text
}

/// Rules printed at start.
const START_ROUTES_MAX: usize = 20;
