//! A cheap HTTP/1.1 origin: the same small reply to everything, so that a proxy in front of it is what is measured.
//!
//! In scope: keep-alive, pipelining, request bodies of both framings (drained), bodies of any size, slow replies and
//! event streams, and a demo reply that tells what it received. One epoll and one listener per thread.
//!
//! Out of scope: TLS, HTTP/2, files, and strictness: it believes what a proxy sends it.

mod answer;
mod args;
mod connection;
mod request;
mod server;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench-origin: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let args = args::Args::parse();
    bench_common::raise_descriptor_limit();
    // All are bound before any serves, so that a port in use is told at once.
    let servers = (0..args.threads).map(|_| server::Server::bind(&args)).collect::<Result<Vec<_>, std::io::Error>>()?;
    eprintln!("bench-origin: {} with {} thread(s)", args.listen, args.threads);
    let threads: Vec<_> = servers.into_iter().map(|mut server| std::thread::spawn(move || server.run())).collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}
