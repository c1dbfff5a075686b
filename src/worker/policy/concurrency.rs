//! `[module.concurrency]`: a request's turn among those of its service, and this worker's line of those who wait.
//!
//! In scope: the line, waking its first, and telling other workers by their doorbells that a place came free. Out of
//! scope: the places themselves (`wall/concurrency`), what a request does in its turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::end::End;
use crate::ids::WorkerId;
use crate::wall::concurrency::{ConcurrencyRules, Places};
use crate::wall::resilience::{OfService, Resilience};
use crate::worker::accept::handover::Handovers;
use crate::worker::plan::Terms;
use crate::worker::session::downstream::{Downstream, in_time};
use crate::worker::shard::Shard;
use crate::worker::upstream::replica::Replica;

/// The lines of one worker, one for each service that somebody waits for.
pub struct Lines {
    worker: WorkerId,
    bells: Arc<Handovers>,
    lines: RefCell<Vec<Line>>,
    turns: Cell<u64>,
}

struct Line {
    of: Arc<OfService>,
    waiting: VecDeque<(u64, Waker)>,
}

/// A request's place among those under way. Dropping it gives the place to the next.
pub struct Turn {
    replica: Rc<Replica>,
    lines: Rc<Lines>,
}

/// Whether a request has its turn.
pub enum Entry {
    /// It has, or needs none.
    In(Option<Turn>),
    /// It waits for it.
    Wait,
}

/// A request asks for its turn; one that is tried again has it.
#[must_use]
pub fn enter(shard: &Shard, replica: &Rc<Replica>, first: bool) -> Entry {
    let Some(resilience) = replica.upstream.resilience.as_deref().filter(|_| first) else { return Entry::In(None) };
    let Some((_, places)) = of(resilience) else { return Entry::In(None) };
    if places.enter() {
        return Entry::In(Some(Turn { replica: replica.clone(), lines: shard.lines.clone() }));
    }
    Entry::Wait
}

fn of(resilience: &Resilience) -> Option<(&ConcurrencyRules, &Places)> {
    Some((resilience.concurrency.as_ref()?, &resilience.known.service.places))
}

/// Waits for the turn of a request, for as long as its client waits.
///
/// # Errors
/// `End::ConcurrencyFull`, `End::ConcurrencyTimeout`, `End::ClientLeft`, `End::RequestTimeout`, `End::Drained`.
pub async fn wait(
    shard: &Shard,
    down: &mut Downstream,
    terms: &Terms,
    replica: &Rc<Replica>,
) -> Result<Option<Turn>, End> {
    let Some(resilience) = replica.upstream.resilience.as_deref() else { return Ok(None) };
    let Some((rules, _)) = of(resilience) else { return Ok(None) };
    let place = Place::take(&shard.lines, &resilience.known.service, rules).ok_or(End::ConcurrencyFull)?;
    let Downstream { source, writing, whole, .. } = down;
    writing.arm(rules.queue_timeout_ms);
    let turn = pin!(poll_fn(|cx| match place.poll(cx) {
        Poll::Ready(()) => Poll::Ready(Ok(Turn { replica: replica.clone(), lines: shard.lines.clone() })),
        Poll::Pending => writing.poll(cx).map(|()| Err(End::ConcurrencyTimeout)),
    }));
    let waited = pin!(source.while_there(terms.half_close_grace_ms, turn));
    let waited = in_time(shard, (whole.as_ref(), None), waited).await;
    writing.disarm();
    waited.map(Some)
}

impl Lines {
    /// This worker's; the bells are those of all.
    #[must_use]
    pub fn new(worker: WorkerId, bells: Arc<Handovers>) -> Rc<Self> {
        Rc::new(Self { worker, bells, lines: RefCell::default(), turns: Cell::new(0) })
    }

    /// The first of each line looks whether there is a place for it.
    pub fn wake(&self) {
        self.lines.borrow().iter().for_each(Line::wake);
    }

    /// A place came free: the next worker on which somebody waits hears of it.
    fn pass_on(&self, of: &Arc<OfService>) {
        match of.places.next(self.worker) {
            None => {}
            Some(worker) if worker == self.worker => {
                let lines = self.lines.borrow();
                lines.iter().filter(|line| Arc::ptr_eq(&line.of, of)).for_each(Line::wake);
            }
            Some(worker) => self.bells.ring(worker),
        }
    }
}

impl Line {
    fn wake(&self) {
        if let Some((_, waker)) = self.waiting.front() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(resilience) = self.replica.upstream.resilience.as_deref() else { return };
        resilience.known.service.places.leave();
        self.lines.pass_on(&resilience.known.service);
    }
}

/// A place in a worker's line, given up when dropped.
struct Place<'l> {
    lines: &'l Lines,
    of: &'l Arc<OfService>,
    turn: u64,
    /// It has not looked for a place yet.
    fresh: Cell<bool>,
}

impl<'l> Place<'l> {
    fn take(lines: &'l Lines, of: &'l Arc<OfService>, rules: &ConcurrencyRules) -> Option<Self> {
        if !of.places.line_up(rules) {
            return None;
        }
        let turn = lines.turns.get() + 1;
        lines.turns.set(turn);
        let mut all = lines.lines.borrow_mut();
        let waiting = (turn, Waker::noop().clone());
        match all.iter_mut().find(|line| Arc::ptr_eq(&line.of, of)) {
            Some(line) => line.waiting.push_back(waiting),
            None => all.push(Line { of: of.clone(), waiting: [waiting].into() }),
        }
        of.places.mark(lines.worker, true);
        Some(Self { lines, of, turn, fresh: Cell::new(true) })
    }

    /// Turns grow from the front to the back.
    fn position(&self, line: &Line) -> Option<usize> {
        line.waiting.binary_search_by_key(&self.turn, |(turn, _)| *turn).ok()
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut all = self.lines.lines.borrow_mut();
        let line = all.iter_mut().find(|line| Arc::ptr_eq(&line.of, self.of));
        let Some(line) = line else { return Poll::Pending };
        let is_first = line.waiting.front().is_some_and(|(turn, _)| *turn == self.turn);
        // Who has just come does not take what came free for those who wait on other workers.
        let elsewhere = || self.of.places.waiting() as usize > line.waiting.len();
        let lets_pass = self.fresh.replace(false) && elsewhere();
        if is_first && !lets_pass && self.of.places.take() {
            return Poll::Ready(());
        }
        if let Some(at) = self.position(line) {
            line.waiting[at].1.clone_from(cx.waker());
        }
        drop(all);
        // But who left may have seen none of them.
        if lets_pass && self.of.places.has_room() {
            self.lines.pass_on(self.of);
        }
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut all = self.lines.lines.borrow_mut();
        if let Some(index) = all.iter().position(|line| Arc::ptr_eq(&line.of, self.of)) {
            if let Some(at) = self.position(&all[index]) {
                all[index].waiting.remove(at);
            }
            if all[index].waiting.is_empty() {
                all.swap_remove(index);
                self.of.places.mark(self.lines.worker, false);
            }
        }
        drop(all);
        self.of.places.step_out();
        // It may have been woken for a place that it no longer wants, or there is more than the one it got.
        if self.of.places.has_room() {
            self.lines.pass_on(self.of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: ConcurrencyRules = ConcurrencyRules { max: 1, queue_max: 8, queue_timeout_ms: 0 };

    fn lines() -> Rc<Lines> {
        Lines::new(WorkerId(0), Arc::new(Handovers::new(1).expect("descriptors")))
    }

    fn of_service() -> Arc<OfService> {
        let of = OfService::default();
        of.places.bound(Some(&RULES));
        Arc::new(of)
    }

    fn is_ready(place: &Place<'_>) -> bool {
        place.poll(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn first_in_first_out() {
        let (lines, of) = (lines(), of_service());
        assert!(of.places.enter());
        let first = Place::take(&lines, &of, &RULES).expect("room");
        let second = Place::take(&lines, &of, &RULES).expect("room");
        of.places.leave();
        assert!(!is_ready(&second));
        assert!(is_ready(&first));
        drop(first);
        assert!(!is_ready(&second), "the place is taken");
        of.places.leave();
        assert!(is_ready(&second));
    }

    #[test]
    fn who_has_just_come_lets_those_pass_who_wait_on_other_workers() {
        let bells = Arc::new(Handovers::new(2).expect("descriptors"));
        let [here, there] = [0, 1].map(|worker| Lines::new(WorkerId(worker), bells.clone()));
        let of = of_service();
        assert!(of.places.enter());
        let waits = Place::take(&there, &of, &RULES).expect("room");
        assert!(!is_ready(&waits));
        of.places.leave();
        let comes = Place::take(&here, &of, &RULES).expect("room");
        assert!(!is_ready(&comes));
        assert!(is_ready(&waits));
        drop(waits);
        of.places.leave();
        assert!(is_ready(&comes));
    }

    #[test]
    fn of_two_who_come_at_once_to_a_free_place_one_is_called() {
        let bells = Arc::new(Handovers::new(2).expect("descriptors"));
        let [here, there] = [0, 1].map(|worker| Lines::new(WorkerId(worker), bells.clone()));
        let of = of_service();
        let [first, second] = [&here, &there].map(|lines| Place::take(lines, &of, &RULES).expect("room"));
        assert!(!is_ready(&first), "it lets the other pass");
        assert!(!is_ready(&second), "and so does the other");
        // Either bell was rung.
        assert!(is_ready(&first));
        assert!(!is_ready(&second), "the place is taken");
    }

    #[test]
    fn those_who_gave_up_leave_nothing_behind() {
        let (lines, of) = (lines(), of_service());
        assert!(of.places.enter());
        for _ in 0..100 {
            drop(Place::take(&lines, &of, &RULES).expect("room"));
        }
        assert!(lines.lines.borrow().is_empty());
        assert_eq!(of.places.next(WorkerId(0)), None);
        of.places.leave();
        assert!(of.places.enter());
    }
}
