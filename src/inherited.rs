//! The descriptors that this process was started with: the one place where a number becomes an owned descriptor.
//!
//! In scope: the line to the old process at a live upgrade, the sockets that a service manager passes, and closing
//! what leaked across an exec. Out of scope: what is done with them (`run`).

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use gatekeeper::control::upgrade::{Inherited, VARIABLE};

/// Standard input, output and error come before it.
const FIRST: RawFd = 3;

/// Takes them. To be called first of all, once.
pub(crate) fn take() -> Inherited {
    let number = |name| std::env::var(name).ok()?.parse::<RawFd>().ok();
    if let Some(line) = number(VARIABLE) {
        // The old process's accepted connections are not closed at exec; whoever is not taken here is.
        let mut line_found = None;
        for (at, descriptor) in adopt(|_| true) {
            if at == line {
                line_found = Some(descriptor.into());
            }
        }
        return Inherited { line: line_found, passed: Vec::new() };
    }
    let ours = number("LISTEN_PID") == RawFd::try_from(std::process::id()).ok();
    let passed = number("LISTEN_FDS").filter(|count| ours && *count > 0).unwrap_or(0);
    let mut passed = adopt(|at| at < FIRST.saturating_add(passed));
    passed.sort_by_key(|(at, _)| *at);
    let passed: Vec<OwnedFd> = passed.into_iter().map(|(_, descriptor)| descriptor).collect();
    for descriptor in &passed {
        // A process started from this one gets them over the line or not at all.
        let _ = rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC);
    }
    Inherited { line: None, passed }
}

/// Owns every open descriptor from `FIRST` on that is wanted.
fn adopt(wanted: impl Fn(RawFd) -> bool) -> Vec<(RawFd, OwnedFd)> {
    let numbers: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .map(|open| open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default();
    let wanted = numbers.into_iter().filter(|at| *at >= FIRST && wanted(*at));
    // The listing was open itself while it listed.
    let open = wanted.filter(|at| std::fs::symlink_metadata(format!("/proc/self/fd/{at}")).is_ok());
    open.map(|at| (at, own(at))).collect()
}

#[expect(unsafe_code, reason = "an inherited descriptor is a number, and nothing else says that it is ours")]
fn own(at: RawFd) -> OwnedFd {
    // SAFETY: the descriptor is open, as the caller has just seen. Nothing in this process owns it: the first
    // statement of main comes here, before this program has opened any but the three standard ones, and each number
    // comes here once.
    unsafe { OwnedFd::from_raw_fd(at) }
}
