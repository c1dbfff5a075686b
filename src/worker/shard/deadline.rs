//! Deadlines: one sweep per core over an array of due times.
//!
//! Setting a deadline is one store, and the sweep reads a dense array of numbers, which at ten
//! thousand connections costs less than arming a timer per wait would. Every deadline fires at its time
//! or within two ticks (`limits::DEADLINE_TICK_MS`) after it, never before. Out of scope: what a missed deadline means.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::clock::Clock;
use crate::limits::DEADLINE_TICK_MS;
use crate::worker::runtime;

const NEVER: u64 = u64::MAX;

/// The deadlines of one core.
#[derive(Debug)]
pub struct Deadlines {
    clock: Rc<Clock>,
    slots: RefCell<Slots>,
    in_use: Cell<usize>,
}

#[derive(Debug, Default)]
struct Slots {
    due_ms: Vec<u64>,
    waiting: Vec<Waiting>,
    free: Vec<u32>,
    sweeper: Option<Waker>,
}

#[derive(Debug, Default)]
struct Waiting {
    waker: Option<Waker>,
    early: Early,
}

/// What brings a wait forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Early {
    /// Nothing.
    #[default]
    Never,
    /// The begin of a drain.
    AtDrain,
    /// The end of its window.
    AtCut,
}

impl Deadlines {
    /// No deadlines yet.
    #[must_use]
    pub fn new(clock: Rc<Clock>) -> Rc<Self> {
        Rc::new(Self { clock, slots: RefCell::default(), in_use: Cell::new(0) })
    }

    /// How many are registered.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// A deadline of one's own, disarmed.
    #[must_use]
    pub fn register(self: &Rc<Self>) -> Deadline {
        if self.in_use.get() == 0 {
            self.clock.refresh();
        }
        self.in_use.set(self.in_use.get() + 1);
        let mut slots = self.slots.borrow_mut();
        if let Some(sweeper) = slots.sweeper.take() {
            sweeper.wake();
        }
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.due_ms.push(NEVER);
            slots.waiting.push(Waiting::default());
            u32::try_from(slots.due_ms.len() - 1).expect("fewer deadlines than descriptors")
        });
        Deadline { deadlines: self.clone(), slot: slot as usize }
    }

    /// The time has come of every wait that this brings forward.
    pub fn bring_forward(&self, early: Early) {
        let due = self.clock.now_ms();
        let mut slots = self.slots.borrow_mut();
        let Slots { due_ms, waiting, .. } = &mut *slots;
        for (slot, _) in waiting.iter().enumerate().filter(|(_, waiting)| waiting.early == early) {
            due_ms[slot] = due_ms[slot].min(due);
        }
    }

    fn wake_due(&self) {
        self.clock.refresh();
        let now = self.clock.now_ms();
        let mut slots = self.slots.borrow_mut();
        let Slots { due_ms, waiting, .. } = &mut *slots;
        for (slot, _) in due_ms.iter().enumerate().filter(|(_, due)| **due <= now) {
            if let Some(waker) = waiting[slot].waker.take() {
                waker.wake();
            }
        }
    }

    /// Wakes everybody who waits, to look at what has changed.
    pub fn wake_all(&self) {
        for waiting in &mut self.slots.borrow_mut().waiting {
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
    }

    /// Sweeps for ever. `every_second` runs about once a second; while nobody has a deadline and it says that
    /// it has no more to do, the sweep sleeps. `every_tick` is told how many microseconds late each tick is: how long
    /// the loop was busy with something else.
    pub async fn sweep(self: Rc<Self>, every_second: impl Fn() -> bool, every_tick: impl Fn(u64)) {
        for tick in 0_u64.. {
            if tick.is_multiple_of(1_000 / DEADLINE_TICK_MS) && !every_second() {
                poll_fn(|cx| self.poll_in_use(cx)).await;
            }
            let due_ns = self.clock.precise_ns() + DEADLINE_TICK_MS * 1_000_000;
            runtime::sleep(std::time::Duration::from_millis(DEADLINE_TICK_MS)).await;
            every_tick(self.clock.precise_ns().saturating_sub(due_ns) / 1_000);
            self.wake_due();
        }
    }

    fn poll_in_use(&self, cx: &Context<'_>) -> Poll<()> {
        if self.in_use.get() > 0 {
            return Poll::Ready(());
        }
        self.slots.borrow_mut().sweeper = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// One deadline, armed and disarmed by its owner for one wait after another.
#[derive(Debug)]
pub struct Deadline {
    deadlines: Rc<Deadlines>,
    slot: usize,
}

impl Deadline {
    /// Fires this many milliseconds from now; 0 is never.
    pub fn arm(&self, ms: u64) {
        self.set(ms, Early::Never);
    }

    /// As `arm`, for a wait that the end of a stop's window cuts short.
    pub fn arm_idle(&self, ms: u64) {
        self.set(ms, Early::AtCut);
    }

    /// As `arm`, for a wait that is to be thought over when a drain begins.
    pub fn arm_until_drain(&self, ms: u64) {
        self.set(ms, Early::AtDrain);
    }

    /// Does not fire.
    pub fn disarm(&self) {
        self.set(0, Early::Never);
    }

    fn set(&self, ms: u64, early: Early) {
        let mut slots = self.deadlines.slots.borrow_mut();
        // The clock may be a tick behind; a short deadline would fire at once without it.
        slots.due_ms[self.slot] = if ms == 0 { NEVER } else { self.deadlines.clock.now_ms() + ms + DEADLINE_TICK_MS };
        slots.waiting[self.slot].early = early;
    }

    /// Whether the time has come.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.deadlines.slots.borrow().due_ms[self.slot] <= self.now_ms()
    }

    /// What is left of this deadline or of the other, in milliseconds, whichever is less; 0 is no other.
    #[must_use]
    pub fn shorter(&self, ms: u64) -> u64 {
        let left_ms = self.deadlines.slots.borrow().due_ms[self.slot].saturating_sub(self.now_ms()).max(1);
        if ms == 0 { left_ms } else { left_ms.min(ms) }
    }

    /// The time these deadlines go by.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.deadlines.clock.now_ms()
    }

    /// The core's time in microseconds, as fine as a turn of its loop.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.deadlines.clock.now_us()
    }

    /// Ready when the time has come.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut slots = self.deadlines.slots.borrow_mut();
        if slots.due_ms[self.slot] <= self.deadlines.clock.now_ms() {
            return Poll::Ready(());
        }
        let waker = &mut slots.waiting[self.slot].waker;
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The work's result, or `None` when the deadline fires first. The work is taken pinned in its caller's
    /// frame: by value it would stand in two frames, and sessions would grow by as much.
    pub async fn bound<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll(cx).map(|()| None),
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut slots = self.deadlines.slots.borrow_mut();
        slots.due_ms[self.slot] = NEVER;
        slots.waiting[self.slot] = Waiting::default();
        slots.free.push(u32::try_from(self.slot).expect("a slot number came from a u32"));
        self.deadlines.in_use.set(self.deadlines.in_use.get() - 1);
    }
}
