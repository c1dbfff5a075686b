//! Who asked for a reload, and what they are told.
//!
//! One load runs at a time. What asks meanwhile shares the next one, because the load under way may
//! have read the files before they changed. Pure; reading the files is `control::reload`.

use std::mem;
use std::time::{Duration, Instant};

use super::workers::Workers;
use super::{Effect, Level};
use crate::control::systemd::Notice;
use crate::ids::{EpochId, WorkerId};
use crate::wall::link::Order;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A client of `/reload`, by way of a worker.
    Worker {
        /// Which worker.
        worker: WorkerId,
        /// The worker's name for the question.
        ticket: u64,
    },
    /// SIGHUP: the answer is a line of the log.
    Operator,
    /// The timer or a changed file: no line when nothing has changed.
    Quiet,
}

/// Loads asked for, under way, and waiting for the workers to adopt.
#[derive(Debug, Default)]
pub(super) struct Reload {
    running: Option<Run>,
    /// Who shares the load after the one under way.
    waiting: Vec<Asker>,
    adopting: Vec<Adopting>,
}

/// A load under way.
#[derive(Debug)]
pub(super) struct Run {
    started: Instant,
    askers: Vec<Asker>,
}

/// A configuration that has been published and not yet been adopted by all.
#[derive(Debug)]
struct Adopting {
    epoch: EpochId,
    changed: bool,
    started: Instant,
    deadline: Instant,
    /// None left once they have had their answer, in time or late.
    askers: Vec<Asker>,
    late: bool,
}

impl Reload {
    /// Somebody wants the files read from now on.
    pub(super) fn ask(&mut self, asker: Asker) {
        if asker != Asker::Quiet || !self.waiting.contains(&Asker::Quiet) {
            self.waiting.push(asker);
        }
    }

    /// True when a load is to be started: one is wanted and none runs.
    pub(super) fn start(&mut self, now: Instant) -> bool {
        let starts = self.running.is_none() && !self.waiting.is_empty();
        if starts {
            self.running = Some(Run { started: now, askers: mem::take(&mut self.waiting) });
        }
        starts
    }

    /// Whether an operator waits for the load under way.
    pub(super) fn is_operators(&self) -> bool {
        self.running.as_ref().is_some_and(|run| run.askers.contains(&Asker::Operator))
    }

    /// Whether a load is under way.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The load under way has ended; the caller decides what it was and calls `start`.
    pub(super) fn ended(&mut self) -> Option<Run> {
        self.running.take()
    }

    /// The askers of this load are told when every worker runs the epoch, or at the deadline.
    pub(super) fn await_adoption(&mut self, run: Run, epoch: EpochId, changed: bool, deadline: Instant) {
        // What a stuck worker has kept open since its askers were told is taken over by this one.
        self.adopting.retain(|adopting| !adopting.late);
        let Run { started, askers } = run;
        self.adopting.push(Adopting { epoch, changed, started, deadline, askers, late: false });
    }

    /// Tells whoever can be told now.
    pub(super) fn settle(&mut self, now: Instant, answer: Duration, workers: &Workers, out: &mut Vec<Effect>) {
        self.adopting.retain_mut(|adopting| {
            if workers.all_on(adopting.epoch) {
                adopting.tell(Some(now), answer, workers, out);
                return false;
            }
            if now >= adopting.deadline && !adopting.late {
                adopting.late = true;
                adopting.tell(None, answer, workers, out);
            }
            true
        });
    }

    /// This worker has died, and with it whoever asked there: its number is another's soon.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        let is_theirs = |asker: &Asker| matches!(asker, Asker::Worker { worker: theirs, .. } if *theirs == worker);
        let running = self.running.iter_mut().map(|run| &mut run.askers);
        let adopting = self.adopting.iter_mut().map(|adopting| &mut adopting.askers);
        for askers in running.chain(adopting).chain([&mut self.waiting]) {
            askers.retain(|asker| !is_theirs(asker));
        }
    }

    /// Turns away everybody who waits: the gateway stops.
    pub(super) fn refuse(&mut self, out: &mut Vec<Effect>) {
        let running = self.running.take().map(|run| run.askers).unwrap_or_default();
        let adopting = mem::take(&mut self.adopting).into_iter().flat_map(|adopting| adopting.askers);
        for asker in mem::take(&mut self.waiting).into_iter().chain(running).chain(adopting) {
            if asker != Asker::Operator {
                asker.answer(503, "the gateway is stopping", out);
            }
        }
    }

    /// When `settle` next has something to do that no report announces.
    pub(super) fn due(&self) -> Option<Instant> {
        self.adopting.iter().filter(|adopting| !adopting.late).map(|adopting| adopting.deadline).min()
    }
}

impl Run {
    /// The load failed: every asker is told why.
    pub(super) fn refuse(self, text: &str, out: &mut Vec<Effect>) {
        for asker in self.askers {
            asker.answer(500, text, out);
        }
    }
}

impl Adopting {
    /// `done`: when the last worker adopted, `None` if one has not.
    fn tell(&mut self, done: Option<Instant>, answer: Duration, workers: &Workers, out: &mut Vec<Effect>) {
        let took = match done {
            Some(now) => format!("in {}", span(now - self.started)),
            None => format!("after {}", span(answer)),
        };
        let what = if self.changed { "loaded" } else { "unchanged" };
        let (on, total) = (workers.on(self.epoch), workers.total());
        let text = format!("gateway config {what}: epoch {} on {on}/{total} cores {took}", self.epoch);
        let worth_a_line = self.changed || self.late || self.askers.contains(&Asker::Operator);
        let level = if on < total { Level::Warn } else { Level::Info };
        out.push(Effect::Say(if worth_a_line { level } else { Level::Debug }, text.clone()));
        for asker in mem::take(&mut self.askers) {
            asker.answer(200, &text, out);
        }
    }
}

impl Asker {
    fn answer(self, status: u16, text: &str, out: &mut Vec<Effect>) {
        match self {
            Self::Worker { worker, ticket } => {
                let text = text.into();
                out.push(Effect::Send { worker, order: Order::ReloadAnswer { ticket, status, text } });
            }
            // The service manager was told that it began.
            Self::Operator => out.push(Effect::Tell(Notice::Ready)),
            Self::Quiet => {}
        }
    }
}

/// A duration as people read it.
fn span(duration: Duration) -> String {
    match duration.as_millis() {
        ms if ms < 1_000 => format!("{ms} ms"),
        ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}
