//! A file that cannot be written, or not fast enough, costs lines, which are counted and told of once; requests are
//! served as before.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::{Folder, logging};
use crate::support::{Gateway, Origin, eventually};

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
}

/// Serves so many requests, each of whose lines is 2,000 bytes and more, as fast as without a log.
#[track_caller]
fn serve(gateway: &Gateway, count: usize) {
    let long = "x".repeat(2_000);
    let mut client = gateway.connect();
    let start = Instant::now();
    for number in 0..count {
        assert_eq!(client.get(&format!("/svc/{number}/{long}")).status(), 200);
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{count} requests took {took:?}");
}

/// The number before this text in what was said.
fn told(said: &str, text: &str) -> usize {
    let line = said.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text:?} is not in {said}"));
    let before = line.split(text).next().expect("a part");
    before.rsplit([' ', ';']).find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number in {line}"))
}

#[test]
fn a_reader_that_stops_holds_nobody_up_and_what_it_missed_is_counted() {
    const REQUESTS: usize = 1_500;
    let (origin, folder) = (Origin::ok(), Folder::new());
    let path = folder.path("access.log");
    pipe(&path);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut reader = File::from(rustix::fs::open(&path, flags, Mode::empty()).expect("a pipe to read"));
    let gateway = Gateway::start(&logging(&origin, &folder, "$uri").cores(1));
    serve(&gateway, REQUESTS);
    let beyond = "does not take lines as fast as they come";
    assert!(eventually(|| gateway.stderr().contains(beyond)), "{}", gateway.stderr());
    // It reads again.
    let (mut text, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    let over = eventually(|| {
        while let Ok(bytes @ 1..) = reader.read(&mut piece) {
            text.extend_from_slice(&piece[..bytes]);
        }
        gateway.stderr().contains("is written again")
    });
    assert!(over, "{}", gateway.stderr());
    while let Ok(bytes @ 1..) = reader.read(&mut piece) {
        text.extend_from_slice(&piece[..bytes]);
    }
    let said = gateway.stderr();
    assert_eq!(said.matches(beyond).count(), 1, "{said}");
    let dropped = told(&said, " lines were dropped");
    let text = String::from_utf8(text).expect("text");
    assert!(dropped > 500, "{dropped}");
    assert_eq!(text.lines().count() + dropped, REQUESTS, "every line was read or counted");
    assert!(text.lines().all(|line| line.starts_with("/svc/") && line.ends_with('x')), "no line is torn");
}

#[test]
fn a_pipe_that_nobody_reads_is_told_of_and_written_once_somebody_does() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let path = folder.path("access.log");
    pipe(&path);
    let gateway = Gateway::start(&logging(&origin, &folder, "$uri"));
    let mut client = gateway.connect();
    assert_eq!(client.get("/svc/early").status(), 200);
    assert!(eventually(|| gateway.stderr().contains("nobody reads this pipe")), "{}", gateway.stderr());
    let mut reader = File::open(&path).expect("the gateway opens its end");
    let mut text = [0; 11];
    reader.read_exact(&mut text).expect("what waited");
    assert_eq!(&text, b"/svc/early\n");
    assert!(eventually(|| gateway.stderr().contains("is written again; 0 lines were dropped")), "{}", gateway.stderr());
}

#[test]
fn a_disk_that_is_full_is_told_of_once() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    std::os::unix::fs::symlink("/dev/full", folder.path("access.log")).expect("a link");
    let gateway = Gateway::start(&logging(&origin, &folder, "$uri").cores(1));
    serve(&gateway, 800);
    assert!(eventually(|| gateway.stderr().contains("No space left on device")), "{}", gateway.stderr());
    std::thread::sleep(Duration::from_millis(2_500));
    serve(&gateway, 5);
    assert_eq!(gateway.stderr().matches("access.log").count(), 1, "{}", gateway.stderr());
}

#[test]
fn a_folder_that_cannot_be_made_is_told_of_and_requests_are_served() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    std::fs::write(folder.path("file"), "").expect("space");
    let conf = logging(&origin, &folder, "$uri").log("log.file_writer", "log_path", folder.text("file/access.log"));
    let gateway = Gateway::start(&conf);
    serve(&gateway, 5);
    assert!(eventually(|| gateway.stderr().contains("file/access.log: ")), "{}", gateway.stderr());
}

#[test]
fn a_folder_that_is_not_there_is_made() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = logging(&origin, &folder, "$uri").log("log.file_writer", "log_path", folder.text("a/b/access.log"));
    let gateway = Gateway::start(&conf);
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    assert_eq!(super::expect_lines(&folder.path("a/b/access.log"), 1), ["/svc/a"]);
}
