//! module.toml: what a service's requests and answers are given, held to and answered with.

use super::{Key, Kind, Preset, Status, Table, Zero, commas, flag, int, list, text, word};

pub(super) const REWRITE: Table = Table::one(
    "rewrite",
    &[
        word(
            "mode",
            &["first", "sequence", "expression"],
            "first",
            "What `url_rewrite` means in this module's rules. `first`: each item sees the path that came, and the first \
             that changes it wins, as in GateKeeper. `sequence`: each item sees what the ones before it have made, as in \
             go_gateway. `expression`: it is one target with parts of the request in it, such as \
             `/v2$(origin.path)$(origin.query)`, as in manba; docs/shaping.md lists the parts.",
        )
        .ours(),
        flag(
            "strip_prefix",
            false,
            "Takes the rule's prefix off the path before anything else; what is left of nothing is `/`.",
        )
        .ours(),
    ],
    "What becomes of the target of a request.",
)
.status(Status::New);

pub(super) const HEADER: Table = Table::one(
    "header",
    &[
        word("on", &["request", "response"], "request", "Whether requests or answers are edited, our own answers included.")
            .ours(),
        word(
            "action",
            &["set", "add", "delete"],
            "set",
            "`set`: the field takes the place of all of its name. `add`: it stands beside them. `delete`: none of the \
             name goes on.",
        )
        .ours(),
        text(
            "name",
            "",
            "The field. What frames a message, rules one hop or says who the client is cannot be edited; for `Host` there \
             is `base.host`.",
        )
        .required()
        .example("X-Env")
        .ours(),
        text(
            "value",
            "",
            "Its value, which may hold parts of the request, such as `$(client.address)`; docs/shaping.md lists them.",
        )
        .example("blue")
        .ours(),
    ],
    "A field that is set, added or deleted. The rules hold in the order of the file, the last word on a name last.",
)
.many()
.status(Status::New);

pub(super) const CORS: Table = Table::one(
    "cors",
    &[
        commas(
            "allow_origins",
            "Origins whose pages may read the answers: `https://app.example.com`, `https://*.example.com` (every host \
             below), `null`, or `*` for all. With it the gateway answers preflights itself, and `Access-Control-*` fields \
             of the service are replaced. Empty: all this is left to the service.",
        )
        .example("https://app.example.com")
        .ours(),
        text("allow_methods", "GET, HEAD, POST", "Methods that such a page may use; `*` is whatever it asks for.")
            .example("GET, PUT")
            .ours(),
        text("allow_headers", "", "Header fields that such a page may send; `*` is whatever it asks for.")
            .example("Content-Type, X-Token")
            .ours(),
        text("expose_headers", "", "Header fields of an answer that such a page may read.").example("X-Total").ours(),
        flag(
            "allow_credentials",
            false,
            "Whether such a page may send cookies and credentials along. Not together with the origin `*`.",
        )
        .ours(),
        int("max_age", 1, 86_400, 600, "How long a browser may remember the answer to a preflight.")
            .unit("s")
            .zero(Zero::Means("not at all"))
            .ours(),
    ],
    "Cross-origin requests of browsers (CORS).",
)
.status(Status::New);

pub(super) const VALIDATION: Table = Table::one(
    "validation",
    &[
        text(
            "part",
            "",
            "What is looked at: `query.NAME`, `header.NAME`, `cookie.NAME`, or `json.a.b` for a value in a JSON body, \
             which is then read first (`base.read_body_bytes_max`).",
        )
        .required()
        .example("query.page")
        .ours(),
        flag(
            "required",
            false,
            "Whether a request without it is refused; else only what is there is held to `matches`.",
        )
        .ours(),
        list(
            "matches",
            "Regular expressions, all of which the value must match somewhere; `^` and `$` make it the whole.",
        )
        .example("[\"^[0-9]+$\"]")
        .ours(),
    ],
    "What a request must have. One that has not is answered 400, before an endpoint is asked.",
)
.many()
.status(Status::New);

pub(super) const DEFAULT_ANSWER: Table = Table::one(
    "default_answer",
    &[
        word(
            "when",
            &["off", "failure", "always"],
            "off",
            "`failure`: it is given in place of the gateway's own answer where every endpoint has failed, before a byte \
             of an answer came. `always`: no endpoint is asked, though every rule of the module holds.",
        )
        .ours(),
        int("status", 200, 599, 200, "Its status.").ours(),
        text("content_type", "application/json; charset=utf-8", "Its `Content-Type`.").example("text/plain").ours(),
        Key::of("body", Kind::Text, Preset::Text(""), "Its body, 60,000 bytes at most.").example("{}").ours(),
    ],
    "An answer of the gateway's for this module: a stand-in for a service that fails, or is not there yet.",
)
.status(Status::New);
