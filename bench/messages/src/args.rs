//! The command line. Out of scope: what an argument means to the two ends.

use std::net::SocketAddr;
use std::time::Duration;

/// How to use the program.
const USAGE: &str = "usage: bench-messages origin --listen ADDR\n       bench-messages load --connect ADDR \
    [--connections N] [--ask-bytes N] [--answer-bytes N] [--websocket] [--warm SECONDS] [--seconds SECONDS] [--exchanges N] [--hold]";
/// A message begins with its number.
const MESSAGE_BYTES_MIN: usize = 8;
/// Longer frames have longer heads, which nobody needs here.
const FRAME_BYTES_MAX: usize = 125;

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Args {
    /// The end behind the proxy.
    Origin { listen: SocketAddr },
    /// The end before it.
    Load(Asked),
}

/// What the load is to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) connect: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) shape: Shape,
    /// How long it runs before latency counts.
    pub(crate) warm: Duration,
    /// How long it runs in all.
    pub(crate) total: Duration,
    /// After how many exchanges it ends before that.
    pub(crate) exchanges: u64,
    /// One exchange on each connection, and then nothing until it is ended.
    pub(crate) hold: bool,
}

/// Sizes of the two messages of an exchange, and their dress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) ask_bytes: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) websocket: bool,
}

impl Shape {
    /// Whether such messages can be made.
    pub(crate) fn is_possible(self) -> bool {
        let bytes_max = if self.websocket { FRAME_BYTES_MAX } else { 64 << 20 };
        [self.ask_bytes, self.answer_bytes].iter().all(|bytes| (MESSAGE_BYTES_MIN..=bytes_max).contains(bytes))
    }
}

/// Reads the arguments, without the program's name.
///
/// # Errors
///
/// A sentence for the user when one is unknown, missing or malformed.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let role = words.next().ok_or(USAGE)?;
    let (mut listen, mut connect, mut connections, mut hold) = (None, None, 64, false);
    let mut shape = Shape { ask_bytes: 64, answer_bytes: 64, websocket: false };
    let (mut warm_s, mut total_s, mut exchanges) = (1.0, 5.0, u64::MAX);
    while let Some(name) = words.next() {
        match name.as_str() {
            "--websocket" => shape.websocket = true,
            "--hold" => hold = true,
            _ => {
                let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
                let malformed = || format!("{name}: {value} is not understood\n{USAGE}");
                match name.as_str() {
                    "--listen" => listen = Some(value.parse().map_err(|_| malformed())?),
                    "--connect" => connect = Some(value.parse().map_err(|_| malformed())?),
                    "--connections" => connections = value.parse().map_err(|_| malformed())?,
                    "--ask-bytes" => shape.ask_bytes = value.parse().map_err(|_| malformed())?,
                    "--answer-bytes" => shape.answer_bytes = value.parse().map_err(|_| malformed())?,
                    "--exchanges" => exchanges = value.parse().map_err(|_| malformed())?,
                    "--warm" => warm_s = value.parse().map_err(|_| malformed())?,
                    "--seconds" => total_s = value.parse().map_err(|_| malformed())?,
                    _ => return Err(format!("unknown argument {name}\n{USAGE}")),
                }
            }
        }
    }
    if !shape.is_possible() {
        return Err(format!("a message has {MESSAGE_BYTES_MIN} bytes at least, in a frame {FRAME_BYTES_MAX} at most"));
    }
    let seconds = |value: f64| Duration::try_from_secs_f64(value).map_err(|fault| fault.to_string());
    match role.as_str() {
        "origin" => Ok(Args::Origin { listen: listen.ok_or("--listen is needed")? }),
        "load" => Ok(Args::Load(Asked {
            connect: connect.ok_or("--connect is needed")?,
            connections,
            shape,
            warm: seconds(warm_s)?,
            total: seconds(total_s)?,
            exchanges,
            hold,
        })),
        _ => Err(USAGE.to_owned()),
    }
}
