//! The old process's side of an upgrade: starting a new process, and watching it on a thread of its own.
//!
//! In scope: handing the sockets over, the deadline, the proof, what a failure is called, killing what fails.
//! Out of scope: what follows from it (`state::upgrade`).
//!
//! The child inherits session, terminal and control group, so it stands where this process stood, and nothing ties
//! it to this process's life. All descriptors but its end of the line are closed at exec.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

use super::line::{Heard, Line, Said, VARIABLE};
use crate::control::state::{Event, Successor};
use crate::limits::{UPGRADE_END_GRACE_MS, UPGRADE_LOOK_MS, UPGRADE_PROOF_MS, UPGRADE_SILENCE_MS};

/// What belongs to one process and must not be believed by another: the sockets and the watchdog of this one.
const OWN_VARIABLES: &[&str] = &["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "WATCHDOG_PID"];

/// How a new process is started.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The program, as this one was started.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Every listening socket.
    pub(crate) sockets: Vec<OwnedFd>,
    /// Until it has to be ready.
    pub(crate) timeout: Duration,
}

/// The thread that watches a new process.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    line: Arc<Line>,
    abandoned: Arc<AtomicBool>,
    yielded: Arc<AtomicBool>,
}

impl Watch {
    /// Starts it; `Event::Successor` tells what becomes of it.
    ///
    /// # Errors
    /// When the process is out of descriptors or threads.
    pub(crate) fn start(launch: Launch, events: mpsc::Sender<Event>) -> io::Result<Self> {
        let (line, theirs) = Line::pair()?;
        let watch = Self { line: Arc::new(line), abandoned: Arc::default(), yielded: Arc::default() };
        let copy = watch.clone();
        let tell = move |news| drop(events.blocking_send(Event::Successor(news)));
        std::thread::Builder::new().name("gk-upgrade".into()).spawn(move || copy.run(launch, theirs, &tell))?;
        Ok(watch)
    }

    /// The gateway stops: the new process shall stop too.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// The new process shall serve alone.
    pub(crate) fn yield_to_it(&self) {
        // One that has gone already is told of by the thread.
        let _ = self.line.say(&Said::Serve);
        self.yielded.store(true, Ordering::Relaxed);
    }

    fn run(&self, launch: Launch, theirs: Line, tell: &impl Fn(Successor)) {
        let mut trial = match Trial::begin(launch, Arc::clone(&self.line), theirs) {
            Ok(trial) => trial,
            Err(why) => return tell(Successor::Failed(why)),
        };
        match self.judge(&mut trial, tell) {
            Ok(()) => tell(Successor::Proven { pid: trial.child.id() }),
            Err(why) => {
                trial.end();
                return tell(Successor::Failed(why));
            }
        }
        while !self.yielded.load(Ordering::Relaxed) && !self.abandoned.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(UPGRADE_LOOK_MS));
        }
        if self.abandoned.load(Ordering::Relaxed) {
            return trial.end();
        }
        if let Ok(status) = trial.child.wait() {
            tell(Successor::Ended(describe(status)));
        }
    }

    /// Waits until it is ready and has proven itself.
    fn judge(&self, trial: &mut Trial, tell: &impl Fn(Successor)) -> Result<(), String> {
        let mut ready: Option<Instant> = None;
        let mut alive = Instant::now();
        loop {
            let heard = trial.line.hear(Some(Duration::from_millis(UPGRADE_LOOK_MS)));
            let now = Instant::now();
            match heard {
                Ok(Heard::Said(Said::Ready, _)) => {
                    (ready, alive) = (Some(now), now);
                    tell(Successor::Ready { pid: trial.child.id() });
                }
                Ok(Heard::Said(Said::Alive, _)) => {
                    alive = now;
                    if ready.is_some_and(|since| now - since >= Duration::from_millis(UPGRADE_PROOF_MS)) {
                        return Ok(());
                    }
                }
                Ok(Heard::Said(Said::Failed(why), _)) => return Err(format!("it gave up: {why}")),
                Ok(Heard::Said(_, _) | Heard::Nothing) => {}
                // It has gone, or hung up and lives on, which is as bad.
                Ok(Heard::Gone) | Err(_) => return Err(trial.how_it_ended(ready)),
            }
            if let Ok(Some(_)) = trial.child.try_wait() {
                return Err(trial.how_it_ended(ready));
            }
            if self.abandoned.load(Ordering::Relaxed) {
                return Err("the gateway is stopping".into());
            }
            match ready {
                None if now >= trial.deadline => {
                    let seconds = trial.timeout.as_secs();
                    return Err(format!("it was not ready after {seconds} s (base.upgrade_timeout) and is killed"));
                }
                Some(_) if now - alive >= Duration::from_millis(UPGRADE_SILENCE_MS) => {
                    return Err(format!("it was ready and then not heard of for {UPGRADE_SILENCE_MS} ms"));
                }
                _ => {}
            }
        }
    }
}

/// A new process on trial.
#[derive(Debug)]
struct Trial {
    child: Child,
    line: Arc<Line>,
    timeout: Duration,
    deadline: Instant,
}

impl Trial {
    fn begin(launch: Launch, line: Arc<Line>, theirs: Line) -> Result<Self, String> {
        let Launch { program, arguments, sockets, timeout } = launch;
        let named = |error: io::Error| format!("{} cannot be started: {error}", program.display());
        // Nothing else is started by this process, so nobody else inherits it.
        rustix::io::fcntl_setfd(&theirs, FdFlags::empty()).map_err(|error| named(error.into()))?;
        let mut command = Command::new(&program);
        command.args(arguments).env(VARIABLE, theirs.as_fd().as_raw_fd().to_string());
        for name in OWN_VARIABLES {
            command.env_remove(name);
        }
        let deadline = Instant::now() + timeout;
        let child = command.spawn().map_err(named)?;
        drop(theirs);
        let mut trial = Self { child, line, timeout, deadline };
        let borrowed: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        if let Err(error) = trial.line.hand_over(&borrowed, deadline) {
            let why = match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => trial.how_it_ended(None),
                _ => format!("it does not take the listening sockets: {error}"),
            };
            trial.end();
            return Err(why);
        }
        Ok(trial)
    }

    /// For one that is ending or has ended.
    fn how_it_ended(&mut self, ready: Option<Instant>) -> String {
        let until = Instant::now() + Duration::from_millis(UPGRADE_END_GRACE_MS);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(UPGRADE_LOOK_MS)),
                _ => break None,
            }
        };
        let when = match ready {
            Some(since) => format!("{:.1} s after it was ready", since.elapsed().as_secs_f32()),
            None => "before it was ready".to_owned(),
        };
        match status {
            Some(status) => format!("it ended {when}: {}; its own lines above say why", describe(status)),
            None => format!("it hung up {when}"),
        }
    }

    /// Ends it, and waits for it so that nothing of it stays.
    fn end(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), pid) {
            // Ours until it is waited for. What it has accepted shall finish.
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + Duration::from_millis(UPGRADE_END_GRACE_MS);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(UPGRADE_LOOK_MS));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
