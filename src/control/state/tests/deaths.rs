//! Workers that die are replaced, not too often, and the process ends when none can be.

use super::doors::{http, serving};
use super::*;

fn dies(desk: &mut Desk, worker: u16) {
    desk.report(Report::Died { worker: WorkerId(worker), cause: "test".into() });
}

fn starts(desk: &mut Desk, worker: u16) {
    desk.report(Report::Ready { worker: WorkerId(worker), driver: "test" });
}

/// Two workers that have run for a while.
fn running() -> Desk {
    let mut desk = serving(&[&http("127.0.0.1:80")]);
    starts(&mut desk, 0);
    starts(&mut desk, 1);
    desk.pass(ms(5_000));
    desk.did();
    desk
}

#[test]
fn a_worker_that_dies_is_replaced_at_once_and_given_the_epoch_and_its_sockets() {
    let mut desk = running();
    dies(&mut desk, 1);
    assert_eq!(desk.did(), ["Error: worker 1 has died: test", "replace 1", "adopt 1 to 1"]);
    starts(&mut desk, 1);
    desk.adopt(1, 1);
    assert_eq!(desk.did(), ["Warn: worker 1 has been replaced, on test", "free 1", "deal 0.1 to 1"]);
}

#[test]
fn one_that_dies_again_and_again_is_replaced_ever_later() {
    let mut desk = running();
    let mut waits = Vec::new();
    for _ in 0..9 {
        dies(&mut desk, 1);
        let start = desk.now;
        while desk.did_only("replace").is_empty() {
            desk.pass(ms(100));
        }
        waits.push((desk.now - start).as_secs());
        starts(&mut desk, 1);
    }
    assert_eq!(waits, [0, 2, 4, 8, 16, 30, 30, 30, 30]);
    desk.pass(ms(60_000));
    dies(&mut desk, 1);
    assert_eq!(desk.did_only("replace"), ["replace 1"], "it lived long enough");
}

#[test]
fn while_a_replacement_is_awaited_others_serve_its_sockets() {
    let mut desk = running();
    dies(&mut desk, 1);
    starts(&mut desk, 1);
    desk.did();
    dies(&mut desk, 1);
    assert_eq!(desk.did(), ["Error: worker 1 has died: test", "free 1", "deal 0.1 to 0"]);
}

#[test]
fn the_process_ends_when_no_worker_can_be_started() {
    let mut desk = running();
    dies(&mut desk, 0);
    dies(&mut desk, 1);
    assert!(desk.did_only("end").is_empty(), "both are started again");
    let fails = |worker| Event::NotReplaced { worker: WorkerId(worker), cause: "no threads".into() };
    desk.apply(fails(0));
    assert!(desk.did_only("end").is_empty(), "the other may still start");
    desk.apply(fails(1));
    assert_eq!(desk.did_only("end"), ["end: no worker is left"]);
}

#[test]
fn a_worker_that_dies_during_a_stop_is_not_replaced() {
    let mut desk = running();
    desk.apply(Event::Stop);
    dies(&mut desk, 1);
    assert!(desk.did_only("replace").is_empty());
}

#[test]
fn whoever_asked_a_dead_worker_for_a_reload_is_forgotten() {
    let mut desk = running();
    desk.ask(7);
    dies(&mut desk, 0);
    desk.did();
    desk.load(loaded(&[]));
    desk.adopt(0, 2);
    desk.adopt(1, 2);
    assert!(desk.did_only("answer").is_empty(), "its number may be a question of its successor");
}
