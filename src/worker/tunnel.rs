//! A tunnel: opaque bytes both ways, after a valid `101` or for a tcp service, as a task of its own.
//!
//! It waits for readiness, so a tunnel on which nothing moves holds neither a buffer nor the session it came
//! from. Bytes go through a buffer of the core that is leased for as long as they are in hand: mostly between
//! one receive and the send right after it. Each direction ends on its own (half-close passes through); the
//! tunnel is over when both have, when either side breaks, or when its time is up (`Tunnel::time_left`). A
//! WebSocket is told goodbye when the gateway stops (`farewell`). Out of scope: what the bytes mean.

mod farewell;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::FutureExt;

use self::farewell::Farewell;
use super::buffer::{Class, Lease};
use super::deadline::Deadline;
use super::io::{Connection, Moved, Socket, Turn};
use super::runtime;
use super::shard::{Presence, Shard};
use super::upstream::pool::Seat;
use crate::end::End;
use crate::limits::{DEADLINE_TICK_MS, TUNNEL_TURN_BYTES};

/// The two ends of a tunnel to be.
pub struct Ends {
    /// The client's connection.
    pub down: Connection,
    /// The service's.
    pub up: Connection,
    /// What the client has sent already.
    pub early_down: Option<Lease>,
    /// What the service has sent already.
    pub early_up: Option<Lease>,
    /// The place in the pool that the service's connection holds.
    pub seat: Option<Seat>,
}

/// How long a tunnel may last; 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Without a byte either way, or with bytes that one side does not take.
    pub idle_ms: u64,
    /// In all.
    pub life_ms: u64,
    /// The bytes are WebSocket frames.
    pub websocket: bool,
}

impl Terms {
    /// A tcp service's.
    #[must_use]
    pub fn tcp(idle_ms: u32, life_ms: u32) -> Self {
        Self { idle_ms: u64::from(idle_ms), life_ms: u64::from(life_ms), websocket: false }
    }

    /// A WebSocket's.
    #[must_use]
    pub fn websocket(idle_ms: u32, life_ms: u32) -> Self {
        Self { idle_ms: u64::from(idle_ms), life_ms: u64::from(life_ms), websocket: true }
    }
}

/// Gives the tunnel a task of its own.
pub fn start(shard: &Rc<Shard>, ends: Ends, terms: Terms) {
    shard.meter.tunnel_opened();
    let Some((tunnel, early)) = Tunnel::new(shard, ends, terms) else {
        return shard.meter.tunnel(Err(End::ClientLeft));
    };
    runtime::spawn(async move {
        let outcome = AssertUnwindSafe(pin!(tunnel.run(early))).catch_unwind().await;
        match outcome {
            Ok(outcome) => tunnel.shard.meter.tunnel(outcome),
            Err(_) => tunnel.shard.meter.panic(),
        }
        tunnel.sides.iter().for_each(|side| side.socket.sever());
    });
}

struct Tunnel {
    shard: Rc<Shard>,
    /// The client, then the service.
    sides: [Side; 2],
    terms: Terms,
    opened_ms: u64,
    /// When a byte last moved.
    moved_ms: Cell<u64>,
    deadline: Deadline,
    farewell: Option<Box<Farewell>>,
    _presence: Presence,
    _seat: Option<Seat>,
}

const DOWN: usize = 0;
const UP: usize = 1;

/// One end, and what is known of the bytes that come from it.
struct Side {
    socket: Socket,
    /// Since when the other side does not take them.
    stuck_since_ms: Cell<Option<u64>>,
    /// No more will come, and the other side knows.
    ended: Cell<bool>,
}

/// What a turn of one direction came to.
enum Turned {
    /// Nothing more has come.
    Waits,
    /// The other side takes no more of these for now.
    Stuck(Lease),
    /// No more will come.
    Ended,
}

impl Side {
    fn new(socket: Socket) -> Self {
        Self { socket, stuck_since_ms: Cell::new(None), ended: Cell::new(false) }
    }
}

/// Why a tunnel ends when this side breaks.
fn broken(side: usize) -> End {
    if side == DOWN { End::ClientLeft } else { End::UpstreamLeft }
}

impl Tunnel {
    fn new(shard: &Rc<Shard>, ends: Ends, terms: Terms) -> Option<(Self, [Option<Lease>; 2])> {
        let Ends { down, up, early_down, early_up, seat } = ends;
        let (down, up) = (down.into_socket(), up.into_socket());
        let opened_ms = shard.clock.now_ms();
        let tunnel = Self {
            sides: [Side::new(down?), Side::new(up?)],
            terms,
            opened_ms,
            moved_ms: Cell::new(opened_ms),
            deadline: shard.deadlines.register(),
            farewell: terms.websocket.then(Box::default),
            _presence: shard.enter(),
            _seat: seat,
            shard: shard.clone(),
        };
        Some((tunnel, [early_down, early_up]))
    }

    /// Both directions to their end, or the first fault of either, or the end of its time.
    async fn run(&self, early: [Option<Lease>; 2]) -> Result<(), End> {
        self.arm(self.time_left()?);
        let [early_down, early_up] = early;
        let mut upward = pin!(self.carry(DOWN, early_down));
        let mut downward = pin!(self.carry(UP, early_up));
        poll_fn(|cx| {
            if let Poll::Ready(end) = self.poll_time(cx) {
                return Poll::Ready(Err(end));
            }
            self.poll_way(DOWN, upward.as_mut(), cx)?;
            self.poll_way(UP, downward.as_mut(), cx)?;
            if self.say_goodbye() {
                return Poll::Ready(Err(End::Drained));
            }
            if self.sides.iter().all(|side| side.ended.get()) { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    fn poll_way(
        &self,
        from: usize,
        way: Pin<&mut impl Future<Output = Result<(), End>>>,
        cx: &mut Context<'_>,
    ) -> Result<(), End> {
        let ended = &self.sides[from].ended;
        if !ended.get()
            && let Poll::Ready(outcome) = way.poll(cx)
        {
            ended.set(true);
            return outcome;
        }
        Ok(())
    }

    /// Carries what comes from one side to the other until it ends.
    async fn carry(&self, from: usize, early: Option<Lease>) -> Result<(), End> {
        let (source, sink) = (&self.sides[from].socket, &self.sides[1 - from].socket);
        let mut pace = Turn::default();
        let mut turned = match early {
            Some(lease) => self.pass_on(from, lease)?,
            None => Turned::Waits,
        };
        loop {
            turned = match turned {
                Turned::Waits => {
                    pace.take(pin!(source.readable())).await.map_err(|_| broken(from))?;
                    self.turn(from)?
                }
                Turned::Stuck(lease) => {
                    pace.take(pin!(sink.writable())).await.map_err(|_| broken(1 - from))?;
                    self.push(from, lease)?
                }
                Turned::Ended => {
                    sink.finish();
                    return Ok(());
                }
            };
        }
    }

    /// Moves what has come, as far as the other side takes it, but no more than others can wait for.
    fn turn(&self, from: usize) -> Result<Turned, End> {
        let mut moved = 0;
        loop {
            let mut lease = self.shard.buffers.lease(Class::Large);
            match self.sides[from].socket.receive(&mut lease) {
                Moved::Some(bytes) => {
                    moved += bytes;
                    // A buffer that is not full held all there was: asking again would cost a call for nothing.
                    let more = bytes == lease.capacity() && moved < TUNNEL_TURN_BYTES;
                    match self.pass_on(from, lease)? {
                        Turned::Waits if more => {}
                        turned => return Ok(turned),
                    }
                }
                Moved::None => return Ok(Turned::Waits),
                Moved::End => return Ok(Turned::Ended),
                Moved::Broken => return Err(broken(from)),
            }
        }
    }

    /// Passes bytes on that were just received.
    fn pass_on(&self, from: usize, mut lease: Lease) -> Result<Turned, End> {
        if let Some(farewell) = &self.farewell {
            farewell.follow(from, &mut lease);
        }
        self.push(from, lease)
    }

    fn push(&self, from: usize, mut lease: Lease) -> Result<Turned, End> {
        let now_ms = self.shard.clock.now_ms();
        self.moved_ms.set(now_ms);
        let stuck_since_ms = &self.sides[from].stuck_since_ms;
        if !lease.is_empty() {
            match self.sides[1 - from].socket.send(lease.bytes()) {
                Moved::Some(bytes) => {
                    lease.advance(bytes);
                    stuck_since_ms.set(None);
                }
                Moved::None => {}
                Moved::End | Moved::Broken => return Err(broken(1 - from)),
            }
        }
        if lease.is_empty() {
            return Ok(Turned::Waits);
        }
        if stuck_since_ms.get().is_none() {
            stuck_since_ms.set(Some(now_ms));
        }
        Ok(Turned::Stuck(self.shard.buffers.fitting(lease)))
    }

    /// Ready when the tunnel's time is up. Moving bytes arms nothing: the time left is worked out when the
    /// deadline fires, and only the start of a drain brings it forward.
    fn poll_time(&self, cx: &mut Context<'_>) -> Poll<End> {
        if self.shard.is_cut() {
            return Poll::Ready(End::Drained);
        }
        while self.deadline.poll(cx).is_ready() {
            match self.time_left() {
                Ok(left_ms) => self.arm(left_ms),
                Err(end) => return Poll::Ready(end),
            }
        }
        Poll::Pending
    }

    fn arm(&self, left_ms: Option<u64>) {
        // Arming adds a tick, and so did working out what is left.
        self.deadline.arm_idle(left_ms.map_or(0, |left_ms| left_ms.saturating_sub(DEADLINE_TICK_MS).max(1)));
    }

    /// How long until something may have to be done. The clock may be a tick behind what it is compared with.
    fn time_left(&self) -> Result<Option<u64>, End> {
        let now_ms = self.shard.clock.now_ms();
        let stuck_ms = self.sides.iter().filter_map(|side| side.stuck_since_ms.get()).min();
        let still_ms = stuck_ms.map_or(self.moved_ms.get(), |stuck_ms| stuck_ms.min(self.moved_ms.get()));
        let bounds =
            [(still_ms, self.terms.idle_ms, End::TunnelIdle), (self.opened_ms, self.terms.life_ms, End::TunnelExpired)];
        let mut least = None;
        for (since_ms, limit_ms, end) in bounds.into_iter().filter(|(_, limit_ms, _)| *limit_ms > 0) {
            let due_ms = since_ms + limit_ms + DEADLINE_TICK_MS;
            if due_ms <= now_ms {
                return Err(end);
            }
            least = sooner(least, Some(due_ms - now_ms));
        }
        let farewell_ms = self.farewell.as_ref().map(|farewell| farewell.time_left(&self.shard)).transpose()?;
        Ok(sooner(least, farewell_ms.flatten()))
    }

    /// Puts in the Close that is due, where a frame ends. True when both sides have answered.
    fn say_goodbye(&self) -> bool {
        let Some(farewell) = self.farewell.as_ref().filter(|farewell| farewell.is_due()) else { return false };
        for (from, side) in self.sides.iter().enumerate() {
            if side.stuck_since_ms.get().is_none() && !side.ended.get() {
                farewell.say(from, &self.sides[1 - from].socket);
            }
        }
        self.sides.iter().enumerate().all(|(from, side)| side.ended.get() || farewell.was_answered(from))
    }
}

fn sooner(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
