//! A list of 100,000 addresses next to one of ten, and what list, tenant and limit cost a request together.
//!
//! `cargo run --profile micro -p bench-micro --bin lists`; ends with 1 where a ratio is above its bound. Before anything is
//! measured, both lists are asked for addresses that they have and that they lack.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use bench_micro::{Candidate, Numbers, judge};
use gatekeeper::wall::access::{Access, AddressList, AddressSet, Lists};
use gatekeeper::wall::rate::{Owner, Rate, RateTable, Scope};
use gatekeeper::wall::tenants::{Claim, Proof, Tenant, Tenants};

const ASKED: usize = 20_000;

fn address(numbers: &mut Numbers) -> IpAddr {
    let bits = numbers.below(1 << 32);
    IpAddr::V4(Ipv4Addr::from(u32::try_from(bits).unwrap_or(u32::MAX)))
}

fn addresses(numbers: &mut Numbers, count: usize) -> Vec<IpAddr> {
    (0..count).map(|_| address(numbers)).collect()
}

/// A service whose white list has these addresses.
fn listed(addresses: &[IpAddr]) -> Access {
    let here = AddressSet::new(addresses.iter().map(|address| (*address).into()).collect());
    let lists = Lists { white: AddressList { here, file: None }, ..Lists::default() };
    Access { open: true, lists: Box::new(lists), ..Access::default() }
}

/// How many are on the list.
fn allowed(access: &Access, asked: &[IpAddr]) -> usize {
    let white = |address: &&IpAddr| access.lists.white.contains(**address);
    asked.iter().filter(white).count()
}

fn tenant() -> Tenants {
    Tenants::new(vec![Tenant {
        app_id: "shop".into(),
        name: "shop".into(),
        secret: "62fda0f2212eaffd90dbf04136768c5a".into(),
        signing: None,
        allowed: [b"/orders".as_slice().into()].into(),
        white: AddressSet::default(),
        rate: None,
        quota: None,
        usage_told: false,
        group_id: 0,
    }])
}

fn main() -> ExitCode {
    let numbers = &mut Numbers::new(7);
    let (ten, many) = (addresses(numbers, 10), addresses(numbers, 100_000));
    let strangers = addresses(numbers, ASKED);
    let of_ten: Vec<_> = (0..ASKED).map(|_| ten[numbers.below(ten.len())]).collect();
    let few_of_many: Vec<_> = (0..ASKED).map(|_| many[numbers.below(ten.len())]).collect();
    let of_many: Vec<_> = (0..ASKED).map(|_| many[numbers.below(many.len())]).collect();
    let (short, long) = (listed(&ten), listed(&many));
    assert_eq!((allowed(&short, &of_ten), allowed(&long, &of_many)), (ASKED, ASKED));
    assert!(allowed(&long, &strangers) < ASKED / 1_000);

    let (tenants, rates) = (tenant(), RateTable::new(256 * 1024));
    let rate = Rate::per_second(1_000_000, 1_000_000);
    let scope = Scope::of_limit("orders", "client-second", rate);
    let claim = || Claim { app_id: b"shop", proof: Proof::Secret(b"62fda0f2212eaffd90dbf04136768c5a") };
    let policy = |client: &IpAddr, now_ns: u64| {
        let listed = long.decide(*client, b"/orders/a").is_ok();
        let known = tenants.admit(claim(), *client, b"/orders/a").is_ok();
        let key = rates.limit_key(scope, Owner::Client(*client));
        listed && known && rates.take(key, rate, now_ns, 0).is_ok()
    };
    let mut now_ns = 0;
    let candidates = vec![
        Candidate::new("10 clients, on a list of 10", || allowed(&short, &of_ten)),
        Candidate::new("10 clients, on a list of 100,000", || allowed(&long, &few_of_many)).at_most(1.25, 0),
        Candidate::new("20,000 clients, on a list of 100,000", || allowed(&long, &of_many)).at_most(3.0, 0),
        Candidate::new("20,000 clients, not on a list of 10", || allowed(&short, &strangers)),
        Candidate::new("20,000 clients, not on a list of 100,000", || allowed(&long, &strangers)).at_most(1.5, 3),
        Candidate::new("list of 100,000, tenant and limit of one request", || {
            now_ns += 1_000_000_000;
            of_ten.iter().filter(|client| policy(client, now_ns)).count()
        }),
    ];
    judge(candidates, ASKED)
}
