//! Both sides of an upgrade, the watchdog, and what a service manager hears.

use super::*;

const PID: u32 = 77;

fn wish(desk: &mut Desk, number: u64, cores: Option<usize>) {
    desk.apply(Event::UpgradeAsked { wisher: Wisher::Desk(number), cores });
}

fn news(desk: &mut Desk, news: Successor) {
    desk.apply(Event::Successor(news));
}

/// Two workers of a process that another waits for or not, under a watchdog.
fn born(has_predecessor: bool, watchdog: Option<Duration>) -> Desk {
    let loaded = loaded(&[]);
    let listening = Opened { groups: unserved(&loaded.process.listens), admin: None };
    let now = Instant::now();
    let birth = Birth { has_predecessor, watchdog };
    let workers = [WorkerId(0), WorkerId(1)];
    let (state, _) = State::open(loaded, listening, workers, now, Pace::default(), birth);
    let mut desk = Desk { state, now, effects: Vec::new() };
    desk.all_adopt(1);
    desk.effects.clear();
    desk
}

fn start_workers(desk: &mut Desk) {
    for worker in [WorkerId(0), WorkerId(1)] {
        desk.report(Report::Ready { worker, driver: "test" });
    }
}

fn pong(desk: &mut Desk, worker: u16) {
    desk.report(Report::Pong { worker: WorkerId(worker) });
}

#[test]
fn the_old_process_drains_only_when_the_new_one_has_proven_itself() {
    let mut desk = Desk::open(&[]);
    wish(&mut desk, 1, Some(4));
    assert_eq!(desk.did(), ["start Some(4) within 1000"]);
    news(&mut desk, Successor::Ready { pid: PID });
    assert_eq!(desk.did(), [""; 0]);
    news(&mut desk, Successor::Proven { pid: PID });
    assert_eq!(
        desk.did(),
        [
            "tell MainProcess(77)",
            "desk 1: Ok(\"upgraded: process 77 serves, the one before it drains\")",
            "yield",
            "drain 0+1000 to 0 and go on",
            "drain 0+1000 to 1 and go on",
            "close 0"
        ]
    );
}

#[test]
fn the_old_process_leaves_the_admin_listener_before_the_new_one_answers_there() {
    let mut loaded = loaded(&[]);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 8790));
    loaded.process.admin = Some(crate::config::Admin { address, given: true, token: None });
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a socket");
    let listening = Opened { groups: unserved(&loaded.process.listens), admin: Some(socket) };
    let workers = [WorkerId(0), WorkerId(1)];
    let now = Instant::now();
    let (state, effects) = State::open(loaded, listening, workers, now, Pace::default(), Birth::default());
    let mut desk = Desk { state, now, effects };
    desk.all_adopt(1);
    assert_eq!(desk.did_only("open admin").len(), 1);
    wish(&mut desk, 1, None);
    news(&mut desk, Successor::Ready { pid: PID });
    news(&mut desk, Successor::Proven { pid: PID });
    let did = desk.did();
    let place = |word| did.iter().position(|done| done == word);
    assert!(place("close admin").is_some() && place("close admin") < place("yield"), "{did:?}");
}

#[test]
fn a_failure_leaves_the_old_one_serving_and_another_try_open() {
    let mut desk = Desk::open(&[]);
    wish(&mut desk, 1, None);
    news(&mut desk, Successor::Ready { pid: PID });
    desk.did();
    news(&mut desk, Successor::Failed("it ended".into()));
    let said = desk.did();
    assert!(said.iter().any(|word| word.starts_with("desk 1: Err(") && word.contains("it ended")), "{said:?}");
    assert!(!said.iter().any(|word| word.starts_with("drain") || word.starts_with("yield")), "{said:?}");
    wish(&mut desk, 2, None);
    assert_eq!(desk.did(), ["start None within 1000"]);
}

#[test]
fn one_upgrade_at_a_time() {
    let refused = |desk: &mut Desk, why: &str| {
        desk.did();
        wish(desk, 9, None);
        let said = desk.did_only("desk 9");
        assert!(said.len() == 1 && said[0].contains(why), "{said:?}");
    };
    let mut old = Desk::open(&[]);
    wish(&mut old, 1, None);
    refused(&mut old, "under way already");
    news(&mut old, Successor::Proven { pid: PID });
    refused(&mut old, "process 77 serves now");
    let mut new = born(true, None);
    start_workers(&mut new);
    refused(&mut new, "yet to prove itself");
    new.apply(Event::Predecessor(Predecessor::HandsOver));
    refused(&mut new, "still drains");
    new.apply(Event::Predecessor(Predecessor::Gone));
    new.did();
    wish(&mut new, 10, None);
    assert_eq!(new.did(), ["start None within 1000"]);
    let mut stopping = Desk::open(&[]);
    stopping.apply(Event::Stop);
    refused(&mut stopping, "stopping");
}

#[test]
fn a_stop_takes_a_process_on_trial_along() {
    let mut desk = Desk::open(&[]);
    wish(&mut desk, 1, None);
    desk.did();
    desk.apply(Event::Stop);
    let said = desk.did();
    assert_eq!(said[0], "abandon");
    assert!(said.contains(&"drain 0+1000 to 0".to_owned()), "{said:?}");
    // Its end is no news any more.
    news(&mut desk, Successor::Proven { pid: PID });
    assert_eq!(desk.did(), [""; 0]);
}

#[test]
fn a_drain_after_an_upgrade_is_not_a_stop() {
    let mut desk = Desk::open(&[]);
    wish(&mut desk, 1, None);
    news(&mut desk, Successor::Proven { pid: PID });
    assert_eq!(desk.did_only("tell Stopping"), [""; 0]);
    // The first signal asks for what happens already, the second one cuts.
    desk.apply(Event::Stop);
    assert_eq!(desk.did(), [""; 0]);
    desk.apply(Event::Stop);
    assert_eq!(desk.did_only("end"), ["end clean=false epochs=1 cut=0"]);
}

#[test]
fn a_new_process_proves_itself_by_the_answers_of_its_workers() {
    let mut desk = born(true, Some(ms(60_000)));
    assert_eq!(desk.did_only("tell"), [""; 0]);
    start_workers(&mut desk);
    assert_eq!(desk.did(), ["ready: 2 on test", "tell the old one Ready", "ping 0", "ping 1"]);
    pong(&mut desk, 0);
    assert_eq!(desk.did(), [""; 0]);
    pong(&mut desk, 1);
    assert_eq!(desk.did(), ["tell the old one Alive"]);
    desk.pass(ms(limits::UPGRADE_SIGN_MS));
    assert_eq!(desk.did(), ["ping 0", "ping 1"]);
    pong(&mut desk, 0);
    // One that does not answer is asked once, however long it takes, and nothing is said to be well.
    desk.pass(ms(3 * limits::UPGRADE_SIGN_MS));
    assert_eq!(desk.did(), ["ping 0"]);
    desk.apply(Event::Predecessor(Predecessor::HandsOver));
    assert_eq!(desk.did_only("tell"), ["tell Ready"]);
}

#[test]
fn a_new_process_whose_worker_dies_gives_up() {
    let mut desk = born(true, None);
    start_workers(&mut desk);
    desk.did();
    desk.report(Report::Died { worker: WorkerId(1), cause: "panic".into() });
    assert_eq!(desk.did_only("tell the old one"), ["tell the old one Failed(\"worker 1 has died: panic\")"]);
}

#[test]
fn a_new_process_takes_office_when_the_old_one_hands_over_or_is_gone() {
    for end in [Predecessor::HandsOver, Predecessor::Gone] {
        let mut desk = born(true, None);
        start_workers(&mut desk);
        desk.did();
        desk.apply(Event::Predecessor(end));
        assert_eq!(desk.did(), ["pid", "tell Ready"]);
    }
}

#[test]
fn the_watchdog_hears_only_when_every_worker_lives() {
    let mut desk = born(false, Some(ms(4_000)));
    start_workers(&mut desk);
    assert_eq!(desk.did(), ["ready: 2 on test", "pid", "tell Ready", "ping 0", "ping 1"]);
    pong(&mut desk, 1);
    pong(&mut desk, 0);
    assert_eq!(desk.did(), ["tell Alive"]);
    desk.pass(ms(2_000));
    assert_eq!(desk.did(), ["ping 0", "ping 1"]);
    pong(&mut desk, 0);
    assert_eq!(desk.did(), [""; 0]);
    desk.report(Report::Died { worker: WorkerId(1), cause: "panic".into() });
    desk.pass(ms(2_000));
    desk.did();
    pong(&mut desk, 0);
    assert_eq!(desk.did(), [""; 0], "one of two is not well");
}

#[test]
fn without_a_watchdog_nobody_is_asked() {
    let mut desk = born(false, None);
    start_workers(&mut desk);
    desk.pass(ms(60_000));
    assert_eq!(desk.did_only("ping"), [""; 0]);
}

#[test]
fn a_reload_by_signal_is_told_from_its_beginning_to_its_end() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Asked(Asker::Quiet));
    desk.apply(Event::Loaded(Reading::Same));
    assert_eq!(desk.did_only("tell"), [""; 0]);
    desk.apply(Event::Asked(Asker::Operator));
    assert_eq!(desk.did_only("tell"), ["tell Reloading"]);
    desk.load(loaded(&[]));
    desk.all_adopt(2);
    assert_eq!(desk.did_only("tell"), ["tell Ready"]);
    desk.apply(Event::Asked(Asker::Operator));
    desk.apply(Event::Loaded(Reading::Faulty(faults())));
    assert_eq!(desk.did_only("tell"), ["tell Reloading", "tell Ready"]);
}

#[test]
fn a_stop_is_told() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Stop);
    assert_eq!(desk.did_only("tell"), ["tell Stopping"]);
}
