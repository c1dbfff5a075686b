//! The command line: `--listen ADDR --upstream ADDR [--cpu N]`. Out of scope: everything that has a right answer
//! already (buffers, flags), because a floor with knobs is not one floor.

use std::net::{SocketAddr, SocketAddrV4};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// Where every client's bytes go.
    pub(crate) upstream: SocketAddrV4,
    /// The processor to run on; any when absent.
    pub(crate) cpu: Option<usize>,
}

/// Reads the arguments, without the program's name.
///
/// # Errors
///
/// A sentence for the user when one is unknown, missing or malformed.
pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let (mut listen, mut upstream, mut cpu) = (None, None, None);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
        let malformed = || format!("{name}: {value} is not understood");
        match name.as_str() {
            "--listen" => listen = Some(value.parse().map_err(|_| malformed())?),
            "--upstream" => upstream = Some(value.parse().map_err(|_| malformed())?),
            "--cpu" => cpu = Some(value.parse().map_err(|_| malformed())?),
            _ => return Err(format!("unknown argument {name}; known: --listen --upstream --cpu")),
        }
    }
    Ok(Args { listen: listen.ok_or("--listen is needed")?, upstream: upstream.ok_or("--upstream is needed")?, cpu })
}
