//! The log of statistics: what the stats file has counted since the line before.
//!
//! One line for the process, and one for each service that was asked. Out of scope: counting (`worker::shard::meter`), whoever
//! wants every number (the stats file itself).

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{info, warn};

use super::notes::STAT;
use crate::wall::slot::StatsFile;
use crate::wall::slot::read::{Reading, Record, Stats};

/// What is told of the process and of a service: as counted, and as called here.
const COUNTED: &[(&str, &str)] = &[
    ("requests_1xx_total", "1xx"),
    ("requests_2xx_total", "2xx"),
    ("requests_3xx_total", "3xx"),
    ("requests_4xx_total", "4xx"),
    ("requests_5xx_total", "5xx"),
    ("requests_unanswered_total", "unanswered"),
    ("retries_total", "retries"),
    ("bytes_in_total", "bytes_in"),
    ("bytes_out_total", "bytes_out"),
];
/// Those of them that are requests.
const REQUESTS: usize = 6;
/// What is told of the process as it is now.
const PRESENT: &[&str] = &["in_flight", "idle", "tunnels", "queued"];

/// Tells every so often, for as long as it is let: of what is counted from now on, or from the start of the process.
pub(in crate::control) async fn tell(stats: &'static StatsFile, every: Duration, from_start: bool) {
    let stats = match Stats::own(stats) {
        Ok(stats) => Arc::new(stats),
        Err(error) => return warn!("there are no statistics to log: {error}"),
    };
    let first = if from_start { every } else { Duration::ZERO };
    let mut ticks = tokio::time::interval_at(Instant::now() + first, every);
    let mut before = None;
    loop {
        ticks.tick().await;
        let stats = stats.clone();
        // Thousands of services take a while.
        let Ok(now) = spawn_blocking(move || stats.read()).await else { return };
        if from_start || before.is_some() {
            lines(before.as_ref(), &now).iter().for_each(|line| info!(target: STAT, "{line}"));
        }
        before = Some(now);
    }
}

fn lines(before: Option<&Reading>, now: &Reading) -> Vec<String> {
    let mut all = vec![process(before.map_or(&[], |before| &before.cores), &now.cores)];
    for row in &now.services {
        let services = before.map_or(&[][..], |before| &before.services);
        let former = services.iter().find(|former| former.row == row.row && former.name == row.name);
        let grown = |name: &str| row.counts.get(name).wrapping_sub(former.map_or(0, |former| former.counts.get(name)));
        let mut line = format!("service={:?} ", row.name);
        if put_counts(&mut line, grown) > 0 {
            all.push(line);
        }
    }
    all
}

fn process(before: &[Record], now: &[Record]) -> String {
    let sum = |cores: &[Record], name: &str| cores.iter().map(|core| core.get(name)).sum::<u64>();
    let mut line = String::new();
    put_counts(&mut line, |name| sum(now, name).wrapping_sub(sum(before, name)));
    for name in PRESENT {
        let _ = write!(line, " {name}={}", sum(now, name));
    }
    let ends = |cores: &[Record], end: &str| -> u64 {
        let of_core =
            |core: &Record| core.labelled("ends_total").iter().find(|(label, _)| *label == end).map(|(_, n)| *n);
        cores.iter().filter_map(of_core).sum()
    };
    for end in crate::end::End::ALL {
        let grown = ends(now, end.code()).wrapping_sub(ends(before, end.code()));
        if grown > 0 {
            let _ = write!(line, " {}={grown}", end.code());
        }
    }
    line
}

/// Appends what has grown by how much. Gives the number of requests.
fn put_counts(line: &mut String, grown: impl Fn(&str) -> u64) -> u64 {
    let counts: Vec<u64> = COUNTED.iter().map(|(counted, _)| grown(counted)).collect();
    let requests = counts[..REQUESTS].iter().sum();
    let _ = write!(line, "requests={requests}");
    for ((_, name), count) in COUNTED.iter().zip(counts) {
        let _ = write!(line, " {name}={count}");
    }
    requests
}
