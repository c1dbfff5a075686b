//! What every program of the benchmarks does at its start. Out of scope: whatever only one of them needs.

use std::time::Duration;

/// As many descriptors as the system lets this process have.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // A refusal leaves the soft limit, which shows in what can be connected.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Reads a number of seconds of a command line.
///
/// # Errors
///
/// A sentence for the user when it is none.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|fault| fault.to_string())
}
