//! What the index answers, and that it answers as trying one rule after another does.

use httparse::Header;
use proptest::prelude::*;

use super::*;
use crate::wall::condition::Condition;

fn route(kind: Kind, rule: &str) -> Route {
    let (service, demands, rewrite) = (ServiceId(0), Demands::default(), Rewrite::default());
    Route { service, kind, rule: rule.as_bytes().into(), demands, priority: 0, number: 0, rewrite }
}

fn prefixes(rules: &[impl AsRef<str>]) -> Routes {
    build(rules.iter().map(|rule| route(Kind::Prefix, rule.as_ref())).collect())
}

fn build(routes: Vec<Route>) -> Routes {
    Routes::build(routes).expect("small expressions")
}

fn position(routes: &Routes, path: &str) -> Option<usize> {
    routes.position(&Asked::get(path.as_bytes()), &mut RouteScratch::default())
}

/// A pattern of segments as files write them, without their names.
fn pattern(text: &str) -> Route {
    let segment = |text: &str| match text {
        "(number)" => Segment::Number,
        "(string)" => Segment::Text,
        "*" => Segment::Rest,
        "(ab)" => Segment::OneOf([(*b"a").into(), (*b"b").into()].into()),
        _ => Segment::Constant(text.as_bytes().into()),
    };
    let segments = text.split('/').skip(1).map(|text| (segment(text), None)).collect();
    route(Kind::Pattern(Pattern::new(segments)), text)
}

#[test]
fn a_rule_matches_itself_and_what_lies_below_it_only() {
    let routes = prefixes(&["/gatekeeper/test_http"]);
    assert_eq!(position(&routes, "/gatekeeper/test_http"), Some(0));
    assert_eq!(position(&routes, "/gatekeeper/test_http/"), Some(0));
    assert_eq!(position(&routes, "/gatekeeper/test_http/a/b"), Some(0));
    assert_eq!(position(&routes, "/gatekeeper/test_http2"), None);
    assert_eq!(position(&routes, "/gatekeeper"), None);
    assert_eq!(position(&routes, "/"), None);
}

#[test]
fn the_order_decides_not_length() {
    assert_eq!(position(&prefixes(&["/a", "/a/b"]), "/a/b/c"), Some(0));
    assert_eq!(position(&prefixes(&["/a/b", "/a"]), "/a/b/c"), Some(0));
    assert_eq!(position(&prefixes(&["/a/b", "/a"]), "/a/c"), Some(1));
}

#[test]
fn the_first_of_two_equal_rules_wins() {
    assert_eq!(position(&prefixes(&["/x", "/a", "/a"]), "/a"), Some(1));
}

#[test]
fn the_empty_rule_takes_what_no_earlier_rule_takes() {
    let routes = prefixes(&["/a", "", "/b"]);
    assert_eq!(position(&routes, "/a/1"), Some(0));
    assert_eq!(position(&routes, "/b"), Some(1));
    assert_eq!(position(&routes, "*"), Some(1));
}

#[test]
fn no_rules_no_route() {
    assert_eq!(position(&Routes::default(), "/"), None);
}

#[test]
fn five_thousand_rules_all_find_their_own() {
    let rules: Vec<_> = (0..5_000).map(|n| format!("/gatekeeper/service_{n}")).collect();
    let routes = prefixes(&rules);
    for (n, rule) in rules.iter().enumerate() {
        assert_eq!(position(&routes, &format!("{rule}/x/y")), Some(n));
    }
}

#[test]
fn patterns_go_back_and_try_again() {
    // The two cases that a tree which takes the first branch gets wrong.
    let routes = build(vec![pattern("/(number)/a"), pattern("/(string)/(string)"), pattern("/(string)")]);
    assert_eq!(position(&routes, "/7/a"), Some(0));
    assert_eq!(position(&routes, "/7/b"), Some(1));
    assert_eq!(position(&routes, "/x/a"), Some(1));
    assert_eq!(position(&routes, "/7"), Some(2));
    let routes = build(vec![pattern("/a/b/c"), pattern("/a/*")]);
    assert_eq!(position(&routes, "/a/b/c"), Some(0));
    assert_eq!(position(&routes, "/a/b/d"), Some(1));
    assert_eq!(position(&routes, "/a"), None);
}

#[test]
fn two_lists_at_the_same_place_keep_their_own_values() {
    let list = |texts: &[&str]| {
        let texts = texts.iter().map(|text| text.as_bytes().into()).collect();
        route(Kind::Pattern(Pattern::new(vec![(Segment::OneOf(texts), None)])), "")
    };
    let routes = build(vec![list(&["a", "b"]), list(&["c", "d"])]);
    assert_eq!(position(&routes, "/b"), Some(0));
    assert_eq!(position(&routes, "/c"), Some(1));
    assert_eq!(position(&routes, "/e"), None);
}

#[test]
fn a_lookup_comes_to_each_node_once_however_often_it_goes_back() {
    // Each segment of the path fits a constant and a type: 2^15 ways for a search that would go each.
    let rules: Vec<_> = (0..15)
        .flat_map(|n| {
            ["(string)", "a"].map(|kind| pattern(&format!("{}/{kind}{}/x", "/a".repeat(n), "/a".repeat(14 - n))))
        })
        .collect();
    let routes = build(rules);
    let path = format!("{}/x", "/a".repeat(15));
    let mut looked_at = 0;
    let root = routes.anywhere.expect("rules without hosts");
    routes.tree.find(root, path.as_bytes(), NONE, |_| {
        looked_at += 1;
        false
    });
    assert_eq!(looked_at, routes.all().len());
    assert_eq!(position(&routes, &path), Some(0));
}

#[test]
fn expressions_are_found_in_the_path_unless_they_say_where() {
    let regex = |text| route(Kind::Regex, text);
    let routes = build(vec![regex(r"^/v2/(users|orders)/\d+$"), regex(r"\.php$"), route(Kind::Prefix, "/v2")]);
    assert_eq!(position(&routes, "/v2/users/17"), Some(0));
    assert_eq!(position(&routes, "/v2/users/x"), Some(2));
    assert_eq!(position(&routes, "/v2/x.php"), Some(1));
    assert_eq!(position(&routes, "/x.php/y"), None);
    let decoded = build(vec![regex("^/caf\u{e9} [0-9]{1,2}$")]);
    assert_eq!(position(&decoded, "/caf%C3%A9%2012"), Some(0), "in the form that rewrites see");
}

#[test]
fn an_earlier_rule_that_takes_all_of_a_later_one_is_its_shadow() {
    let get = |kind, rule, methods: &[&str]| {
        let demands = Demands { methods: Methods::of(methods), ..Demands::default() };
        Route { demands, ..route(kind, rule) }
    };
    let routes = build(vec![
        route(Kind::Prefix, "/a"),
        route(Kind::Prefix, "/a/b"),
        route(Kind::Exact, "/a"),
        pattern("/a/(number)"),
        get(Kind::Prefix, "/c", &["GET"]),
        get(Kind::Prefix, "/c/d", &["GET"]),
        get(Kind::Prefix, "/c/d", &["GET", "POST"]),
        pattern("/(string)/x"),
        route(Kind::Exact, "/d/x"),
        pattern("/d/(number)"),
    ]);
    let shadows: Vec<_> = (0..routes.all().len()).map(|position| routes.shadow(position)).collect();
    let of_a = Some(0);
    assert_eq!(shadows, [None, of_a, of_a, of_a, None, Some(4), None, None, Some(7), None]);
}

/// One rule of the property: its kind and text, and what it demands.
fn any_route() -> impl Strategy<Value = Route> {
    let constants = "(/[ab]{0,2}){0,4}";
    let path = prop_oneof![
        constants.prop_map(|rule| route(Kind::Prefix, rule.trim_end_matches('/'))),
        constants.prop_map(|rule| route(Kind::Exact, &rule)),
        "(/(a|b|ab|7|\\(number\\)|\\(string\\)|\\(ab\\))){0,4}(/\\*)?".prop_map(|rule| pattern(&rule)),
        "\\^?/?[ab7]{0,2}(/|/\\.\\*|\\[ab\\]\\+)?[ab]?\\$?".prop_map(|rule| route(Kind::Regex, &rule)),
    ];
    let hosts = prop::collection::vec(
        prop_oneof![Just("x.y"), Just(".x.y"), Just(".y"), Just("z")].prop_map(|host| match host.as_bytes() {
            tail @ [b'.', ..] => Host::Below(tail.into()),
            name => Host::Name(name.into()),
        }),
        0..2,
    );
    let methods = prop::sample::subsequence(vec!["GET", "POST", "PURGE"], 0..3);
    let conditions = prop::sample::subsequence(vec!["header.a == 1", "cookie.c ~ ^x", "query.q > 1"], 0..2);
    let filter = (hosts, methods, conditions);
    (path, filter, prop::bool::ANY).prop_map(|(route, (hosts, methods, conditions), plain)| {
        let conditions = conditions.into_iter().map(|text| Condition::parse(text).expect(text)).collect();
        let demands = Demands { hosts: hosts.into(), methods: Methods::of(&methods), conditions };
        Route { demands: if plain { Demands::default() } else { demands }, ..route }
    })
}

/// What a request says: path, host, method, query, and fields by number.
fn any_request() -> impl Strategy<Value = (String, &'static str, &'static str, &'static str, usize)> {
    (
        "(/(a|b|ab|7|[ab7/]{0,3})){0,5}/?|\\*",
        prop::sample::select(vec!["x.y", "a.X.Y:80", "b.a.x.y", "z", "z.", "other", "", ".x.y"]),
        prop::sample::select(vec!["GET", "POST", "PURGE", "PROPFIND", "OPTIONS"]),
        prop::sample::select(vec!["", "q=2", "q=1"]),
        0..3_usize,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_trying_one_rule_after_another(
        rules in prop::collection::vec(any_route(), 0..14),
        requests in prop::collection::vec(any_request(), 1..12),
    ) {
        let routes = build(rules);
        let mut scratch = RouteScratch::default();
        let fields = [
            Header { name: "A", value: b"1" },
            Header { name: "Cookie", value: b"c=xy" },
        ];
        for (path, host, method, query, skipped) in &requests {
            let parts = Parts { query: Some(query.as_bytes()), fields: &fields[*skipped.min(&2)..] };
            let asked = Asked { parts, ..Asked::new(method.as_bytes(), host.as_bytes(), path.as_bytes()) };
            let tried = routes.all().iter().position(|route| route.takes(&asked));
            prop_assert_eq!(routes.position(&asked, &mut scratch), tried, "{:?}", asked);
        }
    }

    #[test]
    fn what_has_a_shadow_is_never_found(
        rules in prop::collection::vec(any_route(), 0..14),
        paths in prop::collection::vec(any_request(), 1..12),
    ) {
        let routes = build(rules);
        for (path, host, method, query, _) in &paths {
            let parts = Parts { query: Some(query.as_bytes()), fields: &[] };
            let asked = Asked { parts, ..Asked::new(method.as_bytes(), host.as_bytes(), path.as_bytes()) };
            if let Some(found) = routes.position(&asked, &mut RouteScratch::default()) {
                prop_assert_eq!(routes.shadow(found), None, "{:?}", routes.all());
            }
        }
    }
}
