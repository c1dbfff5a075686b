//! Listeners over reloads: what is opened, kept, dealt and closed.

use std::net::TcpListener;

use super::*;
use crate::control::tests::house::listen;
use crate::ids::ListenerId;
use crate::wall::listen::Listen;

fn tcp(address: &str, service: &str) -> Listen {
    listen(address, Entrance::Tcp { service: service.into() })
}

pub(super) fn http(address: &str) -> Listen {
    listen(address, Entrance::Http)
}

fn group(listen: &Listen, count: usize) -> Group {
    let sockets = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    Group { listen: listen.clone(), sockets }
}

fn wanting(listens: &[&Listen]) -> Loaded {
    let mut loaded = loaded(&[]);
    loaded.process.listens = listens.iter().map(|listen| (*listen).clone()).collect();
    loaded
}

/// Two workers on epoch 1, which serve these.
pub(super) fn serving(listens: &[&Listen]) -> Desk {
    let groups = listens.iter().map(|listen| group(listen, 2)).collect();
    let mut desk = Desk::behind(wanting(listens), groups);
    desk.all_adopt(1);
    desk.effects.clear();
    desk
}

#[test]
fn sockets_are_dealt_to_workers_that_have_adopted() {
    let main = http("127.0.0.1:80");
    let mut desk = Desk::behind(wanting(&[&main]), vec![group(&main, 2)]);
    assert!(desk.did().contains(&"hold 2 of 0".to_owned()));
    desk.adopt(1, 1);
    assert_eq!(desk.did_only("deal"), ["deal 0.1 to 1"]);
    desk.adopt(0, 1);
    assert_eq!(desk.did_only("deal"), ["deal 0.0 to 0"]);
}

#[test]
fn more_sockets_than_workers_are_all_served() {
    let main = http("127.0.0.1:80");
    let mut desk = Desk::behind(wanting(&[&main]), vec![group(&main, 5)]);
    desk.all_adopt(1);
    let dealt = ["deal 0.0 to 0", "deal 0.2 to 0", "deal 0.4 to 0", "deal 0.1 to 1", "deal 0.3 to 1"];
    assert_eq!(desk.did_only("deal"), dealt);
}

#[test]
fn ready_is_said_when_every_socket_is_served() {
    let main = http("127.0.0.1:80");
    let mut desk = serving(&[&main]);
    for worker in 0..2 {
        desk.report(Report::Ready { worker: WorkerId(worker), driver: "epoll" });
    }
    let listening = |worker| Report::Listening { worker: WorkerId(worker), listener: ListenerId(0) };
    desk.report(listening(0));
    assert!(desk.did_only("ready").is_empty());
    desk.report(listening(1));
    assert_eq!(desk.did_only("ready"), ["ready: 2 on epoll"]);
}

#[test]
fn a_listener_that_stays_is_not_touched() {
    let (main, db) = (http("127.0.0.1:80"), tcp("127.0.0.1:90", "db"));
    let mut desk = serving(&[&main, &db]);
    desk.ask(1);
    desk.load(wanting(&[&main, &db]));
    desk.all_adopt(2);
    let touched =
        |word: &String| ["open", "deal", "unlisten", "close", "hold"].iter().any(|start| word.starts_with(start));
    assert!(!desk.did().iter().any(touched));
}

#[test]
fn a_new_listener_is_opened_before_the_epoch_and_dealt_after_it() {
    let (main, db) = (http("127.0.0.1:80"), tcp("127.0.0.1:90", "db"));
    let mut desk = serving(&[&main]);
    desk.ask(1);
    desk.load(wanting(&[&main, &db]));
    assert_eq!(desk.did(), ["load unless 1", "open tcp://127.0.0.1:90"]);
    assert_eq!(desk.epoch(), 1);
    desk.apply(Event::Opened(Ok(Opened { groups: vec![group(&db, 2)], admin: None })));
    assert_eq!(desk.epoch(), 2);
    assert!(desk.did_only("deal").is_empty());
    desk.adopt(1, 2);
    assert_eq!(desk.did_only("deal"), ["deal 1.1 to 1 for db"]);
}

#[test]
fn nothing_changes_where_a_listener_cannot_be_opened() {
    let (main, db) = (http("127.0.0.1:80"), tcp("127.0.0.1:90", "db"));
    let mut desk = serving(&[&main]);
    desk.ask(1);
    desk.load(wanting(&[&main, &db]));
    desk.effects.clear();
    desk.apply(Event::Opened(Err(vec!["cannot listen on 127.0.0.1:90: taken".into()])));
    let did = desk.did();
    assert!(did.contains(&"answer 1 to 0: 500 cannot listen on 127.0.0.1:90: taken".to_owned()), "{did:?}");
    assert_eq!(desk.epoch(), 1);
    desk.ask(2);
    assert_eq!(desk.did_only("load"), ["load unless 1"], "the text in force is still the old one");
}

#[test]
fn a_listener_that_is_gone_is_closed_by_all() {
    let (main, db) = (http("127.0.0.1:80"), tcp("127.0.0.1:90", "db"));
    let mut desk = serving(&[&main, &db]);
    desk.ask(1);
    desk.load(wanting(&[&main]));
    let did = desk.did();
    for word in ["unlisten 1 at 0", "unlisten 1 at 1", "close 1"] {
        assert!(did.contains(&word.to_owned()), "{word}: {did:?}");
    }
}

#[test]
fn an_address_that_now_leads_elsewhere_keeps_its_sockets() {
    let (main, db) = (http("127.0.0.1:80"), tcp("127.0.0.1:90", "db"));
    let mut desk = serving(&[&main, &db]);
    desk.ask(1);
    desk.load(wanting(&[&main, &tcp("127.0.0.1:90", "cache")]));
    let did = desk.did();
    assert!(did.contains(&"unlisten 1 at 0".to_owned()) && !did.contains(&"close 1".to_owned()), "{did:?}");
    desk.all_adopt(2);
    assert_eq!(desk.did_only("deal"), ["deal 1.0 to 0 for cache", "deal 1.1 to 1 for cache"]);
}

#[test]
fn an_address_that_moves_on_its_own_port_is_opened_beside_the_old_one() {
    let mut desk = serving(&[&http("0.0.0.0:80")]);
    desk.ask(1);
    desk.load(wanting(&[&http("127.0.0.1:80")]));
    assert_eq!(desk.did_only("open"), ["open http://127.0.0.1:80 beside"]);
}

#[test]
fn a_dead_workers_sockets_go_to_the_others() {
    let mut desk = serving(&[&http("127.0.0.1:80")]);
    desk.report(Report::Died { worker: WorkerId(1), cause: "test".into() });
    assert_eq!(desk.did_only("deal"), ["deal 0.1 to 0"]);
}
