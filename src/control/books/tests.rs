//! The books on a real store: what was counted is gone on with, a store in trouble stops nothing.

use std::sync::atomic::Ordering::Relaxed;

use tempfile::TempDir;

use super::*;
use crate::control::stats_file::Chart;
use crate::control::tests::house;
use crate::control::totals::{Kind, Sum};
use crate::ids::{EpochId, WorkerId};
use crate::wall::health::{EndpointHealth, Health, Verdict};
use crate::wall::slot::layout::{Rows, Service};
use crate::wall::slot::{RowIds, StatsFile};
use crate::wall::snapshot::{Address, Check, CheckMethod};

struct Desk {
    runtime: Runtime,
    books: Books,
    file: &'static StatsFile,
}

const ROW: RowId = RowId { row: 0, generation: 1 };

fn key() -> Key {
    Key { kind: Kind::Service, name: "service0".into() }
}

/// One service with one endpoint.
fn epoch() -> Epoch {
    let check = Check { method: CheckMethod::Tcp, interval_ms: 1, timeout_ms: 1, rise: 1, fall: 1 };
    let snapshot = house::snapshot(vec![(Address::Unix("/nowhere".into()), check)]);
    let health =
        Health { endpoints: [EndpointHealth { verdict: Verdict::Up, up_since: None, addresses: [].into() }].into() };
    let rows = RowIds { services: [ROW].into(), endpoints: [RowId::NONE].into(), tenants: [].into() };
    Epoch { id: EpochId(1), snapshot: Arc::new(snapshot), health: Arc::new(health), rows: Arc::new(rows) }
}

impl Desk {
    fn open(folder: &TempDir) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let file = StatsFile::anonymous(1).expect("room");
        let epoch = epoch();
        Chart::new(file).show(&epoch);
        let stats = Arc::new(Stats::own(file).expect("its own"));
        let mut books = Books::open(stats, &folder.path().join("module.toml")).expect("a thread");
        let store = config::Store { path: "gatekeeper.db".into(), days_kept: 2, hours_kept: 2 };
        books.take_up(Subject { epoch: Arc::new(epoch), store: Some(store) });
        runtime.block_on(books.opened());
        Self { runtime, books, file }
    }

    /// The worker has counted so many requests since its start.
    fn count(&self, requests: u64) {
        let row = self.file.slot(WorkerId(0)).row(Rows::Services, ROW).expect("shown");
        row[Service::Status2 as usize].store(requests, Relaxed);
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
    desk.count(7);
    desk.close();
    let desk = Desk::open(&folder);
    assert_eq!(Desk::sum(&desk.page()).day, 7);
    desk.count(5);
    let page = desk.until(|page| Desk::sum(page).day == 12);
    assert_eq!(page.store, Keeping::Kept(folder.path().join("gatekeeper.db")));
}

#[test]
fn a_store_that_cannot_be_opened_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("gatekeeper.db")).expect("a folder in its place");
    let desk = Desk::open(&folder);
    desk.count(7);
    let page = desk.until(|page| Desk::sum(page).day == 7);
    assert!(matches!(&page.store, Keeping::Troubled(..)), "{:?}", page.store);
    desk.close();
}

#[test]
fn a_store_that_is_damaged_is_put_aside_and_a_new_one_keeps() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gatekeeper.db");
    let desk = Desk::open(&folder);
    desk.count(7);
    desk.close();
    let rubbish = vec![0x5a; 64 * 1024];
    std::fs::write(&path, &rubbish).expect("written");
    let desk = Desk::open(&folder);
    desk.count(3);
    desk.until(|page| Desk::sum(page).day == 3 && matches!(page.store, Keeping::Kept(_)));
    desk.close();
    assert_eq!(std::fs::read(folder.path().join("gatekeeper.db.damaged")).expect("put aside"), rubbish);
    assert_eq!(Desk::sum(&Desk::open(&folder).page()).day, 3, "and the new one keeps");
}
