//! An open loop: requests at a fixed rate, each timed from the instant it was due.
//!
//! In scope: one thread, some connections, a rate that does not yield when answers are late. A request that finds every
//! connection busy waits, and its waiting is latency: a server that pauses does not make the load pause, so that the
//! pause is seen as often as clients would have seen it (no coordinated omission). The figures go out as JSON.
//!
//! Out of scope: the highest rate that a server can bear; wrk finds that. TLS, chunked answers.

mod answer;
mod args;
mod connection;
mod load;
mod schedule;
mod tally;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench-steady: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let args = args::Args::parse();
    bench_common::raise_descriptor_limit();
    // Without it the kernel may wake this thread 50 µs after a request is due, to save power.
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let mut load = load::Load::new(args)?;
    load.run()?;
    println!("{}", load.tally());
    Ok(())
}
