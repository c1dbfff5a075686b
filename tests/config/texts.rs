//! Text in force is told from other text: what the fingerprint stands for.

use std::path::Path;

use gatekeeper::config::{self, Fault, InForce, Loaded, load, load_on};
use gatekeeper::filter::Registry;

/// The smallest module file.
const SMALL: &str =
    "[[module]]\nbase.name = \"a\"\nload_balance.ip_list = \"127.0.0.1:1\"\nmatch_rule = [{ rule = \"/\" }]\n";

/// What a load makes of the files while these are in force.
fn load_if_changed(file: &Path, in_force: &InForce) -> Result<Option<Loaded>, Vec<Fault>> {
    config::load_if_changed_with(file, in_force, &Registry::default())
}

fn in_force(loaded: Loaded) -> InForce {
    InForce { fingerprint: loaded.fingerprint, files: loaded.files }
}

#[test]
fn text_that_stays_is_loaded_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, SMALL).expect("a file in it");
    let first = in_force(load(&file).expect("no fault"));
    assert!(load_if_changed(&file, &first).expect("no fault").is_none());
    std::fs::write(&file, format!("{SMALL}# more\n")).expect("a file in it");
    let second = in_force(load_if_changed(&file, &first).expect("no fault").expect("other text"));
    assert!(load_if_changed(&file, &second).expect("no fault").is_none());
    std::fs::write(&file, SMALL).expect("a file in it");
    let third = in_force(load_if_changed(&file, &second).expect("no fault").expect("other text"));
    assert_eq!(third, first);
}

#[test]
fn every_file_beside_the_module_file_is_part_of_the_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, SMALL).expect("a file in it");
    let mut last = in_force(load(&file).expect("no fault"));
    for name in ["base.toml", "app.toml", "admin.toml", "mysql_map.toml", "redis_map.toml"] {
        std::fs::write(folder.path().join(name), "").expect("a file in it");
        let loaded = load_if_changed(&file, &last).expect("no fault");
        last = in_force(loaded.unwrap_or_else(|| panic!("{name} is one file more")));
    }
}

#[test]
fn a_file_that_was_there_and_is_gone_is_a_fault_and_one_that_comes_is_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    let (base, app) = (folder.path().join("base.toml"), folder.path().join("app.toml"));
    for (path, text) in [(&file, SMALL), (&base, "[http]\naddr = \"127.0.0.1:1\"\n")] {
        std::fs::write(path, text).expect("a file in it");
    }
    let first = in_force(load(&file).expect("no fault"));
    std::fs::remove_file(&base).expect("it was there");
    let faults = load_if_changed(&file, &first).expect_err("defaults must not take its place");
    let told = faults[0].to_string();
    assert!(told.contains("base.toml: error: is gone") && told.contains("help: put it back"), "{told}");
    assert!(load(&file).is_ok(), "a start does without");
    std::fs::write(&base, "").expect("a file in it");
    std::fs::write(&app, "").expect("a file in it");
    assert!(load_if_changed(&file, &first).expect("no fault").is_some(), "empty is a choice");
}

#[test]
fn text_does_not_move_from_file_to_file_unnoticed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let both = |base: &str, app: &str| {
        for (name, text) in [("module.toml", SMALL), ("base.toml", base), ("app.toml", app)] {
            std::fs::write(folder.path().join(name), text).expect("a file in it");
        }
        load(&folder.path().join("module.toml")).expect("no fault").fingerprint
    };
    assert_ne!(both("# a\n", ""), both("", "# a\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_whatever_is_in_force() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, SMALL).expect("a file in it");
    let in_force = in_force(load(&file).expect("no fault"));
    std::os::unix::fs::symlink("/nowhere/app.toml", folder.path().join("app.toml")).expect("a link in it");
    assert!(load_if_changed(&file, &in_force).is_err());
}

#[test]
fn another_host_name_is_another_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, SMALL).expect("a file in it");
    let on = |host: &str| load_on(&file, host).expect("no fault").fingerprint;
    assert_eq!(on("one"), on("one"));
    assert_ne!(on("one"), on("two"), "white_host_name is judged at load");
}
