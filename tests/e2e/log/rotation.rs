//! Files are rotated while requests go on, and every line is in one of them, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::{Folder, expect_lines, logging};
use crate::support::{Client, Conf, Gateway, Origin, within};

/// Four clients that ask for a number of their own each time, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(gateway: &Gateway) -> Self {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..4).map(|_| {
            let (address, stop, asked) = (gateway.address(), stop.clone(), asked.clone());
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(client.get(&format!("/svc/{number}")).status(), 200);
                }
            })
        });
        let clients = clients.collect();
        Self { stop, asked, clients }
    }

    /// How many have been answered in all.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("answers"));
        self.asked.load(Ordering::Relaxed)
    }
}

/// Fails unless each number below is in the files, once.
#[track_caller]
fn expect_each(folder: &Folder, count: usize) {
    within(super::SOON, || folder.lines_of_all("access").len() >= count);
    let mut found = folder.lines_of_all("access");
    assert_eq!(found.len(), count);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), count, "no line is twice");
}

#[test]
fn a_file_that_is_full_is_rotated_and_no_line_is_lost() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = logging(&origin, &folder, "$uri").log("log.file_writer", "rotate_bytes", 4_096).cores(4);
    let gateway = Gateway::start(&conf);
    let load = Load::start(&gateway);
    within(Duration::from_secs(20), || load.asked.load(Ordering::Relaxed) > 3_000);
    let count = load.end();
    expect_each(&folder, count);
    let names = folder.names();
    assert!(names.len() > 3 && names.contains(&"access.log.1".to_owned()), "{names:?}");
    for name in names {
        let bytes = std::fs::metadata(folder.path(&name)).expect("a file").len();
        assert!((1..=4_096).contains(&bytes), "{name} has {bytes} bytes");
    }
}

#[test]
fn a_file_that_was_moved_is_left_at_the_signal_and_no_line_is_lost() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let gateway = Gateway::start(&logging(&origin, &folder, "$uri").cores(4));
    let load = Load::start(&gateway);
    for round in 0..8 {
        within(super::SOON, || folder.path("access.log").exists());
        thread::sleep(Duration::from_millis(100));
        std::fs::rename(folder.path("access.log"), folder.path(&format!("access.{round}"))).expect("a file to move");
        gateway.signal(Signal::USR1);
    }
    let count = load.end();
    expect_each(&folder, count);
    assert!(folder.names().len() > 5, "{:?}", folder.names());
}

fn hourly(origin: &Origin, folder: &Folder) -> Conf {
    let conf = logging(origin, folder, "$uri");
    conf.log("log.file_writer", "rotate_log_path", folder.text("access.log.%Y%M%D%H"))
}

#[test]
fn a_file_of_an_hour_that_is_over_gets_the_name_of_that_hour() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let file = std::fs::File::create(folder.path("access.log")).expect("a file");
    std::io::Write::write_all(&mut &file, b"before\n").expect("space");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).expect("a file's time can be set");
    // The name is taken.
    std::fs::write(folder.path("access.log.2023111422"), "other\n").expect("space");
    let gateway = Gateway::start(&hourly(&origin, &folder));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    assert_eq!(expect_lines(&folder.path("access.log"), 1), ["/svc/a"]);
    assert_eq!(expect_lines(&folder.path("access.log.2023111422.1"), 1), ["before"]);
    assert_eq!(expect_lines(&folder.path("access.log.2023111422"), 1), ["other"]);
}

#[test]
fn a_file_of_this_hour_is_gone_on_with() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    for round in 0..2 {
        let mut gateway = Gateway::start(&hourly(&origin, &folder));
        assert_eq!(gateway.connect().get(&format!("/svc/{round}")).status(), 200);
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    }
    // The hour may have ended in between.
    let mut found = folder.lines_of_all("access.log");
    found.sort();
    assert_eq!(found, ["/svc/0", "/svc/1"]);
}

#[test]
fn what_was_served_last_is_written_before_the_process_ends() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let mut gateway = Gateway::start(&logging(&origin, &folder, "$uri"));
    let mut client = gateway.connect();
    for number in 0..20 {
        assert_eq!(client.get(&format!("/svc/{number}")).status(), 200);
    }
    gateway.signal(Signal::TERM);
    drop(client);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    assert_eq!(super::lines(&folder.path("access.log")).len(), 20);
}
