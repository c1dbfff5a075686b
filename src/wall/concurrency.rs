//! A bound on how many requests of a service are under way at once, true for the whole process, and who waits.
//!
//! A named exception to "nothing is shared between workers". **Who writes and reads**: every worker, when a request of a
//! service that has `[module.concurrency]` begins and when it ends; control writes how many places there are.
//!
//! A request that finds no place waits on its own worker, first in first out, and its worker's bit is set. Whoever gives a
//! place back looks for the next worker with a bit, in turn, and wakes it (its own at once, another by its doorbell);
//! nobody who comes later passes those who wait. **Error bound**: none in the number of places. Between a place that
//! comes free and the one who gets it on another worker lies the ringing of a bell. The number is the newest
//! configuration's, whichever one a request goes by.
//!
//! **No wake-up is lost.** Who waits writes, then looks: `line_up` and `mark`, then `take` (or `has_room`, where it lets
//! others go first and passes on what is free). Who leaves does the same the other way round: `leave`, then `next`. All
//! of it is `SeqCst`, so these four have one order for everybody. Either `mark` comes before `next`, and who leaves finds
//! the bit and wakes that worker; or `next` comes before `mark`, and then `leave`, which is before `next`, is before
//! `take`, which is after `mark`, and who waits finds the place. A wake-up is only a hint to look again, and who steps
//! out of a line looks too (`step_out`, then `has_room` and `next`), so one that reaches somebody who no longer waits is
//! passed on.
//!
//! Weaker orderings break it: acquire and release order what is read from one word, and say nothing of two words that
//! two workers write crosswise. Either might then read what was there before the other wrote: `next` no bit, `take` no
//! place. A place would be free, and who waits would sleep until the next one leaves or its time is over. The bound
//! itself would hold with any ordering, since `taken` changes by read-modify-write alone.
//!
//! Out of scope: the queue of a worker and the bell (`worker::policy::concurrency`).

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::ids::WorkerId;
use crate::limits::WORKERS_MAX;

/// How many at once, and how many wait how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyRules {
    /// Requests under way, at least 1.
    pub max: u32,
    /// Requests that wait.
    pub queue_max: u32,
    /// How long one waits.
    pub queue_timeout_ms: u64,
}

/// Places of one service.
#[derive(Debug)]
pub struct Places {
    max: AtomicU32,
    taken: AtomicU32,
    waiting: AtomicU32,
    /// A bit for each worker on which somebody waits.
    workers: [AtomicU64; WORKERS_MAX / 64],
}

impl Default for Places {
    fn default() -> Self {
        Self {
            max: AtomicU32::new(u32::MAX),
            taken: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            workers: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Places {
    /// From now on there are as many places as these rules say; without any, no bound.
    pub fn bound(&self, rules: Option<&ConcurrencyRules>) {
        self.max.store(rules.map_or(u32::MAX, |rules| rules.max), SeqCst);
    }

    /// Takes a place, unless none is free or others wait for one.
    pub fn enter(&self) -> bool {
        self.waiting.load(SeqCst) == 0 && self.take()
    }

    /// Takes a place if one is free: for the first of those who wait.
    pub fn take(&self) -> bool {
        let max = self.max.load(SeqCst);
        self.taken.fetch_update(SeqCst, SeqCst, |taken| (taken < max).then(|| taken + 1)).is_ok()
    }

    /// Gives a place back.
    pub fn leave(&self) {
        self.taken.fetch_sub(1, SeqCst);
    }

    /// Whether a place is free.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.taken.load(SeqCst) < self.max.load(SeqCst)
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.taken.load(SeqCst)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    /// Counts one more who waits, unless there are as many as may.
    pub fn line_up(&self, rules: &ConcurrencyRules) -> bool {
        self.waiting.fetch_update(SeqCst, SeqCst, |waiting| (waiting < rules.queue_max).then(|| waiting + 1)).is_ok()
    }

    /// One who waited has a place, or waits no more.
    pub fn step_out(&self) {
        self.waiting.fetch_sub(1, SeqCst);
    }

    /// Somebody waits on this worker, or nobody any more.
    pub fn mark(&self, worker: WorkerId, waits: bool) {
        let (word, bit) = (&self.workers[worker.index() / 64], 1 << (worker.index() % 64));
        if waits {
            word.fetch_or(bit, SeqCst);
        } else {
            word.fetch_and(!bit, SeqCst);
        }
    }

    /// The next worker after this one on which somebody waits; itself last.
    #[must_use]
    pub fn next(&self, after: WorkerId) -> Option<WorkerId> {
        let words = self.workers.len();
        let (first, bit) = (after.index() / 64, after.index() % 64);
        // The upper part of its own word, the others in turn, then all of its own again.
        let above = |word: u64| if bit == 63 { 0 } else { word & (u64::MAX << (bit + 1)) };
        (0..=words).find_map(|step| {
            let index = (first + step) % words;
            let word = self.workers[index].load(SeqCst);
            let word = if step == 0 { above(word) } else { word };
            let found = index * 64 + word.trailing_zeros() as usize;
            (word != 0).then(|| WorkerId(u16::try_from(found).expect("fewer than limits::WORKERS_MAX")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: ConcurrencyRules = ConcurrencyRules { max: 3, queue_max: 2, queue_timeout_ms: 0 };

    fn places() -> Places {
        let places = Places::default();
        places.bound(Some(&RULES));
        places
    }

    #[test]
    fn another_bound_holds_for_everybody_at_once() {
        let places = places();
        assert!((0..3).all(|_| places.enter()) && !places.enter());
        places.bound(Some(&ConcurrencyRules { max: 4, ..RULES }));
        assert!(places.enter() && !places.enter());
        places.bound(Some(&ConcurrencyRules { max: 2, ..RULES }));
        places.leave();
        places.leave();
        assert!(!places.has_room(), "two are under way");
        places.bound(None);
        assert!(places.enter());
    }

    #[test]
    fn never_more_than_the_bound_whoever_asks() {
        let (places, most) = (places(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if places.enter() {
                            most.fetch_max(places.taken.load(SeqCst), SeqCst);
                            places.leave();
                        }
                    }
                });
            }
        });
        assert!(most.load(SeqCst) <= 3);
        assert!((0..3).all(|_| places.enter()), "every place came back");
        assert!(!places.enter());
    }

    #[test]
    fn nobody_passes_those_who_wait() {
        let places = places();
        assert!(places.line_up(&RULES));
        assert!(!places.enter());
        assert!(places.take());
        places.step_out();
        assert!(places.enter());
    }

    #[test]
    fn the_queue_has_an_end() {
        let places = Places::default();
        assert!(places.line_up(&RULES) && places.line_up(&RULES) && !places.line_up(&RULES));
    }

    #[test]
    fn workers_that_wait_have_their_turn_one_after_another() {
        let places = Places::default();
        assert_eq!(places.next(WorkerId(5)), None);
        for worker in [2, 5, 63, 64, 900] {
            places.mark(WorkerId(worker), true);
        }
        let turns: Vec<_> =
            [2, 5, 63, 64, 900].map(|worker| places.next(WorkerId(worker)).expect("some wait").0).into();
        assert_eq!(turns, [5, 63, 64, 900, 2]);
        places.mark(WorkerId(5), false);
        assert_eq!(places.next(WorkerId(2)), Some(WorkerId(63)));
        for worker in [2, 63, 64] {
            places.mark(WorkerId(worker), false);
        }
        assert_eq!(places.next(WorkerId(900)), Some(WorkerId(900)), "itself last");
    }
}
