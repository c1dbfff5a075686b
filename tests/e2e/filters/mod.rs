//! Filters: what they see, what they may change and refuse, and that nothing passes them unfiltered.
//!
//! The gateways here are programs of their own (`program`, and those in examples/), as an embedder would write them.

mod bodies;
mod examples;
mod files;
mod heads;
mod tcp;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::support::{Conf, Gateway, Service};

/// An example of this package, built if it is not up to date.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let folder = Path::new(env!("CARGO_BIN_EXE_gatekeeper")).parent().expect("a folder");
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.insert(name.to_owned()) {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--locked", "--quiet", "--example", name]).current_dir(env!("CARGO_MANIFEST_DIR"));
        match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => {}
            Some(profile) => _ = command.args(["--profile", profile]),
        }
        let done = command.status().expect("cargo runs");
        assert!(done.success(), "the example {name} does not build");
    }
    folder.join("examples").join(name)
}

/// A gateway that has the filters of `program.rs`.
fn gateway(conf: Conf) -> Gateway {
    Gateway::start(&conf.program(&program("filters-of-tests")))
}

/// The same with this service alone.
fn gateway_of(service: Service) -> Gateway {
    gateway(Conf::new().service(service))
}
