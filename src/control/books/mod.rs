//! The books: a thread of control's that looks at the counters once a second and keeps what has to outlive the process.
//!
//! In scope: calls per second, totals of days and hours, tenants' daily quotas, and writing all of it to the store. It
//! has a thread of its own because a disk may make it wait; nobody waits for it but a start, which wants to know what
//! was used of quotas, and a stop, both for `limits::STORE_PATIENCE_MS` at most. A store that cannot be used is
//! reported and tried again later; meanwhile all is counted in memory. Out of scope: counting (`worker`), the file
//! (`control::store`).

mod quotas;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use super::figures::CLASSES;
use super::stats_file::unix_ms;
use super::store::{Past, Store, Trouble, Wanted};
use super::totals::{Key, Kind, Rate, Totals};
use crate::config;
use crate::limits::{STORE_AGAIN_MS, STORE_FORGET_MS, STORE_PATIENCE_MS, STORE_SYNC_MS, STORE_WRITE_MS};
use crate::wall::calendar::Day;
use crate::wall::epoch::Epoch;
use crate::wall::slot::RowId;
use crate::wall::slot::read::Stats;
use crate::wall::snapshot::Snapshot;
use quotas::Quotas;

/// The way to the books.
pub(super) struct Books {
    orders: Sender<Order>,
    page: watch::Receiver<Arc<Page>>,
    opened: Option<oneshot::Receiver<()>>,
    module_file: PathBuf,
}

/// What the books say at the moment.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Of every service and tenant that has been called, or may be.
    pub(crate) rates: HashMap<Key, Rate>,
    /// The date under way.
    pub(crate) day: Day,
    /// Where it is kept.
    pub(crate) store: Keeping,
}

/// How the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// There is none: what is counted is gone at the end.
    #[default]
    Off,
    /// In this file.
    Kept(PathBuf),
    /// Not in this file, for this reason.
    Troubled(PathBuf, String),
}

/// What is accounted for.
#[derive(Debug)]
pub(crate) struct Subject {
    /// What is in force.
    pub(crate) epoch: Arc<Epoch>,
    /// Where it is kept.
    pub(crate) store: Option<config::Store>,
}

/// Past days of services and tenants, and how to come by them.
#[derive(Clone)]
pub(super) struct Archive(Sender<Order>);

/// What is wanted of the archive.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// So many days, the one under way among them, and their hours.
    pub(super) days: u32,
    /// Only of services, or only of tenants.
    pub(super) kind: Option<Kind>,
    /// Only of the one of this name.
    pub(super) name: Option<String>,
}

impl Archive {
    /// What was kept.
    ///
    /// # Errors
    /// Why nothing can be told, in words.
    pub(super) async fn ask(&self, asked: Asked) -> Result<Past, String> {
        let (whom, past) = oneshot::channel();
        let sent = self.0.send(Order::Tell(asked, whom)).is_ok();
        let patience = Duration::from_millis(STORE_PATIENCE_MS);
        let told = if sent { tokio::time::timeout(patience, past).await.ok().and_then(Result::ok) } else { None };
        told.unwrap_or_else(|| Err("the store does not answer".to_owned()))
    }
}

enum Order {
    TakeUp(Subject),
    Tell(Asked, oneshot::Sender<Result<Past, String>>),
    Close(oneshot::Sender<()>),
}

impl Books {
    /// Opens them. A relative path of the store starts from the folder of the module file.
    pub(super) fn open(stats: Arc<Stats>, module_file: &Path) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let (pages, page) = watch::channel(Arc::default());
        let (first, opened) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let keeper = Keeper {
            stats,
            runtime,
            pages,
            first: Some(first),
            totals: Totals::default(),
            quotas: Quotas::default(),
            epoch: None,
            settings: None,
            store: None,
            trouble: None,
            lately: Lately::default(),
        };
        thread::Builder::new().name("books".into()).spawn(move || keeper.keep(&inbox))?;
        Ok(Self { orders, page, opened: Some(opened), module_file: module_file.to_owned() })
    }

    /// This configuration is accounted for from now on.
    pub(super) fn take_up(&self, mut subject: Subject) {
        if let Some(store) = &mut subject.store {
            store.path = resolve(&store.path, &self.module_file);
        }
        // Books that have broken down have said so.
        let _ = self.orders.send(Order::TakeUp(subject));
    }

    /// Waits, for a while, until it is known what was used of quotas before.
    pub(super) async fn opened(&mut self) {
        let Some(opened) = self.opened.take() else { return };
        if tokio::time::timeout(Duration::from_millis(STORE_PATIENCE_MS), opened).await.is_err() {
            warn!("the store does not answer yet: serving without knowing what was used of daily quotas");
        }
    }

    /// What they have kept.
    pub(super) fn archive(&self) -> Archive {
        Archive(self.orders.clone())
    }

    /// What they say.
    pub(super) fn page(&self) -> watch::Receiver<Arc<Page>> {
        self.page.clone()
    }

    /// Writes what is left, if that does not take long.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let asked = self.orders.send(Order::Close(done)).is_ok();
        if asked && tokio::time::timeout(Duration::from_millis(STORE_PATIENCE_MS), closed).await.is_err() {
            warn!("the store has not taken the last totals in time");
        }
    }
}

fn resolve(path: &Path, module_file: &Path) -> PathBuf {
    if path.is_absolute() {
        return path.to_owned();
    }
    // systemd's, with colons between several.
    let state = std::env::var("STATE_DIRECTORY").ok();
    match state.as_deref().and_then(|all| all.split(':').next()).filter(|first| !first.is_empty()) {
        Some(folder) => Path::new(folder).join(path),
        None => module_file.parent().unwrap_or(Path::new(".")).join(path),
    }
}

/// When things were last done.
#[derive(Debug, Default)]
struct Lately {
    written: Option<Instant>,
    forgotten: Option<Instant>,
    tried: Option<Instant>,
}

fn is_due(last: Option<Instant>, gap_ms: u64) -> bool {
    last.is_none_or(|last| last.elapsed() >= Duration::from_millis(gap_ms))
}

/// Who keeps them, on a thread.
struct Keeper {
    stats: Arc<Stats>,
    runtime: Runtime,
    pages: watch::Sender<Arc<Page>>,
    first: Option<oneshot::Sender<()>>,
    totals: Totals,
    quotas: Quotas,
    epoch: Option<Arc<Epoch>>,
    settings: Option<config::Store>,
    store: Option<Store>,
    /// Said already, until it works again.
    trouble: Option<String>,
    lately: Lately,
}

impl Keeper {
    fn keep(mut self, inbox: &Receiver<Order>) {
        loop {
            match inbox.recv_timeout(to_next_second()) {
                Ok(Order::TakeUp(subject)) => {
                    self.take_up(subject);
                    self.turn();
                    if let Some(first) = self.first.take() {
                        let _ = first.send(());
                    }
                }
                Ok(Order::Tell(asked, whom)) => {
                    // Whoever asked may have lost patience.
                    let _ = whom.send(self.past(asked));
                }
                Ok(Order::Close(done)) => {
                    self.close();
                    let _ = done.send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => self.turn(),
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
        }
    }

    fn take_up(&mut self, subject: Subject) {
        let same_file = |a: &config::Store, b: &config::Store| a.path == b.path;
        let stays = matches!((&self.settings, &subject.store), (Some(a), Some(b)) if same_file(a, b));
        if !stays {
            if self.store.is_some() {
                self.write();
            }
            if let Some(store) = self.store.take() {
                self.runtime.block_on(store.close());
            }
            // What one file knows of quotas, another does not.
            self.quotas = Quotas::default();
            self.lately = Lately::default();
            self.trouble = None;
        }
        self.settings = subject.store;
        self.totals.drop_unused(|key| is_known(&subject.epoch.snapshot, key));
        self.epoch = Some(subject.epoch);
    }

    fn turn(&mut self) {
        self.look();
        self.have_store();
        self.sync_quotas();
        if is_due(self.lately.written, STORE_WRITE_MS) {
            self.write();
        }
        if is_due(self.lately.forgotten, STORE_FORGET_MS) {
            self.forget();
        }
        self.tell();
    }

    fn close(&mut self) {
        self.look();
        self.sync_quotas();
        self.write();
        if let Some(store) = self.store.take() {
            self.runtime.block_on(store.close());
        }
    }

    fn look(&mut self) {
        let Some(epoch) = &self.epoch else { return };
        self.totals.look(&epoch.snapshot.calendar, unix_ms(), counters(&self.stats, epoch));
    }

    /// Opens the store where it is closed, wanted and not known to be out of order.
    fn have_store(&mut self) {
        let Some(settings) = self.settings.as_ref().filter(|_| self.store.is_none()) else { return };
        if !is_due(self.lately.tried, STORE_AGAIN_MS) {
            return;
        }
        self.lately.tried = Some(Instant::now());
        let path = settings.path.clone();
        let (day, hour_s) = self.totals.now();
        let opened: Result<_, Trouble> = self.runtime.block_on(async {
            let mut store = Store::open(&path).await?;
            let kept = store.read(day, hour_s).await?;
            Ok((store, kept))
        });
        match opened {
            Ok((store, kept)) => {
                info!("totals and quotas are kept in {}", store.path().display());
                self.totals.recall(kept);
                self.store = Some(store);
                self.trouble = None;
            }
            Err(trouble) => self.complain(&trouble),
        }
    }

    fn sync_quotas(&mut self) {
        let (Some(store), Some(epoch)) = (&mut self.store, &self.epoch) else { return };
        let snapshot = &epoch.snapshot;
        let today = snapshot.calendar.day(unix_ms() / 1_000);
        if !snapshot.tenants.all().iter().any(|tenant| tenant.quota.is_some()) {
            return;
        }
        let calls = self.quotas.grown(snapshot.tenants.all(), today);
        match self.runtime.block_on(store.count_quotas(today, &calls)) {
            Ok(used) => self.quotas.settle(snapshot.tenants.all(), today, &calls, &used),
            Err(trouble) => self.complain(&trouble),
        }
    }

    fn write(&mut self) {
        self.lately.written = Some(Instant::now());
        let waiting = self.totals.waiting();
        if let Some(store) = self.store.as_mut().filter(|_| !waiting.is_empty()) {
            let (day, hour_s) = self.totals.now();
            let written: Result<_, Trouble> = self.runtime.block_on(async {
                store.add(&waiting).await?;
                // Another process may write there too.
                Ok(store.read(day, hour_s).await)
            });
            match written {
                Ok(kept) => {
                    self.totals.kept();
                    self.totals.recall(kept.unwrap_or_default());
                }
                Err(trouble) => self.complain(&trouble),
            }
        }
        if self.settings.is_none() {
            self.totals.kept();
        }
        let lost = self.totals.let_go();
        if lost > 0 {
            warn!("{lost} totals are lost: the store has not taken them for too long");
        }
    }

    /// What the store has, and before that gets what it does not have yet.
    fn past(&mut self, asked: Asked) -> Result<Past, String> {
        self.look();
        self.write();
        let Some(settings) = &self.settings else { return Err("totals are kept in no file".to_owned()) };
        let (Some(store), Some(epoch)) = (&mut self.store, &self.epoch) else {
            return Err(format!("the store {} cannot be used", settings.path.display()));
        };
        let (today, hour_s) = self.totals.now();
        let first_day = Day((today.0 + 1).saturating_sub(asked.days));
        let mut first_hour_s = hour_s;
        while first_hour_s > 0 && epoch.snapshot.calendar.day(first_hour_s - 1) >= first_day {
            first_hour_s = epoch.snapshot.calendar.hour_starts_s(first_hour_s - 1);
        }
        let wanted = Wanted { first_day, first_hour_s, kind: asked.kind, name: asked.name };
        self.runtime.block_on(store.past(&wanted)).map_err(|trouble| {
            let said = trouble.to_string();
            self.complain(&trouble);
            said
        })
    }

    fn forget(&mut self) {
        self.lately.forgotten = Some(Instant::now());
        let Some(epoch) = &self.epoch else { return };
        self.totals.retain(|key| is_known(&epoch.snapshot, key));
        let (Some(store), Some(settings)) = (&mut self.store, &self.settings) else { return };
        let (today, hour_s) = self.totals.now();
        let first_day = Day((today.0 + 1).saturating_sub(settings.days_kept));
        let first_hour_s = (hour_s + 3_600).saturating_sub(u64::from(settings.hours_kept) * 3_600);
        if let Err(trouble) = self.runtime.block_on(store.forget(first_day, first_hour_s, today)) {
            self.complain(&trouble);
        }
    }

    /// Says once what is wrong, and gives the store up for a while.
    fn complain(&mut self, trouble: &Trouble) {
        let Some(settings) = &self.settings else { return };
        let said = trouble.to_string();
        if self.trouble.as_ref() != Some(&said) {
            let path = settings.path.display();
            error!("path of [store]: {path} cannot be used: {said}; all is counted in memory, and it is tried again");
            self.trouble = Some(said);
        }
        // Opening it again is what puts a damaged one aside.
        self.store = None;
        self.lately.tried = match trouble {
            Trouble::Damaged(_) => None,
            Trouble::Newer(_) | Trouble::Refused(_) => Some(Instant::now()),
        };
    }

    fn tell(&self) {
        let store = match (&self.settings, &self.trouble) {
            (None, _) => Keeping::Off,
            (Some(settings), None) => Keeping::Kept(settings.path.clone()),
            (Some(settings), Some(why)) => Keeping::Troubled(settings.path.clone(), why.clone()),
        };
        let page = Page { rates: self.totals.rates(), day: self.totals.now().0, store };
        self.pages.send_replace(Arc::new(page));
    }
}

/// What every counter says now, by name.
fn counters(stats: &Stats, epoch: &Epoch) -> Vec<(Key, u64)> {
    let (snapshot, rows) = (&epoch.snapshot, &epoch.rows);
    let calls = |kind, fields: &[&str]| stats.sums(kind, fields).into_iter().collect::<HashMap<usize, u64>>();
    let fields = [&CLASSES[..], &["tunnels_ended_total"]].concat();
    let (services, tenants) = (calls("services", &fields), calls("tenants", &["requests_total"]));
    let count = |calls: &HashMap<usize, u64>, id: RowId| calls.get(&(id.row as usize)).copied().unwrap_or(0);
    let of_services = snapshot
        .services
        .iter()
        .zip(&rows.services)
        .map(|(service, id)| (Key { kind: Kind::Service, name: service.name.clone() }, count(&services, *id)));
    let of_tenants = snapshot
        .tenants
        .all()
        .iter()
        .zip(&rows.tenants)
        .map(|(tenant, id)| (Key { kind: Kind::Tenant, name: tenant.app_id.clone() }, count(&tenants, *id)));
    of_services.chain(of_tenants).collect()
}

fn is_known(snapshot: &Snapshot, key: &Key) -> bool {
    match key.kind {
        Kind::Service => snapshot.has_service(&key.name),
        Kind::Tenant => snapshot.tenants.find(key.name.as_bytes()).is_some(),
    }
}

/// A look falls just after a second has begun, so that an hour's last call is counted for it.
fn to_next_second() -> Duration {
    Duration::from_millis(STORE_SYNC_MS - unix_ms() % STORE_SYNC_MS)
}

#[cfg(test)]
mod tests;
