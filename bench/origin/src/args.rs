//! The command line. Out of scope: what an argument means to the server.

use std::net::SocketAddr;
use std::time::Duration;

/// How to use the program.
const USAGE: &str = "usage: bench-origin --listen ADDR [--body-bytes N] [--threads N] [--delay-ms N] [--demo]";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Bytes of the fixed reply's body.
    pub(crate) body_bytes: usize,
    /// Threads, each with a listener of its own.
    pub(crate) threads: usize,
    /// How long each reply waits.
    pub(crate) delay: Duration,
    /// Replies tell in JSON what was received, instead of being fixed.
    pub(crate) demo: bool,
}

/// Reads the arguments, without the program's name.
///
/// # Errors
///
/// A sentence for the user when one is unknown, missing or malformed.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args =
        Args { listen: ([127, 0, 0, 1], 8701).into(), body_bytes: 12, threads: 1, delay: Duration::ZERO, demo: false };
    while let Some(name) = words.next() {
        if name == "--demo" {
            args.demo = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        let malformed = || format!("{name}: {value} is not understood\n{USAGE}");
        match name.as_str() {
            "--listen" => args.listen = value.parse().map_err(|_| malformed())?,
            "--body-bytes" => args.body_bytes = value.parse().map_err(|_| malformed())?,
            "--threads" => args.threads = value.parse().map_err(|_| malformed())?,
            "--delay-ms" => args.delay = Duration::from_millis(value.parse().map_err(|_| malformed())?),
            _ => return Err(format!("unknown argument {name}\n{USAGE}")),
        }
    }
    Ok(args)
}
