//! The tasks of one thread and the queue of those that are ready.
//!
//! A waker is a task's number and nothing else: it owns nothing, so cloning and dropping it is free, and one that
//! outlives its task wakes nobody. It works on its own thread: every wake of a worker comes from its own ring or its
//! own tasks, and what control has to say comes by a doorbell, which is a socket. On another thread it does nothing,
//! or wakes a task that finds nothing new. Out of scope: when tasks run (`executor`).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::executor::Executor;

/// A task's future.
pub(super) type Life = Pin<Box<dyn Future<Output = ()>>>;

/// A task's number: its slot, and which of the slot's tasks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskId {
    slot: u32,
    turn: u32,
}

impl TaskId {
    /// The future that `block_on` runs, which is in no slot.
    pub(super) const MAIN: Self = Self { slot: u32::MAX, turn: u32::MAX };
}

#[derive(Default)]
struct Slot {
    /// Absent while the task is running, and when there is none.
    life: Option<Life>,
    /// Which task of this slot it is.
    turn: u32,
    queued: bool,
    /// Who waits for its end.
    joiner: Option<Waker>,
}

/// The tasks of a thread.
#[derive(Default)]
pub(super) struct Tasks {
    slots: Vec<Slot>,
    free: Vec<u32>,
    ready: VecDeque<TaskId>,
    main_queued: bool,
}

impl Tasks {
    /// Takes a task on; it is ready.
    pub(super) fn add(&mut self, life: Life) -> TaskId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("fewer tasks than memory has room for")
        });
        let place = &mut self.slots[slot as usize];
        place.life = Some(life);
        let task = TaskId { slot, turn: place.turn };
        self.wake(task);
        task
    }

    fn slot(&mut self, task: TaskId) -> Option<&mut Slot> {
        self.slots.get_mut(task.slot as usize).filter(|slot| slot.turn == task.turn)
    }

    /// Puts the task in the queue, unless it is there or over.
    pub(super) fn wake(&mut self, task: TaskId) {
        let queued = match task {
            TaskId::MAIN => &mut self.main_queued,
            _ => match self.slot(task) {
                Some(slot) => &mut slot.queued,
                None => return,
            },
        };
        if !std::mem::replace(queued, true) {
            self.ready.push_back(task);
        }
    }

    /// How many are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The next that is ready, with its future unless it is the main one.
    pub(super) fn next(&mut self) -> Option<(TaskId, Option<Life>)> {
        let task = self.ready.pop_front()?;
        if task == TaskId::MAIN {
            self.main_queued = false;
            return Some((task, None));
        }
        let slot = &mut self.slots[task.slot as usize];
        slot.queued = false;
        Some((task, slot.life.take()))
    }

    /// The task is to run again when it is woken.
    pub(super) fn put_back(&mut self, task: TaskId, life: Life) {
        self.slots[task.slot as usize].life = Some(life);
    }

    /// The task is over. Gives who waits for that.
    pub(super) fn end(&mut self, task: TaskId) -> Option<Waker> {
        let slot = &mut self.slots[task.slot as usize];
        slot.turn = slot.turn.wrapping_add(1);
        if std::mem::take(&mut slot.queued) {
            self.ready.retain(|other| *other != task);
        }
        let joiner = slot.joiner.take();
        self.free.push(task.slot);
        joiner
    }

    /// Whether the task is over; wakes the waker when it is.
    pub(super) fn join(&mut self, task: TaskId, waker: &Waker) -> bool {
        match self.slot(task) {
            Some(slot) => {
                slot.joiner = Some(waker.clone());
                false
            }
            None => true,
        }
    }
}

const _: () = assert!(usize::BITS >= 64, "a task's number is carried in a pointer");

const WAKER: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &WAKER), wake, wake, |_| ());

fn wake(data: *const ()) {
    if let Some(executor) = Executor::current() {
        let number = data.addr();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
        executor.wake(TaskId { slot: number as u32, turn: (number >> 32) as u32 });
    }
}

/// Wakes the task.
#[expect(unsafe_code, reason = "a waker without an allocation is made of its parts")]
pub(super) fn waker(task: TaskId) -> Waker {
    let number = task.slot as usize | (task.turn as usize) << 32;
    // SAFETY: the functions of the table never follow the pointer, which only carries a number: whatever thread they
    // are called on and however long the waker lives, they touch what that thread owns. Cloning copies the number,
    // dropping does nothing.
    unsafe { Waker::new(std::ptr::without_provenance(number), &WAKER) }
}
