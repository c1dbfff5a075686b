//! The receiving half of a connection that HTTP runs on: one receive at a time, lent to the kernel with its
//! buffer.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use monoio::io::AsyncReadRent;

use super::turn::Turn;
use crate::limits::{SMALL_BUFFER_BYTES, TINY_BUFFER_BYTES};
use crate::worker::buffer::{Buffers, Class, Lease};

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

/// The receiving half: one operation that is armed again and again.
pub struct Receiver {
    slot: Rc<Slot>,
    operation: Pin<Box<dyn Future<Output = ()>>>,
    armed: bool,
    habit: Habit,
}

/// How large a buffer suits a peer, by what it sent last, so that a receive that may wait for long holds no
/// larger one than it will need: whoever has just filled a buffer gets what is asked for, any other a tiny one, or
/// a small one when its last burst filled more.
#[derive(Debug)]
struct Habit(Class);

impl Habit {
    fn class(&self, wanted: Class) -> Class {
        if self.0 == Class::Large { wanted } else { self.0 }
    }

    fn learn(&mut self, received: &Received) {
        let Received::Data(lease) = received else { return };
        let bytes = lease.bytes().len();
        self.0 = if bytes == lease.capacity() || bytes >= SMALL_BUFFER_BYTES {
            Class::Large
        } else if bytes > TINY_BUFFER_BYTES || self.0 == Class::Large {
            Class::Small
        } else {
            Class::Tiny
        };
    }
}

/// Between the receiver and its operation: what is wanted, and what came.
#[derive(Default)]
struct Slot {
    wanted: Cell<Option<Class>>,
    came: Cell<Option<Received>>,
}

impl Receiver {
    pub(super) fn new<R: AsyncReadRent + 'static>(half: R, buffers: &Buffers) -> Self {
        let slot = Rc::new(Slot::default());
        Self {
            operation: Box::pin(receive_on_demand(half, slot.clone(), buffers.clone())),
            slot,
            armed: false,
            habit: Habit(Class::Tiny),
        }
    }

    /// Polls the pending receive, arming one of the class at most first if none is pending.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>, class: Class) -> Poll<Received> {
        if !self.armed {
            self.slot.wanted.set(Some(self.habit.class(class)));
            self.armed = true;
        }
        if self.operation.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Received::Broken);
        }
        match self.slot.came.take() {
            Some(received) => {
                self.armed = false;
                self.habit.learn(&received);
                Poll::Ready(received)
            }
            None => Poll::Pending,
        }
    }

    /// What comes next is little, unless it flows already.
    pub fn expect_little(&mut self) {
        self.habit.0 = if self.habit.0 == Class::Large { Class::Large } else { Class::Tiny };
    }

    /// Whether the kernel may hold a buffer of this connection, or one that it filled waits to be taken.
    pub(super) fn is_pending(&self) -> bool {
        self.armed
    }

    /// Waits for bytes.
    pub fn receive(&mut self, class: Class) -> impl Future<Output = Received> {
        poll_fn(move |cx| self.poll(cx, class))
    }
}

/// Receives when asked; holds a buffer only while a receive is pending.
async fn receive_on_demand<R: AsyncReadRent>(mut half: R, slot: Rc<Slot>, buffers: Buffers) {
    let mut turn = Turn::default();
    loop {
        let class = poll_fn(|_| slot.wanted.take().map_or(Poll::Pending, Poll::Ready)).await;
        let (bytes, _, lease) = buffers.lease(class).lend();
        let (result, bytes) = turn.take(pin!(half.read(bytes))).await;
        let lease = lease.adopt(bytes);
        slot.came.set(Some(match result {
            Ok(0) => Received::End,
            Ok(_) => Received::Data(lease),
            Err(_) => Received::Broken,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(buffers: &Buffers, habit: &mut Habit, class: Class, bytes: usize) {
        let mut lease = buffers.lease(class);
        lease.append(&vec![0; bytes]);
        habit.learn(&Received::Data(lease));
    }

    #[test]
    fn a_peer_that_fills_its_buffer_gets_what_is_asked_for() {
        let (buffers, mut habit) = (Buffers::default(), Habit(Class::Tiny));
        assert_eq!(habit.class(Class::Large), Class::Tiny);
        after(&buffers, &mut habit, Class::Tiny, TINY_BUFFER_BYTES);
        assert_eq!(habit.class(Class::Large), Class::Large);
        assert_eq!(habit.class(Class::Small), Class::Small);
    }

    #[test]
    fn a_peer_waits_with_a_buffer_that_would_have_held_its_last_burst() {
        let (buffers, mut habit) = (Buffers::default(), Habit(Class::Tiny));
        after(&buffers, &mut habit, Class::Tiny, TINY_BUFFER_BYTES);
        after(&buffers, &mut habit, Class::Small, 100);
        assert_eq!(habit.class(Class::Large), Class::Small);
        after(&buffers, &mut habit, Class::Small, TINY_BUFFER_BYTES);
        assert_eq!(habit.class(Class::Large), Class::Tiny);
    }

    #[test]
    fn a_stream_of_large_pieces_keeps_flowing() {
        let (buffers, mut habit) = (Buffers::default(), Habit(Class::Large));
        after(&buffers, &mut habit, Class::Large, SMALL_BUFFER_BYTES);
        assert_eq!(habit.class(Class::Large), Class::Large);
    }
}
