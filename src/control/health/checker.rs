//! The rhythm of one checked endpoint: probe, tell, pause.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::Shared;
use super::jitter::Jitter;
use super::probe::{Finding, probe};
use crate::control::journal::CHECK;
use crate::control::state::{CheckerId, Event, Target};
use crate::limits;

/// One endpoint's checker.
pub(super) struct Checker {
    id: CheckerId,
    target: Target,
    nudge: Arc<Notify>,
    shared: Arc<Shared>,
    jitter: Jitter,
}

impl Checker {
    /// A checker that has not begun.
    pub(super) fn new(id: CheckerId, target: Target, nudge: Arc<Notify>, shared: Arc<Shared>) -> Self {
        Self { id, target, nudge, shared, jitter: Jitter::new() }
    }

    /// Probes until it is aborted or the loop has gone.
    pub(super) async fn run(mut self, delay: Duration) {
        sleep(delay).await;
        loop {
            let permit = self.shared.permits.acquire().await;
            let started = Instant::now();
            let finding = probe(&self.target, &self.shared.pulse).await;
            drop(permit);
            let pause = self.pause_after(&finding);
            if !self.tell(finding).await {
                return;
            }
            self.wait(started, pause).await;
        }
    }

    /// False when nobody listens any more.
    async fn tell(&self, finding: Finding) -> bool {
        let failure = match finding {
            Finding::Passed => {
                debug!(target: CHECK, "probe of {} passed", self.target.spot);
                None
            }
            Finding::Failed(why) => {
                debug!(target: CHECK, "probe of {} failed: {why}", self.target.spot);
                Some(why)
            }
            Finding::Unclear(why) => {
                debug!(target: CHECK, "probe of {} does not count: {why}", self.target.spot);
                return true;
            }
        };
        self.shared.events.send(Event::Probed { checker: self.id, failure }).await.is_ok()
    }

    /// The interval where all is well. Otherwise a second at most: a service that has come up should not wait for
    /// traffic until a long interval is over, and one that fails should be known soon.
    fn pause_after(&mut self, finding: &Finding) -> Duration {
        let interval = Duration::from_millis(self.target.check.interval_ms.into());
        let soon = interval.min(Duration::from_millis(limits::PROBE_AGAIN_MS));
        self.jitter.spread(if matches!(finding, Finding::Passed) { interval } else { soon })
    }

    /// Until the pause is over or a worker failed to connect.
    async fn wait(&self, started: Instant, pause: Duration) {
        let gap = Duration::from_millis(limits::PROBE_GAP_MS).min(pause);
        tokio::select! {
            () = sleep_until(started + pause) => {}
            () = self.nudge.notified() => sleep_until(started + gap).await,
        }
    }
}
