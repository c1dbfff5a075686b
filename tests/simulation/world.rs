//! The simulated gateway and its endpoints: events in the order of their times, and the history that they leave.
//!
//! Each core has a chooser and what it has learned of its own, as in the gateway; requests in hand are counted for all. A
//! request whose endpoint takes no connection is tried at two others. An endpoint serves a few requests at a time and
//! lets the others wait.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use gatekeeper::wall::balance::{Balance, Strategy};
use gatekeeper::wall::ring;
use gatekeeper::worker::balance::standing::Standing;
use gatekeeper::worker::balance::{Balancer, Field};
use gatekeeper::worker::shard::dice::Dice;

use super::schedule::{Condition, Schedule};

/// Workers of the gateway.
const CORES: usize = 4;
/// Between two requests, on average.
const GAP_US: u64 = 2_000;
/// What an endpoint that is well takes for one.
const SERVICE_US: u64 = 5_000;
/// Requests that it serves at the same time.
const LANES: usize = 8;
/// When an answer is awaited no longer.
const DEADLINE_US: u64 = 1_000_000;
/// How long it takes to find out that nobody is there.
const REFUSED_US: u64 = 200;
/// Endpoints tried for one request.
const ATTEMPTS_MAX: usize = 3;
/// Keys that requests have.
const KEYS: u64 = 500;

/// A rule that takes endpoints out, on the grounds of what becomes of attempts.
pub(crate) trait Gate {
    /// Whether an endpoint may take a request now.
    fn admits(&self, endpoint: usize, now_us: u64) -> bool;

    /// An attempt at an endpoint begins. Gives its number, by which its end is told.
    fn begins(&self, endpoint: usize, now_us: u64) -> usize {
        let _ = (endpoint, now_us);
        0
    }

    /// An attempt is over.
    fn learns(&self, attempt: usize, endpoint: usize, outcome: Outcome, now_us: u64) {
        let _ = (attempt, endpoint, outcome, now_us);
    }
}

/// No rule.
pub(crate) struct Open;

impl Gate for Open {
    fn admits(&self, _: usize, _: u64) -> bool {
        true
    }
}

/// What becomes of an attempt, and of the request in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is answered.
    Answered,
    /// The connection is closed without an answer.
    Closed,
    /// No answer comes in time.
    TimedOut,
    /// There is no connection: another endpoint may be tried.
    Refused,
    /// There is no endpoint.
    Nowhere,
}

/// One attempt, as it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) at_us: u64,
    pub(crate) core: usize,
    pub(crate) endpoint: usize,
    pub(crate) key: u32,
    /// It is the request's first.
    pub(crate) first: bool,
    /// The request had tried this endpoint before.
    pub(crate) again: bool,
    /// Health checks said that the endpoint is down.
    pub(crate) known_down: bool,
    /// Which endpoints health checks said are up.
    pub(crate) up: Vec<bool>,
    /// What the endpoint then had in hand, and what a bound on loads allows.
    pub(crate) load: u32,
    pub(crate) bound: u32,
}

/// All that happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) requests: usize,
    pub(crate) attempts: Vec<Attempt>,
    /// What became of each request, and how long it took.
    pub(crate) ends: Vec<(Outcome, u64)>,
    /// What endpoints had in hand when all was over.
    pub(crate) left: Vec<u32>,
    /// Requests that were given no endpoint though one was up that they had not tried.
    pub(crate) missed: usize,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    begun_us: u64,
    core: usize,
    key: u32,
    tried: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request comes.
    Arrival,
    /// An attempt that began then is over.
    Over { request: Request, endpoint: usize, attempt: usize, began_us: u64, outcome: u8 },
}

const OUTCOMES: [Outcome; 4] = [Outcome::Answered, Outcome::Closed, Outcome::TimedOut, Outcome::Refused];

struct Core {
    balancer: Balancer,
    standings: Vec<Standing>,
    /// Which endpoints were up when it last looked.
    up: RefCell<Vec<bool>>,
}

/// The gateway and its endpoints.
pub(crate) struct World {
    balance: Balance,
    weights: Vec<u32>,
    schedules: Vec<Schedule>,
    cores: Vec<Core>,
    loads: Vec<Cell<u32>>,
    /// When each lane of each endpoint is free.
    lanes: Vec<[u64; LANES]>,
    dice: Dice,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    number: u64,
    history: History,
}

/// The endpoints as one request finds them.
struct Sight<'s, G> {
    world: &'s World,
    gate: &'s G,
    request: &'s Request,
    now_us: u64,
}

impl<G: Gate> Field for Sight<'_, G> {
    fn may_take(&self, endpoint: usize) -> bool {
        !self.request.tried.contains(&endpoint)
            && self.world.schedules[endpoint].is_up(self.now_us)
            && self.gate.admits(endpoint, self.now_us)
    }

    fn load(&self, endpoint: usize) -> u32 {
        self.world.loads[endpoint].get()
    }

    fn standing(&self, endpoint: usize) -> &Standing {
        &self.world.cores[self.request.core].standings[endpoint]
    }
}

impl World {
    /// A world in which everything follows from the seed.
    pub(crate) fn new(balance: Balance, weights: &[u32], schedules: Vec<Schedule>, seed: u64) -> Self {
        let endpoints = weights.len();
        let core = |number: usize| Core {
            // Chance is the seed's and the core's.
            balancer: Balancer::new(&balance, weights, number, seed * CORES as u64 + number as u64),
            standings: (0..endpoints).map(|_| Standing::default()).collect(),
            up: RefCell::new(vec![true; endpoints]),
        };
        Self {
            cores: (0..CORES).map(core).collect(),
            weights: weights.to_vec(),
            schedules,
            loads: vec![Cell::new(0); endpoints],
            lanes: vec![[0; LANES]; endpoints],
            dice: Dice::new(seed),
            events: BinaryHeap::new(),
            number: 0,
            history: History::default(),
            balance,
        }
    }

    /// What happens when requests come for that long.
    pub(crate) fn run(mut self, gate: &impl Gate, length_us: u64) -> History {
        self.at(1, Event::Arrival);
        while let Some(Reverse((now_us, _, event))) = self.events.pop() {
            match event {
                Event::Arrival => self.arrive(gate, now_us, length_us),
                Event::Over { request, endpoint, attempt, began_us, outcome } => {
                    let outcome = OUTCOMES[usize::from(outcome)];
                    gate.learns(attempt, endpoint, outcome, now_us);
                    self.over(gate, request, endpoint, (began_us, now_us), outcome);
                }
            }
        }
        self.history.left = self.loads.iter().map(Cell::get).collect();
        self.history
    }

    fn at(&mut self, at_us: u64, event: Event) {
        self.number += 1;
        self.events.push(Reverse((at_us, self.number, event)));
    }

    fn arrive(&mut self, gate: &impl Gate, now_us: u64, length_us: u64) {
        // A few keys are asked for often, most seldom.
        let number = self.dice.below(self.dice.below(KEYS) + 1);
        let key = ring::hash(&[&number.to_le_bytes()]);
        let core = self.dice.below(CORES as u64) as usize;
        self.history.requests += 1;
        self.attempt(gate, Request { begun_us: now_us, core, key, tried: Vec::new() }, now_us);
        // Exponentially distributed gaps.
        let unit = (self.dice.below(1 << 32) + 1) as f64 / 2.0_f64.powi(32);
        let next_us = now_us + 1 + (-unit.ln() * GAP_US as f64) as u64;
        if next_us < length_us {
            self.at(next_us, Event::Arrival);
        }
    }

    /// A core sees that an endpoint is back as its replica does: by what it knew before.
    fn look(&self, core: &Core, now_us: u64) -> Vec<bool> {
        let now: Vec<_> = self.schedules.iter().map(|schedule| schedule.is_up(now_us)).collect();
        let before = core.up.replace(now.clone());
        for (endpoint, (is, was)) in now.iter().zip(&before).enumerate() {
            if *is && !was && before.contains(&true) {
                core.balancer.is_back(&core.standings[endpoint], now_us);
            }
        }
        now
    }

    fn attempt(&mut self, gate: &impl Gate, mut request: Request, now_us: u64) {
        let up = self.look(&self.cores[request.core], now_us);
        let sight = Sight { world: self, gate, request: &request, now_us };
        let picked = self.cores[request.core].balancer.pick(&sight, Some(request.key), || now_us);
        let Some(endpoint) = picked else {
            let any = (0..up.len()).any(|endpoint| up[endpoint] && !request.tried.contains(&endpoint));
            self.history.missed += usize::from(any);
            return self.end(&request, Outcome::Nowhere, now_us);
        };
        let bound = self.bound(&sight, endpoint, now_us);
        let load = self.loads[endpoint].get() + 1;
        self.loads[endpoint].set(load);
        self.history.attempts.push(Attempt {
            at_us: now_us,
            core: request.core,
            endpoint,
            key: request.key,
            first: request.tried.is_empty(),
            again: request.tried.contains(&endpoint),
            known_down: !up[endpoint],
            up,
            load,
            bound,
        });
        request.tried.push(endpoint);
        let attempt = gate.begins(endpoint, now_us);
        let (outcome, over_us) = self.serve(endpoint, now_us);
        let outcome = OUTCOMES.iter().position(|known| *known == outcome).expect("of an attempt") as u8;
        self.at(over_us, Event::Over { request, endpoint, attempt, began_us: now_us, outcome });
    }

    /// What a bound on loads allows an endpoint, by the simple formula.
    fn bound(&self, sight: &impl Field, endpoint: usize, now_us: u64) -> u32 {
        let Strategy::Hash(rule) = &self.balance.strategy else { return u32::MAX };
        if rule.load_percent == 0 {
            return u32::MAX;
        }
        let (mut requests, mut total) = (1.0, 0.0);
        let weight = |endpoint: usize| {
            let standing = sight.standing(endpoint);
            f64::from(self.weights[endpoint]) * f64::from(standing.level(self.balance.slow_start_ms, now_us))
        };
        for candidate in (0..self.weights.len()).filter(|candidate| sight.may_take(*candidate)) {
            requests += f64::from(self.loads[candidate].get());
            total += weight(candidate);
        }
        let share = requests * weight(endpoint) / total * f64::from(rule.load_percent) / 100.0;
        // What lies within an error of a whole number is that number.
        (share - 1e-9).ceil() as u32
    }

    /// What comes of an attempt, and when.
    fn serve(&mut self, endpoint: usize, now_us: u64) -> (Outcome, u64) {
        let slower = match self.schedules[endpoint].at(now_us) {
            Condition::Healthy => 1,
            Condition::Slow(times) => times,
            Condition::Failing => return (Outcome::Closed, now_us + REFUSED_US),
            Condition::Hanging => return (Outcome::TimedOut, now_us + DEADLINE_US),
            Condition::Down => return (Outcome::Refused, now_us + REFUSED_US),
        };
        let takes_us = (SERVICE_US / 2 + self.dice.below(SERVICE_US)) * slower;
        let lane = self.lanes[endpoint].iter_mut().min().expect("lanes");
        *lane = (*lane).max(now_us) + takes_us;
        match *lane <= now_us + DEADLINE_US {
            true => (Outcome::Answered, *lane),
            false => (Outcome::TimedOut, now_us + DEADLINE_US),
        }
    }

    fn over(&mut self, gate: &impl Gate, request: Request, endpoint: usize, times: (u64, u64), outcome: Outcome) {
        let ((began_us, now_us), core) = (times, &self.cores[request.core]);
        self.loads[endpoint].set(self.loads[endpoint].get() - 1);
        let (standing, took_us) = (&core.standings[endpoint], now_us - began_us);
        match outcome {
            Outcome::Answered => core.balancer.succeeded(standing, Some(took_us), || now_us),
            _ => core.balancer.failed(standing, took_us, now_us),
        }
        if outcome == Outcome::Refused && request.tried.len() < ATTEMPTS_MAX {
            return self.attempt(gate, request, now_us);
        }
        self.end(&request, outcome, now_us);
    }

    fn end(&mut self, request: &Request, outcome: Outcome, now_us: u64) {
        self.history.ends.push((outcome, now_us - request.begun_us));
    }
}
