//! The stats file as a writer and a reader have it, without a gateway.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use tempfile::TempDir;

use super::layout::{Endpoint, Service, Title};
use super::read::{Reading, Stats};
use super::*;

const CORE_PANICS: usize = layout::Core::Panics as usize;

/// A folder of the test's own on a tmpfs.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a tmpfs at /dev/shm")
}

fn open(folder: &TempDir, workers: usize) -> &'static StatsFile {
    let (file, told) = StatsFile::open(&[folder.path().to_path_buf()], workers).expect("room");
    assert_eq!(told, Vec::<String>::new());
    file
}

fn read(file: &StatsFile) -> Reading {
    Stats::open(file.path().expect("a file")).expect("a stats file").read()
}

/// Gives a row its title, as control does.
fn entitle(file: &StatsFile, rows: Rows, id: RowId, name: &str) {
    file.back(rows, id.row as usize + 1).expect("memory");
    let title = file.title(rows, id.row as usize).expect("backed");
    title[Title::Generation as usize].store(u64::from(id.generation), Relaxed);
    title[Title::COUNT].store(packed(name.as_bytes()), Relaxed);
    let count = if rows == Rows::Services { Process::ServiceRows } else { Process::EndpointRows };
    file.process(count).store(u64::from(id.row) + 1, Relaxed);
}

fn count(slot: &Slot, id: RowId, times: u64) {
    if let Some(row) = slot.row(Rows::Services, id) {
        add(&row[Service::Status2 as usize], times);
    }
}

#[test]
fn the_file_is_named_by_the_process_and_its_group_may_read_it() {
    let folder = folder();
    let path = open(&folder, 1).path().expect("a file").to_path_buf();
    assert_eq!(path, folder.path().join(format!("gatekeeper-{}.stats", std::process::id())));
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o640);
    assert_eq!(read::pid_of(&path), Some(std::process::id()));
}

#[test]
fn a_reader_finds_values_by_the_names_in_the_file() {
    let folder = folder();
    let file = open(&folder, 3);
    add(file.slot(WorkerId(2)).word(CORE_PANICS), 7);
    let reading = read(file);
    let panics: Vec<u64> = reading.cores.iter().map(|core| core.get("panics_total")).collect();
    assert_eq!(panics, [0, 0, 7]);
    assert_eq!((reading.process.get("pid"), reading.process.get("workers")), (u64::from(std::process::id()), 3));
    assert_eq!(reading.process.get("no_such_name"), 0);
}

#[test]
fn what_every_core_counts_for_a_service_is_summed() {
    let folder = folder();
    let file = open(&folder, 4);
    let id = RowId { row: 5, generation: 9 };
    entitle(file, Rows::Services, id, "orders");
    (0..4).for_each(|worker| count(&file.slot(WorkerId(worker)), id, u64::from(worker) + 1));
    let reading = read(file);
    assert_eq!(reading.services.len(), 1);
    assert_eq!((&*reading.services[0].name, reading.services[0].row), ("orders", 5));
    assert_eq!(reading.services[0].counts.get("requests_2xx_total"), 10);
}

#[test]
fn a_row_that_is_given_to_another_begins_at_nothing() {
    let folder = folder();
    let file = open(&folder, 2);
    let (former, next) = (RowId { row: 0, generation: 1 }, RowId { row: 0, generation: 2 });
    entitle(file, Rows::Services, former, "former");
    count(&file.slot(WorkerId(0)), former, 100);
    count(&file.slot(WorkerId(1)), former, 100);
    entitle(file, Rows::Services, next, "next");
    assert_eq!(read(file).services[0].counts.get("requests_2xx_total"), 0, "before anything is counted for it");
    count(&file.slot(WorkerId(0)), next, 3);
    assert_eq!(read(file).services[0].counts.get("requests_2xx_total"), 3);
}

#[test]
fn what_is_late_for_a_former_owner_is_not_counted_for_the_next() {
    let folder = folder();
    let slot = open(&folder, 1).slot(WorkerId(0));
    let (former, next) = (RowId { row: 0, generation: 1 }, RowId { row: 0, generation: 2 });
    entitle(open_again(&slot), Rows::Services, next, "next");
    count(&slot, next, 1);
    count(&slot, former, 50);
    assert_eq!(slot.row(Rows::Services, next).expect("its row")[Service::Status2 as usize].load(Relaxed), 1);
    assert!(slot.row(Rows::Services, former).is_none());
}

/// A file of which only the backing matters to the slot.
fn open_again(slot: &Slot) -> &'static StatsFile {
    slot.backed[Rows::Services as usize].store(1, Relaxed);
    StatsFile::anonymous(1).expect("room")
}

#[test]
fn a_row_without_memory_is_not_touched() {
    let folder = folder();
    let slot = open(&folder, 1).slot(WorkerId(0));
    assert!(slot.row(Rows::Services, RowId { row: 0, generation: 1 }).is_none());
    assert!(slot.row(Rows::Services, RowId::NONE).is_none());
}

#[test]
fn reasons_are_counted_by_their_names() {
    let folder = folder();
    let file = open(&folder, 2);
    let id = RowId { row: 0, generation: 1 };
    entitle(file, Rows::Services, id, "a");
    let word = |end: crate::end::End, count: u64| ((end as u64 + 1) << layout::REASON_SHIFT) + count;
    let reasons = |worker| {
        let row = file.slot(WorkerId(worker)).row(Rows::Services, id).expect("its row");
        &row[layout::SERVICE_REASONS_AT..]
    };
    // The cores have met them in different orders.
    reasons(0)[0].store(word(crate::end::End::Loop, 2), Relaxed);
    reasons(0)[1].store(word(crate::end::End::ClientLeft, 1), Relaxed);
    reasons(1)[0].store(word(crate::end::End::ClientLeft, 5), Relaxed);
    let reading = read(file);
    let mut told = reading.services[0].counts.labelled("ends");
    told.sort_unstable();
    assert_eq!(told, [("client_left", 6), ("loop", 2)]);
}

#[test]
fn a_file_of_a_process_that_is_gone_is_removed_and_that_of_a_live_one_is_not() {
    let folder = folder();
    let (gone, live) = (folder.path().join("gatekeeper-1.stats"), folder.path().join("gatekeeper-2.stats"));
    let other = folder.path().join("gatekeeper-x.stats");
    std::fs::write(&gone, "").expect("a file");
    std::fs::write(&other, "").expect("a file");
    let held = File::create(&live).expect("a file");
    flock(&held, FlockOperation::NonBlockingLockExclusive).expect("a lock");
    open(&folder, 1);
    assert_eq!((gone.exists(), live.exists(), other.exists()), (false, true, true));
}

#[test]
fn where_no_folder_will_do_the_counters_are_the_processs_own() {
    let (file, told) = StatsFile::open(&["/nowhere/at/all".into(), "/proc".into()], 2).expect("room");
    assert_eq!(file.path(), None);
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("no stats file in /nowhere/at/all: "), "{told:?}");
    add(file.slot(WorkerId(1)).word(CORE_PANICS), 1);
    assert_eq!(Stats::own(file).expect("readable").read().cores[1].get("panics_total"), 1);
}

#[test]
fn the_newest_live_file_is_the_running_gateways() {
    let (old, new, dead) = (folder(), folder(), folder());
    let started = |folder: &TempDir, pid: u32, at_ms: u64| {
        let file = open(folder, 1);
        file.process(Process::StartedMs).store(at_ms, Relaxed);
        file.process(Process::Pid).store(pid.into(), Relaxed);
    };
    started(&old, 1, 1_000);
    started(&new, 2, 2_000);
    started(&dead, 3, 3_000);
    // A copy has no owner.
    let path = dead.path().join(format!("gatekeeper-{}.stats", std::process::id()));
    let whole = std::fs::read(&path).expect("the file");
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, whole).expect("a copy");
    let folders = [&old, &dead, &new].map(|folder| folder.path().to_path_buf());
    let pid_of_newest = |folders: &[PathBuf]| Stats::newest(folders).expect("one").read().process.get("pid");
    assert_eq!(pid_of_newest(&folders), 2);
    assert_eq!(pid_of_newest(&folders[1..2]), 3, "where none lives, the last one is still readable");
    assert!(!Stats::newest(&folders[1..2]).expect("one").is_live());
    let none = Stats::newest(&[folder().path().to_path_buf()]).expect_err("nothing there");
    assert_eq!(none.kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_is_no_stats_file_is_refused_in_words() {
    let folder = folder();
    let path = folder.path().join("gatekeeper-9.stats");
    for (text, told) in [("short", "too short"), (&*"x".repeat(9_000), "not a stats file")] {
        std::fs::write(&path, text).expect("a file");
        let error = Stats::open(&path).expect_err("refused").to_string();
        assert!(error.contains(told) || text == "short", "{error}");
    }
}

#[test]
fn five_thousand_services_on_forty_eight_cores_take_256_mebibytes_at_most() {
    let folder = folder();
    let file = open(&folder, 48);
    file.back(Rows::Services, 5_000).expect("memory");
    file.back(Rows::Endpoints, 20_000).expect("memory");
    let taken = std::fs::metadata(file.path().expect("a file")).expect("there").blocks() * 512;
    assert!(taken <= 256 << 20, "{} MiB", taken >> 20);
    // Writing where there is memory takes no more.
    for worker in 0..48 {
        let slot = file.slot(WorkerId(worker));
        let last = slot.row(Rows::Services, RowId { row: 4_999, generation: 1 }).expect("backed");
        last.iter().for_each(|word| add(word, 1));
        let last = slot.row(Rows::Endpoints, RowId { row: 19_999, generation: 1 }).expect("backed");
        add(&last[Endpoint::Attempts as usize], 1);
    }
    let then = std::fs::metadata(file.path().expect("a file")).expect("there").blocks() * 512;
    assert_eq!(then, taken);
}

#[test]
fn a_reader_beside_the_writer_sees_counters_grow_and_never_more_than_was_counted() {
    let folder = folder();
    let file = open(&folder, 1);
    let id = RowId { row: 0, generation: 1 };
    entitle(file, Rows::Services, id, "a");
    let over: &'static AtomicBool = Box::leak(Box::default());
    let writer = std::thread::spawn(move || {
        let slot = file.slot(WorkerId(0));
        let mut counted = 0_u64;
        while !over.load(Relaxed) {
            count(&slot, id, 1);
            counted += 1;
        }
        counted
    });
    let stats = Stats::open(file.path().expect("a file")).expect("a stats file");
    let mut seen = 0;
    for _ in 0..2_000 {
        let now = stats.read().services[0].counts.get("requests_2xx_total");
        assert!(now >= seen);
        seen = now;
    }
    over.store(true, Relaxed);
    let counted = writer.join().expect("no panic");
    assert!(seen <= counted);
    assert_eq!(stats.read().services[0].counts.get("requests_2xx_total"), counted);
}

proptest! {
    #[test]
    fn a_name_is_read_back_as_far_as_there_is_room(name in "[a-zä-ü😀/:.-]{0,60}") {
        let file = StatsFile::anonymous(1).expect("room");
        file.back(Rows::Services, 1).expect("memory");
        let title = file.title(Rows::Services, 0).expect("backed");
        let room = layout::NAME_WORDS * 8;
        for (word, bytes) in title[Title::COUNT..].iter().zip(name.as_bytes()[..name.len().min(room)].chunks(8)) {
            word.store(packed(bytes), Relaxed);
        }
        title[0].store(1, Relaxed);
        file.process(Process::ServiceRows).store(1, Relaxed);
        let told = Stats::own(file).expect("readable").read().services[0].name.clone();
        prop_assert!(name.starts_with(&told) && told.len() + 4 > name.len().min(room), "{told}");
    }
}

#[test]
fn every_number_of_a_core_says_what_it_is_unlike_any_other() {
    let sections = layout::sections(1);
    let core = sections.iter().find(|section| section.name == "cores").expect("cores");
    let mut told: Vec<_> =
        core.fields[..layout::Core::COUNT].iter().map(|field| layout::Core::what(&field.name)).collect();
    told.sort_unstable();
    told.dedup();
    assert!(told.len() == layout::Core::COUNT && !told[0].is_empty(), "{told:#?}");
}
