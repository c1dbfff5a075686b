//! Retries: what is tried again, how often, and a budget that holds for the whole process.
//!
//! A named exception to "nothing is shared between workers": the budget. **Who writes and reads**: every worker, at each
//! request of a service that has `[module.retry]`, and before each further attempt.
//!
//! Each request puts a share of a token in; a further attempt takes a whole one out, so that a service that fails is
//! asked at most that share more often. So that rare requests are tried again at all, some tokens come with the
//! time. Tokens and the time they were last looked at are one 64-bit word, changed by compare-and-swap. **Error bound**:
//! clocks of workers differ by two ticks (`limits::DEADLINE_TICK_MS`) at most.
//!
//! Out of scope: whether a request may be tried again at all (`worker::upstream::retry`).

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::limits::RETRY_TOKENS_MAX;
use crate::proto::head::Method;

/// What is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRules {
    /// Attempts at one request in all.
    pub attempts: u8,
    /// Where the connection ended before a byte of the answer.
    pub on_closed: bool,
    /// Where the answer's head did not come in time.
    pub on_timeout: bool,
    /// Where the answer has one of these statuses.
    pub statuses: Box<[u16]>,
    /// Which requests.
    pub methods: Methods,
    /// How long one attempt may take to the head of its answer; 0 is no limit of its own.
    pub attempt_timeout_ms: u64,
    /// How long before the second attempt; twice that before the third, and so on.
    pub pause_ms: u64,
    /// Tokens that each request puts into the budget, in millionths.
    pub budget_millionths: u32,
    /// Tokens that come each second.
    pub budget_min: u32,
}

/// Which requests are tried again when they may have reached the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Those of idempotent methods (RFC 9110 section 9.2.2).
    Idempotent,
    /// All.
    All,
    /// Those of these methods.
    These(Box<[Method]>),
}

impl Methods {
    /// Whether one of this method is among them.
    #[must_use]
    pub fn hold(&self, method: Method) -> bool {
        match self {
            Self::Idempotent => method.is_idempotent(),
            Self::All => true,
            Self::These(methods) => methods.contains(&method),
        }
    }
}

/// What is left for further attempts.
#[derive(Debug, Default)]
pub struct Budget(AtomicU64);

/// A token in parts of it.
const TOKEN: u64 = 1_000;
const MILLI_BITS: u32 = 24;
const MILLI_MAX: u64 = RETRY_TOKENS_MAX * TOKEN;
const _: () = assert!(MILLI_MAX < 1 << MILLI_BITS);

impl Budget {
    /// A request came.
    pub fn put(&self, rules: &RetryRules) {
        let share = u64::from(rules.budget_millionths) * TOKEN / 1_000_000;
        if share > 0 {
            // It always gives a value, so this cannot fail.
            let _ = self.0.fetch_update(SeqCst, SeqCst, |word| {
                let (at_ms, milli) = unpack(word);
                Some(pack(at_ms, (milli + share).min(MILLI_MAX)))
            });
        }
    }

    /// Takes a token for a further attempt, if there is one.
    pub fn take(&self, rules: &RetryRules, now_ms: u64) -> bool {
        let taken = self.0.fetch_update(SeqCst, SeqCst, |word| {
            let (at_ms, milli) = unpack(word);
            // At first there is as much as comes in a second.
            let since_ms = if at_ms == 0 { 1_000 } else { now_ms.saturating_sub(at_ms).min(1_000) };
            let came = since_ms * u64::from(rules.budget_min) * TOKEN / 1_000;
            let left = (milli + came).min(MILLI_MAX).checked_sub(TOKEN)?;
            Some(pack(now_ms.max(at_ms).max(1), left))
        });
        taken.is_ok()
    }
}

const fn pack(at_ms: u64, milli: u64) -> u64 {
    at_ms << MILLI_BITS | milli
}

const fn unpack(word: u64) -> (u64, u64) {
    (word >> MILLI_BITS, word & ((1 << MILLI_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(budget_millionths: u32, budget_min: u32) -> RetryRules {
        RetryRules {
            attempts: 3,
            on_closed: true,
            on_timeout: true,
            statuses: [].into(),
            methods: Methods::Idempotent,
            attempt_timeout_ms: 0,
            pause_ms: 0,
            budget_millionths,
            budget_min,
        }
    }

    fn taken(budget: &Budget, rules: &RetryRules, now_ms: u64) -> usize {
        (0..10_000).take_while(|_| budget.take(rules, now_ms)).count()
    }

    #[test]
    fn each_request_puts_its_share_in() {
        let (budget, rules) = (Budget::default(), rules(200_000, 0));
        for _ in 0..1_000 {
            budget.put(&rules);
        }
        assert_eq!(taken(&budget, &rules, 5_000), 200);
    }

    #[test]
    fn some_tokens_come_with_the_time_a_second_of_them_at_most() {
        let (budget, rules) = (Budget::default(), rules(0, 10));
        assert_eq!(taken(&budget, &rules, 5_000), 10);
        assert_eq!(taken(&budget, &rules, 5_000), 0);
        assert_eq!(taken(&budget, &rules, 5_500), 5);
        assert_eq!(taken(&budget, &rules, 100_000), 10);
    }

    #[test]
    fn what_is_saved_up_is_bounded() {
        let (budget, rules) = (Budget::default(), rules(1_000_000, 0));
        for _ in 0..5_000 {
            budget.put(&rules);
        }
        assert_eq!(taken(&budget, &rules, 0), usize::try_from(RETRY_TOKENS_MAX).expect("small"));
    }

    #[test]
    fn whoever_takes_no_token_is_taken_twice() {
        let (budget, rules) = (Budget::default(), rules(1_000_000, 0));
        for _ in 0..900 {
            budget.put(&rules);
        }
        let all: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| taken(&budget, &rules, 0))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(all, 900);
    }
}
