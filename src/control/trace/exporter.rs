//! The thread that exports: frames into batches of spans, each sent until it is taken or given up.
//!
//! One export is under way at a time. While it is tried again the queue fills, and what finds no room in it is dropped
//! as it comes; so neither a collector that is down nor a slow one holds anybody up, and memory stays bounded.
//! Out of scope: one try (`collector`), what spans say (`spans`).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout_at};
use tracing::{debug, info, warn};

use super::Figures;
use super::collector::{Collector, Taken, Untaken};
use super::spans::{Times, of_record};
use crate::config::Export;
use crate::limits::{
    TRACE_BATCH_DELAY_MS, TRACE_BATCH_RECORDS, TRACE_NOTICE_MS, TRACE_PAUSE_MAX_MS, TRACE_PAUSE_MS, TRACE_TRIES_MAX,
};
use crate::wall::journal::AccessRecord;

/// What control wants.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// Where spans go.
    pub(super) export: Arc<Export>,
    /// Further parameters whose values are secrets.
    pub(super) secrets: Arc<[Box<str>]>,
    /// No more frames come, and all must be over by then.
    pub(super) ends_at: Option<Instant>,
}

/// Runs until control says when it ends, or has gone.
pub(super) async fn run(
    frames: mpsc::Receiver<Box<[u8]>>,
    orders: watch::Receiver<Orders>,
    figures: Arc<Figures>,
    origin: Instant,
) {
    let notices = Notices { figures: figures.clone(), told: None, failing: false, overflowed: 0 };
    let mut exporter = Work { frames, orders, figures, origin, collector: Collector::default(), notices };
    while let Some(batch) = exporter.gather().await {
        let spans = exporter.spans(&batch);
        exporter.deliver(spans).await;
        exporter.notices.overflow();
    }
    exporter.notices.last_words();
}

struct Work {
    frames: mpsc::Receiver<Box<[u8]>>,
    orders: watch::Receiver<Orders>,
    figures: Arc<Figures>,
    origin: Instant,
    collector: Collector,
    notices: Notices,
}

impl Work {
    fn ends_at(&self) -> Option<Instant> {
        self.orders.borrow().ends_at
    }

    /// Some frames: as many as come within a moment of the first, and no more than a batch. `None` when it is over.
    async fn gather(&mut self) -> Option<Vec<Box<[u8]>>> {
        let mut batch = Vec::new();
        let first = tokio::select! {
            first = self.frames.recv() => first,
            () = ending(&mut self.orders) => {
                // What was offered before is still there.
                self.frames.close();
                self.frames.recv().await
            }
        };
        batch.push(first?);
        let until = tokio::time::Instant::now() + Duration::from_millis(TRACE_BATCH_DELAY_MS);
        while batch.len() < TRACE_BATCH_RECORDS {
            let most = TRACE_BATCH_RECORDS - batch.len();
            let more = tokio::select! {
                biased;
                more = timeout_at(until, self.frames.recv_many(&mut batch, most)) => more.unwrap_or(0),
                () = ending(&mut self.orders), if self.frames.is_empty() => 0,
            };
            if more == 0 {
                break;
            }
        }
        Some(batch)
    }

    fn spans(&self, batch: &[Box<[u8]>]) -> Vec<Span> {
        let (times, secrets) = (Times::now(self.origin), self.orders.borrow().secrets.clone());
        let records = batch.iter().filter_map(|frame| AccessRecord::read(frame));
        records.flat_map(|record| of_record(&record, times, &secrets)).collect()
    }

    /// Sends one batch, again after a growing pause where that may help.
    async fn deliver(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let mut pause = Duration::from_millis(TRACE_PAUSE_MS);
        let mut export = self.orders.borrow_and_update().export.clone();
        let mut message = message(&export, spans);
        let mut body = Bytes::from(message.encode_to_vec());
        let mut tries = 0;
        loop {
            tries += 1;
            let left = self.ends_at().map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let (why, after) = match self.collector.post(&export, body.clone(), left).await {
                Ok(taken) => return self.taken(count, &taken),
                Err(Untaken::Never(why)) => return self.give_up(count, &export, &why),
                Err(Untaken::Later(why, after)) => (why, after),
            };
            if tries >= TRACE_TRIES_MAX || self.ends_at().is_some() {
                return self.give_up(count, &export, &why);
            }
            self.notices.trouble(&export, &why, "tried again");
            let longest = Duration::from_millis(TRACE_PAUSE_MAX_MS);
            if self.rest(after.unwrap_or(pause).min(longest)).await {
                export = self.orders.borrow_and_update().export.clone();
                message.resource_spans[0].resource = Some(resource(&export));
                body = message.encode_to_vec().into();
                self.collector.leave();
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Waits, but not on when control wants something else. Whether it does.
    async fn rest(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => false,
            changed = self.orders.changed() => changed.is_ok(),
        }
    }

    fn taken(&mut self, count: u64, taken: &Taken) {
        let rejected = taken.rejected.min(count);
        self.figures.exported_total.fetch_add(count - rejected, Relaxed);
        self.figures.rejected_total.fetch_add(rejected, Relaxed);
        if rejected > 0 || !taken.message.is_empty() {
            self.notices.partly(rejected, &taken.message);
        }
        self.notices.well();
    }

    fn give_up(&mut self, count: u64, export: &Export, why: &str) {
        self.figures.given_up_total.fetch_add(count, Relaxed);
        self.notices.trouble(export, why, "given up");
    }
}

/// Until control has said when all must be over, or has gone.
async fn ending(orders: &mut watch::Receiver<Orders>) {
    let _ = orders.wait_for(|orders| orders.ends_at.is_some()).await;
}

/// The message that spans are sent in.
fn message(export: &Export, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let scope = InstrumentationScope { name: "gatekeeper".to_owned(), version, ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource = Some(resource(export));
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }],
    }
}

/// Whose spans they are.
fn resource(export: &Export) -> Resource {
    let attribute = |key: &str, value: Value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Resource {
        attributes: vec![
            attribute("service.name", Value::StringValue(export.service_name.to_string())),
            attribute("service.version", Value::StringValue(version)),
            attribute("host.name", Value::StringValue(host)),
            attribute("process.pid", Value::IntValue(std::process::id().into())),
        ],
        ..Resource::default()
    }
}

/// Lines of the log on spans that were not taken: the first at once, then now and then with what it has come to.
struct Notices {
    figures: Arc<Figures>,
    told: Option<Instant>,
    failing: bool,
    overflowed: u64,
}

impl Notices {
    /// Whether it is time for another line.
    fn is_due(&mut self) -> bool {
        let gap = Duration::from_millis(TRACE_NOTICE_MS);
        let due = self.told.is_none_or(|told| told.elapsed() >= gap);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }

    fn trouble(&mut self, export: &Export, why: &str, what: &str) {
        if self.is_due() || !std::mem::replace(&mut self.failing, true) {
            let sum = self.sum();
            warn!("traces: {} does not take spans: {why}; {what}. {sum}", export.authority);
        } else {
            debug!("traces: {why}; {what}");
        }
        self.failing = true;
    }

    fn partly(&mut self, rejected: u64, message: &str) {
        if self.is_due() {
            warn!("traces: the collector rejected {rejected} spans of an export: {}", message.escape_debug());
        }
    }

    fn well(&mut self) {
        if std::mem::take(&mut self.failing) {
            info!("traces: spans are exported again. {}", self.sum());
            self.told = None;
        }
    }

    fn overflow(&mut self) {
        let overflowed = self.figures.overflowed_total.load(Relaxed);
        if overflowed > self.overflowed && self.is_due() {
            self.overflowed = overflowed;
            warn!("traces: more is recorded than exported; sample_ratio may be too high. {}", self.sum());
        }
    }

    fn last_words(&self) {
        let Figures { exported_total, given_up_total, overflowed_total, .. } = &*self.figures;
        if [exported_total, given_up_total, overflowed_total].iter().any(|figure| figure.load(Relaxed) > 0) {
            info!("traces: {}", self.sum());
        }
    }

    fn sum(&self) -> String {
        let Figures { exported_total, rejected_total, given_up_total, overflowed_total } = &*self.figures;
        let [exported, rejected, given_up, overflowed] =
            [exported_total, rejected_total, given_up_total, overflowed_total].map(|figure| figure.load(Relaxed));
        format!(
            "So far {exported} spans exported, {rejected} rejected, {given_up} given up; {overflowed} records dropped \
             before they were any"
        )
    }
}
