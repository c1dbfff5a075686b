//! The table as callers see it, and what its slots hold when workers meet.

use std::sync::atomic::AtomicU64;
use std::sync::{Barrier, atomic::Ordering::Relaxed};
use std::thread;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate::per_second(per_second, burst)
}

fn client_key(table: &RateTable, service: &str, client: IpAddr) -> RateKey {
    table.limit_key(Scope::of_limit(service, "clients", rate(1, 1)), Owner::Client(client))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// How many of `tries` requests at once are admitted.
fn admitted(table: &RateTable, key: RateKey, rate: Rate, now_ns: u64, tries: u64) -> u64 {
    (0..tries).map(|_| u64::from(table.admit(key, rate, now_ns).is_ok())).sum()
}

/// Admitted over `seconds`, asked for `tries` times each millisecond, with clocks that lag by up to `lag_ns`.
fn admitted_over(rate: Rate, seconds: u64, tries: u64, lag_ns: &[u64]) -> u64 {
    let table = RateTable::new(1024);
    let key = table.tenant_key("a");
    let start = SECOND;
    let ticks = 0..=seconds * 1_000;
    ticks.zip(lag_ns.iter().cycle()).map(|(ms, lag)| admitted(&table, key, rate, start + ms * MS - lag, tries)).sum()
}

/// The whole promise: between 98 % and 102 % of rate × time + burst.
#[track_caller]
fn assert_promised(admitted: u64, expected: u64) {
    assert!((98 * expected..=102 * expected).contains(&(100 * admitted)), "{admitted} of {expected}");
}

#[test]
fn one_clock_gives_burst_and_rate_exactly() {
    assert_eq!(admitted_over(rate(100, 300), 10, 400, &[0]), 300 + 10 * 100);
    assert_eq!(admitted_over(rate(1, 1), 10, 2, &[0]), 1 + 10);
    assert_eq!(admitted_over(rate(7, 21), 10, 30, &[0]), 21 + 70);
}

#[test]
fn clocks_that_differ_by_milliseconds_keep_the_promise() {
    assert_promised(admitted_over(rate(100, 300), 10, 400, &[0, 4 * MS, MS, 3 * MS]), 1_300);
    assert_promised(admitted_over(rate(1_000, 10), 10, 20, &[0, 4 * MS, MS, 3 * MS]), 10_010);
}

#[test]
fn odd_and_high_rates_keep_the_promise() {
    for per_second in [3, 999, 700_001, 1_000_000, 9_999_991] {
        let table = RateTable::new(1024);
        let (key, rate) = (table.tenant_key("a"), rate(per_second, 5));
        let interval_ns = SECOND / u64::from(per_second);
        let (step_ns, time_ns) = (interval_ns / 3 + 1, 50_000 * interval_ns);
        let total: u64 = (0..=time_ns / step_ns).map(|n| admitted(&table, key, rate, n * step_ns, 2)).sum();
        assert_promised(total, 50_000 + 5);
    }
}

#[test]
fn a_bucket_at_time_zero_and_at_the_end_of_time_is_full() {
    let table = RateTable::new(64);
    assert_eq!(admitted(&table, table.tenant_key("a"), rate(1, 3), 0, 10), 3);
    assert_eq!(admitted(&table, table.tenant_key("b"), rate(1, 1), u64::MAX, 1), 1);
    assert_eq!(admitted(&table, table.tenant_key("c"), rate(u32::MAX, u32::MAX), 5, 10), 10);
    assert_eq!(admitted(&table, table.tenant_key("d"), rate(1, u32::MAX), 5, 10), 10);
}

#[test]
fn a_rate_of_nothing_counts_as_one() {
    let table = RateTable::new(64);
    assert_eq!(admitted(&table, table.tenant_key("a"), rate(0, 0), 0, 10), 1);
}

#[test]
fn a_clock_that_falls_back_admits_nothing_extra() {
    let table = RateTable::new(64);
    let key = table.tenant_key("a");
    assert_eq!(admitted(&table, key, rate(10, 30), 10 * SECOND, 100), 30);
    assert_eq!(admitted(&table, key, rate(10, 30), 9 * SECOND, 100), 0);
    assert_eq!(admitted(&table, key, rate(10, 30), 11 * SECOND, 100), 10);
}

#[test]
fn a_changed_rate_holds_from_the_next_request_on() {
    let table = RateTable::new(64);
    let key = table.tenant_key("a");
    assert_eq!(admitted(&table, key, rate(1, 3), SECOND, 100), 3);
    assert_eq!(admitted(&table, key, rate(1_000, 3_000), SECOND, 100), 0);
    assert_eq!(admitted(&table, key, rate(1_000, 3_000), 2 * SECOND, 5_000), 1_000);
    assert_eq!(admitted(&table, key, rate(1_000, 6_000), 2 * SECOND, 5_000), 3_000);
    assert_eq!(admitted(&table, key, rate(1, 3), 2 * SECOND, 100), 0);
}

#[test]
fn a_limit_that_changes_has_other_buckets() {
    let table = RateTable::new(64);
    let key = |rate| table.limit_key(Scope::of_limit("s", "calls", rate), Owner::Service);
    let (hourly, fast) = (Rate { requests: 1, window_s: 3_600, burst: 1 }, rate(100, 100));
    assert_eq!(admitted(&table, key(hourly), hourly, SECOND, 5), 1);
    assert_eq!(admitted(&table, key(fast), fast, SECOND, 200), 100);
    assert_eq!(admitted(&table, key(hourly), hourly, SECOND, 5), 0);
}

#[test]
fn windows_of_minutes_and_hours_give_burst_and_rate() {
    for window_s in [60, 3_600] {
        let (table, rate) = (RateTable::new(64), Rate { requests: 120, window_s, burst: 10 });
        let key = table.tenant_key("a");
        let asked = (0..=1_000).map(|n| SECOND + u64::from(window_s) * SECOND / 100 * n);
        assert_eq!(asked.map(|now_ns| admitted(&table, key, rate, now_ns, 20)).sum::<u64>(), 10 + 10 * 120);
    }
}

#[test]
fn what_is_left_and_when_there_is_more_is_told() {
    let (table, rate) = (RateTable::new(64), rate(2, 3));
    let key = table.tenant_key("a");
    let told: Vec<_> = (0..3).map(|_| table.take(key, rate, SECOND, 0).map(|taken| taken.standing())).collect();
    assert_eq!(told, [Ok((2, 500)), Ok((1, 500)), Ok((0, 500))]);
    assert_eq!(table.take(key, rate, SECOND, 0), Err(Refused::Limited { retry_after_ms: 500 }));
    let later = table.take(key, rate, SECOND + 600 * MS, 0).expect("one more");
    assert_eq!(later.standing(), (0, 400));
}

#[test]
fn patience_gives_each_its_own_turn_and_no_more_than_fit_into_it() {
    let (table, rate) = (RateTable::new(64), rate(10, 2));
    let key = table.tenant_key("a");
    let waits: Vec<_> =
        (0..8).map(|_| table.take(key, rate, SECOND, 350 * MS).map(|taken| taken.wait_ns / MS)).collect();
    let refused = Err(Refused::Limited { retry_after_ms: 400 });
    assert_eq!(waits, [Ok(0), Ok(0), Ok(100), Ok(200), Ok(300), refused, refused, refused]);
}

#[test]
fn what_is_given_back_was_never_taken() {
    let (table, rate) = (RateTable::new(64), rate(1, 3));
    let key = table.tenant_key("a");
    for _ in 0..20 {
        assert!(table.take(key, rate, SECOND, 0).is_ok());
        table.give_back(key, rate);
    }
    assert_eq!(admitted(&table, key, rate, SECOND, 9), 3);
    table.give_back(table.tenant_key("nobody"), rate);
}

#[test]
fn a_client_is_an_ipv4_address_or_an_ipv6_64_at_one_service() {
    let table = RateTable::new(64);
    let key = |service, client| client_key(&table, service, ip(client));
    assert_eq!(key("s", "2001:db8::1"), key("s", "2001:db8::ffff:1"));
    assert_ne!(key("s", "2001:db8::1"), key("s", "2001:db8:0:1::1"));
    assert_eq!(key("s", "10.0.0.1"), key("s", "::ffff:10.0.0.1"));
    assert_ne!(key("s", "10.0.0.1"), key("s", "10.0.0.2"));
    assert_ne!(key("s", "10.0.0.1"), key("t", "10.0.0.1"));
    assert_ne!(key("s", "0.0.0.0"), key("s", "::"));
}

#[test]
fn owners_of_different_kinds_never_clash() {
    let (table, scope) = (RateTable::new(64), Scope::of_limit("s", "calls", rate(1, 1)));
    let owners = [
        Owner::Service,
        Owner::Client(ip("0.0.0.0")),
        Owner::Client(ip("::")),
        Owner::Endpoint("a"),
        Owner::Tenant("a"),
        Owner::Value(b"a"),
        Owner::Value(b""),
    ];
    let keys = owners.map(|owner| table.limit_key(scope, owner).0);
    assert_eq!(std::collections::HashSet::from(keys).len(), owners.len());
}

#[test]
fn names_of_tenants_and_services_never_clash() {
    let table = RateTable::new(64);
    assert_ne!(table.tenant_key("s"), client_key(&table, "s", ip("0.0.0.0")));
    assert_ne!(table.tenant_key("ab"), table.tenant_key("a"));
}

#[test]
fn another_process_hashes_otherwise() {
    assert_ne!(RateTable::new(64).tenant_key("a"), RateTable::new(64).tenant_key("a"));
}

#[test]
fn slots_change_without_a_lock() {
    assert!(AtomicU128::is_lock_free());
}

/// Keys that all begin their search at the table's first slot.
fn colliding(table: &RateTable, n: u64) -> RateKey {
    RateKey((n + 1) * table.slots.len() as u64)
}

#[test]
fn a_key_without_a_place_is_refused_and_evicts_nobody() {
    let table = RateTable::new(64);
    for n in 0..PROBES as u64 {
        assert_eq!(table.admit(colliding(&table, n), rate(1, 1), 0), Ok(()));
    }
    assert_eq!(table.admit(colliding(&table, 99), rate(1, 1), 0), Err(Refused::Full));
    for n in 0..PROBES as u64 {
        assert_eq!(admitted(&table, colliding(&table, n), rate(1, 1), SECOND / 2, 1), 0, "{n} is still counted");
    }
}

#[test]
fn a_bucket_that_is_full_again_gives_its_slot_to_the_next_key() {
    let table = RateTable::new(64);
    for n in 0..PROBES as u64 {
        assert_eq!(table.admit(colliding(&table, n), rate(1, 1), 0), Ok(()));
    }
    assert_eq!(
        table.admit(colliding(&table, 99), rate(1, 1), SECOND + 5 * MS),
        Err(Refused::Full),
        "clocks may differ"
    );
    assert_eq!(table.admit(colliding(&table, 99), rate(1, 1), SECOND + 20 * MS), Ok(()));
    assert_eq!(admitted(&table, colliding(&table, 99), rate(1, 1), SECOND + 20 * MS, 3), 0);
}

#[test]
fn a_million_addresses_stay_in_bounds_and_a_live_bucket_survives() {
    let table = RateTable::new(crate::limits::RATE_SLOTS);
    let survivor = client_key(&table, "s", ip("192.0.2.1"));
    assert_eq!(admitted(&table, survivor, rate(1, 3), 0, 10), 3);
    let places = (0..1_000_000_u32)
        .filter(|&n| table.admit(client_key(&table, "s", IpAddr::from(n.to_be_bytes())), rate(1, 3), 0).is_ok())
        .count();
    assert!((crate::limits::RATE_SLOTS * 99 / 100..crate::limits::RATE_SLOTS).contains(&places), "{places}");
    assert_eq!(admitted(&table, survivor, rate(1, 3), 0, 10), 0);
    assert_eq!(admitted(&table, survivor, rate(1, 3), SECOND, 10), 1);
}

#[test]
fn a_table_half_full_has_a_place_for_everybody() {
    let table = RateTable::new(8192);
    let full = (0..4096_u32).filter(|n| table.admit(table.tenant_key(&n.to_string()), rate(1, 1), 0).is_err()).count();
    assert_eq!(full, 0);
}

/// Runs `threads` workers on a shared simulated clock; `step_ns` passes with each request, each worker's
/// reading is off by its own lag. Admitted per key.
fn simulate(threads: u64, keys: u64, rate: Rate, step_ns: u64, time_ns: u64) -> Vec<u64> {
    let table = RateTable::new(8192.max(keys as usize * 4));
    let clock = AtomicU64::new(0);
    let admitted: Vec<_> = (0..keys).map(|_| AtomicU64::new(0)).collect();
    let worker = |lag_ns: u64| {
        loop {
            let now_ns = clock.fetch_add(step_ns, Relaxed);
            if now_ns > time_ns {
                return;
            }
            let key = now_ns / step_ns % keys;
            let id = client_key(&table, "s", IpAddr::from((key as u32).to_be_bytes()));
            if table.admit(id, rate, SECOND + now_ns - lag_ns).is_ok() {
                admitted[key as usize].fetch_add(1, Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for n in 0..threads {
            scope.spawn(move || worker(n % 4 * MS));
        }
    });
    admitted.into_iter().map(AtomicU64::into_inner).collect()
}

#[test]
fn one_hot_key_of_2_and_of_48_workers_keeps_the_promise() {
    for threads in [2, 48] {
        let admitted = simulate(threads, 1, rate(5_000, 15_000), 20_000, 10 * SECOND);
        assert_promised(admitted[0], 10 * 5_000 + 15_000);
    }
}

#[test]
fn each_of_a_thousand_keys_of_2_and_of_48_workers_keeps_the_promise() {
    for threads in [2, 48] {
        for admitted in simulate(threads, 1_000, rate(20, 60), 20_000, 10 * SECOND) {
            assert!((255..=265).contains(&admitted), "{admitted} of 260");
        }
    }
}

#[test]
fn a_hundred_thousand_keys_of_2_and_of_48_workers_keep_the_promise_together() {
    for threads in [2, 48] {
        // Each is asked for 27 times, the last time 10.4 seconds after the first.
        let admitted = simulate(threads, 100_000, rate(1, 3), 4_000, 10_800 * MS - 1);
        // A worker that is held up after it has read the clock asks too early, and is refused.
        assert!(admitted.iter().all(|admitted| (10..=14).contains(admitted)), "13 each");
        assert_promised(admitted.iter().sum(), 100_000 * 13);
    }
}

fn copies(table: &RateTable, key: RateKey) -> Vec<u64> {
    let words = table.slots.iter().map(Word::load);
    words.filter(|word| word.owner == key.0).map(|word| word.tat).collect()
}

#[test]
fn two_copies_of_a_key_are_folded_into_the_first_with_the_debt_of_both() {
    let table = RateTable::new(64);
    let key = colliding(&table, 0);
    let now = 100 * UNITS_PER_MS;
    for (slot, tat_ms) in [(1, 130), (3, 150), (4, 90)] {
        table.slots[slot].store(Word { owner: key.0, tat: tat_ms * UNITS_PER_MS }.bits(), SeqCst);
    }
    for slot in [0, 2] {
        table.slots[slot].store(Word { owner: VACANT, tat: 0 }.bits(), SeqCst);
    }
    table.fold_copies(key, now);
    assert_eq!(copies(&table, key), [180 * UNITS_PER_MS]);
    assert_eq!(Word::load(&table.slots[1]).owner, key.0);
}

/// A slot's time passes between the workers' clocks, so they place one new key in different slots.
#[test]
fn workers_that_bring_a_new_key_at_once_end_with_one_copy_and_the_whole_debt() {
    const WORKERS: u64 = 4;
    const ROUNDS: u64 = 3_000;
    let table = RateTable::new(64);
    let (burst, barrier) = (5, Barrier::new(WORKERS as usize));
    let total = AtomicU64::new(0);
    let worker = |n: u64| {
        let mut ends = Vec::new();
        for round in 1..=ROUNDS {
            let start = round * 100 * SECOND;
            if n == 0 {
                let half_seen = start + 4 * MS - 20 * MS - SECOND / 10;
                ends.extend(table.admit(colliding(&table, 0), rate(10, 1), half_seen).err().map(|_| (0, Vec::new())));
                total.store(0, Relaxed);
            }
            barrier.wait();
            let key = colliding(&table, round);
            total.fetch_add(admitted(&table, key, rate(1, burst), start + 3 * MS * n, 10), Relaxed);
            barrier.wait();
            if n == 0 {
                let debt_ms = |tat: u64| (tat - start * UNITS_PER_NS) / UNITS_PER_MS;
                ends.push((total.load(Relaxed), copies(&table, key).into_iter().map(debt_ms).collect()));
            }
        }
        ends
    };
    let ends: Vec<(u64, Vec<u64>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|n| scope.spawn(move || worker(n))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
    });
    assert_eq!(ends.len() as u64, ROUNDS);
    assert_promised(ends.iter().map(|(total, _)| total).sum(), ROUNDS * u64::from(burst));
    for (total, debts_ms) in ends {
        assert!(
            matches!(*debts_ms, [debt_ms] if (total * 1_000..total * 1_000 + 20).contains(&debt_ms)),
            "{total}: {debts_ms:?}"
        );
    }
}

proptest! {
    /// Against a bucket that counts tokens in fractions, at rates whose interval has no remainder.
    #[test]
    fn every_decision_is_that_of_a_token_bucket(
        per_second in prop::sample::select(vec![1_u32, 2, 5, 8, 64, 1_000, 15_625, 1_000_000]),
        window_s in prop::sample::select(vec![1_u32, 60, 3_600]),
        burst in 1..20_u32,
        waits in prop::collection::vec(prop_oneof![Just(0), 0..2 * SECOND, 0..2 * MS, 0..2_000_u64], 1..200),
    ) {
        let table = RateTable::new(64);
        let (key, rate) = (table.tenant_key("a"), Rate { requests: per_second, window_s, burst });
        let one = u128::from(SECOND) * u128::from(window_s);
        let (mut now_ns, mut tokens) = (0, one * u128::from(burst));
        for wait_ns in waits {
            now_ns += wait_ns * u64::from(window_s);
            tokens += u128::from(wait_ns * u64::from(window_s)) * u128::from(per_second);
            tokens = tokens.min(one * u128::from(burst));
            let left = tokens.checked_sub(one);
            let taken = table.take(key, rate, now_ns, 0).ok();
            prop_assert_eq!(taken.map(|taken| u128::from(taken.standing().0)), left.map(|left| left / one));
            tokens = left.unwrap_or(tokens);
        }
    }

    #[test]
    fn who_waits_as_told_is_admitted_and_not_a_millisecond_earlier(per_second in 1..2_000_u32, burst in 1..50_u32, now_ns in 0..SECOND) {
        let table = RateTable::new(64);
        let (key, rate) = (table.tenant_key("a"), rate(per_second, burst));
        admitted(&table, key, rate, now_ns, u64::from(burst));
        let Err(Refused::Limited { retry_after_ms }) = table.admit(key, rate, now_ns) else {
            return Err(TestCaseError::fail("the burst is used up"));
        };
        prop_assert!(retry_after_ms >= 1);
        prop_assert!(table.admit(key, rate, now_ns + (retry_after_ms - 1) * MS).is_err());
        prop_assert!(table.admit(key, rate, now_ns + retry_after_ms * MS).is_ok());
    }
}
