//! How late the loop itself runs. A probe that times out while the loop was stuck, or the machine was
//! suspended, says nothing about the endpoint; counting it would take every endpoint down at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use tokio::time::sleep;

const BEAT: Duration = Duration::from_millis(50);

/// Measures the loop it was started on, until dropped.
pub(super) struct Pulse {
    beats: Arc<Mutex<Beats>>,
    task: AbortHandle,
}

struct Beats {
    last: Instant,
    lag: Duration,
}

impl Pulse {
    /// Starts measuring. Needs the runtime.
    pub(super) fn start() -> Self {
        let beats = Arc::new(Mutex::new(Beats { last: Instant::now(), lag: Duration::ZERO }));
        let beating = Arc::clone(&beats);
        let task = tokio::spawn(async move {
            loop {
                sleep(BEAT).await;
                beating.lock().unwrap_or_else(PoisonError::into_inner).beat(Instant::now());
            }
        });
        Self { beats, task: task.abort_handle() }
    }

    /// How late the loop has been in all, this very beat included.
    pub(super) fn lag(&self) -> Duration {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.lag + beats.late(Instant::now())
    }
}

impl Beats {
    fn late(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last).saturating_sub(BEAT)
    }

    fn beat(&mut self, now: Instant) {
        self.lag += self.late(now);
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
    async fn a_blocked_loop_shows_as_lag_before_and_after_the_next_beat() {
        let pulse = Pulse::start();
        sleep(BEAT / 2).await;
        let before = pulse.lag();
        std::thread::sleep(BEAT * 6);
        assert!(pulse.lag() - before >= BEAT * 5 - BEAT / 2);
        sleep(BEAT * 2).await;
        assert!(pulse.lag() - before >= BEAT * 5 - BEAT / 2);
    }

    #[tokio::test]
    async fn an_idle_loop_has_next_to_no_lag() {
        let pulse = Pulse::start();
        sleep(BEAT * 8).await;
        assert!(pulse.lag() < BEAT * 4, "{:?}", pulse.lag());
    }
}
