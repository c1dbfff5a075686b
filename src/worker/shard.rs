//! `Shard`: what one core owns, and its view of the current epoch.
//!
//! Nothing here is `Send`; everything is reached through `Rc`. The only thing shared with other cores is the
//! limits table (`wall::rate`). Out of scope: what a request does with it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use monoio::io::Canceller;

use super::buffer::Buffers;
use super::clock::Clock;
use super::deadline::Deadlines;
use super::meter::Meter;
use super::tickets::Tickets;
use super::upstream::replica::Replica;
use crate::ids::{ServiceId, WorkerId};
use crate::wall::epoch::Epoch;
use crate::wall::link::{Report, ReportSender};
use crate::wall::rate::RateTable;
use crate::wall::rewrite::RewriteScratch;
use crate::wall::snapshot::Snapshot;

/// What every worker of the process shares, read only but for the limits table.
#[derive(Clone)]
pub struct Shared {
    /// How many workers there are.
    pub workers: usize,
    /// The process's name in `Via`, unique to it so that chained gateways can tell a loop.
    pub pseudonym: Arc<str>,
    /// The limits table, named exception to nothing shared.
    pub rates: Arc<RateTable>,
    /// Where every worker's clock starts.
    pub origin: Instant,
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
    /// Counters.
    pub meter: Meter,
    /// Questions to control that wait for an answer.
    pub tickets: Tickets,
    /// Working memory of `url_rewrite`.
    pub rewriting: RefCell<RewriteScratch>,
    /// Working memory of the path normaliser and of credentials.
    pub scratch: RefCell<Scratch>,
    /// Stops the accept loops; taken by the first who does.
    pub accepting: RefCell<Option<Canceller>>,
    epoch: RefCell<Option<Rc<ShardEpoch>>>,
    replicas: RefCell<HashMap<Box<str>, Rc<Replica>>>,
    draining: Cell<bool>,
    sessions: Cell<usize>,
    request_ids: RequestIds,
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
}

impl Shard {
    /// A shard without an epoch yet.
    #[must_use]
    pub fn new(worker: WorkerId, shared: Shared, reports: ReportSender) -> Rc<Self> {
        let clock = Rc::new(Clock::new(shared.origin));
        Rc::new(Self {
            worker,
            deadlines: Deadlines::new(clock.clone()),
            clock,
            reports: Rc::new(reports),
            buffers: Buffers::default(),
            meter: Meter::default(),
            tickets: Tickets::default(),
            rewriting: RefCell::default(),
            scratch: RefCell::default(),
            accepting: RefCell::default(),
            epoch: RefCell::default(),
            replicas: RefCell::default(),
            draining: Cell::new(false),
            sessions: Cell::new(0),
            request_ids: RequestIds::new(),
            shared,
        })
    }

    /// New requests run on this epoch from now on.
    pub fn adopt(&self, epoch: Arc<Epoch>) {
        let id = epoch.id;
        let replicas = (0..epoch.snapshot.services.len()).map(|_| RefCell::default()).collect();
        let next =
            Rc::new(ShardEpoch { epoch: Some(epoch), replicas, reports: self.reports.clone(), worker: self.worker });
        *self.epoch.borrow_mut() = Some(next);
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
        let core = usize::from(self.worker.0);
        let before = known.get(&definition.name);
        let replica = Replica::build(&definition.upstream, &epoch.epoch().health, before, core, self.shared.workers);
        known.insert(definition.name.clone(), replica.clone());
        *place.borrow_mut() = Some(replica.clone());
        replica
    }

    /// Once a second: lets go of idle upstream connections that are closed, old, or of a service that is gone.
    pub fn sweep(&self) {
        let now_ms = self.clock.now_ms();
        let Some(epoch) = self.epoch() else { return };
        let services = &epoch.snapshot().services;
        self.replicas.borrow_mut().retain(|name, replica| {
            replica.pools.iter().for_each(|pool| pool.sweep(now_ms));
            let kept = services.len() > 64 || services.iter().any(|service| service.name == *name);
            if !kept {
                replica.pools.iter().for_each(|pool| pool.clear());
            }
            kept
        });
    }

    /// Whether this worker is stopping.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.draining.get()
    }

    /// From now on this worker is stopping.
    pub fn start_draining(&self) {
        self.draining.set(true);
    }

    /// Open client connections.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.get()
    }

    /// Counts a client connection for as long as the guard lives.
    #[must_use]
    pub fn enter(self: &Rc<Self>) -> Presence {
        self.sessions.set(self.sessions.get() + 1);
        Presence(self.clone())
    }

    /// A new request id: 32 hexadecimal digits, in the shape of GateKeeper's trace ids.
    #[must_use]
    pub fn request_id(&self) -> [u8; 32] {
        self.request_ids.next(self.clock.unix_s())
    }
}

/// A counted client connection.
pub struct Presence(Rc<Shard>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.sessions.set(self.0.sessions.get() - 1);
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

/// Request ids, unique over processes by a random seed and within one by a count.
struct RequestIds {
    seed: u64,
    count: Cell<u32>,
}

impl RequestIds {
    fn new() -> Self {
        Self { seed: RandomState::new().hash_one(std::process::id()), count: Cell::new(0) }
    }

    fn next(&self, unix_s: u64) -> [u8; 32] {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let mut id = [0; 32];
        put_hex(&mut id[..8], unix_s);
        put_hex(&mut id[8..16], u64::from(count));
        put_hex(&mut id[16..30], self.seed);
        id[30..].copy_from_slice(b"b0");
        id
    }
}

/// The low digits of a number, as many as fit.
fn put_hex(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_32_hex_digits_and_differ() {
        let ids = RequestIds::new();
        let (first, second) = (ids.next(1_700_000_000), ids.next(1_700_000_000));
        assert_ne!(first, second);
        assert!(first.iter().all(u8::is_ascii_hexdigit));
        assert!(first.ends_with(b"b0"));
    }
}
