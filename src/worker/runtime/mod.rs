//! What a worker runs on: an executor over one ring of the kernel, or, where io_uring is refused, monoio on epoll.
//!
//! In scope: tasks, timers, operations on sockets, and the one place that chooses between the two
//! (`Runtime`, `spawn`, `sleep`). Out of scope: connections and what is received on them (`io`), which rung a worker
//! is on (`driver`).

mod executor;
mod operation;
mod provided;
mod ring;
mod stream;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use monoio::LegacyDriver;
use monoio::time::TimeDriver;

pub(in crate::worker) use self::executor::Executor;
pub(in crate::worker) use self::operation::{Descriptor, Operation, Streaming};
pub(in crate::worker) use self::ring::{Group, Outcome, Ring, Sizes, Work};
pub(in crate::worker) use self::stream::Flow;
use self::tasks::TaskId;

/// What a worker runs on.
pub enum Runtime {
    /// A ring.
    Ring(&'static Executor),
    /// epoll.
    Epoll(Box<monoio::Runtime<TimeDriver<LegacyDriver>>>),
}

impl Runtime {
    /// How often its loop has turned, where that is counted.
    #[must_use]
    pub fn turns(&self) -> Option<&'static Cell<u64>> {
        match self {
            Self::Ring(executor) => Some(executor.turns()),
            Self::Epoll(_) => None,
        }
    }

    /// Runs the future to its end, and meanwhile what it spawns.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            Self::Ring(executor) => executor.block_on(future),
            Self::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

/// A spawned task's end, to be awaited.
pub enum JoinHandle {
    /// On a ring.
    Ring(&'static Executor, TaskId),
    /// On epoll.
    Epoll(monoio::task::JoinHandle<()>),
}

impl Future for JoinHandle {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.get_mut() {
            Self::Ring(executor, task) => executor.poll_ended(*task, cx),
            Self::Epoll(handle) => Pin::new(handle).poll(cx),
        }
    }
}

/// Runs the future as a task of this thread's runtime.
pub fn spawn(future: impl Future<Output = ()> + 'static) -> JoinHandle {
    match Executor::current() {
        Some(executor) => JoinHandle::Ring(executor, executor.spawn(Box::pin(future))),
        None => JoinHandle::Epoll(monoio::spawn(future)),
    }
}

/// Waits for as long, or a little longer.
pub async fn sleep(duration: Duration) {
    match Executor::current() {
        Some(executor) => executor.sleep(duration).await,
        None => monoio::time::sleep(duration).await,
    }
}
