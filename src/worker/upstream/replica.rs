//! A core's replica of one service's upstream: its own chooser and pools over what control knows.
//!
//! Built on a service's first request after an epoch that changed it, so that adopting an epoch with five
//! thousand services costs nothing on a data core; carried over when neither the upstream nor its
//! endpoints' health changed, with every pool whose endpoint is still there carried over otherwise.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use super::pool::{Bounds, Pool};
use super::shelf::Shelf;
use crate::wall::epoch::Epoch;
use crate::wall::health::{EndpointHealth, Verdict};
use crate::wall::loads::Loads;
use crate::wall::snapshot::{Address, Upstream};
use crate::worker::balance::standing::Standing;
use crate::worker::balance::{Balancer, Field};
use crate::worker::meter::{Meter, PoolMeter};

/// Endpoints tried for one request at most.
pub const ATTEMPTS_MAX: usize = 3;

/// One core's replica of one upstream.
pub struct Replica {
    /// What it was built from.
    pub upstream: Upstream,
    /// One pool per endpoint, in the upstream's order.
    pub pools: Box<[Rc<Pool>]>,
    health: Box<[EndpointHealth]>,
    balancer: Balancer,
    /// Which of a name's addresses is dialled next.
    dials: Cell<usize>,
    any_up: bool,
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
    /// What all cores have in hand.
    pub loads: &'static Loads,
    /// From when its clock counts.
    pub origin: Instant,
    /// What its clock says.
    pub now_us: u64,
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
    endpoints: [u16; ATTEMPTS_MAX],
    count: u8,
}

impl Tried {
    /// Remembers one.
    pub fn add(&mut self, endpoint: usize) {
        if let (Some(place), Ok(endpoint)) = (self.endpoints.get_mut(usize::from(self.count)), u16::try_from(endpoint))
        {
            *place = endpoint;
            self.count += 1;
        }
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
        let counts_loads = upstream.balance.counts_loads();
        let pools = upstream.endpoints.iter().map(|endpoint| {
            let row = epoch.rows.endpoint(endpoint.id);
            let pool = match before.and_then(|before| before.pool_of(&endpoint.address)) {
                Some(pool) => {
                    pool.rebound(bounds);
                    pool.clone()
                }
                None => Pool::new(bounds, shelf(&endpoint.address), PoolMeter::new(core.meter, row)),
            };
            pool.count_in(if counts_loads { core.loads.gauge(row) } else { None });
            pool
        });
        let weights: Vec<_> = upstream.endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let any_up = upstream
            .endpoints
            .iter()
            .zip(&states)
            .any(|(endpoint, state)| !endpoint.forbidden && state.verdict == Verdict::Up);
        let pools: Box<[Rc<Pool>]> = pools.collect();
        let seed = core.now_us << 10 ^ core.number as u64;
        let balancer = Balancer::new(&upstream.balance, &weights, core.number, seed);
        for (pool, state) in pools.iter().zip(&states) {
            if let Some(since) = state.up_since {
                let since_us = since.saturating_duration_since(core.origin).as_micros();
                balancer.is_back(&pool.standing, u64::try_from(since_us).unwrap_or(u64::MAX));
            }
        }
        Rc::new(Self {
            pools,
            health: states,
            balancer,
            dials: Cell::new(core.number),
            any_up,
            upstream: upstream.clone(),
        })
    }

    fn pool_of(&self, address: &Address) -> Option<&Rc<Pool>> {
        let index = self.upstream.endpoints.iter().position(|endpoint| endpoint.address == *address)?;
        self.pools.get(index)
    }

    /// The endpoint for a request, of those that may take it and were not tried for it. `key` is what
    /// `Balance::key` says.
    pub fn pick(&self, tried: &Tried, key: Option<u32>, now_us: impl FnOnce() -> u64) -> Option<usize> {
        self.balancer.pick(&Sight { replica: self, tried }, key, now_us)
    }

    /// An attempt at an endpoint went well; its answer took so long, where that is known.
    #[inline]
    pub fn succeeded(&self, endpoint: usize, took_us: Option<u64>, now_us: impl FnOnce() -> u64) {
        self.balancer.succeeded(&self.pools[endpoint].standing, took_us, now_us);
    }

    /// An attempt was given up for another reason, when its answer had not come for so long.
    pub fn waited(&self, endpoint: usize, for_us: u64, now_us: u64) {
        self.balancer.waited(&self.pools[endpoint].standing, for_us, now_us);
    }

    /// An attempt at an endpoint failed after so long, and it is to blame.
    pub fn failed(&self, endpoint: usize, took_us: u64, now_us: u64) {
        self.balancer.failed(&self.pools[endpoint].standing, took_us, now_us);
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

/// The endpoints as a request finds them that has tried some.
struct Sight<'s> {
    replica: &'s Replica,
    tried: &'s Tried,
}

impl Field for Sight<'_> {
    #[inline]
    fn may_take(&self, endpoint: usize) -> bool {
        !self.tried.holds(endpoint) && self.replica.takes_traffic(endpoint)
    }

    fn load(&self, endpoint: usize) -> u32 {
        self.replica.pools[endpoint].load()
    }

    #[inline]
    fn standing(&self, endpoint: usize) -> &Standing {
        &self.replica.pools[endpoint].standing
    }
}
