//! A stop under way: until when what goes on, and the line that says what is still waited for. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Pace;
use crate::config::Process;
use crate::ids::WorkerId;
use crate::wall::link::Open;

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

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
