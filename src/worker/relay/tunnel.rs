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
use crate::end::End;
use crate::limits::{DEADLINE_TICK_MS, TUNNEL_TURN_BYTES};
use crate::wall::addresses::Counted;
use crate::wall::slot::RowId;
use crate::worker::io::{Connection, Moved, Pipe, Sender, Socket, Turn};
use crate::worker::runtime;
use crate::worker::shard::account::{Kind, Tab, settle};
use crate::worker::shard::buffer::{Class, Lease};
use crate::worker::shard::deadline::Deadline;
use crate::worker::shard::{Presence, Shard};
use crate::worker::upstream::pool::Seat;

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
    pub seat: Seat,
    /// The account of what it began with.
    pub tab: Tab,
    /// The client connection's place among those of its address.
    pub counted: Option<Counted>,
    /// Its places among those of its tcp service.
    pub places: Vec<Counted>,
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
pub fn start(shard: &Rc<Shard>, mut ends: Ends, terms: Terms) {
    shard.meter.tunnel_opened();
    let mut tab = std::mem::take(&mut ends.tab);
    let row = tab.get().rows.service;
    let Some((tunnel, upward, downward)) = Tunnel::new(shard, ends, terms, row) else {
        tab.get().end = Some(End::ClientLeft);
        return settle(shard, &mut tab, Kind::Tunnel);
    };
    runtime::spawn(async move {
        let outcome = AssertUnwindSafe(pin!(tunnel.run(upward, downward))).catch_unwind().await;
        match outcome {
            Ok(outcome) => tunnel.over(&mut tab, outcome.err()),
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
    /// Bytes of the client that the service took, and the other way.
    delivered_bytes: [Cell<u64>; 2],
    /// Where the service is counted.
    row: RowId,
    deadline: Deadline,
    farewell: Option<Box<Farewell>>,
    _presence: Presence,
    _seat: Seat,
    _counted: Option<Counted>,
    _places: Vec<Counted>,
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

/// What one direction is made of; in a box, because each frame that it passes would keep room for it.
struct Way {
    early: Option<Lease>,
    sink: Sender,
}

/// What a turn of one direction came to.
enum Turned {
    /// Nothing more has come.
    Waits,
    /// These are to go to the other side.
    InHand(Lease),
    /// And these, which the other side did not take at once.
    Piped(Pipe),
    /// No more will come.
    Ended,
}

impl Side {
    fn new(socket: Socket) -> Self {
        Self { socket, stuck_since_ms: Cell::new(None), ended: Cell::new(false) }
    }
}

impl Tunnel {
    fn new(shard: &Rc<Shard>, ends: Ends, terms: Terms, row: RowId) -> Option<(Self, Box<Way>, Box<Way>)> {
        let Ends { down, up, early_down, early_up, seat, tab: _, counted, places } = ends;
        let (down, up) = (down.into_socket(), up.into_socket());
        let ((down, to_down), (up, to_up)) = (down?, up?);
        let opened_ms = shard.clock.now_ms();
        let tunnel = Self {
            sides: [Side::new(down), Side::new(up)],
            terms,
            opened_ms,
            moved_ms: Cell::new(opened_ms),
            delivered_bytes: Default::default(),
            row,
            deadline: shard.deadlines.register(),
            farewell: terms.websocket.then(Box::default),
            _presence: shard.enter_tunnel(),
            _seat: seat,
            _counted: counted,
            _places: places,
            shard: shard.clone(),
        };
        let upward = Way { early: early_down, sink: to_up };
        let downward = Way { early: early_up, sink: to_down };
        Some((tunnel, Box::new(upward), Box::new(downward)))
    }

    fn over(&self, tab: &mut Tab, end: Option<End>) {
        let account = tab.get();
        account.end = end;
        account.bytes_in += self.delivered_bytes[DOWN].get();
        account.bytes_out += self.delivered_bytes[UP].get();
        settle(&self.shard, tab, Kind::Tunnel);
    }

    /// Bytes from one side were taken by the other.
    fn delivered(&self, from: usize, bytes: usize) {
        let total = &self.delivered_bytes[from];
        total.set(total.get() + bytes as u64);
        self.shard.meter.tunnel_bytes(self.row, from == DOWN, bytes as u64);
    }

    /// Both directions to their end, or the first fault of either, or the end of its time.
    async fn run(&self, upward: Box<Way>, downward: Box<Way>) -> Result<(), End> {
        self.arm(self.time_left()?);
        let mut upward = pin!(self.carry(DOWN, upward));
        let mut downward = pin!(self.carry(UP, downward));
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

    /// Why the tunnel ends when this side breaks. The other is reset before anything else can close it: an end would
    /// tell its peer that it has had all there was.
    fn broken(&self, side: usize) -> End {
        self.sides[1 - side].socket.reset();
        if side == DOWN { End::ClientLeft } else { End::UpstreamLeft }
    }

    /// Carries what comes from one side to the other until it ends.
    async fn carry(&self, from: usize, mut way: Box<Way>) -> Result<(), End> {
        let Side { socket, stuck_since_ms, .. } = &self.sides[from];
        let mut pace = Turn::default();
        let mut class = Class::Small;
        let mut turned = way.early.take().map_or(Turned::Waits, |lease| self.noted(from, lease));
        loop {
            turned = match turned {
                Turned::Waits => {
                    pace.take(pin!(socket.readable())).await.map_err(|_| self.broken(from))?;
                    self.turn(from, &mut class)?
                }
                Turned::InHand(lease) => {
                    stuck_since_ms.set(Some(self.shard.clock.now_ms()));
                    let (sent, rest) = way.sink.send_some(lease).await.map_err(|_| self.broken(1 - from))?;
                    stuck_since_ms.set(None);
                    self.delivered(from, sent);
                    self.moved_ms.set(self.shard.clock.now_ms());
                    if rest.is_empty() { Turned::Waits } else { Turned::InHand(rest) }
                }
                Turned::Piped(pipe) => {
                    let sink = &self.sides[1 - from].socket;
                    stuck_since_ms.set(Some(self.shard.clock.now_ms()));
                    pace.take(pin!(sink.writable())).await.map_err(|_| self.broken(1 - from))?;
                    stuck_since_ms.set(None);
                    self.drain(from, pipe)?
                }
                Turned::Ended => {
                    way.sink.finish();
                    return Ok(());
                }
            };
        }
    }

    /// Takes what has come. Little of it is left to the ring to send, together with what other tunnels send; much
    /// goes on at once, as far as the other side takes it, but no more than others can wait for.
    fn turn(&self, from: usize, class: &mut Class) -> Result<Turned, End> {
        // Frames are to be seen, so a WebSocket's are not spliced.
        if *class == Class::Huge
            && self.farewell.is_none()
            && let Some(pipe) = self.shard.pipes.lease()
        {
            return self.turn_by_pipe(from, pipe, class);
        }
        let mut moved = 0;
        loop {
            let mut lease = self.shard.buffers.lease(*class);
            let more = match self.sides[from].socket.receive(&mut lease) {
                Moved::Some(bytes) => {
                    moved += bytes;
                    // A buffer that is not full held all there was: asking again would cost a call for nothing.
                    bytes == lease.capacity()
                }
                Moved::None => return Ok(Turned::Waits),
                Moved::End => return Ok(Turned::Ended),
                Moved::Broken => return Err(self.broken(from)),
            };
            self.moved_ms.set(self.shard.clock.now_ms());
            let was = std::mem::replace(class, Class::after(lease.bytes().len()));
            if let Turned::InHand(mut lease) = self.noted(from, lease) {
                if was == Class::Small {
                    return Ok(Turned::InHand(lease));
                }
                match self.sides[1 - from].socket.send(lease.bytes()) {
                    Moved::Some(bytes) => {
                        self.delivered(from, bytes);
                        lease.advance(bytes);
                    }
                    Moved::None => {}
                    Moved::End | Moved::Broken => return Err(self.broken(1 - from)),
                }
                if !lease.is_empty() {
                    lease.fit();
                    return Ok(Turned::InHand(lease));
                }
            }
            if !more || moved >= TUNNEL_TURN_BYTES {
                return Ok(Turned::Waits);
            }
        }
    }

    /// As `turn`, without bytes being copied here.
    fn turn_by_pipe(&self, from: usize, mut pipe: Pipe, class: &mut Class) -> Result<Turned, End> {
        match self.sides[from].socket.fill(&mut pipe) {
            Moved::Some(bytes) => *class = Class::after(bytes),
            Moved::None => return Ok(Turned::Waits),
            Moved::End => return Ok(Turned::Ended),
            Moved::Broken => return Err(self.broken(from)),
        }
        self.drain(from, pipe)
    }

    fn drain(&self, from: usize, mut pipe: Pipe) -> Result<Turned, End> {
        self.moved_ms.set(self.shard.clock.now_ms());
        match self.sides[1 - from].socket.drain(&mut pipe) {
            Moved::Some(bytes) => self.delivered(from, bytes),
            Moved::None => {}
            Moved::End | Moved::Broken => return Err(self.broken(1 - from)),
        }
        Ok(if pipe.is_empty() { Turned::Waits } else { Turned::Piped(pipe) })
    }

    /// What of received bytes is to go on.
    fn noted(&self, from: usize, mut lease: Lease) -> Turned {
        if let Some(farewell) = &self.farewell {
            farewell.follow(from, &mut lease);
        }
        if lease.is_empty() { Turned::Waits } else { Turned::InHand(lease) }
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
        self.deadline.arm_until_drain(left_ms.map_or(0, |left_ms| left_ms.saturating_sub(DEADLINE_TICK_MS).max(1)));
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
