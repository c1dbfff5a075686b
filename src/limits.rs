//! Every bound of the program, unit in the name, relations asserted at compile time.
//!
//! In scope: constants that the program itself fixes. Bounds a user may set live in the
//! configuration and are checked there against the ceilings named here.

/// A leased buffer for heads and small bodies.
pub const SMALL_BUFFER_BYTES: usize = 4 * 1024;
/// A leased buffer while a body flows; measured cheapest between 64 and 256 KiB for bodies.
pub const LARGE_BUFFER_BYTES: usize = 64 * 1024;
/// A small buffer that grew to this is freed, not kept: thousands are kept.
pub const OVERGROWN_SMALL_BUFFER_BYTES: usize = 4 * SMALL_BUFFER_BYTES;
/// A buffer that grew to this is freed, not kept.
pub const OVERGROWN_BUFFER_BYTES: usize = 4 * LARGE_BUFFER_BYTES;
/// Small buffers a core keeps for reuse; more are freed as they return.
pub const SMALL_BUFFERS_KEPT: usize = 4_096;
/// Large buffers a core keeps for reuse.
pub const LARGE_BUFFERS_KEPT: usize = 64;

/// The largest request head a user may allow (`max_header_bytes` = 20 in GateKeeper's files).
pub const HEAD_BYTES_CEILING: usize = 1024 * 1024;
/// The largest response head taken from an upstream.
pub const RESPONSE_HEAD_BYTES_MAX: usize = LARGE_BUFFER_BYTES;
/// Fields in one head or trailer section, request or response.
pub const FIELDS_CEILING: usize = 128;
/// Request target, default.
pub const URI_BYTES_MAX: usize = 8 * 1024;
/// A method name longer than this is answered 501.
pub const METHOD_BYTES_MAX: usize = 24;
/// Options in all `Connection` fields of one head.
pub const CONNECTION_OPTIONS_MAX: usize = 64;
/// Bytes of one chunk line, extensions included.
pub const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// Bytes of chunk extensions over one whole message.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 4 * 1024;
/// Bytes of one trailer section.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Chunk lines and extensions may outweigh the data they frame by this much before the peer is
/// taken for an attacker (one-byte chunks cost six bytes for one).
pub const CHUNK_OVERHEAD_GRACE_BYTES: u64 = 64 * 1024;
/// Interim (1xx) responses relayed for one request.
pub const INTERIM_RESPONSES_MAX: u32 = 16;
/// A form body read for `app_id` and `sign`; larger is 413 for a service that needs a tenant.
pub const FORM_BODY_BYTES_MAX: usize = 64 * 1024;
/// A PROXY protocol header, its values included (the specification's own receivers take 536 bytes without any).
pub const PROXY_HEADER_BYTES_MAX: usize = 2 * 1024;
/// A client's own request id longer than this is replaced.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// Resolution of the deadline sweep: every deadline fires within two ticks after its time.
pub const DEADLINE_TICK_MS: u64 = 50;
/// After a refused request with a body in flight: how long and how much is drained before closing,
/// so that the client reads the answer instead of a reset.
pub const LINGER_MS: u64 = 1_000;
/// Bytes drained while lingering.
pub const LINGER_BYTES_MAX: usize = 256 * 1024;
/// How long a request waits for a worker's share of an answer to `/reload`.
pub const RELOAD_ANSWER_MS: u64 = 5_000;
/// Wait for an upstream's `100 Continue` before the body is asked for anyway.
pub const CONTINUE_WAIT_MS: u64 = 1_000;

/// When stopping: how long an idle kept connection is still listened to, so that a request that
/// crosses the stop on the wire is answered.
pub const DRAIN_IDLE_GRACE_MS: u64 = 300;

/// After the drain window: how long exchanges that are cut may take to say so.
pub const CUT_GRACE_MS: u64 = 500;
/// An exchange that relays its body for longer than this is a stream and moves to the slow share.
pub const SLOW_EXCHANGE_MS: u64 = 1_000;
/// Bytes that one direction of a tunnel moves before others have their turn.
pub const TUNNEL_TURN_BYTES: usize = 256 * 1024;
/// How long a WebSocket that was told goodbye may take to answer.
pub const FAREWELL_WAIT_MS: u64 = 1_000;
/// Between two epochs that only health has changed; the first of a burst goes out at once.
pub const HEALTH_EPOCH_GAP_MS: u64 = 50;
/// A changed file is read when its directory has been quiet this long.
pub const FILE_SETTLE_MS: u64 = 200;
/// A changed file is read after this, even when its directory never becomes quiet.
pub const FILE_SETTLE_MAX_MS: u64 = 2_000;
/// Beyond the drain window, how long control waits for a worker to say that it has ended.
pub const DRAIN_GRACE_MS: u64 = 2_000;
/// First probes of many new endpoints are spread over this, or over their interval if shorter.
pub const PROBE_SPREAD_MS: u64 = 1_000;
/// A probe that did not succeed is repeated after this, or after the interval if shorter.
pub const PROBE_AGAIN_MS: u64 = 1_000;
/// Between two probes of one endpoint, whatever asks for the second.
pub const PROBE_GAP_MS: u64 = 200;
/// Probes under way at the same time over the whole process; each holds a descriptor.
pub const PROBES_AT_ONCE_MAX: usize = 512;
/// Body bytes of a probe's answer read before its connection is closed.
pub const PROBE_BODY_BYTES_MAX: usize = 16 * 1024;
/// Name lookups under way at the same time.
pub const LOOKUPS_AT_ONCE_MAX: usize = 64;
/// A name is looked up again no sooner than this, whatever its TTL says.
pub const TTL_MIN_MS: u64 = 1_000;
/// A name is looked up again no later than this, whatever its TTL says.
pub const TTL_MAX_MS: u64 = 300_000;
/// The longest pause between two lookups of a name that does not resolve; the first is `TTL_MIN_MS`.
pub const LOOKUP_RETRY_MAX_MS: u64 = 30_000;
/// One lookup's deadline, all servers and retries together.
pub const LOOKUP_TIMEOUT_MS: u64 = 15_000;

/// Operations in a row that a connection completes without waiting before it lets others have a turn; only
/// epoll completes any so.
pub const OPERATIONS_PER_TURN: u32 = 32;
/// How long it then waits: the runtime's finest timer, which brings it past the timers and all sockets.
pub const TURN_PAUSE_MS: u64 = 1;

/// Operations that a worker hands over in one call; more take another. Few stay in the cache.
pub const SUBMISSION_ENTRIES: u32 = 512;
/// Completions of a worker that wait to be seen; more wait in the kernel.
pub const COMPLETION_ENTRIES: u32 = 4_096;
/// Buffers of `SMALL_BUFFER_BYTES` that each worker's ring takes from when bytes come; they are back before the next
/// turn of its loop.
pub const PROVIDED_BUFFERS: u16 = 64;
/// Ready tasks that run between two calls into the kernel, or twice as many as were ready if that is more.
pub const TASKS_PER_TURN: usize = 16;
/// How long a start waits for a listen address that is taken.
pub const BIND_PATIENCE_MS: u64 = 2_000;
/// Connections accepted in a row on one socket before other connections have a turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Out of descriptors: how long until accepting is tried again.
pub const EXHAUSTED_PAUSE_MS: u64 = 20;
/// Pending connections per listening socket.
pub const LISTEN_BACKLOG: i32 = 4_096;
/// The fewest slots of the limits table: its probe window.
pub const RATE_SLOTS_MIN: usize = 32;
/// The most slots of the limits table a user may ask for: 256 MiB.
pub const RATE_SLOTS_CEILING: usize = 16 * 1024 * 1024;
/// Workers at most.
pub const WORKERS_MAX: usize = 1_024;
/// Endpoints of one service at most.
pub const ENDPOINTS_MAX: usize = 1_024;
/// Slots of the limits table, 16 bytes each: how many clients and tenants may be below a full
/// bucket at once.
pub const RATE_SLOTS: usize = 256 * 1024;
/// Regexes of `url_rewrite` whose working memory a worker keeps.
pub const REWRITE_CACHES_MAX: usize = 256;
/// Matches an item of `url_rewrite` replaces in one path; what comes after stays. Looking for each may scan
/// the whole path, so a path made for it would otherwise hold a core for as long as its length squared.
pub const REWRITE_MATCHES_MAX: usize = 256;

const _: () = assert!(PROVIDED_BUFFERS.is_power_of_two());
const _: () = assert!(OVERGROWN_SMALL_BUFFER_BYTES <= LARGE_BUFFER_BYTES);
const _: () = assert!(URI_BYTES_MAX < LARGE_BUFFER_BYTES);
const _: () = assert!(LARGE_BUFFER_BYTES < HEAD_BYTES_CEILING);
const _: () = assert!(PROXY_HEADER_BYTES_MAX < SMALL_BUFFER_BYTES);
const _: () = assert!(CHUNK_LINE_BYTES_MAX < SMALL_BUFFER_BYTES);
const _: () = assert!(CHUNK_LINE_BYTES_MAX <= CHUNK_EXTENSION_BYTES_MAX);
const _: () = assert!(TRAILER_BYTES_MAX <= LARGE_BUFFER_BYTES);
const _: () = assert!(FILE_SETTLE_MS < FILE_SETTLE_MAX_MS);
const _: () = assert!(PROBE_GAP_MS <= PROBE_SPREAD_MS);
const _: () = assert!(TTL_MIN_MS < LOOKUP_RETRY_MAX_MS && LOOKUP_RETRY_MAX_MS <= TTL_MAX_MS);
const _: () = assert!(LINGER_MS > DEADLINE_TICK_MS);
