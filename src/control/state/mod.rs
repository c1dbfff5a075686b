//! The desired state of the process: `apply(Event) → Effects`. No I/O, no clock, no task: the time is
//! passed in, and everything that happens because of an event is in the list that comes back.
//!
//! In scope: what is in force, who has adopted it, which endpoints are up, who waits for an answer,
//! when the process ends. Out of scope: reading files, probing, resolving, sending (`control::thread`).

mod doors;
mod effect;
mod event;
mod place;
mod publish;
mod reload;
mod roll;
mod tally;
#[cfg(test)]
mod tests;
mod workers;

use std::mem;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use doors::Doors;
use publish::Publisher;
use reload::Reload;
use roll::Roll;
use workers::Workers;

pub(crate) use doors::Opening;
pub(crate) use effect::{Effect, Level};
pub(crate) use event::{Event, Reading};
pub(crate) use place::{CheckerId, Spot, Target};
pub(crate) use reload::Asker;

use super::Outcome;
use super::bind::Group;
use crate::config::{Fault, Loaded, Process};
use crate::ids::{EpochId, WorkerId};
use crate::limits;
use crate::wall::link::{Order, Report};

/// The times that tests shorten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two health epochs.
    pub(crate) health_gap: Duration,
    /// Whoever asked for a reload is answered after this, whether or not every worker has adopted.
    pub(crate) answer: Duration,
    /// A watched directory has to be quiet this long.
    pub(crate) settle: Duration,
    /// A change is read after this at the latest.
    pub(crate) settle_max: Duration,
    /// How long a worker may overrun the drain window.
    pub(crate) grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            health_gap: Duration::from_millis(limits::HEALTH_EPOCH_GAP_MS),
            answer: Duration::from_millis(limits::RELOAD_ANSWER_MS),
            settle: Duration::from_millis(limits::FILE_SETTLE_MS),
            settle_max: Duration::from_millis(limits::FILE_SETTLE_MAX_MS),
            grace: Duration::from_millis(limits::DRAIN_GRACE_MS),
        }
    }
}

/// The desired state.
#[derive(Debug)]
pub(crate) struct State {
    pace: Pace,
    /// The configuration's as last loaded.
    process: Process,
    files: Vec<PathBuf>,
    /// Stands for the text in force.
    fingerprint: u64,
    publisher: Publisher,
    roll: Roll,
    workers: Workers,
    doors: Doors,
    /// Good, but for the listeners it wants, which are being opened.
    opening: Option<Box<Loaded>>,
    reload: Reload,
    /// First and last change seen in the watched directories.
    touched: Option<(Instant, Instant)>,
    timer_due: Option<Instant>,
    /// When to stop waiting for workers that drain.
    stop_due: Option<Instant>,
    out: Vec<Effect>,
}

impl State {
    /// The state at start, and what it takes to get there: epoch 1 to every worker first.
    pub(crate) fn open(
        loaded: Loaded,
        listening: Vec<Group>,
        workers: impl IntoIterator<Item = WorkerId>,
        now: Instant,
        pace: Pace,
    ) -> (Self, Vec<Effect>) {
        let Loaded { snapshot, process, warnings: _, files, fingerprint } = loaded;
        let (mut roll, mut duties) = (Roll::default(), Vec::new());
        roll.take_up(&snapshot, EpochId(1), &mut duties);
        let publisher = Publisher::open(snapshot, roll.publish(EpochId(1)), now, pace.health_gap);
        let mut state = Self {
            pace,
            files: Vec::new(),
            fingerprint,
            publisher,
            roll,
            workers: Workers::new(workers),
            doors: Doors::default(),
            opening: None,
            reload: Reload::default(),
            touched: None,
            timer_due: timer_after(now, &process),
            stop_due: None,
            out: Vec::new(),
            process,
        };
        state.workers.offer(state.publisher.current(), &mut state.out);
        state.doors.replace(&state.process.listens, listening, EpochId(1), &state.workers, &mut state.out);
        state.out.push(Effect::UseServers(state.process.dns_servers.clone()));
        state.out.append(&mut duties);
        state.watch(files);
        let effects = mem::take(&mut state.out);
        (state, effects)
    }

    /// Takes in one event; returns what is to be done, in order.
    pub(crate) fn apply(&mut self, now: Instant, event: Event) -> Vec<Effect> {
        match event {
            Event::Report(report) => self.hear(now, report),
            Event::Silence => self.all_dead("its end of the link is closed"),
            Event::Asked(asker) => self.ask(now, asker),
            Event::Touched => self.touched = Some((self.touched.map_or(now, |(first, _)| first), now)),
            Event::Loaded(reading) => self.loaded(now, reading),
            Event::Opened(opened) => self.opened(now, opened),
            Event::Probed { checker, failure } => {
                let flipped = self.roll.probed(checker, failure.as_deref(), &mut self.out);
                self.outdate_if(flipped);
            }
            Event::Resolved { name, addresses } => {
                let changed = self.roll.resolved(&name, &addresses, &mut self.out);
                self.outdate_if(changed);
            }
            Event::Stop => self.stop(now),
            Event::Due => {}
        }
        self.settle(now);
        mem::take(&mut self.out)
    }

    /// When `Event::Due` is wanted, unless another event comes first.
    pub(crate) fn due(&self) -> Option<Instant> {
        let times = [self.publisher.due(), self.reload.due(), self.touch_due(), self.timer_due, self.stop_due];
        times.into_iter().flatten().min()
    }

    /// Does everything whose time has come.
    fn settle(&mut self, now: Instant) {
        if self.touch_due().is_some_and(|due| now >= due) {
            self.touched = None;
            self.ask(now, Asker::Quiet);
        }
        if self.timer_due.is_some_and(|due| now >= due) {
            self.timer_due = timer_after(now, &self.process);
            self.ask(now, Asker::Quiet);
        }
        if self.publisher.due().is_some_and(|due| now >= due) {
            let health = self.roll.publish(self.publisher.next_id());
            let replaced = self.publisher.publish_health(health, now);
            self.out.push(Effect::Free(replaced));
        }
        self.workers.offer(self.publisher.current(), &mut self.out);
        if self.stop_due.is_none() {
            self.doors.offer(&self.workers, &mut self.out);
        }
        self.workers.announce(self.doors.all_open(), &mut self.out);
        self.reload.settle(now, self.pace.answer, &self.workers, &mut self.out);
        self.end_if_over(now);
    }

    fn hear(&mut self, now: Instant, report: Report) {
        match report {
            Report::Ready { worker, driver } => self.workers.ready(worker, driver),
            Report::Adopted { worker, epoch } => self.workers.adopted(worker, epoch, &mut self.out),
            Report::Listening { worker: _, listener } => self.doors.confirmed(listener),
            Report::Released { worker: _, epoch } => self.out.push(Effect::Free(epoch)),
            Report::ConnectFailed { epoch, endpoint } => {
                let flipped = self.roll.connect_failed(epoch, endpoint, &mut self.out);
                self.outdate_if(flipped);
            }
            Report::ReloadAsked { worker, ticket } => self.ask(now, Asker::Worker { worker, ticket }),
            Report::Drained { worker, cut, summary } => {
                self.out.push(Effect::Say(Level::Info, format!("worker {worker} has ended: {summary}")));
                self.workers.drained(worker, cut, &mut self.out);
            }
            Report::Died { worker, cause } => self.died(worker, &cause),
        }
    }

    fn died(&mut self, worker: WorkerId, cause: &str) {
        self.out.push(Effect::Say(Level::Error, format!("worker {worker} has died: {cause}")));
        self.workers.died(worker, &mut self.out);
        self.doors.orphan(worker);
    }

    fn all_dead(&mut self, cause: &str) {
        let left: Vec<WorkerId> = self.workers.running().collect();
        for worker in left {
            self.died(worker, cause);
        }
    }

    fn outdate_if(&mut self, changed: bool) {
        if changed {
            self.publisher.outdate();
        }
    }

    fn ask(&mut self, now: Instant, asker: Asker) {
        self.reload.ask(asker);
        if self.stop_due.is_some() {
            self.reload.refuse(&mut self.out);
        }
        self.start_load(now);
    }

    fn start_load(&mut self, now: Instant) {
        if self.reload.start(now) {
            self.out.push(Effect::Load { in_force: self.fingerprint });
        }
    }

    fn loaded(&mut self, now: Instant, reading: Reading) {
        if !self.reload.is_running() {
            return;
        }
        match reading {
            Reading::Faulty(faults) => {
                self.say_faults(&faults);
                let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
                self.not_loaded(now, &lines.join("\n"));
            }
            Reading::New(loaded) => {
                let missing = self.doors.missing(&loaded.process.listens);
                self.opening = Some(loaded);
                match missing.is_empty() {
                    true => self.opened(now, Ok(Vec::new())),
                    false => self.out.push(Effect::Open(missing)),
                }
            }
            Reading::Same => self.in_force(now, false),
        }
    }

    /// What the load wants opened is, so it takes effect; or it is not, so nothing does.
    fn opened(&mut self, now: Instant, opened: Result<Vec<Group>, Vec<String>>) {
        let Some(loaded) = self.opening.take() else { return };
        match opened {
            Ok(opened) if self.reload.is_running() => {
                self.put_in_force(now, *loaded, opened);
                self.in_force(now, true);
            }
            Ok(_) => {}
            Err(reasons) => {
                self.out.extend(reasons.iter().map(|reason| Effect::Say(Level::Error, reason.clone())));
                self.not_loaded(now, &reasons.join("\n"));
            }
        }
    }

    fn in_force(&mut self, now: Instant, changed: bool) {
        let Some(run) = self.reload.ended() else { return };
        self.reload.await_adoption(run, self.publisher.current().id, changed, now + self.pace.answer);
        self.start_load(now);
    }

    fn not_loaded(&mut self, now: Instant, reasons: &str) {
        let Some(run) = self.reload.ended() else { return };
        let line = format!("configuration not loaded; epoch {} stays in force", self.publisher.current().id);
        self.out.push(Effect::Say(Level::Error, line));
        run.refuse(reasons, &mut self.out);
        self.start_load(now);
    }

    fn put_in_force(&mut self, now: Instant, loaded: Loaded, opened: Vec<Group>) {
        let Loaded { snapshot, process, warnings, files, fingerprint } = loaded;
        self.fingerprint = fingerprint;
        self.say_faults(&warnings);
        self.take_up_process(now, process);
        let first = self.publisher.next_id();
        self.roll.take_up(&snapshot, first, &mut self.out);
        let health = self.roll.publish(first);
        let replaced = self.publisher.publish(snapshot, health, now);
        self.out.push(Effect::Free(replaced));
        let epoch = self.publisher.current().id;
        self.doors.replace(&self.process.listens, opened, epoch, &self.workers, &mut self.out);
        self.watch(files);
    }

    fn take_up_process(&mut self, now: Instant, mut process: Process) {
        if process.rate_keys_max != self.process.rate_keys_max {
            let (asked, kept) = (process.rate_keys_max, self.process.rate_keys_max);
            let line = format!("http.rate_keys_max is now {asked} and needs a restart; still {kept}");
            self.out.push(Effect::Say(Level::Warn, line));
            process.rate_keys_max = kept;
        }
        if process.dns_servers != self.process.dns_servers {
            self.out.push(Effect::UseServers(process.dns_servers.clone()));
        }
        if process.reload_interval_ms != self.process.reload_interval_ms {
            self.timer_due = timer_after(now, &process);
        }
        self.process = process;
    }

    fn watch(&mut self, files: Vec<PathBuf>) {
        let wanted = if self.process.reload_on_change { files } else { Vec::new() };
        if wanted != self.files {
            self.files.clone_from(&wanted);
            self.out.push(Effect::Watch(wanted));
        }
    }

    fn touch_due(&self) -> Option<Instant> {
        self.touched.map(|(first, last)| (last + self.pace.settle).min(first + self.pace.settle_max))
    }

    fn say_faults(&mut self, faults: &[Fault]) {
        let level = |fault: &Fault| if fault.warning { Level::Warn } else { Level::Error };
        self.out.extend(faults.iter().map(|fault| Effect::Say(level(fault), fault.to_string())));
    }

    /// The first signal drains, the second ends at once.
    fn stop(&mut self, now: Instant) {
        if self.stop_due.is_some() {
            self.out.push(Effect::Say(Level::Warn, "stopping at once".into()));
            self.end(false);
            return;
        }
        let window_ms = self.process.drain_window_ms;
        self.stop_due = Some(now + Duration::from_millis(window_ms) + self.pace.grace);
        (self.touched, self.timer_due) = (None, None);
        self.out.push(Effect::Say(Level::Info, format!("stopping; exchanges have {window_ms} ms to finish")));
        self.reload.refuse(&mut self.out);
        for worker in self.workers.running() {
            self.out.push(Effect::Send { worker, order: Order::Drain { window_ms } });
        }
    }

    fn end_if_over(&mut self, now: Instant) {
        let left = self.workers.running().count();
        if left == 0 && self.stop_due.is_none() {
            self.out.push(Effect::End(Err("no worker is left".into())));
        } else if left == 0 {
            self.end(self.workers.died_total() == 0);
        } else if self.stop_due.is_some_and(|due| now >= due) {
            self.out.push(Effect::Say(Level::Error, format!("{left} workers have not ended in time")));
            self.end(false);
        }
    }

    fn end(&mut self, clean: bool) {
        let outcome = Outcome { clean, epochs: self.publisher.current().id.0, cut: self.workers.cut_total() };
        self.out.push(Effect::End(Ok(outcome)));
    }
}

fn timer_after(now: Instant, process: &Process) -> Option<Instant> {
    (process.reload_interval_ms > 0).then(|| now + Duration::from_millis(process.reload_interval_ms))
}
