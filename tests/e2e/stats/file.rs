//! The file itself: where it is, who may read it, and that it outlives its process being stopped or gone.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gatekeeper::wall::slot::read::Stats;
use rustix::process::Signal;

use super::{counted_in, folder, over_cores, stats};
use crate::support::{Conf, Gateway, Origin, eventually};

fn serve(gateway: &Gateway, times: usize) {
    (0..times).for_each(|_| assert_eq!(gateway.connect().get("/svc/a").status(), 200));
}

fn files(folder: &tempfile::TempDir) -> usize {
    std::fs::read_dir(folder.path()).expect("a folder").count()
}

#[test]
fn it_is_where_the_configuration_says_for_the_owner_and_its_group() {
    let (origin, folder) = (Origin::ok(), folder());
    let gateway = Gateway::start(&counted_in(&folder, Conf::of(&origin)));
    let path = stats(&folder, &gateway).path().expect("a file").to_path_buf();
    assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o7777, 0o640);
}

#[test]
fn where_nothing_is_said_a_reader_finds_it() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin));
    let pid = u64::from(gateway.pid().as_raw_nonzero().get().unsigned_abs());
    let ours = |folder: &std::path::PathBuf| Stats::open(&folder.join(format!("gatekeeper-{pid}.stats"))).ok();
    let found = Stats::folders().iter().find_map(ours).expect("in one of the usual folders");
    assert_eq!(found.process().get("pid"), pid);
    assert!(found.is_live());
}

#[test]
fn it_is_read_while_the_process_is_stopped() {
    let (origin, folder) = (Origin::ok(), folder());
    let gateway = Gateway::start(&counted_in(&folder, Conf::of(&origin)));
    serve(&gateway, 9);
    // The client has its answer a moment before that is counted.
    assert!(eventually(|| over_cores(&stats(&folder, &gateway).read(), "requests_2xx_total") == 9));
    gateway.signal(Signal::STOP);
    let stats = Stats::newest(&[folder.path().to_path_buf()]).expect("a stats file");
    let requests = over_cores(&stats.read(), "requests_2xx_total");
    let live = stats.is_live();
    gateway.signal(Signal::CONT);
    assert_eq!((requests, live), (9, true));
}

#[test]
fn it_is_read_when_the_process_is_gone_and_removed_by_the_next() {
    let (origin, folder) = (Origin::ok(), folder());
    let conf = counted_in(&folder, Conf::of(&origin));
    let mut gateway = Gateway::start(&conf);
    serve(&gateway, 4);
    assert!(eventually(|| over_cores(&stats(&folder, &gateway).read(), "requests_2xx_total") == 4));
    gateway.signal(Signal::KILL);
    gateway.wait(Duration::from_secs(30));
    let left = Stats::newest(&[folder.path().to_path_buf()]).expect("still there");
    assert!(!left.is_live());
    assert_eq!(over_cores(&left.read(), "requests_2xx_total"), 4);
    let next = Gateway::start(&conf);
    assert_eq!(files(&folder), 1);
    assert_eq!(over_cores(&stats(&folder, &next).read(), "requests_2xx_total"), 0);
    assert_eq!(over_cores(&left.read(), "requests_2xx_total"), 4, "who has it open keeps it");
}

#[test]
fn of_two_that_run_the_newer_is_found_and_the_older_still_counts() {
    let (origin, folder) = (Origin::ok(), folder());
    let conf = counted_in(&folder, Conf::of(&origin));
    let older = Gateway::start(&conf);
    let newer = Gateway::start(&conf);
    let newest = || Stats::newest(&[folder.path().to_path_buf()]).expect("a stats file");
    assert_eq!(newest().path(), stats(&folder, &newer).path());
    serve(&older, 3);
    assert!(eventually(|| over_cores(&stats(&folder, &older).read(), "requests_2xx_total") == 3));
    assert_eq!(over_cores(&newest().read(), "requests_2xx_total"), 0);
    let path = stats(&folder, &older).path().expect("a file").to_path_buf();
    drop(newer);
    assert_eq!(newest().path(), Some(&*path), "the one that lives");
}

#[test]
fn without_a_tmpfs_it_serves_all_the_same_and_says_so() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).base("stats_dir", "/nowhere/at/all"));
    serve(&gateway, 1);
    let said = gateway.stderr();
    assert!(said.contains("no stats file in /nowhere/at/all: "), "{said}");
    assert!(said.contains("counters are in this process's memory alone"), "{said}");
}
