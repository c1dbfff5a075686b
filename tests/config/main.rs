//! The configuration as a user meets it: files in, snapshot, faults and documents out.

mod balance;
mod effect;
mod explain;
mod faults;
mod files;
mod hostile;
mod limits;
mod reference;
mod resilience;
mod routing;
mod shaping;
mod tenants;
mod texts;

use std::path::{Path, PathBuf};

use gatekeeper::config::{Fault, Loaded, load_on};
use tempfile::TempDir;

/// The host name every test loads with.
const HOST_NAME: &str = "gate-host";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Writes files into a new folder and loads module.toml there.
fn load_files(files: &[(&str, &str)]) -> Result<Loaded, Vec<Fault>> {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file in it");
    }
    load_on(&folder.path().join("module.toml"), HOST_NAME)
}

/// Compares a committed file with what it should hold; `UPDATE=1` rewrites it.
fn held(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, wanted).expect("a file to write");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "{} is not up to date: run `UPDATE=1 cargo test --test config`", path.display());
}
