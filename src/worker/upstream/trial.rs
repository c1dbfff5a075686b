//! An attempt under watch: leave of the breakers, an endpoint that is not out, and telling how it ended.
//!
//! In scope: asking the rules of `[module.breaker]` and `[module.ejection]` (`wall/breaker`, `wall/ejection`) before an
//! attempt, what its end says of the endpoint, and telling them. A service without any of them makes no trials. Out of
//! scope: which endpoint is next (`upstream::replica`), whether there is another attempt (`retry`).

use std::rc::Rc;

use crate::end::{End, Side};
use crate::ids::{EpochId, ServiceId};
use crate::wall::breaker::{Breaker, BreakerRules, Leave, Turned};
use crate::wall::link::{Notice, Noticed, Report};
use crate::wall::resilience::Resilience;
use crate::worker::policy::Denied;
use crate::worker::shard::Shard;
use crate::worker::shard::clock::Clock;
use crate::worker::upstream::replica::{Replica, Tried};

/// An attempt that is watched. Dropped before its end is told, it says nothing of anybody.
pub struct Trial {
    replica: Rc<Replica>,
    endpoint: usize,
    of_service: Option<Leave>,
    of_endpoint: Option<Leave>,
}

/// The next endpoint for a request, and the trial where the service watches its attempts.
///
/// # Errors
/// `End::NoEndpoint`, `End::BreakerOpen`.
pub fn choose(
    replica: &Rc<Replica>,
    tried: &Tried,
    key: Option<u32>,
    clock: &Clock,
) -> Result<(usize, Option<Trial>), Denied> {
    match &replica.upstream.resilience {
        None => Ok((replica.pick(tried, key, clock).ok_or(End::NoEndpoint)?, None)),
        Some(rules) => choose_watched(replica, rules, tried, key, clock),
    }
}

fn choose_watched(
    replica: &Rc<Replica>,
    rules: &Resilience,
    tried: &Tried,
    key: Option<u32>,
    clock: &Clock,
) -> Result<(usize, Option<Trial>), Denied> {
    let now_ms = clock.now_ms();
    let mut trial = Trial { replica: replica.clone(), endpoint: 0, of_service: None, of_endpoint: None };
    if let Some(breaker) = rules.breaker.as_ref().filter(|_| rules.of_service) {
        let admitted = rules.known.service.breaker.admit(breaker, now_ms);
        trial.of_service = Some(admitted.map_err(open)?);
    }
    let mut passed_over = *tried;
    loop {
        let untried = replica.pick(&passed_over, key, clock);
        // Rules of retries make do with an endpoint that was tried where there is no other.
        let any = || rules.retry.as_ref().and_then(|_| replica.pick(&Tried::default(), key, clock));
        let Some(endpoint) = untried.or_else(any) else { return Err(none(replica, rules, now_ms)) };
        trial.endpoint = endpoint;
        let Some(breaker) = rules.breaker.as_ref().filter(|_| rules.of_endpoints) else { break };
        match rules.known.endpoints[endpoint].breaker.admit(breaker, now_ms) {
            Ok(leave) => {
                trial.of_endpoint = Some(leave);
                break;
            }
            // Another worker was quicker to have the probe.
            Err(_) if untried.is_some() && passed_over.add(endpoint) => {}
            Err(wait_ms) => return Err(open(wait_ms)),
        }
    }
    Ok((trial.endpoint, Some(trial)))
}

fn open(wait_ms: u64) -> Denied {
    Denied::for_ms(End::BreakerOpen, wait_ms)
}

/// Why there is no endpoint.
fn none(replica: &Replica, rules: &Resilience, now_ms: u64) -> Denied {
    let refuses = |index: usize| !replica.breaker_admits(rules, index, now_ms);
    if (0..replica.pools().len()).any(refuses) { open(1_000) } else { End::NoEndpoint.into() }
}

/// Whether an answer of this status says that its endpoint works.
#[must_use]
pub const fn is_good(status: u16) -> bool {
    status < 500
}

/// What an attempt that ended early says of its endpoint: that it fails, or nothing.
#[must_use]
pub fn failed(end: End, awaited: bool) -> Option<bool> {
    let fails = match end {
        // It was idle for too long, which is nobody's failure.
        End::UpstreamStale => false,
        // Nobody's failure but of whom was waited for: not while the client sent or read slowly, nor in our own queue.
        End::RequestTimeout | End::AttemptTimeout => awaited,
        _ => end.meaning().side == Side::Upstream,
    };
    fails.then_some(false)
}

impl Trial {
    /// Whether a breaker waits for how it ends.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        [&self.of_service, &self.of_endpoint].into_iter().flatten().any(Leave::is_probe)
    }

    /// Tells everybody concerned how the attempt ended; `None` says nothing of the endpoint.
    #[inline(never)]
    pub fn end(mut self, shard: &Shard, epoch: EpochId, service: Option<ServiceId>, good: Option<bool>) {
        let Some(good) = good else { return };
        let replica = self.replica.clone();
        let Some(rules) = replica.upstream.resilience.as_deref() else { return };
        let now_ms = shard.clock.now_ms();
        let known = &rules.known.endpoints[self.endpoint];
        let mut notices = [None; 3];
        if let Some(breaker) = &rules.breaker {
            let of_service = self.of_service.take();
            notices[0] = told(&rules.known.service.breaker, breaker, of_service, good, now_ms);
            notices[1] = told(&known.breaker, breaker, self.of_endpoint.take(), good, now_ms);
        }
        if rules.ejection.as_ref().is_some_and(|ejection| known.ejection.tell(ejection, good, now_ms)) {
            notices[2] = Some(Notice::Ejected);
        }
        let endpoint = replica.upstream.endpoints[self.endpoint].id;
        for (notice, of) in notices.into_iter().zip([None, Some(endpoint), Some(endpoint)]) {
            if let (Some(notice), Some(service)) = (notice, service) {
                shard.reports.hint(Report::Noticed(Noticed { epoch, service, endpoint: of, notice }));
            }
        }
    }
}

fn told(breaker: &Breaker, rules: &BreakerRules, leave: Option<Leave>, good: bool, now_ms: u64) -> Option<Notice> {
    match breaker.tell(rules, leave?, good, now_ms) {
        Turned::No => None,
        Turned::Opened => Some(Notice::BreakerOpened),
        Turned::Closed => Some(Notice::BreakerClosed),
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let Some(rules) = &self.replica.upstream.resilience else { return };
        let Some(breaker) = &rules.breaker else { return };
        if let Some(leave) = self.of_service.take() {
            rules.known.service.breaker.forget(breaker, leave);
        }
        if let Some(leave) = self.of_endpoint.take() {
            rules.known.endpoints[self.endpoint].breaker.forget(breaker, leave);
        }
    }
}
