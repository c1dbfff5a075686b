//! File descriptors: how many there may be, how many are for clients, and how many it takes to serve at all.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{
    CLIENT_DESCRIPTORS_QUARTERS, DESCRIPTORS_ASSUMED, DESCRIPTORS_OF_LISTENER, DESCRIPTORS_OF_PROCESS,
    DESCRIPTORS_OF_WORKER,
};
use crate::wall::words::counted;

/// Raises the soft limit to the hard one and says what it is now; `None` is no limit.
pub(super) fn raise_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // A process that may not raise it serves with what it has.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}

/// How many are for clients where the files do not say; the rest is for services and the process itself.
pub(super) fn for_clients(limit: Option<u64>) -> usize {
    let limit = limit.unwrap_or(DESCRIPTORS_ASSUMED).min(DESCRIPTORS_ASSUMED);
    usize::try_from(limit * CLIENT_DESCRIPTORS_QUARTERS / 4).unwrap_or(usize::MAX)
}

/// Refuses a limit under which some worker could not even begin: it would die over and over, and nobody be told why.
///
/// # Errors
/// The numbers, and what to do.
pub(super) fn suffice(limit: Option<u64>, workers: usize, listeners: usize) -> Result<(), String> {
    let each = DESCRIPTORS_OF_WORKER + DESCRIPTORS_OF_LISTENER * listeners as u64;
    let needed = DESCRIPTORS_OF_PROCESS + each * workers as u64;
    match limit {
        Some(limit) if limit < needed => Err(format!(
            "the limit of {limit} open files is too low: {} at {} need {needed} ({each} each, {DESCRIPTORS_OF_PROCESS} \
             for the process), and every connection takes one more; raise it with `ulimit -n` or LimitNOFILE= of \
             systemd, or ask for fewer workers with --cores",
            counted(workers, "worker"),
            counted(listeners, "listener"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_no_worker_could_begin_under_is_refused_with_the_numbers() {
        let told = suffice(Some(40), 2, 1).unwrap_err();
        assert!(told.contains("the limit of 40 open files") && told.contains("2 workers at 1 listener need"), "{told}");
        assert!(told.contains("ulimit -n") && told.contains("LimitNOFILE"), "{told}");
        assert_eq!(suffice(Some(1_024), 2, 1), Ok(()));
        assert_eq!(suffice(None, 1_024, 100), Ok(()));
    }
}
