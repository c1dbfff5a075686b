//! The loop: one event in, its effects out. It never waits for anything but the next event.
//!
//! In scope: turning effects into orders, tasks and helper threads. Out of scope: every decision
//! (`state`), and what the tasks do (`health`, `dns`, `watch`, `reload`, `signals`, `reports`).

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_blocking};
use tracing::{debug, error, info, warn};

use super::aside::aside;
use super::bind::Wanted;
use super::dns::Names;
use super::health::Checkers;
use super::journal::{self, CHECK, Journal};
use super::keys::KeySets;
use super::passage::Passage;
use super::state::{Birth, Effect, Event, Level, Pace, State};
use super::watch::Watch;
use super::watchers::Watchers;
use super::{Office, Outcome, Ready, Spawn, bind, reload, reports, signals};
use crate::config::Export;
use crate::config::logs::Logs;
use crate::ids::{ListenerId, WorkerId};
use crate::wall::epoch::Epoch;
use crate::wall::link::{ControlEnd, Order};
use crate::wall::listen::Entrance;
use crate::wall::words::counted;

/// Events that wait for the loop; whoever has one more waits instead.
const EVENTS_MAX: usize = 1_024;

/// The way to the loop and its end.
pub(super) type Channel = (mpsc::Sender<Event>, mpsc::Receiver<Event>);

/// Runs the loop, deaf to nothing.
pub(super) async fn serve(office: Office) -> io::Result<Outcome> {
    let channel = mpsc::channel(EVENTS_MAX);
    signals::listen(channel.0.clone())?;
    turn(office, Pace::default(), channel).await
}

/// The loop without its signals, so that a test can be the one who gives them.
pub(super) async fn turn(office: Office, pace: Pace, (events, mut inbox): Channel) -> io::Result<Outcome> {
    let Office { file, load, loaded, listening, links, spawn, reports, ready, life, stats, notes } = office;
    reports::listen(reports, events.clone())?;
    if let Some(journal) = notes.journal() {
        tokio::spawn(journal::watch(journal.clone()));
    }
    let mut watchers = Watchers::open(stats, notes, &file, &events)?;
    let reader = reload::Reader::new(file, load.into());
    let workers: Vec<WorkerId> = links.iter().map(|link| link.worker).collect();
    let birth = Birth { has_predecessor: life.predecessor.is_some(), watchdog: life.systemd.watchdog() };
    let passage = Passage::new(life, &events)?;
    let (mut state, mut effects) = State::open(loaded, listening, workers, Instant::now(), pace, birth);
    watchers.begin(state.subject()).await;
    let mut hands = Hands::new(links, spawn, reader, passage, watchers, events, ready);
    loop {
        for effect in effects {
            if let Some(end) = hands.perform(effect) {
                wind_up(&mut state, &mut hands, &mut inbox).await;
                return end;
            }
        }
        let event = tokio::select! {
            event = inbox.recv() => event.expect("the loop itself holds a sender"),
            () = until(state.due()) => Event::Due,
        };
        effects = state.apply(Instant::now(), event);
    }
}

/// Whoever looks on is answered still, and what was counted is kept.
async fn wind_up(state: &mut State, hands: &mut Hands, inbox: &mut mpsc::Receiver<Event>) {
    let mut answered = pin!(hands.watchers.admin.finish());
    loop {
        let question = tokio::select! {
            () = &mut answered => break,
            event = inbox.recv() => match event {
                Some(question @ Event::Watched(_)) => question,
                // Nothing else matters any more.
                _ => continue,
            },
        };
        for effect in state.apply(Instant::now(), question) {
            if let Effect::Show(..) = effect {
                let _ = hands.perform(effect);
            }
        }
    }
    hands.watchers.books.close().await;
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// What carries out the effects.
struct Hands {
    links: HashMap<WorkerId, ControlEnd>,
    spawn: Box<Spawn>,
    /// The process's own handle on every listening socket.
    sockets: HashMap<ListenerId, Vec<TcpListener>>,
    reader: reload::Reader,
    checkers: Checkers,
    names: Names,
    keys: KeySets,
    watch: Watch,
    passage: Passage,
    watchers: Watchers,
    events: mpsc::Sender<Event>,
    ready: Option<Box<Ready>>,
    /// How often statistics are logged, and by whom.
    statistics: Option<(Duration, AbortHandle)>,
}

impl Hands {
    fn new(
        links: Vec<ControlEnd>,
        spawn: Box<Spawn>,
        reader: reload::Reader,
        passage: Passage,
        watchers: Watchers,
        events: mpsc::Sender<Event>,
        ready: Box<Ready>,
    ) -> Self {
        Self {
            links: links.into_iter().map(|link| (link.worker, link)).collect(),
            spawn,
            sockets: HashMap::new(),
            reader,
            checkers: Checkers::new(events.clone()),
            names: Names::new(events.clone()),
            keys: KeySets::default(),
            watch: Watch::default(),
            passage,
            watchers,
            events,
            ready: Some(ready),
            statistics: None,
        }
    }

    /// Does one thing; the last one is to end.
    fn perform(&mut self, effect: Effect) -> Option<io::Result<Outcome>> {
        match effect {
            Effect::Send { worker, order } => self.send(worker, order),
            Effect::Replace(worker) => self.replace(worker),
            Effect::Load { in_force } => self.reader.start(in_force, self.events.clone()),
            Effect::Open(wanted) => self.open(wanted),
            Effect::OpenAdmin(socket) => self.watchers.admin.open(socket),
            Effect::AskForToken(token) => self.watchers.admin.ask_for(token),
            Effect::CloseAdmin => self.watchers.admin.close(),
            Effect::Show(whom, view) => drop(whom.send(view)),
            Effect::Account(subject) => self.watchers.books.take_up(subject),
            Effect::Hold(listener, sockets) => drop(self.sockets.insert(listener, sockets)),
            Effect::Deal { worker, listener, entrance, socket } => self.deal(worker, listener, entrance, socket),
            Effect::Close(listener) => drop(self.sockets.remove(&listener)),
            Effect::Check(added) => self.checkers.start(added),
            Effect::Uncheck(id) => self.checkers.stop(id),
            Effect::ProbeNow(id) => self.checkers.probe_now(id),
            Effect::UseServers(servers) => self.names.use_servers(servers),
            Effect::Resolve(name) => self.names.follow(name),
            Effect::Forget(name) => self.names.forget(&name),
            Effect::Watch(files) => self.watch.follow(files, self.events.clone()),
            Effect::KeepKeys(sets) => self.keys.follow(sets),
            Effect::Chart(epoch) => self.watchers.chart.show(&epoch),
            Effect::CountReload { loaded } => self.watchers.chart.count_reload(loaded),
            Effect::Free(epoch) => free(epoch),
            Effect::Say(level, line) => say(level, &line),
            Effect::SayOfHealth(level, line) => say_of_health(level, &line),
            Effect::UseLogs(logs) => self.use_logs(*logs),
            Effect::Export(export) => self.export(export),
            Effect::ReopenLogs => self.watchers.notes.journal().into_iter().for_each(Journal::reopen),
            Effect::Ready(drivers) => {
                if let Some(ready) = self.ready.take() {
                    ready(&drivers);
                }
            }
            Effect::Tell(notice) => self.passage.tell(&notice),
            Effect::ForgetSuccessor => self.passage.forget_successor(),
            Effect::ForgetPredecessor => self.passage.forget_predecessor(),
            Effect::TellPredecessor(said) => self.passage.tell_predecessor(&said),
            Effect::StartSuccessor { cores, timeout_ms } => {
                let held = self.sockets.values().flatten().chain(self.watchers.admin.socket());
                let sockets = held.map(|socket| socket.try_clone().map(OwnedFd::from)).collect();
                self.passage.start_successor(cores, timeout_ms, sockets);
            }
            Effect::AbandonSuccessor => self.passage.abandon_successor(),
            Effect::YieldToSuccessor => self.passage.yield_to_successor(),
            Effect::AnswerDesk { number, outcome } => self.passage.answer(number, outcome),
            Effect::WritePid => self.passage.write_pid(),
            Effect::End(end) => return Some(finish(end)),
        }
        None
    }

    /// Binding waits a while for an address that is taken: not here.
    fn open(&self, wanted: Wanted) {
        let (count, events) = (self.links.len(), self.events.clone());
        tokio::spawn(async move {
            let opened = spawn_blocking(move || bind::open_all(&wanted, count)).await;
            let opened = opened.unwrap_or_else(|panic| Err(vec![format!("opening listeners broke down: {panic}")]));
            let _ = events.send(Event::Opened(opened)).await;
        });
    }

    fn deal(&self, worker: WorkerId, listener: ListenerId, entrance: Entrance, socket: usize) {
        let Some(held) = self.sockets.get(&listener).and_then(|sockets| sockets.get(socket)) else { return };
        match held.try_clone() {
            Ok(socket) => self.send(worker, Order::Listen { listener, entrance, socket }),
            Err(error) => error!("worker {worker} cannot be given a listening socket: {error}"),
        }
    }

    fn replace(&mut self, worker: WorkerId) {
        match (self.spawn)(worker) {
            Ok(link) => drop(self.links.insert(worker, link)),
            Err(error) => {
                let (events, cause) = (self.events.clone(), format!("cannot be started: {error}"));
                tokio::spawn(async move { events.send(Event::NotReplaced { worker, cause }).await });
            }
        }
    }

    fn use_logs(&mut self, logs: Logs) {
        self.watchers.notes.follow(&logs);
        let every = logs.stat.any().then(|| Duration::from_secs(logs.stat_interval_s.into()));
        if self.statistics.as_ref().map(|(every, _)| *every) != every {
            self.statistics.take().into_iter().for_each(|(_, telling)| telling.abort());
            let from_start = self.ready.is_some();
            self.statistics = every.map(|every| {
                let telling = journal::tell_statistics(self.watchers.stats, every, from_start);
                (every, tokio::spawn(telling).abort_handle())
            });
        }
        if let Some(journal) = self.watchers.notes.journal() {
            journal.use_logs(logs);
        }
    }

    fn export(&self, export: Option<Box<Export>>) {
        if let Some(journal) = self.watchers.notes.journal() {
            journal.export(export.map(|export| *export));
        }
    }

    fn send(&self, worker: WorkerId, order: Order) {
        if let Some(link) = self.links.get(&worker) {
            link.send(order);
        }
    }
}

/// A snapshot of thousands of services takes milliseconds to drop: not here.
fn free(epoch: Arc<Epoch>) {
    if let Some(last) = Arc::into_inner(epoch) {
        tokio::spawn(aside(move || drop(last)));
    }
}

fn say(level: Level, line: &str) {
    match level {
        Level::Debug => debug!("{line}"),
        Level::Info => info!("{line}"),
        Level::Warn => warn!("{line}"),
        Level::Error => error!("{line}"),
    }
}

fn say_of_health(level: Level, line: &str) {
    match level {
        Level::Debug => debug!(target: CHECK, "{line}"),
        Level::Info => info!(target: CHECK, "{line}"),
        Level::Warn => warn!(target: CHECK, "{line}"),
        Level::Error => error!(target: CHECK, "{line}"),
    }
}

fn finish(end: Result<Outcome, String>) -> io::Result<Outcome> {
    let outcome = end.map_err(io::Error::other)?;
    let Outcome { epochs, cut, replaced, .. } = outcome;
    let [epochs, cut, replaced] =
        [(epochs, "epoch"), (cut, "exchange"), (replaced, "worker")].map(|(count, what)| counted(count, what));
    info!("stopped: {epochs} published, {cut} cut, {replaced} replaced");
    Ok(outcome)
}
