//! The pool of one endpoint on one core: a bound on how many connections are open, a queue first in first out, and idle
//! connections last in first out, on a shelf that it shares with the pools of other services at the same address.
//!
//! Last in first out keeps few connections hot and lets the rest expire. The bound is this core's share
//! of the endpoint's `connections_max`; a client over it waits its turn, so that ten thousand clients use
//! a few hundred upstream connections and run out of neither descriptors nor ports. An exchange that turns
//! out slow (a stream) is moved from the bound to a share of its own, so that streams cannot starve requests.
//! Each idle connection keeps one receive pending: a close is seen before reuse, and the same receive
//! becomes the next response's first. Out of scope: the shelf (`shelf`), dialling (`connect`), choosing the endpoint.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::shelf::{Idle, Shelf};
use crate::end::End;
use crate::limits::QUEUE_AT_EASE;
use crate::wall::loads::{Gauge, Load};
use crate::wall::slot::RowId;
use crate::worker::balance::standing::Standing;
use crate::worker::io::Connection;
use crate::worker::shard::deadline::Deadline;
use crate::worker::shard::meter::PoolMeter;

/// This core's share of an endpoint's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Open connections, idle ones included.
    pub connections: u32,
    /// Further ones for slow exchanges.
    pub slow: u32,
    /// Idle ones kept.
    pub idle: u32,
    /// How long an idle one is kept; 0 is for ever.
    pub idle_timeout_ms: u32,
    /// Waiting requests.
    pub queue: u32,
    /// How long one waits.
    pub queue_timeout_ms: u32,
}

/// The pool of one endpoint on one core. In this order, so that a request with a kept connection touches the first two or
/// three cache lines of it: with thousands of services each of them comes from far.
#[repr(C)]
pub struct Pool {
    bounds: Cell<Bounds>,
    /// Where its requests are counted for all workers, if they are.
    gauge: Cell<Option<&'static Gauge>>,
    shelf: Rc<Shelf>,
    meter: PoolMeter,
    state: RefCell<State>,
    /// What this core has learned of the endpoint.
    pub standing: Standing,
}

#[derive(Default)]
#[repr(C)]
struct State {
    /// How many on the shelf count here.
    idle: u32,
    /// Connections under the bound: idle, in use and being dialled.
    open: u32,
    slow: u32,
    waiting: Slab<Waiting>,
    queue: VecDeque<(usize, u64)>,
    turn: u64,
}

struct Waiting {
    turn: u64,
    /// Until it has a seat, which counts in its place.
    load: Option<Load>,
    waker: Option<Waker>,
    grant: Option<Grant>,
}

/// What a request gets from the pool.
pub enum Grant {
    /// A kept connection, checked a moment ago.
    Kept(Kept),
    /// Leave to dial one.
    Dial(Seat),
}

/// A kept connection in use.
pub struct Kept {
    /// The connection.
    pub connection: Connection,
    /// Its place under the bound.
    pub seat: Seat,
}

/// A place under the pool's bound. Dropping it gives the place to the next in the queue.
pub struct Seat {
    pool: Rc<Pool>,
    share: Share,
    /// Counts the request for as long as it has the connection.
    _load: Option<Load>,
}

/// Which bound a seat counts under.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    Quick,
    Slow,
    /// The seat was given back with its connection.
    Returned,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(bounds: Bounds, shelf: Rc<Shelf>, meter: PoolMeter) -> Rc<Self> {
        Rc::new(Self {
            bounds: Cell::new(bounds),
            gauge: Cell::new(None),
            shelf,
            meter,
            state: RefCell::default(),
            standing: Standing::default(),
        })
    }

    /// Requests are counted there for all workers from now on, or nowhere.
    pub fn count_in(&self, gauge: Option<&'static Gauge>) {
        self.gauge.set(gauge);
    }

    /// How many requests all workers have in hand for the endpoint, where they are counted.
    #[must_use]
    pub fn load(&self) -> u32 {
        self.gauge.get().map_or(0, Gauge::now)
    }

    fn loaded(&self) -> Option<Load> {
        self.gauge.get().map(Gauge::take)
    }

    /// Where the endpoint is counted.
    #[must_use]
    pub fn row_id(&self) -> RowId {
        self.meter.row_id()
    }

    /// New bounds; connections over them go as they are given back, and room they make is the queue's.
    pub fn rebound(self: &Rc<Self>, bounds: Bounds) {
        self.bounds.set(bounds);
        while self.state.borrow().open < bounds.connections && self.grant_next(|pool| Some(Grant::Dial(pool.seat()))) {
            self.state.borrow_mut().open += 1;
        }
    }

    /// A kept connection, leave to dial, or a turn in the queue.
    ///
    /// # Errors
    /// `End::QueueFull`, `End::QueueTimeout`.
    pub async fn acquire(self: &Rc<Self>, deadline: &Deadline) -> Result<Grant, End> {
        match self.try_acquire(deadline.now_ms()) {
            Some(grant) => Ok(grant),
            None => self.wait(deadline).await,
        }
    }

    /// As `acquire`, without waiting.
    pub fn try_acquire(self: &Rc<Self>, now_ms: u64) -> Option<Grant> {
        if let Some(kept) = self.take_kept(now_ms) {
            return Some(Grant::Kept(kept));
        }
        let mut state = self.state.borrow_mut();
        (state.open < self.bounds.get().connections).then(|| {
            state.open += 1;
            self.meter.miss();
            Grant::Dial(self.seat())
        })
    }

    /// A kept connection, where there is one.
    pub fn take_kept(self: &Rc<Self>, now_ms: u64) -> Option<Kept> {
        while let Some(mut idle) = self.shelf.take(self, !self.is_full()) {
            let usable = idle.is_quiet() && idle.until_ms > now_ms;
            idle.owner.left();
            if usable {
                self.meter.hit();
                self.state.borrow_mut().open += 1;
                return Some(Kept { connection: idle.connection, seat: self.seat() });
            }
            self.meter.stale();
            idle.connection.tx.sever();
        }
        None
    }

    /// One of its idle connections is gone, or goes to another pool or to use.
    pub(super) fn left(&self) {
        let mut state = self.state.borrow_mut();
        state.idle -= 1;
        state.open -= 1;
        self.meter.idle(-1);
    }

    /// Whether there is no leave to dial another connection.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.state.borrow().open >= self.bounds.get().connections
    }

    /// Whether so many wait that each should hold little.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.state.borrow().waiting.len() > QUEUE_AT_EASE
    }

    fn seat(self: &Rc<Self>) -> Seat {
        self.meter.busy(1);
        Seat { pool: self.clone(), share: Share::Quick, _load: self.loaded() }
    }

    async fn wait(self: &Rc<Self>, deadline: &Deadline) -> Result<Grant, End> {
        let bounds = self.bounds.get();
        let place = Place::take(self, bounds.queue).ok_or(End::QueueFull)?;
        deadline.arm(u64::from(bounds.queue_timeout_ms));
        let granted = deadline.bound(pin!(poll_fn(|cx| place.poll(cx)))).await;
        deadline.disarm();
        granted.ok_or_else(|| {
            self.meter.queue_timeout();
            End::QueueTimeout
        })
    }

    /// Takes a connection back, for the next in the queue or for the shelf.
    fn give_back(self: &Rc<Self>, mut connection: Connection, peer_timeout_ms: u64, now_ms: u64) {
        let bounds = self.bounds.get();
        let over = self.state.borrow().open > bounds.connections;
        // Arms the receive that sees a close; data now, with no request outstanding, condemns it.
        let quiet = connection.rx.is_quiet();
        if over || !quiet {
            return self.vacate();
        }
        let mut connection = Some(connection);
        let handed = self
            .grant_next(|pool| connection.take().map(|connection| Grant::Kept(Kept { connection, seat: pool.seat() })));
        let Some(connection) = connection.filter(|_| !handed) else { return };
        let mut state = self.state.borrow_mut();
        if state.idle >= bounds.idle {
            state.open -= 1;
            return;
        }
        state.idle += 1;
        let kept_ms = shorter(u64::from(bounds.idle_timeout_ms), peer_timeout_ms);
        let until_ms = if kept_ms == 0 { u64::MAX } else { now_ms + kept_ms };
        self.meter.idle(1);
        self.shelf.put(Idle { connection, until_ms, owner: self.clone() });
    }

    /// A place under the bound is free: the next in the queue may dial.
    fn vacate(self: &Rc<Self>) {
        let over = self.state.borrow().open > self.bounds.get().connections;
        if over || !self.grant_next(|pool| Some(Grant::Dial(pool.seat()))) {
            self.state.borrow_mut().open -= 1;
        }
    }

    /// Gives the longest waiter what `grant` makes. False where nobody waits.
    fn grant_next(self: &Rc<Self>, grant: impl FnOnce(&Rc<Self>) -> Option<Grant>) -> bool {
        let mut state = self.state.borrow_mut();
        while let Some((key, turn)) = state.queue.pop_front() {
            let Some(waiting) = state.waiting.get_mut(key).filter(|waiting| waiting.turn == turn) else { continue };
            waiting.grant = grant(self);
            waiting.load = None;
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
            return true;
        }
        false
    }

    /// How many connections are open or being dialled.
    #[must_use]
    pub fn open(&self) -> usize {
        let state = self.state.borrow();
        (state.open + state.slow) as usize
    }

    /// Its endpoint is not the service's any more: nothing is kept, of what is in use either.
    pub fn retire(self: &Rc<Self>) {
        self.bounds.set(Bounds { idle: 0, ..self.bounds.get() });
        self.clear();
    }

    /// Lets go of every idle connection.
    pub fn clear(self: &Rc<Self>) {
        self.shelf.clear(self);
    }
}

/// The shorter of two timeouts of which 0 is for ever.
fn shorter(a: u64, b: u64) -> u64 {
    match (a, b) {
        (0, other) | (other, 0) => other,
        (a, b) => a.min(b),
    }
}

impl Seat {
    /// Puts the connection back for others.
    pub fn keep(mut self, connection: Connection, peer_timeout_ms: u64, now_ms: u64) {
        if self.share == Share::Slow {
            let mut state = self.pool.state.borrow_mut();
            if state.open >= self.pool.bounds.get().connections {
                // A stream's end is no reason to exceed the bound: the connection goes.
                return;
            }
            state.open += 1;
            state.slow -= 1;
        }
        self.share = Share::Returned;
        self.pool.give_back(connection, peer_timeout_ms, now_ms);
    }

    /// Moves a long exchange to the slow share, so that its place serves others.
    pub fn slow_down(&mut self) {
        let full = self.pool.state.borrow().slow >= self.pool.bounds.get().slow;
        if self.share == Share::Quick && !full {
            self.share = Share::Slow;
            self.pool.state.borrow_mut().slow += 1;
            self.pool.vacate();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pool.meter.busy(-1);
        match self.share {
            Share::Quick => self.pool.vacate(),
            Share::Slow => self.pool.state.borrow_mut().slow -= 1,
            Share::Returned => {}
        }
    }
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    pool: &'a Rc<Pool>,
    key: usize,
}

impl<'a> Place<'a> {
    fn take(pool: &'a Rc<Pool>, queue_max: u32) -> Option<Self> {
        let mut state = pool.state.borrow_mut();
        if state.waiting.len() >= queue_max as usize {
            return None;
        }
        state.turn += 1;
        let turn = state.turn;
        let key = state.waiting.insert(Waiting { turn, load: pool.loaded(), waker: None, grant: None });
        state.queue.push_back((key, turn));
        pool.meter.queued();
        Some(Self { pool, key })
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Grant> {
        let mut state = self.pool.state.borrow_mut();
        let waiting = &mut state.waiting[self.key];
        match waiting.grant.take() {
            Some(grant) => Poll::Ready(grant),
            None => {
                waiting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.pool.state.borrow_mut();
            let State { waiting, queue, .. } = &mut *state;
            let left = waiting.remove(self.key);
            // Where nothing is granted for long, those who gave up would stay in the queue for as long.
            while queue.front().is_some_and(|(key, turn)| waiting.get(*key).is_none_or(|next| next.turn != *turn)) {
                queue.pop_front();
            }
            left
        };
        self.pool.meter.unqueued();
        // A grant that came too late goes back: its seat's drop serves the next in the queue.
        drop(waiting.grant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(connections: u32) -> Bounds {
        Bounds { connections, slow: 1, idle: 1, idle_timeout_ms: 0, queue: 8, queue_timeout_ms: 0 }
    }

    fn pool(connections: u32) -> Rc<Pool> {
        let stats = crate::wall::slot::StatsFile::anonymous(1).unwrap();
        let meter = crate::worker::shard::meter::Meter::new(stats.slot(crate::ids::WorkerId(0)));
        Pool::new(bounds(connections), Rc::default(), PoolMeter::new(meter, RowId::NONE))
    }

    fn is_granted(place: &Place<'_>) -> bool {
        place.poll(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn those_who_gave_up_leave_the_queue() {
        let pool = pool(1);
        let seat = pool.try_acquire(0);
        for _ in 0..100 {
            drop(Place::take(&pool, 8));
        }
        let first = Place::take(&pool, 8).unwrap();
        let second = Place::take(&pool, 8).unwrap();
        assert_eq!(pool.state.borrow().queue.len(), 2);
        drop(first);
        drop(seat);
        assert!(is_granted(&second));
    }

    #[test]
    fn room_made_by_new_bounds_is_given_to_those_who_wait() {
        let pool = pool(1);
        let seat = pool.try_acquire(0);
        let places: Vec<_> = (0..3).map(|_| Place::take(&pool, 8).unwrap()).collect();
        pool.rebound(bounds(3));
        let granted = places.iter().filter(|place| place.pool.state.borrow().waiting[place.key].grant.is_some());
        assert_eq!(granted.count(), 2);
        drop((places, seat));
        assert_eq!(pool.state.borrow().open, 0);
    }

    #[test]
    fn a_slow_exchange_gives_its_place_to_the_next_and_every_place_comes_back() {
        let pool = pool(1);
        let Some(Grant::Dial(mut seat)) = pool.try_acquire(0) else { panic!("there is room") };
        let place = Place::take(&pool, 8).unwrap();
        seat.slow_down();
        assert!(is_granted(&place));
        drop((place, seat));
        assert_eq!((pool.state.borrow().open, pool.state.borrow().slow), (0, 0));
    }

    #[test]
    fn a_request_counts_once_from_its_wait_to_the_end_of_its_seat() {
        let gauge: &'static Gauge = Box::leak(Box::default());
        let pool = pool(1);
        let before = pool.try_acquire(0);
        pool.count_in(Some(gauge));
        let (first, second) = (Place::take(&pool, 8).unwrap(), Place::take(&pool, 8).unwrap());
        assert_eq!(pool.load(), 2);
        drop(before);
        assert_eq!(pool.load(), 2, "what was there before is not counted, and the first has its seat for its place");
        drop(first);
        assert_eq!(pool.load(), 1);
        assert!(is_granted(&second));
        drop(second);
        assert_eq!(gauge.now(), 0);
    }

    #[test]
    fn a_grant_that_comes_too_late_goes_to_the_next() {
        let pool = pool(1);
        let seat = pool.try_acquire(0);
        let (first, second) = (Place::take(&pool, 8).unwrap(), Place::take(&pool, 8).unwrap());
        drop(seat);
        drop(first);
        assert!(is_granted(&second));
    }
}
