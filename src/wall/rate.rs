//! The limits table: rates that are true for the whole process.
//!
//! This is the named exception (a) to "nothing is shared between workers". **Who writes**: every worker, for
//! requests of a service or tenant that has a rate. **Who reads**: every worker, for the same requests.
//! Nobody else touches it, and a request without a rate does not.
//!
//! The algorithm is GCRA (the generic cell rate algorithm of ITU-T I.371): a bucket is one number, the *theoretical
//! arrival time* (TAT) at which it would be full again. A slot of the table is one 128-bit word, `key << 64 | TAT`, and every change is one
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

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::Ordering::SeqCst;

use portable_atomic::AtomicU128;

use crate::limits::RATE_SLOTS_MIN;

/// A rate with its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Requests in a window, at least 1.
    pub requests: u32,
    /// The window's length in seconds, at least 1.
    pub window_s: u32,
    /// Requests that may come at once, at least 1.
    pub burst: u32,
}

impl Rate {
    /// So many a second.
    #[must_use]
    pub const fn per_second(requests: u32, burst: u32) -> Self {
        Self { requests, window_s: 1, burst }
    }

    /// How long one request lasts.
    const fn interval(self) -> u64 {
        let requests = if self.requests == 0 { 1 } else { self.requests };
        let interval = UNITS_PER_SECOND.saturating_mul(self.window_s as u64) / requests as u64;
        if interval == 0 { 1 } else { interval }
    }

    /// How far from full a bucket may be.
    fn tolerance(self) -> u64 {
        self.interval().saturating_mul(u64::from(self.burst.max(1))).min(TOLERANCE_UNITS_MAX)
    }

    /// Whether the burst is back within the nine years that the table can tell apart.
    #[must_use]
    pub fn is_tellable(self) -> bool {
        self.interval().checked_mul(u64::from(self.burst)).is_some_and(|units| units <= TOLERANCE_UNITS_MAX)
    }
}

/// Which limit of which service. It is made when a configuration is read, so that no request hashes names. A limit that
/// changes has other buckets, full ones: what was taken of an hour's rate says nothing of a second's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(u64);

impl Scope {
    /// The rates of tenants, which are of no service.
    const TENANTS: Self = Self(0);

    /// The limit of this name.
    #[must_use]
    pub fn of_limit(service: &str, limit: &str, rate: Rate) -> Self {
        // Names are the operator's, so nobody chooses them to collide: no seed.
        let mut hasher = DefaultHasher::new();
        (service, limit, rate).hash(&mut hasher);
        Self(hasher.finish().max(1))
    }
}

/// Whose bucket: a hash under this process's own seed. Those of different services, limits and kinds of owner are never
/// the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateKey(u64);

/// Whom a limit of a service counts.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// All who call it.
    Service,
    /// A client address: IPv6 by /64, IPv4-mapped IPv6 as IPv4.
    Client(IpAddr),
    /// One of its endpoints, as written in the file.
    Endpoint(&'a str),
    /// A tenant, by its `app_id`.
    Tenant(&'a str),
    /// Whoever sends this value of a field or cookie.
    Value(&'a [u8]),
}

impl Hash for Owner<'_> {
    /// One word, which tells the kind and how much follows it; a hasher costs by the call.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut word = |kind: u8, rest: u64| state.write_u64(u64::from(kind) << 56 | rest);
        let follows = match self {
            Self::Service => return word(b's', 0),
            Self::Client(address) => match address.to_canonical() {
                IpAddr::V4(address) => return word(b'4', address.to_bits().into()),
                IpAddr::V6(address) => {
                    word(b'6', 0);
                    return state.write_u64((address.to_bits() >> 64) as u64);
                }
            },
            Self::Endpoint(node) => (b'e', node.as_bytes()),
            Self::Tenant(app_id) => (b't', app_id.as_bytes()),
            Self::Value(value) => (b'v', *value),
        };
        word(follows.0, follows.1.len() as u64);
        state.write(follows.1);
    }
}

/// What a request that is admitted leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How long the request has to wait for its turn; 0 unless it came over the rate and has patience.
    pub wait_ns: u64,
    /// How far from full the bucket is now.
    debt: u64,
    rate: Rate,
}

impl Taken {
    /// How many more may come at once, and in how many milliseconds there is one more than that; at least 1. Worked out
    /// for who tells it, as a division costs.
    #[must_use]
    pub fn standing(&self) -> (u64, u64) {
        let (interval, tolerance) = (self.rate.interval(), self.rate.tolerance());
        let left = tolerance.saturating_sub(self.debt) / interval;
        let more = (self.debt + (left + 1).saturating_mul(interval)).saturating_sub(tolerance);
        (left, more.div_ceil(UNITS_PER_MS).max(1))
    }
}

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

    /// The bucket of somebody under a limit.
    #[must_use]
    pub fn limit_key(&self, scope: Scope, owner: Owner<'_>) -> RateKey {
        let mut hasher = self.seed.build_hasher();
        hasher.write_u64(scope.0);
        owner.hash(&mut hasher);
        RateKey(hasher.finish().clamp(NEVER_USED + 1, VACANT - 1))
    }

    /// The bucket of a tenant.
    #[must_use]
    pub fn tenant_key(&self, app_id: &str) -> RateKey {
        self.limit_key(Scope::TENANTS, Owner::Tenant(app_id))
    }

    /// As `take`, without patience, where nobody asks what is left.
    ///
    /// # Errors
    /// As `take`.
    pub fn admit(&self, key: RateKey, rate: Rate, now_ns: u64) -> Result<(), Refused> {
        self.take(key, rate, now_ns, 0).map(drop)
    }

    /// Takes one request out of the key's bucket. The rate given now is the one in force, whatever it
    /// was before. `now_ns` is a monotonic clock
    /// with any origin; workers' readings may differ by milliseconds. A request with patience is admitted ahead of its
    /// turn, for which it then has to wait that long at most.
    ///
    /// # Errors
    /// `Refused::Limited` when the bucket is empty, `Refused::Full` when there is no place for the key. Either
    /// way nothing is taken.
    pub fn take(&self, key: RateKey, rate: Rate, now_ns: u64, patience_ns: u64) -> Result<Taken, Refused> {
        let now = now_ns.saturating_mul(UNITS_PER_NS);
        let patience = patience_ns.saturating_mul(UNITS_PER_NS).min(TOLERANCE_UNITS_MAX);
        loop {
            match self.place(key, now) {
                Place::Held(slot, word) => {
                    let (tat, taken) = charged(word.tat, rate, now, patience)?;
                    if word.replace(slot, Word { owner: key.0, tat }) {
                        return Ok(taken);
                    }
                }
                Place::Free(slot, word) => {
                    let (tat, taken) = charged(now, rate, now, patience)?;
                    if word.replace(slot, Word { owner: key.0, tat }) {
                        self.fold_copies(key, now);
                        return Ok(taken);
                    }
                }
                Place::Nowhere => return Err(Refused::Full),
            }
        }
    }

    /// Gives a request back that was taken a moment ago, for one that came to nothing.
    pub fn give_back(&self, key: RateKey, rate: Rate) {
        while let Some(slot) = self.held(key).next() {
            let word = Word::load(slot);
            let next = Word { tat: word.tat.saturating_sub(rate.interval()), ..word };
            if word.owner == key.0 && word.replace(slot, next) {
                return;
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

/// The TAT after one more request, if the bucket has room for it or it has the patience to wait until then.
fn charged(tat: u64, rate: Rate, now: u64, patience: u64) -> Result<(u64, Taken), Refused> {
    let (interval, tolerance) = (rate.interval(), rate.tolerance());
    let next = tat.max(now).saturating_add(interval);
    let debt = next - now;
    let early = debt.saturating_sub(tolerance);
    if early > patience {
        return Err(Refused::Limited { retry_after_ms: early.div_ceil(UNITS_PER_MS) });
    }
    Ok((next, Taken { wait_ns: early.div_ceil(UNITS_PER_NS), debt, rate }))
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
