//! Every event and its effects, without a clock, a socket or a file.

mod adoption;
mod deaths;
mod doors;
mod health;
mod reload;
mod stop;
mod upgrade;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::control::bind::{Group, Opened};
use crate::control::tests::house::{fault, process, snapshot, unserved};
use crate::ids::EndpointId;
use crate::wall::health::{EndpointHealth, Verdict};
use crate::wall::link::Order;
use crate::wall::listen::Entrance;
use crate::wall::snapshot::{Address, Check, CheckMethod};

/// A state, its time, and the effects not looked at yet.
struct Desk {
    state: State,
    now: Instant,
    effects: Vec<Effect>,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn check(interval_ms: u32) -> Check {
    Check { method: CheckMethod::Tcp, interval_ms, timeout_ms: 1_000, rise: 1, fall: 1 }
}

/// Endpoints as `10.0.0.1:80` or `name:80`, one service each.
fn loaded(nodes: &[&str]) -> Loaded {
    let endpoints = nodes.iter().map(|node| (address(node), check(1_000))).collect();
    Loaded {
        snapshot: snapshot(endpoints),
        process: process(),
        warnings: Vec::new(),
        files: vec!["a.toml".into()],
        fingerprint: 1,
        read_s: 0,
    }
}

fn address(node: &str) -> Address {
    node.parse().map(Address::Socket).unwrap_or_else(|_| {
        let (name, port) = node.rsplit_once(':').expect("name and port");
        Address::Name(name.into(), port.parse().expect("port"))
    })
}

impl Desk {
    /// Two workers that run on epoch 1.
    fn open(nodes: &[&str]) -> Self {
        let mut desk = Self::unadopted(loaded(nodes));
        desk.all_adopt(1);
        desk.effects.clear();
        desk
    }

    /// Two workers that have not said anything.
    fn unadopted(loaded: Loaded) -> Self {
        let listening = unserved(&loaded.process.listens);
        Self::behind(loaded, listening)
    }

    /// The same with listeners.
    fn behind(loaded: Loaded, groups: Vec<Group>) -> Self {
        let listening = Opened { groups, admin: None };
        let now = Instant::now();
        let workers = [WorkerId(0), WorkerId(1)];
        let (state, effects) = State::open(loaded, listening, workers, now, Pace::default(), Birth::default());
        Self { state, now, effects }
    }

    fn apply(&mut self, event: Event) {
        let effects = self.state.apply(self.now, event);
        self.effects.extend(effects);
    }

    fn report(&mut self, report: Report) {
        self.apply(Event::Report(report));
    }

    fn adopt(&mut self, worker: u16, epoch: u64) {
        self.report(Report::Adopted { worker: WorkerId(worker), epoch: EpochId(epoch) });
    }

    fn all_adopt(&mut self, epoch: u64) {
        self.adopt(0, epoch);
        self.adopt(1, epoch);
    }

    fn probe(&mut self, checker: u64, passed: bool) {
        let failure = (!passed).then(|| "test".to_owned());
        self.apply(Event::Probed { checker: CheckerId(checker), failure });
    }

    fn connect_failed(&mut self, epoch: u64, endpoint: u32) {
        self.report(Report::ConnectFailed { epoch: EpochId(epoch), endpoint: EndpointId(endpoint) });
    }

    fn ask(&mut self, ticket: u64) {
        self.report(Report::ReloadAsked { worker: WorkerId(0), ticket });
    }

    /// The load under way ends with a configuration of its own.
    fn load(&mut self, loaded: Loaded) {
        self.apply(Event::Loaded(Reading::New(Box::new(loaded))));
    }

    /// Lets time pass, waking the state whenever it asked for it.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.state.due().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.apply(Event::Due);
            assert!(self.state.due() != Some(due), "a time that has come must not be asked for again");
        }
        self.now = end;
    }

    fn epoch(&self) -> u64 {
        self.state.publisher.current().id.0
    }

    fn health(&self, endpoint: u32) -> EndpointHealth {
        self.state.publisher.current().health.of(EndpointId(endpoint)).clone()
    }

    fn verdict(&self, endpoint: u32) -> Verdict {
        self.health(endpoint).verdict
    }

    /// The effects since last asked, as short words.
    fn did(&mut self) -> Vec<String> {
        self.effects.drain(..).filter_map(|effect| word(&effect)).collect()
    }

    /// The same, only those that begin like this.
    fn did_only(&mut self, start: &str) -> Vec<String> {
        self.did().into_iter().filter(|word| word.starts_with(start)).collect()
    }
}

/// An effect in short; lines of the log only from `Warn` on.
fn word(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Send { worker, order: Order::Adopt(epoch) } => format!("adopt {} to {worker}", epoch.id),
        Effect::Send { worker, order: Order::ReloadAnswer { ticket, status, text } } => {
            format!("answer {ticket} to {worker}: {status} {text}")
        }
        Effect::Send { worker, order: Order::Drain { delay_ms, window_ms, goes_on } } => {
            let more = if *goes_on { " and go on" } else { "" };
            format!("drain {delay_ms}+{window_ms} to {worker}{more}")
        }
        Effect::Send { worker, order: Order::Unlisten { listener } } => format!("unlisten {listener} at {worker}"),
        Effect::Send { worker, order: Order::Listen { .. } } => format!("listen at {worker}"),
        Effect::Open(wanted) => {
            let shown = wanted
                .listeners
                .iter()
                .map(|one| format!("{}{}", one.listen, if one.beside_own { " beside" } else { "" }));
            format!("open {}", shown.collect::<Vec<_>>().join(" "))
        }
        Effect::Hold(listener, sockets) => format!("hold {} of {listener}", sockets.len()),
        Effect::Deal { worker, listener, entrance: Entrance::Http, socket } => {
            format!("deal {listener}.{socket} to {worker}")
        }
        Effect::Deal { worker, listener, entrance: Entrance::Tcp { service }, socket } => {
            format!("deal {listener}.{socket} to {worker} for {service}")
        }
        Effect::OpenAdmin(_) => "open admin".to_owned(),
        Effect::CloseAdmin => "close admin".to_owned(),
        Effect::AskForToken(token) => format!("ask for {token:?}"),
        Effect::Account(_) | Effect::KeepKeys(_) | Effect::Show(..) => return None,
        Effect::Close(listener) => format!("close {listener}"),
        Effect::Load { in_force } => format!("load unless {}", in_force.fingerprint),
        Effect::Check(added) => {
            let shown: Vec<String> = added.iter().map(|(id, target)| format!("{}={}", id.0, target.spot)).collect();
            format!("check {}", shown.join(" "))
        }
        Effect::Uncheck(id) => format!("uncheck {}", id.0),
        Effect::ProbeNow(id) => format!("probe {}", id.0),
        Effect::UseServers(servers) => format!("servers {servers:?}"),
        Effect::Resolve(name) => format!("resolve {name}"),
        Effect::Forget(name) => format!("forget {name}"),
        Effect::Watch(files) => format!("watch {files:?}"),
        Effect::Chart(_) | Effect::CountReload { .. } => return None,
        Effect::Free(epoch) => format!("free {}", epoch.id),
        Effect::Say(Level::Debug | Level::Info, _) | Effect::SayOfHealth(Level::Debug | Level::Info, _) => return None,
        Effect::Say(level, line) | Effect::SayOfHealth(level, line) => format!("{level:?}: {line}"),
        Effect::UseLogs(_) => return None,
        Effect::Export(Some(export)) => format!("spans to {}", export.authority),
        Effect::Export(None) => "no spans".into(),
        Effect::ReopenLogs => "reopen the logs".into(),
        Effect::Ready(drivers) => format!("ready: {drivers}"),
        Effect::Send { worker, order: Order::Ping } => format!("ping {worker}"),
        Effect::Tell(Notice::Status(_)) => return None,
        Effect::Tell(notice) => format!("tell {notice:?}"),
        Effect::TellPredecessor(said) => format!("tell the old one {said:?}"),
        Effect::StartSuccessor { cores, timeout_ms } => format!("start {cores:?} within {timeout_ms}"),
        Effect::ForgetSuccessor | Effect::ForgetPredecessor => return None,
        Effect::AbandonSuccessor => "abandon".into(),
        Effect::YieldToSuccessor => "yield".into(),
        Effect::WritePid => "pid".into(),
        Effect::AnswerDesk { number, outcome } => format!("desk {number}: {outcome:?}"),
        Effect::End(Ok(outcome)) => {
            format!("end clean={} epochs={} cut={}", outcome.clean, outcome.epochs, outcome.cut)
        }
        Effect::Replace(worker) => format!("replace {worker}"),
        Effect::End(Err(why)) => format!("end: {why}"),
    })
}

fn faults() -> Vec<Fault> {
    vec![fault(Path::new("a.toml"), "one"), Fault { warning: true, ..fault(Path::new("a.toml"), "two") }]
}

#[test]
fn opening_sends_epoch_1_first_and_then_begins_the_work() {
    let mut first = loaded(&["10.0.0.1:80", "origin:80", "10.0.0.1:80"]);
    first.process.reload_on_change = true;
    let mut desk = Desk::unadopted(first);
    assert_eq!(
        desk.did(),
        [
            "adopt 1 to 0",
            "adopt 1 to 1",
            "hold 0 of 0",
            "servers []",
            "resolve origin",
            "check 1=10.0.0.1:80",
            "watch [\"a.toml\"]"
        ]
    );
}

#[test]
fn nothing_is_due_when_nothing_is_awaited() {
    assert_eq!(Desk::open(&["10.0.0.1:80"]).state.due(), None);
}
