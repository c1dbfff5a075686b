//! `[[module.match_rule]]` and `[[module.split]]`: which requests are a service's.

use super::{Key, commas, int, list, share, text, word};

pub(super) const MATCH_RULE: &[Key] = &[
    word(
        "type",
        &["url_prefix", "url_exact", "url_pattern", "url_regex"],
        "url_prefix",
        "How `rule` is compared: as a prefix by whole segments, as the whole path, as a pattern of segments, or as a \
         regular expression.",
    ),
    text(
        "rule",
        "",
        "`url_prefix`: a path prefix, by whole segments: `/a` matches `/a` and `/a/b`, not `/ab`; empty matches every \
         path. `url_exact`: a path. `url_pattern`: segments, of which some are `(number)`, `(string)` or \
         `(enum:a|b)`, each with a name after a colon if you like, such as `/users/(number):id`; a last `*` is one or more \
         further segments; one slash at the end makes no difference. `url_regex`: an expression in Go's syntax, \
         found anywhere in the path unless it says `^` or `$`. Compared with the path as the gateway normalises it: \
         escapes of ordinary characters decoded, `.` and `..` resolved.",
    )
    .example("/orders"),
    text("rule_ext", "", "GateKeeper's unused text.").ignored("GateKeeper never used it"),
    text(
        "url_rewrite",
        "",
        "What becomes of the path: items `pattern replacement`, divided by commas, so neither may contain a comma \
         or a space. Each pattern is a regular expression tried on the original path, all its matches are replaced, \
         and the first item that changes the path wins. `$1`, `${1}` and `${name}` insert groups; write `${1}x`, \
         because `$1x` is the group named `1x`. As in GateKeeper, a group that there is not is empty and an item \
         that is not a pattern, one space and a replacement is ignored; both are warned about. The query is never \
         touched.",
    )
    .example("^/orders(.*) $1"),
    commas(
        "host",
        "Only requests for one of these hosts: names, or `*.example.com` for everything below example.com. Compared \
         without case and port. Absent: any host.",
    )
    .example("api.example.com,*.shop.example.com")
    .ours(),
    commas(
        "method",
        "Only requests with one of these methods. `GET` does not mean `HEAD`. A preflight (`OPTIONS` with \
         `Access-Control-Request-Method`) goes where the request that it announces will. Absent: any method.",
    )
    .example("GET,HEAD")
    .ours(),
    list(
        "conditions",
        "Only requests that fulfil all of these: `header.NAME`, `cookie.NAME` or `query.NAME`, an operator, a value. \
         `==` and `!=` compare texts, `<`, `<=`, `>` and `>=` whole numbers, `in` takes several texts divided by \
         commas, `~` an expression found anywhere. What the request does not have fulfils `!=` only.",
    )
    .example("[\"header.x-version >= 2\", \"cookie.group in a, b\"]")
    .ours(),
    int(
        "priority",
        -1_000_000,
        1_000_000,
        0,
        "Rules with a higher one are tried before all others. Among equals `http.route_order` decides.",
    )
    .ours(),
];

pub(super) const SPLIT: &[Key] = &[
    text("service", "", "The other service's `name`; an http service. To the service itself a split has no effect.")
        .required()
        .example("orders")
        .ours(),
    share("share", 0, "How much of the requests it gets, from 0 to 1: 0.05 is one request of twenty.")
        .required()
        .example("0.05")
        .ours(),
    text(
        "sticky",
        "",
        "What stays together: `client` (the client's address, IPv6 by /64), `header.NAME`, `cookie.NAME` or \
         `query.NAME`. Requests with the same value go to the same side, on every core, machine and after every \
         restart; without the value the client's address counts. Absent: each request is dealt anew. All splits of a \
         service have the same.",
    )
    .example("cookie.uid")
    .ours(),
    list("conditions", "Only of requests that fulfil all of these, as in `[[module.match_rule]]`.")
        .example("[\"header.x-beta == 1\"]")
        .ours(),
];
