//! The command line. Out of scope: everything that has a right answer already (buffers, flags), because a floor with
//! knobs is not one floor.

use std::net::{SocketAddr, SocketAddrV4};

use clap::Parser;

/// Carries bytes from clients to one upstream and back.
#[derive(Debug, PartialEq, Eq, Parser)]
#[command(name = "bench-floor")]
pub(crate) struct Args {
    /// Where clients connect.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Where every client's bytes go.
    #[arg(long, value_name = "ADDR")]
    pub(crate) upstream: SocketAddrV4,
    /// The processor to run on; any when absent.
    #[arg(long, value_name = "N")]
    pub(crate) cpu: Option<usize>,
}
