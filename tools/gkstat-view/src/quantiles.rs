//! Quantiles of what was counted between two times, whatever histogram it was counted in.

use gatekeeper::wall::slot::buckets::middle_us;
use gatekeeper::wall::slot::read::Record;
use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest duration told, in microseconds: 38 hours.
const MOST_US: u64 = 1 << 37;

/// Durations of one interval. None where nothing was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Quantiles {
    /// Half of all were shorter.
    pub(crate) p50_us: Option<u64>,
    /// 99 of 100 were.
    pub(crate) p99_us: Option<u64>,
    /// 999 of 1,000 were.
    pub(crate) p999_us: Option<u64>,
}

/// Merges histograms of different forms.
pub(crate) struct Merged(Histogram<u64>);

impl Merged {
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_max(MOST_US, 3).expect("3 digits of this range are allowed"))
    }

    /// Adds what a record counts more than it did before.
    pub(crate) fn add(&mut self, before: Option<&Record>, after: &Record) {
        let (counts, bounds) = after.histogram("duration");
        let earlier = before.map_or(&[][..], |before| before.histogram("duration").0);
        let last = counts.len().saturating_sub(1);
        for (bucket, &count) in counts.iter().enumerate() {
            let more = count.wrapping_sub(earlier.get(bucket).copied().unwrap_or(0));
            if more == 0 || more > count {
                continue;
            }
            let from_us = if bucket == 0 { 0 } else { bounds[bucket - 1] };
            let grown = |name: &str| after.get(name).wrapping_sub(before.map_or(0, |before| before.get(name)));
            let mean_us = |name: &str| Some(grown(name)).filter(|sum| *sum > 0).map(|sum| sum / more);
            let middle = match bounds.get(bucket) {
                Some(_) if bucket == 0 => mean_us("duration_first_bucket_us_sum"),
                Some(_) => None,
                None if bucket == last => mean_us("duration_last_bucket_us_sum"),
                None => None,
            };
            let to_us = bounds.get(bucket).copied().unwrap_or(from_us);
            let us = middle.unwrap_or_else(|| middle_us(from_us, to_us));
            self.0.saturating_record_n(us.max(1), more);
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let at = |quantile| (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile));
        Quantiles { p50_us: at(0.5), p99_us: at(0.99), p999_us: at(0.999) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use gatekeeper::ids::WorkerId;
    use gatekeeper::wall::slot::buckets::{COARSE_BUCKETS, coarse, fine};
    use gatekeeper::wall::slot::layout::{CORE_DURATION_AT, Process, Rows, SERVICE_DURATION_AT, Service, Title};
    use gatekeeper::wall::slot::read::{Reading, Stats};
    use gatekeeper::wall::slot::{RowId, StatsFile, add};

    use super::*;

    const ROW: RowId = RowId { row: 0, generation: 1 };

    fn file() -> &'static StatsFile {
        let file = StatsFile::anonymous(2).expect("room");
        file.back(Rows::Services, 1).expect("memory");
        file.title(Rows::Services, 0).expect("backed")[Title::Generation as usize].store(1, Relaxed);
        file.process(Process::ServiceRows).store(1, Relaxed);
        file
    }

    /// Counts as a worker does.
    fn count(file: &'static StatsFile, worker: u16, us: u64) {
        let slot = file.slot(WorkerId(worker));
        add(slot.word(CORE_DURATION_AT + fine(us)), 1);
        let row = slot.row(Rows::Services, ROW).expect("its row");
        add(&row[SERVICE_DURATION_AT + coarse(us)], 1);
        match coarse(us) {
            0 => add(&row[Service::ShortSum as usize], us),
            bucket if bucket == COARSE_BUCKETS - 1 => add(&row[Service::LongSum as usize], us),
            _ => {}
        }
    }

    fn look(file: &'static StatsFile) -> Reading {
        Stats::own(file).expect("readable").read()
    }

    /// Numbers that spread over six orders of magnitude, each as likely as another.
    fn durations(seed: u64, from_us: u64, to_us: u64) -> Vec<u64> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let part = (state >> 11) as f64 / (1_u64 << 53) as f64;
            (from_us as f64 * (to_us as f64 / from_us as f64).powf(part)) as u64
        };
        (0..5_000).map(next).collect()
    }

    fn off_by(told: Option<u64>, sorted: &[u64], quantile: f64) -> f64 {
        let right = sorted[((sorted.len() as f64 * quantile).ceil() as usize).max(1) - 1];
        told.expect("something was counted").abs_diff(right) as f64 / right as f64
    }

    #[test]
    fn quantiles_over_all_cores_are_off_by_a_hundredth_at_most() {
        let file = file();
        for seed in 1..5 {
            let before = look(file);
            let mut all = durations(seed, 20, 20_000_000);
            all.iter().enumerate().for_each(|(index, us)| count(file, (index % 2) as u16, *us));
            let after = look(file);
            let mut merged = Merged::new();
            (0..2).for_each(|core| merged.add(Some(&before.cores[core]), &after.cores[core]));
            all.sort_unstable();
            let told = merged.quantiles();
            for (told, quantile) in [(told.p50_us, 0.5), (told.p99_us, 0.99), (told.p999_us, 0.999)] {
                // A tenth of a hundredth is the merging's own.
                assert!(off_by(told, &all, quantile) <= 0.011, "{told:?} at {quantile}");
            }
        }
    }

    #[test]
    fn quantiles_of_a_service_are_off_by_an_eighth_at_most() {
        let file = file();
        for seed in 1..5 {
            let before = look(file);
            let mut all = durations(seed, 600, 3_000_000);
            all.iter().for_each(|us| count(file, 0, *us));
            let after = look(file);
            let mut merged = Merged::new();
            merged.add(Some(&before.services[0].counts), &after.services[0].counts);
            all.sort_unstable();
            let told = merged.quantiles();
            for (told, quantile) in [(told.p50_us, 0.5), (told.p99_us, 0.99), (told.p999_us, 0.999)] {
                assert!(off_by(told, &all, quantile) <= 0.125, "{told:?} at {quantile}");
            }
        }
    }

    #[test]
    fn what_is_shorter_than_a_service_tells_is_told_as_its_mean() {
        let file = file();
        let before = look(file);
        [100, 200, 300].iter().for_each(|us| count(file, 0, *us));
        let after = look(file);
        let mut merged = Merged::new();
        merged.add(Some(&before.services[0].counts), &after.services[0].counts);
        assert_eq!(merged.quantiles().p99_us, Some(200));
    }

    #[test]
    fn an_interval_without_requests_has_no_quantiles() {
        let file = file();
        count(file, 0, 1_000);
        let reading = look(file);
        let mut merged = Merged::new();
        merged.add(Some(&reading.cores[0]), &reading.cores[0]);
        assert_eq!(merged.quantiles(), Quantiles::default());
    }
}
