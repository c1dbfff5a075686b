//! The driver ladder: which kernel interface a worker runs on, chosen by us and said at start.
//!
//! SINGLE_ISSUER + DEFER_TASKRUN → COOP_TASKRUN → plain io_uring → epoll. Each rung is tried for real;
//! the first that the kernel grants is used, or exactly the one the user asked for. Never the runtime's own
//! silent fusion. Out of scope: what runs on it (`thread`).

use std::fmt;
use std::future::Future;
use std::io;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

use crate::limits::RING_ENTRIES;

/// One rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring with SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1).
    UringDefer,
    /// io_uring with COOP_TASKRUN (Linux 5.19).
    UringCoop,
    /// io_uring without flags (Linux 5.6).
    UringPlain,
    /// epoll, where io_uring is refused, disabled, too old or out of memory.
    Epoll,
}

impl Driver {
    /// Best first.
    pub const LADDER: [Self; 4] = [Self::UringDefer, Self::UringCoop, Self::UringPlain, Self::Epoll];

    /// As printed at start.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UringDefer => "io_uring (SINGLE_ISSUER, DEFER_TASKRUN)",
            Self::UringCoop => "io_uring (COOP_TASKRUN)",
            Self::UringPlain => "io_uring (no flags)",
            Self::Epoll => "epoll",
        }
    }

    fn ring(self) -> Option<io_uring::Builder> {
        let mut ring = io_uring::IoUring::builder();
        match self {
            Self::UringDefer => ring.setup_single_issuer().setup_defer_taskrun(),
            Self::UringCoop => ring.setup_coop_taskrun(),
            Self::UringPlain => &mut ring,
            Self::Epoll => return None,
        };
        Some(ring)
    }

    /// The best rung the kernel grants now, with what each better one was refused for.
    #[must_use]
    pub fn best() -> (Self, Vec<(Self, io::Error)>) {
        let mut refused = Vec::new();
        for rung in Self::LADDER {
            match rung.try_out() {
                Ok(()) => return (rung, refused),
                Err(error) => refused.push((rung, error)),
            }
        }
        (Self::Epoll, refused)
    }

    /// Sets the rung's ring up once and lets it go.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn try_out(self) -> io::Result<()> {
        self.ring().map_or(Ok(()), |ring| ring.build(RING_ENTRIES).map(drop))
    }

    /// Builds this rung's runtime on the calling thread.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn runtime(self) -> io::Result<Engine> {
        match self.ring() {
            Some(ring) => RuntimeBuilder::<IoUringDriver>::new()
                .with_entries(RING_ENTRIES)
                .uring_builder(ring)
                .enable_timer()
                .build()
                .map(Engine::Uring),
            None => RuntimeBuilder::<LegacyDriver>::new().enable_timer().build().map(Engine::Epoll),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A runtime of either kind.
pub enum Engine {
    /// On a ring.
    Uring(Runtime<TimeDriver<IoUringDriver>>),
    /// On epoll.
    Epoll(Runtime<TimeDriver<LegacyDriver>>),
}

impl Engine {
    /// Runs the future, and what it spawns, to its end.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            Self::Uring(runtime) => runtime.block_on(future),
            Self::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoll_is_always_granted() {
        assert!(Driver::Epoll.try_out().is_ok());
    }

    #[test]
    fn the_best_rung_is_the_first_that_is_not_refused() {
        let (best, refused) = Driver::best();
        let position = Driver::LADDER.iter().position(|rung| *rung == best).unwrap();
        assert_eq!(refused.iter().map(|(rung, _)| *rung).collect::<Vec<_>>(), Driver::LADDER[..position]);
    }
}
