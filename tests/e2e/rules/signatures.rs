//! Tenants that sign their requests: what a signature covers, for how long it holds, and that it holds once.

use std::process::Command;
use std::time::Duration;

use crate::support::conf::App;
use crate::support::message::text;
use crate::support::sign::Signing;
use crate::support::wire::Gone;
use crate::support::{Conf, Gateway, Origin, Service};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn app() -> App {
    App::new("shop", SECRET).set("sign_method", "hmac-sha256")
}

fn conf(origin: &Origin) -> Conf {
    Conf::new().service(Service::at("/svc", &[origin]).access("open", 1)).app(app())
}

fn signed(method: &str, target: &str, body: &str) -> Signing {
    Signing::of("shop", SECRET, method, target, body)
}

#[test]
fn a_signed_request_is_its_tenants() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let mut client = gateway.connect();
    assert_eq!(client.ask(signed("GET", "/svc/a%20b?x=1&y=%2F", "").request()).status(), 200);
    assert_eq!(client.ask(signed("POST", "/svc/c", "{\"n\":1}").request()).status(), 200);
    assert_eq!(client.ask(signed("PUT", "/svc/c", "k=v&app_id=1").request()).status(), 200);
    let seen = origin.expect_requests(3);
    assert_eq!((seen[0].target(), text(&seen[1].body.bytes)), ("/a%20b?x=1&y=%2F", "{\"n\":1}".to_owned()));
    assert_eq!(text(&seen[2].body.bytes), "k=v&app_id=1", "what is signed goes on as it was");
    for request in seen {
        assert_eq!(request.head.all("x-gatekeeper-app"), ["shop"]);
        assert_eq!(request.head.all("authorization"), [""; 0], "the signature is for the gateway");
    }
}

#[test]
fn a_signature_stays_here_where_a_token_need_not_be_there() {
    let origin = Origin::ok();
    let token = format!("[module.jwt]\nalgorithms = [\"HS256\"]\nsecret = \"{SECRET}\"\nrequired = false\n");
    let service = Service::at("/svc", &[&origin]).access("open", 1).further(&token);
    let gateway = Gateway::start(&Conf::new().service(service).app(app()));
    assert_eq!(gateway.connect().ask(signed("GET", "/svc/a", "").request()).status(), 200);
    let head = origin.only().head;
    assert_eq!(head.all("x-gatekeeper-app"), ["shop"]);
    assert_eq!(head.all("authorization"), [""; 0]);
}

#[test]
fn a_signature_covers_method_path_query_and_body() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let ask = |right: &Signing, change: &dyn Fn(&mut Signing)| {
        let mut wrong = right.clone();
        change(&mut wrong);
        let request = wrong.request().replace(&wrong.authorization(), &right.authorization());
        gateway.connect().ask(request).expect_end(401, "tenant_sign");
    };
    let right = signed("POST", "/svc/a?x=1", "body");
    ask(&right, &|it| it.method = "PUT".into());
    ask(&right, &|it| it.target = "/svc/b?x=1".into());
    ask(&right, &|it| it.target = "/svc/a?x=2".into());
    ask(&right, &|it| it.target = "/svc/a".into());
    ask(&right, &|it| it.body = "Body".into());
    ask(&right, &|it| it.body = String::new());
    ask(&signed("GET", "/svc/a", ""), &|it| it.body = "more".into());
    let mut foreign = signed("GET", "/svc/a", "");
    foreign.secret = "another secret, as long as that".into();
    gateway.connect().ask(foreign.request()).expect_end(401, "tenant_sign");
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(gateway.connect().ask(right.request()).status(), 200, "none of those spent its nonce");
}

#[test]
fn a_body_in_chunks_is_the_same_body() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let authorization = signed("POST", "/svc/a", "hello world").authorization();
    let answer = gateway.connect().ask(format!(
        "POST /svc/a HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
    ));
    assert_eq!(answer.status(), 200);
    assert_eq!(text(&origin.only().body.bytes), "hello world");
}

#[test]
fn a_signature_counts_once_whichever_worker_it_comes_to() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let request = signed("GET", "/svc/a", "").request();
    assert_eq!(gateway.connect().ask(&request).status(), 200);
    for _ in 0..12 {
        gateway.connect().ask(&request).expect_end(401, "sign_replayed");
    }
    let mut other = signed("GET", "/svc/b", "");
    let nonce = signed("GET", "/svc/a", "").nonce;
    other.nonce.clone_from(&nonce);
    assert_eq!(gateway.connect().ask(other.request()).status(), 200);
    let mut again = signed("POST", "/svc/c", "");
    again.nonce = nonce;
    gateway.connect().ask(again.request()).expect_end(401, "sign_replayed");
}

#[test]
fn one_of_many_that_send_the_same_at_once_is_let_in() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    for _ in 0..20 {
        let request = signed("GET", "/svc/a", "").request();
        let ask = || usize::from(gateway.connect().ask(&request).status() == 200);
        let admitted: usize = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
            clients.into_iter().map(|client| client.join().expect("no panic")).sum()
        });
        assert_eq!(admitted, 1);
    }
}

#[test]
fn a_reload_forgets_no_nonce() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let request = signed("GET", "/svc/a", "").request();
    assert_eq!(gateway.connect().ask(&request).status(), 200);
    gateway.rewrite_files(&conf(&origin).app(App::new("another", SECRET)));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    gateway.connect().ask(&request).expect_end(401, "sign_replayed");
}

#[test]
fn a_wider_window_makes_no_spent_nonce_good_again() {
    let origin = Origin::ok();
    let of_window = |window_s: i64| {
        let service = Service::at("/svc", &[&origin]).access("open", 1);
        Conf::new().service(service).app(app().set("sign_window", window_s))
    };
    let gateway = Gateway::start(&of_window(5));
    let first = signed("GET", "/svc/a", "");
    assert_eq!(gateway.connect().ask(first.request()).status(), 200);
    gateway.rewrite_files(&of_window(3_600));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    std::thread::sleep(Duration::from_secs(7));
    // Its nonce is forgotten by now.
    gateway.connect().ask(first.request()).expect_end(401, "sign_expired");
    let mut later = signed("GET", "/svc/a", "");
    later.timestamp += 1_000;
    assert_eq!(gateway.connect().ask(later.request()).status(), 200);
}

#[test]
fn a_signature_is_good_for_its_window() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let narrow = App::new("narrow", SECRET).set("sign_method", "hmac-sha256").set("sign_window", 20);
    let gateway = Gateway::start(&Conf::new().service(service).app(app()).app(narrow));
    let ask = |app_id: &str, shift_s: i64| {
        let mut request = Signing::of(app_id, SECRET, "GET", "/svc/a", "");
        request.timestamp = request.timestamp.saturating_add_signed(shift_s);
        gateway.connect().ask(request.request()).reason().to_owned()
    };
    // The default is 300 s; a slow machine may take some of it.
    assert_eq!((ask("shop", -200), ask("shop", 200)), (String::new(), String::new()));
    assert_eq!((ask("shop", -302), ask("shop", 330)), ("sign_expired".to_owned(), "sign_expired".to_owned()));
    assert_eq!((ask("narrow", 0), ask("narrow", -60)), (String::new(), "sign_expired".to_owned()));
}

#[test]
fn each_tenant_proves_itself_by_its_own_method_only() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin).app(App::new("old", SECRET)));
    let mut client = gateway.connect();
    client.get(&format!("/svc/a?app_id=shop&sign={SECRET}")).expect_end(401, "tenant_sign");
    client.ask(Signing::of("old", SECRET, "GET", "/svc/a", "").request()).expect_end(401, "tenant_sign");
    assert_eq!(client.get(&format!("/svc/a?app_id=old&sign={SECRET}")).status(), 200);
}

#[test]
fn a_malformed_signature_names_nobody() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let right = signed("GET", "/svc/a", "");
    for (from, to) in [("sign=", "sgn="), ("nonce=", "nonce= "), (", body", ", app_id=x, body"), ("body=", "body=0")] {
        let request = right.request().replacen(from, to, 1);
        gateway.connect().ask(request).expect_end(401, "tenant_sign");
    }
    let twice = right.request().replacen("Host: a", &format!("Host: a\r\nAuthorization: {}", right.authorization()), 1);
    gateway.connect().ask(twice).expect_end(401, "tenant_missing");
    let unknown = Signing::of("nobody", SECRET, "GET", "/svc/a", "");
    gateway.connect().ask(unknown.request()).expect_end(401, "tenant_unknown");
}

#[test]
fn nobody_else_has_a_body_read() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let mut foreign = signed("POST", "/svc/a", "body");
    foreign.secret = "wrong".into();
    let mut client = gateway.connect();
    // Its body never comes.
    client.send(foreign.request().trim_end_matches("body"));
    client.answer().expect_end(401, "tenant_sign");
}

#[test]
fn a_signed_body_is_bounded() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let wide = Service::at("/wide", &[&origin]).access("open", 1).base("read_body_bytes_max", 300_000);
    let gateway = Gateway::start(&Conf::new().service(service).service(wide).app(app()));
    let body = "x".repeat(200_000);
    gateway.connect().ask(signed("POST", "/svc/a", &body).request()).expect_end(413, "body_too_large");
    assert_eq!(gateway.connect().ask(signed("POST", "/wide/a", &body).request()).status(), 200);
    assert_eq!(origin.only().body.bytes.len(), 200_000);
}

#[test]
fn another_attempt_does_not_spend_the_nonce_again() {
    let origin = Origin::ok();
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let nodes = vec![refusing.to_string(), origin.node().to_owned()];
    let service = Service::with_nodes("/svc", nodes).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app()));
    for _ in 0..4 {
        assert_eq!(gateway.connect().ask(signed("POST", "/svc/a", "body").request()).status(), 200);
    }
    assert!(origin.expect_requests(4).iter().all(|request| text(&request.body.bytes) == "body"));
}

#[test]
fn a_tenants_own_addresses_need_no_signature() {
    let origin = Origin::ok();
    let service = Service::at("/svc", &[&origin]).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app().set("white_ips", "127.0.0.1")));
    assert_eq!(gateway.connect().get("/svc/a?app_id=shop").status(), 200);
}

#[test]
fn a_client_that_waits_to_be_asked_for_a_signed_body_is_asked() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin));
    let mut client = gateway.connect().patient(Duration::from_secs(30));
    let request = signed("POST", "/svc/a", "body").request().replacen("Host: a", "Host: a\r\nExpect: 100-continue", 1);
    client.send(request.trim_end_matches("body"));
    let interim: Result<Vec<u8>, Gone> = client.wire.through(b"\r\n\r\n");
    assert_eq!(interim.as_deref(), Ok(b"HTTP/1.1 100 Continue\r\n\r\n".as_slice()));
    client.send("body");
    assert_eq!(client.answer().status(), 200);
}

/// The examples of docs/tenants.md in this language, run as they stand there.
fn example(language: &str) -> String {
    let page = include_str!("../../../docs/tenants.md");
    let from = page.split(&format!("```{language}\n")).nth(1).expect("an example");
    from.split("```").next().expect("its end").to_owned()
}

fn run(program: &str, gateway: &Gateway, text: &str) -> String {
    let mut command = Command::new(program);
    command.args(["-c", text]).env("APP_ID", "shop").env("SECRET", SECRET);
    let output = command.env("GATEWAY", format!("http://{}", gateway.address())).output().expect("it runs");
    text_of(&output.stdout) + &text_of(&output.stderr)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_examples_of_the_page_sign_requests_that_are_let_in() {
    let origin = Origin::replying("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthanks\n");
    let service = Service::at("/orders", &[&origin]).access("open", 1);
    let gateway = Gateway::start(&Conf::new().service(service).app(app()));
    for (language, program) in [("sh", "sh"), ("python", "python3")] {
        let said = run(program, &gateway, &example(language));
        assert_eq!(said.trim(), "thanks", "{language}: {said}");
    }
    for request in origin.expect_requests(2) {
        assert_eq!((request.target(), text(&request.body.bytes)), ("/new?x=1&y=%2F", "{\"n\": 1}".to_owned()));
    }
}
