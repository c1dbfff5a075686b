//! How long the loop itself was stuck. A probe that times out while the loop was stuck, or the machine was
//! suspended, says nothing about the endpoint; counting it would take every endpoint down at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use tokio::time::sleep;

const BEAT: Duration = Duration::from_millis(50);
/// Delays shorter than this are those of a busy machine: probes live with them, and adding them up
/// would in the end excuse every endpoint.
const STALL_MIN: Duration = Duration::from_millis(100);

/// Measures the loop it was started on, until dropped.
pub(super) struct Pulse {
    beats: Arc<Mutex<Beats>>,
    task: AbortHandle,
}

struct Beats {
    last: Instant,
    stalled: Duration,
}

impl Pulse {
    /// Starts measuring. Needs the runtime.
    pub(super) fn start() -> Self {
        let beats = Arc::new(Mutex::new(Beats { last: Instant::now(), stalled: Duration::ZERO }));
        let beating = Arc::clone(&beats);
        let task = tokio::spawn(async move {
            loop {
                sleep(BEAT).await;
                beating.lock().unwrap_or_else(PoisonError::into_inner).beat(Instant::now());
            }
        });
        Self { beats, task: task.abort_handle() }
    }

    /// How long the loop has been stuck in all, this very beat included.
    pub(super) fn stalled(&self) -> Duration {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.stalled + beats.stall(Instant::now())
    }
}

impl Beats {
    fn stall(&self, now: Instant) -> Duration {
        let late = now.saturating_duration_since(self.last).saturating_sub(BEAT);
        if late < STALL_MIN { Duration::ZERO } else { late }
    }

    fn beat(&mut self, now: Instant) {
        self.stalled += self.stall(now);
        self.last = now;
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stuck_loop_shows_before_and_after_the_next_beat() {
        let pulse = Pulse::start();
        sleep(BEAT / 2).await;
        let before = pulse.stalled();
        std::thread::sleep(BEAT * 6);
        assert!(pulse.stalled() - before >= BEAT * 4);
        sleep(BEAT * 2).await;
        assert!(pulse.stalled() - before >= BEAT * 4);
    }

    #[test]
    fn small_delays_do_not_add_up_and_a_large_one_counts_whole() {
        let start = Instant::now();
        let mut beats = Beats { last: start, stalled: Duration::ZERO };
        let mut now = start;
        for _ in 0..1_000 {
            now += BEAT + STALL_MIN / 2;
            beats.beat(now);
        }
        assert_eq!(beats.stalled, Duration::ZERO);
        beats.beat(now + BEAT + STALL_MIN);
        assert_eq!(beats.stalled, STALL_MIN);
    }
}
