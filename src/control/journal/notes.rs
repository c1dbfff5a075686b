//! What the program says of itself: lines of `tracing`, by level and room, to standard error and to the files of
//! `[syslog]`, `[checklog]` and `[statlog]`.
//!
//! Standard error is written by whoever says something; files are the journal's. What is wrong with a log is said on
//! standard error in any case. In scope: which lines, in which form, where to; all of it may change while the program
//! runs. Out of scope: writing files (`scribe`), requests (`lines`).

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use jiff::Zoned;
use jiff::tz::TimeZone;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{self as form, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use super::book::painted;
use super::{Journal, Line, Subject};
use crate::config::logs::{Level, Logs, Writers};

/// The target of lines about health.
pub(in crate::control) const CHECK: &str = "gatekeeper::check";
/// The target of statistics.
pub(in crate::control) const STAT: &str = "gatekeeper::stat";
/// The target of lines about a log that cannot be written.
pub(super) const TROUBLE: &str = "gatekeeper::journal";
/// The variable that goes before the files.
const VARIABLE: &str = "GATEKEEPER_LOG";

/// The way for lines out of the program.
#[derive(Clone, Debug)]
pub struct Notes {
    outlet: Arc<Outlet>,
    /// `None` where another program that this one is part of has a subscriber of its own.
    filters: Option<Filters>,
}

/// One of the two is off.
#[derive(Clone, Debug)]
struct Filters {
    text: reload::Handle<Targets, Registry>,
    json: reload::Handle<Targets, Registry>,
    /// What the environment asks for.
    asked: Option<Targets>,
}

/// Where lines go.
#[derive(Debug)]
struct Outlet {
    routes: RwLock<Routes>,
    journal: OnceLock<Journal>,
}

#[derive(Clone, Debug)]
struct Routes {
    zone: TimeZone,
    system: Route,
    check: Route,
    stat: Route,
}

/// Where the lines of one log go.
#[derive(Clone, Copy, Debug)]
struct Route {
    /// To the files of this one.
    file: Option<Subject>,
    /// To standard error; whether in colour.
    console: Option<bool>,
}

impl Route {
    const CONSOLE: Route = Route { file: None, console: Some(false) };
    const NOWHERE: Route = Route { file: None, console: None };

    fn of(subject: Subject, writers: &Writers) -> Option<Self> {
        let file = writers.file.is_some().then_some(subject);
        writers.any().then_some(Self { file, console: writers.console })
    }
}

impl Routes {
    fn of(logs: &Logs) -> Self {
        let system = Route::of(Subject::System, &logs.system).unwrap_or(Route::CONSOLE);
        let check = Route::of(Subject::Check, &logs.check).unwrap_or(system);
        let stat = Route::of(Subject::Stat, &logs.stat).unwrap_or(Route::NOWHERE);
        Self { zone: logs.zone.clone(), system, check, stat }
    }
}

impl Notes {
    /// Takes what the program says to standard error, until the files say otherwise. A subscriber that is there stays,
    /// and nothing is taken.
    #[must_use]
    pub fn install() -> Self {
        let route = Route::CONSOLE;
        let routes = Routes { zone: TimeZone::UTC, system: route, check: route, stat: Route::NOWHERE };
        let outlet = Arc::new(Outlet { routes: RwLock::new(routes), journal: OnceLock::new() });
        let asked = std::env::var(VARIABLE).ok().map(|asked| asked.parse::<Targets>().map_err(|error| (asked, error)));
        let (asked, wrong) = match asked {
            Some(Err(wrong)) => (None, Some(wrong)),
            Some(Ok(asked)) => (Some(asked), None),
            None => (None, None),
        };
        let first = asked.clone().unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
        let (text_filter, text) = reload::Layer::new(first);
        let (json_filter, json) = reload::Layer::new(Targets::new());
        let plain = form::layer().with_ansi(false).with_timer(Clock(outlet.clone())).with_writer(Out(outlet.clone()));
        let object = form::layer().json().with_timer(Clock(outlet.clone())).with_writer(Out(outlet.clone()));
        let layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> =
            vec![plain.with_filter(text_filter).boxed(), object.with_filter(json_filter).boxed()];
        let installed = tracing_subscriber::registry().with(layers).try_init().is_ok();
        if let Some((asked, error)) = wrong {
            tracing::warn!("{VARIABLE}={asked} has no effect: {error}");
        }
        Self { outlet, filters: installed.then_some(Filters { text, json, asked }) }
    }

    /// Takes nothing, and writes nowhere.
    #[cfg(test)]
    pub(in crate::control) fn quiet() -> Self {
        let route = Route::NOWHERE;
        let routes = Routes { zone: TimeZone::UTC, system: route, check: route, stat: route };
        Self { outlet: Arc::new(Outlet { routes: RwLock::new(routes), journal: OnceLock::new() }), filters: None }
    }

    /// Files are there from now on.
    pub fn write_by(&self, journal: Journal) {
        // One process has one journal.
        let _ = self.outlet.journal.set(journal);
    }

    /// The journal, once there is one.
    #[must_use]
    pub fn journal(&self) -> Option<&Journal> {
        self.outlet.journal.get()
    }

    /// What the files say holds from now on.
    pub fn follow(&self, logs: &Logs) {
        *self.outlet.routes.write().unwrap_or_else(PoisonError::into_inner) = Routes::of(logs);
        if let Some(Filters { text, json, asked }) = &self.filters {
            let wanted = wanted(logs, asked.as_ref());
            let (first, second) = if logs.json { (json, text) } else { (text, json) };
            // They live as long as the process.
            let _ = (second.reload(Targets::new()), first.reload(wanted));
        }
    }
}

/// Which lines are wanted.
fn wanted(logs: &Logs, asked: Option<&Targets>) -> Targets {
    let stat = if logs.stat.any() { filter(logs.stat.level) } else { LevelFilter::OFF };
    if let Some(asked) = asked {
        return if logs.stat.any() { asked.clone() } else { asked.clone().with_target(STAT, stat) };
    }
    let system = filter(logs.system.level);
    let check = if logs.check.any() { filter(logs.check.level) } else { system };
    let mut wanted = Targets::new()
        // What others say in detail is of no use here.
        .with_default(system.min(LevelFilter::INFO))
        .with_target("gatekeeper", system)
        .with_target(CHECK, check)
        .with_target(STAT, stat);
    for (room, level) in &logs.rooms {
        wanted = wanted.with_target(format!("gatekeeper::{room}"), filter(*level));
    }
    wanted
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warning => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
        // The gateway says nothing as loud as that.
        Level::Fatal => LevelFilter::OFF,
    }
}

/// Makes a way out for each line.
struct Out(Arc<Outlet>);

/// The way out of one line.
struct Outgoing<'o> {
    outlet: &'o Outlet,
    route: Route,
    level: Level,
}

impl<'o> MakeWriter<'o> for Out {
    type Writer = Outgoing<'o>;

    fn make_writer(&'o self) -> Outgoing<'o> {
        Outgoing { outlet: &self.0, route: Route::CONSOLE, level: Level::Info }
    }

    fn make_writer_for(&'o self, metadata: &Metadata<'_>) -> Outgoing<'o> {
        let routes = self.0.routes.read().unwrap_or_else(PoisonError::into_inner);
        let route = match metadata.target() {
            CHECK => routes.check,
            STAT => routes.stat,
            TROUBLE => Route { console: routes.system.console.or(Some(false)), ..routes.system },
            _ => routes.system,
        };
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        Outgoing { outlet: &self.0, route, level }
    }
}

impl Write for Outgoing<'_> {
    /// Takes a line, which comes whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Self { outlet, route, level } = *self;
        if let (Some(subject), Some(journal)) = (route.file, outlet.journal.get()) {
            journal.say(Line { subject, level, text: line.to_vec() });
        }
        if let Some(colour) = route.console {
            let painted = if colour { painted(level, line) } else { None };
            // Standard error may be closed; nobody is left to be told.
            let _ = io::stderr().write_all(painted.as_deref().unwrap_or(line));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time of a line, in the zone of the files.
struct Clock(Arc<Outlet>);

impl FormatTime for Clock {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        let zone = self.0.routes.read().unwrap_or_else(PoisonError::into_inner).zone.clone();
        let form = if zone == TimeZone::UTC { "%Y-%m-%dT%H:%M:%S%.6fZ" } else { "%Y-%m-%dT%H:%M:%S%.6f%:z" };
        write!(out, "{}", Zoned::now().with_time_zone(zone).strftime(form))
    }
}
