//! Text in force is told from other text: what the fingerprint stands for.

use gatekeeper::config::{load, load_if_changed, load_on};

/// The smallest module file.
const SMALL: &str =
    "[[module]]\nbase.name = \"a\"\nload_balance.ip_list = \"127.0.0.1:1\"\nmatch_rule = [{ rule = \"/\" }]\n";

#[test]
fn text_that_stays_is_loaded_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, SMALL).expect("a file in it");
    let first = load(&file).expect("no fault").fingerprint;
    assert!(load_if_changed(&file, first).expect("no fault").is_none());
    std::fs::write(&file, format!("{SMALL}# more\n")).expect("a file in it");
    let second = load_if_changed(&file, first).expect("no fault").expect("other text").fingerprint;
    assert!(load_if_changed(&file, second).expect("no fault").is_none());
    std::fs::write(&file, SMALL).expect("a file in it");
    assert_eq!(load_if_changed(&file, second).expect("no fault").expect("other text").fingerprint, first);
}

#[test]
fn every_file_beside_the_module_file_is_part_of_the_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, SMALL).expect("a file in it");
    let mut last = load(&file).expect("no fault").fingerprint;
    for name in ["base.toml", "app.toml", "admin.toml", "mysql_map.toml", "redis_map.toml"] {
        std::fs::write(folder.path().join(name), "").expect("a file in it");
        let loaded = load_if_changed(&file, last).expect("no fault");
        last = loaded.unwrap_or_else(|| panic!("{name} is one file more")).fingerprint;
    }
    std::fs::remove_file(folder.path().join("app.toml")).expect("it was there");
    assert!(load_if_changed(&file, last).expect("no fault").is_some(), "one file less");
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
    let in_force = load(&file).expect("no fault").fingerprint;
    std::os::unix::fs::symlink("/nowhere/app.toml", folder.path().join("app.toml")).expect("a link in it");
    assert!(load_if_changed(&file, in_force).is_err());
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
