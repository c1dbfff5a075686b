//! Verdicts, names and their way into epochs.

use super::*;
use Verdict::{Down, Unprobed, Up};

#[test]
fn the_first_flip_goes_out_at_once_and_the_rest_together() {
    let mut desk = Desk::open(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
    desk.probe(1, true);
    assert_eq!((desk.epoch(), desk.verdict(0)), (2, Up));
    desk.probe(2, true);
    desk.probe(3, false);
    desk.pass(ms(49));
    assert_eq!((desk.epoch(), desk.verdict(1)), (2, Unprobed));
    desk.pass(ms(1));
    assert_eq!((desk.epoch(), desk.verdict(1), desk.verdict(2)), (3, Up, Down));
    desk.pass(ms(1_000));
    assert_eq!(desk.epoch(), 3);
    desk.probe(3, true);
    assert_eq!(desk.epoch(), 4, "after a pause the first goes out at once again");
}

#[test]
fn an_endpoint_is_up_since_workers_were_told_whatever_becomes_of_others() {
    let mut desk = Desk::open(&["10.0.0.1:80", "10.0.0.2:80"]);
    desk.probe(1, true);
    let first = desk.now;
    assert_eq!((desk.health(0).up_since, desk.health(1).up_since), (Some(first), None));
    desk.pass(ms(1_000));
    desk.probe(2, true);
    assert_eq!(desk.health(0).up_since, Some(first));
    desk.pass(ms(1_000));
    desk.probe(1, false);
    assert_eq!(desk.health(0).up_since, None);
    desk.pass(ms(1_000));
    desk.probe(1, true);
    assert_eq!(desk.health(0).up_since, Some(first + ms(3_000)));
}

#[test]
fn a_health_epoch_has_the_same_snapshot() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    let before = Arc::clone(&desk.state.publisher.current().snapshot);
    desk.probe(1, true);
    assert!(Arc::ptr_eq(&before, &desk.state.publisher.current().snapshot));
}

#[test]
fn a_result_that_changes_nothing_publishes_nothing() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.probe(1, true);
    desk.probe(1, true);
    desk.pass(ms(100));
    assert_eq!(desk.epoch(), 2);
}

#[test]
fn a_verdict_is_that_of_every_endpoint_with_the_key() {
    let mut desk = Desk::open(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:80"]);
    desk.probe(1, false);
    assert_eq!([desk.verdict(0), desk.verdict(1), desk.verdict(2)], [Down, Unprobed, Down]);
}

#[test]
fn verdicts_carry_over_a_reload_by_content() {
    let mut desk = Desk::open(&["10.0.0.1:80", "10.0.0.2:80"]);
    desk.probe(1, false);
    desk.probe(2, true);
    desk.ask(1);
    desk.did();
    desk.load(loaded(&["10.0.0.3:80", "10.0.0.2:80", "10.0.0.1:80"]));
    assert_eq!([desk.verdict(0), desk.verdict(1), desk.verdict(2)], [Unprobed, Up, Down]);
    assert_eq!(desk.did_only("check"), ["check 3=10.0.0.3:80"], "and only the new one gets a checker");
}

#[test]
fn a_removed_endpoint_loses_its_checker_and_returns_unprobed() {
    let mut desk = Desk::open(&["10.0.0.1:80", "10.0.0.2:80"]);
    desk.probe(1, true);
    desk.ask(1);
    desk.load(loaded(&["10.0.0.2:80"]));
    assert_eq!(desk.did_only("uncheck"), ["uncheck 1"]);
    desk.probe(1, false);
    desk.ask(2);
    desk.load(loaded(&["10.0.0.2:80", "10.0.0.1:80"]));
    assert_eq!(desk.verdict(1), Unprobed);
    assert_eq!(desk.did_only("check"), ["check 3=10.0.0.1:80"]);
}

#[test]
fn another_check_of_the_same_address_is_another_checker() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.probe(1, true);
    desk.ask(1);
    desk.did();
    let changed = snapshot(vec![(address("10.0.0.1:80"), check(2_000))]);
    desk.load(Loaded { snapshot: changed, ..loaded(&[]) });
    assert_eq!(desk.verdict(0), Unprobed);
    let did = desk.did();
    assert!(did.contains(&"uncheck 1".to_owned()) && did.contains(&"check 2=10.0.0.1:80".to_owned()), "{did:?}");
}

#[test]
fn a_failed_connect_is_a_failure_and_asks_for_a_probe() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.probe(1, true);
    desk.did();
    desk.connect_failed(2, 0);
    assert_eq!(desk.did_only("probe"), ["probe 1"]);
    desk.pass(ms(50));
    assert_eq!(desk.verdict(0), Down);
}

#[test]
fn failed_connects_count_against_the_fall_threshold() {
    let patient = Check { fall: 3, ..check(1_000) };
    let first = Loaded { snapshot: snapshot(vec![(address("10.0.0.1:80"), patient)]), ..loaded(&[]) };
    let mut desk = Desk::unadopted(first);
    desk.probe(1, true);
    for (failures, verdict) in [(1, Up), (2, Up), (3, Down)] {
        desk.connect_failed(2, 0);
        desk.pass(ms(100));
        assert_eq!(desk.verdict(0), verdict, "after {failures}");
    }
}

#[test]
fn a_failed_connect_to_a_down_endpoint_asks_for_nothing() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.probe(1, false);
    desk.did();
    desk.connect_failed(2, 0);
    assert!(desk.did().is_empty());
}

#[test]
fn a_failed_connect_on_an_epoch_before_the_verdict_says_nothing_about_it() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.probe(1, false);
    desk.pass(ms(100));
    desk.probe(1, true);
    assert_eq!((desk.epoch(), desk.verdict(0)), (3, Up));
    desk.connect_failed(2, 0);
    desk.pass(ms(100));
    assert_eq!(desk.verdict(0), Up);
    desk.connect_failed(3, 0);
    desk.pass(ms(100));
    assert_eq!(desk.verdict(0), Down);
}

#[test]
fn a_failed_connect_before_the_verdict_is_published_says_nothing_about_it() {
    let mut desk = Desk::open(&["10.0.0.1:80", "10.0.0.2:80"]);
    desk.probe(1, true);
    desk.probe(2, true);
    desk.connect_failed(2, 1);
    desk.pass(ms(100));
    assert_eq!(desk.verdict(1), Up);
}

#[test]
fn a_failed_connect_on_an_old_snapshot_finds_its_endpoint_by_key() {
    let mut desk = Desk::open(&["10.0.0.1:80", "10.0.0.2:80"]);
    desk.ask(1);
    desk.load(loaded(&["10.0.0.2:80"]));
    desk.connect_failed(1, 0);
    desk.pass(ms(100));
    assert_eq!(desk.verdict(0), Unprobed, "10.0.0.1 is no longer there");
    desk.connect_failed(1, 1);
    desk.pass(ms(100));
    assert_eq!(desk.verdict(0), Down);
}

#[test]
fn a_failed_connect_from_long_ago_or_nowhere_is_ignored() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    for _ in 0..20 {
        desk.ask(1);
        desk.load(loaded(&["10.0.0.1:80"]));
    }
    desk.did();
    desk.connect_failed(1, 0);
    desk.connect_failed(21, 99);
    assert!(desk.did().is_empty());
}

#[test]
fn names_are_followed_while_an_endpoint_needs_them() {
    let mut desk = Desk::open(&["a:80", "b:80"]);
    desk.ask(1);
    desk.did();
    desk.load(loaded(&["b:81", "c:80"]));
    let did = desk.did();
    let names: Vec<&String> =
        did.iter().filter(|word| word.starts_with("resolve") || word.starts_with("forget")).collect();
    assert_eq!(names, ["forget a", "resolve c"]);
}

fn resolved(name: &str, addresses: &[&str]) -> Event {
    let addresses = addresses.iter().map(|address| address.parse().expect("ip")).collect();
    Event::Resolved { name: name.into(), addresses }
}

fn shown(desk: &Desk, endpoint: u32) -> Vec<String> {
    desk.health(endpoint).addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn addresses_are_published_with_the_port_of_each_endpoint() {
    let mut desk = Desk::open(&["a:80", "a:81", "b:80", "10.0.0.1:82"]);
    desk.apply(resolved("a", &["10.0.0.9"]));
    assert_eq!(shown(&desk, 0), ["10.0.0.9:80"]);
    assert_eq!(shown(&desk, 1), ["10.0.0.9:81"]);
    assert!(shown(&desk, 2).is_empty());
    assert_eq!(shown(&desk, 3), ["10.0.0.1:82"]);
}

#[test]
fn addresses_carry_over_a_reload_and_the_same_again_publish_nothing() {
    let mut desk = Desk::open(&["a:80"]);
    desk.apply(resolved("a", &["10.0.0.9"]));
    desk.ask(1);
    desk.load(loaded(&["a:80", "a:81"]));
    assert_eq!((desk.epoch(), shown(&desk, 0).len(), shown(&desk, 1).len()), (3, 1, 1));
    desk.apply(resolved("a", &["10.0.0.9"]));
    desk.pass(ms(100));
    assert_eq!(desk.epoch(), 3);
}

#[test]
fn a_name_is_unprobed_until_it_is_looked_up_and_down_when_it_does_not_resolve() {
    let mut desk = Desk::open(&["a:80"]);
    assert_eq!(desk.verdict(0), Unprobed);
    desk.apply(resolved("a", &[]));
    assert_eq!(desk.verdict(0), Down);
    desk.apply(resolved("a", &["10.0.0.9"]));
    desk.pass(ms(100));
    assert_eq!(desk.verdict(0), Unprobed);
}

#[test]
fn a_name_that_stops_resolving_keeps_its_addresses() {
    let mut desk = Desk::open(&["a:80"]);
    desk.apply(resolved("a", &["10.0.0.9"]));
    desk.apply(resolved("a", &[]));
    desk.pass(ms(100));
    assert_eq!((desk.epoch(), shown(&desk, 0)), (2, vec!["10.0.0.9:80".to_owned()]));
}

#[test]
fn each_address_of_a_name_has_a_checker_for_as_long_as_it_is_one() {
    let mut desk = Desk::open(&["a:80", "a:80"]);
    assert!(desk.did().is_empty());
    desk.apply(resolved("a", &["10.0.0.8", "10.0.0.9"]));
    assert_eq!(desk.did_only("check"), ["check 1=10.0.0.8:80 2=10.0.0.9:80"]);
    desk.apply(resolved("a", &["10.0.0.7", "10.0.0.9"]));
    let did = desk.did();
    let checkers: Vec<&String> = did.iter().filter(|word| word.contains("check")).collect();
    assert_eq!(checkers, ["uncheck 1", "check 3=10.0.0.7:80"]);
    desk.ask(1);
    desk.load(loaded(&[]));
    let did = desk.did();
    assert_eq!(did.iter().filter(|word| word.starts_with("uncheck")).count(), 2, "{did:?}");
}

#[test]
fn a_dead_address_of_a_name_takes_no_traffic_while_another_does() {
    let mut desk = Desk::open(&["a:80"]);
    desk.apply(resolved("a", &["10.0.0.8", "10.0.0.9"]));
    desk.probe(1, true);
    desk.pass(ms(100));
    assert_eq!((desk.verdict(0), shown(&desk, 0)), (Up, vec!["10.0.0.8:80".to_owned()]), "the other is not probed yet");
    desk.probe(2, true);
    desk.pass(ms(100));
    assert_eq!(shown(&desk, 0).len(), 2);
    desk.probe(1, false);
    desk.pass(ms(100));
    assert_eq!((desk.verdict(0), shown(&desk, 0)), (Up, vec!["10.0.0.9:80".to_owned()]));
    desk.probe(2, false);
    desk.pass(ms(100));
    assert_eq!((desk.verdict(0), shown(&desk, 0).len()), (Down, 2));
}

#[test]
fn a_failed_connect_to_one_of_several_addresses_only_asks_for_probes() {
    let mut desk = Desk::open(&["a:80"]);
    desk.apply(resolved("a", &["10.0.0.8", "10.0.0.9"]));
    desk.probe(1, true);
    desk.probe(2, true);
    desk.pass(ms(100));
    desk.did();
    let epoch = desk.epoch();
    desk.connect_failed(epoch, 0);
    desk.pass(ms(100));
    assert_eq!(desk.did(), ["probe 1", "probe 2"]);
    assert_eq!((desk.epoch(), desk.verdict(0)), (epoch, Up));
}

#[test]
fn a_probe_of_an_address_that_has_gone_is_ignored() {
    let mut desk = Desk::open(&["a:80"]);
    desk.apply(resolved("a", &["10.0.0.8"]));
    desk.apply(resolved("a", &["10.0.0.9"]));
    desk.probe(1, true);
    desk.pass(ms(100));
    assert_eq!(desk.verdict(0), Unprobed);
}

#[test]
fn an_answer_for_a_name_nobody_needs_is_ignored() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.apply(resolved("a", &["10.0.0.9"]));
    assert!(desk.did().is_empty());
}

#[test]
fn a_new_configuration_carries_the_flips_that_waited() {
    let mut desk = Desk::open(&["10.0.0.1:80", "10.0.0.2:80"]);
    desk.probe(1, true);
    desk.probe(2, true);
    desk.ask(1);
    desk.load(loaded(&["10.0.0.1:80", "10.0.0.2:80"]));
    assert_eq!((desk.epoch(), desk.verdict(1)), (3, Up));
    desk.pass(ms(1_000));
    assert_eq!(desk.epoch(), 3);
}
