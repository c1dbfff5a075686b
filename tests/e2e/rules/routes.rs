//! Which service answers a path.

use crate::support::{Conf, Gateway, Origin, Service};

/// An origin that says its name.
fn named(name: &str) -> Origin {
    Origin::replying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()))
}

/// Who answered, or why nobody did.
fn who(gateway: &Gateway, target: &str) -> String {
    let answer = gateway.connect().get(target);
    if answer.status() == 200 { answer.text() } else { answer.reason().to_owned() }
}

#[test]
fn a_rule_matches_whole_segments() {
    let origin = named("svc");
    let gateway = Gateway::start(&Conf::of(&origin));
    for target in ["/svc", "/svc/", "/svc?q", "/svc/a/b", "/svc/?q=/other", "/svc/svcx"] {
        assert_eq!(who(&gateway, target), "svc", "{target}");
    }
    for target in
        ["/", "/svcx", "/svc.x", "/sv", "/SVC/a", "/x/svc", "/svc;x", "/svc%2Fa", "/%2Fsvc/a", "/svc/..", "/svc%20/a"]
    {
        assert_eq!(who(&gateway, target), "no_route", "{target}");
    }
}

#[test]
fn the_first_rule_of_the_file_wins_not_the_longest() {
    let (first, second, third) = (named("first"), named("second"), named("third"));
    let gateway = Gateway::start(
        &Conf::new()
            .service(Service::at("/a/b/c", &[&first]))
            .service(Service::at("/a", &[&second]))
            .service(Service::at("/a/b", &[&third])),
    );
    assert_eq!(who(&gateway, "/a/b/c/d"), "first");
    assert_eq!(who(&gateway, "/a/b/x"), "second");
    assert_eq!(who(&gateway, "/a/b"), "second");
    assert_eq!(who(&gateway, "/a"), "second");
    assert_eq!(who(&gateway, "/ab"), "no_route");
}

#[test]
fn a_service_may_have_several_rules() {
    let origin = named("both");
    let gateway =
        Gateway::start(&Conf::new().service(Service::at("/one", &[&origin]).rule("/two/deep", "^/two(.*) /2$1")));
    assert_eq!(who(&gateway, "/one/x"), "both");
    assert_eq!(who(&gateway, "/two/deep/x"), "both");
    assert_eq!(who(&gateway, "/two"), "no_route");
    let targets: Vec<_> = origin.expect_requests(2).iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/x", "/2/deep/x"]);
}

#[test]
fn only_paths_below_the_route_prefix_reach_a_service() {
    let (inside, outside) = (named("inside"), named("outside"));
    let gateway = Gateway::start(
        &Conf::new()
            .http("route_prefix", "/gate")
            .service(Service::at("/gate/svc", &[&inside]))
            .service(Service::at("/other", &[&outside])),
    );
    assert_eq!(who(&gateway, "/gate/svc/a"), "inside");
    assert_eq!(who(&gateway, "/other/a"), "no_route");
    assert_eq!(who(&gateway, "/gatex/svc"), "no_route");
    assert_eq!(gateway.connect().get("/ping").status(), 200, "the gateway's own paths are outside of it");
}

#[test]
fn rule_and_service_see_one_normalised_path() {
    let origin = named("svc");
    let gateway = Gateway::start(&Conf::of(&origin));
    let pairs = [
        ("/svc/./a", "/a"),
        ("/svc/a/../b", "/b"),
        ("/svc/a/%2e%2E/b", "/b"),
        ("/svc/%2e/b", "/b"),
        ("/x/../svc/a", "/a"),
        ("/%73vc/a", "/a"),
        ("/svc/%61", "/a"),
        ("/svc/a%2Fb", "/a%2Fb"),
        ("/svc/a%20b", "/a%20b"),
        ("/svc/a/.", "/a/"),
        ("/svc/a?b=../c", "/a?b=../c"),
        ("/svc/a;v=1", "/a;v=1"),
    ];
    for (sent, _) in pairs {
        assert_eq!(who(&gateway, sent), "svc", "{sent}");
    }
    let targets: Vec<_> = origin.expect_requests(pairs.len()).iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, pairs.map(|(_, seen)| seen));
    assert_eq!(who(&gateway, "/svc/../other"), "no_route");
}

#[test]
fn double_slashes_are_one_unless_the_file_keeps_them() {
    let origin = named("svc");
    let gateway = Gateway::start(&Conf::of(&origin).http("merge_slashes", false));
    assert_eq!(who(&gateway, "/svc//a"), "svc");
    assert_eq!(who(&gateway, "//svc/a"), "no_route");
    let merging = Gateway::start(&Conf::of(&origin));
    assert_eq!(who(&merging, "//svc///a"), "svc");
    let targets: Vec<_> = origin.expect_requests(2).iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["//a", "/a"]);
}

#[test]
fn a_thousand_services_find_their_own() {
    let origin = Origin::ok();
    let mut conf = Conf::new();
    for number in 0..1_000 {
        conf = conf.service(Service::at(&format!("/s/{number}"), &[&origin]).rewrite(""));
    }
    let gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    for number in [0, 1, 10, 499, 999] {
        assert_eq!(client.get(&format!("/s/{number}/x")).status(), 200);
        assert_eq!(origin.requests().pop().expect("it arrived").target(), format!("/s/{number}/x"));
    }
    assert_eq!(client.get("/s/1000/x").reason(), "no_route");
}
