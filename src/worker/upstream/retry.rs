//! Whether a request is tried again: by the table of ends, or by the rules of `[module.retry]`.
//!
//! In scope: what may follow a failed attempt, and the pause before it. A request that the client has seen a byte
//! of an answer to is never tried again, nor one that is not whole in hand. Out of scope: making attempts (`exchange`),
//! the budget itself (`wall/retry`).

use std::future::poll_fn;
use std::pin::pin;

use crate::end::{End, Retry};
use crate::limits::RETRY_PAUSE_MAX_MS;
use crate::wall::resilience::Resilience;
use crate::wall::retry::RetryRules;
use crate::worker::plan::{Forward, Terms};
use crate::worker::relay::converse::Failed;
use crate::worker::session::downstream::{Downstream, in_time};
use crate::worker::shard::Shard;
use crate::worker::shard::dice::Dice;
use crate::worker::upstream::replica::{Replica, Tried};

/// What a service's rules leave for a request in this attempt.
#[derive(Clone, Copy)]
pub struct Again<'r> {
    rules: &'r RetryRules,
    service: &'r Resilience,
    /// Another attempt may follow, where it may have reached the service.
    may: bool,
}

impl<'r> Again<'r> {
    /// The rules for a request of which so many attempts were begun.
    #[must_use]
    pub fn of(replica: &'r Replica, terms: &Terms, attempts: u8) -> Option<Self> {
        let resilience = replica.upstream.resilience.as_deref()?;
        let rules = resilience.retry.as_ref()?;
        let may = attempts < rules.attempts && rules.methods.hold(terms.method);
        Some(Self { rules, service: resilience, may })
    }

    fn pays(&self, now_ms: u64) -> bool {
        self.service.known.service.budget.take(self.rules, now_ms)
    }

    /// Whether the service's breaker would let another attempt pass.
    fn is_let_pass(&self, now_ms: u64) -> bool {
        let breaker = self.service.breaker.as_ref().filter(|_| self.service.of_service);
        breaker.is_none_or(|rules| self.service.known.service.breaker.would_admit(rules, now_ms))
    }

    /// How long each attempt may take.
    #[must_use]
    pub fn attempt_timeout_ms(&self) -> u64 {
        self.rules.attempt_timeout_ms
    }

    /// A request came.
    pub fn count(&self) {
        self.service.known.service.budget.put(self.rules);
    }

    /// Whether an answer of this status is thrown away for another attempt, which is paid for then.
    pub fn exchanges(&self, status: u16, now_ms: u64) -> bool {
        self.may && self.rules.statuses.contains(&status) && self.is_let_pass(now_ms) && self.pays(now_ms)
    }

    /// Whether another attempt follows this one that failed.
    pub fn follows(&self, failed: &Failed, attempts: u8, now_ms: u64) -> bool {
        let wanted = match failed.end {
            // Nothing reached the service, and nothing is paid.
            _ if failed.end.meaning().retry == Retry::Unsent => return attempts < self.rules.attempts,
            // It was paid for when the answer was thrown away.
            End::UnwantedStatus => return true,
            End::UpstreamClosed | End::UpstreamStale => self.rules.on_closed,
            End::ResponseTimeout | End::AttemptTimeout => self.rules.on_timeout,
            _ => false,
        };
        let may = if failed.unsent { attempts < self.rules.attempts } else { self.may };
        wanted && may && !failed.begun && failed.replayable && self.is_let_pass(now_ms) && self.pays(now_ms)
    }

    /// The pause after so many attempts. Requests that failed together do not come back together.
    #[must_use]
    pub fn pause_ms(&self, attempts: u8, dice: &Dice) -> u64 {
        let doublings = u32::from(attempts.saturating_sub(1)).min(16);
        let whole = (self.rules.pause_ms << doublings).min(RETRY_PAUSE_MAX_MS);
        whole - dice.below(whole / 2 + 1)
    }
}

/// Whether another attempt follows: by the table, or by the service's rules, after a pause.
pub async fn goes_again(
    shard: &Shard,
    down: &mut Downstream,
    forward: &Forward,
    terms: &Terms,
    failed: &mut Failed,
    tried: &mut Tried,
    fresh: bool,
) -> bool {
    let attempts = down.tab.get().attempts;
    let Some(again) = Again::of(&forward.replica, terms, attempts) else {
        return is_harmless(failed, terms, tried, fresh);
    };
    if failed.end == End::UpstreamStale && is_harmless(failed, terms, tried, fresh) {
        return true;
    }
    if down.tab.get().head_bytes_out > 0 || !again.follows(failed, attempts, shard.clock.now_ms()) {
        return false;
    }
    tried.add(forward.endpoint);
    let pause_ms = again.pause_ms(attempts, &shard.dice);
    match Box::pin(pause(shard, down, terms, pause_ms)).await {
        Ok(()) => true,
        Err(end) => {
            failed.end = end;
            false
        }
    }
}

/// The table's word, and whether the request is still in our hands.
fn is_harmless(failed: &Failed, terms: &Terms, tried: &Tried, fresh: bool) -> bool {
    match failed.end.meaning().retry {
        Retry::No => false,
        Retry::Unsent => tried.may_go_on(),
        Retry::Idempotent => {
            !failed.begun && !fresh && failed.replayable && (failed.unsent || terms.method.is_idempotent())
        }
    }
}

/// Lets the pause pass, for as long as the client waits.
///
/// # Errors
/// `End::ClientLeft`, `End::RequestTimeout`, `End::Drained`.
async fn pause(shard: &Shard, down: &mut Downstream, terms: &Terms, ms: u64) -> Result<(), End> {
    if ms == 0 {
        return Ok(());
    }
    let Downstream { source, writing, whole, .. } = down;
    writing.arm(ms);
    let pause = pin!(poll_fn(|cx| writing.poll(cx).map(Ok)));
    let waited = pin!(source.while_there(terms.half_close_grace_ms, pause));
    let passed = in_time(shard, (whole.as_ref(), None), waited).await;
    writing.disarm();
    passed
}
