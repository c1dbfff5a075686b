//! Questions, loads and answers.

use super::*;

fn same() -> Event {
    Event::Loaded(Reading::Same)
}

#[test]
fn the_answer_comes_when_the_last_worker_has_adopted() {
    let mut desk = Desk::open(&[]);
    desk.ask(5);
    assert_eq!(desk.did(), ["load unless 1"]);
    desk.load(loaded(&[]));
    desk.now += ms(3);
    desk.adopt(0, 2);
    assert!(desk.did_only("answer").is_empty());
    desk.adopt(1, 2);
    assert_eq!(desk.did_only("answer"), ["answer 5 to 0: 200 gateway config loaded: epoch 2 on 2/2 cores in 3 ms"]);
    desk.pass(ms(10_000));
    assert!(desk.did_only("answer").is_empty());
}

#[test]
fn a_stuck_worker_is_counted_out_after_5_s() {
    let mut desk = Desk::open(&[]);
    desk.ask(5);
    desk.load(loaded(&[]));
    desk.adopt(0, 2);
    desk.pass(ms(4_999));
    assert!(desk.did_only("answer").is_empty());
    desk.pass(ms(1));
    assert_eq!(
        desk.did(),
        [
            "Warn: gateway config loaded: epoch 2 on 1/2 cores after 5 s",
            "answer 5 to 0: 200 gateway config loaded: epoch 2 on 1/2 cores after 5 s"
        ]
    );
}

#[test]
fn a_worker_that_recovers_late_is_still_said() {
    let mut desk = Desk::open(&[]);
    desk.ask(5);
    desk.load(loaded(&[]));
    desk.adopt(0, 2);
    desk.pass(ms(7_200));
    desk.effects.clear();
    desk.adopt(1, 2);
    let said: Vec<String> = desk.effects.iter().map(|effect| format!("{effect:?}")).collect();
    let line = "Say(Info, \"gateway config loaded: epoch 2 on 2/2 cores in 7.2 s\")";
    assert!(said.contains(&line.to_owned()), "{said:?}");
}

#[test]
fn a_worker_on_a_later_epoch_counts() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.ask(5);
    desk.load(loaded(&["10.0.0.1:80"]));
    desk.adopt(0, 2);
    desk.pass(ms(100));
    desk.probe(1, true);
    desk.adopt(1, 3);
    assert_eq!(desk.did_only("answer").len(), 1);
}

#[test]
fn a_dead_worker_is_counted_out_at_once() {
    let mut desk = Desk::open(&[]);
    desk.ask(5);
    desk.load(loaded(&[]));
    desk.adopt(0, 2);
    desk.report(Report::Died { worker: WorkerId(1), cause: "test".into() });
    assert_eq!(desk.did_only("answer"), ["answer 5 to 0: 200 gateway config loaded: epoch 2 on 1/2 cores in 0 ms"]);
}

#[test]
fn a_bad_file_is_answered_with_its_faults_and_changes_nothing() {
    let mut desk = Desk::open(&["10.0.0.1:80"]);
    desk.ask(5);
    desk.did();
    desk.apply(Event::Loaded(Reading::Faulty(faults())));
    assert_eq!(
        desk.did(),
        [
            "Error: a.toml: one",
            "Warn: a.toml: two",
            "Error: configuration not loaded; epoch 1 stays in force",
            "answer 5 to 0: 500 a.toml: error: one\na.toml: warning: two"
        ]
    );
    assert_eq!(desk.epoch(), 1);
}

#[test]
fn a_configuration_that_is_good_again_is_said_once() {
    let said_good = |desk: &mut Desk| {
        let lines = desk.effects.drain(..).filter_map(|effect| match effect {
            Effect::Say(Level::Info, line) => Some(line),
            _ => None,
        });
        lines.collect::<Vec<_>>()
    };
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Asked(Asker::Quiet));
    desk.apply(Event::Loaded(Reading::Faulty(faults())));
    desk.did();
    desk.apply(Event::Asked(Asker::Quiet));
    desk.apply(same());
    assert_eq!(said_good(&mut desk), ["the files are good again: what they say is in force, epoch 1"]);
    desk.apply(Event::Asked(Asker::Quiet));
    desk.apply(same());
    assert!(said_good(&mut desk).is_empty());
}

#[test]
fn unchanged_text_right_after_start_publishes_nothing() {
    let mut desk = Desk::open(&[]);
    desk.ask(1);
    desk.apply(same());
    assert_eq!(
        desk.did(),
        ["load unless 1", "answer 1 to 0: 200 gateway config unchanged: epoch 1 on 2/2 cores in 0 ms"]
    );
}

#[test]
fn the_fingerprint_in_force_goes_with_the_next_load_and_the_same_text_publishes_nothing() {
    let mut desk = Desk::open(&[]);
    desk.ask(1);
    desk.apply(Event::Loaded(Reading::New(Box::new(Loaded { fingerprint: 77, ..loaded(&[]) }))));
    desk.all_adopt(2);
    desk.did();
    desk.ask(2);
    desk.apply(same());
    assert_eq!(
        desk.did(),
        ["load unless 77", "answer 2 to 0: 200 gateway config unchanged: epoch 2 on 2/2 cores in 0 ms"]
    );
    assert_eq!(desk.epoch(), 2);
}

#[test]
fn a_bad_file_leaves_the_fingerprint_in_force() {
    let mut desk = Desk::open(&[]);
    desk.ask(1);
    desk.apply(Event::Loaded(Reading::New(Box::new(Loaded { fingerprint: 77, ..loaded(&[]) }))));
    desk.ask(2);
    desk.apply(Event::Loaded(Reading::Faulty(faults())));
    desk.did();
    desk.ask(3);
    assert_eq!(desk.did(), ["load unless 77"]);
}

#[test]
fn questions_during_a_load_share_the_next_one() {
    let mut desk = Desk::open(&[]);
    desk.ask(1);
    desk.ask(2);
    desk.apply(Event::Asked(Asker::Operator));
    desk.ask(3);
    assert_eq!(desk.did(), ["load unless 1"]);
    desk.apply(Event::Loaded(Reading::Faulty(faults())));
    let did = desk.did();
    assert!(did.last().is_some_and(|last| last == "load unless 1"), "{did:?}");
    assert_eq!(did.iter().filter(|word| word.starts_with("answer")).count(), 1);
    desk.apply(same());
    let did: Vec<_> = desk.did().into_iter().filter(|word| !word.starts_with("tell")).collect();
    assert!(did.iter().all(|word| word.contains(": 200 ")), "{did:?}");
    assert_eq!(did.len(), 2, "tickets 2 and 3, and no third load");
}

#[test]
fn changes_settle_before_they_are_read() {
    let mut desk = Desk::open(&[]);
    desk.apply(Event::Touched);
    desk.pass(ms(150));
    desk.apply(Event::Touched);
    desk.pass(ms(199));
    assert!(desk.did().is_empty());
    desk.pass(ms(1));
    assert_eq!(desk.did(), ["load unless 1"]);
    desk.pass(ms(10_000));
    assert!(desk.did().is_empty());
}

#[test]
fn changes_that_never_settle_are_read_after_2_s() {
    let mut desk = Desk::open(&[]);
    for _ in 0..20 {
        desk.apply(Event::Touched);
        desk.pass(ms(100));
    }
    assert_eq!(desk.did(), ["load unless 1"]);
}

#[test]
fn the_timer_asks_again_and_again_and_follows_the_file() {
    let mut first = loaded(&[]);
    first.process.reload_interval_ms = 1_000;
    let mut desk = Desk::unadopted(first);
    desk.all_adopt(1);
    desk.did();
    desk.pass(ms(1_000));
    desk.apply(same());
    desk.pass(ms(1_000));
    assert_eq!(desk.did(), ["load unless 1", "load unless 1"]);
    let mut slower = loaded(&[]);
    slower.process.reload_interval_ms = 5_000;
    desk.load(slower);
    desk.did();
    desk.pass(ms(4_999));
    assert!(desk.did_only("load").is_empty());
    desk.pass(ms(1));
    assert_eq!(desk.did_only("load"), ["load unless 1"]);
    desk.load(loaded(&[]));
    desk.did();
    desk.pass(ms(60_000));
    assert!(desk.did_only("load").is_empty(), "0 is off");
}

#[test]
fn only_explicit_questions_about_unchanged_text_make_a_line() {
    for (asker, level) in [(Asker::Quiet, Level::Debug), (Asker::Operator, Level::Info)] {
        let mut desk = Desk::open(&[]);
        desk.apply(Event::Asked(asker));
        desk.apply(same());
        let said = desk.effects.iter().any(|effect| matches!(effect, Effect::Say(said, _) if *said == level));
        assert!(said, "{asker:?}: {:?}", desk.effects);
    }
}

#[test]
fn warnings_of_a_good_file_are_said() {
    let mut desk = Desk::open(&[]);
    desk.ask(1);
    desk.load(Loaded { warnings: faults(), ..loaded(&[]) });
    assert_eq!(desk.did_only("Warn"), ["Warn: a.toml: two"]);
}

#[test]
fn other_servers_and_files_are_taken_up_once() {
    let mut desk = Desk::open(&[]);
    let other = || {
        let mut other = loaded(&[]);
        other.process.dns_servers = vec!["127.0.0.1:53".parse().expect("address")];
        other.process.reload_on_change = true;
        other
    };
    desk.ask(1);
    desk.load(other());
    let did = desk.did();
    assert!(did.contains(&"servers [127.0.0.1:53]".to_owned()), "{did:?}");
    assert!(did.contains(&"watch [\"a.toml\"]".to_owned()), "{did:?}");
    desk.ask(2);
    desk.load(other());
    let did = desk.did();
    assert!(!did.iter().any(|word| word.starts_with("servers") || word.starts_with("watch")), "{did:?}");
    desk.ask(3);
    desk.load(loaded(&[]));
    assert_eq!(desk.did_only("watch"), ["watch []"]);
}

#[test]
fn a_load_nobody_started_is_ignored() {
    let mut desk = Desk::open(&[]);
    desk.load(loaded(&["10.0.0.1:80"]));
    assert_eq!((desk.epoch(), desk.did().len()), (1, 0));
}
