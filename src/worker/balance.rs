//! Which endpoint takes a request: one core's chooser for one service.
//!
//! In scope: the strategies, each in a file of its own, over what is known of the endpoints (`Field`): whether they may
//! take traffic, how many requests they have in hand, and what the core has learned of them (`Standing`). The weight that
//! counts is that of the file times the level of the endpoint's standing. Out of scope: who knows that (`upstream`),
//! and what happens then.

pub mod hash;
pub mod least;
pub mod peak;
pub mod random;
pub mod rotation;
pub mod standing;

use std::cell::{Cell, RefCell};

use rotation::Rotation;
use standing::{FULL, Standing};

use crate::wall::balance::{Balance, Strategy};
use crate::worker::shard::dice::Dice;

/// What is known of a service's endpoints.
pub trait Field {
    /// Whether an endpoint may take this request.
    fn may_take(&self, endpoint: usize) -> bool;
    /// How many requests it has in hand.
    fn load(&self, endpoint: usize) -> u32;
    /// What was learned of it.
    fn standing(&self, endpoint: usize) -> &Standing;
}

/// One core's chooser for one service. In this order, so that where every endpoint is well a choice touches one cache line.
#[derive(Debug)]
#[repr(C)]
pub struct Balancer {
    weights: Box<[u32]>,
    /// Some endpoint may be below its full level; while none is, nobody looks at standings.
    ailing: Cell<bool>,
    balance: Balance,
    rotation: RefCell<Rotation>,
    dice: Dice,
}

/// The endpoints as one request finds them.
pub struct View<'v, F> {
    weights: &'v [u32],
    field: &'v F,
    ailing: bool,
    slow_start_ms: u32,
    now_us: u64,
}

impl<F: Field> View<'_, F> {
    /// The weight that counts for this request; 0 for an endpoint that must not take it.
    #[inline]
    fn weight(&self, endpoint: usize) -> u64 {
        let written = self.weights[endpoint];
        if written == 0 || !self.field.may_take(endpoint) {
            return 0;
        }
        u64::from(written) * u64::from(if self.ailing { self.level(endpoint) } else { FULL })
    }

    fn level(&self, endpoint: usize) -> u32 {
        self.field.standing(endpoint).level(self.slow_start_ms, self.now_us)
    }

    /// How many requests it has in hand.
    fn load(&self, endpoint: usize) -> u64 {
        u64::from(self.field.load(endpoint))
    }

    /// The endpoints that may take it, with their weights.
    fn candidates(&self) -> impl Iterator<Item = (usize, u64)> {
        (0..self.weights.len()).map(|endpoint| (endpoint, self.weight(endpoint))).filter(|(_, weight)| *weight > 0)
    }
}

impl Balancer {
    /// A chooser among endpoints by their weights in the file; one of 0 takes nothing, unless all are 0: then the first
    /// takes everything. The turns begin so many picks on, so that cores do not hit the same endpoint in step; chance
    /// follows from the seed.
    #[must_use]
    pub fn new(balance: &Balance, written: &[u32], offset: usize, seed: u64) -> Self {
        let mut weights: Box<[u32]> = written.iter().map(|weight| balance.weight(*weight)).collect();
        if weights.iter().all(|weight| *weight == 0)
            && let Some(first) = weights.first_mut()
        {
            *first = 1;
        }
        let mut rotation = Rotation::new(weights.len());
        let cycle: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        for _ in 0..offset as u64 % cycle.clamp(1, 1_024) {
            rotation.pick(|endpoint| u64::from(weights[endpoint]) * u64::from(FULL));
        }
        let dice = Dice::new(seed);
        let ailing = Cell::new(true);
        Self { balance: balance.clone(), weights, rotation: RefCell::new(rotation), dice, ailing }
    }

    /// The endpoint for a request, with its key where there is one. The time is asked for where it matters.
    pub fn pick(&self, field: &impl Field, key: Option<u32>, now_us: impl FnOnce() -> u64) -> Option<usize> {
        let view = self.view(field, now_us);
        // Nobody to choose among, and so nothing to count.
        if self.weights.len() == 1 {
            return field.may_take(0).then_some(0);
        }
        match (&self.balance.strategy, key) {
            (Strategy::Random, _) => random::pick(&view, &self.dice),
            (Strategy::LeastRequests, _) => least::pick(&view, &mut self.rotation.borrow_mut()),
            (Strategy::PeakEwma, _) => peak::pick(&view, &self.dice),
            (Strategy::Hash(rule), Some(key)) => hash::pick(&view, rule, key),
            // Without a key no endpoint is better than another.
            (Strategy::Hash(_), None) | (Strategy::RoundRobin, _) => {
                self.rotation.borrow_mut().pick(|endpoint| view.weight(endpoint))
            }
        }
    }

    fn view<'v, F: Field>(&'v self, field: &'v F, now_us: impl FnOnce() -> u64) -> View<'v, F> {
        let (ailing, slow_start_ms) = (self.ailing.get(), self.balance.slow_start_ms);
        let timely = ailing || matches!(self.balance.strategy, Strategy::PeakEwma);
        let now_us = if timely { now_us() } else { 0 };
        let mut view = View { weights: &self.weights, field, ailing, slow_start_ms, now_us };
        if ailing {
            view.ailing = (0..self.weights.len()).any(|endpoint| view.level(endpoint) < FULL);
            self.ailing.set(view.ailing);
        }
        view
    }

    /// An attempt at an endpoint went well; its answer took so long, where that is known.
    #[inline]
    pub fn succeeded(&self, standing: &Standing, took_us: Option<u64>, now_us: impl FnOnce() -> u64) {
        match (&self.balance.strategy, took_us) {
            (Strategy::PeakEwma, Some(took_us)) => {
                let now_us = now_us();
                standing.succeeded(now_us);
                standing.answered_in(took_us, now_us);
            }
            _ if self.ailing.get() => standing.succeeded(now_us()),
            _ => {}
        }
    }

    /// An attempt was given up for another reason, when its answer had not come for so long.
    pub fn waited(&self, standing: &Standing, for_us: u64, now_us: u64) {
        if matches!(self.balance.strategy, Strategy::PeakEwma) {
            standing.waited(for_us, now_us);
        }
    }

    /// An endpoint has taken traffic since then; before, it took none.
    pub fn is_back(&self, standing: &Standing, since_us: u64) {
        if self.balance.slow_start_ms > 0 {
            self.ailing.set(true);
            standing.is_back(since_us);
        }
    }

    /// An attempt failed after so long, and the endpoint is to blame.
    pub fn failed(&self, standing: &Standing, took_us: u64, now_us: u64) {
        self.ailing.set(true);
        standing.failed(self.balance.failure_percent, now_us);
        if matches!(self.balance.strategy, Strategy::PeakEwma) {
            standing.failed_after(took_us, now_us);
        }
    }
}

#[cfg(test)]
mod tests;
