//! The driver ladder: which kernel interface a worker runs on, chosen by us and said at start.
//!
//! SINGLE_ISSUER + DEFER_TASKRUN → COOP_TASKRUN → plain io_uring → epoll. Each rung is tried for real;
//! the first that the kernel grants is used, or exactly the one the user asked for. Never the runtime's own
//! silent fusion. Out of scope: what runs on it (`thread`).

use std::fmt;
use std::io;

use io_uring::IoUring;
use monoio::{LegacyDriver, RuntimeBuilder};

use crate::worker::runtime::{Executor, Ring, Runtime, Sizes};

/// One rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring with SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1).
    UringDefer,
    /// io_uring with COOP_TASKRUN (Linux 5.19).
    UringCoop,
    /// io_uring without flags (Linux 5.11).
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

    /// The rung's ring; `None` on epoll.
    fn set_up(self, sizes: Sizes) -> io::Result<Option<IoUring>> {
        let mut ring = IoUring::builder();
        match self {
            Self::UringDefer => ring.setup_single_issuer().setup_defer_taskrun(),
            Self::UringCoop => ring.setup_coop_taskrun(),
            Self::UringPlain => &mut ring,
            Self::Epoll => return Ok(None),
        };
        let ring = ring.dontfork().setup_cqsize(sizes.completions).build(sizes.submissions)?;
        Ring::check(&ring)?;
        Ok(Some(ring))
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
        self.set_up(Sizes::default()).map(drop)
    }

    /// Builds this rung's runtime on the calling thread.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn runtime(self) -> io::Result<Runtime> {
        self.runtime_of(Sizes::default())
    }

    /// As `runtime`, of these sizes.
    pub(in crate::worker) fn runtime_of(self, sizes: Sizes) -> io::Result<Runtime> {
        match self.set_up(sizes)? {
            Some(ring) => Ok(Runtime::Ring(Executor::new(Ring::new(ring, sizes.buffers)))),
            None => {
                let runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?;
                Ok(Runtime::Epoll(Box::new(runtime)))
            }
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
