//! Messages through a proxy: an origin that answers each, and a load that asks one after the other.
//!
//! In scope: plain TCP and WebSocket frames, messages of 64 bytes and of a mebibyte, tunnels that are held open
//! without a byte. Both ends know what every byte must be and look. One thread and one epoll each.
//!
//! Out of scope: HTTP but for the handshake and the two questions of a benchmark, fragmented frames, TLS.

mod args;
mod load;
mod message;
mod opening;
mod origin;
mod sockets;
mod talk;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench-messages: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    bench_common::raise_descriptor_limit();
    match args::Args::parse() {
        args::Args::Origin { listen } => origin::Origin::bind(listen)?.run()?,
        args::Args::Load(asked) => {
            asked.check()?;
            let hold = asked.hold;
            let mut load = load::Load::new(asked)?;
            if hold { load.hold()? } else { load.run()? }
        }
    }
    Ok(())
}
