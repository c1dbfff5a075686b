//! The receiving half of a connection that HTTP runs on: one receive at a time, or a stream of them.
//!
//! On a ring a pending receive holds no buffer: the kernel takes a provided one when bytes have come. A body that flows
//! is taken into a large one, at once if it is there, else when the socket is readable. On epoll every receive brings its
//! own. A peer that sends little at a time is received from by a stream, where that is allowed (`Receiver::may_stream`).
//! Out of scope: where buffers come from (`buffer`, `runtime`).

use std::future::{Future, poll_fn};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Moved;
use super::epoll::{Receiving, Source};
use super::peek;
use super::receive_now;
use crate::limits::{CALM_BURSTS_MIN, FLOW_TURN_BYTES, SMALL_BUFFER_BYTES, TINY_BUFFER_BYTES};
use crate::worker::runtime::{Descriptor, Flow, Group, Operation, Outcome, Streaming, Work};
use crate::worker::shard::buffer::{Buffers, Class, Lease};

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
pub struct Receiver {
    kind: Kind,
    habit: Habit,
}

enum Kind {
    Ring(Ringed),
    Epoll(Box<Receiving>),
}

/// The receiving half on a ring.
struct Ringed {
    descriptor: Rc<Descriptor>,
    buffers: Buffers,
    pending: Pending,
    may_stream: bool,
    group: Group,
    /// The last receive left nothing behind.
    quiet: bool,
    /// The last receive left something behind: neither is known before the first.
    more: bool,
    /// Bytes of a body that flows, since others had their turn.
    turn_bytes: usize,
}

/// What is in the kernel's hands.
enum Pending {
    Nothing,
    Once(Operation),
    Stream(Streaming),
    /// A wait for bytes of a body that flows.
    Readable(Operation),
}

/// How large a buffer suits a peer, by what it sent last, so that a receive that may wait for long holds no
/// larger one than it will need: whoever has just filled a buffer gets what is asked for, any other a tiny one, or
/// a small one when its last burst filled more.
#[derive(Debug)]
struct Habit {
    class: Class,
    /// Bursts in a row that filled no buffer.
    calm: u8,
}

impl Habit {
    /// Of a peer that has sent nothing yet, as most do: little.
    const fn new() -> Self {
        Self { class: Class::Tiny, calm: CALM_BURSTS_MIN }
    }

    fn class(&self, wanted: Class) -> Class {
        if self.class == Class::Large { wanted } else { self.class }
    }

    /// Whether a stream suits the peer: it brings what comes in small pieces, so whoever sends much now and then is
    /// asked each time.
    fn sends_little(&self) -> bool {
        self.calm >= CALM_BURSTS_MIN
    }

    fn learn(&mut self, received: &Received) {
        let Received::Data(lease) = received else { return };
        let bytes = lease.bytes().len();
        self.calm = self.calm.saturating_add(1);
        self.class = if bytes == lease.capacity() || bytes >= SMALL_BUFFER_BYTES {
            self.calm = 0;
            Class::Large
        } else if bytes > TINY_BUFFER_BYTES || self.class == Class::Large {
            Class::Small
        } else {
            Class::Tiny
        };
    }
}

impl Receiver {
    pub(super) fn on_ring(descriptor: Rc<Descriptor>, buffers: &Buffers) -> Self {
        let ringed = Ringed {
            descriptor,
            buffers: buffers.clone(),
            pending: Pending::Nothing,
            may_stream: false,
            group: Group::Small,
            quiet: false,
            more: false,
            turn_bytes: 0,
        };
        Self { kind: Kind::Ring(ringed), habit: Habit::new() }
    }

    pub(super) fn on_epoll(source: Source, buffers: &Buffers) -> Self {
        let kind = Kind::Epoll(Box::new(Receiving::new(source, buffers)));
        Self { kind, habit: Habit::new() }
    }

    /// Polls the pending receive, arming one of the class at most first if none is pending.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>, class: Class) -> Poll<Received> {
        let class = self.habit.class(class);
        let received = match &mut self.kind {
            Kind::Ring(ringed) => ringed.poll(cx, class, self.habit.sends_little()),
            Kind::Epoll(receiving) => receiving.poll(cx, class),
        };
        if let Poll::Ready(received) = &received {
            self.habit.learn(received);
        }
        received
    }

    /// What comes next is little, unless it flows already.
    pub fn expect_little(&mut self) {
        self.habit.class = if self.habit.class == Class::Large { Class::Large } else { Class::Tiny };
    }

    /// From now on a peer that sends little at a time is received from without being asked each time. So a receive is
    /// always pending, and must be ended (`settle`) before the connection is used in another way.
    pub fn may_stream(&mut self) {
        if let Kind::Ring(ringed) = &mut self.kind {
            ringed.may_stream = true;
        }
    }

    /// The peer is one of few, and mostly sends more than a head.
    pub fn expect_answers(&mut self) {
        if let Kind::Ring(ringed) = &mut self.kind {
            ringed.group = Group::Roomy;
        }
    }

    /// Whether nothing has come, neither bytes nor an end. From now on a receive is pending, which will see either.
    pub fn is_quiet(&mut self) -> bool {
        let nothing_left = match &self.kind {
            Kind::Ring(ringed) => ringed.left_nothing(),
            Kind::Epoll(_) => true,
        };
        nothing_left && self.poll(&mut Context::from_waker(Waker::noop()), Class::Small).is_pending()
    }

    /// Whether the last receive left bytes behind, so that another waits for nothing. On epoll it is likely: the buffer was
    /// filled.
    #[must_use]
    pub fn has_more(&self) -> bool {
        match &self.kind {
            Kind::Ring(ringed) => ringed.more,
            Kind::Epoll(receiving) => receiving.has_more(),
        }
    }

    /// Ends a stream of receives, and says what it had brought that was not taken. One receive that was asked for is
    /// left alone.
    pub async fn settle(&mut self) -> Option<Lease> {
        let Kind::Ring(Ringed { pending, may_stream, .. }) = &mut self.kind else { return None };
        *may_stream = false;
        let mut came: Option<Lease> = None;
        while let Pending::Stream(stream) = pending {
            stream.stop();
            match poll_fn(|cx| stream.poll(cx)).await {
                Flow::Data(lease, _) => match &mut came {
                    Some(before) => before.append(lease.bytes()),
                    None => came = Some(lease),
                },
                // What has ended says so again to whoever asks next.
                Flow::End | Flow::Stopped | Flow::Broken => *pending = Pending::Nothing,
            }
        }
        came
    }

    /// Whether the kernel may hold a buffer of this connection, or one that it filled waits to be taken.
    pub(super) fn is_pending(&self) -> bool {
        match &self.kind {
            Kind::Ring(ringed) => !matches!(ringed.pending, Pending::Nothing | Pending::Readable(_)),
            Kind::Epoll(receiving) => receiving.is_pending(),
        }
    }

    /// Waits for bytes.
    pub fn receive(&mut self, class: Class) -> impl Future<Output = Received> {
        poll_fn(move |cx| self.poll(cx, class))
    }
}

impl Ringed {
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>, class: Class, sends_little: bool) -> Poll<Received> {
        loop {
            match &mut self.pending {
                Pending::Nothing if class >= Class::Large => {
                    if let Some(received) = self.receive_now(class) {
                        return Poll::Ready(received);
                    }
                }
                Pending::Nothing => self.begin(sends_little),
                Pending::Readable(operation) => {
                    let Poll::Ready(outcome) = Pin::new(operation).poll(cx) else { return Poll::Pending };
                    self.pending = Pending::Nothing;
                    self.turn_bytes = 0;
                    if outcome.result.is_err() {
                        return Poll::Ready(Received::Broken);
                    }
                }
                Pending::Once(operation) => {
                    let Poll::Ready(outcome) = Pin::new(operation).poll(cx) else { return Poll::Pending };
                    self.pending = Pending::Nothing;
                    self.left(outcome.more);
                    return Poll::Ready(outcome.into());
                }
                Pending::Stream(stream) => {
                    let Poll::Ready(flow) = stream.poll(cx) else { return Poll::Pending };
                    if let Flow::Data(lease, more) = flow {
                        self.left(more);
                        return Poll::Ready(Received::Data(lease));
                    }
                    self.pending = Pending::Nothing;
                    self.quiet = false;
                    match flow {
                        Flow::End => return Poll::Ready(Received::End),
                        Flow::Broken => return Poll::Ready(Received::Broken),
                        Flow::Stopped | Flow::Data(..) => {}
                    }
                }
            }
        }
    }

    /// Whether the kernel has nothing more than was received. A receive that is begun now says so only after this turn.
    fn left_nothing(&self) -> bool {
        match self.pending {
            Pending::Nothing | Pending::Readable(_) => matches!(peek(self.descriptor.as_fd()), Moved::None),
            Pending::Stream(_) => !self.more,
            Pending::Once(_) => true,
        }
    }

    /// What was left behind is there at once; otherwise the next bytes take a while.
    fn left(&mut self, more: bool) {
        (self.more, self.quiet) = (more, !more);
    }

    /// Asks the kernel for what comes.
    fn begin(&mut self, sends_little: bool) {
        let Self { descriptor, buffers, group, quiet, .. } = self;
        let stream = if self.may_stream && sends_little { descriptor.stream(buffers, *group) } else { None };
        self.pending = match stream {
            Some(stream) => Pending::Stream(stream),
            None => {
                let work = Work::Receive { buffers: buffers.clone(), quiet: *quiet, group: *group };
                Pending::Once(descriptor.begin(work))
            }
        };
    }

    /// Takes what has come of a body that flows, so that it is sent on before the next connection's has driven it out of
    /// the cache; what the ring receives it receives of all connections first. `None` where there is nothing, or others
    /// are to have their turn: then it is waited for.
    fn receive_now(&mut self, class: Class) -> Option<Received> {
        if self.turn_bytes < FLOW_TURN_BYTES {
            let mut lease = self.buffers.lease(class);
            match receive_now(self.descriptor.as_fd(), &mut lease) {
                Moved::Some(bytes) => {
                    self.turn_bytes += bytes;
                    self.left(bytes == lease.capacity());
                    return Some(Received::Data(lease));
                }
                Moved::End => return Some(Received::End),
                Moved::Broken => return Some(Received::Broken),
                Moved::None => {}
            }
        }
        self.pending = Pending::Readable(self.descriptor.begin(Work::Readable));
        None
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
        let (buffers, mut habit) = (Buffers::default(), Habit::new());
        assert_eq!(habit.class(Class::Large), Class::Tiny);
        after(&buffers, &mut habit, Class::Tiny, TINY_BUFFER_BYTES);
        assert_eq!(habit.class(Class::Large), Class::Large);
        assert_eq!(habit.class(Class::Small), Class::Small);
    }

    #[test]
    fn a_peer_waits_with_a_buffer_that_would_have_held_its_last_burst() {
        let (buffers, mut habit) = (Buffers::default(), Habit::new());
        after(&buffers, &mut habit, Class::Tiny, TINY_BUFFER_BYTES);
        after(&buffers, &mut habit, Class::Small, 100);
        assert_eq!(habit.class(Class::Large), Class::Small);
        after(&buffers, &mut habit, Class::Small, TINY_BUFFER_BYTES);
        assert_eq!(habit.class(Class::Large), Class::Tiny);
    }

    #[test]
    fn who_sends_much_now_and_then_is_asked_each_time() {
        let (buffers, mut habit) = (Buffers::default(), Habit::new());
        assert!(habit.sends_little());
        for burst in [SMALL_BUFFER_BYTES, 100, 100] {
            after(&buffers, &mut habit, Class::Small, burst);
            assert!(!habit.sends_little());
        }
        (2..CALM_BURSTS_MIN).for_each(|_| after(&buffers, &mut habit, Class::Small, 100));
        assert!(habit.sends_little());
    }

    #[test]
    fn a_stream_of_large_pieces_keeps_flowing() {
        let (buffers, mut habit) = (Buffers::default(), Habit { class: Class::Large, calm: 0 });
        after(&buffers, &mut habit, Class::Large, SMALL_BUFFER_BYTES);
        assert_eq!(habit.class(Class::Large), Class::Large);
    }
}
