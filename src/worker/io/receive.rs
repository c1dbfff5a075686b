//! The receiving half of a connection that HTTP runs on: one receive at a time.
//!
//! On a ring a pending small receive holds no buffer: the kernel takes a provided one when bytes have come. A large
//! one is for a body that flows, and holds its buffer. Out of scope: where buffers come from (`buffer`, `runtime`).

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::epoll::{Receiving, Source};
use crate::worker::buffer::{Buffers, Class, Lease};
use crate::worker::runtime::{Descriptor, Operation, Outcome, Work};

/// What a receive brought.
#[derive(Debug)]
pub enum Received {
    /// Bytes, at least one.
    Data(Lease),
    /// The peer sends no more.
    End,
    /// The connection is broken.
    Broken,
}

impl From<Outcome> for Received {
    fn from(outcome: Outcome) -> Self {
        match (outcome.result, outcome.lease) {
            (Ok(0), _) => Self::End,
            (Ok(_), Some(lease)) => Self::Data(lease),
            (Ok(_), None) | (Err(_), _) => Self::Broken,
        }
    }
}

/// The receiving half: one operation that is armed again and again.
pub struct Receiver(Kind);

enum Kind {
    Ring { descriptor: Rc<Descriptor>, buffers: Buffers, pending: Option<Operation>, quiet: bool },
    Epoll(Receiving),
}

impl Receiver {
    pub(super) fn on_ring(descriptor: Rc<Descriptor>, buffers: &Buffers) -> Self {
        Self(Kind::Ring { descriptor, buffers: buffers.clone(), pending: None, quiet: false })
    }

    pub(super) fn on_epoll(source: Source, buffers: &Buffers) -> Self {
        Self(Kind::Epoll(Receiving::new(source, buffers)))
    }

    /// Polls the pending receive, arming one of the class first if none is pending.
    pub fn poll(&mut self, cx: &mut Context<'_>, class: Class) -> Poll<Received> {
        match &mut self.0 {
            Kind::Ring { descriptor, buffers, pending, quiet } => {
                let operation = pending.get_or_insert_with(|| {
                    descriptor.begin(match class {
                        Class::Small => Work::Receive { buffers: buffers.clone(), quiet: *quiet },
                        Class::Large | Class::Huge => Work::ReceiveInto(buffers.lease(class)),
                    })
                });
                Pin::new(operation).poll(cx).map(|outcome| {
                    *pending = None;
                    // What was left behind is there at once; otherwise the next bytes take a while.
                    *quiet = !outcome.more;
                    outcome.into()
                })
            }
            Kind::Epoll(receiving) => receiving.poll(cx, class),
        }
    }

    /// Whether the kernel may hold a buffer of this connection, or one that it filled waits to be taken.
    pub(super) fn is_pending(&self) -> bool {
        match &self.0 {
            Kind::Ring { pending, .. } => pending.is_some(),
            Kind::Epoll(receiving) => receiving.is_pending(),
        }
    }

    /// Waits for bytes.
    pub async fn receive(&mut self, class: Class) -> Received {
        poll_fn(|cx| self.poll(cx, class)).await
    }
}
