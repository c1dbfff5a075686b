//! module.toml: what a service has against endpoints that fail.

use super::module::DAY_MS;
use super::{Key, Table, Zero, commas, int, share, text, word};

pub(super) const RETRY: Table = Table::one(
    "retry",
    RETRY_KEYS,
    "What is tried again. Without it, only what is certain to be harmless is: another endpoint where a \
         connection could not be opened, and an idempotent request once more where a kept connection turned out \
         closed. A request is tried again only as long as the client has not seen a byte of an answer and its body, if \
         it has one, came with its head and is still in hand (48 KiB at most). Of an http module.",
);

pub(super) const BREAKER: Table = Table::one(
    "breaker",
    BREAKER_KEYS,
    "Circuit breakers: what keeps failing is not asked for a while; its requests are answered 503 at once. A \
         failure is an answer of 500 or more, or none that is whole and in time; a client that leaves is none. It holds \
         for the whole process and over reloads. Of an http module.",
);

pub(super) const EJECTION: Table = Table::one(
    "ejection",
    EJECTION_KEYS,
    "Passive ejection: an endpoint that keeps failing takes no traffic for a while. Failures are as for \
         `[module.breaker]`. It holds for the whole process and over reloads. Of an http module.",
);

pub(super) const CONCURRENCY: Table = Table::one(
    "concurrency",
    CONCURRENCY_KEYS,
    "How many requests of the service are under way at once, over the whole process. Of an http module; a tunnel \
         counts until it opens.",
);

pub(super) const MIRROR: Table = Table::one(
    "mirror",
    MIRROR_KEYS,
    "Traffic copy: requests are also sent to another service, whose answers nobody sees. A copy neither delays nor \
         fails the request it is of. Copied are requests whose body, if they have one, came with its head (48 KiB at \
         most). Copies carry `X-Gatekeeper-Copy: 1`, and are not copied again. Of an http module.",
);

const RETRY_KEYS: &[Key] = &[
    int("attempts", 2, crate::limits::RETRY_ATTEMPTS_MAX as i64, 0, "Attempts at one request in all.")
        .zero(Zero::Means("off"))
        .ours(),
    commas(
        "on",
        "What is tried again: `closed` (the connection ended before a byte of the answer), `timeout` (the answer's head \
         did not come within `attempt_timeout` or `proxy_header_timeout`), and statuses of answers. Absent: \
         `closed,timeout,502,503,504`.",
    )
    .example("closed,503")
    .ours(),
    commas(
        "methods",
        "Which requests, where they may have reached the service: `idempotent` (GET, HEAD, PUT, DELETE, OPTIONS), `all`, \
         or names of methods. Absent: `idempotent`.",
    )
    .example("GET,POST")
    .ours(),
    int(
        "attempt_timeout",
        1,
        DAY_MS,
        0,
        "How long one attempt may take, from wanting a connection to the head of the answer. The last one that does not \
         meet it is answered 504.",
    )
    .unit("ms")
    .zero(Zero::Means("no limit of its own"))
    .ours(),
    int(
        "pause",
        0,
        crate::limits::RETRY_PAUSE_MAX_MS as i64,
        25,
        "How long before the second attempt; twice that before the third, and so on, up to 10 s, each shortened at \
         random by up to a half.",
    )
    .unit("ms")
    .ours(),
    share(
        "budget",
        200_000,
        "Further attempts at most, as a share of the service's requests, over the whole process: a service that fails is \
         asked no more than this more often.",
    )
    .ours(),
    int("budget_min", 0, 1_000, 10, "Further attempts that are allowed beside that.").unit("per second").ours(),
];

const BREAKER_KEYS: &[Key] = &[
    word(
        "of",
        &["service", "endpoint", "both"],
        "service",
        "Whether the service has one, each endpoint has one, or both. An endpoint whose breaker is open is passed over.",
    )
    .ours(),
    int("failures", 1, 65_535, 0, "Failures in a row that open it.").zero(Zero::Means("any number")).ours(),
    share(
        "error_rate",
        0,
        "The share of failures in the window that opens it; 0 is any. With neither this nor `failures` there is no breaker.",
    )
    .ours(),
    int("volume_min", 1, 1_000_000, 20, "With fewer results in the window than this, `error_rate` says nothing.")
        .unit("requests")
        .ours(),
    int("window", 100, 3_600_000, 10_000, "How far back `error_rate` looks; it slides by eighths.").unit("ms").ours(),
    int("open_time", 1, DAY_MS, 30_000, "How long it stays open. Then it is half open and lets probes through.")
        .unit("ms")
        .ours(),
    share(
        "probe_share",
        0,
        "Half open, this share of the requests passes as probes; 0 is one at a time, over the whole process. One that \
         fails opens it again.",
    )
    .ours(),
    int("probes", 1, 1_000, 1, "Good probes in a row that close it.").unit("requests").ours(),
];

const EJECTION_KEYS: &[Key] = &[
    int("failures", 1, 65_535, 0, "Failures in a row that eject an endpoint.").zero(Zero::Means("off")).ours(),
    int("time", 1, DAY_MS, 30_000, "For how long the first time; each time in a row twice as long as before.")
        .unit("ms")
        .ours(),
    int("time_max", 1, DAY_MS, 300_000, "For how long at most.").unit("ms").ours(),
    share(
        "panic_threshold",
        500_000,
        "Where less than this share of the service's endpoints would take traffic, endpoints that are ejected are asked, \
         too: better some answers than all on one endpoint.",
    )
    .ours(),
];

const CONCURRENCY_KEYS: &[Key] = &[
    int("max", 1, 10_000_000, 0, "Requests under way at once.").unit("requests").zero(Zero::Means("any number")).ours(),
    int("queue_max", 0, 10_000_000, 1_000, "Requests that wait for a place; more are answered 503.")
        .unit("requests")
        .ours(),
    int("queue_timeout", 1, DAY_MS, 1_000, "How long one waits; then 503.").unit("ms").ours(),
];

const MIRROR_KEYS: &[Key] = &[
    text("service", "", "The name of the http module that gets the copies; it needs no `match_rule`. Empty: none.")
        .example("unlike")
        .ours(),
    share("share", 1_000_000, "Which share of the requests is copied, evenly.").ours(),
    int(
        "copies_max",
        1,
        1_000_000,
        1_000,
        "Copies under way or waiting for a connection, over all workers; each worker has an equal share, at least one. \
         More are dropped and counted.",
    )
    .unit("requests")
    .ours(),
    int("timeout", 1, DAY_MS, 10_000, "How long a copy may take in all.").unit("ms").ours(),
];
