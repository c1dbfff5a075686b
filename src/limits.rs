//! Every bound of the program, unit in the name, relations asserted at compile time.
//!
//! In scope: constants that the program itself fixes. Bounds a user may set live in the
//! configuration and are checked there against the ceilings named here.

/// A leased buffer for what is waited for: most requests fit.
pub const TINY_BUFFER_BYTES: usize = 512;
/// A leased buffer for heads and small bodies.
pub const SMALL_BUFFER_BYTES: usize = 4 * 1024;
/// A leased buffer for a body that does not fit a small one.
pub const LARGE_BUFFER_BYTES: usize = 64 * 1024;
/// A leased buffer while much flows, through a tunnel or as a body: per MiB, 64 KiB cost 1.6 times as much, and 256 KiB
/// 1.4 times on the way up.
pub const HUGE_BUFFER_BYTES: usize = 512 * 1024;
/// A small buffer that grew to this is freed, not kept: thousands are kept.
pub const OVERGROWN_SMALL_BUFFER_BYTES: usize = 4 * SMALL_BUFFER_BYTES;
/// A buffer that grew to this is freed, not kept.
pub const OVERGROWN_BUFFER_BYTES: usize = 4 * LARGE_BUFFER_BYTES;
/// Tiny buffers a core keeps for reuse; more are freed as they return.
pub const TINY_BUFFERS_KEPT: usize = 8_192;
/// Small buffers a core keeps for reuse; more are freed as they return.
pub const SMALL_BUFFERS_KEPT: usize = 1_024;
/// Requests in one queue beyond which those that wait give their buffers back and keep just their bytes.
pub const QUEUE_AT_EASE: usize = 512;
/// Large buffers a core keeps for reuse.
pub const LARGE_BUFFERS_KEPT: usize = 64;
/// Large buffers a core has on loan at most; beyond, bodies flow through small ones.
pub const LARGE_BUFFERS_MAX: usize = 96;
/// Huge buffers a core has on loan at most; beyond, bodies flow through large ones.
pub const HUGE_BUFFERS_MAX: usize = 12;
/// Bytes of one core's request heads that came in pieces and outgrew a small buffer, until their exchanges end.
pub const LONG_HEADS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of one core's answers that are read whole for filters, until they are sent.
pub const FILTERED_BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Engines that run nothing a core keeps for reuse, some 3 KiB each.
pub const ENGINES_KEPT: usize = 1_024;
/// Accounts of exchanges a core keeps room for, some 200 bytes each.
pub const ACCOUNTS_KEPT: usize = 1_024;
/// Huge buffers a core keeps for reuse.
pub const HUGE_BUFFERS_KEPT: usize = HUGE_BUFFERS_MAX;

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
/// Nonces of signed requests that are remembered at once, 8 bytes each, in memory as they come: 13,000 new ones per
/// second at the default window of 300 s.
pub const NONCES_MAX: usize = 1 << 22;
/// Tokens that a core remembers to have verified.
pub const TOKENS_KEPT: usize = 4_096;
/// A request for a token.
pub const GRANT_BODY_BYTES_MAX: u64 = 8 * 1024;
/// Keys of one set; further ones are left out.
pub const KEYS_IN_SET_MAX: usize = 64;
/// Bytes of a key set.
pub const KEY_SET_BYTES_MAX: usize = 1024 * 1024;
/// How long the fetch of a key set may take.
pub const KEY_SET_PATIENCE_MS: u64 = 10_000;
/// After a fetch that failed, when it is tried again at the latest.
pub const KEY_SET_AGAIN_MS: u64 = 5_000;
/// The largest request body that a user may have read whole before it is decided (`read_body_bytes_max`).
pub const READ_BODY_BYTES_CEILING: usize = LONG_HEADS_BYTES_MAX / 2;
/// The body of a `default_answer`: with its head it fits a large buffer.
pub const DEFAULT_ANSWER_BYTES_MAX: usize = 60_000;
/// A PROXY protocol header, its values included (the specification's own receivers take 536 bytes without any).
pub const PROXY_HEADER_BYTES_MAX: usize = 2 * 1024;
/// A client's own request id longer than this is replaced.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// Resolution of the deadline sweep: every deadline fires within two ticks after its time.
pub const DEADLINE_TICK_MS: u64 = 50;
/// How long the endpoint of a tcp service may take to accept the PROXY header, which is less than any socket's buffer.
pub const PROXY_HEADER_MS: u64 = 1_000;

/// How often a client is looked after that waits for a connection of a tcp service.
pub const CLIENT_LOOK_MS: u64 = 500;

/// After a refused request with a body in flight: how long and how much is drained before closing,
/// so that the client reads the answer instead of a reset.
pub const LINGER_MS: u64 = 1_000;
/// The same after an answer of which more than `UNREAD_BYTES_MAX` may not have been read when it was sent.
pub const LINGER_LONG_MS: u64 = 30_000;
/// An answer up to this is taken for read by a client that wants its connection closed.
pub const UNREAD_BYTES_MAX: u64 = 16 * 1024;
/// Bytes drained while lingering.
pub const LINGER_BYTES_MAX: usize = 256 * 1024;
/// How long a request waits for a worker's share of an answer to `/reload`.
pub const RELOAD_ANSWER_MS: u64 = 5_000;
/// Wait for an upstream's `100 Continue` before the body is asked for anyway.
pub const CONTINUE_WAIT_MS: u64 = 1_000;

/// Between two reports of a draining worker on what it waits for.
pub const DRAIN_REPORT_MS: u64 = 500;
/// Between two lines of the log on what a stop waits for; the first comes after `DRAIN_FIRST_NOTICE_MS`.
pub const DRAIN_NOTICE_MS: u64 = 5_000;
/// How long a stop may take before the log says what it waits for.
pub const DRAIN_FIRST_NOTICE_MS: u64 = 1_000;
/// After the drain window: how long exchanges that are cut, and idle connections, may take to end.
pub const CUT_GRACE_MS: u64 = 500;
/// An exchange that relays its body for longer than this is a stream and moves to the slow share.
pub const SLOW_EXCHANGE_MS: u64 = 1_000;
/// Bytes that one direction of a tunnel moves before others have their turn.
pub const TUNNEL_TURN_BYTES: usize = 256 * 1024;
/// Bytes of a body that a connection brings before others have their turn.
pub const FLOW_TURN_BYTES: usize = 512 * 1024;
/// Bytes that are sent at once, while they are in the cache, and not with what others send.
pub const SENT_AT_ONCE_BYTES_MIN: usize = 32 * 1024;
/// A pipe that a tunnel's bytes are spliced through.
pub const PIPE_BYTES: usize = 256 * 1024;
/// Pipes a core uses at once; tunnels beyond these copy. The kernel grants a user 64 MiB of pipes by default.
pub const PIPES_MAX: usize = 64;
/// After the kernel refused a pipe: how often none is asked for.
pub const PIPE_REFUSALS_PAUSE: u32 = 256;
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
/// How long a new process must serve beside the old one before that one drains.
pub const UPGRADE_PROOF_MS: u64 = 3_000;
/// A new process on trial that is not heard of for this long has failed.
pub const UPGRADE_SILENCE_MS: u64 = 10_000;
/// Between two signs of life of a process on trial.
pub const UPGRADE_SIGN_MS: u64 = 500;
/// How often the old process looks after the new one.
pub const UPGRADE_LOOK_MS: u64 = 50;
/// How long a new process that has failed may take to end before it is killed.
pub const UPGRADE_END_GRACE_MS: u64 = 5_000;
/// How long a new process waits for the listening sockets.
pub const UPGRADE_TAKE_MS: u64 = 10_000;
/// How long `gatekeeper upgrade` may take to ask, and to take its answer.
pub const DESK_PATIENCE_MS: u64 = 5_000;
/// Askers at the same time; more wait in the accept queue.
pub const DESK_ASKERS_MAX: usize = 8;
/// Bytes of a question.
pub const DESK_LINE_BYTES_MAX: u64 = 64;
/// Connections of the admin listener; more wait in the accept queue.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// How long one of them may take to ask, the first time and each time after.
pub const ADMIN_HEAD_MS: u64 = 30_000;
/// How long one of them lives; then it is closed after the answer under way.
pub const ADMIN_LIFE_MS: u64 = 600_000;
/// And this much later it is cut.
pub const ADMIN_CUT_MS: u64 = 30_000;
/// Bytes of a question.
pub const ADMIN_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long a question waits for the control loop.
pub const ADMIN_PATIENCE_MS: u64 = 5_000;
/// How long the end of the process waits for questions to the admin listener that are in hand.
pub const ADMIN_FINISH_MS: u64 = 1_000;
/// How long the store may be busy with another process before it is tried again later.
pub const STORE_BUSY_MS: u64 = 1_000;
/// Between two looks at what tenants with a quota have used, in the store and here.
pub const STORE_SYNC_MS: u64 = 1_000;
/// Between two writes of totals; a crash loses what was counted since the last one.
pub const STORE_WRITE_MS: u64 = 5_000;
/// Between two attempts at a store that cannot be used.
pub const STORE_AGAIN_MS: u64 = 10_000;
/// Between two times at which what is old is forgotten.
pub const STORE_FORGET_MS: u64 = 600_000;
/// How long a start waits for the store to tell what was used of quotas, and a stop for the last write.
pub const STORE_PATIENCE_MS: u64 = 3_000;
/// Days of `/api/totals` where the question names no number: today and yesterday.
pub const TOTALS_DAYS_ASKED: u32 = 2;
/// Days, and hours, that one answer of `/api/totals` holds at most.
pub const TOTALS_ROWS_MAX: usize = 50_000;
/// Rows in one statement to the store.
pub const STORE_ROWS_AT_ONCE: usize = 500;
/// Totals that wait for a store which cannot be used; of more, the oldest hours are let go.
pub const TOTALS_WAITING_MAX: usize = 100_000;
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
/// Bursts in a row that filled no buffer, from which on a peer is received from by a stream.
pub const CALM_BURSTS_MIN: u8 = 4;
/// As many of another size for what services send: they are few, asked for it, and mostly answer with more.
pub const ROOMY_BUFFERS: u16 = 32;
/// That size: an answer of 16 KiB comes at once with its head.
pub const ROOMY_BUFFER_BYTES: usize = 32 * 1024;
/// A request's body up to this is sent on with its head where it is here already.
pub const GATHERED_BODY_BYTES_MAX: usize = 48 * 1024;
/// Ready tasks that run between two calls into the kernel, or twice as many as were ready if that is more.
pub const TASKS_PER_TURN: usize = 16;
/// How long a start waits for a listen address that is taken.
pub const BIND_PATIENCE_MS: u64 = 2_000;
/// Connections accepted in a row on one socket before other connections have a turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Connections of a core that are turned away with an answer in one second; more are only closed.
pub const REFUSALS_PER_SECOND_MAX: u32 = 1_000;
/// Client connections may take this share of the descriptors where the files do not say how many: three quarters.
pub const CLIENT_DESCRIPTORS_QUARTERS: u64 = 3;
/// Descriptors counted on where the limit is not known or not limited.
pub const DESCRIPTORS_ASSUMED: u64 = 1024 * 1024;
/// Descriptors that a worker takes before the first connection: its ring or poll, its bells, a reserve.
pub const DESCRIPTORS_OF_WORKER: u64 = 12;
/// Descriptors that a listener takes at each worker: the socket, control's own handle on it, what waits for it.
pub const DESCRIPTORS_OF_LISTENER: u64 = 3;
/// Descriptors that the process takes for all else: files, the store, the admin listener, probes, the files of a reload.
pub const DESCRIPTORS_OF_PROCESS: u64 = 64;
/// Out of descriptors: how long until accepting is tried again.
pub const EXHAUSTED_PAUSE_MS: u64 = 20;
/// Pending connections per listening socket.
pub const LISTEN_BACKLOG: i32 = 4_096;
/// Words of eight bytes of the ring through which a worker's records go to the journal: 1 MiB.
pub const JOURNAL_RING_WORDS: usize = 128 * 1024;
/// Records that wait to be exported as spans; more are dropped.
pub const TRACE_QUEUE_RECORDS: usize = 8 * 1024;
/// Records whose spans go out in one export.
pub const TRACE_BATCH_RECORDS: usize = 512;
/// How long the first record of an export waits for others.
pub const TRACE_BATCH_DELAY_MS: u64 = 1_000;
/// How often one export is tried.
pub const TRACE_TRIES_MAX: u32 = 5;
/// Between the first and the second try of an export, twice that before the third, and so on.
pub const TRACE_PAUSE_MS: u64 = 500;
/// The longest such pause, also where the collector asks for a longer one.
pub const TRACE_PAUSE_MAX_MS: u64 = 30_000;
/// Bytes of a collector's answer that are read.
pub const TRACE_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Between two lines of the log on spans that are not taken.
pub const TRACE_NOTICE_MS: u64 = 30_000;
/// At a stop: how long spans that wait may take to go out.
pub const TRACE_FLUSH_MS: u64 = 2_000;
/// Beyond that, how long the thread that exports may take to say that it has ended.
pub const TRACE_FLUSH_GRACE_MS: u64 = 500;
/// How often the journal looks into the rings while requests are logged; half a full ring wakes it sooner.
pub const JOURNAL_POLL_MS: u64 = 50;
/// Bytes that it takes of a ring before it looks at the others.
pub const JOURNAL_TAKE_BYTES: usize = 256 * 1024;
/// Lines of the other logs that wait for it; more are dropped.
pub const JOURNAL_LINES_MAX: usize = 4_096;
/// How long a process that ends waits for the journal to write what it has.
pub const JOURNAL_END_MS: u64 = 1_000;
/// Between two looks at what the journal could not tell of.
pub const JOURNAL_WATCH_MS: u64 = 1_000;
/// Bytes of lines that wait for one file; more are dropped.
pub const LOG_WAITING_BYTES_MAX: usize = 1024 * 1024;
/// Bytes written at once to what is no file: what a pipe takes whole (PIPE_BUF).
pub const LOG_PIECE_BYTES: usize = 4 * 1024;
/// After a file could not be written: how long until it is tried again.
pub const LOG_RETRY_MS: u64 = 1_000;
/// After a file could not be rotated: how long until it is tried again; it is written on meanwhile.
pub const LOG_ROTATE_RETRY_MS: u64 = 60_000;
/// Bytes of a request's target that are logged.
pub const LOG_TARGET_BYTES_MAX: usize = 2 * 1024;
/// Bytes of its host.
pub const LOG_HOST_BYTES_MAX: usize = 256;
/// Bytes of its `Referer`.
pub const LOG_REFERER_BYTES_MAX: usize = 768;
/// Bytes of its `User-Agent`.
pub const LOG_AGENT_BYTES_MAX: usize = 512;
/// Bytes of the name of a service, a tenant, an endpoint.
pub const LOG_NAME_BYTES_MAX: usize = 128;
/// The fewest slots of the limits table: its probe window.
pub const RATE_SLOTS_MIN: usize = 32;
/// The most slots of the limits table a user may ask for: 256 MiB.
pub const RATE_SLOTS_CEILING: usize = 16 * 1024 * 1024;
/// A worker keeps what it accepts until it has this many connections more than the mean.
pub const HANDOVER_MARGIN_MIN: usize = 3;
/// The same as a part of the mean: one tenth of it.
pub const HANDOVER_MARGIN_PARTS: usize = 10;
/// Connections that wait for one worker to take them over; more stay where they were accepted.
pub const HANDOVER_INLET_MAX: usize = 256;
/// A worker that dies is replaced at once, but no sooner than this after it was started; twice that the next time,
/// and so on.
pub const REPLACE_GAP_MS: u64 = 1_000;
/// The longest such gap.
pub const REPLACE_GAP_MAX_MS: u64 = 30_000;
/// A worker that lived this long starts over with the shortest gap.
pub const REPLACE_CALM_MS: u64 = 60_000;
/// Reports that wait for control; one that may be lost is, when there are more.
pub const REPORTS_WAITING_MAX: usize = 4_096;
/// Services that the stats file has rows for; further ones are counted by core only.
pub const STATS_SERVICES_MAX: usize = 8_192;
/// Endpoints that it has rows for, over all services.
pub const STATS_ENDPOINTS_MAX: usize = 32_768;
/// Tenants that it has rows for.
pub const STATS_TENANTS_MAX: usize = 8_192;
/// Rows that are given memory at a time.
pub const STATS_ROWS_STEP: usize = 64;
/// Parts of a breaker's window, which slides by them.
pub const BREAKER_SLICES: usize = 8;
/// A probe of a breaker that has not ended after this is no longer waited for.
pub const PROBE_LEASE_MS: u64 = 60_000;
/// Attempts at one request that a user may ask for.
pub const RETRY_ATTEMPTS_MAX: usize = 8;
/// Further attempts that a service's budget saves up for.
pub const RETRY_TOKENS_MAX: u64 = 1_000;
/// The longest pause between two attempts.
pub const RETRY_PAUSE_MAX_MS: u64 = 10_000;
/// Workers at most.
pub const WORKERS_MAX: usize = 1_024;
/// Endpoints of one service at most.
pub const ENDPOINTS_MAX: usize = 1_024;
/// How long what is known of an endpoint's latency lasts, unless it is heard of again: then 1/e of it is left.
pub const EWMA_DECAY_MS: u64 = 10_000;
/// How long an endpoint whose attempts failed takes to get its whole weight back by time alone.
pub const FAILURE_FORGIVEN_MS: u32 = 10_000;
/// Slots of the limits table, 16 bytes each: how many clients and tenants may be below a full
/// bucket at once.
pub const RATE_SLOTS: usize = 256 * 1024;
/// Regexes of `url_rewrite` whose working memory a worker keeps.
pub const REWRITE_CACHES_MAX: usize = 256;
/// Limits of one service at most.
pub const LIMITS_PER_SERVICE_MAX: usize = 16;
/// Faults of one list file that are told; further ones are counted.
pub const LIST_FAULTS_TOLD_MAX: usize = 20;
/// Matches an item of `url_rewrite` replaces in one path; what comes after stays. Looking for each may scan
/// the whole path, so a path made for it would otherwise hold a core for as long as its length squared.
pub const REWRITE_MATCHES_MAX: usize = 256;
/// The automaton of one expression in a condition.
pub const EXPRESSION_DFA_BYTES_MAX: usize = 1024 * 1024;
/// The compiled form of one rule that is an expression.
pub const ROUTE_REGEX_BYTES_MAX: usize = 1024 * 1024;
/// The compiled form of all of them.
pub const ROUTE_REGEXES_BYTES_MAX: usize = 64 * ROUTE_REGEX_BYTES_MAX;
/// What a worker remembers of the states of all such rules together; then it forgets and begins anew.
pub const ROUTE_STATES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Segments of one `url_pattern` that are no constants. A lookup nests once for each.
pub const PATTERN_PARAMETERS_MAX: usize = 16;

const _: () = assert!(PROVIDED_BUFFERS.is_power_of_two());
const _: () = assert!(ROOMY_BUFFERS.is_power_of_two());
const _: () = assert!(TINY_BUFFER_BYTES < SMALL_BUFFER_BYTES);
const _: () = assert!(SMALL_BUFFER_BYTES < ROOMY_BUFFER_BYTES && ROOMY_BUFFER_BYTES < LARGE_BUFFER_BYTES);
const _: () = assert!(GATHERED_BODY_BYTES_MAX + SMALL_BUFFER_BYTES <= LARGE_BUFFER_BYTES);
const _: () = assert!(HEAD_BYTES_CEILING < LONG_HEADS_BYTES_MAX);
const _: () = assert!(OVERGROWN_SMALL_BUFFER_BYTES <= LARGE_BUFFER_BYTES);
const _: () = assert!(OVERGROWN_BUFFER_BYTES <= HUGE_BUFFER_BYTES);
const _: () = assert!(URI_BYTES_MAX < LARGE_BUFFER_BYTES);
const _: () = assert!(LARGE_BUFFER_BYTES < HEAD_BYTES_CEILING);
const _: () = assert!(PROXY_HEADER_BYTES_MAX < SMALL_BUFFER_BYTES);
const _: () = assert!(CHUNK_LINE_BYTES_MAX < SMALL_BUFFER_BYTES);
const _: () = assert!(CHUNK_LINE_BYTES_MAX <= CHUNK_EXTENSION_BYTES_MAX);
const _: () = assert!(TRAILER_BYTES_MAX <= LARGE_BUFFER_BYTES);
const _: () = assert!(FILE_SETTLE_MS < FILE_SETTLE_MAX_MS);
const _: () = assert!(STORE_BUSY_MS < STORE_PATIENCE_MS && STORE_SYNC_MS <= STORE_WRITE_MS);
const _: () = assert!(PROBE_GAP_MS <= PROBE_SPREAD_MS);
const _: () = assert!(TTL_MIN_MS < LOOKUP_RETRY_MAX_MS && LOOKUP_RETRY_MAX_MS <= TTL_MAX_MS);
const _: () = assert!(UPGRADE_SIGN_MS < UPGRADE_PROOF_MS && UPGRADE_PROOF_MS < UPGRADE_SILENCE_MS);
const _: () = assert!(TRACE_BATCH_RECORDS <= TRACE_QUEUE_RECORDS && TRACE_PAUSE_MS < TRACE_PAUSE_MAX_MS);
const _: () = assert!(LINGER_MS > DEADLINE_TICK_MS);
const _: () = assert!(DRAIN_REPORT_MS < DRAIN_FIRST_NOTICE_MS && CUT_GRACE_MS > 2 * DEADLINE_TICK_MS);
