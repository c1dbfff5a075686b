//! The descriptors that this process was started with: the one place where a number becomes an owned descriptor.
//!
//! In scope: the line to the old process at a live upgrade, and the sockets that a service manager passes. Out of
//! scope: what is done with them (`run`).

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::control::upgrade::{Inherited, VARIABLE};
use rustix::io::{FdFlags, fcntl_setfd};

/// Standard input, output and error come before it.
const FIRST: RawFd = 3;

/// Takes them. To be called first of all, once.
pub(crate) fn take() -> Inherited {
    let number = |name| std::env::var(name).ok()?.parse::<RawFd>().ok();
    let line = number(VARIABLE).and_then(own).map(Into::into);
    let ours = number("LISTEN_PID").is_some() && number("LISTEN_PID") == RawFd::try_from(std::process::id()).ok();
    let count = number("LISTEN_FDS").filter(|_| ours && line.is_none()).unwrap_or(0);
    Inherited { line, passed: (FIRST..FIRST.saturating_add(count)).filter_map(own).collect() }
}

/// Owns a descriptor, if it is open; a process started from this one does not inherit it.
fn own(at: RawFd) -> Option<OwnedFd> {
    if at < FIRST || std::fs::symlink_metadata(format!("/proc/self/fd/{at}")).is_err() {
        return None;
    }
    #[expect(unsafe_code, reason = "an inherited descriptor is a number, and nothing else says that it is ours")]
    // SAFETY: the descriptor is open, as was just seen. Nothing in this process owns it: this runs as the first
    // thing that the program does, before it has opened anything, and each number comes here once.
    let descriptor = unsafe { OwnedFd::from_raw_fd(at) };
    let _ = fcntl_setfd(&descriptor, FdFlags::CLOEXEC);
    Some(descriptor)
}
