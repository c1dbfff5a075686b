//! Epochs on their way to the workers and back.

use super::*;

#[test]
fn a_worker_is_sent_the_next_epoch_only_when_it_has_adopted_the_last() {
    let mut desk = Desk::unadopted(loaded(&["10.0.0.1:80"]));
    desk.adopt(0, 1);
    desk.did();
    for round in 0..5 {
        desk.probe(1, round % 2 == 0);
        desk.pass(ms(50));
        desk.adopt(0, desk.epoch());
    }
    assert_eq!(desk.epoch(), 6);
    assert_eq!(desk.did_only("adopt 6"), ["adopt 6 to 0"], "worker 1 is stuck");
    desk.adopt(1, 1);
    assert_eq!(desk.did_only("adopt"), ["adopt 6 to 1"], "and skips what it missed");
    desk.adopt(1, 6);
    assert!(desk.did_only("adopt").is_empty());
}

#[test]
fn a_replaced_epoch_is_freed_here_and_again_when_each_worker_lets_go() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    let first = Arc::clone(desk.state.publisher.current());
    desk.probe(1, true);
    assert_eq!(desk.did_only("free"), ["free 1"]);
    desk.report(Report::Released { worker: WorkerId(0), epoch: Arc::clone(&first) });
    desk.report(Report::Released { worker: WorkerId(1), epoch: first });
    assert_eq!(desk.did_only("free"), ["free 1", "free 1"]);
}

#[test]
fn an_epoch_in_a_workers_queue_is_held_until_it_is_adopted() {
    let mut desk = Desk::unadopted(loaded(&["10.0.0.1:80"]));
    let first = Arc::downgrade(desk.state.publisher.current());
    desk.probe(1, true);
    desk.effects.clear();
    assert!(first.upgrade().is_some(), "its last owner must not be the worker that skips it");
    desk.all_adopt(1);
    desk.effects.clear();
    assert!(first.upgrade().is_none());
}

#[test]
fn a_dead_worker_is_sent_nothing_more() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.report(Report::Died { worker: WorkerId(1), cause: "test".into() });
    assert_eq!(desk.did(), ["Error: worker 1 has died: test"]);
    desk.probe(1, true);
    assert_eq!(desk.did_only("adopt"), ["adopt 2 to 0"]);
}

#[test]
fn no_worker_left_ends_the_process() {
    for reports in [
        vec![
            Report::Died { worker: WorkerId(0), cause: "a".into() },
            Report::Died { worker: WorkerId(1), cause: "b".into() },
        ],
        vec![
            Report::Drained { worker: WorkerId(0), cut: 0, summary: String::new() },
            Report::Died { worker: WorkerId(1), cause: "b".into() },
        ],
    ] {
        let mut desk = Desk::open(&[]);
        for report in reports {
            assert!(desk.did_only("end").is_empty());
            desk.report(report);
        }
        assert_eq!(desk.did_only("end"), ["end: no worker is left"]);
    }
}

#[test]
fn closed_links_are_dead_workers() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Silence);
    assert_eq!(
        desk.did(),
        [
            "Error: worker 0 has died: its end of the link is closed",
            "Error: worker 1 has died: its end of the link is closed",
            "end: no worker is left"
        ]
    );
}

#[test]
fn readiness_is_said_once_for_all() {
    let mut desk = Desk::open(&[]);
    for worker in [0, 1, 1] {
        desk.report(Report::Ready { worker: WorkerId(worker), driver: "epoll" });
    }
    assert_eq!(desk.did_only("ready"), ["ready: 2 on epoll"]);
}

#[test]
fn a_report_of_an_unknown_worker_is_harmless() {
    let mut desk = Desk::open(&[]);
    desk.adopt(9, 1);
    desk.report(Report::Ready { worker: WorkerId(9), driver: "epoll" });
    desk.report(Report::Drained { worker: WorkerId(9), cut: 1, summary: String::new() });
    desk.report(Report::Died { worker: WorkerId(9), cause: "test".into() });
    assert_eq!(desk.did(), ["Error: worker 9 has died: test"]);
}

#[test]
fn an_epoch_is_shown_with_its_rows_before_a_worker_is_sent_it() {
    let mut desk = Desk::unadopted(loaded(&["10.0.0.1:80"]));
    desk.all_adopt(1);
    desk.ask(1);
    desk.load(loaded(&["10.0.0.1:80", "10.0.0.2:80"]));
    let shown = |id| desk.effects.iter().position(|effect| matches!(effect, Effect::Chart(epoch) if epoch.id.0 == id));
    let sent = |id| {
        let adopts =
            |effect: &Effect| matches!(effect, Effect::Send { order: Order::Adopt(epoch), .. } if epoch.id.0 == id);
        desk.effects.iter().position(adopts)
    };
    for epoch in 1..=2 {
        assert!(shown(epoch).is_some() && shown(epoch) < sent(epoch), "epoch {epoch}");
    }
    assert!(desk.state.publisher.current().rows.endpoints.iter().all(|row| row.generation > 0));
}
