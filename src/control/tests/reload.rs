//! Reload and drain, from the question to the answer.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::house::{House, eventually, load_if_changed};
use crate::config::InForce;
use crate::control::Outcome;
use crate::control::state::{Asker, Event, Pace};
use crate::ids::{EpochId, WorkerId};
use crate::wall::link::Report;

const ONE: &str = "127.0.0.1:9 tcp 60000 1000 1 1\n";
const TWO: &str = "127.0.0.1:9 tcp 60000 1000 1 1\n127.0.0.1:9 tcp 60000 1000 1 1\n";

fn services(house: &House) -> usize {
    house.workers[0].epoch().snapshot.services.len()
}

/// A house whose only endpoint has had its first verdict, so that no health epoch comes in between.
fn settled(workers: u16) -> House {
    let house = House::open(workers, ONE);
    house.await_epoch(2);
    house
}

#[test]
fn epoch_1_reaches_every_worker_before_anything_else() {
    let house = House::open(3, "");
    house.await_epoch(1);
    assert_eq!(house.stop(), Outcome { clean: true, epochs: 1, cut: 6, replaced: 0 });
}

#[test]
fn a_reload_is_answered_with_the_epoch_and_all_cores() {
    let house = settled(2);
    house.write(TWO);
    let (status, text) = house.workers[0].reload();
    assert_eq!(status, 200);
    assert!(text.starts_with("gateway config loaded: epoch 3 on 2/2 cores in "), "{text}");
    assert!(text.ends_with(" ms"), "{text}");
    assert_eq!(services(&house), 2);
}

#[test]
fn a_stuck_worker_is_counted_out_at_the_deadline_and_in_when_it_recovers() {
    let house = settled(2);
    house.workers[1].stuck.store(true, Ordering::Relaxed);
    house.write(TWO);
    let asked = Instant::now();
    let (status, text) = house.workers[0].reload();
    assert_eq!((status, text.as_str()), (200, "gateway config loaded: epoch 3 on 1/2 cores after 300 ms"));
    assert!(asked.elapsed() >= Duration::from_millis(300));
    house.workers[1].stuck.store(false, Ordering::Relaxed);
    house.await_epoch(3);
}

#[test]
fn a_bad_file_changes_nothing_and_every_fault_is_returned() {
    let house = settled(1);
    house.write("nonsense");
    let (status, text) = house.workers[0].reload();
    assert_eq!(status, 500);
    assert!(text.contains("first fault") && text.contains("second fault"), "{text}");
    assert_eq!(house.workers[0].epoch().id, EpochId(2));
    house.write(TWO);
    assert_eq!(house.workers[0].reload().0, 200);
}

#[test]
fn unchanged_text_is_no_new_epoch() {
    let house = settled(1);
    house.write(TWO);
    assert!(house.workers[0].reload().1.contains("epoch 3"));
    let (status, text) = house.workers[0].reload();
    assert_eq!(status, 200);
    assert!(text.starts_with("gateway config unchanged: epoch 3 on 1/1 cores in "), "{text}");
    assert_eq!(house.stop().epochs, 3);
}

#[test]
fn unchanged_text_right_after_start_is_no_new_epoch() {
    let house = settled(1);
    let (status, text) = house.workers[0].reload();
    assert_eq!(status, 200);
    assert!(text.starts_with("gateway config unchanged: epoch 2 on 1/1 cores in "), "{text}");
    assert_eq!(house.stop().epochs, 2);
}

#[test]
fn a_change_between_the_first_load_and_the_watch_is_noticed() {
    let first = AtomicBool::new(true);
    let load = move |file: &Path, in_force: &InForce| {
        let loaded = load_if_changed(file, in_force);
        if first.swap(false, Ordering::Relaxed) {
            std::fs::write(file, format!("{TWO}watch\n")).expect("file");
        }
        loaded
    };
    let house = House::open_with(1, &format!("{ONE}watch\n"), Pace::default(), Box::new(load));
    eventually("two services", || services(&house) == 2);
}

#[test]
fn a_loader_that_panics_is_a_fault() {
    let first = AtomicBool::new(true);
    let load = move |file: &Path, in_force: &InForce| {
        assert!(first.swap(false, Ordering::Relaxed), "broken on purpose");
        load_if_changed(file, in_force)
    };
    let house = House::open_with(1, "", Pace::default(), Box::new(load));
    let (status, text) = house.workers[0].reload();
    assert_eq!(status, 500);
    assert!(text.contains("broken on purpose"), "{text}");
}

#[test]
fn a_question_during_a_load_is_answered_from_the_next_load() {
    let (entered, enters) = crossbeam_channel::unbounded();
    let (release, released) = crossbeam_channel::unbounded::<()>();
    let first = AtomicBool::new(true);
    let load = move |file: &Path, in_force: &InForce| {
        let loaded = load_if_changed(file, in_force);
        if !first.swap(false, Ordering::Relaxed) {
            let _ = entered.send(());
            let _ = released.recv();
        }
        loaded
    };
    let house = House::open_with(1, "", Pace::default(), Box::new(load));
    house.write("bad");
    house.workers[0].ask(1);
    enters.recv().expect("the first load has read the bad file");
    house.write("");
    house.workers[0].ask(2);
    house.workers[0].ask(3);
    thread::sleep(Duration::from_millis(50));
    release.send(()).expect("the first load waits");
    assert_eq!(house.workers[0].answer().0, 1);
    enters.recv().expect("one more load for both");
    release.send(()).expect("the second load waits");
    let answers = [house.workers[0].answer(), house.workers[0].answer()].map(|(ticket, status, _)| (ticket, status));
    assert_eq!(answers, [(2, 200), (3, 200)]);
    assert!(enters.is_empty(), "two questions share one load");
}

#[test]
fn sighup_reloads() {
    let house = settled(1);
    house.write(TWO);
    house.send(Event::Asked(Asker::Operator));
    eventually("two services", || services(&house) == 2);
}

#[test]
fn the_timer_reloads_and_may_be_switched_on_by_a_reload() {
    let house = settled(1);
    house.write(&format!("{ONE}timer 50\n"));
    house.workers[0].reload();
    house.write(&format!("{TWO}timer 50\n"));
    eventually("two services", || services(&house) == 2);
}

#[test]
fn a_replaced_file_is_noticed_again_and_again() {
    let house = House::open(1, &format!("{ONE}watch\n"));
    house.await_epoch(2);
    for round in 0..3 {
        thread::sleep(Duration::from_millis(100));
        let text = if round % 2 == 0 { TWO } else { ONE };
        house.replace(&format!("{text}watch\n"));
        eventually("the other file", || services(&house) == 2 - round % 2);
    }
}

#[test]
fn a_file_written_in_place_is_noticed_and_a_half_written_one_does_no_harm() {
    let house = House::open(1, &format!("{ONE}watch\n"));
    house.await_epoch(2);
    thread::sleep(Duration::from_millis(100));
    house.write("127.0.0.1:9 tc");
    thread::sleep(Duration::from_millis(600));
    assert_eq!(services(&house), 1);
    house.write(&format!("{TWO}watch\n"));
    eventually("two services", || services(&house) == 2);
}

#[test]
fn one_dead_worker_of_two_is_counted_out_and_all_dead_ends_the_process() {
    let house = settled(2);
    let died = |worker: u16| {
        let report = Report::Died { worker: WorkerId(worker), cause: "test".into() };
        house.send(Event::Report(report));
    };
    died(1);
    house.write(TWO);
    assert!(house.workers[0].reload().1.contains("epoch 3 on 1/2 cores in "));
    died(0);
    let error = house.ended().expect_err("nobody is left");
    assert_eq!(error.to_string(), "no worker is left");
}

#[test]
fn a_worker_that_never_drains_is_given_up_after_the_window_and_its_grace() {
    let pace = Pace { grace: Duration::from_millis(200), ..Pace::default() };
    let house = House::open_with(2, "drain 100\n", pace, Box::new(load_if_changed));
    house.await_epoch(1);
    house.workers[0].stuck.store(true, Ordering::Relaxed);
    let asked = Instant::now();
    let outcome = house.stop();
    assert_eq!(outcome, Outcome { clean: false, epochs: 1, cut: 2, replaced: 0 });
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_second_signal_ends_at_once() {
    let house = House::open(1, "drain 60000\n");
    house.await_epoch(1);
    house.workers[0].stuck.store(true, Ordering::Relaxed);
    house.send(Event::Stop);
    let asked = Instant::now();
    assert!(!house.stop().clean);
    assert!(asked.elapsed() < Duration::from_secs(10));
}
