//! module.toml: the services.

use super::resilience::{BREAKER, CONCURRENCY, EJECTION, MIRROR, RETRY};
use super::routing::{MATCH_RULE, SPLIT};
use super::{Key, Kind, Preset, Status, Table, Zero, commas, flag, int, list, shaping, text, tokens, word};
use crate::limits::READ_BODY_BYTES_CEILING;

pub(super) const DAY_MS: i64 = 86_400_000;

pub(super) const FILE: Table = Table::one(
    "module.toml",
    &[],
    "The services: the file that the command line names. One `[[module]]` for each, in the order in which their \
     rules are tried.",
)
.tables(&[Table::one("module", &[], "One service.").many().required().tables(&[
    Table::one("base", BASE, "Who the service is.").required(),
    Table::one(
        "match_rule",
        MATCH_RULE,
        "Which requests are the service's. An http service needs one or more, unless a `[[module.split]]` leads to it. \
         The first rule that takes a request wins, in the order of the file unless `priority` or `http.route_order` says \
         otherwise; not the longest. A rule that an earlier one covers is reported at load.",
    )
    .many(),
    Table::one(
        "split",
        SPLIT,
        "A share of the service's requests goes to another service: all that is the other one's holds for them, its \
         endpoints, lists and limits; the path is rewritten by the rule that matched. Several take their shares side by \
         side. The other one's own splits are not asked.",
    )
    .many()
    .status(Status::New),
    Table::one("load_balance", LOAD_BALANCE, "Where its requests go, and how.").required(),
    Table::one(
        "access_control",
        ACCESS_CONTROL,
        "Who may call it. With `open = 1` the order is: black list (refused), white list (let in), this machine's \
         name in `white_host_name` (let in), and everybody else must be a tenant of app.toml; `precedence` has others. \
         Without this table, or with `open = 0`, only `client_flow_limit` and the two bounds on connections hold.",
    ),
    RETRY,
    BREAKER,
    EJECTION,
    CONCURRENCY,
    MIRROR,
    shaping::REWRITE,
    shaping::HEADER,
    shaping::CORS,
    shaping::VALIDATION,
    shaping::DEFAULT_ANSWER,
    tokens::JWT,
    Table::one(
        "limit",
        LIMIT,
        "How often the service may be called, by whom: each limit has buckets of its own, for the whole process, \
         however many workers there are. A request takes of every limit that concerns it, or is refused and takes \
         of none. See [limits.md](limits.md).",
    )
    .many()
    .status(Status::New),
    super::filters::TABLE,
])]);

const BASE: &[Key] = &[
    word(
        "load_type",
        &["http", "tcp"],
        "http",
        "`http` for a service behind rules, `tcp` for a listener of its own, whose bytes are relayed as they are.",
    ),
    text("name", "", "The service's name, unique in the file; it appears in logs and answers.")
        .required()
        .example("orders"),
    text("service_name", "", "A title, for people.").status(Status::Label),
    word(
        "status",
        &["up", "down"],
        "up",
        "`down` switches the service off: its rules go on matching, and what they match is answered 503 `service_down`; \
         connections of a `tcp` service are closed. Splits that lead to it take nothing.",
    )
    .ours(),
    int("pass_auth_type", -128, 127, 0, "GateKeeper's unused switch.").ignored("GateKeeper never used it"),
    text("frontend_addr", "", "Where a `tcp` service listens, as `:port` or `ip:port`. An http service has none.")
        .example(":8900"),
    int(
        "body_bytes_max",
        1,
        i64::MAX,
        0,
        "The largest request body; a larger one is answered 413, before it is read where its length is declared.",
    )
    .unit("bytes")
    .zero(Zero::Means("no limit"))
    .ours(),
    int(
        "read_body_bytes_max",
        1,
        READ_BODY_BYTES_CEILING as i64,
        65_536,
        "The largest request body that a rule reads whole before it decides: a form that may name a tenant, JSON that is \
         validated. A larger one is answered 413; bodies that no rule looks into are not bounded by this.",
    )
    .unit("bytes")
    .ours(),
    flag(
        "trailers",
        false,
        "Pass on trailer fields where the other side takes them. Off, they are dropped; and so they are in a module with \
         `[[module.header]]` or `[module.jwt]`, where they could say what those forbid.",
    )
    .ours(),
    text(
        "host",
        "",
        "The `Host` its upstream sees: `client` (what the client asked for), `node` (the endpoint as written in \
         `ip_list`; `localhost` for a Unix socket) or a fixed name. Absent, `http.req_host` decides, and where that \
         is empty it is as `node`.",
    )
    .example("client")
    .ours(),
    list(
        "proxy_protocol_from",
        "Of a `tcp` service: peers, as addresses or CIDR ranges, that must open each connection with a PROXY protocol \
         header (version 1 or 2), whose client address then counts for lists and rates. From any other peer such a \
         header is ordinary bytes.",
    )
    .example("[\"10.0.0.0/8\"]")
    .ours(),
    word(
        "proxy_protocol_to",
        &["none", "v1", "v2"],
        "none",
        "Of a `tcp` service: what each connection to an endpoint begins with, so that it knows the client's address.",
    )
    .ours(),
    int(
        "keepalive",
        1_000,
        DAY_MS,
        60_000,
        "Of a `tcp` service: a peer that has been silent this long is asked by the kernel whether it is still there \
         (TCP keep-alive), both ways.",
    )
    .unit("ms")
    .zero(Zero::Means("off"))
    .ours(),
    int(
        "user_timeout",
        1_000,
        DAY_MS,
        60_000,
        "Of a `tcp` service: bytes that a peer has not acknowledged for this long break the connection \
         (TCP_USER_TIMEOUT, RFC 5482).",
    )
    .unit("ms")
    .zero(Zero::Means("the kernel's own rule"))
    .ours(),
];

/// The names that GateKeeper and its kin have for ways of balancing, and our own.
const BALANCE_TYPES: &[&str] = &[
    "round-robin",
    "round",
    "weight_round",
    "WightRobin",
    "RoundRobin",
    "random",
    "Rand",
    "weight_random",
    "consistent_hash",
    "hash",
    "ip_hash",
    "IPHash",
    "least_requests",
    "least_conn",
    "LeastConn",
    "peak_ewma",
];

const LOAD_BALANCE: &[Key] = &[
    word(
        "check_method",
        &["httpchk", "tcpchk"],
        "tcpchk",
        "How an endpoint's health is found out: `httpchk` asks for `check_url` and wants `check_status`, `tcpchk` opens a \
         connection.",
    ),
    text("check_url", "/", "What `httpchk` asks for: a path, with a query if need be.").example("/ping"),
    text(
        "check_host",
        "",
        "The `Host` that `httpchk` sends. Empty sends the service's `host` where that is a name, else the endpoint as \
         written.",
    )
    .example("orders.example.com")
    .ours(),
    commas("check_status", "Statuses that `httpchk` takes for healthy, single or as ranges, 200 to 599. Empty is 200.")
        .example("200,300-399")
        .ours(),
    int(
        "check_timeout",
        100,
        DAY_MS,
        2_000,
        "How long one probe may take. GateKeeper has this key but uses check_interval in its place.",
    )
    .unit("ms"),
    int(
        "check_interval",
        100,
        DAY_MS,
        5_000,
        "The pause between two probes of one endpoint. After a probe that failed it is a second at most.",
    )
    .unit("ms"),
    int("rise", 1, 100, 1, "Good probes in a row that bring an endpoint back.").unit("probes").ours(),
    int("fall", 1, 100, 1, "Failed probes in a row that take an endpoint out.").unit("probes").ours(),
    word(
        "type",
        BALANCE_TYPES,
        "round-robin",
        "How an endpoint is chosen. `round-robin`, `weight_round`, `WightRobin`: each in its turn, as often as its \
         weight says, evenly spread. `round`, `RoundRobin`: each in its turn, all alike. `random`, `Rand`: by chance, \
         all alike. `weight_random`: by chance, as often as the weight says. `consistent_hash`, `hash`: the one that the \
         request's `hash_key` belongs to. `ip_hash`, `IPHash`: the one that the client's address belongs to. \
         `least_requests`, `least_conn`, `LeastConn`: the one with the fewest requests under way for its weight. \
         `peak_ewma`: of two by chance, the one that is likely to answer sooner. GateKeeper itself ignores the value and \
         does as `round-robin`.",
    ),
    text(
        "hash_key",
        "",
        "Of `consistent_hash`: what decides. `url` (path and query as the client asked), `client` (its address), \
         `header.NAME`, `cookie.NAME` or `query.NAME`; a request without that part goes by round-robin. Absent, it is \
         `url`, and of a `tcp` service `client`, the only one that it has.",
    )
    .example("header.x-user")
    .ours(),
    int(
        "hash_load_max",
        100,
        10_000,
        0,
        "Of `consistent_hash` and `ip_hash`: how many requests an endpoint may have under way, as a part of its fair \
         share of all, such as 125. Beyond that a key goes to the next endpoint of the ring.",
    )
    .unit("percent")
    .zero(Zero::Means("no bound"))
    .ours(),
    int(
        "hash_points",
        4,
        4_096,
        640,
        "Of `consistent_hash` and `ip_hash`: how many points on the ring the heaviest endpoint has, in fours. More spread \
         keys more evenly. 160 is what memcached's clients have.",
    )
    .unit("points")
    .ours(),
    int(
        "slow_start",
        100,
        DAY_MS,
        0,
        "An endpoint that is back after it was down, or is new beside others, begins with a sixteenth of its weight and \
         has the whole after this long. A hash goes by it only in `hash_load_max`.",
    )
    .unit("ms")
    .zero(Zero::Means("at once"))
    .ours(),
    int(
        "failure_weight",
        1,
        100,
        50,
        "How much of its effective weight an endpoint loses by each attempt that fails (no connection, no answer, a \
         malformed or broken one), down to a sixty-fourth. Each that goes well gives a tenth of the whole back, and ten \
         seconds all of it. A hash goes by it only in `hash_load_max`.",
    )
    .unit("percent")
    .zero(Zero::Means("nothing"))
    .ours(),
    Key::of(
        "ip_list",
        Kind::Commas,
        Preset::Required,
        "The endpoints: `1.2.3.4:port`, `[v6]:port`, `name:port` (resolved while running, again when its time to \
         live is over) or `unix:/path`.",
    )
    .example("127.0.0.1:8701"),
    commas(
        "weight_list",
        "The endpoints' weights, by position; one that is missing is 50. An endpoint of weight 0 is never chosen, \
         unless all are 0: then always the first.",
    )
    .example("7"),
    commas("forbid_list", "Endpoints of `ip_list` that take no traffic for now.").example("127.0.0.1:8701"),
    int("proxy_connect_timeout", 1, DAY_MS, 5_000, "How long opening a connection may take.").unit("ms"),
    int(
        "proxy_header_timeout",
        1,
        DAY_MS,
        60_000,
        "From the last byte of the request to the head of the answer; then 504.",
    )
    .unit("ms")
    .zero(Zero::Means("no limit")),
    int(
        "request_timeout",
        1,
        DAY_MS,
        0,
        "From the head of a request to the end of its answer, the queue and every attempt included. Then 504, or the \
         connection is cut when the answer has begun.",
    )
    .unit("ms")
    .zero(Zero::Means("no limit"))
    .ours(),
    flag(
        "request_timeout_408",
        false,
        "Answer 408 instead of 504 when `request_timeout` is over, for clients that expect that.",
    )
    .ours(),
    int(
        "proxy_body_timeout",
        1,
        DAY_MS,
        60_000,
        "The body of an answer, and an upstream taking a request, must make progress within this; it does not \
         limit the whole, so streams live. GateKeeper has this key without effect.",
    )
    .unit("ms")
    .zero(Zero::Means("no limit")),
    int(
        "tunnel_idle_timeout",
        100,
        DAY_MS,
        3_600_000,
        "A tunnel (a WebSocket, or a connection of a tcp module) ends when nothing moves in it, or one side does not \
         take what the other has sent, for this long.",
    )
    .unit("ms")
    .zero(Zero::Means("no limit"))
    .ours(),
    int("tunnel_life_max", 100, 30 * DAY_MS, 0, "How long a tunnel may last in all.")
        .unit("ms")
        .zero(Zero::Means("no limit"))
        .ours(),
    int(
        "max_idle_conn",
        1,
        1_000_000,
        512,
        "Idle connections kept to each endpoint, over all workers. GateKeeper's 0 (unlimited) is bounded here.",
    )
    .zero(Zero::Default),
    int("idle_conn_timeout", 1, DAY_MS, 60_000, "How long an idle connection is kept.").unit("ms").zero(Zero::Default),
    int(
        "connections_max",
        1,
        1_000_000,
        512,
        "Connections to each endpoint, over all workers; each worker has an equal share, at least one. Further \
         requests wait in a queue. Of a `tcp` service only where it is given: there is no bound otherwise.",
    )
    .ours(),
    int(
        "slow_connections_max",
        0,
        1_000_000,
        1_024,
        "Further connections to each endpoint for exchanges that run longer than a second, such as event streams, \
         so that they do not starve the others.",
    )
    .ours(),
    int("queue_timeout", 1, DAY_MS, 10_000, "How long a request waits for a connection; then 503.").unit("ms").ours(),
    int("queue_max", 0, 10_000_000, 16_384, "How many requests wait for each endpoint, over all workers; more: 503.")
        .unit("requests")
        .ours(),
    int("max_retry_time", i64::MIN, i64::MAX, 0, "")
        .status(Status::Obsolete("write `attempts` in `[module.retry]`")),
    int("retry_interval", i64::MIN, i64::MAX, 0, "").status(Status::Obsolete("write `pause` in `[module.retry]`")),
];

const ACCESS_CONTROL: &[Key] = &[
    commas("black_list", "Addresses and CIDR ranges that are refused.").example("192.0.2.0/24"),
    commas("white_list", "Addresses and CIDR ranges that are let in without being a tenant.").example("127.0.0.1"),
    commas(
        "white_host_name",
        "If this machine's own host name is among these, everybody not on the black list is let in. It says nothing \
         of the client.",
    ),
    text("auth_type", "", "GateKeeper's unused text.").ignored("GateKeeper never used it"),
    int(
        "client_flow_limit",
        1,
        u32::MAX as i64,
        0,
        "Requests per second of one client address (IPv6: one /64), for the whole process; three times as many may \
         come at once. More are answered 429. Holds whatever `open` says.",
    )
    .unit("per second")
    .zero(Zero::Means("off")),
    int("open", 0, 1, 0, "1: the lists and the tenant demand are in force."),
    word(
        "precedence",
        &["black_first", "white_decides", "both_pass"],
        "black_first",
        "Which list goes first. `black_first` is GateKeeper's: black refuses, white lets in, everybody else must be a \
         tenant. `white_decides` is go_gateway's: where there is a white list, only who is on it passes and the black \
         list is not asked; where there is none, the black list refuses. `both_pass` is manba's: who is on the black \
         list is refused, and so is who is not on the white list, where there is one. Under the last two \
         `white_host_name` means nothing.",
    )
    .ours(),
    flag(
        "tenant_demanded",
        false,
        "Under `white_decides` and `both_pass`: whom the lists let pass must be a tenant of app.toml too, as \
         go_gateway's `open_auth` demands. Of an http service.",
    )
    .ours(),
    text(
        "black_list_file",
        "",
        "A file of further addresses and ranges of the black list: one on each line, what follows `#` is not read. \
         Its path is relative to this file's folder. It is watched and loaded as this file is.",
    )
    .example("addresses.list")
    .ours(),
    text(
        "white_list_file",
        "",
        "The same of the white list. A file without an address is a white list with nobody on it.",
    )
    .example("addresses.list")
    .ours(),
    commas(
        "url_white_list",
        "Paths, each with all below it, as a rule is compared: whoever asks for these is as good as on the white list.",
    )
    .example("/orders/open")
    .ours(),
    flag(
        "dry_run",
        false,
        "What the lists, the tenant demand and the bounds on connections of this table, and `client_flow_limit`, would \
         refuse is let pass; the request log has it, with the reason in `$dry_run`.",
    )
    .ours(),
    int(
        "client_connections_max",
        1,
        1_000_000,
        0,
        "Of a `tcp` service: connections that one client address (IPv6: one /64) may have open, for the whole process. \
         Further ones are closed.",
    )
    .zero(Zero::Means("no limit"))
    .ours(),
    int(
        "service_connections_max",
        1,
        16_000_000,
        0,
        "Of a `tcp` service: connections that all clients together may have open, for the whole process.",
    )
    .zero(Zero::Means("no limit"))
    .ours(),
];

const LIMIT: &[Key] = &[
    text(
        "by",
        "client",
        "Whom it counts: `client` (each client address, IPv6 by /64), `service` (all clients together), `endpoint` \
         (each endpoint: where its rate is used up, another is picked), `tenant` (each tenant of app.toml), \
         `header.NAME`, `cookie.NAME` or `query.NAME` (each value). A request that has no tenant or no such value does \
         not fall under the limit. A `tcp` service has `client` and `service`, and counts connections.",
    )
    .example("header.x-api-key")
    .ours(),
    int("rate", 1, u32::MAX as i64, 0, "Requests in each window.").required().example("100").ours(),
    word("window", &["second", "minute", "hour"], "second", "How long that is.").ours(),
    int(
        "burst",
        1,
        u32::MAX as i64,
        0,
        "Requests that may come at once after a pause; the bucket fills again at the rate, evenly.",
    )
    .zero(Zero::Means("as many as `rate`"))
    .ours(),
    int(
        "wait",
        1,
        60_000,
        0,
        "A request over the rate waits for its turn up to this long, and is refused only where that is longer away; so \
         `rate` times this is how many wait at most. Not of a `tcp` service, nor by `endpoint`.",
    )
    .unit("ms")
    .zero(Zero::Means("it is refused at once"))
    .ours(),
    word(
        "share",
        &["process", "cluster"],
        "process",
        "Whose the rate is: this process's, or that of all members of `cluster.cluster_list` together, of which each \
         has an equal part.",
    )
    .ours(),
    flag(
        "fields",
        true,
        "Answers say what is left in the fields `RateLimit-Policy` and `RateLimit` \
         (draft-ietf-httpapi-ratelimit-headers-10). A refusal always says so.",
    )
    .ours(),
    flag(
        "dry_run",
        false,
        "Nobody is refused; the request log has whom it would have been, with the reason in `$dry_run`.",
    )
    .ours(),
    text(
        "name",
        "",
        "Its name in the RateLimit fields, unique in its service. Absent, it is made of `by` and `window`.",
    )
    .example("burst-of-keys")
    .ours(),
];
