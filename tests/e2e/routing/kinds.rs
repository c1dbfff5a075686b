//! How a rule compares paths, and which of several wins.

use super::{named, who};
use crate::support::{Conf, Gateway, Service};

#[test]
fn an_exact_rule_takes_its_path_and_no_other() {
    let (exact, below) = (named("exact"), named("below"));
    let gateway = Gateway::start(
        &Conf::new().service(Service::matching("exact", "url_exact", "/a/b", &exact)).service(Service::matching(
            "below",
            "url_prefix",
            "/a",
            &below,
        )),
    );
    for target in ["/a/b", "/a/b?q=1", "/a/./b", "/%61/b", "/a//b"] {
        assert_eq!(who(&gateway, target), "exact", "{target}");
    }
    for target in ["/a/b/", "/a/b/c", "/a/bc", "/a"] {
        assert_eq!(who(&gateway, target), "below", "{target}");
    }
}

#[test]
fn a_pattern_takes_segments_of_its_types() {
    let (number, list, rest) = (named("number"), named("list"), named("rest"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::matching("number", "url_pattern", "/users/(number):id", &number))
            .service(Service::matching("list", "url_pattern", "/users/(enum:me|all)/(string):what", &list))
            .service(Service::matching("rest", "url_pattern", "/files/*", &rest)),
    );
    for (target, wanted) in [
        ("/users/17", "number"),
        ("/users/17/", "number"),
        ("/users/x", "no_route"),
        ("/users/17/x", "no_route"),
        ("/users/me/posts", "list"),
        ("/users/you/posts", "no_route"),
        ("/users/all/%20", "list"),
        ("/files/a/b/c", "rest"),
        ("/files", "no_route"),
        ("/files/", "no_route"),
    ] {
        assert_eq!(who(&gateway, target), wanted, "{target}");
    }
}

#[test]
fn a_pattern_that_fails_late_leaves_the_path_to_another() {
    let (first, second, third) = (named("first"), named("second"), named("third"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::matching("first", "url_pattern", "/(number)/a", &first))
            .service(Service::matching("second", "url_pattern", "/(string)/(string)", &second))
            .service(Service::matching("third", "url_pattern", "/x/b/*", &third)),
    );
    assert_eq!(who(&gateway, "/7/a"), "first");
    assert_eq!(who(&gateway, "/7/b"), "second");
    assert_eq!(who(&gateway, "/x/b"), "second");
    assert_eq!(who(&gateway, "/x/b/c"), "third");
}

#[test]
fn an_expression_is_found_in_the_path() {
    let (api, php) = (named("api"), named("php"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::matching("api", "url_regex", r"^/v2/(users|orders)/\d{1,3}$", &api))
            .service(Service::matching("php", "url_regex", r"\.php$", &php)),
    );
    for (target, wanted) in [
        ("/v2/users/7", "api"),
        ("/v2/orders/123?x", "api"),
        ("/v2/orders/1234", "no_route"),
        ("/v2/x/7", "no_route"),
        ("/x/v2/users/7", "no_route"),
        ("/deep/down/index.php", "php"),
        ("/index.php/x", "no_route"),
        ("/x?file=index.php", "no_route"),
    ] {
        assert_eq!(who(&gateway, target), wanted, "{target}");
    }
}

#[test]
fn five_hundred_expressions_find_their_own() {
    let origin = named("found");
    let mut service = Service::matching("many", "url_regex", "^/r0/[a-z]+$", &origin);
    for number in 1..500 {
        service = service.rule(&format!("^/r{number}/[a-z]+$"), "").rule_key("type", "url_regex");
    }
    let gateway = Gateway::start(&Conf::new().service(service));
    for number in [0, 1, 250, 499] {
        assert_eq!(who(&gateway, &format!("/r{number}/abc")), "found");
        assert_eq!(who(&gateway, &format!("/r{number}/123")), "no_route");
    }
    assert_eq!(who(&gateway, "/r500/abc"), "no_route");
}

#[test]
fn the_first_rule_wins_whatever_its_kind() {
    let (regex, prefix, exact) = (named("regex"), named("prefix"), named("exact"));
    let conf = Conf::new()
        .service(Service::matching("regex", "url_regex", "^/a/[0-9]", &regex))
        .service(Service::matching("prefix", "url_prefix", "/a", &prefix))
        .service(Service::matching("exact", "url_exact", "/a/x", &exact));
    let gateway = Gateway::start(&conf);
    assert_eq!(who(&gateway, "/a/1"), "regex");
    assert_eq!(who(&gateway, "/a/x"), "prefix");
    let gateway = Gateway::start(&conf.http("route_order", "specific"));
    assert_eq!(who(&gateway, "/a/x"), "exact");
    assert_eq!(who(&gateway, "/a/1"), "prefix", "expressions come last");
}

#[test]
fn the_longest_prefix_wins_where_the_order_is_by_specificity() {
    let (short, long, every) = (named("short"), named("long"), named("every"));
    let gateway = Gateway::start(
        &Conf::new()
            .http("route_order", "specific")
            .service(Service::matching("every", "url_prefix", "/", &every))
            .service(Service::matching("short", "url_prefix", "/v2", &short))
            .service(Service::matching("long", "url_prefix", "/v2/users", &long)),
    );
    assert_eq!(who(&gateway, "/v2/users/7"), "long");
    assert_eq!(who(&gateway, "/v2/user"), "short");
    assert_eq!(who(&gateway, "/v3"), "every");
}

#[test]
fn a_higher_priority_comes_before_the_order_of_the_file() {
    let (first, second, last) = (named("first"), named("second"), named("last"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::matching("last", "url_prefix", "/a", &last).rule_key("priority", -1))
            .service(Service::matching("second", "url_prefix", "/a/b", &second))
            .service(Service::matching("first", "url_prefix", "/a/b/c", &first).rule_key("priority", 5)),
    );
    assert_eq!(who(&gateway, "/a/b/c"), "first");
    assert_eq!(who(&gateway, "/a/b/x"), "second");
    assert_eq!(who(&gateway, "/a/x"), "last");
}
