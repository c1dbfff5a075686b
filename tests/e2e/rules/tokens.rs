//! Tokens that services ask for: which are taken, what services are told of them, and keys that change.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::conf::App;
use crate::support::sign::now_s;
use crate::support::{Answer, Conf, Gateway, Origin, Service, eventually};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn conf(origin: &Origin, keys: &str) -> Conf {
    Conf::new().service(service(origin, keys))
}

/// A service with these lines in its `[module.jwt]`.
fn service(origin: &Origin, keys: &str) -> Service {
    Service::at("/svc", &[origin]).further(&format!("[module.jwt]\n{}", keys.replace("; ", "\n")))
}

fn hs(more: &str) -> String {
    format!("algorithms = [\"HS256\"]; secret = \"{SECRET}\"; {more}")
}

fn key(secret: &str) -> EncodingKey {
    EncodingKey::from_secret(secret.as_bytes()).expect("not empty")
}

fn signed(claims: &Value, secret: &str) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &key(secret)).expect("a token")
}

fn good() -> Value {
    json!({ "iss": "them", "sub": "u-1", "aud": "orders", "exp": now_s() + 600, "scope": "read write" })
}

fn with(name: &str, value: impl Into<Value>) -> String {
    let mut claims = good();
    claims[name] = value.into();
    signed(&claims, SECRET)
}

fn ask(gateway: &Gateway, token: &str) -> Answer {
    gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"))
}

#[test]
fn a_service_takes_a_good_token_and_says_what_is_wrong_with_others() {
    let origin = Origin::ok();
    let rules = "issuers = [\"them\", \"us\"]; audiences = [\"orders\"]; scopes = [\"read\"]; leeway = 10";
    let gateway = Gateway::start(&conf(&origin, &hs(rules)));
    assert_eq!(ask(&gateway, &signed(&good(), SECRET)).status(), 200);
    assert_eq!(origin.only().head.all("authorization"), [""; 0], "the token is for the gateway");
    assert_eq!(ask(&gateway, &with("iss", "us")).status(), 200);
    ask(&gateway, &with("iss", "others")).expect_end(401, "token_claims");
    ask(&gateway, &with("aud", "bills")).expect_end(401, "token_claims");
    ask(&gateway, &with("scope", "write")).expect_end(403, "token_scope");
    ask(&gateway, &with("exp", now_s() - 20)).expect_end(401, "token_expired");
    assert_eq!(ask(&gateway, &with("exp", now_s() - 2)).status(), 200, "within the leeway");
    ask(&gateway, &with("nbf", now_s() + 100)).expect_end(401, "token_expired");
    ask(&gateway, &signed(&good(), "another secret that is long enough")).expect_end(401, "token_invalid");
    ask(&gateway, "rubbish").expect_end(401, "token_invalid");
    let missing = gateway.connect().get("/svc/a");
    missing.expect_end(401, "token_missing");
    assert_eq!(missing.head.all("www-authenticate"), ["Bearer"]);
    let invalid = ask(&gateway, "rubbish");
    assert_eq!(invalid.head.all("www-authenticate"), ["Bearer error=\"invalid_token\""]);
}

#[test]
fn a_token_is_asked_for_whatever_the_lists_say() {
    let origin = Origin::ok();
    let service = service(&origin, &hs("")).access("open", 1).access("white_list", "127.0.0.1");
    let gateway = Gateway::start(&Conf::new().service(service));
    gateway.connect().get("/svc/a").expect_end(401, "token_missing");
    assert_eq!(ask(&gateway, &signed(&good(), SECRET)).status(), 200);
}

#[test]
fn what_is_known_of_a_token_ends_with_it() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin, &hs("leeway = 0")));
    let token = with("exp", now_s() + 3);
    let mut client = gateway.connect();
    let request = format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_eq!(client.ask(&request).status(), 200);
    assert_eq!(client.ask(&request).status(), 200);
    assert!(eventually(|| client.ask(&request).reason() == "token_expired"));
}

#[test]
fn claims_are_told_to_the_service_and_nobody_forges_them() {
    let origin = Origin::ok();
    let rules =
        "claims_to_headers = [\"sub X-User\", \"scope X-Scope\", \"gone X-Gone\"]; required = false; pass_token = true";
    let gateway = Gateway::start(&conf(&origin, &hs(rules)));
    let forged = "X-User: admin\r\nx-scope: all\r\nX-Gone: 1\r\n";
    let token = signed(&good(), SECRET);
    let mut client = gateway.connect();
    for authorization in [format!("Authorization: Bearer {token}\r\n"), String::new()] {
        let request = format!("GET /svc/a HTTP/1.1\r\nHost: a\r\n{forged}{authorization}\r\n");
        assert_eq!(client.ask(&request).status(), 200);
    }
    ask(&gateway, "rubbish").expect_end(401, "token_invalid");
    let seen = origin.expect_requests(2);
    assert_eq!(seen[0].head.all("x-user"), ["u-1"]);
    assert_eq!(seen[0].head.all("x-scope"), ["read write"]);
    assert_eq!(seen[0].head.all("authorization"), [format!("Bearer {token}")]);
    assert_eq!(seen[1].head.all("x-user"), [""; 0]);
    for request in seen {
        assert_eq!(request.head.all("x-gone"), [""; 0]);
        assert!(!format!("{:?}", request.head).contains("admin"));
    }
}

#[test]
fn an_unsigned_token_is_refused() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin, &hs("")));
    let whole = signed(&good(), SECRET);
    let claims = whole.split('.').nth(1).expect("three parts");
    // {"alg":"none"}
    ask(&gateway, &format!("eyJhbGciOiJub25lIn0.{claims}.")).expect_end(401, "token_invalid");
    ask(&gateway, &format!("eyJhbGciOiJub25lIn0.{claims}.AAAA")).expect_end(401, "token_invalid");
    ask(&gateway, whole.rsplit_once('.').expect("three parts").0).expect_end(401, "token_invalid");
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn several_tokens_are_none() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&conf(&origin, &hs("")));
    let token = signed(&good(), SECRET);
    let field = format!("Authorization: Bearer {token}\r\n");
    let answer = gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\n{field}{field}\r\n"));
    answer.expect_end(401, "token_missing");
}

/// Somebody who signs, and whose public keys are in a set.
struct Issuer(EncodingKey);

impl Issuer {
    fn new() -> Self {
        let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().expect("random bytes");
        Self(EncodingKey::from_ed_der(pair.to_pkcs8v1().expect("a key").as_ref()))
    }

    fn set(&self) -> String {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.0, Algorithm::EdDSA).expect("a key")).expect("JSON");
        jwk["kid"] = "k".into();
        json!({ "keys": [jwk] }).to_string()
    }

    fn token(&self) -> String {
        let head = Header { kid: Some("k".into()), ..Header::new(Algorithm::EdDSA) };
        encode(&head, &good(), &self.0).expect("a token")
    }
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

const ED: &str = "algorithms = [\"EdDSA\"]; issuers = [\"them\"]; keys_refresh = 1000";

#[test]
fn keys_from_a_url_are_fetched_again_and_old_ones_forgotten() {
    let (one, two, origin) = (Issuer::new(), Issuer::new(), Origin::ok());
    let sets = std::sync::Arc::new(std::sync::Mutex::new(one.set()));
    let served = sets.clone();
    let keys = Origin::scripted(move |peer| {
        while peer.request().is_some() {
            let set = served.lock().expect("no panic").clone();
            peer.send(answer(&set));
        }
    });
    let gateway = Gateway::start(&conf(&origin, &format!("{ED}; jwks_url = \"http://{}/keys\"", keys.node())));
    assert!(eventually(|| ask(&gateway, &one.token()).status() == 200));
    ask(&gateway, &two.token()).expect_end(401, "token_invalid");
    let token = one.token();
    assert_eq!(ask(&gateway, &token).status(), 200);
    *sets.lock().expect("no panic") = two.set();
    assert!(eventually(|| ask(&gateway, &two.token()).status() == 200));
    for _ in 0..8 {
        ask(&gateway, &token).expect_end(401, "token_invalid");
    }
    // What is no set changes nothing.
    *sets.lock().expect("no panic") = "<html>".into();
    assert!(eventually(|| gateway.stderr().contains("the keys before stay")), "{}", gateway.stderr());
    assert_eq!(ask(&gateway, &two.token()).status(), 200);
}

#[test]
fn until_keys_have_come_the_gateway_says_so_and_a_reload_keeps_them() {
    let (issuer, origin) = (Issuer::new(), Origin::ok());
    let port = crate::support::gateway::free_port();
    let url = format!("{ED}; jwks_url = \"http://127.0.0.1:{port}/keys\"");
    let gateway = Gateway::start(&conf(&origin, &url));
    ask(&gateway, &issuer.token()).expect_end(503, "keys_missing");
    let set = answer(&issuer.set());
    let keys = Origin::scripted_at(([127, 0, 0, 1], port).into(), move |peer| {
        while peer.request().is_some() {
            peer.send(&set);
        }
    });
    assert!(eventually(|| ask(&gateway, &issuer.token()).status() == 200));
    drop(keys);
    gateway.rewrite_files(&conf(&origin, &url).service(Service::at("/more", &[&origin])));
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert_eq!(ask(&gateway, &issuer.token()).status(), 200, "nothing is fetched for it");
}

#[test]
fn keys_from_a_file_follow_the_file() {
    let (one, two, origin) = (Issuer::new(), Issuer::new(), Origin::ok());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    std::fs::write(&path, one.set()).expect("a file");
    let gateway = Gateway::start(&conf(&origin, &format!("{ED}; jwks_file = \"{}\"", path.display())));
    assert_eq!(ask(&gateway, &one.token()).status(), 200, "they are there from the start");
    std::fs::write(&path, two.set()).expect("a file");
    assert!(eventually(|| ask(&gateway, &two.token()).status() == 200));
    ask(&gateway, &one.token()).expect_end(401, "token_invalid");
}

fn giving(origin: &Origin) -> Conf {
    let service = Service::at("/svc", &[origin]).access("open", 1);
    let conf = Conf::new().service(service).app(App::new("shop", "shop-secret:with:colons").set("open_api", "/svc"));
    let conf = conf.app(App::new("narrow", "narrow-secret").set("open_api", "/other"));
    conf.oauth("signing_key", SECRET).oauth("lifetime", 4)
}

fn grant(gateway: &Gateway, fields: &str, form: &str) -> Answer {
    gateway.connect().ask(format!(
        "POST /oauth/tokens HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n{fields}\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    ))
}

fn basic(pair: &str) -> String {
    use base64::Engine;
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn token_of(answer: &Answer) -> String {
    assert_eq!(answer.status(), 200, "{answer:?}");
    let json: Value = serde_json::from_slice(&answer.body.bytes).expect("JSON");
    assert_eq!((&json["token_type"], &json["expires_in"]), (&json!("Bearer"), &json!(4)));
    assert_eq!(answer.head.all("cache-control"), ["no-store"]);
    json["access_token"].as_str().expect("a text").to_owned()
}

#[test]
fn a_tenant_gets_a_token_for_its_secret_and_is_known_by_it() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&giving(&origin));
    let by_basic = grant(&gateway, &basic("shop:shop-secret:with:colons"), "grant_type=client_credentials");
    let by_form = "grant_type=client_credentials&client_id=shop&client_secret=shop-secret%3Awith%3Acolons";
    for token in [token_of(&by_basic), token_of(&grant(&gateway, "", by_form))] {
        assert_eq!(ask(&gateway, &token).status(), 200);
    }
    for request in origin.expect_requests(2) {
        assert_eq!(request.head.all("x-gatekeeper-app"), ["shop"]);
        assert_eq!(request.head.all("authorization"), [""; 0]);
    }
    let narrow = token_of(&grant(&gateway, &basic("narrow:narrow-secret"), "grant_type=client_credentials"));
    ask(&gateway, &narrow).expect_end(403, "tenant_path");
}

#[test]
fn a_token_for_the_service_passes_where_the_query_names_the_tenant() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&giving(&origin));
    let target = "/svc/a?app_id=shop&sign=shop-secret:with:colons";
    let answer =
        gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer theirs\r\n\r\n"));
    assert_eq!(answer.status(), 200);
    assert_eq!(origin.only().head.all("authorization"), ["Bearer theirs"]);
}

#[test]
fn tokens_of_the_gateway_expire_and_foreign_ones_are_refused() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&giving(&origin));
    let token = token_of(&grant(&gateway, &basic("shop:shop-secret:with:colons"), "grant_type=client_credentials"));
    assert_eq!(ask(&gateway, &token).status(), 200);
    let claims = json!({ "iss": "gatekeeper", "sub": "shop", "exp": now_s() + 100 });
    ask(&gateway, &signed(&claims, "another secret that is long enough")).expect_end(401, "token_invalid");
    let claims = json!({ "iss": "somebody", "sub": "shop", "exp": now_s() + 100 });
    ask(&gateway, &signed(&claims, SECRET)).expect_end(401, "token_claims");
    let claims = json!({ "iss": "gatekeeper", "sub": "nobody", "exp": now_s() + 100 });
    ask(&gateway, &signed(&claims, SECRET)).expect_end(401, "tenant_unknown");
    thread::sleep(Duration::from_secs(4));
    assert!(eventually(|| ask(&gateway, &token).reason() == "token_expired"));
}

#[test]
fn whoever_asks_wrongly_is_told_in_the_words_of_the_standard() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&giving(&origin).oauth("scopes", ["read", "write"]));
    let right = basic("shop:shop-secret:with:colons");
    let wanted = "grant_type=client_credentials";
    let refused = |fields: &str, form: &str| {
        let answer = grant(&gateway, fields, form);
        let json: Value = serde_json::from_slice(&answer.body.bytes).expect("JSON");
        (answer.status(), json["error"].as_str().unwrap_or_default().to_owned())
    };
    let told = |status: u16, error: &str| (status, error.to_owned());
    assert_eq!(refused(&basic("shop:wrong"), wanted), told(401, "invalid_client"));
    assert_eq!(refused(&basic("nobody:wrong"), wanted), told(401, "invalid_client"));
    assert_eq!(refused("", wanted), told(401, "invalid_client"));
    assert_eq!(refused("Authorization: Basic !\r\n", wanted), told(401, "invalid_client"));
    assert_eq!(refused(&right, ""), told(400, "invalid_request"));
    assert_eq!(refused(&right, "grant_type=password"), told(400, "unsupported_grant_type"));
    assert_eq!(refused(&right, &format!("{wanted}&scope=read+delete")), told(400, "invalid_scope"));
    let both = format!("{wanted}&client_id=shop&client_secret=x");
    assert_eq!(refused(&right, &both), told(400, "invalid_request"));
    assert_eq!(grant(&gateway, &basic("shop:wrong"), wanted).head.all("www-authenticate").len(), 1);
    let by_get = gateway.connect().get("/oauth/tokens");
    by_get.expect_end(405, "method_not_allowed");
    assert_eq!(by_get.head.all("allow"), ["POST"]);
    let answer = grant(&gateway, &right, &format!("{wanted}&scope=write"));
    let json: Value = serde_json::from_slice(&answer.body.bytes).expect("JSON");
    assert_eq!(json["scope"], "write");
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn no_tokens_are_given_where_no_key_is() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).app(App::new("shop", "s")));
    let answer = grant(&gateway, &basic("shop:s"), "grant_type=client_credentials");
    answer.expect_end(404, "no_route");
}

/// A server of one file over TLS, whose certificate is its own authority.
const TLS_SERVER: &str = r#"
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(sys.argv[1], "rb").read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

/// Ends with the test.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn keys_come_over_tls_from_those_whom_the_machine_trusts_alone() {
    let (issuer, origin) = (Issuer::new(), Origin::ok());
    let folder = tempfile::tempdir().expect("a folder");
    let [set, certificate, key, rules] =
        ["keys.json", "certificate.pem", "key.pem", "rules"].map(|name| folder.path().join(name));
    // Without the machine's own rules, which would make it an authority: no server may be one.
    std::fs::write(&rules, "[req]\ndistinguished_name = who\n[who]\n").expect("a file");
    std::fs::write(&set, issuer.set()).expect("a file");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=keys", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-config", &path_text(&rules)])
        .args(["-keyout", &path_text(&key), "-out", &path_text(&certificate)])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut server = Command::new("python3")
        .args(["-c", TLS_SERVER, &path_text(&set), &path_text(&certificate), &path_text(&key)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Server)
        .expect("python3 runs");
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().expect("a pipe")).read_line(&mut port).expect("its port");
    let conf = conf(&origin, &format!("{ED}; jwks_url = \"https://127.0.0.1:{}/keys\"", port.trim()));
    let trusting = Gateway::start_with(&conf, |command| {
        command.env("SSL_CERT_FILE", &certificate);
    });
    assert!(eventually(|| ask(&trusting, &issuer.token()).status() == 200), "{}", trusting.stderr());
    let wary = Gateway::start(&conf);
    assert!(eventually(|| wary.stderr().contains("no token is taken yet")), "{}", wary.stderr());
    ask(&wary, &issuer.token()).expect_end(503, "keys_missing");
}
