//! The process's own coming and going: what the service manager, the desk, the old and the new process are told.
//!
//! In scope: carrying out those effects. Out of scope: the decisions (`state`).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::desk::Desk;
use super::pid_file::PidFile;
use super::state::{Event, Successor};
use super::systemd::{Notice, Systemd};
use super::upgrade::predecessor::Listener;
use super::upgrade::successor::{Launch, Watch};
use super::upgrade::{Line, Said, Succession};
use crate::wall::nonces::Nonces;

/// What a process is born into and what comes after it.
#[derive(Debug, Default)]
pub struct Life {
    /// Who is told how the gateway is.
    pub systemd: Systemd,
    /// The line to the old process, at an upgrade.
    pub predecessor: Option<Line>,
    /// How a new process is started; without it nobody is asked for one either.
    pub succession: Option<Succession>,
    /// Where the number of the process that serves is written.
    pub pid_file: Option<PidFile>,
    /// Nonces of signed requests, which a new process goes on with.
    pub nonces: Option<Arc<Nonces>>,
}

/// Carries out what concerns the process itself.
pub(super) struct Passage {
    systemd: Systemd,
    predecessor: Option<Listener>,
    succession: Option<Succession>,
    successor: Option<Watch>,
    pid_file: Option<PidFile>,
    nonces: Option<Arc<Nonces>>,
    desk: Option<Desk>,
    events: mpsc::Sender<Event>,
}

impl Passage {
    /// Opens the desk and listens to the old process.
    pub(super) fn new(life: Life, events: &mpsc::Sender<Event>) -> io::Result<Self> {
        let Life { systemd, predecessor, succession, pid_file, nonces } = life;
        let predecessor = predecessor.map(|line| Listener::start(line, events.clone())).transpose()?;
        let desk = succession.is_some().then(|| Desk::open(events.clone()));
        let events = events.clone();
        Ok(Self { systemd, predecessor, succession, successor: None, pid_file, nonces, desk, events })
    }

    /// Tells the service manager.
    pub(super) fn tell(&self, notice: &Notice) {
        self.systemd.tell(notice);
    }

    /// Tells the old process.
    pub(super) fn tell_predecessor(&self, said: &Said) {
        if let Some(line) = &self.predecessor {
            line.say(said);
        }
    }

    /// Tells whoever asked.
    pub(super) fn answer(&self, number: u64, outcome: Result<String, String>) {
        if let Some(desk) = &self.desk {
            desk.answer(number, outcome);
        }
    }

    /// Writes this process's number down.
    pub(super) fn write_pid(&self) {
        self.pid_file.as_ref().inspect(|file| file.write());
    }

    /// Starts a new process with these sockets.
    pub(super) fn start_successor(&mut self, cores: Option<usize>, timeout_ms: u64, sockets: io::Result<Vec<OwnedFd>>) {
        if std::process::id() == 1 {
            return self.fail("process 1 cannot be replaced: its end would be the container's");
        }
        let launch = match (&self.succession, sockets) {
            (Some(succession), Ok(mut sockets)) => {
                let nonces = self.nonces.as_ref().and_then(|nonces| nonces.file());
                sockets.extend(nonces.and_then(|file| file.try_clone_to_owned().ok()));
                Launch {
                    program: succession.program.clone(),
                    arguments: (succession.arguments)(cores),
                    sockets,
                    timeout: Duration::from_millis(timeout_ms),
                }
            }
            (None, _) => return self.fail("it is not known how this process was started"),
            (_, Err(error)) => return self.fail(&format!("its listening sockets cannot be handed over: {error}")),
        };
        match Watch::start(launch, self.events.clone()) {
            Ok(watch) => self.successor = Some(watch),
            Err(error) => self.fail(&format!("a new process cannot be started: {error}")),
        }
    }

    fn fail(&self, why: &str) {
        let (events, news) = (self.events.clone(), Event::Successor(Successor::Failed(why.to_owned())));
        // The loop itself empties the channel, so it must not wait for room in it.
        tokio::spawn(async move { events.send(news).await });
    }

    /// The old process has ended.
    pub(super) fn forget_predecessor(&mut self) {
        self.predecessor = None;
    }

    /// The new process has ended.
    pub(super) fn forget_successor(&mut self) {
        self.successor = None;
    }

    /// The new process is to end.
    pub(super) fn abandon_successor(&mut self) {
        if let Some(watch) = self.successor.take() {
            watch.abandon();
        }
    }

    /// The new process is to serve alone.
    pub(super) fn yield_to_successor(&self) {
        if let Some(watch) = &self.successor {
            watch.yield_to_it();
        }
    }
}
