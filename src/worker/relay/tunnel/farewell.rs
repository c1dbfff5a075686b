//! A WebSocket's goodbye when the gateway stops: Close 1001 to both sides, each where a frame ends.
//!
//! Every tunnel takes its own moment of the drain window, so that clients do not all come back at once. Then it
//! waits a little for the other sides' Close. Where a side has said Close by itself, or what came were no
//! frames, nothing is put in, and the end of the window cuts what is left. Out of scope: moving bytes (`tunnel`).

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use super::DOWN;
use crate::end::End;
use crate::limits::FAREWELL_WAIT_MS;
use crate::proto::websocket::{Close, Tracker};
use crate::worker::io::{Moved, Socket};
use crate::worker::shard::Shard;
use crate::worker::shard::buffer::Lease;

/// What a WebSocket's tunnel knows beside its bytes.
pub(super) struct Farewell {
    /// Of what each side sends.
    ways: [Way; 2],
    stage: Cell<Stage>,
}

struct Way {
    tracker: Cell<Tracker>,
    /// What this side sends is not passed on any more: our Close follows the last frame that was.
    ended: Cell<bool>,
    said: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The gateway is not stopping.
    Open,
    /// It is, and this tunnel's moment comes then.
    Waiting { until_ms: u64 },
    /// Close is said, wherever a frame ends, and answered until then.
    Saying { until_ms: u64 },
    /// There is nothing to say.
    Silent,
}

impl Default for Farewell {
    fn default() -> Self {
        let way = |tracker| Way { tracker: Cell::new(tracker), ended: Cell::new(false), said: Cell::new(false) };
        Self { ways: [way(Tracker::of_client()), way(Tracker::of_server())], stage: Cell::new(Stage::Open) }
    }
}

/// A number that nobody outside can foresee.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

impl Farewell {
    /// How long until it has something to do.
    pub(super) fn time_left(&self, shard: &Shard) -> Result<Option<u64>, End> {
        let now_ms = shard.clock.now_ms();
        if self.stage.get() == Stage::Open
            && let Some(ends_ms) = shard.drain_ends_ms()
        {
            let spread_ms = ends_ms.saturating_sub(now_ms + FAREWELL_WAIT_MS);
            self.stage.set(Stage::Waiting { until_ms: now_ms + random() % (spread_ms + 1) });
        }
        if matches!(self.stage.get(), Stage::Waiting { until_ms } if until_ms <= now_ms) {
            let told = self.ways.iter().map(|way| way.tracker.get()).any(|way| way.is_closed() || way.is_broken());
            self.stage.set(if told { Stage::Silent } else { Stage::Saying { until_ms: now_ms + FAREWELL_WAIT_MS } });
        }
        match self.stage.get() {
            Stage::Open | Stage::Silent => Ok(None),
            Stage::Saying { until_ms } if until_ms <= now_ms => Err(End::Drained),
            Stage::Waiting { until_ms } | Stage::Saying { until_ms } => Ok(Some(until_ms - now_ms)),
        }
    }

    /// Takes note of what a side sent, and takes away what may not follow our Close.
    pub(super) fn follow(&self, from: usize, lease: &mut Lease) {
        let way = &self.ways[from];
        let mut tracker = way.tracker.get();
        let mut whole = tracker;
        whole.follow(lease.bytes());
        way.tracker.set(whole);
        if way.ended.get() {
            return lease.truncate(0);
        }
        // A Close of the side's own is better than ours.
        if self.is_due() && !whole.is_closed() {
            let kept = tracker.step(lease.bytes());
            if tracker.is_between_frames() {
                way.ended.set(true);
                lease.truncate(kept);
            }
        }
    }

    /// Whether Close is to be said.
    pub(super) fn is_due(&self) -> bool {
        matches!(self.stage.get(), Stage::Saying { .. })
    }

    /// Says Close after the last frame that came from a side, unless it has only come in part.
    pub(super) fn say(&self, from: usize, to: &Socket) {
        let way = &self.ways[from];
        if way.said.get() || !(way.ended.get() || way.tracker.get().is_between_frames()) {
            return;
        }
        let [a, b, c, d, ..] = random().to_ne_bytes();
        let close = if from == DOWN { Close::to_server([a, b, c, d]) } else { Close::to_client() };
        // A side that takes not even this will not answer either. One that took a part gets nothing more.
        if to.send(close.bytes()) != Moved::None {
            way.ended.set(true);
            way.said.set(true);
        }
    }

    /// Whether a side has said Close.
    pub(super) fn was_answered(&self, from: usize) -> bool {
        self.ways[from].tracker.get().is_closed()
    }
}
