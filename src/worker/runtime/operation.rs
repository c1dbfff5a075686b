//! A socket on a ring, and an operation on it as a future.
//!
//! The descriptor is closed when its last owner is gone, and every operation is one until its completion: it is never
//! reused under an operation that is in the kernel's hands. An operation that is dropped is cancelled; what the kernel
//! holds of it lives until it says that it is done. Out of scope: what the results mean (`io`).

use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::executor::Executor;
use super::ring::{Group, Outcome, Work};
use super::stream::{Flow, Stream};
use crate::worker::shard::buffer::Buffers;

/// An operation's number.
pub(super) type Key = u32;

/// An open socket.
pub(in crate::worker) struct Descriptor {
    fd: OwnedFd,
    executor: &'static Executor,
}

impl Descriptor {
    /// The socket, on the executor that runs here.
    pub(in crate::worker) fn new(fd: OwnedFd, executor: &'static Executor) -> Rc<Self> {
        Rc::new(Self { fd, executor })
    }

    /// Begins an operation on the socket.
    pub(in crate::worker) fn begin(self: &Rc<Self>, work: Work) -> Operation {
        let key = self.executor.begin(self, work);
        Operation { executor: self.executor, key: Some(key) }
    }

    /// Begins a stream of receives. `None` where the kernel knows none.
    pub(in crate::worker) fn stream(self: &Rc<Self>, buffers: &Buffers, group: Group) -> Option<Streaming> {
        let known = self.executor.streams();
        known.then(|| Streaming(self.begin(Work::Stream(Stream::new(buffers.clone(), group)))))
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An operation in the kernel's hands, or one whose outcome was not taken yet.
pub(in crate::worker) struct Operation {
    executor: &'static Executor,
    key: Option<Key>,
}

/// A stream of receives in the kernel's hands, or one whose end was not seen yet.
pub(in crate::worker) struct Streaming(Operation);

impl Streaming {
    /// What it brought, or its end; it is not to be asked again after that.
    pub(in crate::worker) fn poll(&mut self, cx: &Context<'_>) -> Poll<Flow> {
        let key = self.0.key.expect("the end of a stream is seen once");
        let polled = self.0.executor.poll_stream(key, cx);
        if polled.is_ready() && !matches!(polled, Poll::Ready(Flow::Data(..))) {
            self.0.key = None;
        }
        polled
    }

    /// It is to end: brings what has come by then, and then its end.
    pub(in crate::worker) fn stop(&self) {
        if let Some(key) = self.0.key {
            self.0.executor.stop(key);
        }
    }
}

impl Future for Operation {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let key = self.key.expect("an outcome is taken once");
        let polled = self.executor.poll_operation(key, cx);
        if polled.is_ready() {
            self.key = None;
        }
        polled
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.executor.abandon(key);
        }
    }
}
