//! Where it listens, who may ask, and that it follows the process through its life.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use rustix::process::Signal;

use super::{Watched, watched};
use crate::support::gateway::free_port;
use crate::support::{Client, Conf, Gateway, Origin, eventually, within};

const TOKEN: &str = "0123456789abcdef-token";

fn refused(conf: &Conf) -> String {
    let ended = Gateway::try_start(conf, free_port(), |_| ()).err().expect("it does not start");
    assert_eq!(ended.status.code(), Some(1));
    ended.printed
}

fn ask(admin: SocketAddr, fields: &str) -> crate::support::Answer {
    Client::connect(admin).ask(format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"))
}

#[test]
fn health_tells_that_the_process_lives() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin));
    let answer = watched.get("/health");
    assert_eq!((answer.status(), answer.head.field("content-type")), (200, Some("application/json")));
    let health = answer.json();
    assert_eq!((&health["status"], &health["version"]), (&"healthy".into(), &env!("CARGO_PKG_VERSION").into()));
    assert!(health["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.contains('T')), "{health}");
}

#[test]
fn one_connection_asks_many_times_and_head_has_no_body() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin));
    let mut client = watched.connect();
    for path in ["/health", "/ready", "/health/metrics", "/metrics", "/api/status"] {
        assert_eq!(client.get(path).status(), 421, "{path} by a name that leads here");
        let answer = client.ask(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", watched.admin));
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        assert_eq!(client.ask(format!("HEAD {path} HTTP/1.1\r\nHost: [::1]\r\n\r\n")).status(), 200, "{path}");
    }
    assert_eq!(watched.get("/").status(), 404);
    assert_eq!(watched.get("/metrics/x").status(), 404);
    assert_eq!(client.ask("POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").status(), 405);
}

#[test]
fn it_is_ready_while_it_serves_and_not_while_it_stops() {
    let origin = Origin::ok();
    let mut watched = Watched::start(&Conf::of(&origin).base("drain_delay", 2));
    assert!(eventually(|| watched.get("/ready").status() == 200));
    let ready = watched.get("/ready").json();
    assert_eq!((&ready["status"], &ready["epoch"].is_u64()), (&"ready".into(), &true), "{ready}");
    let mut kept = watched.connect();
    watched.gateway.signal(Signal::TERM);
    assert!(within(Duration::from_millis(1_500), || watched.get("/ready").status() == 503));
    let answer = kept.ask("GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((answer.status(), &answer.json()["status"]), (503, &"stopping".into()));
    assert_eq!(watched.get("/health").status(), 200, "it lives");
    assert_eq!(watched.status()["stage"], "stopping");
    assert_eq!(watched.gateway.wait(Duration::from_secs(20)).code(), Some(0));
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let origin = Origin::ok();
    let port = free_port();
    let everywhere = Conf::of(&origin).admin("addr", format!("0.0.0.0:{port}"));
    let printed = refused(&everywhere);
    assert!(printed.contains("which others reach, and has no token"), "{printed}");
    let _gateway = Gateway::start(&everywhere.admin("token", TOKEN));
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    assert_eq!(ask(admin, "").status(), 401);
    assert_eq!(ask(admin, &format!("Authorization: Bearer {TOKEN}\r\n")).status(), 200);
}

#[test]
fn where_there_is_a_token_nobody_is_answered_without_it() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin).admin("token", TOKEN));
    let answer = watched.get("/nowhere");
    assert_eq!((answer.status(), answer.head.field("www-authenticate")), (401, Some("Bearer")));
    for wrong in [
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
        format!("Authorization: Bearer {TOKEN}x\r\n"),
        format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
        format!("X-Authorization: Bearer {TOKEN}\r\n"),
    ] {
        assert_eq!(ask(watched.admin, &wrong).status(), 401, "{wrong}");
    }
    assert_eq!(ask(watched.admin, &format!("authorization: bearer {TOKEN}\r\n")).status(), 200);
    let printed = watched.gateway.stdout() + &watched.gateway.stderr();
    assert!(!printed.contains(TOKEN), "{printed}");
}

#[test]
fn a_token_in_a_file_may_change_at_any_time() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("written");
    let watched = Watched::start(&Conf::of(&origin).admin("token_file", file.to_str().expect("a plain path")));
    let bearing = |token: &str| ask(watched.admin, &format!("Authorization: Bearer {token}\r\n")).status();
    assert_eq!((bearing(TOKEN), bearing("another-token-of-some-length")), (200, 401));
    std::fs::write(&file, "another-token-of-some-length").expect("written");
    assert_eq!((bearing(TOKEN), bearing("another-token-of-some-length")), (401, 200));
    std::fs::remove_file(&file).expect("removed");
    assert_eq!((bearing(TOKEN), bearing("another-token-of-some-length"), bearing("")), (401, 401, 401));
}

#[test]
fn a_token_that_cannot_be_used_is_a_fault() {
    let origin = Origin::ok();
    let with =
        |key: &'static str, value: &str| refused(&Conf::of(&origin).admin("addr", "127.0.0.1:1").admin(key, value));
    assert!(with("token", "short").contains("has 5 characters, not 16 to 512"));
    assert!(with("token", "a token with blanks in it").contains("has a blank"));
    assert!(with("token_file", "/nowhere/at/all").contains("cannot be read"));
    assert!(with("token_file", "relative").contains("is not an absolute path"));
}

#[test]
fn an_address_that_is_taken_is_a_fault() {
    let origin = Origin::ok();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let printed = refused(&Conf::of(&origin).admin("addr", address));
    assert!(printed.contains("another process listens there") && printed.contains("[admin]"), "{printed}");
    let port = free_port();
    let conf = Conf::of(&origin).http("addr", format!("127.0.0.1:{port}")).admin("addr", format!("127.0.0.1:{port}"));
    assert!(refused(&conf).contains("where requests come in"));
}

#[test]
fn a_reload_moves_it_and_keeps_it_where_it_stays() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin);
    let start = Watched::start(&conf);
    let mut kept = start.connect();
    let reload = || start.gateway.connect().get("/reload").text();
    start.gateway.rewrite_files(&watched(&conf, start.admin).http("via", false));
    assert!(reload().contains("epoch"), "{}", reload());
    assert_eq!(kept.ask("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status(), 200, "the connection lives on");
    assert_eq!(start.status()["config"]["last_load"]["good"], true);

    let moved = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    start.gateway.rewrite_files(&watched(&conf, moved));
    assert!(reload().contains("loaded"));
    assert_eq!(ask(moved, "").status(), 200);
    assert!(eventually(|| std::net::TcpStream::connect(start.admin).is_err()), "the old address is closed");

    start.gateway.rewrite_files(&watched(&conf, moved).admin("token", TOKEN));
    assert!(reload().contains("loaded"));
    assert_eq!(ask(moved, "").status(), 401);

    start.gateway.rewrite_files(&conf);
    assert!(reload().contains("loaded"));
    assert!(eventually(|| std::net::TcpStream::connect(moved).is_err()), "switched off");
}

#[test]
fn a_reload_that_cannot_open_it_changes_nothing_and_is_told() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin);
    let start = Watched::start(&conf);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    start.gateway.rewrite_files(&watched(&conf, taken.local_addr().expect("bound")));
    let answer = start.gateway.connect().get("/reload");
    assert_eq!(answer.status(), 500, "{}", answer.text());
    let load = start.status()["config"]["last_load"].clone();
    assert_eq!(load["good"], false);
    assert!(load["text"].as_str().is_some_and(|text| text.contains("cannot listen")), "{load}");
}

#[test]
fn slow_and_many_connections_leave_room_for_others() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin));
    // Fewer than there may be at once: what is told here is that none of them holds anything up.
    let mut slow: Vec<Client> = (0..50).map(|_| watched.connect()).collect();
    for client in &mut slow {
        client.send("GET /metrics HT");
    }
    assert_eq!(watched.get("/health").status(), 200);
    assert_eq!(watched.gateway.connect().get("/svc/a").status(), 200);
    let huge = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let mut client = watched.connect();
    let _ = client.wire.try_send(huge.as_bytes());
    if let Ok(answer) = client.try_answer() {
        assert_eq!(answer.status(), 431);
    }
}

#[test]
fn an_upgrade_takes_it_along_without_refusing_a_connection() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin).cores(1));
    let old = watched.status()["pid"].as_u64();
    watched.gateway.signal(Signal::USR2);
    let mut new = old;
    let replaced = within(Duration::from_secs(40), || {
        // A connection that is refused fails the test in here.
        let answer = watched.get("/api/status");
        new = answer.json()["pid"].as_u64();
        new != old
    });
    assert!(replaced, "{}", watched.gateway.stderr());
    assert_eq!(watched.get("/ready").status(), 200);
    let pid = i32::try_from(new.expect("a number")).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, Signal::TERM).expect("the new one, which this test has had started");
}

#[test]
fn a_question_that_is_in_hand_when_the_process_ends_is_answered() {
    let mut watched = Watched::start(&Conf::of(&Origin::ok()));
    let mut client = watched.connect();
    client.send("GET /api/status HTTP/1.1\r\nHost: local");
    std::thread::sleep(Duration::from_millis(300));
    watched.gateway.signal(Signal::TERM);
    assert!(eventually(|| watched.gateway.stderr().contains("stopped: ")));
    client.send("host\r\n\r\n");
    assert_eq!(client.answer().status(), 200);
    assert_eq!(watched.gateway.wait(Duration::from_secs(20)).code(), Some(0));
}
