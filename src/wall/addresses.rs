//! Connections per client address, and per tcp service and client of one, true for the whole process.
//!
//! Part of the named exception (a) to "nothing is shared between workers". **Who writes and reads**: every worker, as a
//! client connection opens and as it closes, and only where `address_connections_max` or one of a tcp service's is set. Nobody else touches
//! it.
//!
//! A slot is one 64-bit word: 40 bits of a hash of the address under this process's own seed, IPv6 by /64, and 24 bits of
//! count. An address lives in one of `PROBES` neighbouring slots, and every change is one compare-and-swap. A slot whose
//! count is 0 is free. Two workers that bring a new address at the same instant may place it twice; all its slots count
//! together.
//!
//! **Memory**: 8 bytes a slot, allocated once and touched where used. **Error bound**: never more than the bound, because
//! whoever finds more than that after counting itself takes itself back; workers that do so at the same instant may
//! each give way to the other, so one too few may be let in for that instant. Addresses whose 40 bits agree share a
//! count: with 10,000 addresses one has such a neighbour in one of 100 million cases.
//!
//! Out of scope: who is counted, and what somebody over the bound is told.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use super::rate::Owner;

const PROBES: usize = 32;
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// How many connections each client address has.
#[derive(Debug)]
pub struct Addresses {
    slots: Box<[AtomicU64]>,
    seed: RandomState,
}

/// A counted connection, for as long as it lives.
#[derive(Debug)]
pub struct Counted {
    table: Arc<Addresses>,
    key: u64,
}

/// Why a connection is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCounted {
    /// The address has as many as it may.
    Over,
    /// No place for another address.
    Full,
}

impl Addresses {
    /// A table for so many connections at once.
    #[must_use]
    pub fn new(connections: usize) -> Arc<Self> {
        let slots = connections.saturating_mul(2).max(PROBES).next_power_of_two();
        Arc::new(Self { slots: (0..slots).map(|_| AtomicU64::new(0)).collect(), seed: RandomState::new() })
    }

    /// Counts one more connection of the address, unless it has `most` already.
    ///
    /// # Errors
    /// `NotCounted`; then nothing is counted.
    pub fn enter(self: &Arc<Self>, address: IpAddr, most: u32) -> Result<Counted, NotCounted> {
        self.count_in(self.key(Owner::Client(address)), most)
    }

    /// Counts one more connection to a tcp service: of all, or of a client.
    ///
    /// # Errors
    /// As `enter`.
    pub fn enter_service(self: &Arc<Self>, service: &str, owner: Owner<'_>, most: u32) -> Result<Counted, NotCounted> {
        self.count_in(self.key((service, owner)), most)
    }

    fn count_in(self: &Arc<Self>, key: u64, most: u32) -> Result<Counted, NotCounted> {
        if self.count(key) >= u64::from(most) {
            return Err(NotCounted::Over);
        }
        if !self.add(key) {
            return Err(NotCounted::Full);
        }
        // Made before the second look, so that its drop takes it back.
        let counted = Counted { table: self.clone(), key };
        if self.count(key) > u64::from(most) { Err(NotCounted::Over) } else { Ok(counted) }
    }

    fn key(&self, of: impl Hash) -> u64 {
        self.seed.hash_one(of) >> COUNT_BITS << COUNT_BITS
    }

    fn window(&self, key: u64) -> impl Iterator<Item = &AtomicU64> {
        let mask = self.slots.len() - 1;
        // The key's own bits are the high ones.
        let home = (key >> COUNT_BITS) as usize;
        (0..PROBES).map(move |n| &self.slots[home.wrapping_add(n) & mask])
    }

    fn count(&self, key: u64) -> u64 {
        let words = self.window(key).map(|slot| slot.load(SeqCst));
        words.filter(|word| word & !COUNT_MASK == key).map(|word| word & COUNT_MASK).sum()
    }

    /// False where there is no place.
    fn add(&self, key: u64) -> bool {
        loop {
            let mut place = None;
            for slot in self.window(key) {
                let word = slot.load(SeqCst);
                let held = word & !COUNT_MASK == key && word & COUNT_MASK < COUNT_MASK;
                if held || (place.is_none() && word & COUNT_MASK == 0) {
                    place = Some((slot, word));
                }
                if held {
                    break;
                }
            }
            let Some((slot, word)) = place else { return false };
            let next = if word & !COUNT_MASK == key { word + 1 } else { key | 1 };
            if slot.compare_exchange(word, next, SeqCst, SeqCst).is_ok() {
                return true;
            }
        }
    }

    /// Takes one connection of the key off one of its slots.
    fn remove(&self, key: u64) {
        loop {
            let mut words = self.window(key).map(|slot| (slot, slot.load(SeqCst)));
            let held = words.find(|(_, word)| word & !COUNT_MASK == key && word & COUNT_MASK > 0);
            let Some((slot, word)) = held else { return };
            if slot.compare_exchange(word, word - 1, SeqCst, SeqCst).is_ok() {
                return;
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.table.remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn an_address_has_as_many_connections_as_it_may_and_again_when_they_close() {
        let table = Addresses::new(16);
        let held: Vec<_> = (0..3).map(|_| table.enter(address(1), 3).unwrap()).collect();
        assert_eq!(table.enter(address(1), 3).unwrap_err(), NotCounted::Over);
        assert!(table.enter(address(2), 3).is_ok());
        drop(held);
        assert!(table.enter(address(1), 1).is_ok());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address() {
        let table = Addresses::new(16);
        let _held = table.enter("2001:db8::1".parse().unwrap(), 1).unwrap();
        assert!(table.enter("2001:db8::2".parse().unwrap(), 1).is_err());
        assert!(table.enter("2001:db8:0:1::1".parse().unwrap(), 1).is_ok());
    }

    #[test]
    fn a_full_table_says_so_and_has_room_again() {
        let table = Addresses::new(0);
        let held: Vec<_> = (0..PROBES as u32).map(|n| table.enter(address(n), 1).unwrap()).collect();
        assert_eq!(table.enter(address(99), 1).unwrap_err(), NotCounted::Full);
        drop(held);
        assert!(table.enter(address(99), 1).is_ok());
    }

    #[test]
    fn workers_at_once_never_exceed_the_bound_and_nothing_is_left() {
        let table = Addresses::new(16);
        let most = 5;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..5_000 {
                        let counted = table.enter(address(n % 2), most);
                        let held = table.count(table.key(Owner::Client(address(n % 2))));
                        // Each of the others may be about to take itself back.
                        assert!(held <= u64::from(most) + 3, "{held}");
                        drop(counted);
                    }
                });
            }
        });
        assert!(table.slots.iter().all(|slot| slot.load(SeqCst) & COUNT_MASK == 0));
    }
}
