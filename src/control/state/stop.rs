//! A stop: what begins it and what ends it, until when what goes on, and the line that says what is still waited
//! for. Pure.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

use super::{Effect, Level, Pace, State};
use crate::config::Process;
use crate::control::Outcome;
use crate::control::systemd::Notice;
use crate::ids::WorkerId;
use crate::wall::link::{Open, Order};
use crate::wall::words::counted;

/// A stop under way.
#[derive(Debug)]
pub(super) struct Stop {
    /// New connections are accepted until then.
    serves_until: Instant,
    window_ends: Instant,
    /// Workers that have not ended by then are left behind.
    overdue: Instant,
    notice_due: Instant,
    open: BTreeMap<WorkerId, Open>,
}

impl Stop {
    pub(super) fn begin(now: Instant, process: &Process, pace: &Pace) -> Self {
        let serves_until = now + Duration::from_millis(process.drain_delay_ms);
        let window_ends = serves_until + Duration::from_millis(process.drain_window_ms);
        Self {
            serves_until,
            window_ends,
            overdue: window_ends + pace.grace,
            notice_due: now + pace.first_notice,
            open: BTreeMap::new(),
        }
    }

    /// What the log says first.
    pub(super) fn announcement(process: &Process) -> String {
        let delay = match process.drain_delay_ms {
            0 => String::new(),
            ms => format!("/ping says so, all is served for {} s more (base.drain_delay); then ", ms / 1_000),
        };
        let window_s = process.drain_window_ms / 1_000;
        format!(
            "stopping: {delay}what is open has {window_s} s to end (base.drain_window); a second signal ends at once"
        )
    }

    /// What a worker still waits for.
    pub(super) fn draining(&mut self, worker: WorkerId, open: Open) {
        self.open.insert(worker, open);
    }

    /// A worker waits for nothing any more.
    pub(super) fn ended(&mut self, worker: WorkerId) {
        self.open.remove(&worker);
    }

    /// What is cut where the process ends now: what the workers last said they wait for.
    fn waited_for(&self) -> usize {
        self.open.values().map(|open| open.exchanges + open.tunnels).sum()
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        now >= self.overdue
    }

    /// What is waited for, when it is time to say it again.
    pub(super) fn notice(&mut self, now: Instant, gap: Duration) -> Option<String> {
        if now < self.notice_due {
            return None;
        }
        self.notice_due = now + gap;
        let sum = |count: fn(&Open) -> usize| self.open.values().map(count).sum::<usize>();
        let [idle, exchanges, tunnels] = [sum(|open| open.idle), sum(|open| open.exchanges), sum(|open| open.tunnels)];
        let open = format!(
            "{}, {}, {}",
            counted(idle, "idle connection"),
            counted(exchanges, "exchange"),
            counted(tunnels, "tunnel")
        );
        let left_s = |until: Instant| (until.saturating_duration_since(now) + Duration::from_millis(500)).as_secs();
        Some(if now < self.serves_until {
            format!("stopping: serving for {} s more, with {open}", left_s(self.serves_until))
        } else {
            format!("stopping: waiting for {open}; {} s left; a second signal ends at once", left_s(self.window_ends))
        })
    }

    /// When `notice` or `is_overdue` next changes its mind.
    pub(super) fn due(&self) -> Instant {
        self.notice_due.min(self.overdue)
    }
}

impl State {
    /// The first signal drains, the second ends at once.
    pub(super) fn stop(&mut self, now: Instant) {
        if mem::replace(&mut self.told_to_stop, true) {
            self.out.push(Effect::Say(Level::Warn, "stopping at once".into()));
            self.end(false);
            return;
        }
        if self.upgrade.has_handed_over() {
            let line = "draining already, since another process serves; another signal ends at once".to_owned();
            self.out.push(Effect::Say(Level::Info, line));
            return;
        }
        self.upgrade.stop(&mut self.out);
        self.out.push(Effect::Tell(Notice::Stopping));
        self.drain(now);
    }

    /// Another process serves from these sockets.
    pub(super) fn hand_over(&mut self, now: Instant) {
        self.vigil.keep(None, now);
        self.admin.leave(&mut self.out);
        // Both accept on one socket: whoever has heard the new process must not hear the old one after it.
        self.out.push(Effect::YieldToSuccessor);
        // Nobody has to notice that this one goes.
        self.process.drain_delay_ms = 0;
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        let (delay_ms, window_ms) = (self.process.drain_delay_ms, self.process.drain_window_ms);
        self.stop = Some(Stop::begin(now, &self.process, &self.pace));
        (self.touched, self.timer_due) = (None, None);
        self.out.push(Effect::Say(Level::Info, Stop::announcement(&self.process)));
        self.reload.refuse(&mut self.out);
        let goes_on = self.upgrade.has_handed_over();
        for worker in self.workers.running() {
            let order = Order::Drain { delay_ms, window_ms, goes_on };
            self.out.push(Effect::Send { worker, order });
        }
        // The workers' handles are the last now: a port is given up when its worker closes it.
        self.doors.let_go(&mut self.out);
    }

    /// Ends where nothing is left to wait for, or where it has been waited long enough.
    pub(super) fn end_if_over(&mut self, now: Instant) {
        let left = self.workers.running().count();
        if self.stop.is_none() && self.workers.is_hopeless() {
            self.out.push(Effect::End(Err("no worker is left".into())));
        } else if left == 0 && self.stop.is_some() {
            self.end(self.workers.died_total() == 0);
        } else if self.stop.as_ref().is_some_and(|stop| stop.is_overdue(now)) {
            let line = format!("not ended in time: {}", counted(left, "worker"));
            self.out.push(Effect::Say(Level::Error, line));
            self.end(false);
        } else if let Some(line) = self.stop.as_mut().and_then(|stop| stop.notice(now, self.pace.notice)) {
            self.out.push(Effect::Say(Level::Info, line));
        }
    }

    fn end(&mut self, clean: bool) {
        let left_behind = self.stop.as_ref().map_or(0, Stop::waited_for) as u64;
        let outcome = Outcome {
            clean,
            epochs: self.publisher.current().id.0,
            cut: self.workers.cut_total() + left_behind,
            replaced: self.workers.replaced_total(),
        };
        self.out.push(Effect::End(Ok(outcome)));
    }
}
