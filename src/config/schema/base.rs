//! base.toml: the process, the listener and what holds for every service.

use super::{Key, Status, Table, Zero, commas, flag, int, list, logs, text, tokens, trace, word};
use crate::limits::{
    FIELDS_CEILING, LARGE_BUFFER_BYTES, RATE_SLOTS, RATE_SLOTS_CEILING, RATE_SLOTS_MIN, URI_BYTES_MAX,
};

const DAY_S: i64 = 86_400;

pub(super) const FILE: Table = Table::one(
    "base.toml",
    &[],
    "The process, the listener, and what holds for every service. Read from the folder of the module file; \
     every key has a default, and the file may be absent.",
)
.tables(&[
    Table::one("base", BASE, "The process itself."),
    Table::one("http", HTTP, "The listener, its bounds and its deadlines."),
    Table::one("cluster", CLUSTER, "The fleet this gateway belongs to."),
    Table::one(
        "admin",
        ADMIN,
        "Where the gateway is watched: metrics, health and state over HTTP, on a port of its own.",
    )
    .status(Status::New),
    Table::one("store", STORE, "What the gateway remembers over restarts, in a SQLite file.").status(Status::New),
    Table::one("dns", DNS, "How names in `ip_list` are resolved.").status(Status::New),
    Table::one("request_id", REQUEST_ID, "How a request is known by an id, here and at its service.")
        .status(Status::New),
    logs::LOG,
    logs::SYSLOG,
    logs::CHECKLOG,
    logs::STATLOG,
    trace::TABLE,
    tokens::OAUTH,
]);

const REQUEST_ID: &[Key] = &[
    text(
        "header",
        "didi-header-rid",
        "The field that carries a request's id to its service, and from a client or a proxy that has given it one.",
    )
    .example("X-Request-Id")
    .ours(),
    flag(
        "from_client",
        true,
        "Whether an id that comes along is kept: up to 64 letters, digits, `-`, `_` and `.`. Else each request gets a \
         new one, or its trace's.",
    )
    .ours(),
    flag("on_answer", false, "Whether the answer carries the id too, a service's and the gateway's own.").ours(),
];

const BASE: &[Key] = &[
    text("debug_mode", "", "GateKeeper's switch for its web framework's messages.")
        .ignored("a client never sees an internal text, in any mode"),
    word(
        "access_log",
        &["on", "off"],
        "on",
        "Whether requests are logged. They are where a writer of `[log]` is on too.",
    ),
    text(
        "access_log_format",
        "gatekeeper",
        "The form of a line of the request log: `gatekeeper`, `json`, `combined` (nginx's), or a text with variables \
         such as `$status`, which docs/operating.md lists.",
    )
    .example("$remote_addr $request $status $timers $end")
    .ours(),
    int(
        "access_log_sample",
        1,
        1_000_000,
        1,
        "One request in so many is logged, by each worker's own count, and every one that ended early or was answered \
         with 500 or more.",
    )
    .ours(),
    list(
        "log_redact",
        "Query parameters whose values are not written, in any log or trace, beside `sign`, `token`, `password` and \
         their like, which never are. Authorization, cookies and bodies are not written either.",
    )
    .example("[\"phone\"]")
    .ours(),
    text(
        "time_location",
        "",
        "The time zone of log lines and of rotated files' names, and in which a day and an hour begin, for totals and for \
         tenants' daily quotas: a name of the time zone database, a POSIX rule, or `Local`. Empty is UTC.",
    )
    .example("Asia/Shanghai"),
    int(
        "conf_load_interval",
        1_000,
        DAY_S * 1_000,
        0,
        "The files are read again this often, changed or not. A file with a fault changes nothing. GateKeeper \
         reloads without pause when this is 0 or absent; here both mean off.",
    )
    .unit("ms")
    .zero(Zero::Means("off")),
    int(
        "drain_delay",
        0,
        3_600,
        0,
        "How long a stopping gateway goes on as before, while `/ping` is answered 503 and every answer closes its \
         connection: the time a load balancer needs to notice. Then it stops accepting.",
    )
    .unit("s")
    .ours(),
    int(
        "drain_window",
        0,
        3_600,
        30,
        "How long a gateway that has stopped accepting lets what is open end: exchanges, tunnels, and idle \
         connections, which live until their next request. Then it cuts them.",
    )
    .unit("s")
    .ours(),
    int(
        "upgrade_timeout",
        1,
        3_600,
        30,
        "How long the new process of a live upgrade may take until its workers serve; then it is killed and the old \
         one goes on.",
    )
    .unit("s")
    .ours(),
    text(
        "user",
        "",
        "The user that the process becomes once its listeners are open: a name of this machine, or a number. Empty \
         leaves it as it was started. Fixed at start.",
    )
    .example("65534")
    .ours(),
    text("group", "", "The group likewise. Empty takes the user's own group. Fixed at start.").example("65534").ours(),
    text(
        "stats_dir",
        "",
        "The folder, on a tmpfs, of the file in which every worker counts and which tools read. Empty takes `/run` where \
         that can be written to, else `/dev/shm`. Fixed at start.",
    )
    .example("/dev/shm")
    .ours(),
    flag("watch", true, "The files are read again when one of them changes.").ours(),
];

const HTTP: &[Key] = &[
    text(
        "addr",
        ":8700",
        "Where requests are accepted: `:port` takes IPv4 and IPv6 on every address, `1.2.3.4:port` and `[v6]:port` \
         only there. A reload may move it: the new address is opened before the old one is closed.",
    )
    .example("127.0.0.1:8081"),
    text(
        "route_prefix",
        "",
        "Only paths below this prefix reach a service; all others are answered 404. Empty lets every path through. \
         The prefix stays part of the path that rules and rewrites see.",
    )
    .example("/gatekeeper"),
    word(
        "route_order",
        &["file", "specific"],
        "file",
        "In which order rules of equal `priority` are tried. `file`: as they stand in module.toml. `specific`: a named \
         host before a wildcard before any host; then, segment by segment, a constant before `(enum:..)` before `(number)` \
         before `(string)` before whatever lies below, so that of two prefixes the longer wins, and expressions last; \
         then what demands a method or conditions before what does not; then as in the file.",
    )
    .ours(),
    text(
        "req_host",
        "",
        "The `Host` sent to every upstream whose service has no `host` of its own. Empty sends the endpoint's \
         address as written in `ip_list`.",
    )
    .example("internal.example"),
    int("read_timeout", 1, DAY_S, 30, "From the first byte of a request to the end of its head; then 408.")
        .unit("s")
        .zero(Zero::Default),
    int(
        "write_timeout",
        1,
        DAY_S,
        30,
        "A request body, and a client taking its answer, must make progress within this. It is not a limit on the \
         whole answer, so streams live; GateKeeper cuts them.",
    )
    .unit("s")
    .zero(Zero::Default),
    int(
        "max_header_bytes",
        10,
        20,
        16,
        "The largest request head, as a power of two: 16 is 65,536 bytes, 20 is 1 MiB. A longer head is answered 431.",
    )
    .unit("exponent"),
    list(
        "trusted_proxies",
        "Peers, as addresses or CIDR ranges, whose `X-Forwarded-For` is believed. From any other peer the \
         forwarding headers are replaced, so nobody chooses the address that lists and rates see.",
    )
    .example("[\"10.0.0.0/8\", \"fd00::/8\"]")
    .ours(),
    int(
        "connections_max",
        1,
        10_000_000,
        0,
        "Client connections of each worker, tunnels and tcp services included; one more is answered 503 and closed.",
    )
    .zero(Zero::Means("three quarters of the descriptors, divided among the workers"))
    .ours(),
    int(
        "address_connections_max",
        1,
        10_000_000,
        0,
        "Connections of one client address (IPv6: one /64) over all workers; one more is answered 429 and closed. \
         `trusted_proxies` and `proxy_protocol_from` are not counted.",
    )
    .zero(Zero::Means("no limit"))
    .ours(),
    int(
        "body_rate_min",
        1,
        1_000_000_000,
        100,
        "A request body must come at this rate, beside making progress; then 408. Only time spent waiting for the \
         client counts, and `rate_grace` is granted first.",
    )
    .unit("bytes per second")
    .zero(Zero::Means("off"))
    .ours(),
    int(
        "answer_rate_min",
        1,
        1_000_000_000,
        100,
        "A client must take its answer at this rate, beside making progress, or it is cut. Only time spent waiting \
         for the client counts, so quiet streams live, and `rate_grace` is granted first.",
    )
    .unit("bytes per second")
    .zero(Zero::Means("off"))
    .ours(),
    int(
        "rate_grace",
        1,
        DAY_S,
        30,
        "How long in all a client below `body_rate_min` or `answer_rate_min` is waited for. Bytes earn it back at that \
         rate.",
    )
    .unit("s")
    .ours(),
    list(
        "proxy_protocol_from",
        "Peers, as addresses or CIDR ranges, that must open each connection with a PROXY protocol header (version 1 or \
         2); the client it names counts for lists and rates. From any other peer such a header is a malformed request.",
    )
    .example("[\"10.0.0.0/8\"]")
    .ours(),
    int("keepalive_timeout", 1, DAY_S, 75, "A client connection without a request is kept this long.").unit("s").ours(),
    int(
        "half_close_grace",
        0,
        600_000,
        2_000,
        "How long a client that has closed its sending half is still served: some clients do so and read on, \
         others are gone.",
    )
    .unit("ms")
    .ours(),
    int(
        "uri_bytes_max",
        64,
        LARGE_BUFFER_BYTES as i64,
        URI_BYTES_MAX as i64,
        "The longest request target; a longer one is answered 414.",
    )
    .unit("bytes")
    .ours(),
    int("fields_max", 1, FIELDS_CEILING as i64, 100, "The most fields in a request head; more are answered 431.")
        .ours(),
    int(
        "rate_keys_max",
        RATE_SLOTS_MIN as i64,
        RATE_SLOTS_CEILING as i64,
        RATE_SLOTS as i64,
        "How many clients and tenants the limits table tracks at once, over all workers: those below a full bucket. \
         One more is answered 503. Rounded up to a power of two, 16 bytes each. Fixed at start.",
    )
    .ours(),
    flag(
        "legacy_status",
        false,
        "Answer with GateKeeper's own status codes: 400 where no rule matches or a client's rate is used up, 401 for \
         lists and everything about tenants, 407 where no endpoint is up, 504 for every failure of an upstream; \
         instead of 404, 429, 403, 503 and 502.",
    )
    .ours(),
    flag(
        "underscore_fields",
        false,
        "Pass on request fields with `_` in their name. Off, they are dropped: to a CGI-like upstream `X_Real_IP` \
         and `X-Real-IP` are the same field.",
    )
    .ours(),
    flag("merge_slashes", true, "`//` in a path becomes `/` before rules, lists, rewrites and the upstream see it.")
        .ours(),
    flag(
        "reason_header",
        true,
        "An answer that this gateway gives where it ends a request early says why in `X-Gatekeeper-Reason`, by a code \
         of docs/ends.md. It names no address; it does tell a list from a rate, and a wrong `sign` from an unknown \
         `app_id`, as the answer's text does in any case.",
    )
    .ours(),
    flag("via", true, "Add `Via` to requests; it is also how a request that loops back here is found (508).").ours(),
];

const CLUSTER: &[Key] = &[
    text("cluster_ip", "", "The address shown on GateKeeper's pages.").ignored("the pages are not built yet"),
    text("cluster_addr", "", "The port shown on GateKeeper's pages.").ignored("the pages are not built yet"),
    commas(
        "cluster_list",
        "The addresses that may call `/reload`, beside loopback; compared with the address of the connection, never \
         with a header.",
    )
    .example("10.1.1.1,10.1.1.2"),
    text("clusterIp", "", "").status(Status::Obsolete("it is called `cluster_ip` now")),
    text("clusterAddr", "", "").status(Status::Obsolete("it is called `cluster_addr` now")),
    commas("clusterList", "").status(Status::Obsolete("it is called `cluster_list` now")),
];

/// Where the admin listener is unless the files say otherwise.
pub(super) const ADMIN_ADDR: &str = "127.0.0.1:8790";

const ADMIN: &[Key] = &[
    text(
        "addr",
        ADMIN_ADDR,
        "Where `/metrics`, `/health`, `/ready`, `/health/metrics` and `/api/status` are answered; `off` closes it. \
         Anything but a loopback address needs a token. Where another process has the default one, the gateway serves \
         without it and says so.",
    )
    .example("127.0.0.1:8791")
    .ours(),
    text(
        "token",
        "",
        "What a question must bear as `Authorization: Bearer …`, on every path: 16 characters or more. Whoever reads this \
         file has it: prefer `token_file`.",
    )
    .example("0123456789abcdef0123456789abcdef")
    .ours(),
    text(
        "token_file",
        "",
        "The same, from a file named by its absolute path, which is read at each question, so that the token can be \
         changed at any time.",
    )
    .example("/etc/gatekeeper/admin.token")
    .ours(),
];

const STORE: &[Key] = &[
    text(
        "path",
        "gatekeeper.db",
        "The file that keeps totals of days and hours and the tenants' daily quotas; `off` keeps them in memory only. A \
         relative path starts from systemd's state directory where there is one, or else from the folder of the module \
         file.",
    )
    .example("/var/lib/gatekeeper/gatekeeper.db")
    .ours(),
    int("days_kept", 1, 3_660, 400, "Totals of days are kept for so long.").unit("days").ours(),
    int("hours_kept", 1, 8_784, 192, "Totals of hours are kept for so long.").unit("hours").ours(),
];

const DNS: &[Key] =
    &[list("servers", "Name servers to ask, as `ip:port` or `ip` (port 53). Empty asks those of the system.")
        .example("[\"127.0.0.1:5353\"]")
        .ours()];
