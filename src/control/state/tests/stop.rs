//! The end.

use super::*;
use crate::wall::link::Open;

fn drained(desk: &mut Desk, worker: u16, cut: u64) {
    desk.report(Report::Drained { worker: WorkerId(worker), cut, summary: String::new() });
}

#[test]
fn stopping_drains_every_worker_and_ends_with_the_last() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Stop);
    assert_eq!(desk.did(), ["tell Stopping", "drain 0+1000 to 0", "drain 0+1000 to 1", "close 0"]);
    drained(&mut desk, 1, 3);
    assert!(desk.did().is_empty());
    drained(&mut desk, 0, 4);
    assert_eq!(desk.did(), ["end clean=true epochs=1 cut=7"]);
}

#[test]
fn the_drain_window_is_the_newest_files() {
    let mut desk = Desk::open(&[]);
    desk.ask(1);
    let mut longer = loaded(&[]);
    longer.process.drain_window_ms = 5_000;
    desk.load(longer);
    desk.apply(Event::Stop);
    assert_eq!(desk.did_only("drain"), ["drain 0+5000 to 0", "drain 0+5000 to 1"]);
}

#[test]
fn a_worker_that_does_not_end_is_left_behind_after_the_window_and_2_s() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Stop);
    drained(&mut desk, 0, 1);
    desk.did();
    desk.pass(ms(2_999));
    assert!(desk.did().is_empty());
    desk.now += ms(1);
    desk.apply(Event::Due);
    assert_eq!(desk.did(), ["Error: not ended in time: 1 worker", "end clean=false epochs=1 cut=1"]);
}

#[test]
fn the_delay_comes_before_the_window() {
    let mut slow = loaded(&[]);
    slow.process.drain_delay_ms = 4_000;
    let mut desk = Desk::unadopted(slow);
    desk.all_adopt(1);
    desk.did();
    desk.apply(Event::Stop);
    assert_eq!(desk.did_only("drain"), ["drain 4000+1000 to 0", "drain 4000+1000 to 1"]);
    desk.pass(ms(6_999));
    assert!(desk.did().is_empty());
    desk.now += ms(1);
    desk.apply(Event::Due);
    assert_eq!(desk.did_only("end"), ["end clean=false epochs=1 cut=0"]);
}

#[test]
fn a_stop_says_what_it_waits_for() {
    let mut longer = loaded(&[]);
    (longer.process.drain_delay_ms, longer.process.drain_window_ms) = (3_000, 20_000);
    let mut desk = Desk::unadopted(longer);
    desk.all_adopt(1);
    desk.apply(Event::Stop);
    let open = |idle, exchanges, tunnels| Open { idle, exchanges, tunnels };
    for (worker, open) in [(0, open(2, 1, 0)), (1, open(1, 0, 4)), (0, open(2, 0, 0))] {
        desk.report(Report::Draining { worker: WorkerId(worker), open });
    }
    desk.effects.clear();
    desk.pass(ms(6_000));
    drained(&mut desk, 1, 0);
    desk.pass(ms(5_000));
    let stops = |effect: &Effect| match effect {
        Effect::Say(Level::Info, line) if line.starts_with("stopping") => Some(line.clone()),
        _ => None,
    };
    let lines: Vec<String> = desk.effects.iter().filter_map(stops).collect();
    assert_eq!(
        lines,
        [
            "stopping: serving for 2 s more, with 3 idle connections, 0 exchanges, 4 tunnels",
            "stopping: waiting for 3 idle connections, 0 exchanges, 4 tunnels; 17 s left; a second signal ends at once",
            "stopping: waiting for 2 idle connections, 0 exchanges, 0 tunnels; 12 s left; a second signal ends at once",
        ]
    );
}

#[test]
fn what_is_open_when_a_second_signal_ends_all_counts_as_cut() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Stop);
    for worker in [0, 1] {
        let open = Open { idle: 5, exchanges: 2, tunnels: 1 };
        desk.report(Report::Draining { worker: WorkerId(worker), open });
    }
    drained(&mut desk, 1, 3);
    desk.apply(Event::Stop);
    assert_eq!(desk.did_only("end"), ["end clean=false epochs=1 cut=6"]);
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Stop);
    desk.did();
    desk.apply(Event::Stop);
    assert_eq!(desk.did(), ["Warn: stopping at once", "end clean=false epochs=1 cut=0"]);
}

#[test]
fn a_worker_that_dies_while_it_drains_has_ended_but_not_cleanly() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Stop);
    drained(&mut desk, 0, 0);
    desk.did();
    desk.report(Report::Died { worker: WorkerId(1), cause: "test".into() });
    assert_eq!(desk.did(), ["Error: worker 1 has died: test", "end clean=false epochs=1 cut=0"]);
}

#[test]
fn whoever_waits_for_a_reload_is_turned_away() {
    let mut desk = Desk::open(&[]);
    desk.ask(1);
    desk.load(loaded(&[]));
    desk.ask(2);
    desk.ask(3);
    desk.did();
    desk.apply(Event::Stop);
    desk.ask(4);
    let answers: Vec<String> =
        [3, 2, 1, 4].map(|ticket| format!("answer {ticket} to 0: 503 the gateway is stopping")).into();
    assert_eq!(desk.did_only("answer"), answers);
}

#[test]
fn nothing_is_loaded_any_more() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Touched);
    desk.ask(1);
    desk.apply(Event::Stop);
    desk.did();
    desk.load(loaded(&["10.0.0.1:80"]));
    desk.apply(Event::Asked(Asker::Operator));
    desk.apply(Event::Touched);
    desk.pass(ms(2_500));
    assert_eq!(desk.epoch(), 1);
    assert!(desk.did().is_empty());
}

#[test]
fn health_is_published_to_the_end() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.apply(Event::Stop);
    drained(&mut desk, 0, 0);
    desk.did();
    desk.probe(1, false);
    assert_eq!(desk.did_only("adopt"), ["adopt 2 to 1"]);
}
