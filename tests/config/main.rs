//! The configuration as a user meets it: files in, snapshot, faults and documents out.

mod balance;
mod effect;
mod explain;
mod faults;
mod files;
mod filters;
mod hostile;
mod limits;
mod reference;
mod resilience;
mod routing;
mod shaping;
mod tenants;
mod texts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gatekeeper::Gateway;
use gatekeeper::config::{Fault, Loaded, load_with};
use gatekeeper::filter::{Connection, HttpFilter, Registry, TcpFilter};
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
    load_with(&folder.path().join("module.toml"), HOST_NAME, &filters())
}

/// A filter that does nothing.
struct Idle;

impl HttpFilter for Idle {}

impl TcpFilter for Idle {
    fn admits(&self, _connection: &Connection<'_>) -> bool {
        true
    }
}

/// What a program could have: one that takes any options, and the one that the documents name, which must be told which
/// cities.
fn filters() -> Registry {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cities {
        city_ids: Vec<i64>,
    }
    let cities = |Cities { city_ids }| if city_ids.is_empty() { Err("no city".to_owned()) } else { Ok(Idle) };
    let program = Gateway::new().http_filter("unlike", |_: BTreeMap<String, i64>| Ok(Idle));
    let program = program.tcp_filter("unlike", |_: BTreeMap<String, i64>| Ok(Idle));
    let program = program.tcp_filter("city", |_: BTreeMap<String, i64>| Ok(Idle));
    program.http_filter("city", |_: BTreeMap<String, i64>| Ok(Idle)).http_filter("cities", cities).into_filters()
}

/// Compares a committed file with what it should hold; `UPDATE=1` rewrites it.
fn held(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, wanted).expect("a file to write");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "{} is not up to date: run `UPDATE=1 cargo test --test config`", path.display());
}
