//! The program: arguments, run, one error printed.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use gatekeeper::cli::{Cli, Task};
use gatekeeper::run;

mod inherited;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let inherited = inherited::take();
    match Cli::parse().task() {
        Task::Say(said) => said.print(),
        Task::Run(options) => run::run(&options, inherited).unwrap_or_else(|message| {
            // Standard error may be closed; the exit code says the same.
            let _ = writeln!(std::io::stderr(), "gatekeeper: {message}");
            ExitCode::FAILURE
        }),
    }
}
