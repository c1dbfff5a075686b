//! Access lists of a service: black, white and host name, with the precedences of three systems.
//!
//! In scope: sets of addresses and ranges, and what a service's lists say of a client address and a path. Out of scope:
//! the lookup in a set (`ranges`), which address is the client's (`worker`), what a tenant must show (`tenants`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ranges::Ranges;
use crate::end::End;

/// A set of addresses and CIDR ranges.
///
/// IPv4-mapped IPv6 is IPv4 on both sides of the comparison. The client `::1` is also taken for 127.0.0.1, as
/// GateKeeper does, so that a list written for one loopback holds for the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl AddressSet {
    /// The set of these ranges; an exact address is a range of one.
    #[must_use]
    pub fn new(nets: Vec<IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match unmapped(net) {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }

    /// One item of a list in the file: an address or a CIDR range. Blanks around it do not count;
    /// bits of the host part are cut off.
    ///
    /// # Errors
    /// What is wrong with the item, for the person who wrote it.
    pub fn parse_item(item: &str) -> Result<IpNet, String> {
        let item = item.trim();
        let (address, prefix) = item.split_once('/').map_or((item, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| {
            format!("`{item}` is not an IP address or CIDR range (such as 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32)")
        })?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match prefix {
            None => Some(bits_max),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
        };
        let net = bits.and_then(|bits| IpNet::new(address, bits).ok());
        net.map(|net| unmapped(net.trunc()))
            .ok_or_else(|| format!("`{item}`: the prefix length must be a number from 0 to {bits_max}"))
    }

    /// Whether the address lies in any range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => {
                self.v6.contains(address.to_bits())
                    || address == Ipv6Addr::LOCALHOST && self.v4.contains(Ipv4Addr::LOCALHOST.to_bits())
            }
        }
    }

    /// Whether the set has no range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// A range within ::ffff:0:0/96 as the IPv4 range it stands for; others as they are.
fn unmapped(net: IpNet) -> IpNet {
    let mapped = |net: Ipv6Net| {
        let address = net.network().to_ipv4_mapped()?;
        Ipv4Net::new(address, net.prefix_len().checked_sub(96)?).ok()
    };
    match net {
        IpNet::V6(net) => mapped(net).map_or(IpNet::V6(net), IpNet::V4),
        IpNet::V4(_) => net,
    }
}

/// A list of addresses: what stands in the module file, and what stands in a file of its own, which services share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressList {
    /// In the module file.
    pub here: AddressSet,
    /// In a file of its own.
    pub file: Option<Arc<AddressSet>>,
}

impl AddressList {
    /// Whether either has the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.here.contains(address) || self.file.as_ref().is_some_and(|file| file.contains(address))
    }

    /// Whether there is a list, be it an empty file.
    #[must_use]
    pub fn is_given(&self) -> bool {
        !self.here.is_empty() || self.file.is_some()
    }
}

/// Paths, each with all below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathSet(BTreeSet<Box<[u8]>>);

impl PathSet {
    /// The set of these canonical prefixes, without slashes at their ends; the empty one is every path.
    #[must_use]
    pub fn new(prefixes: Vec<Box<[u8]>>) -> Self {
        Self(prefixes.into_iter().collect())
    }

    /// Whether a prefix covers the path, by whole segments.
    #[must_use]
    pub fn covers(&self, path: &[u8]) -> bool {
        !self.0.is_empty()
            && (self.0.contains(path) || memchr::memchr_iter(b'/', path).any(|end| self.0.contains(&path[..end])))
    }
}

/// Which list goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precedence {
    /// Black, then white; who is on neither must be a tenant: GateKeeper's.
    #[default]
    BlackFirst,
    /// A white list decides alone where there is one, else the black list: go_gateway's.
    WhiteDecides,
    /// Both must let the client pass, the white one where there is one: manba's.
    BothPass,
}

/// What a service's lists say, compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `open = 1`: the lists and the tenant demand are in force.
    pub open: bool,
    /// Which list goes first.
    pub precedence: Precedence,
    /// Whom the lists let pass must be a tenant too; `Precedence::BlackFirst` has its own rule.
    pub tenant_demanded: bool,
    /// Nobody is refused, only noted.
    pub dry_run: bool,
    /// `white_host_name` names this machine.
    pub host_listed: bool,
    /// Whom they name: apart, because most services ask nobody and there may be thousands.
    pub lists: Box<Lists>,
}

/// Whom a service's lists name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// `black_list` and `black_list_file`.
    pub black: AddressList,
    /// `white_list` and `white_list_file`.
    pub white: AddressList,
    /// `url_white_list`: whoever asks for these is as good as on the white list.
    pub urls: PathSet,
}

/// What the lists say of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Come in.
    Allowed,
    /// Only as a tenant.
    TenantNeeded,
}

/// Which of a service's lists decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// `open` is not 1: nobody was asked.
    NotOpen,
    /// `black_list` has the address.
    BlackList,
    /// `white_list` has the address.
    WhiteList,
    /// `url_white_list` has the path.
    UrlWhiteList,
    /// `white_host_name` names this machine.
    HostName,
    /// No list has the address: only as a tenant.
    NoList,
    /// There is a white list, and it does not have the address.
    NotWhite,
    /// No list is against it.
    NotBlack,
    /// No list is against it, and it must be a tenant.
    TenantDemanded,
}

impl Decider {
    /// What follows from it.
    ///
    /// # Errors
    /// `End::BlackListed`, `End::NotListed`.
    pub const fn verdict(self) -> Result<Admission, End> {
        match self {
            Decider::NotOpen | Decider::WhiteList | Decider::UrlWhiteList | Decider::HostName | Decider::NotBlack => {
                Ok(Admission::Allowed)
            }
            Decider::BlackList => Err(End::BlackListed),
            Decider::NotWhite => Err(End::NotListed),
            Decider::NoList | Decider::TenantDemanded => Ok(Admission::TenantNeeded),
        }
    }
}

impl Access {
    /// What the lists say of a client that asks for this normalised path; a connection asks for the empty one.
    ///
    /// # Errors
    /// `End::BlackListed`, `End::NotListed`.
    pub fn decide(&self, client: IpAddr, path: &[u8]) -> Result<Admission, End> {
        self.decider(client, path).verdict()
    }

    /// Who decides over this client.
    #[must_use]
    pub fn decider(&self, client: IpAddr, path: &[u8]) -> Decider {
        if !self.open {
            return Decider::NotOpen;
        }
        let black = || self.lists.black.contains(client).then_some(Decider::BlackList);
        match self.precedence {
            Precedence::BlackFirst => black()
                .or_else(|| self.white(client, path))
                .or(self.host_listed.then_some(Decider::HostName))
                .unwrap_or(Decider::NoList),
            Precedence::WhiteDecides => match self.white(client, path) {
                Some(white) => self.passed(white),
                None if self.lists.white.is_given() => Decider::NotWhite,
                None => black().unwrap_or_else(|| self.passed(Decider::NotBlack)),
            },
            Precedence::BothPass => black().unwrap_or_else(|| match self.white(client, path) {
                Some(white) => self.passed(white),
                None if self.lists.white.is_given() => Decider::NotWhite,
                None => self.passed(Decider::NotBlack),
            }),
        }
    }

    fn white(&self, client: IpAddr, path: &[u8]) -> Option<Decider> {
        let by_url = || self.lists.urls.covers(path).then_some(Decider::UrlWhiteList);
        if self.lists.white.contains(client) { Some(Decider::WhiteList) } else { by_url() }
    }

    fn passed(&self, decider: Decider) -> Decider {
        if self.tenant_demanded { Decider::TenantDemanded } else { decider }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(items: &[&str]) -> AddressSet {
        AddressSet::new(items.iter().map(|item| AddressSet::parse_item(item).expect(item)).collect())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn exact_addresses_and_ranges_of_both_families() {
        let set = set(&["192.168.0.1", "10.0.0.0/8", "2001:db8::/32", "fe80::1"]);
        for inside in ["192.168.0.1", "10.0.0.0", "10.255.255.255", "2001:db8:ffff::1", "fe80::1"] {
            assert!(set.contains(ip(inside)), "{inside}");
        }
        for outside in ["192.168.0.2", "9.255.255.255", "11.0.0.0", "2001:db9::", "fe80::2", "::"] {
            assert!(!set.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn mapped_ipv6_is_ipv4_on_both_sides() {
        assert!(set(&["10.0.0.1"]).contains(ip("::ffff:10.0.0.1")));
        assert!(set(&["::ffff:10.0.0.1"]).contains(ip("10.0.0.1")));
        assert!(set(&["::ffff:10.0.0.0/104"]).contains(ip("10.9.9.9")));
        assert!(!set(&["::/0"]).contains(ip("10.0.0.1")));
    }

    #[test]
    fn ipv6_loopback_counts_as_ipv4_loopback_but_not_the_reverse() {
        assert!(set(&["127.0.0.1"]).contains(ip("::1")));
        assert!(set(&["::1"]).contains(ip("::1")));
        assert!(!set(&["::1"]).contains(ip("127.0.0.1")));
    }

    #[test]
    fn blanks_and_host_bits_are_forgiven() {
        assert_eq!(AddressSet::parse_item(" 10.1.2.3/8\t"), Ok("10.0.0.0/8".parse().expect("net")));
        assert_eq!(AddressSet::parse_item("10.1.2.3"), Ok("10.1.2.3/32".parse().expect("net")));
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for item in
            ["", "localhost", "10.0.0", "10.0.0.1:80", "10.0.0.1/33", "::/129", "10.0.0.1/", "1.2.3.4/+8", "[::1]"]
        {
            let message = AddressSet::parse_item(item).expect_err(item);
            assert!(message.contains(&format!("`{item}`")), "{message}");
        }
    }

    #[test]
    fn everything_is_one_range() {
        let set = set(&["0.0.0.0/0", "1.2.3.4", "255.255.255.255"]);
        assert!(set.contains(ip("0.0.0.0")) && set.contains(ip("255.255.255.255")));
        assert_eq!(set.v4.len(), 1);
    }

    #[test]
    fn the_empty_set_has_nobody() {
        assert!(AddressSet::default().is_empty());
        assert!(!set(&["::1"]).is_empty());
        assert!(!AddressSet::default().contains(ip("::1")));
    }

    #[test]
    fn black_goes_before_white_before_host_before_tenant() {
        let lists = |black: &[&str], white: &[&str], host_listed| Access {
            host_listed,
            ..lists(Precedence::BlackFirst, black, white)
        };
        let client = ip("10.0.0.1");
        assert_eq!(lists(&["10.0.0.1"], &["10.0.0.1"], true).decide(client, b"/"), Err(End::BlackListed));
        assert_eq!(lists(&[], &["10.0.0.1"], true).decider(client, b"/"), Decider::WhiteList);
        assert_eq!(lists(&[], &["10.0.0.2"], true).decider(client, b"/"), Decider::HostName);
        assert_eq!(lists(&[], &["10.0.0.1"], false).decide(client, b"/"), Ok(Admission::Allowed));
        assert_eq!(lists(&[], &[], false).decide(client, b"/"), Ok(Admission::TenantNeeded));
    }

    fn lists(precedence: Precedence, black: &[&str], white: &[&str]) -> Access {
        let list = |items: &[&str]| AddressList { here: set(items), file: None };
        let lists = Box::new(Lists { black: list(black), white: list(white), ..Lists::default() });
        Access { open: true, precedence, lists, ..Access::default() }
    }

    #[test]
    fn a_white_list_that_decides_asks_no_black_one() {
        let decider = |black: &[&str], white: &[&str]| {
            lists(Precedence::WhiteDecides, black, white).decider(ip("10.0.0.1"), b"/")
        };
        assert_eq!(decider(&["10.0.0.1"], &["10.0.0.1"]), Decider::WhiteList);
        assert_eq!(decider(&[], &["10.0.0.2"]), Decider::NotWhite);
        assert_eq!(decider(&["10.0.0.1"], &[]), Decider::BlackList);
        assert_eq!(decider(&["10.0.0.2"], &[]), Decider::NotBlack);
    }

    #[test]
    fn where_both_must_pass_each_may_refuse() {
        let decider =
            |black: &[&str], white: &[&str]| lists(Precedence::BothPass, black, white).decider(ip("10.0.0.1"), b"/");
        assert_eq!(decider(&["10.0.0.1"], &["10.0.0.1"]), Decider::BlackList);
        assert_eq!(decider(&[], &["10.0.0.2"]), Decider::NotWhite);
        assert_eq!(decider(&["10.0.0.2"], &["10.0.0.1"]), Decider::WhiteList);
        assert_eq!(decider(&["10.0.0.2"], &[]), Decider::NotBlack);
    }

    #[test]
    fn a_white_list_that_is_an_empty_file_lets_nobody_in() {
        for precedence in [Precedence::WhiteDecides, Precedence::BothPass] {
            let white = AddressList { here: AddressSet::default(), file: Some(Arc::default()) };
            let mut access = lists(precedence, &[], &[]);
            access.lists.white = white;
            assert_eq!(access.decide(ip("10.0.0.1"), b"/"), Err(End::NotListed));
        }
    }

    #[test]
    fn whom_the_lists_let_pass_may_have_to_be_a_tenant_too() {
        for precedence in [Precedence::WhiteDecides, Precedence::BothPass] {
            let access = Access { tenant_demanded: true, ..lists(precedence, &[], &["10.0.0.1"]) };
            assert_eq!(access.decide(ip("10.0.0.1"), b"/"), Ok(Admission::TenantNeeded));
            assert_eq!(access.decide(ip("10.0.0.2"), b"/"), Err(End::NotListed));
        }
    }

    #[test]
    fn a_path_on_the_url_white_list_is_as_a_client_on_the_white_list() {
        let urls = PathSet::new(vec![b"/a/open".as_slice().into()]);
        for (precedence, black) in [(Precedence::BlackFirst, None), (Precedence::WhiteDecides, Some(Ok(())))] {
            let mut access = lists(precedence, &["10.0.0.9"], &["10.0.0.2"]);
            access.lists.urls = urls.clone();
            assert_eq!(access.decider(ip("10.0.0.1"), b"/a/open/x"), Decider::UrlWhiteList);
            assert_ne!(access.decider(ip("10.0.0.1"), b"/a/opened"), Decider::UrlWhiteList);
            let refused = black.unwrap_or(Err(End::BlackListed));
            assert_eq!(access.decide(ip("10.0.0.9"), b"/a/open").map(|_| ()), refused);
        }
        assert!(PathSet::new(vec![Box::default()]).covers(b"/anything"));
        assert!(!PathSet::default().covers(b"/"));
    }

    #[test]
    fn lists_that_are_not_open_ask_nobody() {
        let access = Access { open: false, ..lists(Precedence::BothPass, &["10.0.0.1"], &["10.0.0.2"]) };
        assert_eq!(access.decide(ip("10.0.0.1"), b"/"), Ok(Admission::Allowed));
    }

    proptest! {
        #[test]
        fn the_ranges_answer_as_the_scan(
            nets in prop::collection::vec((any::<u32>().prop_map(|bits| bits & 0xff0f_00ff), 0..=32u8), 0..20),
            probes in prop::collection::vec(any::<u32>(), 1..40),
        ) {
            let nets: Vec<_> = nets.iter()
                .map(|&(bits, prefix)| IpNet::new(Ipv4Addr::from_bits(bits).into(), prefix).expect("prefix"))
                .collect();
            let set = AddressSet::new(nets.clone());
            let edges = nets.iter().flat_map(|net| [net.network(), net.broadcast()]);
            for address in probes.iter().map(|&bits| Ipv4Addr::from_bits(bits).into()).chain(edges) {
                prop_assert_eq!(set.contains(address), nets.iter().any(|net| net.contains(&address)));
            }
        }
    }
}
