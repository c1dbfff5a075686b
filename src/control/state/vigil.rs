//! Whether every worker lives: each is asked from time to time and answers from its loop.
//!
//! A service manager's watchdog, and an old process that waits for its successor to prove itself, hear of life only
//! when all have answered. A worker is asked again only when it has answered, so a stuck one's queue does not grow.
//! Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Effect;
use crate::ids::WorkerId;
use crate::wall::link::Order;

/// Who has not answered.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    /// Between two rounds; `None` where nobody wants to hear.
    period: Option<Duration>,
    due: Option<Instant>,
    owing: BTreeSet<WorkerId>,
}

impl Vigil {
    /// Asks this often from now on.
    pub(super) fn keep(&mut self, period: Option<Duration>, now: Instant) {
        if self.period != period {
            self.period = period;
            self.due = period.map(|_| now);
        }
    }

    /// When the next round begins.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Begins a round whose time has come: asks every worker that owes no answer.
    pub(super) fn settle(&mut self, now: Instant, running: impl Iterator<Item = WorkerId>, out: &mut Vec<Effect>) {
        let Some(period) = self.period.filter(|_| self.due.is_some_and(|due| now >= due)) else { return };
        self.due = Some(now + period);
        for worker in running.filter(|worker| self.owing.insert(*worker)) {
            out.push(Effect::Send { worker, order: Order::Ping });
        }
    }

    /// A worker has answered; true when it was the last that owed one.
    pub(super) fn answered(&mut self, worker: WorkerId) -> bool {
        self.owing.remove(&worker) && self.owing.is_empty()
    }

    /// A worker has ended and owes nothing.
    pub(super) fn ended(&mut self, worker: WorkerId) {
        self.owing.remove(&worker);
    }
}
