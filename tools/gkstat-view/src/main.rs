//! gkstat: what a running gatekeeper does, live: its cores, services, endpoints and reasons of failure.
//!
//! In scope: finding the gateway's stats file, making rates and quantiles of what it says at two times, showing them on a
//! screen or as text, JSON or CSV. It only reads: the gateway does not notice. Out of scope: the file's form, which the
//! file says itself (`gatekeeper::wall::slot::read`).

mod find;
mod frame;
mod print;
mod quantiles;
mod screen;
mod units;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::find::Wanted;
use crate::frame::Watch;
use crate::print::Form;

/// Shows what a running gatekeeper does.
#[derive(Debug, Parser)]
#[command(name = "gkstat", version, about)]
struct Options {
    /// The gateway of this process number instead of the one started last.
    #[arg(long)]
    pid: Option<u32>,
    /// The folder of the stats file, where base.stats_dir says one; may be given more than once.
    #[arg(long = "dir", value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Print one interval as a table and end.
    #[arg(long)]
    once: bool,
    /// Print a line of JSON for each interval; with --once, for one.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print lines of CSV for each interval; with --once, for one.
    #[arg(long)]
    csv: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    if (0.1..=3_600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("must be 0.1 to 3600".to_owned())
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gkstat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let watch = Watch::new(Wanted::new(options.pid, options.folders.clone()))?;
    let form = match options {
        Options { json: true, .. } => Form::Json,
        Options { csv: true, .. } => Form::Csv,
        Options { once: true, .. } => Form::Table,
        _ if !io::stdout().is_terminal() => {
            return Err(io::Error::other("no terminal: use --once, --json or --csv"));
        }
        _ => return screen::run(watch, options.interval),
    };
    print::run(watch, options.interval, form, options.once)
}
