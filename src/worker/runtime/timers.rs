//! Timers of one thread, soonest first. There are few: the sweep, a pause here and there. What waits on peers has
//! deadlines instead (`worker::shard::deadline`).

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

/// When, and which of those due then.
pub(super) type Due = (Instant, u64);

/// The timers of a thread.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<Due, Waker>,
    count: u64,
}

impl Timers {
    /// A timer of its own.
    pub(super) fn set(&mut self, at: Instant, waker: Waker) -> Due {
        self.count += 1;
        self.waiting.insert((at, self.count), waker);
        (at, self.count)
    }

    /// Whether it has fired; wakes the waker when it does.
    pub(super) fn poll(&mut self, due: &Due, waker: &Waker) -> bool {
        match self.waiting.get_mut(due) {
            Some(kept) => {
                kept.clone_from(waker);
                false
            }
            None => true,
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, due: &Due) {
        self.waiting.remove(due);
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// The soonest that is due at this time, which fires.
    pub(super) fn fire(&mut self, now: Instant) -> Option<Waker> {
        self.next().filter(|at| *at <= now).and_then(|_| self.waiting.pop_first()).map(|(_, waker)| waker)
    }
}
