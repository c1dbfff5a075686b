//! Pens without a gateway: what becomes of lines as time goes by, files fill up and are taken away.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::book::{Book, Now};
use super::pen::{News, Pen};
use crate::config::logs::{Destination, Level, Pattern, Writers};
use crate::limits::{LOG_RETRY_MS, LOG_WAITING_BYTES_MAX};

/// A moment of a day that no test depends on.
fn at(hour: i8, minute: i8) -> Now {
    now(date(2026, 3, 4).at(hour, minute, 0, 0), Instant::now())
}

fn now(local: DateTime, instant: Instant) -> Now {
    Now { instant, local, zone: TimeZone::UTC }
}

struct Desk {
    folder: TempDir,
    news: Vec<News>,
}

impl Desk {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder"), news: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn destination(&self, pattern: &str, bytes_max: u64) -> Destination {
        let pattern = self.path(pattern);
        let rotated = Pattern::parse(pattern.to_str().expect("text")).expect("a pattern");
        Destination { path: self.path("log"), rotated: Some(rotated).filter(Pattern::changes), bytes_max }
    }

    fn read(&self, name: &str) -> String {
        read(&self.path(name))
    }

    /// The names and the text of all files, in order.
    fn all(&self) -> (Vec<String>, String) {
        let entries = fs::read_dir(self.folder.path()).expect("a folder").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        let text = names.iter().map(|name| self.read(name)).collect();
        (names, text)
    }
}

fn pen(destination: Destination) -> Pen {
    Pen::file(destination, "log_path of [log]".to_owned())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_file_is_rotated_as_its_time_ends_and_holds_the_lines_of_that_time() {
    let mut desk = Desk::new();
    let mut pen = pen(desk.destination("log.%H%m", 0));
    for minute in 0..5 {
        for number in 0..100 {
            assert!(pen.add(format!("{minute}.{number}\n").as_bytes()));
            pen.flush(&at(7, minute), &mut desk.news);
        }
    }
    let (names, text) = desk.all();
    assert_eq!(names, ["log", "log.0700", "log.0701", "log.0702", "log.0703"]);
    assert_eq!(text.lines().count(), 500);
    assert!(desk.read("log.0702").lines().all(|line| line.starts_with("2.")));
    assert!(desk.read("log").lines().all(|line| line.starts_with("4.")));
    assert_eq!(desk.news, []);
}

#[test]
fn a_name_that_is_taken_is_never_written_over() {
    let mut desk = Desk::new();
    fs::write(desk.path("log.07"), "mine\n").expect("space");
    let mut pen = pen(desk.destination("log.%H", 6));
    for line in ["one\n", "two\n", "three\n"] {
        assert!(pen.add(line.as_bytes()));
        pen.flush(&at(7, 0), &mut desk.news);
    }
    assert!(pen.add(b"four\n"));
    pen.flush(&at(8, 0), &mut desk.news);
    let read = ["log.07", "log.07.1", "log.07.2", "log.07.3", "log"].map(|name| desk.read(name));
    assert_eq!(read, ["mine\n", "one\n", "two\n", "three\n", "four\n"]);
}

#[test]
fn what_waits_is_divided_among_files_at_the_ends_of_lines() {
    let mut desk = Desk::new();
    let mut pen = pen(desk.destination("none", 10));
    for line in ["aaaa\n", "bbbb\n", "cccc\n", "a line longer than a file\n", "dddd\n"] {
        assert!(pen.add(line.as_bytes()));
    }
    pen.flush(&at(7, 0), &mut desk.news);
    let read = ["log.1", "log.2", "log.3", "log"].map(|name| desk.read(name));
    assert_eq!(read, ["aaaa\nbbbb\n", "cccc\n", "a line longer than a file\n", "dddd\n"]);
}

#[test]
fn two_processes_may_write_and_rotate_one_file() {
    let mut desk = Desk::new();
    let (mut old, mut new) = (pen(desk.destination("log.%H%m", 0)), pen(desk.destination("log.%H%m", 0)));
    for minute in 0..10 {
        for (pen, name) in [(&mut old, "old"), (&mut new, "new")] {
            let now = at(7, minute);
            assert!(pen.add(format!("{name} {minute}\n").as_bytes()));
            pen.flush(&now, &mut desk.news);
            // The file's own time is what whoever opens it goes by.
            let time = now.local.to_zoned(now.zone).expect("a time").timestamp();
            fs::File::open(desk.path("log")).expect("a file").set_modified(time.into()).expect("our own file");
        }
    }
    let (names, text) = desk.all();
    assert_eq!((names.len(), text.lines().count()), (10, 20), "{names:?}");
    assert_eq!(desk.read("log.0703"), "old 3\nnew 3\n");
}

#[test]
fn a_file_that_cannot_be_rotated_is_written_on_and_told_of_once() {
    let mut desk = Desk::new();
    fs::write(desk.path("file"), "").expect("space");
    let mut pen = pen(desk.destination("file/log.%H%m", 0));
    for minute in 0..5 {
        assert!(pen.add(format!("{minute}\n").as_bytes()));
        pen.flush(&at(7, minute), &mut desk.news);
    }
    assert_eq!(desk.read("log").lines().count(), 5);
    let [News::Trouble(text)] = &desk.news[..] else { panic!("{:?}", desk.news) };
    assert!(text.contains("cannot be rotated"), "{text}");
}

#[test]
fn what_cannot_be_written_waits_within_a_bound_and_what_is_beyond_is_counted() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("log")).expect("a folder in the way");
    let mut pen = pen(desk.destination("none", 0));
    let (line, start) = ([&[b'x'; 1023][..], b"\n"].concat(), Instant::now());
    let taken = (0..2_000).filter(|_| pen.add(&line)).count();
    assert_eq!(taken, LOG_WAITING_BYTES_MAX / 1024);
    let time = date(2026, 3, 4).at(7, 0, 0, 0);
    for turn in 0..5 {
        pen.flush(&now(time, start + Duration::from_millis(turn * LOG_RETRY_MS / 2)), &mut desk.news);
    }
    assert_eq!(desk.news.len(), 1, "told once: {:?}", desk.news);
    assert_eq!(pen.lost(), 2_000);
    fs::remove_dir(desk.path("log")).expect("it is empty");
    pen.flush(&now(time, start + Duration::from_millis(10 * LOG_RETRY_MS)), &mut desk.news);
    assert_eq!(desk.read("log").lines().count(), taken);
    let dropped = 2_000 - taken;
    let wanted = format!("is written again; {dropped} lines were dropped");
    assert!(matches!(&desk.news[1..], [News::Well(text)] if text.ends_with(&wanted)), "{:?}", desk.news);
    assert_eq!(pen.lost(), 0);
}

#[test]
fn a_file_that_cannot_be_opened_is_told_with_its_key_before_there_is_a_line() {
    let desk = Desk::new();
    fs::write(desk.path("file"), "").expect("space");
    let to = |name: &str| Some(Destination { path: desk.path(name), rotated: None, bytes_max: 0 });
    let mut writers = Writers { level: Level::Info, file: to("file/a"), wf: None, console: None };
    let (mut book, mut news, start) = (Book::closed("[log]"), Vec::new(), Instant::now());
    let mut flush = |book: &mut Book, seconds| {
        let time = date(2026, 3, 4).at(7, 0, 0, 0);
        book.flush(&now(time, start + Duration::from_secs(seconds)), &mut news);
        std::mem::take(&mut news)
    };
    let first_is_told = |news: &[News], key: &str| match news {
        [News::Trouble(text)] => text.starts_with(key),
        _ => false,
    };
    book.follow(&writers, true);
    assert!(first_is_told(&flush(&mut book, 0), "log_path of [log]: "));
    assert_eq!(flush(&mut book, 10), [], "once");
    writers.wf = to("file/b");
    book.follow(&writers, true);
    assert!(first_is_told(&flush(&mut book, 20), "wf_log_path of [log]: "), "a reload brings another");
    (writers.file, writers.wf) = (to("good"), None);
    book.follow(&writers, true);
    assert!(matches!(&flush(&mut book, 30)[..], [News::Well(_)]));
    assert_eq!(desk.read("good"), "", "it is there before the first line");
}

#[test]
fn a_log_goes_on_in_its_file_when_other_things_change_and_in_another_when_that_does() {
    let mut desk = Desk::new();
    let file = Destination { path: desk.path("log"), rotated: None, bytes_max: 0 };
    let mut writers = Writers { level: Level::Info, file: Some(file), wf: None, console: None };
    let mut book = Book::closed("[log]");
    let mut write = |book: &mut Book, text: &[u8]| {
        assert_eq!(book.write(Level::Warning, text), 0);
        book.flush(&at(7, 0), &mut desk.news);
    };
    book.follow(&writers, true);
    write(&mut book, b"one\n");
    writers.level = Level::Warning;
    book.follow(&writers, true);
    write(&mut book, b"two\n");
    assert_eq!(book.write(Level::Info, b"quiet\n"), 0);
    writers.file = Some(Destination { path: desk.folder.path().join("other"), rotated: None, bytes_max: 0 });
    book.follow(&writers, true);
    write(&mut book, b"three\n");
    book.follow(&Writers { level: Level::Info, file: None, wf: None, console: None }, true);
    write(&mut book, b"nowhere\n");
    assert_eq!((desk.read("log").as_str(), desk.read("other").as_str()), ("one\ntwo\n", "three\n"));
}
