//! What was seen, as JSON.
//!
//! In scope: counting, percentiles. Out of scope: which requests count (`load`).

use hdrhistogram::Histogram;
use std::fmt;
use std::time::Duration;

/// Longer latencies count as this one.
const LATENCY_MAX_US: u64 = 60_000_000;

pub(crate) struct Tally {
    /// From when a request was due to the end of its answer.
    latency_us: Histogram<u64>,
    /// From when it was due to when it went: the load's own lateness, and waiting for a free connection.
    late_us: Histogram<u64>,
    pub(crate) errors: u64,
    /// How long requests counted.
    pub(crate) counted: Duration,
}

impl Tally {
    /// # Errors
    ///
    /// None with these bounds; the library's type has some.
    pub(crate) fn new(counted: Duration) -> Result<Self, hdrhistogram::CreationError> {
        // Three digits: a percentile is wrong by a thousandth at most.
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?;
        Ok(Self { latency_us: histogram.clone(), late_us: histogram, errors: 0, counted })
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, latency: Duration) {
        self.latency_us.saturating_record(latency.as_micros() as u64);
    }

    /// A request went.
    pub(crate) fn sent(&mut self, late: Duration) {
        self.late_us.saturating_record(late.as_micros() as u64);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = self.latency_us.len();
        let per_s = answered as f64 / self.counted.as_secs_f64();
        write!(to, "{{\"requests\": {answered}, \"errors\": {}, \"per_s\": {per_s:.1}", self.errors)?;
        for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            write!(to, ", \"{name}_us\": {}", self.latency_us.value_at_quantile(quantile))?;
        }
        write!(to, ", \"late_p99_us\": {}}}", self.late_us.value_at_quantile(0.99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_that_was_answered() {
        let mut tally = Tally::new(Duration::from_secs(2)).unwrap();
        for us in 1..=1000 {
            tally.answered(Duration::from_micros(us));
        }
        let told = tally.to_string();
        assert!(told.starts_with("{\"requests\": 1000, \"errors\": 0, \"per_s\": 500.0, \"p50_us\": 500,"), "{told}");
        assert!(told.contains("\"p999_us\": 999, \"max_us\": 1000, \"late_p99_us\": 0}"), "{told}");
    }
}
