//! Taking records out of the workers' rings: those of the log are passed on, those of traces go to the exporter.

use std::sync::Arc;
use std::time::Instant;

use tracing::error;

use crate::config::Export;
use crate::control::trace::{Exporter, Figures};
use crate::limits::JOURNAL_TAKE_BYTES;
use crate::wall::journal::{AccessRecord, FLAG_LOG, FLAG_TRACE, Journal as Rings, Reader};

/// The reading end of every ring.
pub(super) struct Records {
    rings: Arc<Rings>,
    readers: Vec<Reader>,
    bytes: Vec<u8>,
    /// What stamps count from.
    origin: Instant,
    spans: Arc<Figures>,
    /// There once something was traced, and for good: what waits in it goes out.
    exporter: Option<Exporter>,
    traced: bool,
}

impl Records {
    /// Nothing is read yet.
    pub(super) fn new(rings: Arc<Rings>, origin: Instant, spans: Arc<Figures>) -> Self {
        Self { rings, readers: Vec::new(), bytes: Vec::new(), origin, spans, exporter: None, traced: false }
    }

    /// Reads in the calling thread from now on.
    pub(super) fn read_here(&self) {
        self.rings.read_here();
    }

    /// Where spans go from now on, and which parameters are secrets in them.
    pub(super) fn export(&mut self, export: Option<Export>, secrets: &[Box<str>]) {
        self.traced = export.is_some();
        match (export, &self.exporter) {
            (Some(export), Some(exporter)) => exporter.change(export, secrets.into()),
            (Some(export), None) => match Exporter::start(export, secrets.into(), self.origin, self.spans.clone()) {
                Ok(exporter) => self.exporter = Some(exporter),
                Err(why) => error!("spans are not exported: {why}"),
            },
            (None, _) => {}
        }
    }

    /// Other parameters are secrets.
    pub(super) fn redact(&self, secrets: &[Box<str>]) {
        if let Some(exporter) = &self.exporter {
            exporter.redact(secrets.into());
        }
    }

    /// Whether records of traces may come.
    pub(super) fn are_traced(&self) -> bool {
        self.traced
    }

    /// No more records come: sends the spans that wait, within a bound.
    pub(super) fn finish(&mut self) {
        if let Some(exporter) = self.exporter.take() {
            exporter.finish();
        }
    }

    /// Passes on what is there, a bounded piece of each ring. True where there is more.
    pub(super) fn read(&mut self, mut each: impl FnMut(&AccessRecord<'_>)) -> bool {
        self.readers.extend(self.rings.fresh());
        let mut more = false;
        for reader in &mut self.readers {
            self.bytes.clear();
            reader.take(&mut self.bytes, JOURNAL_TAKE_BYTES);
            more |= self.bytes.len() >= JOURNAL_TAKE_BYTES;
            let mut rest = &self.bytes[..];
            while let Some((frame, after)) = next_frame(rest) {
                rest = after;
                let Some(record) = AccessRecord::read(frame) else { continue };
                if record.numbers.flags & FLAG_TRACE != 0
                    && let Some(exporter) = &self.exporter
                {
                    exporter.offer(frame);
                }
                if record.numbers.flags & FLAG_LOG != 0 {
                    each(&record);
                }
            }
        }
        self.readers.retain(|reader| !reader.is_over());
        more
    }
}

/// A frame, after the number of its words.
fn next_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (words, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_ne_bytes(*words)).ok()? * 8)
}
