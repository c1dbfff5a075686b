//! `url_rewrite`: GateKeeper's language, seen from the service.

use crate::support::{Conf, Gateway, Origin, Service};

/// What the service sees for each target sent, under one `url_rewrite`.
fn rewritten(rewrite: &str, targets: &[&str]) -> Vec<String> {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::new().service(Service::at("/svc", &[&origin]).rewrite(rewrite)));
    let mut client = gateway.connect();
    for target in targets {
        assert_eq!(client.get(target).status(), 200, "{target}");
    }
    origin.expect_requests(targets.len()).iter().map(|seen| seen.target().to_owned()).collect()
}

#[test]
fn without_a_rewrite_the_path_stays() {
    assert_eq!(rewritten("", &["/svc/a?b", "/svc"]), ["/svc/a?b", "/svc"]);
}

#[test]
fn a_group_takes_the_prefix_off() {
    assert_eq!(rewritten("^/svc(.*) $1", &["/svc/a/b?c=d", "/svc/"]), ["/a/b?c=d", "/"]);
}

#[test]
fn a_rewrite_to_nothing_is_the_root() {
    assert_eq!(rewritten("^/svc(.*) $1", &["/svc", "/svc?a=b"]), ["/", "/?a=b"]);
}

#[test]
fn groups_by_number_and_by_name() {
    assert_eq!(rewritten("^/svc/(?P<who>[a-z]+)/(.*) /${who}-x/$2/${2}y", &["/svc/me/a"]), ["/me-x/a/ay"]);
}

#[test]
fn a_number_followed_by_letters_is_a_name_and_empty() {
    assert_eq!(rewritten("^/svc/(.*) /$1abc/${1}abc", &["/svc/x"]), ["//xabc"]);
}

#[test]
fn a_group_the_pattern_does_not_have_is_empty() {
    assert_eq!(rewritten("^/svc/(.*) /b$2/${who}$1", &["/svc/x"]), ["/b/x"]);
}

#[test]
fn an_item_of_another_shape_is_ignored() {
    let rewrite = "^/svc(.*), ^/svc(.*) /one$1,^/svc(.*)  /two$1,^/svc(.*) /three$1";
    assert_eq!(rewritten(rewrite, &["/svc/a"]), ["/three/a"]);
}

#[test]
fn the_first_item_that_changes_the_path_wins() {
    let rewrite = "^/nothing(.*) /0$1,^/svc/a(.*) /1$1,^/svc(.*) /2$1,^/1(.*) /3$1";
    assert_eq!(rewritten(rewrite, &["/svc/a/x", "/svc/b"]), ["/1/x", "/2/b"]);
}

#[test]
fn an_item_that_matches_without_changing_does_not_win() {
    assert_eq!(rewritten("^/svc /svc,^/svc(.*) /two$1", &["/svc/a"]), ["/two/a"]);
}

#[test]
fn an_item_replaces_every_match() {
    assert_eq!(rewritten("a b", &["/svc/aXaXa"]), ["/svc/bXbXb"]);
}

#[test]
fn the_query_is_never_rewritten() {
    assert_eq!(rewritten("svc new", &["/svc/a?svc=svc"]), ["/new/a?svc=svc"]);
}

#[test]
fn a_rewrite_sees_the_decoded_path_and_the_service_an_encoded_one() {
    assert_eq!(rewritten("^/svc/a b(.*) /ab$1", &["/svc/a%20b/c"]), ["/svc/a%20b/c"], "two spaces: no item");
    assert_eq!(rewritten("^/svc/a.b(.*) /ab$1", &["/svc/a%20b/c%20d"]), ["/ab/c%20d"]);
}

#[test]
fn a_rewrite_cannot_inject_a_line_or_a_query() {
    let seen = rewritten("^/svc/(.*) /$1", &["/svc/a%3Fb", "/svc/a%23b"]);
    assert_eq!(seen, ["/a%3Fb", "/a%23b"]);
}

#[test]
fn a_rewrite_cannot_make_a_target_of_another_form() {
    let seen = rewritten("^/svc/(.*) $1", &["/svc/http://evil.test/x", "/svc/*", "/svc/evil.test:80", "/svc/a"]);
    for target in &seen {
        assert!(target.starts_with('/'), "{seen:?}");
    }
}

#[test]
fn a_rewrite_cannot_climb() {
    let seen = rewritten("^/svc/x(.*) /safe/$1", &["/svc/x..", "/svc/x../a", "/svc/x.", "/svc/x%2e%2e/b"]);
    for target in &seen {
        let climbs = target.split('/').any(|segment| segment == ".." || segment == ".");
        assert!(!climbs, "the service would resolve {target} outside of what the rule says");
    }
}
