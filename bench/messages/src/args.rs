//! The command line. Out of scope: what an argument means to the two ends.

use std::net::SocketAddr;
use std::time::Duration;

use bench_common::seconds;
use clap::Parser;

/// A message begins with its number.
const MESSAGE_BYTES_MIN: usize = 8;
/// Longer frames have longer heads, which nobody needs here.
const FRAME_BYTES_MAX: usize = 125;

/// Sends messages through a proxy and answers them.
#[derive(Debug, PartialEq, Parser)]
#[command(name = "bench-messages")]
pub(crate) enum Args {
    /// The end behind the proxy.
    Origin {
        /// Where to listen.
        #[arg(long, value_name = "ADDR")]
        listen: SocketAddr,
    },
    /// The end before it.
    Load(Asked),
}

/// What the load is to do.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(crate) struct Asked {
    /// Where the proxy listens.
    #[arg(long, value_name = "ADDR")]
    pub(crate) connect: SocketAddr,
    /// How many connections there are.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) connections: usize,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// How long it runs before latency counts.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) warm: Duration,
    /// How long it runs in all.
    #[arg(long = "seconds", value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) total: Duration,
    /// After how many exchanges it ends before that.
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    pub(crate) exchanges: u64,
    /// One exchange on each connection, and then nothing until it is ended.
    #[arg(long)]
    pub(crate) hold: bool,
}

/// Sizes of the two messages of an exchange, and their dress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::Args)]
pub(crate) struct Shape {
    /// Bytes of a message to the origin.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) ask_bytes: usize,
    /// Bytes of its answer.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) answer_bytes: usize,
    /// Both are frames of a WebSocket.
    #[arg(long)]
    pub(crate) websocket: bool,
}

impl Asked {
    /// # Errors
    ///
    /// A sentence for the user when there are no such messages.
    pub(crate) fn check(&self) -> Result<(), String> {
        let told = || format!("a message has {MESSAGE_BYTES_MIN} bytes at least, in a frame {FRAME_BYTES_MAX} at most");
        self.shape.is_possible().then_some(()).ok_or_else(told)
    }
}

impl Shape {
    /// Whether such messages can be made.
    pub(crate) fn is_possible(self) -> bool {
        let bytes_max = if self.websocket { FRAME_BYTES_MAX } else { 64 << 20 };
        [self.ask_bytes, self.answer_bytes].iter().all(|bytes| (MESSAGE_BYTES_MIN..=bytes_max).contains(bytes))
    }
}
