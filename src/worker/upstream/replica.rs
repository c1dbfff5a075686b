//! A core's replica of one service's upstream: its own rotation and pools over what control knows.
//!
//! Built on a service's first request after an epoch that changed it, so that adopting an epoch with five
//! thousand services costs nothing on a data core; carried over when neither the upstream nor its
//! endpoints' health changed, with every pool whose endpoint is still there carried over otherwise.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::pool::{Bounds, Pool};
use super::shelf::Shelf;
use crate::limits::RETRY_ATTEMPTS_MAX;
use crate::wall::epoch::Epoch;
use crate::wall::health::{EndpointHealth, Verdict};
use crate::wall::resilience::Resilience;
use crate::wall::snapshot::{Address, Upstream};
use crate::worker::balance::Rotation;
use crate::worker::meter::{Meter, PoolMeter};
use crate::worker::mirror::Copies;

/// Endpoints tried for one request at most, where no rules of the service say otherwise.
pub const ATTEMPTS_MAX: usize = 3;

/// One core's replica of one upstream.
pub struct Replica {
    /// What it was built from.
    pub upstream: Upstream,
    /// One pool per endpoint, in the upstream's order.
    pub pools: Box<[Rc<Pool>]>,
    health: Box<[EndpointHealth]>,
    rotation: RefCell<Rotation>,
    /// Which of a name's addresses is dialled next.
    dials: Cell<usize>,
    any_up: bool,
    /// Copies of its requests.
    pub copies: Rc<Copies>,
}

/// The core that a replica is for.
#[derive(Clone, Copy)]
pub struct Core {
    /// Its number.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Its counters.
    pub meter: Meter,
}

/// What to dial.
pub enum Target {
    /// An address.
    Socket(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
    /// A name without an address.
    Unresolved,
}

/// Endpoints a request has tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    endpoints: [u16; RETRY_ATTEMPTS_MAX],
    count: u8,
}

impl Tried {
    /// Remembers one. False where there is no room for another.
    pub fn add(&mut self, endpoint: usize) -> bool {
        let place = self.endpoints.get_mut(usize::from(self.count));
        let (Some(place), Ok(endpoint)) = (place, u16::try_from(endpoint)) else { return false };
        *place = endpoint;
        self.count += 1;
        true
    }

    fn holds(&self, endpoint: usize) -> bool {
        self.endpoints[..usize::from(self.count)].iter().any(|tried| usize::from(*tried) == endpoint)
    }

    /// Whether there may be another attempt.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        usize::from(self.count) < ATTEMPTS_MAX
    }
}

/// Whether the endpoint is ejected.
fn is_out(rules: &Resilience, index: usize, now_ms: u64) -> bool {
    rules.ejection.is_some() && rules.known.endpoints[index].ejection.is_out(now_ms)
}

/// A core's share of a number that holds for the whole process: rounded up, so that only none gives none.
fn share(whole: u32, workers: usize) -> usize {
    (whole as usize).div_ceil(workers)
}

fn bounds(upstream: &Upstream, workers: usize) -> Bounds {
    Bounds {
        connections: share(upstream.connections_max, workers),
        slow: share(upstream.slow_connections_max, workers),
        idle: share(upstream.idle_max, workers),
        idle_timeout_ms: u64::from(upstream.idle_timeout_ms),
        queue: share(upstream.queue_max, workers),
        queue_timeout_ms: u64::from(upstream.queue_timeout_ms),
    }
}

impl Replica {
    /// An endpoint, as written in the file.
    #[must_use]
    pub fn node(&self, endpoint: usize) -> &str {
        &self.upstream.endpoints[endpoint].node
    }

    /// A replica for a core, keeping what still holds of the one before.
    #[must_use]
    pub fn build(
        upstream: &Upstream,
        epoch: &Epoch,
        before: Option<&Rc<Self>>,
        core: Core,
        shelf: impl Fn(&Address) -> Rc<Shelf>,
    ) -> Rc<Self> {
        let states: Box<[_]> = upstream.endpoints.iter().map(|endpoint| epoch.health.of(endpoint.id).clone()).collect();
        if let Some(before) = before
            && before.upstream == *upstream
            && before.health == states
        {
            return before.clone();
        }
        let bounds = bounds(upstream, core.of);
        let pools = upstream.endpoints.iter().map(|endpoint| {
            match before.and_then(|before| before.pool_of(&endpoint.address)) {
                Some(pool) => {
                    pool.rebound(bounds);
                    pool.clone()
                }
                None => {
                    let meter = PoolMeter::new(core.meter, epoch.rows.endpoint(endpoint.id));
                    Pool::new(bounds, shelf(&endpoint.address), meter)
                }
            }
        });
        let weights: Vec<_> = upstream.endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let any_up = upstream
            .endpoints
            .iter()
            .zip(&states)
            .any(|(endpoint, state)| !endpoint.forbidden && state.verdict == Verdict::Up);
        Rc::new(Self {
            pools: pools.collect(),
            health: states,
            rotation: RefCell::new(Rotation::new(&weights, core.number)),
            dials: Cell::new(core.number),
            any_up,
            copies: before.map(|before| before.copies.clone()).unwrap_or_default(),
            upstream: upstream.clone(),
        })
    }

    fn pool_of(&self, address: &Address) -> Option<&Rc<Pool>> {
        let index = self.upstream.endpoints.iter().position(|endpoint| endpoint.address == *address)?;
        self.pools.get(index)
    }

    /// The next endpoint that may take a request and was not tried for it.
    pub fn pick(&self, tried: &Tried, now_ms: u64) -> Option<usize> {
        let watched = self.upstream.resilience.as_deref();
        let panics = watched.is_some_and(|rules| self.panics(rules, now_ms));
        self.rotation.borrow_mut().pick(|index| {
            let may = watched.is_none_or(|rules| {
                self.breaker_admits(rules, index, now_ms) && (panics || !is_out(rules, index, now_ms))
            });
            may && !tried.holds(index) && self.takes_traffic(index)
        })
    }

    /// Whether the endpoint has no breaker that refuses it.
    #[must_use]
    pub fn breaker_admits(&self, rules: &Resilience, index: usize, now_ms: u64) -> bool {
        let breaker = rules.breaker.as_ref().filter(|_| rules.of_endpoints);
        breaker.is_none_or(|breaker| rules.known.endpoints[index].breaker.would_admit(breaker, now_ms))
    }

    /// Whether ejections would leave too few endpoints.
    fn panics(&self, rules: &Resilience, now_ms: u64) -> bool {
        let Some(ejection) = &rules.ejection else { return false };
        let all = self.upstream.endpoints.iter().enumerate().filter(|(_, endpoint)| !endpoint.forbidden);
        let (total, left) = all.fold((0_u64, 0_u64), |(total, left), (index, _)| {
            let stays = self.takes_traffic(index) && !is_out(rules, index, now_ms);
            (total + 1, left + u64::from(stays))
        });
        left * 1_000_000 < total * u64::from(ejection.panic_millionths)
    }

    /// Up, or not probed yet where no other is up; and not forbidden.
    fn takes_traffic(&self, index: usize) -> bool {
        let wanted = if self.any_up { Verdict::Up } else { Verdict::Unprobed };
        !self.upstream.endpoints[index].forbidden && self.health[index].verdict == wanted
    }

    /// What to dial for an endpoint now.
    #[must_use]
    pub fn target(&self, endpoint: usize) -> Target {
        match &self.upstream.endpoints[endpoint].address {
            Address::Socket(address) => Target::Socket(*address),
            Address::Unix(path) => Target::Unix(Path::to_path_buf(path)),
            Address::Name(..) => {
                let addresses = &self.health[endpoint].addresses;
                self.dials.set(self.dials.get().wrapping_add(1));
                match addresses.is_empty() {
                    true => Target::Unresolved,
                    false => Target::Socket(addresses[self.dials.get() % addresses.len()]),
                }
            }
        }
    }
}
