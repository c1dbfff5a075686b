//! The command line. Out of scope: what an argument means to the load.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use bench_common::seconds;
use clap::Parser;

/// Asks at a fixed rate, however long answers take.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "bench-steady")]
pub(crate) struct Args {
    /// Where the server listens.
    #[arg(long, value_name = "ADDR")]
    pub(crate) connect: SocketAddr,
    /// Requests per second.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub(crate) rate: f64,
    /// What is asked for.
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
    /// How many connections there are.
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) connections: NonZeroUsize,
    /// How long it runs before latency counts.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) warm: Duration,
    /// How long it runs in all.
    #[arg(long = "seconds", value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) total: Duration,
    /// Above 0, each path gets one of `/s0` to `/s(N-1)` before it, drawn at random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) services: usize,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "a number above 0 is wanted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(format!("bench-steady {line}").split(' '))
    }

    #[test]
    fn a_rate_and_an_address_are_enough() {
        let args = parsed("--connect 127.0.0.1:1 --rate 2500.5").unwrap();
        assert_eq!((args.rate, args.connections.get(), args.services), (2500.5, 64, 0));
        assert_eq!((args.warm, args.total), (Duration::from_secs(1), Duration::from_secs(5)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let noone = "--connect 127.0.0.1:1 --rate 1 --connections 0";
        for line in ["--rate 1", "--connect 127.0.0.1:1", "--connect 127.0.0.1:1 --rate 0", "--what 1", "--rate", noone]
        {
            assert!(parsed(line).is_err(), "{line} is accepted");
        }
    }
}
