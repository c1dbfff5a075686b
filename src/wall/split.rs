//! Splits: a share of a service's requests goes to other services.
//!
//! A request has a number below a million, and each split a range of them: side by side, so that each gets its own
//! share whatever the others get. A number that sticks is a hash of what it sticks to and of the service's name:
//! the same on every core and machine, now and after a restart, and another one in another service. Out of scope:
//! dealing numbers that do not stick (`worker/plan/route`).

use std::net::IpAddr;

use super::attribute::{Attribute, Parts};
use super::condition::{Condition, all_hold};
use crate::ids::ServiceId;

/// Numbers lie below this.
pub const NUMBERS: u32 = 1_000_000;

/// The splits of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    sticky: Sticky,
    /// A hash of the service's name.
    salt: u64,
    parts: Box<[Split]>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Where its requests go.
    pub service: ServiceId,
    /// How many of a million.
    pub share_millionths: u32,
    /// What a request must fulfil beside.
    pub conditions: Box<[Condition]>,
    /// The other service is up. Else the share stays, and keeps its range.
    pub open: bool,
}

/// What stays together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// Nothing: each request is dealt anew.
    No,
    /// Requests of one client address.
    Client,
    /// Requests with one value of this; without a value, of one client address.
    Attribute(Attribute),
}

impl Splits {
    /// The splits of the service of this name.
    #[must_use]
    pub fn new(service: &str, sticky: Sticky, parts: Vec<Split>) -> Self {
        Self { sticky, salt: absorb(OFFSET, service.as_bytes()), parts: parts.into() }
    }

    /// Each, in the order of the file.
    #[must_use]
    pub fn parts(&self) -> &[Split] {
        &self.parts
    }

    /// What stays together.
    #[must_use]
    pub fn sticky(&self) -> &Sticky {
        &self.sticky
    }

    /// The number of a request; `deal` gives one where nothing sticks.
    #[must_use]
    pub fn number(&self, parts: &Parts<'_>, client: IpAddr, deal: impl FnOnce() -> u32, decoded: &mut Vec<u8>) -> u32 {
        match &self.sticky {
            Sticky::No => deal(),
            Sticky::Client => self.of_client(client),
            Sticky::Attribute(attribute) => match attribute.value(parts, decoded) {
                Some(value) => spread(absorb(self.salt, value)),
                None => self.of_client(client),
            },
        }
    }

    fn of_client(&self, client: IpAddr) -> u32 {
        spread(match client {
            IpAddr::V4(address) => absorb(self.salt, &address.octets()),
            IpAddr::V6(address) => absorb(self.salt, &address.octets()[..8]),
        })
    }

    /// The split that takes a request of this number. Each whose conditions hold has the range behind the one before.
    #[must_use]
    pub fn choose(&self, number: u32, parts: &Parts<'_>, decoded: &mut Vec<u8>) -> Option<&Split> {
        let mut from = 0;
        for split in self.parts.iter().filter(|split| all_hold(&split.conditions, parts, decoded)) {
            let to = from + split.share_millionths;
            if number < to {
                return split.open.then_some(split);
            }
            from = to;
        }
        None
    }
}

/// FNV-1a (RFC 9923): it has no seed, and a value's number must not change with the process.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn absorb(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A hash as a number below `NUMBERS`. FNV leaves its high bits too alike for short texts; the finaliser of
/// MurmurHash3 mixes them.
fn spread(hash: u64) -> u32 {
    let mut mixed = hash ^ (hash >> 33);
    mixed = mixed.wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    scale((mixed >> 32) as u32)
}

/// 32 even bits as a number below `NUMBERS`.
#[must_use]
pub fn scale(bits: u32) -> u32 {
    ((u64::from(bits) * u64::from(NUMBERS)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(service: u32, share_millionths: u32, conditions: &[&str]) -> Split {
        let conditions = conditions.iter().map(|text| Condition::parse(text).expect(text)).collect();
        Split { service: ServiceId(service), share_millionths, conditions, open: true }
    }

    fn taken(splits: &Splits, number: u32, query: &str) -> Option<u32> {
        let parts = Parts { query: Some(query.as_bytes()), fields: &[] };
        splits.choose(number, &parts, &mut Vec::new()).map(|split| split.service.0)
    }

    fn by_user() -> Splits {
        Splits::new("svc", Sticky::Attribute(Attribute::Query("uid".into())), vec![split(1, 100_000, &[])])
    }

    fn number(splits: &Splits, query: &str, client: &str) -> u32 {
        let parts = Parts { query: Some(query.as_bytes()), fields: &[] };
        let client = client.parse().expect("an address");
        splits.number(&parts, client, || panic!("it sticks"), &mut Vec::new())
    }

    #[test]
    fn shares_lie_side_by_side() {
        let splits = Splits::new("svc", Sticky::No, vec![split(1, 100_000, &[]), split(2, 250_000, &[])]);
        assert_eq!(taken(&splits, 0, ""), Some(1));
        assert_eq!(taken(&splits, 99_999, ""), Some(1));
        assert_eq!(taken(&splits, 100_000, ""), Some(2));
        assert_eq!(taken(&splits, 349_999, ""), Some(2));
        assert_eq!(taken(&splits, 350_000, ""), None);
        assert_eq!(taken(&splits, NUMBERS - 1, ""), None);
    }

    #[test]
    fn a_split_whose_conditions_do_not_hold_leaves_its_range_to_the_next() {
        let parts = vec![split(1, 100_000, &["query.beta == 1"]), split(2, 100_000, &[])];
        let splits = Splits::new("svc", Sticky::No, parts);
        assert_eq!(taken(&splits, 50_000, "beta=1"), Some(1));
        assert_eq!(taken(&splits, 50_000, ""), Some(2));
        assert_eq!(taken(&splits, 150_000, "beta=1"), Some(2));
        assert_eq!(taken(&splits, 150_000, ""), None);
    }

    #[test]
    fn the_share_of_a_service_that_is_down_stays_and_others_keep_theirs() {
        let parts = vec![Split { open: false, ..split(1, 100_000, &[]) }, split(2, 100_000, &[])];
        let splits = Splits::new("svc", Sticky::No, parts);
        assert_eq!(taken(&splits, 50_000, ""), None);
        assert_eq!(taken(&splits, 150_000, ""), Some(2));
    }

    #[test]
    fn a_value_has_the_same_number_always() {
        // Worked out by other means from the same description: whoever changes it moves every user to another side.
        assert_eq!(number(&by_user(), "uid=alice", "127.0.0.1"), 881_874);
        assert_eq!(number(&by_user(), "uid=alice", "::1"), 881_874);
        let other = Splits::new("other", by_user().sticky, Vec::new());
        assert_ne!(number(&by_user(), "uid=alice", "127.0.0.1"), number(&other, "uid=alice", "127.0.0.1"));
    }

    #[test]
    fn without_a_value_the_clients_address_counts() {
        let splits = by_user();
        assert_eq!(number(&splits, "", "192.0.2.1"), number(&splits, "x=1", "192.0.2.1"));
        assert_ne!(number(&splits, "", "192.0.2.1"), number(&splits, "", "192.0.2.2"));
        assert_eq!(number(&splits, "", "2001:db8::1"), number(&splits, "", "2001:db8::ffff"));
        assert_ne!(number(&splits, "", "2001:db8::1"), number(&splits, "", "2001:db8:0:1::1"));
    }

    #[test]
    fn numbers_of_users_are_spread_evenly() {
        let splits = by_user();
        let mut tenths = [0_u32; 10];
        for user in 0..20_000 {
            tenths[(number(&splits, &format!("uid={user}"), "127.0.0.1") / 100_000) as usize] += 1;
        }
        // 2,000 each, with a deviation of 42: five of them.
        assert!(tenths.iter().all(|count| (1_790..=2_210).contains(count)), "{tenths:?}");
    }
}
