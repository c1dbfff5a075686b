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
use crate::limits::RETRY_ATTEMPTS_MAX;
use crate::wall::epoch::Epoch;
use crate::wall::health::{EndpointHealth, Verdict};
use crate::wall::loads::Loads;
use crate::wall::resilience::Resilience;
use crate::wall::snapshot::{Address, Upstream};
use crate::worker::balance::standing::Standing;
use crate::worker::balance::{Balancer, Field};
use crate::worker::shard::clock::Clock;
use crate::worker::shard::meter::{Meter, PoolMeter};
use crate::worker::upstream::mirror::Copies;

/// Endpoints tried for one request at most, where no rules of the service say otherwise.
pub const ATTEMPTS_MAX: usize = 3;

/// One core's replica of one upstream. In this order, what every request asks for comes first, as in `Service`.
#[repr(C)]
pub struct Replica {
    /// One place per endpoint, in the upstream's order.
    places: Box<[Place]>,
    balancer: Balancer,
    /// What it was built from.
    pub upstream: Upstream,
    health: Box<[EndpointHealth]>,
    /// Which of a name's addresses is dialled next.
    dials: Cell<usize>,
    /// Copies of its requests.
    pub copies: Rc<Copies>,
    is_http: bool,
}

/// What a request looks at of an endpoint.
struct Place {
    pool: Rc<Pool>,
    /// It is up, or not probed yet where no other is up; and not forbidden.
    takes_traffic: bool,
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
    /// It is for requests: what is idle between them is kept.
    pub is_http: bool,
    /// The replica is of the epoch that new requests run on. One of an epoch before it uses the newer one's pools as
    /// they are.
    pub is_current: bool,
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
        if self.holds(endpoint) {
            return true;
        }
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

/// Whether both go by the same breakers, places and budgets, which hold for the whole process.
fn same_known(before: &Upstream, now: &Upstream) -> bool {
    match (&before.resilience, &now.resilience) {
        (Some(before), Some(now)) => before.knows_as(now),
        (before, now) => before.is_none() && now.is_none(),
    }
}

/// Whether the endpoint is ejected.
fn is_out(rules: &Resilience, index: usize, now_ms: u64) -> bool {
    rules.ejection.is_some() && rules.known.endpoints[index].ejection.is_out(now_ms)
}

/// A core's share of a number that holds for the whole process: rounded up, so that only none gives none.
fn share(whole: u32, workers: usize) -> u32 {
    whole.div_ceil(u32::try_from(workers).unwrap_or(u32::MAX))
}

fn bounds(upstream: &Upstream, workers: usize) -> Bounds {
    Bounds {
        connections: share(upstream.connections_max, workers),
        slow: share(upstream.slow_connections_max, workers),
        idle: share(upstream.idle_max, workers),
        idle_timeout_ms: upstream.idle_timeout_ms,
        queue: share(upstream.queue_max, workers),
        queue_timeout_ms: upstream.queue_timeout_ms,
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
            && before.is_http == core.is_http
            && before.upstream == *upstream
            && same_known(&before.upstream, upstream)
            && before.health == states
        {
            return before.clone();
        }
        let last = before.filter(|_| core.is_current);
        let before = before.filter(|before| before.is_http == core.is_http);
        let bounds = bounds(upstream, core.of);
        let counts_loads = upstream.balance.counts_loads();
        let pools = upstream.endpoints.iter().map(|endpoint| {
            let row = epoch.rows.endpoint(endpoint.id);
            let pool = match before.and_then(|before| before.pool_of(&endpoint.address)) {
                Some(pool) if !core.is_current => return pool.clone(),
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
        let wanted = if any_up { Verdict::Up } else { Verdict::Unprobed };
        let takes_traffic = upstream
            .endpoints
            .iter()
            .zip(&states)
            .map(|(endpoint, state)| !endpoint.forbidden && state.verdict == wanted);
        let places: Box<[Place]> =
            pools.zip(takes_traffic).map(|(pool, takes_traffic)| Place { pool, takes_traffic }).collect();
        let seed = core.now_us << 10 ^ core.number as u64;
        let balancer = Balancer::new(&upstream.balance, &weights, core.number, seed);
        for (Place { pool, .. }, state) in places.iter().zip(&states).filter(|_| core.is_current) {
            if let Some(since) = state.back_since {
                let since_us = since.saturating_duration_since(core.origin).as_micros();
                balancer.is_back(&pool.standing, u64::try_from(since_us).unwrap_or(u64::MAX));
            }
        }
        let is_kept = |pool: &Rc<Pool>| places.iter().any(|place| Rc::ptr_eq(&place.pool, pool));
        let gone = last.into_iter().flat_map(|last| last.pools()).filter(|pool| !is_kept(pool));
        gone.for_each(Pool::retire);
        Rc::new(Self {
            is_http: core.is_http,
            places,
            health: states,
            balancer,
            dials: Cell::new(core.number),
            copies: before.map(|before| before.copies.clone()).unwrap_or_default(),
            upstream: upstream.clone(),
        })
    }

    fn pool_of(&self, address: &Address) -> Option<&Rc<Pool>> {
        let index = self.upstream.endpoints.iter().position(|endpoint| endpoint.address == *address)?;
        self.places.get(index).map(|place| &place.pool)
    }

    /// The pool of an endpoint.
    #[must_use]
    pub fn pool(&self, endpoint: usize) -> &Rc<Pool> {
        &self.places[endpoint].pool
    }

    /// One pool per endpoint, in the upstream's order.
    pub fn pools(&self) -> impl ExactSizeIterator<Item = &Rc<Pool>> {
        self.places.iter().map(|place| &place.pool)
    }

    /// The endpoint for a request, of those that may take it and were not tried for it. `key` is what
    /// `Balance::key` says.
    pub fn pick(&self, tried: &Tried, key: Option<u32>, clock: &Clock) -> Option<usize> {
        let watched = self.upstream.resilience.as_deref().map(|rules| self.watched(rules, clock.now_ms()));
        self.balancer.pick(&Sight { replica: self, tried, watched }, key, || clock.now_us())
    }

    /// An attempt at an endpoint went well; its answer took so long, where that is known.
    #[inline]
    pub fn succeeded(&self, endpoint: usize, took_us: Option<u64>, now_us: impl FnOnce() -> u64) {
        self.balancer.succeeded(&self.pool(endpoint).standing, took_us, now_us);
    }

    /// An attempt was given up for another reason, when its answer had not come for so long.
    pub fn waited(&self, endpoint: usize, for_us: u64, now_us: u64) {
        self.balancer.waited(&self.pool(endpoint).standing, for_us, now_us);
    }

    /// An attempt at an endpoint failed after so long, and it is to blame.
    pub fn failed(&self, endpoint: usize, took_us: u64, now_us: u64) {
        self.balancer.failed(&self.pool(endpoint).standing, took_us, now_us);
    }

    /// Whether the endpoint has no breaker that refuses it.
    #[must_use]
    pub fn breaker_admits(&self, rules: &Resilience, index: usize, now_ms: u64) -> bool {
        let breaker = rules.breaker.as_ref().filter(|_| rules.of_endpoints);
        breaker.is_none_or(|breaker| rules.known.endpoints[index].breaker.would_admit(breaker, now_ms))
    }

    fn watched<'s>(&self, rules: &'s Resilience, now_ms: u64) -> Watched<'s> {
        Watched { rules, now_ms, panics: self.panics(rules, now_ms) }
    }

    /// Whether ejections would leave too few endpoints.
    fn panics(&self, rules: &Resilience, now_ms: u64) -> bool {
        let Some(ejection) = &rules.ejection else { return false };
        let all = self.upstream.endpoints.iter().enumerate().filter(|(_, endpoint)| !endpoint.forbidden);
        let (total, left) = all.fold((0_u64, 0_u64), |(total, left), (index, _)| {
            let stays = self.places[index].takes_traffic && !is_out(rules, index, now_ms);
            (total + 1, left + u64::from(stays))
        });
        left * 1_000_000 < total * u64::from(ejection.panic_millionths)
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
    /// What the service's rules know of them, where it has any.
    watched: Option<Watched<'s>>,
}

/// Which endpoints the service's rules pass over now.
struct Watched<'s> {
    rules: &'s Resilience,
    now_ms: u64,
    /// Those that are ejected are asked, too.
    panics: bool,
}

impl Watched<'_> {
    fn may_take(&self, replica: &Replica, endpoint: usize) -> bool {
        let is_in = self.panics || !is_out(self.rules, endpoint, self.now_ms);
        is_in && replica.breaker_admits(self.rules, endpoint, self.now_ms)
    }
}

impl Field for Sight<'_> {
    #[inline]
    fn may_take(&self, endpoint: usize) -> bool {
        let passes = self.watched.as_ref().is_none_or(|watched| watched.may_take(self.replica, endpoint));
        passes && !self.tried.holds(endpoint) && self.replica.places[endpoint].takes_traffic
    }

    fn load(&self, endpoint: usize) -> u32 {
        self.replica.pool(endpoint).load()
    }

    #[inline]
    fn standing(&self, endpoint: usize) -> &Standing {
        &self.replica.pool(endpoint).standing
    }
}
