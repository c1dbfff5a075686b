//! How many requests each endpoint has in hand, over all workers.
//!
//! This is a named exception to "nothing is shared between workers". **Who writes**: every worker, for services whose way
//! of balancing asks how busy an endpoint is; others do not touch it. **Who reads**: the same. A request counts from when
//! it waits for a connection to the endpoint until that connection is given back: a tunnel until it ends.
//!
//! A gauge is one number on a cache line of its own, found by the endpoint's row of the stats file (`wall::slot`), which
//! it keeps from epoch to epoch. **Error bound**: a worker that chooses does not see what others choose in the same
//! nanoseconds, so an endpoint may get as many requests too many as there are workers. When a row goes to another
//! endpoint, what is still under way for the one before counts there until it ends. An endpoint without a row (beyond
//! `STATS_ENDPOINTS_MAX`) is not counted and looks idle. A worker that dies gives back what it has in hand as it winds up;
//! one that dies in that too leaves it here. **Memory**: 32 KiB for each 512 rows, once one of them is
//! counted.
//!
//! Out of scope: who is chosen (`worker::balance`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::slot::RowId;
use crate::limits::STATS_ENDPOINTS_MAX;

/// Gauges that get their memory together.
const CHUNK: usize = 512;

/// The gauges of the process.
#[derive(Debug)]
pub struct Loads {
    chunks: [OnceLock<Box<[Gauge]>>; STATS_ENDPOINTS_MAX.div_ceil(CHUNK)],
}

/// Requests in hand of one endpoint.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Gauge(AtomicU32);

/// One request in hand, for as long as it lives.
#[derive(Debug)]
pub struct Load(&'static Gauge);

impl Default for Loads {
    fn default() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()) }
    }
}

impl Loads {
    /// The gauge of an endpoint's row.
    #[must_use]
    pub fn gauge(&'static self, id: RowId) -> Option<&'static Gauge> {
        let row = id.row as usize;
        let chunk = self.chunks.get(row / CHUNK)?;
        let gauges = chunk.get_or_init(|| (0..CHUNK).map(|_| Gauge::default()).collect());
        gauges.get(row % CHUNK)
    }
}

impl Gauge {
    /// How many there are.
    #[must_use]
    pub fn now(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// One more.
    #[must_use]
    pub fn take(&'static self) -> Load {
        self.0.fetch_add(1, Relaxed);
        Load(self)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads() -> &'static Loads {
        Box::leak(Box::default())
    }

    fn row(row: u32) -> RowId {
        RowId { row, generation: 1 }
    }

    #[test]
    fn what_all_threads_took_and_gave_back_leaves_nothing() {
        let gauge = loads().gauge(row(700)).expect("a row that there is");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| drop((gauge.take(), gauge.take()))));
            }
        });
        let held = [gauge.take(), gauge.take(), gauge.take()];
        assert_eq!(gauge.now(), 3);
        drop(held);
        assert_eq!(gauge.now(), 0);
    }

    #[test]
    fn endpoints_do_not_share_a_gauge_and_one_without_a_row_has_none() {
        let loads = loads();
        let _held = loads.gauge(row(511)).map(Gauge::take);
        assert_eq!(loads.gauge(row(511)).map(Gauge::now), Some(1));
        assert_eq!(loads.gauge(row(512)).map(Gauge::now), Some(0));
        assert!(loads.gauge(RowId::NONE).is_none());
    }
}
