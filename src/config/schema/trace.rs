//! base.toml, `[trace]`: which requests are traced and where their spans go.

use super::{Key, Status, Table, flag, int, list, share, text};

pub(super) const TABLE: Table = Table::one(
    "trace",
    KEYS,
    "Traces: which requests are recorded and where their spans go. Off, `traceparent` and `tracestate` pass as they \
     came.",
)
.status(Status::New);

const KEYS: &[Key] = &[
    flag(
        "on",
        false,
        "Requests belong to traces (W3C Trace Context): each endpoint is told the trace and the span that called it, a \
         request without a trace begins one, and what is sampled is exported.",
    )
    .ours(),
    text(
        "endpoint",
        "http://127.0.0.1:4318/v1/traces",
        "Where spans are sent: the URL of a collector that takes OTLP over HTTP. Only `http`; without a path it is \
         `/v1/traces`.",
    )
    .example("http://collector.internal:4318/v1/traces")
    .ours(),
    share(
        "sample_ratio",
        10_000,
        "How many new traces are recorded. The trace's id decides, so every gateway with this ratio records the same \
         ones.",
    )
    .ours(),
    flag(
        "parent_based",
        true,
        "A caller's `traceparent` says whether its trace is recorded. Off, `sample_ratio` decides for those too.",
    )
    .ours(),
    text("service_name", "gatekeeper", "The `service.name` of all spans.").example("edge").ours(),
    list("headers", "Further fields of each export, as `name: value`: what the collector wants to see.")
        .example("[\"authorization: Bearer abc\"]")
        .ours(),
    int("timeout", 100, 600_000, 10_000, "How long one export may take, its answer included; then it is tried again.")
        .unit("ms")
        .ours(),
];
