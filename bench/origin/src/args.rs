//! The command line. Out of scope: what an argument means to the server.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

/// Replies to whatever is asked.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "bench-origin")]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8701")]
    pub(crate) listen: SocketAddr,
    /// Bytes of the fixed reply's body.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub(crate) body_bytes: usize,
    /// Threads, each with a listener of its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: usize,
    /// How long each reply waits.
    #[arg(long = "delay-ms", value_name = "N", default_value = "0", value_parser = milliseconds)]
    pub(crate) delay: Duration,
    /// Replies tell in JSON what was received, instead of being fixed.
    #[arg(long)]
    pub(crate) demo: bool,
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_millis).map_err(|_| "a number of milliseconds is wanted".to_owned())
}
