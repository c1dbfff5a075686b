//! The limits table: rates that are true for the whole process.
//!
//! This is the named exception (a) to "nothing is shared between workers". **Who writes**: every worker, for
//! requests of a service or tenant that has a rate. **Who reads**: every worker, for the same requests.
//! Nobody else touches it, and a request without a rate does not.
//!
//! The algorithm is GCRA: a bucket is one number, the *theoretical arrival time* (TAT) at which it would be
//! full again. A slot of the table is one 128-bit word, `key << 64 | TAT`, and every change is one
//! compare-and-swap of the word, so a key and its time can never be seen or changed apart. A key lives in
//! one of `PROBES` neighbouring slots. A slot whose TAT has passed is a full bucket, the same as none, and is
//! taken over by the next key that needs a place; a slot whose TAT lies ahead is never taken.
//!
//! **Memory**: 16 bytes a slot, allocated once, never more: 4 MiB for `limits::RATE_SLOTS`. When a key finds
//! no place it is refused with `Refused::Full`.
//!
//! **Error bound**: admitted requests of one key are at most `burst + rate × time` plus `rate × d`, where d
//! is the difference between the workers' clocks (milliseconds), and reach that when demand does. Two
//! workers that bring a new key at the same instant may place it twice; the later one folds the two
//! together before it goes on, so what can be missed is what others admit in those nanoseconds.
//! Rounding of the interval between two requests to 1/16 ns is below 0.1 % up to 10 million per second.
//!
//! Out of scope: which rate applies to whom, the clock, and the answer to a refusal.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::Ordering::SeqCst;

use portable_atomic::AtomicU128;

use crate::limits::RATE_SLOTS_MIN;

/// A rate with its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second, at least 1.
    pub per_second: u32,
    /// Requests that may come at once, at least 1.
    pub burst: u32,
}

/// Whose bucket: a hash under this process's own seed. Clients of a service and tenants never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateKey(u64);

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The rate is used up.
    Limited {
        /// When the next request of this key will be admitted, if none comes before; at least 1.
        retry_after_ms: u64,
    },
    /// No place for another key.
    Full,
}

/// Time in the table: sixteenths of a nanosecond, good for 36 years of monotonic clock.
const UNITS_PER_NS: u64 = 16;
const UNITS_PER_MS: u64 = UNITS_PER_NS * 1_000_000;
const UNITS_PER_SECOND: u64 = UNITS_PER_MS * 1_000;
/// A bucket may be this far from full at most (9 years), so that times cannot overflow.
const TOLERANCE_UNITS_MAX: u64 = 1 << 62;
/// A bucket must have been full this long before its slot goes to another key: more than workers' clocks differ.
const RECLAIM_GRACE_UNITS: u64 = 20 * UNITS_PER_MS;
/// Slots a key may live in: eight cache lines.
const PROBES: usize = RATE_SLOTS_MIN;
/// Owner of a slot that was never used. No slot becomes so again, so a search may stop there.
const NEVER_USED: u64 = 0;
/// Owner of a slot that was given up.
const VACANT: u64 = u64::MAX;

/// Rates of clients and tenants, exact for the whole process, without locks, in bounded memory.
#[derive(Debug)]
pub struct RateTable {
    slots: Box<[AtomicU128]>,
    seed: RandomState,
}

/// Where a key is, or could be.
enum Place<'a> {
    Held(&'a AtomicU128, Word),
    Free(&'a AtomicU128, Word),
    Nowhere,
}

impl RateTable {
    /// A table of at least this many slots (rounded up to a power of two), 16 bytes each.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        let slots = slots.max(PROBES).next_power_of_two();
        Self { slots: (0..slots).map(|_| AtomicU128::new(0)).collect(), seed: RandomState::new() }
    }

    /// The bucket of a client address at a service: IPv6 by /64, IPv4-mapped IPv6 as IPv4.
    #[must_use]
    pub fn client_key(&self, service: &str, client: IpAddr) -> RateKey {
        let client = match client.to_canonical() {
            IpAddr::V4(address) => ('4', u64::from(address.to_bits())),
            IpAddr::V6(address) => ('6', (address.to_bits() >> 64) as u64),
        };
        self.key(("client", service, client))
    }

    /// The bucket of a tenant.
    #[must_use]
    pub fn tenant_key(&self, app_id: &str) -> RateKey {
        self.key(("tenant", app_id))
    }

    fn key(&self, name: impl std::hash::Hash) -> RateKey {
        RateKey(self.seed.hash_one(name).clamp(NEVER_USED + 1, VACANT - 1))
    }

    /// Takes one request out of the key's bucket. The rate given now is the one in force, whatever it
    /// was before. `now_ns` is a monotonic clock with any origin; workers' readings may differ by milliseconds.
    ///
    /// # Errors
    /// `Refused::Limited` when the bucket is empty, `Refused::Full` when there is no place for the key. Either
    /// way nothing is taken.
    pub fn admit(&self, key: RateKey, rate: Rate, now_ns: u64) -> Result<(), Refused> {
        let now = now_ns.saturating_mul(UNITS_PER_NS);
        loop {
            match self.place(key, now) {
                Place::Held(slot, word) => {
                    let next = Word { owner: key.0, tat: charged(word.tat, rate, now)? };
                    if word.replace(slot, next) {
                        return Ok(());
                    }
                }
                Place::Free(slot, word) => {
                    let next = Word { owner: key.0, tat: charged(now, rate, now)? };
                    if word.replace(slot, next) {
                        self.fold_copies(key, now);
                        return Ok(());
                    }
                }
                Place::Nowhere => return Err(Refused::Full),
            }
        }
    }

    /// The slots a key may live in, in the order in which it takes them.
    fn window(&self, key: RateKey) -> impl Iterator<Item = &AtomicU128> {
        let mask = self.slots.len() - 1;
        let home = key.0 as usize;
        (0..PROBES).map(move |n| &self.slots[home.wrapping_add(n) & mask])
    }

    fn place(&self, key: RateKey, now: u64) -> Place<'_> {
        let mut place = Place::Nowhere;
        for slot in self.window(key) {
            let word = Word::load(slot);
            if word.owner == key.0 {
                return Place::Held(slot, word);
            }
            if matches!(place, Place::Nowhere) && word.is_free(now) {
                place = Place::Free(slot, word);
            }
            if word.owner == NEVER_USED {
                break;
            }
        }
        place
    }

    /// Another worker may have placed the same key at the same instant, in a slot that looked taken to us (or
    /// ours to it). Every word is written before its writer looks for copies, so the later writer sees
    /// both; the debt of all goes to the first, which is where every search ends.
    fn fold_copies(&self, key: RateKey, now: u64) {
        while let Some(copy) = self.held(key).nth(1) {
            let debt = vacate(copy, key).saturating_sub(now);
            self.add_debt(key, debt, now);
        }
    }

    /// Moves the key's TAT away, whether its bucket has room or not.
    fn add_debt(&self, key: RateKey, debt: u64, now: u64) {
        while let Some(slot) = self.held(key).next() {
            let word = Word::load(slot);
            let next = Word { tat: word.tat.max(now).saturating_add(debt), ..word };
            if word.owner == key.0 && word.replace(slot, next) {
                return;
            }
        }
    }

    /// The slots that hold the key: one, but for an instant.
    fn held(&self, key: RateKey) -> impl Iterator<Item = &AtomicU128> {
        self.window(key).filter(move |slot| Word::load(slot).owner == key.0)
    }
}

/// The TAT after one more request, if the bucket has room for it.
fn charged(tat: u64, rate: Rate, now: u64) -> Result<u64, Refused> {
    let interval = (UNITS_PER_SECOND / u64::from(rate.per_second.max(1))).max(1);
    let tolerance = interval.saturating_mul(u64::from(rate.burst.max(1))).min(TOLERANCE_UNITS_MAX);
    let next = tat.max(now).saturating_add(interval);
    match (next - now).checked_sub(tolerance) {
        None | Some(0) => Ok(next),
        Some(early) => Err(Refused::Limited { retry_after_ms: early.div_ceil(UNITS_PER_MS) }),
    }
}

/// Gives a slot up if the key still has it; its TAT.
fn vacate(slot: &AtomicU128, key: RateKey) -> u64 {
    loop {
        let word = Word::load(slot);
        if word.owner != key.0 {
            return 0;
        }
        if word.replace(slot, Word { owner: VACANT, tat: 0 }) {
            return word.tat;
        }
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    owner: u64,
    /// When the bucket is full again.
    tat: u64,
}

impl Word {
    fn load(slot: &AtomicU128) -> Self {
        let bits = slot.load(SeqCst);
        Self { owner: (bits >> 64) as u64, tat: bits as u64 }
    }

    const fn bits(self) -> u128 {
        (self.owner as u128) << 64 | self.tat as u128
    }

    /// Puts `next` in the slot if it still holds this word.
    fn replace(self, slot: &AtomicU128, next: Word) -> bool {
        slot.compare_exchange(self.bits(), next.bits(), SeqCst, SeqCst).is_ok()
    }

    const fn is_free(self, now: u64) -> bool {
        matches!(self.owner, NEVER_USED | VACANT) || self.tat.saturating_add(RECLAIM_GRACE_UNITS) <= now
    }
}

#[cfg(test)]
mod tests;
