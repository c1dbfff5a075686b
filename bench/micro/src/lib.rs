//! Measuring small parts of the gateway against each other, in one run and as ratios.
//!
//! Candidates take turns, round after round, so that whatever else the machine does falls on all of them; what counts is
//! the median of the ratios of the rounds. Absolute times are printed for people and mean nothing elsewhere.

use std::fmt;
use std::process::ExitCode;
use std::time::Instant;

/// How often each candidate has its turn.
const ROUNDS: usize = 41;

/// One way to do the work: a name, the work done once over everything, the most that it may cost of the first one's time.
pub struct Candidate<'c> {
    name: &'c str,
    work: Box<dyn FnMut() -> usize + 'c>,
    /// Against whom, by place, and the highest ratio allowed.
    bound: Option<(usize, f64)>,
}

impl<'c> Candidate<'c> {
    /// One without a bound. `work` does all of the work once, and gives something that depends on every piece of it.
    pub fn new(name: &'c str, work: impl FnMut() -> usize + 'c) -> Self {
        Self { name, work: Box::new(work), bound: None }
    }

    /// The same, which may take so many times as long as the one at that place at most.
    #[must_use]
    pub fn at_most(self, ratio: f64, other: usize) -> Self {
        Self { bound: Some((other, ratio)), ..self }
    }
}

/// What was measured of a candidate.
struct Measured {
    name: String,
    /// The median of the rounds, nanoseconds for each piece of work.
    nanoseconds: f64,
    /// The median of the rounds' ratios, and the highest allowed.
    ratio: Option<(f64, f64)>,
}

impl Measured {
    /// Whether the ratio is within its bound.
    fn holds(&self) -> bool {
        self.ratio.is_none_or(|(ratio, bound)| ratio <= bound)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<52} {:>8.1} ns", self.name, self.nanoseconds)?;
        match self.ratio {
            None => Ok(()),
            Some((ratio, bound)) if self.holds() => write!(out, "   {ratio:.2} × (at most {bound:.2})"),
            Some((ratio, bound)) => write!(out, "   {ratio:.2} × TOO MUCH: at most {bound:.2}"),
        }
    }
}

/// Lets the candidates take turns, each with so many pieces of work at once, and tells what was measured. A failure where
/// a ratio is above its bound.
#[must_use]
pub fn judge(mut candidates: Vec<Candidate<'_>>, pieces: usize) -> ExitCode {
    let all = compare(&mut candidates, pieces);
    all.iter().for_each(|measured| println!("{measured}"));
    if all.iter().all(Measured::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compare(candidates: &mut [Candidate<'_>], pieces: usize) -> Vec<Measured> {
    let mut times = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    for _ in 0..ROUNDS {
        for (candidate, times) in candidates.iter_mut().zip(&mut times) {
            // Once for the caches, which the one before has filled with what is its own.
            std::hint::black_box((candidate.work)());
            let begun = Instant::now();
            std::hint::black_box((candidate.work)());
            times.push(begun.elapsed().as_secs_f64() * 1e9 / pieces as f64);
        }
    }
    let ratio = |own: &[f64], other: &[f64]| median(own.iter().zip(other).map(|(own, other)| own / other));
    let told = candidates.iter().zip(&times).map(|(candidate, own)| Measured {
        name: candidate.name.to_owned(),
        nanoseconds: median(own.iter().copied()),
        ratio: candidate.bound.map(|(other, bound)| (ratio(own, &times[other]), bound)),
    });
    told.collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Numbers that look random and are the same in every run (SplitMix64, Steele et al. 2014).
pub struct Numbers(u64);

impl Numbers {
    /// From this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// Puts things in another order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for place in (1..things.len()).rev() {
            things.swap(place, self.below(place + 1));
        }
    }
}
