//! The floor under every proxy measured here: bytes carried between two sockets by one io_uring, nothing else.
//!
//! In scope: one thread, one ring (`SINGLE_ISSUER` + `DEFER_TASKRUN`), multishot accept and receive, 4,096 provided
//! buffers of 4 KiB, one send per receive, one upstream connection per client, `TCP_NODELAY` on both.
//!
//! Out of scope: HTTP, deadlines, limits, back-pressure. A peer that does not read makes this program hold its bytes,
//! and enough such peers take all the buffers; a proxy must do better, a measure need not.

mod args;
mod buffers;
mod pair;
mod ring;
mod shuttle;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench-floor: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let args = args::Args::parse();
    bench_common::raise_descriptor_limit();
    if let Some(cpu) = args.cpu {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        rustix::thread::sched_setaffinity(None, &set)?;
    }
    let listener = std::net::TcpListener::bind(args.listen)?;
    rustix::net::listen(&listener, 16_384)?;
    let mut shuttle = shuttle::Shuttle::new(listener, args.upstream)?;
    eprintln!("bench-floor: {} -> {}", args.listen, args.upstream);
    shuttle.run()?;
    Ok(())
}
