//! `Trace`: which trace a request belongs to and which spans are its own; `Sampling`: whether they are exported.
//!
//! Decided once per request by its core, at the head, and never again: what a trace id says in one process it says in
//! all. Out of scope: reading and writing the fields (`proto::trace_context`), new ids (`worker::shard::trace`), making spans
//! of what happened (`control::trace`).

use crate::proto::trace_context::{Incoming, SAMPLED, SpanId, TraceId, TraceParent};

/// Random bits of a trace id: its last 56 (Trace Context Level 2, section 5.1).
const RANDOM_BITS: u32 = 56;

/// What base.toml says of traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How many new traces are recorded, in millionths.
    pub ratio_millionths: u32,
    /// A caller that says whether it has recorded its part decides for ours.
    pub parent_based: bool,
}

/// The trace of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Which.
    pub id: TraceId,
    /// The caller's span.
    pub parent: Option<SpanId>,
    /// The request's own span; those inside it follow from it.
    pub span: SpanId,
    /// The flags to send on.
    flags: u8,
    /// The caller told of a trace that is not ours to record: it passes as it came.
    pub passes: bool,
}

/// A span inside a request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The wait for leave to dial, or for a connection.
    Queue,
    /// The dial.
    Connect,
    /// The exchange with the endpoint.
    Upstream,
}

impl Sampling {
    /// The trace of a request that says this of it and brings this request id. `fresh` gives new ids.
    #[must_use]
    pub fn begin(&self, incoming: &Incoming, request_id: Option<&[u8]>, fresh: impl FnOnce() -> (u128, u64)) -> Trace {
        let (new_trace, new_span) = fresh();
        let span = SpanId::new(new_span);
        if let Some(TraceParent { trace: id, parent, flags }) = incoming.parent {
            let told = flags & SAMPLED != 0;
            let takes = if self.parent_based { told } else { self.takes(low_bits(id)) };
            let flags = if takes { flags | SAMPLED } else { flags };
            return Trace { id, parent: Some(parent), span, flags, passes: !takes };
        }
        // An id of GateKeeper's form joins its callers' logs to the trace. It is not random in all its digits.
        let own = request_id.and_then(TraceId::of_text);
        let (id, parent, random) = match own {
            Some(id) => (id, incoming.own_parent, hashed(id)),
            None => {
                let id = TraceId::new(new_trace);
                (id, None, low_bits(id))
            }
        };
        Trace { id, parent, span, flags: if self.takes(random) { SAMPLED } else { 0 }, passes: false }
    }

    /// As OpenTelemetry's samplers do it: the traces with the highest random bits.
    fn takes(&self, random: u64) -> bool {
        let all = 1_u64 << RANDOM_BITS;
        let refused = u128::from(all) * u128::from(1_000_000 - self.ratio_millionths.min(1_000_000)) / 1_000_000;
        u128::from(random & (all - 1)) >= refused
    }
}

impl Trace {
    /// Whether its spans are exported.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0 && !self.passes
    }

    /// The trace of a recorded request as words of a record: id, span, caller's span or 0, flags.
    #[must_use]
    pub(super) fn words(&self) -> [u64; 5] {
        let id = u128::from_be_bytes(*self.id.bytes());
        let parent = self.parent.map_or(0, |parent| parent.number());
        [(id >> 64) as u64, id as u64, self.span.number(), parent, self.flags.into()]
    }

    /// The trace that such words are.
    #[must_use]
    pub(super) fn of_words([high, low, span, parent, flags]: [u64; 5]) -> Self {
        let id = TraceId::new(u128::from(high) << 64 | u128::from(low));
        let parent = (parent != 0).then(|| SpanId::new(parent));
        Self { id, parent, span: SpanId::new(span), flags: flags as u8, passes: false }
    }

    /// The flags that are sent on.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// The span of one part of one attempt, counted from 0.
    #[must_use]
    pub fn part(&self, attempt: u8, part: Part) -> SpanId {
        SpanId::new(mixed(self.span.number().wrapping_add(u64::from(attempt) << 2 | (part as u64 + 1))))
    }

    /// What the endpoint of an attempt is told: its caller is that attempt's span.
    #[must_use]
    pub fn onward(&self, attempt: u8) -> TraceParent {
        TraceParent { trace: self.id, parent: self.part(attempt, Part::Upstream), flags: self.flags }
    }
}

fn low_bits(id: TraceId) -> u64 {
    u128::from_be_bytes(*id.bytes()) as u64
}

/// As random as the whole id is.
fn hashed(id: TraceId) -> u64 {
    mixed((u128::from_be_bytes(*id.bytes()) >> 64) as u64 ^ mixed(low_bits(id)))
}

/// Every bit of the number in every bit of the result, one to one (the finalizer of SplitMix64).
#[must_use]
pub fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RID: &[u8] = b"0a0b0c0d5f5e100000010002abcdefb0";

    fn sampling(ratio_millionths: u32, parent_based: bool) -> Sampling {
        Sampling { ratio_millionths, parent_based }
    }

    fn told(flags: &str) -> Incoming {
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        Incoming { parent: TraceParent::parse(parent.as_bytes()), ..Incoming::default() }
    }

    /// Trace ids as random as new ones are.
    fn random(count: u64) -> impl Iterator<Item = (u128, u64)> {
        (1..=count).map(|n| (u128::from(mixed(n)) << 64 | u128::from(mixed(n << 32)), n))
    }

    #[test]
    fn the_ratio_holds_for_new_traces() {
        for (millionths, most, least) in [(0, 0, 0), (100_000, 10_600, 9_400), (1_000_000, 100_000, 100_000)] {
            let sampling = sampling(millionths, true);
            let taken = random(100_000).filter(|ids| sampling.begin(&Incoming::default(), None, || *ids).is_sampled());
            let taken = taken.count();
            assert!((least..=most).contains(&taken), "{millionths}: {taken}");
        }
    }

    #[test]
    fn a_callers_word_counts_where_it_is_asked_for() {
        let ids = || (1, 1);
        assert!(sampling(0, true).begin(&told("01"), None, ids).is_sampled());
        assert!(!sampling(1_000_000, true).begin(&told("00"), None, ids).is_sampled());
        assert!(!sampling(0, false).begin(&told("01"), None, ids).is_sampled());
        assert!(sampling(1_000_000, false).begin(&told("00"), None, ids).is_sampled());
    }

    #[test]
    fn a_trace_that_is_not_recorded_passes_and_a_new_one_says_so() {
        let ids = || (7, 9);
        assert!(sampling(0, false).begin(&told("01"), None, ids).passes);
        assert!(!sampling(0, true).begin(&told("01"), None, ids).passes, "recorded: the caller's flag");
        let new = sampling(0, true).begin(&Incoming::default(), None, ids);
        assert!(!new.passes && !new.is_sampled());
        assert!(new.onward(0).text().ends_with(b"-00"));
    }

    #[test]
    fn one_id_is_judged_alike_everywhere() {
        for (trace, span) in random(1_000) {
            let ours = sampling(300_000, true).begin(&Incoming::default(), None, || (trace, span));
            let parent = TraceParent { trace: ours.id, parent: SpanId::new(1), flags: 0 };
            let theirs = Incoming { parent: Some(parent), ..Incoming::default() };
            let theirs = sampling(300_000, false).begin(&theirs, None, || (1, 1));
            assert_eq!(ours.is_sampled(), theirs.is_sampled());
        }
    }

    #[test]
    fn gatekeepers_own_ids_become_a_trace() {
        let caller = SpanId::new(5);
        let incoming = Incoming { own_parent: Some(caller), ..Incoming::default() };
        let trace = sampling(0, true).begin(&incoming, Some(RID), || (1, 2));
        assert_eq!((&trace.id.text()[..], trace.parent), (RID, Some(caller)));
        let other = sampling(0, true).begin(&incoming, Some(b"my-own-id"), || (1, 2));
        assert_eq!((other.id, other.parent), (TraceId::new(1), None), "the span is not of the new trace");
        let both = Incoming { own_parent: Some(caller), ..told("00") };
        assert_ne!(sampling(0, true).begin(&both, Some(RID), || (1, 2)).id, trace.id, "traceparent comes first");
    }

    #[test]
    fn ids_that_differ_in_their_middle_only_are_sampled_by_the_ratio() {
        let ids = (0..10_000_u32).map(|count| format!("5f5e1000{count:08x}0123456789abcdb0"));
        let sampling = sampling(500_000, true);
        let taken = ids.filter(|id| sampling.begin(&Incoming::default(), Some(id.as_bytes()), || (1, 1)).is_sampled());
        let taken = taken.count();
        assert!((4_000..6_000).contains(&taken), "{taken}");
    }

    #[test]
    fn the_spans_of_a_request_differ() {
        let trace = sampling(1_000_000, true).begin(&Incoming::default(), None, || (1, 77));
        let parts = (0..8).flat_map(|attempt| [Part::Queue, Part::Connect, Part::Upstream].map(|part| (attempt, part)));
        let mut ids: Vec<_> = parts.map(|(attempt, part)| trace.part(attempt, part)).collect();
        ids.push(trace.span);
        let all = ids.len();
        ids.sort_by_key(SpanId::number);
        ids.dedup();
        assert_eq!(ids.len(), all);
        assert_eq!(trace.onward(3).parent, trace.part(3, Part::Upstream));
    }
}
