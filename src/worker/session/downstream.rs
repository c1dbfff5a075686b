//! The client's side of a session: its connection, what it sent that is not consumed yet, its deadlines.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::end::End;
use crate::wall::addresses::Counted;
use crate::worker::io::{Connection, Received, Receiver, Sender};
use crate::worker::policy::concurrency::Turn;
use crate::worker::policy::dressing::Dressing;
use crate::worker::relay::tunnel;
use crate::worker::shard::Shard;
use crate::worker::shard::account::Tab;
use crate::worker::shard::buffer::{Class, Lease};
use crate::worker::shard::deadline::{Deadline, Deadlines};
use crate::worker::upstream::pool::Seat;

/// A client connection that was let in.
pub struct Caller {
    /// The connection.
    pub connection: Connection,
    /// The socket's peer.
    pub peer: SocketAddr,
    /// Its place among those of its address.
    pub counted: Option<Counted>,
}

/// The client's side of a session.
pub struct Downstream {
    /// What it sends.
    pub source: Source,
    /// What it is sent.
    pub tx: Sender,
    /// For waits on what goes to it, and on the upstream on its behalf.
    pub writing: Deadline,
    /// For the whole of a request, where its service bounds that.
    pub whole: Option<Deadline>,
    /// For one attempt, where the service's rules of retries bound that.
    pub attempt: Option<Deadline>,
    /// The place of the request in hand, where its service bounds how many are under way.
    pub turn: Option<Turn>,
    /// Who it is: the socket's peer, or whom a trusted proxy's PROXY header names.
    pub peer: Peer,
    /// What its answer is dressed with.
    pub dressing: Dressing,
    /// The account of the request in hand.
    pub tab: Tab,
    /// The connection's place among those of its address.
    pub counted: Option<Counted>,
    /// Its places among those of its tcp service.
    pub places: Vec<Counted>,
    /// The other end of the tunnel that the connection becomes.
    pub switched: Option<Box<Switched>>,
}

/// The service's end of a tunnel to be.
pub struct Switched {
    /// The connection.
    pub connection: Connection,
    /// Its place in the pool.
    pub seat: Seat,
    /// What it sent after its head.
    pub early: Option<Lease>,
    /// How long the tunnel may last.
    pub terms: tunnel::Terms,
}

/// What a client sends.
pub struct Source {
    rx: Receiver,
    /// Bytes received that no account has yet, `carried` among them.
    unaccounted_bytes: u64,
    /// Bytes received and not consumed yet.
    pub carried: Option<Lease>,
    /// It sends no more.
    pub ended: bool,
    /// No more are received for now. Either the bytes of the request in hand reach into the next one: what a
    /// pipelining client sends would pile up, a buffer for every request it is served. Or the request asks to
    /// become a tunnel: what comes next is not HTTP if the service agrees.
    pub ahead: bool,
    /// For waits on it.
    pub reading: Deadline,
}

/// A peer's address, with its text, which every forwarded request needs.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The address, IPv4 where it is IPv4-mapped.
    pub address: IpAddr,
    text: [u8; 46],
    length: u8,
}

impl Peer {
    /// The peer with this address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        let mut text = [0; 46];
        let mut rest = &mut text[..];
        // 46 bytes hold the longest text of an IPv6 address (RFC 4291 section 2.2).
        let _ = write!(rest, "{address}");
        let length = u8::try_from(46 - rest.len()).unwrap_or(46);
        Self { address, text, length }
    }

    /// The client that it brings: mostly itself, whose text is made once for a connection.
    #[must_use]
    pub fn behind(&self, client: IpAddr) -> Self {
        if client == self.address { *self } else { Self::new(client) }
    }

    /// The address as text.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

impl Downstream {
    /// The client behind a fresh connection.
    #[must_use]
    pub fn new(caller: Caller, deadlines: &Rc<Deadlines>) -> Self {
        let Caller { connection: Connection { rx, tx }, peer, counted } = caller;
        let source = Source {
            rx,
            unaccounted_bytes: 0,
            carried: None,
            ended: false,
            ahead: false,
            reading: deadlines.register(),
        };
        let (writing, peer) = (deadlines.register(), Peer::new(peer.ip().to_canonical()));
        let (dressing, tab, places) = (Dressing::default(), Tab::default(), Vec::new());
        let (whole, attempt, turn) = (None, None, None);
        Self { source, tx, writing, whole, attempt, turn, peer, dressing, tab, counted, places, switched: None }
    }

    /// The request in hand must be over within this, from the first time that is said; 0 is no limit.
    #[inline]
    pub fn bound_whole(&mut self, shard: &Shard, ms: u64) {
        if ms > 0 && self.whole.is_none() {
            let whole = shard.deadlines.register();
            whole.arm(ms);
            self.whole = Some(whole);
        }
    }

    /// The attempt that begins must bring the head of an answer within this; 0 is no limit.
    pub fn bound_attempt(&mut self, shard: &Shard, ms: u64) {
        if ms > 0 {
            self.attempt.get_or_insert_with(|| shard.deadlines.register()).arm(ms);
        }
    }

    /// This timeout, 0 for none, or what is left of the whole request if that is less.
    #[must_use]
    pub fn what_is_left(&self, timeout_ms: u64) -> u64 {
        [&self.whole, &self.attempt].into_iter().flatten().fold(timeout_ms, |left_ms, bound| bound.shorter(left_ms))
    }

    /// Writes down what went over the connection since the last time.
    pub fn account_bytes(&mut self) {
        let account = self.tab.get();
        account.bytes_in += self.source.take_consumed();
        account.bytes_out += self.tx.take_sent();
    }

    /// Ends what is received without being asked on both sides of the tunnel to be; what has come goes with it.
    pub async fn settle(&mut self) {
        if let Some(more) = self.source.rx.settle().await {
            self.source.add(more);
        }
        let Some(switched) = &mut self.switched else { return };
        if let Some(more) = switched.connection.rx.settle().await {
            match &mut switched.early {
                Some(early) => early.append(more.bytes()),
                None => switched.early = Some(more),
            }
        }
    }

    /// Becomes the tunnel that was agreed on.
    pub fn become_tunnel(self, shard: &Rc<Shard>) {
        let Self { source, tx, tab, counted, places, switched, .. } = self;
        let Some(switched) = switched else { return };
        let Switched { connection, seat, early, terms } = *switched;
        let down = Connection { rx: source.rx, tx };
        let (early_down, early_up) = (source.carried, early);
        let ends = tunnel::Ends { down, up: connection, early_down, early_up, seat, tab, counted, places };
        tunnel::start(shard, ends, terms);
    }
}

/// What comes of it, unless the gateway ends before, or the request's time or that of its attempt is over.
///
/// # Errors
/// `End::Drained`, `End::RequestTimeout`, `End::AttemptTimeout`, and its own.
pub async fn in_time<T>(
    shard: &Shard,
    (whole, attempt): (Option<&Deadline>, Option<&Deadline>),
    mut work: Pin<&mut impl Future<Output = Result<T, End>>>,
) -> Result<T, End> {
    let is_due = |bound: Option<&Deadline>, cx: &mut Context<'_>| bound.is_some_and(|bound| bound.poll(cx).is_ready());
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(done),
        Poll::Pending if shard.is_cut() => Poll::Ready(Err(End::Drained)),
        Poll::Pending if is_due(whole, cx) => Poll::Ready(Err(End::RequestTimeout)),
        Poll::Pending if is_due(attempt, cx) => Poll::Ready(Err(End::AttemptTimeout)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

impl Source {
    /// What comes of it, unless the client leaves before; a client that sends no more has the grace.
    ///
    /// # Errors
    /// `End::ClientLeft`, and its own.
    pub async fn while_there<T>(
        &mut self,
        grace_ms: u64,
        mut work: Pin<&mut impl Future<Output = Result<T, End>>>,
    ) -> Result<T, End> {
        let unmoving = Cell::new(0);
        let mut watch = pin!(self.watch(grace_ms, &unmoving));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => watch.as_mut().poll(cx).map(Err),
        })
        .await
    }

    /// The next bytes: those carried, else received.
    pub async fn next(&mut self, class: Class) -> Received {
        match self.carried.take() {
            Some(lease) => Received::Data(lease),
            None if self.ended => Received::End,
            None => {
                let received = self.rx.receive(class).await;
                self.count(&received);
                received
            }
        }
    }

    fn count(&mut self, received: &Received) {
        if let Received::Data(lease) = received {
            self.unaccounted_bytes += lease.bytes().len() as u64;
        }
    }

    /// Bytes consumed since the last time this was asked.
    pub fn take_consumed(&mut self) -> u64 {
        let ahead = self.carried.as_ref().map_or(0, |lease| lease.bytes().len() as u64);
        std::mem::replace(&mut self.unaccounted_bytes, ahead).saturating_sub(ahead)
    }

    /// As `next`, within a deadline that is armed already; `None` when it fires.
    pub async fn next_in_time(&mut self, class: Class) -> Option<Received> {
        match self.carried.take() {
            Some(lease) => Some(Received::Data(lease)),
            None if self.ended => Some(Received::End),
            None => {
                let Self { rx, reading, .. } = self;
                let received = reading.bound(pin!(rx.receive(class))).await;
                if let Some(received) = &received {
                    self.count(received);
                }
                received
            }
        }
    }

    /// Whether more of what it sends is here already.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.carried.is_none() && self.rx.has_more()
    }

    /// What comes next is little, unless it flows already.
    pub fn expect_little(&mut self) {
        self.rx.expect_little();
    }

    /// A client that sends little at a time is received from without being asked each time.
    pub fn may_stream(&mut self) {
        self.rx.may_stream();
    }

    /// Carries bytes that came after those carried already.
    fn add(&mut self, more: Lease) {
        match &mut self.carried {
            Some(carried) => carried.append(more.bytes()),
            None => self.carried = Some(more),
        }
    }

    /// Puts bytes back that belong to the next request, before any that came later.
    pub fn put_back(&mut self, mut lease: Lease) {
        if lease.is_empty() {
            return;
        }
        if let Some(later) = self.carried.take() {
            lease.append(later.bytes());
        }
        self.carried = Some(lease);
    }

    /// Watches a client that waits for its answer: ends when it has left. What it sends meanwhile is
    /// carried, one buffer at most. A client that closed its sending half may still read: it is served as
    /// long as `progress` grows within the grace.
    pub async fn watch(&mut self, grace_ms: u64, progress: &Cell<u64>) -> End {
        while self.carried.is_none() && !self.ended && !self.ahead {
            let received = self.rx.receive(Class::Tiny).await;
            self.count(&received);
            match received {
                Received::Data(lease) => self.carried = Some(lease),
                Received::End => self.ended = true,
                Received::Broken => return End::ClientLeft,
            }
        }
        if !self.ended {
            return pending().await;
        }
        loop {
            let seen = progress.get();
            self.reading.arm(grace_ms.max(1));
            poll_fn(|cx| self.reading.poll(cx)).await;
            if progress.get() == seen {
                return End::ClientLeft;
            }
        }
    }
}
