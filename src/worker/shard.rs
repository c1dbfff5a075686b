//! `Shard`: what one core owns, and its view of the current epoch.
//!
//! Nothing here is `Send`; everything is reached through `Rc`. What is shared with other cores is in `Shared`, and what is
//! known of services and tenants comes with the epoch. Out of scope: what a request does with it.

pub mod account;
pub mod buffer;
pub mod clock;
pub mod deadline;
pub mod dice;
pub mod log;
pub mod meter;
pub mod tickets;
pub mod trace;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use self::account::Accounts;
use self::buffer::Buffers;
use self::clock::Clock;
use self::deadline::{Deadlines, Early};
use self::dice::Dice;
use self::log::Log;
use self::meter::Meter;
use self::tickets::Tickets;
use self::trace::TraceIds;
use super::io::Pipes;
use super::upstream::pool::Pool;
use super::upstream::replica::{Core, Replica};
use super::upstream::shelf::Shelves;
use crate::ids::{EpochId, ServiceId, WorkerId};
use crate::wall::addresses::Addresses;
use crate::wall::epoch::Epoch;
use crate::wall::journal::Journal;
use crate::wall::link::{Open, Report, ReportSender};
use crate::wall::loads::Loads;
use crate::wall::nonces::Nonces;
use crate::wall::rate::RateTable;
use crate::wall::rewrite::RewriteScratch;
use crate::wall::slot::StatsFile;
use crate::wall::snapshot::{Address, Snapshot};
use crate::worker::accept::admission::Admission;
use crate::worker::accept::handover::{Evenness, Handovers};
use crate::worker::plan::request_id::{RequestId, RequestIds};
use crate::worker::plan::route::Router;
use crate::worker::policy::concurrency::Lines;
use crate::worker::policy::filters::FilteredBodies;
use crate::worker::policy::tokens::Tokens;
use crate::worker::session::arrival::LongHeads;
use crate::worker::session::engine::Engines;

/// What every worker of the process shares, read only but for the exceptions named in it.
#[derive(Clone)]
pub struct Shared {
    /// How many workers there are.
    pub workers: usize,
    /// The process's name in `Via`, unique to it so that chained gateways can tell a loop.
    pub pseudonym: Arc<str>,
    /// The limits table, named exception to nothing shared.
    pub rates: Arc<RateTable>,
    /// Nonces of signed requests, named exception to nothing shared.
    pub nonces: Arc<Nonces>,
    /// Connections per client address, named exception to nothing shared.
    pub addresses: Arc<Addresses>,
    /// What each endpoint has in hand, named exception to nothing shared.
    pub loads: &'static Loads,
    /// Client connections of each worker, where the files do not say.
    pub connections_max: usize,
    /// Who has how many connections, named exception to nothing shared.
    pub handovers: Arc<Handovers>,
    /// Where every worker's clock starts.
    pub origin: Instant,
    /// Where each worker gets a ring of its own for records of requests.
    pub journal: Arc<Journal>,
    /// The stats file, each worker's slot of which is its own.
    pub stats: &'static StatsFile,
}

/// What one core owns.
pub struct Shard {
    /// Who.
    pub worker: WorkerId,
    /// With all others.
    pub shared: Shared,
    /// The way up.
    pub reports: Rc<ReportSender>,
    /// Time.
    pub clock: Rc<Clock>,
    /// Waits.
    pub deadlines: Rc<Deadlines>,
    /// Buffers.
    pub buffers: Buffers,
    /// Room for accounts.
    pub accounts: Accounts,
    /// Engines that run nothing now.
    pub engines: Engines,
    /// Requests that wait for their turn.
    pub lines: Rc<Lines>,
    /// Room for long request heads.
    pub long_heads: LongHeads,
    /// Room for answers that filters read whole.
    pub filtered_bodies: FilteredBodies,
    /// Who is let in.
    pub admission: Admission,
    /// Pipes of tunnels.
    pub pipes: Pipes,
    /// Counters.
    pub meter: Meter,
    /// What is logged of requests.
    pub log: Log,
    /// Questions to control that wait for an answer.
    pub tickets: Tickets,
    /// What finds the service of a request.
    pub router: Router,
    /// Working memory of `url_rewrite`.
    pub rewriting: RefCell<RewriteScratch>,
    /// Working memory of the path normaliser and of credentials.
    pub scratch: RefCell<Scratch>,
    /// Tokens it has verified.
    pub tokens: Tokens,
    /// Its view of how many connections others have.
    pub evenness: Evenness,
    /// Chance.
    pub dice: Dice,
    epoch: RefCell<Option<Rc<ShardEpoch>>>,
    replicas: RefCell<HashMap<Box<str>, Rc<Replica>>>,
    /// The epoch whose services the replicas were held against.
    swept: Cell<Option<EpochId>>,
    shelves: Shelves,
    leaving: Cell<bool>,
    goes_on: Cell<bool>,
    drain_ends_ms: Cell<Option<u64>>,
    cut: Cell<bool>,
    sessions: Cell<usize>,
    idle: Cell<usize>,
    tunnels: Cell<usize>,
    request_ids: RequestIds,
    /// New traces.
    pub trace_ids: TraceIds,
}

/// Vectors that keep their capacity from request to request.
#[derive(Default)]
pub struct Scratch {
    /// The normalised path.
    pub path: Vec<u8>,
    /// The query without credentials.
    pub query: Vec<u8>,
    /// A decoded form value.
    pub value: Vec<u8>,
    /// Another decoded form value.
    pub other: Vec<u8>,
    /// A value that is composed.
    pub composed: Vec<u8>,
    /// A target that is composed.
    pub target: Vec<u8>,
    /// What is done to the fields of the head that goes on.
    pub edits: Vec<u8>,
}

impl Shard {
    /// A shard without an epoch yet, on a loop that counts its turns, or not.
    #[must_use]
    pub fn new(worker: WorkerId, shared: Shared, reports: ReportSender, turns: Option<&'static Cell<u64>>) -> Rc<Self> {
        let clock = Rc::new(Clock::new(shared.origin, turns));
        Rc::new(Self {
            worker,
            deadlines: Deadlines::new(clock.clone()),
            clock,
            reports: Rc::new(reports),
            buffers: Buffers::default(),
            admission: Admission::default(),
            accounts: Accounts::default(),
            engines: Engines::default(),
            lines: Lines::new(worker, shared.handovers.clone()),
            long_heads: LongHeads::default(),
            filtered_bodies: FilteredBodies::default(),
            pipes: Pipes::default(),
            meter: Meter::new(shared.stats.slot(worker)),
            log: Log::new(worker, shared.journal.clone()),
            tickets: Tickets::default(),
            router: Router::default(),
            rewriting: RefCell::default(),
            scratch: RefCell::default(),
            tokens: Tokens::default(),
            evenness: Evenness::new(worker),
            dice: Dice::new(RandomState::new().hash_one(worker.0)),
            epoch: RefCell::default(),
            replicas: RefCell::default(),
            swept: Cell::default(),
            shelves: Shelves::default(),
            leaving: Cell::new(false),
            goes_on: Cell::new(false),
            drain_ends_ms: Cell::new(None),
            cut: Cell::new(false),
            sessions: Cell::new(0),
            idle: Cell::new(0),
            tunnels: Cell::new(0),
            request_ids: RequestIds::new(),
            trace_ids: TraceIds::new(),
            shared,
        })
    }

    /// New requests run on this epoch from now on.
    pub fn adopt(&self, epoch: Arc<Epoch>) {
        let id = epoch.id;
        self.log.adopt(&epoch.snapshot.http);
        let replicas = (0..epoch.snapshot.services.len()).map(|_| RefCell::default()).collect();
        let next =
            Rc::new(ShardEpoch { epoch: Some(epoch), replicas, reports: self.reports.clone(), worker: self.worker });
        *self.epoch.borrow_mut() = Some(next);
        // There may be more places than those who wait know of.
        self.lines.wake();
        self.shared.handovers.adopted(self.worker, id);
        self.meter.adopted(id);
        self.publish_load();
        self.reports.send(Report::Adopted { worker: self.worker, epoch: id });
    }

    /// The epoch of a request that begins now. `None` before the first.
    #[must_use]
    pub fn epoch(&self) -> Option<Rc<ShardEpoch>> {
        self.epoch.borrow().clone()
    }

    /// This core's replica of a service's upstream, built on first use in an epoch.
    #[must_use]
    pub fn replica(&self, epoch: &ShardEpoch, service: ServiceId) -> Rc<Replica> {
        let place = &epoch.replicas[service.index()];
        if let Some(replica) = &*place.borrow() {
            return replica.clone();
        }
        let definition = epoch.snapshot().service(service);
        let mut known = self.replicas.borrow_mut();
        let core = Core {
            number: usize::from(self.worker.0),
            of: self.shared.workers,
            meter: self.meter,
            loads: self.shared.loads,
            origin: self.shared.origin,
            now_us: self.clock.now_us(),
            // A request that began before a reload must change nothing of what those after it go by.
            is_http: definition.tcp.is_none(),
            is_current: self.epoch().is_none_or(|current| current.epoch().id == epoch.epoch().id),
        };
        let before = known.get(&definition.name);
        // What a tcp service uses is never idle, and what is kept for HTTP is of no use to it.
        let is_http = core.is_http;
        let shelf = |address: &Address| if is_http { self.shelves.of(address) } else { Rc::default() };
        let replica = Replica::build(&definition.upstream, epoch.epoch(), before, core, shelf);
        if core.is_current {
            known.insert(definition.name.clone(), replica.clone());
        }
        *place.borrow_mut() = Some(replica.clone());
        replica
    }

    /// Once a second: lets go of idle upstream connections that are closed, old, or of a service that is
    /// gone. Whether there are any left.
    pub fn sweep(&self) -> bool {
        let now_ms = self.clock.now_ms();
        let Some(epoch) = self.epoch() else { return false };
        // Only an epoch in force makes replicas, so each is looked through once.
        if self.swept.replace(Some(epoch.epoch().id)) != Some(epoch.epoch().id) {
            let snapshot = epoch.snapshot();
            self.replicas.borrow_mut().retain(|name, replica| {
                let kept = snapshot.has_service(name);
                if !kept {
                    replica.pools().for_each(Pool::retire);
                }
                kept
            });
        }
        self.shelves.sweep(now_ms) > 0
    }

    /// The last line of the log: what was counted, and what is left when all have gone, which is nothing.
    #[must_use]
    pub fn last_words(&self) -> String {
        let mut upstream = 0;
        for replica in self.replicas.borrow().values() {
            replica.pools().for_each(Pool::clear);
            upstream += replica.pools().map(|pool| pool.open()).sum::<usize>();
        }
        let Open { idle, exchanges, tunnels } = self.open();
        format!(
            "{}; left: {} sessions, {tunnels} tunnels, {} buffers, {} deadlines, {upstream} upstream connections",
            self.meter.summary(),
            idle + exchanges,
            self.buffers.leased(),
            self.deadlines.in_use()
        )
    }

    /// Lets go of the epoch and of idle upstream connections: this worker serves no more.
    pub fn let_go(&self) {
        self.epoch.take();
        self.replicas.take().values().flat_map(|replica| replica.pools()).for_each(Pool::clear);
    }

    /// Whether this worker is about to end: it may still accept, but wants no connection kept and no request sent.
    #[must_use]
    pub fn leaving(&self) -> bool {
        self.leaving.get()
    }

    /// Whether the gateway is about to end, and not only this process.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.leaving() && !self.goes_on.get()
    }

    /// From now on this worker is about to end; whether the gateway goes on in another process.
    pub fn start_leaving(&self, goes_on: bool) {
        self.leaving.set(true);
        self.goes_on.set(goes_on);
    }

    /// Whether this worker accepts no more.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.drain_ends_ms.get().is_some()
    }

    /// From now on this worker accepts no more, and what is open has the window to end.
    pub fn start_draining(&self, window_ms: u64) {
        self.leaving.set(true);
        self.clock.refresh();
        self.drain_ends_ms.set(Some(self.clock.now_ms() + window_ms));
        self.deadlines.bring_forward(Early::AtDrain);
        self.publish_load();
    }

    /// When the drain window ends, by the core's clock. `None` while this worker does not drain.
    #[must_use]
    pub fn drain_ends_ms(&self) -> Option<u64> {
        self.drain_ends_ms.get()
    }

    /// Whether exchanges end now, finished or not.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// The drain window is over: exchanges and tunnels end now, idle connections within two ticks.
    pub fn cut(&self) {
        self.cut.set(true);
        self.deadlines.bring_forward(Early::AtCut);
        self.deadlines.wake_all();
    }

    /// Connections of this core, of every kind.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.sessions.get() + self.tunnels.get()
    }

    /// Tells the other workers how many connections this one has, and that it takes none while it drains.
    fn publish_load(&self) {
        let open = (!self.draining()).then(|| self.connections());
        self.shared.handovers.publish(self.worker, open);
        self.meter.open(self.open());
    }

    /// What is open.
    #[must_use]
    pub fn open(&self) -> Open {
        let idle = self.idle.get();
        Open { idle, exchanges: self.sessions.get().saturating_sub(idle), tunnels: self.tunnels.get() }
    }

    /// Counts a session for as long as the guard lives.
    #[must_use]
    pub fn enter(self: &Rc<Self>) -> Presence {
        Presence::count(self, |shard| &shard.sessions)
    }

    /// Counts a tunnel for as long as the guard lives.
    #[must_use]
    pub fn enter_tunnel(self: &Rc<Self>) -> Presence {
        Presence::count(self, |shard| &shard.tunnels)
    }

    /// Counts a session as idle for as long as the guard lives.
    #[must_use]
    pub fn rest(&self) -> Rest<'_> {
        self.set_idle(self.idle.get() + 1);
        Rest(self)
    }

    fn set_idle(&self, idle: usize) {
        self.idle.set(idle);
        self.meter.open(self.open());
    }

    /// A new request id: 32 hexadecimal digits, in the shape of GateKeeper's trace ids.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.request_ids.next(self.clock.unix_s())
    }
}

/// A counted session or tunnel.
pub struct Presence {
    shard: Rc<Shard>,
    count: fn(&Shard) -> &Cell<usize>,
}

impl Presence {
    fn count(shard: &Rc<Shard>, count: fn(&Shard) -> &Cell<usize>) -> Self {
        count(shard).set(count(shard).get() + 1);
        shard.publish_load();
        Self { shard: shard.clone(), count }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let count = (self.count)(&self.shard);
        count.set(count.get() - 1);
        self.shard.publish_load();
    }
}

/// A session that waits for a request.
pub struct Rest<'s>(&'s Shard);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.set_idle(self.0.idle.get() - 1);
    }
}

/// A core's hold on one epoch: requests that began on it keep it alive. When the last lets go, the epoch
/// itself goes up, so that its memory is freed on the control side.
pub struct ShardEpoch {
    epoch: Option<Arc<Epoch>>,
    replicas: Box<[RefCell<Option<Rc<Replica>>>]>,
    reports: Rc<ReportSender>,
    worker: WorkerId,
}

impl ShardEpoch {
    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> &Epoch {
        self.epoch.as_deref().expect("taken only in drop")
    }

    /// Its snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.epoch().snapshot
    }
}

impl Drop for ShardEpoch {
    fn drop(&mut self) {
        if let Some(epoch) = self.epoch.take() {
            self.reports.send(Report::Released { worker: self.worker, epoch });
        }
    }
}
