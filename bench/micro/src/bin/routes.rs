//! Looking up a route among 5,000, next to the `matchit` crate on what both can express.
//!
//! `cargo run --profile micro -p bench-micro --bin routes`; ends with 1 where a ratio is above its bound. Before anything is
//! measured, both are asked for every path and must give the same route.

use std::process::ExitCode;

use bench_micro::{Candidate, Numbers, judge};
use gatekeeper::ids::ServiceId;
use gatekeeper::wall::rewrite::Rewrite;
use gatekeeper::wall::routes::{Asked, Demands, Host, Kind, Methods, Pattern, Route, RouteScratch, Routes, Segment};

const ROUTES: usize = 5_000;
const EXPRESSIONS: usize = 500;
const HOSTS: usize = 100;
const PATHS: usize = 20_000;
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

/// One segment of a made-up route.
#[derive(Clone, PartialEq)]
enum Part {
    Text(String),
    /// Anything.
    Any,
    /// Everything that follows.
    Rest,
}

/// A made-up route: `/api/orders12/items/…`.
type Parts = Vec<Part>;

const WORDS: [&str; 16] = [
    "users", "orders", "items", "carts", "search", "profile", "images", "reviews", "payments", "events", "teams",
    "reports", "tags", "likes", "files", "admin",
];

/// Half of them constant, two in five with one or two parameters, one in ten with an open end.
fn made_up(numbers: &mut Numbers) -> Vec<Parts> {
    let mut all: Vec<Parts> = Vec::new();
    while all.len() < ROUTES {
        let word = |numbers: &mut Numbers| Part::Text(WORDS[numbers.below(WORDS.len())].to_owned());
        let service = format!("{}{}", WORDS[numbers.below(WORDS.len())], numbers.below(80));
        let mut parts = vec![Part::Text("api".into()), Part::Text(service), word(numbers)];
        match numbers.below(10) {
            0..5 => parts.extend([word(numbers), word(numbers)]),
            5..7 => parts.extend([Part::Any, word(numbers)]),
            7..9 => parts.extend([Part::Any, word(numbers), Part::Any]),
            _ => parts.extend([word(numbers), Part::Rest]),
        }
        // Where constants and parameters meet, the two have different ideas of who comes first.
        let clashes = |known: &Parts| {
            known.iter().zip(&parts).all(|pair| match pair {
                (Part::Text(one), Part::Text(other)) => one == other,
                _ => true,
            })
        };
        if !all.iter().any(clashes) {
            all.push(parts);
        }
    }
    all
}

/// The path of a request that a route takes.
fn path(parts: &Parts, numbers: &mut Numbers) -> String {
    let mut path = String::new();
    for part in parts {
        path.push('/');
        match part {
            Part::Text(text) => path += text,
            Part::Any => path += &(100_000 + numbers.below(900_000)).to_string(),
            Part::Rest => path += &format!("{}/{}.png", numbers.below(1_000), numbers.below(1_000)),
        }
    }
    path
}

/// Four of five are of some route; the others lead nowhere, most of them late.
fn paths(routes: &[Parts], numbers: &mut Numbers) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for number in 0..PATHS {
        let route = numbers.below(routes.len());
        let mut path = path(&routes[route], numbers);
        if number % 5 == 0 {
            path += "/nowhere";
        }
        all.push((route, path));
    }
    numbers.shuffle(&mut all);
    all
}

/// For `matchit`.
fn theirs(routes: &[Parts]) -> matchit::Router<usize> {
    let mut router = matchit::Router::new();
    for (number, parts) in routes.iter().enumerate() {
        let mut text = String::new();
        for (place, part) in parts.iter().enumerate() {
            text += &match part {
                Part::Text(segment) => format!("/{segment}"),
                Part::Any => format!("/{{p{place}}}"),
                Part::Rest => "/{*rest}".to_owned(),
            };
        }
        router.insert(text, number).expect("routes that do not clash");
    }
    router
}

/// For the gateway.
fn ours(routes: &[Parts], demands: impl Fn(usize) -> Demands, is_expression: impl Fn(usize) -> bool) -> Routes {
    let route = |(number, parts): (usize, &Parts)| {
        let (kind, rule) = if is_expression(number) { expression(parts) } else { pattern(parts) };
        let service = ServiceId(u32::try_from(number).expect("few"));
        Route { service, kind, rule, demands: demands(number), priority: 0, number, rewrite: Rewrite::default() }
    };
    Routes::build(routes.iter().enumerate().map(route).collect()).expect("small expressions")
}

fn pattern(parts: &Parts) -> (Kind, Box<[u8]>) {
    let text = |part: &Part| if let Part::Text(text) = part { format!("/{text}") } else { String::new() };
    if parts.iter().all(|part| matches!(part, Part::Text(_))) {
        return (Kind::Exact, parts.iter().map(text).collect::<String>().into_bytes().into());
    }
    let segment = |part: &Part| match part {
        Part::Text(text) => Segment::Constant(text.as_bytes().into()),
        Part::Any => Segment::Text,
        Part::Rest => Segment::Rest,
    };
    let segments = parts.iter().map(|part| (segment(part), None)).collect();
    (Kind::Pattern(Pattern::new(segments)), Box::default())
}

fn expression(parts: &Parts) -> (Kind, Box<[u8]>) {
    let mut text = "^".to_owned();
    for part in parts {
        text += &match part {
            Part::Text(segment) => format!("/{segment}"),
            Part::Any => "/[0-9]+".to_owned(),
            Part::Rest => "/.+".to_owned(),
        };
    }
    (Kind::Regex, (text + "$").into_bytes().into())
}

fn demands(number: usize) -> Demands {
    let host = Host::Name(host(number).into_bytes().into());
    let methods = Methods::of(&[METHODS[number % METHODS.len()]]);
    Demands { hosts: [host].into(), methods, ..Demands::default() }
}

fn host(number: usize) -> String {
    format!("shop{}.example.com", number % HOSTS)
}

/// Prefixes, as GateKeeper's files have them: `matchit` needs two routes for each.
fn prefixes(routes: &[Parts]) -> (matchit::Router<usize>, Routes, Vec<String>) {
    let texts: Vec<_> = (0..routes.len()).map(|number| format!("/gatekeeper/{}{number}", WORDS[number % 16])).collect();
    let mut router = matchit::Router::new();
    for (number, text) in texts.iter().enumerate() {
        router.insert(text.clone(), number).expect("each is another");
        router.insert(format!("{text}/{{*rest}}"), number).expect("each is another");
    }
    let route = |(number, text): (usize, &String)| Route {
        service: ServiceId(u32::try_from(number).expect("few")),
        kind: Kind::Prefix,
        rule: text.as_bytes().into(),
        demands: Demands::default(),
        priority: 0,
        number,
        rewrite: Rewrite::default(),
    };
    let routes = Routes::build(texts.iter().enumerate().map(route).collect()).expect("no expressions");
    (router, routes, texts)
}

fn main() -> ExitCode {
    let numbers = &mut Numbers::new(7);
    let routes = made_up(numbers);
    let paths = paths(&routes, numbers);
    let hosts: Vec<_> = paths.iter().map(|(route, _)| host(*route)).collect();
    let router = theirs(&routes);
    let plain = ours(&routes, |_| Demands::default(), |_| false);
    let demanding = ours(&routes, demands, |_| false);
    let step = ROUTES / EXPRESSIONS;
    let mixed = ours(&routes, |_| Demands::default(), |number| number % step == 0);

    let full = |(number, host): (usize, &'_ String)| -> (String, String, usize) {
        let (route, path) = &paths[number];
        (path.clone(), host.clone(), *route)
    };
    let requests: Vec<_> = hosts.iter().enumerate().map(full).collect();
    let asked: Vec<Asked<'_>> = requests
        .iter()
        .map(|(path, host, route)| {
            Asked::new(METHODS[route % METHODS.len()].as_bytes(), host.as_bytes(), path.as_bytes())
        })
        .collect();
    let scratch = &mut RouteScratch::default();
    for (asked, (_, path)) in asked.iter().zip(&paths) {
        let wanted = router.at(path).ok().map(|found| *found.value);
        for (name, routes) in [("plain", &plain), ("demanding", &demanding), ("mixed", &mixed)] {
            assert_eq!(routes.position(asked, scratch), wanted, "{name}: {path}");
        }
    }

    let (prefix_router, prefix_routes, texts) = prefixes(&routes);
    let below: Vec<_> = (0..PATHS).map(|_| format!("{}/v1/things/7", texts[numbers.below(texts.len())])).collect();
    let below_asked: Vec<_> = below.iter().map(|path| Asked::get(path.as_bytes())).collect();
    for (asked, path) in below_asked.iter().zip(&below) {
        assert_eq!(prefix_routes.position(asked, scratch), prefix_router.at(path).ok().map(|found| *found.value));
    }

    let lookups = |routes: &'_ Routes, asked: &[Asked<'_>], scratch: &mut RouteScratch| {
        asked.iter().filter_map(|asked| routes.position(asked, scratch)).sum::<usize>()
    };
    let matched = |router: &matchit::Router<usize>, paths: &mut dyn Iterator<Item = &String>| {
        paths.filter_map(|path| router.at(path).ok().map(|found| *found.value)).sum::<usize>()
    };
    let mut memory: [RouteScratch; 4] = Default::default();
    let [one, two, three, four] = &mut memory;
    let candidates = vec![
        Candidate::new("matchit, 5,000 routes", || matched(&router, &mut paths.iter().map(|(_, path)| path))),
        Candidate::new("the same routes here", || lookups(&plain, &asked, one)).at_most(1.0, 0),
        Candidate::new("the same, each for a host and a method", || lookups(&demanding, &asked, two)).at_most(1.5, 0),
        Candidate::new("the same, 500 of them expressions", || lookups(&mixed, &asked, three)).at_most(5.0, 0),
        Candidate::new("matchit, 5,000 prefixes as two routes each", || matched(&prefix_router, &mut below.iter())),
        Candidate::new("the same prefixes here", || lookups(&prefix_routes, &below_asked, four)).at_most(1.0, 4),
    ];
    judge(candidates, PATHS)
}
