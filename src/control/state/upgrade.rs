//! A live upgrade as both processes see it: who asked for one, how far the new process is, and whether this process
//! is itself a new one.
//!
//! The old process serves until the new one has proven itself, and only then drains. One upgrade at a time, one old
//! process at a time. Pure; starting and watching the new process is `control::upgrade`.

use super::{Effect, Level};
use crate::control::systemd::Notice;

/// Who asked for an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wisher {
    /// SIGUSR2: the answer is a line of the log.
    Signal,
    /// `gatekeeper upgrade`, by its number at the desk.
    Desk(u64),
}

/// What becomes of the new process.
#[derive(Debug)]
pub(crate) enum Successor {
    /// Its workers serve; it has yet to prove itself.
    Ready {
        /// Its number.
        pid: u32,
    },
    /// It has lived for long enough.
    Proven {
        /// Its number.
        pid: u32,
    },
    /// It has not come to serve, or not for long, and is gone.
    Failed(String),
    /// It has ended after it took over.
    Ended(String),
}

/// What the old process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Predecessor {
    /// It leaves the sockets to this one and drains.
    HandsOver,
    /// It has ended.
    Gone,
}

/// What may be in the way of an upgrade.
#[derive(Debug)]
enum Stage {
    Idle,
    /// A new process is starting or proving itself.
    Trying(Wisher),
    /// A new process serves, this one drains.
    Handed(u32),
}

/// The old process, seen from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// There is none.
    Nobody,
    /// It serves until this process has proven itself.
    Serving,
    /// It drains.
    Draining,
}

/// Both sides of an upgrade.
#[derive(Debug)]
pub(super) struct Upgrade {
    stage: Stage,
    before: Before,
}

impl Upgrade {
    /// At start: whether an old process waits for this one.
    pub(super) fn new(has_predecessor: bool) -> Self {
        Self { stage: Stage::Idle, before: if has_predecessor { Before::Serving } else { Before::Nobody } }
    }

    /// Whether this process has yet to prove itself.
    pub(super) fn is_on_trial(&self) -> bool {
        self.before == Before::Serving
    }

    /// Whether this process has left its sockets to another.
    pub(super) fn has_handed_over(&self) -> bool {
        matches!(self.stage, Stage::Handed(_))
    }

    /// Somebody wants an upgrade, with as many workers as that.
    pub(super) fn ask(
        &mut self,
        wisher: Wisher,
        cores: Option<usize>,
        timeout_ms: u64,
        stopping: bool,
        out: &mut Vec<Effect>,
    ) {
        let refusal = match (&self.stage, self.before) {
            (Stage::Trying(_), _) => Some("an upgrade is under way already".to_owned()),
            (Stage::Handed(pid), _) => Some(format!("this process drains; process {pid} serves now, ask that one")),
            _ if stopping => Some("the gateway is stopping".to_owned()),
            (Stage::Idle, Before::Serving) => Some("this process is new and has yet to prove itself".to_owned()),
            (Stage::Idle, Before::Draining) => Some("the process before this one still drains; wait for it".to_owned()),
            (Stage::Idle, Before::Nobody) => None,
        };
        if let Some(refusal) = refusal {
            return wisher.answer(Err(format!("no upgrade: {refusal}")), out);
        }
        self.stage = Stage::Trying(wisher);
        out.push(Effect::Say(Level::Info, "upgrade: starting a new process".into()));
        out.push(Effect::Tell(Notice::Status("upgrading: a new process is starting".into())));
        out.push(Effect::StartSuccessor { cores, timeout_ms });
    }

    /// News of the new process; true when it has taken over.
    pub(super) fn hear(&mut self, news: Successor, out: &mut Vec<Effect>) -> bool {
        match (news, &self.stage) {
            (Successor::Ready { pid }, Stage::Trying(_)) => {
                let line = format!("upgrade: process {pid} accepts too and has to prove itself");
                out.push(Effect::Say(Level::Info, line));
            }
            (Successor::Proven { pid }, &Stage::Trying(wisher)) => {
                self.stage = Stage::Handed(pid);
                // Before the new process speaks for itself: a manager hears only the main process.
                out.push(Effect::Tell(Notice::MainProcess(pid)));
                wisher.answer(Ok(format!("upgraded: process {pid} serves, the one before it drains")), out);
                return true;
            }
            (Successor::Failed(why), &Stage::Trying(wisher)) => {
                self.stage = Stage::Idle;
                out.push(Effect::ForgetSuccessor);
                let text = format!("not upgraded, the process before goes on: {why}");
                out.push(Effect::Tell(Notice::Status(text.clone())));
                wisher.answer(Err(text), out);
            }
            (Successor::Failed(why) | Successor::Ended(why), Stage::Handed(pid)) => {
                let line = format!("upgrade: process {pid}, which had taken over, has ended: {why}");
                out.push(Effect::Say(Level::Error, line));
            }
            // A stop was faster.
            _ => {}
        }
        false
    }

    /// The gateway stops: a new process that has not taken over goes with it.
    pub(super) fn stop(&mut self, out: &mut Vec<Effect>) {
        if let Stage::Trying(wisher) = self.stage {
            self.stage = Stage::Idle;
            out.push(Effect::AbandonSuccessor);
            wisher.answer(Err("not upgraded: the gateway is stopping".into()), out);
        }
    }

    /// News of the old process; true when this one is the gateway from now on.
    pub(super) fn hear_predecessor(&mut self, news: Predecessor, out: &mut Vec<Effect>) -> bool {
        let was = self.before;
        match news {
            Predecessor::HandsOver => self.before = Before::Draining,
            Predecessor::Gone => {
                self.before = Before::Nobody;
                out.push(Effect::ForgetPredecessor);
            }
        }
        let said = match (was, news) {
            (Before::Serving, Predecessor::HandsOver) => "upgrade: proven; the process before this one drains",
            (Before::Serving, Predecessor::Gone) => "upgrade: the process before this one has ended without a word",
            _ => "upgrade: the process before this one has ended",
        };
        out.push(Effect::Say(Level::Info, said.into()));
        was == Before::Serving
    }
}

impl Wisher {
    fn answer(self, outcome: Result<String, String>, out: &mut Vec<Effect>) {
        let (level, text) = match &outcome {
            Ok(text) => (Level::Info, text),
            Err(text) => (Level::Error, text),
        };
        out.push(Effect::Say(level, text.clone()));
        if let Self::Desk(number) = self {
            out.push(Effect::AnswerDesk { number, outcome });
        }
    }
}
