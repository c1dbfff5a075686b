//! `[module.rewrite]`: how `url_rewrite` is read, and prefixes that are taken off.

use crate::support::{Conf, Gateway, Origin, Service};

/// What the service sees for each target sent.
fn seen(table: &str, rewrite: &str, targets: &[&str]) -> Vec<String> {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).rewrite(rewrite).further(&format!("[module.rewrite]\n{table}\n"));
    let gateway = Gateway::start(&Conf::new().service(service));
    let mut client = gateway.connect();
    for target in targets {
        let request = format!("GET {target} HTTP/1.1\r\nHost: g\r\nX-Team: a/b\r\nCookie: uid=7; up=..\r\n\r\n");
        assert_eq!(client.ask(request).status(), 200, "{target}");
    }
    origin.expect_requests(targets.len()).iter().map(|seen| seen.target().to_owned()).collect()
}

#[test]
fn a_prefix_is_taken_off() {
    let targets = ["/svc/a/b?c", "/svc", "/svc/", "/svc?q"];
    assert_eq!(seen("strip_prefix = true", "", &targets), ["/a/b?c", "/", "/", "/?q"]);
}

#[test]
fn items_see_the_path_without_the_prefix_that_was_taken_off() {
    assert_eq!(seen("strip_prefix = true", "^/a(.*) /z$1,^/svc(.*) /no$1", &["/svc/a/b", "/svc/x"]), ["/z/b", "/x"]);
}

#[test]
fn in_sequence_each_item_sees_what_the_ones_before_have_made() {
    let items = "^/svc(.*) /one$1,^/one(.*) /two$1,b c";
    assert_eq!(seen("mode = \"sequence\"", items, &["/svc/b/b", "/svc"]), ["/two/c/c", "/two"]);
    assert_eq!(seen("mode = \"first\"", items, &["/svc/b/b"]), ["/one/b/b"]);
}

#[test]
fn a_path_that_no_item_of_a_sequence_changes_stays_as_it_came() {
    assert_eq!(seen("mode = \"sequence\"", "^/no(.*) $1", &["/svc/a%2Fb/%E5%95%86"]), ["/svc/a%2Fb/%E5%95%86"]);
}

#[test]
fn a_sequence_cannot_climb() {
    let seen = seen("mode = \"sequence\"", "^/svc/x(.*) /safe/$1,safe good", &["/svc/x../../a"]);
    assert!(seen.iter().all(|target| !target.contains("/..")), "{seen:?}");
}

#[test]
fn an_expression_composes_path_and_query() {
    let expression = "mode = \"expression\"";
    assert_eq!(
        seen(expression, "/v2$(origin.path)$(origin.query)", &["/svc/a?b=c", "/svc"]),
        ["/v2/svc/a?b=c", "/v2/svc"]
    );
    assert_eq!(
        seen(expression, "/u/$(origin.cookie.uid)/$(param.*)?t=$(origin.header.x-team)", &["/svc/a/b"]),
        ["/u/7/a/b?t=a%2Fb"]
    );
    assert_eq!(
        seen(expression, "/s?q=$(origin.query.q)&$(origin.query)", &["/svc?q=%26x%3D1&z"]),
        ["/s?q=%26x%3D1&q=%26x%3D1&z"]
    );
}

#[test]
fn an_expression_takes_the_parameters_of_a_pattern() {
    let origin = Origin::ok();
    let service = Service::matching("users", "url_pattern", "/users/(number):id/(string):tab", &origin);
    let service = service.rewrite("/$(param.tab)/$(param.id)?id=$(param.id)");
    let service = service.further("[module.rewrite]\nmode = \"expression\"\n");
    let gateway = Gateway::start(&Conf::new().service(service));
    assert_eq!(gateway.connect().get("/users/17/a%20b").status(), 200);
    assert_eq!(origin.only().target(), "/a%20b/17?id=17");
}

#[test]
fn a_value_that_would_make_the_path_climb_is_refused() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).rewrite("/safe/$(origin.cookie.up)/x");
    let gateway = Gateway::start(&Conf::new().service(service.further("[module.rewrite]\nmode = \"expression\"\n")));
    let mut client = gateway.connect();
    client.ask("GET /svc/a HTTP/1.1\r\nHost: g\r\nCookie: up=..\r\n\r\n").expect_end(400, "bad_rewrite");
    assert_eq!(client.ask("GET /svc/a HTTP/1.1\r\nHost: g\r\nCookie: up=a\r\n\r\n").status(), 200);
    assert_eq!(origin.only().target(), "/safe/a/x");
}

#[test]
fn an_expression_does_not_see_credentials() {
    let origin = Origin::ok();
    let service =
        Service::at("/svc", &[&origin]).rewrite("/x?s=$(origin.query.sign)&$(origin.query)").access("open", 1);
    let service = service.access("white_list", "127.0.0.1").further("[module.rewrite]\nmode = \"expression\"\n");
    let gateway = Gateway::start(&Conf::new().service(service));
    assert_eq!(gateway.connect().get("/svc?a=1&sign=secret").status(), 200);
    assert_eq!(origin.only().target(), "/x?s=&a=1");
}
