//! The store on real files: what is added is there again, damage is put aside, nothing is written to a later one's.

use tempfile::TempDir;

use super::*;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gatekeeper.db");
    (folder, path)
}

fn service(name: &str) -> Key {
    Key { kind: Kind::Service, name: name.into() }
}

const DAY: Day = Day(20_785);

#[test]
fn what_is_added_is_there_when_it_is_opened_again() {
    let (_folder, path) = folder();
    run(async {
        let mut store = Store::open(&path).await.expect("opens");
        let sums = [(service("a"), Span::Day(DAY), 5), (service("a"), Span::Hour(3_600), 2)];
        store.add(&sums).await.expect("added");
        store.close().await;
        let mut store = Store::open(&path).await.expect("opens");
        store.add(&sums).await.expect("added");
        let kept = store.read(DAY, 3_600).await.expect("read");
        assert_eq!(kept, [(service("a"), Sum { day: 10, hour: 4 })].into());
        assert_eq!(store.read(Day(1), 0).await.expect("read"), HashMap::new());
    });
}

#[test]
fn many_names_of_every_kind_are_kept_apart() {
    let (_folder, path) = folder();
    run(async {
        let mut store = Store::open(&path).await.expect("opens");
        let name = |n: u64| format!("'; DROP TABLE day_totals; -- {n}\u{e9}");
        let both =
            |n| [Kind::Service, Kind::Tenant].map(|kind| (Key { kind, name: name(n).into() }, Span::Day(DAY), n));
        let sums: Vec<_> = (1..=2_000).flat_map(both).collect();
        store.add(&sums).await.expect("added");
        let kept = store.read(DAY, 0).await.expect("read");
        assert_eq!(kept.len(), 4_000);
        assert_eq!(kept[&service(&name(1_234))].day, 1_234);
    });
}

#[test]
fn two_processes_count_one_quota() {
    let (_folder, path) = folder();
    run(async {
        let (mut one, mut other) = (Store::open(&path).await.expect("opens"), Store::open(&path).await.expect("opens"));
        let used = one.count_quotas(DAY, &[("shop".into(), 3)]).await.expect("counted");
        assert_eq!(used, [("shop".into(), 3)].into());
        let used = other.count_quotas(DAY, &[("shop".into(), 4)]).await.expect("counted");
        assert_eq!(used, [("shop".into(), 7)].into());
        assert_eq!(one.count_quotas(Day(DAY.0 + 1), &[]).await.expect("read"), HashMap::new());
    });
}

#[test]
fn what_is_old_is_forgotten_and_the_rest_is_not() {
    let (_folder, path) = folder();
    run(async {
        let mut store = Store::open(&path).await.expect("opens");
        let days = (0..10).map(|n| (service("a"), Span::Day(Day(DAY.0 - n)), 1));
        let hours = (0..10).map(|n| (service("a"), Span::Hour(36_000 - n * 3_600), 1));
        store.add(&days.chain(hours).collect::<Vec<_>>()).await.expect("added");
        store.forget(Day(DAY.0 - 3), 36_000 - 2 * 3_600, DAY).await.expect("forgotten");
        let count = async |store: &mut Store, table: &str| {
            let query = format!("SELECT count(*) FROM {table}");
            let row = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_one(&mut store.connection).await.expect("counted");
            row.get::<i64, _>(0)
        };
        assert_eq!((count(&mut store, "day_totals").await, count(&mut store, "hour_totals").await), (4, 3));
    });
}

#[test]
fn a_file_that_is_no_database_is_put_aside() {
    let (_folder, path) = folder();
    let rubbish = "not a database ".repeat(1_000);
    std::fs::write(&path, &rubbish).expect("written");
    run(async {
        let mut store = Store::open(&path).await.expect("a new one");
        store.add(&[(service("a"), Span::Day(DAY), 5)]).await.expect("added");
    });
    assert_eq!(std::fs::read_to_string(path.with_extension("db.damaged")).expect("put aside"), rubbish);
}

#[test]
fn damage_inside_a_database_is_told_as_such() {
    let (_folder, path) = folder();
    run(async {
        let mut store = Store::open(&path).await.expect("opens");
        let sums: Vec<_> = (0..3_000).map(|n| (service(&format!("name {n}")), Span::Day(DAY), 1)).collect();
        store.add(&sums).await.expect("added");
        store.close().await;
        let mut bytes = std::fs::read(&path).expect("a file");
        bytes[4_096..].fill(0x5a);
        std::fs::write(&path, bytes).expect("written");
        let mut store = Store::open(&path).await.expect("its first page is whole");
        let trouble = store.add(&sums).await.expect_err("its second is not");
        assert!(matches!(trouble, Trouble::Damaged(_)), "{trouble}");
    });
}

#[test]
fn a_later_gateways_store_is_left_alone() {
    let (_folder, path) = folder();
    run(async {
        let mut store = Store::open(&path).await.expect("opens");
        sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut store.connection).await.expect("set");
        store.close().await;
        assert!(matches!(Store::open(&path).await.err(), Some(Trouble::Newer(99))));
    });
    assert!(!path.with_extension("db.damaged").exists());
}

#[test]
fn a_locked_store_is_refused_in_time_and_works_again_after() {
    let (_folder, path) = folder();
    run(async {
        let (mut store, mut other) =
            (Store::open(&path).await.expect("opens"), Store::open(&path).await.expect("opens"));
        sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other.connection).await.expect("locked");
        let start = std::time::Instant::now();
        let trouble = store.add(&[(service("a"), Span::Day(DAY), 5)]).await.expect_err("locked");
        assert!(matches!(&trouble, Trouble::Refused(why) if why.contains("locked")), "{trouble}");
        assert!(start.elapsed() < Duration::from_millis(STORE_BUSY_MS + 5_000), "{:?}", start.elapsed());
        sqlx::raw_sql("COMMIT").execute(&mut other.connection).await.expect("unlocked");
        store.add(&[(service("a"), Span::Day(DAY), 5)]).await.expect("added");
        assert_eq!(store.read(DAY, 0).await.expect("read")[&service("a")].day, 5);
    });
}
