//! Trace context: total on any bytes, what is written is read back, a state is one however its fields are cut.
#![no_main]

use gatekeeper::proto::trace_context::{TRACEPARENT_BYTES, TraceParent, is_state};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (parent, state) = (&bytes[..line], &bytes[(line + 1).min(bytes.len())..]);
    if let Some(read) = TraceParent::parse(parent) {
        let text = read.text();
        assert_eq!(TraceParent::parse(&text), Some(read));
        // Nothing but the version and the flags may differ from what came.
        assert_eq!(text[2..TRACEPARENT_BYTES - 2], parent[2..TRACEPARENT_BYTES - 2]);
    }
    let whole = is_state([state].into_iter());
    let comma = state.iter().position(|byte| *byte == b',').unwrap_or(state.len());
    let (left, right) = (&state[..comma], &state[(comma + 1).min(state.len())..]);
    assert_eq!(is_state([left, right].into_iter()), whole);
});
