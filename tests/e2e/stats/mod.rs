//! The stats file of a running gateway, read against known traffic.

mod counts;
mod file;
mod reloads;

use gatekeeper::wall::slot::read::{Reading, Record, Row, Stats};
use tempfile::TempDir;

use crate::support::{Conf, Gateway};

/// A folder of the test's own on a tmpfs.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a tmpfs at /dev/shm")
}

/// The configuration, with the stats file in that folder.
fn counted_in(folder: &TempDir, conf: Conf) -> Conf {
    conf.base("stats_dir", folder.path().to_str().expect("UTF-8"))
}

/// The gateway's own stats file.
#[track_caller]
fn stats(folder: &TempDir, gateway: &Gateway) -> Stats {
    let name = format!("gatekeeper-{}.stats", gateway.pid().as_raw_nonzero());
    Stats::open(&folder.path().join(name)).expect("a stats file")
}

/// The sum of a value over all cores.
fn over_cores(reading: &Reading, name: &str) -> u64 {
    reading.cores.iter().map(|core| core.get(name)).sum()
}

/// The sum over all cores of what is counted under a label.
fn labelled(records: &[Record], name: &str, label: &str) -> u64 {
    let counts = records.iter().flat_map(|record| record.labelled(name));
    counts.filter(|(known, _)| *known == label).map(|(_, count)| count).sum()
}

#[track_caller]
fn named<'r>(rows: &'r [Row], name: &str) -> &'r Row {
    rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no {name} among {}", rows.len()))
}
