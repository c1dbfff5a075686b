//! app.toml: the tenants.

use super::{Key, Kind, Preset, Table, Zero, commas, flag, int, text, word};

pub(super) const FILE: Table = Table::one(
    "app.toml",
    &[],
    "The tenants: who may call a service with `open = 1`. Read from the folder of the module file; may be absent.",
)
.tables(&[Table::one(
    "authirized_apps",
    APP,
    "One tenant. The table's name is spelled as GateKeeper spells it. A tenant names itself with `app_id` and `sign`, \
     in the query or in a form body; both are removed before the request is forwarded.",
)
.many()]);

const UNUSED: &str = "GateKeeper never used it";

const APP: &[Key] = &[
    text("app_id", "", "The tenant's unique id.").required().example("shop"),
    text("name", "", "The tenant's name, for people."),
    Key::of(
        "secret",
        Kind::Text,
        Preset::Required,
        "What `sign` must be, or the key of `sign_method`. GateKeeper's scheme sends the secret itself, in the URL: use \
         it over trusted networks only, and change the secret when a log or a proxy has seen it.",
    )
    .example("change-me-8d1f0c35"),
    word(
        "sign_method",
        &["secret", "hmac-sha256"],
        "secret",
        "How the tenant proves who it is. `secret` is GateKeeper's: `sign` is the secret. With `hmac-sha256` the secret \
         never leaves the tenant: each request is signed with it, which covers method, path, query and body, holds for a \
         short while and counts once. docs/tenants.md says how to sign.",
    )
    .ours(),
    int(
        "sign_window",
        1,
        3_600,
        300,
        "With `hmac-sha256`: how far the timestamp of a signed request may be from the gateway's clock, either way. Its \
         nonce is remembered for as long.",
    )
    .unit("s")
    .ours(),
    text("method", "any", "GateKeeper's unused list of methods.").ignored(UNUSED),
    int("timeout", i64::MIN, i64::MAX, 0, "GateKeeper's unused timeout.").ignored(UNUSED),
    commas(
        "open_api",
        "The path prefixes the tenant may call, by whole segments, compared with the path before it is rewritten. \
         Empty allows none. GateKeeper compares raw text: there `/a` also allows `/ab`, here it does not.",
    )
    .example("/orders"),
    commas("white_ips", "Addresses and CIDR ranges from which the tenant needs no `sign`.").example("10.0.0.7"),
    text("city_ids", "", "GateKeeper's unused list.").ignored(UNUSED),
    int(
        "total_query_daily",
        1,
        i64::MAX,
        0,
        "Calls of the tenant per day of `base.time_location`, for the whole process. More are answered 429 until the \
         day ends. Refused calls do not count. The store keeps the count over restarts; a reload does not touch it.",
    )
    .unit("per day")
    .zero(Zero::Means("no quota")),
    int(
        "qps",
        1,
        u32::MAX as i64,
        0,
        "Requests per second of the tenant, for the whole process; three times as many may come at once. More are \
         answered 429.",
    )
    .unit("per second")
    .zero(Zero::Means("off")),
    flag(
        "usage_headers",
        false,
        "Answers to the tenant say what is left of its day: `X-Quota-Limit`, `X-Quota-Remaining` and `X-Quota-Reset`, the \
         seconds until the day ends; and `X-Rate-Limit`, its `qps`.",
    )
    .ours(),
    int(
        "group_id",
        0,
        i64::MAX,
        0,
        "Above 0, the upstream is told with `didi-header-usergroup` and `didi-header-usergroupkey`; a client's own \
         are removed.",
    ),
];
