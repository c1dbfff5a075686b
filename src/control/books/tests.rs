//! The books on a real store: what was counted is gone on with, a store in trouble stops nothing.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use tempfile::TempDir;

use super::*;
use crate::control::tests::house;
use crate::control::totals::{Kind, Sum};

struct Desk {
    runtime: Runtime,
    books: Books,
    counter: Arc<AtomicU64>,
}

fn key() -> Key {
    Key { kind: Kind::Service, name: "shop".into() }
}

impl Desk {
    fn open(folder: &TempDir) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let counter = Arc::new(AtomicU64::new(0));
        let counts = counter.clone();
        let counters = Box::new(move || vec![(key(), counts.load(Relaxed))]);
        let mut books = Books::open(counters, &folder.path().join("module.toml")).expect("a thread");
        let store = config::Store { path: "gatekeeper.db".into(), days_kept: 2, hours_kept: 2 };
        books.take_up(Subject { snapshot: Arc::new(house::snapshot(Vec::new())), store: Some(store) });
        runtime.block_on(books.opened());
        Self { runtime, books, counter }
    }

    fn page(&self) -> Arc<Page> {
        self.books.page().borrow().clone()
    }

    /// Waits for a page that satisfies.
    fn until(&self, wanted: impl Fn(&Page) -> bool) -> Arc<Page> {
        let start = Instant::now();
        loop {
            let page = self.page();
            if wanted(&page) {
                return page;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{page:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn sum(page: &Page) -> Sum {
        page.rates.get(&key()).map_or(Sum::default(), |rate| rate.sum)
    }

    fn close(self) {
        self.runtime.block_on(self.books.close());
    }
}

#[test]
fn totals_go_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = Desk::open(&folder);
    desk.counter.store(7, Relaxed);
    desk.close();
    let desk = Desk::open(&folder);
    assert_eq!(Desk::sum(&desk.page()).day, 7);
    desk.counter.store(5, Relaxed);
    let page = desk.until(|page| Desk::sum(page).day == 12);
    assert_eq!(page.store, Keeping::Kept(folder.path().join("gatekeeper.db")));
}

#[test]
fn a_store_that_cannot_be_opened_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("gatekeeper.db")).expect("a folder in its place");
    let desk = Desk::open(&folder);
    desk.counter.store(7, Relaxed);
    let page = desk.until(|page| Desk::sum(page).day == 7);
    assert!(matches!(&page.store, Keeping::Troubled(..)), "{:?}", page.store);
    desk.close();
}

#[test]
fn a_store_that_is_damaged_while_it_is_open_is_put_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gatekeeper.db");
    let desk = Desk::open(&folder);
    desk.counter.store(7, Relaxed);
    desk.close();
    let rubbish = vec![0x5a; 64 * 1024];
    std::fs::write(&path, &rubbish).expect("written");
    let desk = Desk::open(&folder);
    desk.counter.store(3, Relaxed);
    desk.until(|page| Desk::sum(page).day == 3 && matches!(page.store, Keeping::Kept(_)));
    desk.close();
    assert_eq!(std::fs::read(folder.path().join("gatekeeper.db.damaged")).expect("put aside"), rubbish);
    assert_eq!(Desk::sum(&Desk::open(&folder).page()).day, 3, "and the new one keeps");
}
