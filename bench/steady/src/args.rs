//! The command line. Out of scope: what an argument means to the load.

use std::net::SocketAddr;
use std::time::Duration;

/// How to use the program.
const USAGE: &str = "usage: bench-steady --connect ADDR --rate PER_SECOND [--path PATH] [--connections N] [--warm SECONDS] \
    [--seconds SECONDS] [--services N]";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Args {
    /// Where the server listens.
    pub(crate) connect: SocketAddr,
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) path: String,
    pub(crate) connections: usize,
    /// How long it runs before latency counts.
    pub(crate) warm: Duration,
    /// How long it runs in all.
    pub(crate) total: Duration,
    /// Above 0, each path gets one of `/s0` to `/s(N-1)` before it, drawn at random.
    pub(crate) services: usize,
}

/// Reads the arguments, without the program's name.
///
/// # Errors
///
/// A sentence for the user when one is unknown, missing or malformed.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let (mut connect, mut rate, mut path) = (None, None, "/".to_owned());
    let (mut connections, mut services, mut warm_s, mut total_s) = (64, 0, 1.0, 5.0);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        let malformed = || format!("{name}: {value} is not understood\n{USAGE}");
        match name.as_str() {
            "--connect" => connect = Some(value.parse().map_err(|_| malformed())?),
            "--rate" => rate = Some(value.parse().map_err(|_| malformed())?),
            "--path" => path = value,
            "--connections" => connections = value.parse().map_err(|_| malformed())?,
            "--services" => services = value.parse().map_err(|_| malformed())?,
            "--warm" => warm_s = value.parse().map_err(|_| malformed())?,
            "--seconds" => total_s = value.parse().map_err(|_| malformed())?,
            _ => return Err(format!("unknown argument {name}\n{USAGE}")),
        }
    }
    let rate: f64 = rate.ok_or("--rate is needed")?;
    if !(rate.is_finite() && rate > 0.0 && connections > 0) {
        return Err("a rate and a number of connections are above 0".to_owned());
    }
    let seconds = |value: f64| Duration::try_from_secs_f64(value).map_err(|fault| fault.to_string());
    let connect = connect.ok_or("--connect is needed")?;
    Ok(Args { connect, rate, path, connections, warm: seconds(warm_s)?, total: seconds(total_s)?, services })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, String> {
        parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_rate_and_an_address_are_enough() {
        let args = parsed("--connect 127.0.0.1:1 --rate 2500.5").unwrap();
        assert_eq!((args.rate, args.connections, args.services), (2500.5, 64, 0));
        assert_eq!((args.warm, args.total), (Duration::from_secs(1), Duration::from_secs(5)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in ["--rate 1", "--connect 127.0.0.1:1", "--connect 127.0.0.1:1 --rate 0", "--what 1", "--rate"] {
            assert!(parsed(line).is_err(), "{line} is accepted");
        }
    }
}
