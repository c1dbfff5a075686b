//! The store as an operator meets it: totals over restarts, and a file that is damaged, locked or out of reach.

use std::time::Duration;

use rustix::process::Signal;

use super::Watched;
use crate::support::{Conf, Origin, eventually};

#[test]
fn a_damaged_store_is_told_put_aside_and_stops_nothing() {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    std::fs::write(&path, "rubbish ".repeat(10_000)).expect("written");
    let watched = Watched::start(&Conf::of(&origin).store("path", path.display().to_string()));
    assert_eq!(watched.gateway.connect().get("/svc/a").status(), 200);
    assert!(watched.gateway.stderr().contains("is damaged"), "{}", watched.gateway.stderr());
    assert!(folder.path().join("store.db.damaged").exists());
    assert!(eventually(|| watched.status()["store"]["state"] == "kept"));
}

#[test]
fn a_store_that_cannot_be_used_is_told_and_stops_nothing() {
    let origin = Origin::ok();
    let mut watched = Watched::start(&Conf::of(&origin).store("path", "/nowhere/at/all/store.db"));
    assert_eq!(watched.gateway.connect().get("/svc/a").status(), 200);
    assert!(eventually(|| watched.status()["store"]["state"] == "troubled"));
    assert!(
        watched.gateway.stderr().contains("/nowhere/at/all/store.db cannot be used"),
        "{}",
        watched.gateway.stderr()
    );
    watched.gateway.signal(Signal::TERM);
    assert_eq!(watched.gateway.wait(Duration::from_secs(20)).code(), Some(0));
}

#[test]
fn the_store_is_beside_the_module_file_unless_the_files_say_otherwise() {
    let origin = Origin::ok();
    let watched = Watched::start(&Conf::of(&origin).store("path", "gatekeeper.db"));
    assert!(eventually(|| watched.gateway.directory().join("gatekeeper.db").exists()));
    let state = tempfile::tempdir().expect("a folder");
    let conf = Conf::of(&origin).store("path", "gatekeeper.db");
    let gateway = crate::support::Gateway::start_with(&conf, |command| {
        command.env("STATE_DIRECTORY", state.path());
    });
    assert!(eventually(|| state.path().join("gatekeeper.db").exists()));
    assert!(!gateway.directory().join("gatekeeper.db").exists());
}
