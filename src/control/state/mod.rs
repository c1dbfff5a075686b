//! The desired state of the process: `apply(Event) → Effects`. No I/O, no clock, no task: the time is
//! passed in, and everything that happens because of an event is in the list that comes back.
//!
//! In scope: what is in force, who has adopted it, which endpoints are up, who waits for an answer,
//! when the process ends. Out of scope: reading files, probing, resolving, sending (`control::thread`).

mod admin;
mod doors;
mod effect;
mod event;
mod notices;
mod pace;
mod place;
mod publish;
mod reload;
mod roll;
mod rows;
mod stop;
mod tally;
#[cfg(test)]
mod tests;
mod upgrade;
mod view;
mod vigil;
mod workers;

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin::Admin;
use doors::Doors;
use publish::Publisher;
use reload::Reload;
use roll::Roll;
use rows::RowBook;
use stop::Stop;
use upgrade::Upgrade;
use view::Loads;
use vigil::Vigil;
use workers::Workers;

pub(crate) use doors::Opening;
pub(crate) use effect::{Effect, Level};
pub(crate) use event::{Event, Reading};
pub(crate) use pace::Pace;
pub(crate) use place::{CheckerId, Spot, Target};
pub(crate) use reload::Asker;
pub(crate) use upgrade::{Predecessor, Successor, Wisher};
pub(crate) use view::{Stage, View, WorkerView};

use super::bind::{Opened, Wanted};
use super::books::Subject;
use super::systemd::Notice;
use super::upgrade::Said;
use crate::config::{Fault, InForce, Loaded, Process};
use crate::ids::{EpochId, WorkerId};
use crate::limits;
use crate::wall::link::Report;
use crate::wall::words::counted;

/// What a process is born into.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Birth {
    /// Another process serves and waits for this one to prove itself.
    pub(crate) has_predecessor: bool,
    /// How long the service manager waits for a sign of life.
    pub(crate) watchdog: Option<Duration>,
}

/// The desired state.
#[derive(Debug)]
pub(crate) struct State {
    pace: Pace,
    /// What the configuration in force asks of the process, but for what needs a restart: that stays as it was at start.
    process: Process,
    /// What the next load is held against.
    in_force: InForce,
    /// The files of the configuration in force while they are watched, or none.
    watched: Vec<PathBuf>,
    publisher: Publisher,
    roll: Roll,
    rows: RowBook,
    workers: Workers,
    doors: Doors,
    admin: Admin,
    /// Good, but for the listeners it wants, which are being opened.
    opening: Option<Box<Loaded>>,
    reload: Reload,
    loads: Loads,
    /// First and last change seen in the watched directories.
    touched: Option<(Instant, Instant)>,
    timer_due: Option<Instant>,
    stop: Option<Stop>,
    /// A signal has said so; a drain after an upgrade comes without one.
    told_to_stop: bool,
    /// Every worker has run on an epoch.
    serving: bool,
    upgrade: Upgrade,
    vigil: Vigil,
    watchdog: Option<Duration>,
    out: Vec<Effect>,
}

impl State {
    /// The state at start, and what it takes to get there: epoch 1 to every worker first.
    pub(crate) fn open(
        loaded: Loaded,
        listening: Opened,
        workers: impl IntoIterator<Item = WorkerId>,
        now: Instant,
        pace: Pace,
        birth: Birth,
    ) -> (Self, Vec<Effect>) {
        let Loaded { snapshot, process, warnings: _, files, fingerprint, read_s: _ } = loaded;
        let (mut roll, mut duties) = (Roll::default(), Vec::new());
        roll.take_up(&snapshot, EpochId(1), &mut duties);
        let mut rows = RowBook::default();
        let row_ids = rows.assign(&snapshot);
        let publisher = Publisher::open(snapshot, roll.publish(EpochId(1), now), row_ids, now, pace.health_gap);
        let mut state = Self {
            pace,
            in_force: InForce { fingerprint, files },
            watched: Vec::new(),
            publisher,
            roll,
            rows,
            workers: Workers::new(workers, now),
            doors: Doors::default(),
            admin: Admin::default(),
            opening: None,
            reload: Reload::default(),
            loads: Loads::default(),
            touched: None,
            timer_due: timer_after(now, &process),
            stop: None,
            told_to_stop: false,
            serving: false,
            upgrade: Upgrade::new(birth.has_predecessor),
            vigil: Vigil::default(),
            watchdog: birth.watchdog,
            out: Vec::new(),
            process,
        };
        let Opened { groups, admin } = listening;
        if !birth.has_predecessor {
            state.admin.answer(&mut state.out);
        }
        state.admin.replace(state.process.admin.as_ref(), admin, &mut state.out);
        state.chart();
        state.workers.offer(state.publisher.current(), &mut state.out);
        state.doors.replace(&state.process.listens, groups, EpochId(1), &state.workers, &mut state.out);
        state.out.push(Effect::UseLogs(Box::new(state.process.logs.clone())));
        state.out.push(Effect::UseServers(state.process.dns_servers.clone()));
        state.out.append(&mut duties);
        state.keep_keys();
        state.watch();
        let effects = mem::take(&mut state.out);
        (state, effects)
    }

    /// Takes in one event; returns what is to be done, in order.
    pub(crate) fn apply(&mut self, now: Instant, event: Event) -> Vec<Effect> {
        match event {
            Event::Report(report) => self.hear(now, report),
            Event::NotReplaced { worker, cause } => self.died(now, worker, &cause),
            Event::Silence => self.all_dead(now, "its end of the link is closed"),
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
            Event::UpgradeAsked { wisher, cores } => {
                let (timeout_ms, stopping) = (self.process.upgrade_timeout_ms, self.stop.is_some());
                self.upgrade.ask(wisher, cores, timeout_ms, stopping, &mut self.out);
            }
            Event::Successor(news) => {
                if self.upgrade.hear(news, &mut self.out) {
                    self.hand_over(now);
                }
            }
            Event::Predecessor(news) => {
                if self.upgrade.hear_predecessor(news, &mut self.out) && self.serving {
                    self.take_office(now);
                }
            }
            Event::Watched(whom) => self.out.push(Effect::Show(whom, Box::new(self.view(now)))),
            Event::ReopenLogs => self.out.push(Effect::ReopenLogs),
            Event::Stop => self.stop(now),
            Event::Due => {}
        }
        self.settle(now);
        mem::take(&mut self.out)
    }

    /// What is to be accounted for.
    pub(crate) fn subject(&self) -> Subject {
        Subject { epoch: self.publisher.current().clone(), store: self.process.store.clone() }
    }

    fn view(&self, now: Instant) -> View {
        let stage = match (self.stop.is_some(), self.serving) {
            (true, _) => Stage::Stopping,
            (false, true) => Stage::Serving,
            (false, false) => Stage::Starting,
        };
        View {
            stage,
            epoch: self.publisher.current().clone(),
            workers: self.workers.view(),
            listens: self.process.listens.clone(),
            files: self.in_force.files.clone(),
            zone: self.process.zone.clone(),
            loads: self.loads.seen(now),
            replaced_total: self.workers.replaced_total(),
        }
    }

    /// When `Event::Due` is wanted, unless another event comes first.
    pub(crate) fn due(&self) -> Option<Instant> {
        let times = [
            self.publisher.due(),
            self.reload.due(),
            self.touch_due(),
            self.timer_due,
            self.stop.as_ref().map(Stop::due),
            self.workers.due().filter(|_| self.stop.is_none()),
            self.vigil.due(),
        ];
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
            let health = self.roll.publish(self.publisher.next_id(), now);
            let replaced = self.publisher.publish_health(health, now);
            self.chart();
            self.out.push(Effect::Free(replaced));
        }
        if self.stop.is_none() {
            self.workers.replace(now, &mut self.out);
        }
        self.workers.offer(self.publisher.current(), &mut self.out);
        if self.stop.is_none() {
            self.doors.offer(&self.workers, &mut self.out);
        }
        self.reload.settle(now, self.pace.answer, &self.workers, &mut self.out);
        self.serve_if_ready(now);
        self.vigil.settle(now, self.workers.running(), &mut self.out);
        self.end_if_over(now);
    }

    fn hear(&mut self, now: Instant, report: Report) {
        match report {
            Report::Ready { worker, driver } => self.workers.ready(worker, driver, &mut self.out),
            Report::Adopted { worker, epoch } => self.workers.adopted(worker, epoch, &mut self.out),
            Report::Listening { worker: _, listener } => self.doors.confirmed(listener),
            Report::Released { worker: _, epoch } => self.out.push(Effect::Free(epoch)),
            Report::ConnectFailed { epoch, endpoint } => {
                let flipped = self.roll.connect_failed(epoch, endpoint, &mut self.out);
                self.outdate_if(flipped);
            }
            Report::Noticed(noticed) => notices::tell(&self.roll, self.publisher.current(), noticed, &mut self.out),
            Report::ReloadAsked { worker, ticket } => self.ask(now, Asker::Worker { worker, ticket }),
            Report::Pong { worker } => {
                if self.vigil.answered(worker) {
                    self.all_alive();
                }
            }
            Report::Draining { worker, open } => {
                if let Some(stop) = &mut self.stop {
                    stop.draining(worker, open);
                }
            }
            Report::Drained { worker, cut, summary } => {
                self.vigil.ended(worker);
                if let Some(stop) = &mut self.stop {
                    stop.ended(worker);
                }
                self.out.push(Effect::Say(Level::Info, format!("worker {worker} has ended: {summary}")));
                self.workers.drained(worker, cut, &mut self.out);
            }
            Report::Died { worker, cause } => self.died(now, worker, &cause),
        }
    }

    fn died(&mut self, now: Instant, worker: WorkerId, cause: &str) {
        self.out.push(Effect::Say(Level::Error, format!("worker {worker} has died: {cause}")));
        self.vigil.ended(worker);
        self.workers.died(now, worker, &mut self.out);
        self.doors.orphan(worker);
        self.reload.forget(worker);
        if let Some(stop) = &mut self.stop {
            stop.ended(worker);
        }
        if self.upgrade.is_on_trial() {
            let why = format!("worker {worker} has died: {cause}");
            self.out.push(Effect::TellPredecessor(Said::Failed(why)));
        }
    }

    /// Says once that every worker serves.
    fn serve_if_ready(&mut self, now: Instant) {
        if self.serving || self.stop.is_some() || !self.workers.all_started() || !self.doors.all_open() {
            return;
        }
        self.serving = true;
        self.out.push(Effect::Ready(self.workers.drivers()));
        if self.upgrade.is_on_trial() {
            self.out.push(Effect::TellPredecessor(Said::Ready));
            self.vigil.keep(Some(Duration::from_millis(limits::UPGRADE_SIGN_MS)), now);
        } else {
            self.take_office(now);
        }
    }

    /// This process is the gateway from now on.
    fn take_office(&mut self, now: Instant) {
        self.admin.answer(&mut self.out);
        self.out.push(Effect::WritePid);
        self.out.push(Effect::Tell(Notice::Ready));
        let line = format!("serving with {}", counted(self.workers.running().count(), "worker"));
        self.out.push(Effect::Tell(Notice::Status(line)));
        self.vigil.keep(self.watchdog.map(|watchdog| watchdog / 2), now);
    }

    /// Every worker that runs has answered.
    fn all_alive(&mut self) {
        if self.workers.died_total() > 0 {
            return;
        }
        if self.upgrade.is_on_trial() {
            self.out.push(Effect::TellPredecessor(Said::Alive));
        } else if !self.upgrade.has_handed_over() && self.watchdog.is_some() {
            self.out.push(Effect::Tell(Notice::Alive));
        }
    }

    fn all_dead(&mut self, now: Instant, cause: &str) {
        let left: Vec<WorkerId> = self.workers.running().collect();
        for worker in left {
            self.died(now, worker, cause);
        }
    }

    /// What is in force is shown before any worker runs on it: their counts need memory.
    fn chart(&mut self) {
        self.out.push(Effect::Chart(Arc::clone(self.publisher.current())));
    }

    fn outdate_if(&mut self, changed: bool) {
        if changed {
            self.publisher.outdate();
        }
    }

    fn ask(&mut self, now: Instant, asker: Asker) {
        self.reload.ask(asker);
        if self.stop.is_some() {
            self.reload.refuse(&mut self.out);
        }
        self.start_load(now);
    }

    fn start_load(&mut self, now: Instant) {
        if self.reload.start(now) {
            if self.reload.is_operators() {
                self.out.push(Effect::Tell(Notice::Reloading));
            }
            self.out.push(Effect::Load { in_force: self.in_force.clone() });
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
                let listeners = self.doors.missing(&loaded.process.listens);
                let admin = self.admin.missing(loaded.process.admin.as_ref());
                self.opening = Some(loaded);
                match listeners.is_empty() && admin.is_none() {
                    true => self.opened(now, Ok(Opened::default())),
                    false => self.out.push(Effect::Open(Wanted { listeners, admin })),
                }
            }
            Reading::Same => self.in_force(now, false),
        }
    }

    /// What the load wants opened is, so it takes effect; or it is not, so nothing does.
    fn opened(&mut self, now: Instant, opened: Result<Opened, Vec<String>>) {
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
        let epoch = self.publisher.current().id;
        let what = if changed { "loaded" } else { "unchanged" };
        if !changed && self.loads.last_was_refused() {
            let line = format!("the files are good again: what they say is in force, epoch {epoch}");
            self.out.push(Effect::Say(Level::Info, line));
        }
        self.loads.taken_total += u64::from(changed);
        self.loads.ended(now, true, format!("{what}: epoch {epoch}"));
        if changed {
            self.out.push(Effect::CountReload { loaded: true });
        }
        self.reload.await_adoption(run, epoch, changed, now + self.pace.answer);
        self.start_load(now);
    }

    fn not_loaded(&mut self, now: Instant, reasons: &str) {
        let Some(run) = self.reload.ended() else { return };
        self.out.push(Effect::CountReload { loaded: false });
        let line = format!("configuration not loaded; epoch {} stays in force", self.publisher.current().id);
        self.out.push(Effect::Say(Level::Error, line));
        self.loads.refused_total += 1;
        self.loads.ended(now, false, reasons.to_owned());
        run.refuse(reasons, &mut self.out);
        self.start_load(now);
    }

    fn put_in_force(&mut self, now: Instant, loaded: Loaded, opened: Opened) {
        let Loaded { mut snapshot, process, warnings, files, fingerprint, read_s } = loaded;
        snapshot.go_on(&self.publisher.current().snapshot, read_s);
        self.in_force = InForce { fingerprint, files };
        self.say_faults(&warnings);
        self.take_up_process(now, process);
        let first = self.publisher.next_id();
        self.roll.take_up(&snapshot, first, &mut self.out);
        let health = self.roll.publish(first, now);
        let row_ids = self.rows.assign(&snapshot);
        let replaced = self.publisher.publish(snapshot, health, row_ids, now);
        self.chart();
        self.out.push(Effect::Free(replaced));
        let epoch = self.publisher.current().id;
        self.admin.replace(self.process.admin.as_ref(), opened.admin, &mut self.out);
        self.doors.replace(&self.process.listens, opened.groups, epoch, &self.workers, &mut self.out);
        self.out.push(Effect::Account(self.subject()));
        self.keep_keys();
        self.watch();
    }

    fn keep_keys(&mut self) {
        let sets = self.publisher.current().snapshot.key_sets().cloned().collect();
        self.out.push(Effect::KeepKeys(sets));
    }

    fn take_up_process(&mut self, now: Instant, mut process: Process) {
        if process.rate_keys_max != self.process.rate_keys_max {
            let (asked, kept) = (process.rate_keys_max, self.process.rate_keys_max);
            let line = format!("http.rate_keys_max is now {asked} and needs a restart; still {kept}");
            self.out.push(Effect::Say(Level::Warn, line));
            process.rate_keys_max = kept;
        }
        if process.account != self.process.account {
            let line = "base.user and base.group are others now and need a restart".to_owned();
            self.out.push(Effect::Say(Level::Warn, line));
            process.account.clone_from(&self.process.account);
        }
        if process.stats_dir != self.process.stats_dir {
            let line = "base.stats_dir is another now and needs a restart".to_owned();
            self.out.push(Effect::Say(Level::Warn, line));
            process.stats_dir.clone_from(&self.process.stats_dir);
        }
        if process.dns_servers != self.process.dns_servers {
            self.out.push(Effect::UseServers(process.dns_servers.clone()));
        }
        if process.logs != self.process.logs {
            self.out.push(Effect::UseLogs(Box::new(process.logs.clone())));
        }
        if process.export != self.process.export {
            self.out.push(Effect::Export(process.export.clone().map(Box::new)));
        }
        if process.reload_interval_ms != self.process.reload_interval_ms {
            self.timer_due = timer_after(now, &process);
        }
        self.process = process;
    }

    fn watch(&mut self) {
        let wanted = if self.process.reload_on_change { self.in_force.files.clone() } else { Vec::new() };
        if wanted != self.watched {
            self.watched.clone_from(&wanted);
            self.out.push(Effect::Watch(wanted));
        }
    }

    fn touch_due(&self) -> Option<Instant> {
        self.touched.map(|(first, last)| (last + self.pace.settle).min(first + self.pace.settle_max))
    }

    fn say_faults(&mut self, faults: &[Fault]) {
        let level = |fault: &Fault| if fault.warning { Level::Warn } else { Level::Error };
        self.out.extend(faults.iter().map(|fault| Effect::Say(level(fault), fault.without_kind())));
    }
}

fn timer_after(now: Instant, process: &Process) -> Option<Instant> {
    (process.reload_interval_ms > 0).then(|| now + Duration::from_millis(process.reload_interval_ms))
}
