//! The loop of a worker's thread: a bounded batch of ready tasks, one call into the kernel, completions, timers.
//!
//! Every turn goes through the kernel and past the timers, whatever the tasks do: one that wakes itself all the time
//! delays others by its batch and no more. The kernel is waited for only where no task is ready, and no longer than
//! until the next timer. An executor is never freed: operations may be in the kernel's hands to the end of the
//! process. Out of scope: what operations there are (`ring`).

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Descriptor;
use super::operation::Key;
use super::ring::{Outcome, Ring, Wait, Work};
use super::stream::Flow;
use super::tasks::{Life, TaskId, Tasks, waker};
use super::timers::{Due, Timers};
use crate::limits::TASKS_PER_TURN;

thread_local! {
    static CURRENT: Cell<Option<&'static Executor>> = const { Cell::new(None) };
}

/// Runs the tasks of one thread.
pub struct Executor {
    tasks: RefCell<Tasks>,
    timers: RefCell<Timers>,
    ring: RefCell<Ring>,
    /// As of the last look at the clock.
    now: Cell<Instant>,
    /// Calls into the kernel so far.
    turns: Cell<u64>,
}

/// Makes an executor the thread's own for as long as it runs.
struct Reign(Option<&'static Executor>);

impl Drop for Reign {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

impl Executor {
    /// An executor on the ring, for this thread and the rest of the process.
    #[must_use]
    pub(in crate::worker) fn new(ring: Ring) -> &'static Self {
        Box::leak(Box::new(Self {
            tasks: RefCell::default(),
            timers: RefCell::default(),
            ring: RefCell::new(ring),
            now: Cell::new(Instant::now()),
            turns: Cell::new(0),
        }))
    }

    /// The one that runs on this thread.
    pub(in crate::worker) fn current() -> Option<&'static Self> {
        CURRENT.get()
    }

    /// How often the loop has turned.
    pub(super) fn turns(&'static self) -> &'static Cell<u64> {
        &self.turns
    }

    /// Runs the future to its end, and meanwhile what it spawns.
    pub(super) fn block_on<F: Future>(&'static self, future: F) -> F::Output {
        let mut main = pin!(future);
        let _reign = Reign(CURRENT.replace(Some(self)));
        self.wake(TaskId::MAIN);
        loop {
            if let Poll::Ready(output) = self.run_batch(main.as_mut()) {
                return output;
            }
            self.turn();
        }
    }

    /// Runs what is ready, and some of what that makes ready.
    fn run_batch<F: Future>(&self, mut main: Pin<&mut F>) -> Poll<F::Output> {
        let most = self.tasks.borrow().ready().saturating_mul(2).max(TASKS_PER_TURN);
        for _ in 0..most {
            let Some((task, life)) = self.next_task() else { break };
            let waker = waker(task);
            let mut cx = Context::from_waker(&waker);
            match life {
                Some(life) => self.run(task, life, &mut cx),
                None if task == TaskId::MAIN => {
                    if let Poll::Ready(output) = main.as_mut().poll(&mut cx) {
                        return Poll::Ready(output);
                    }
                }
                None => {}
            }
        }
        Poll::Pending
    }

    fn next_task(&self) -> Option<(TaskId, Option<Life>)> {
        self.tasks.borrow_mut().next()
    }

    fn run(&self, task: TaskId, mut life: Life, cx: &mut Context<'_>) {
        if life.as_mut().poll(cx).is_pending() {
            return self.tasks.borrow_mut().put_back(task, life);
        }
        let joiner = self.tasks.borrow_mut().end(task);
        if let Some(joiner) = joiner {
            joiner.wake();
        }
    }

    /// Hands operations to the kernel, waits where nothing is ready, and wakes whom completions and timers are for.
    fn turn(&self) {
        let timer = self.timers.borrow().next();
        let wait = match timer {
            _ if self.tasks.borrow().ready() > 0 => Wait::No,
            None => Wait::Ever,
            Some(at) => Wait::For(at.saturating_duration_since(self.now.get())),
        };
        self.ring.borrow_mut().enter(wait);
        self.turns.set(self.turns.get() + 1);
        while let Some(waker) = self.reap() {
            waker.wake();
        }
        if timer.is_some() {
            self.fire_timers();
        }
    }

    fn reap(&self) -> Option<Waker> {
        self.ring.borrow_mut().reap()
    }

    fn fire_timers(&self) {
        let now = Instant::now();
        self.now.set(now);
        while let Some(waker) = self.next_timer(now) {
            waker.wake();
        }
    }

    fn next_timer(&self, now: Instant) -> Option<Waker> {
        self.timers.borrow_mut().fire(now)
    }

    pub(super) fn wake(&self, task: TaskId) {
        self.tasks.borrow_mut().wake(task);
    }

    pub(super) fn spawn(&self, life: Life) -> TaskId {
        self.tasks.borrow_mut().add(life)
    }

    pub(super) fn poll_ended(&self, task: TaskId, cx: &Context<'_>) -> Poll<()> {
        if self.tasks.borrow_mut().join(task, cx.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn sleep(&'static self, duration: Duration) -> Sleep {
        Sleep { executor: self, duration, due: None }
    }

    /// Begins an operation.
    pub(super) fn begin(&self, descriptor: &Rc<Descriptor>, work: Work) -> Key {
        self.ring.borrow_mut().begin(descriptor.clone(), work)
    }

    /// What became of an operation, once.
    pub(super) fn poll_operation(&self, key: Key, cx: &Context<'_>) -> Poll<Outcome> {
        self.ring.borrow_mut().poll(key, cx.waker())
    }

    /// What a stream brought, or its end.
    pub(super) fn poll_stream(&self, key: Key, cx: &Context<'_>) -> Poll<Flow> {
        self.ring.borrow_mut().poll_stream(key, cx.waker())
    }

    /// A stream is to end.
    pub(super) fn stop(&self, key: Key) {
        self.ring.borrow_mut().stop(key as usize);
    }

    /// Whether the kernel knows streams of receives.
    pub(super) fn streams(&self) -> bool {
        self.ring.borrow().streams()
    }

    /// Operations of which the outcome was not taken.
    #[cfg(test)]
    pub(super) fn flights(&self) -> usize {
        self.ring.borrow().flights()
    }

    /// Nobody waits for the operation any more.
    pub(super) fn abandon(&self, key: Key) {
        self.ring.borrow_mut().abandon(key);
    }
}

/// A sleep.
pub(super) struct Sleep {
    executor: &'static Executor,
    duration: Duration,
    due: Option<Due>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut timers = self.executor.timers.borrow_mut();
        match &self.due {
            Some(due) if timers.poll(due, cx.waker()) => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                let now = Instant::now();
                // The clock may not have been looked at for as long as there was no timer.
                self.executor.now.set(now);
                let due = timers.set(now + self.duration, cx.waker().clone());
                drop(timers);
                self.due = Some(due);
                Poll::Pending
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(due) = &self.due {
            self.executor.timers.borrow_mut().forget(due);
        }
    }
}
