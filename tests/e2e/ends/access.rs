//! Ends of requests that do not prove who sends them: signatures and tokens.

use std::sync::OnceLock;

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use gatekeeper::end::End;
use gatekeeper::limits::NONCES_MAX;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::told;
use crate::support::conf::App;
use crate::support::gateway::free_port;
use crate::support::sign::{Signing, now_s};
use crate::support::{Answer, Conf, Gateway, Origin, Service};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn signing(origin: &Origin) -> Conf {
    let app = App::new("shop", SECRET).set("sign_method", "hmac-sha256");
    Conf::new().service(Service::at("/svc", &[origin]).access("open", 1)).app(app)
}

fn signed() -> Signing {
    Signing::of("shop", SECRET, "GET", "/svc/a", "")
}

#[test]
fn sign_expired() {
    let origin = Origin::ok();
    told(
        End::SignExpired,
        || signing(&origin),
        |gateway| {
            let mut old = signed();
            old.timestamp -= 1_000;
            gateway.connect().ask(old.request())
        },
    );
}

#[test]
fn sign_replayed() {
    let origin = Origin::ok();
    told(
        End::SignReplayed,
        || signing(&origin),
        |gateway| {
            let request = signed().request();
            assert_eq!(gateway.connect().ask(&request).status(), 200);
            gateway.connect().ask(&request)
        },
    );
}

/// Nonces that the table has no room for together, though it has much: who knows the secret finds some that want the
/// same few places.
fn crowded() -> &'static [String] {
    static FOUND: OnceLock<Vec<String>> = OnceLock::new();
    FOUND.get_or_init(|| {
        // Where a nonce stands follows from its HMAC (`wall/nonces`, `wall/signing`).
        let key = Key::new(HMAC_SHA256, SECRET.as_bytes());
        let place = |nonce: &str| {
            let tag = hmac::sign(&key, format!("nonce\nshop\n{nonce}").as_bytes());
            let first = tag.as_ref().first_chunk().copied().expect("32 bytes");
            usize::try_from(u64::from_le_bytes(first)).expect("64 bits") & (NONCES_MAX - 1)
        };
        let nonces = (0..).map(|number: u64| format!("n{number}"));
        nonces.filter(|nonce| place(nonce) < 64).take(160).collect()
    })
}

#[test]
fn nonces_full() {
    let origin = Origin::ok();
    told(
        End::NoncesFull,
        || signing(&origin),
        |gateway| {
            let mut client = gateway.connect();
            let answers = crowded().iter().map(|nonce| {
                let mut request = signed();
                request.nonce.clone_from(nonce);
                client.ask(request.request())
            });
            answers.into_iter().find(|answer| answer.status() != 200).expect("one that finds no place")
        },
    );
}

fn asking(origin: &Origin, keys: &str) -> Conf {
    let keys = keys.replace("; ", "\n");
    Conf::new().service(Service::at("/svc", &[origin]).further(&format!("[module.jwt]\n{keys}\n")))
}

fn of_secret(origin: &Origin) -> Conf {
    let rules = "issuers = [\"them\"]; scopes = [\"read\"]";
    asking(origin, &format!("algorithms = [\"HS256\"]; secret = \"{SECRET}\"; {rules}"))
}

/// A request with a token that is good but for one claim.
fn with(gateway: &Gateway, name: &str, value: impl Into<Value>) -> Answer {
    let mut claims = json!({ "iss": "them", "sub": "u-1", "exp": now_s() + 600, "scope": "read write" });
    claims[name] = value.into();
    let key = EncodingKey::from_secret(SECRET.as_bytes()).expect("not empty");
    bearing(gateway, &encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token"))
}

fn bearing(gateway: &Gateway, token: &str) -> Answer {
    gateway.connect().ask(format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"))
}

#[test]
fn token_missing() {
    let origin = Origin::ok();
    told(End::TokenMissing, || of_secret(&origin), |gateway| gateway.connect().get("/svc/a"));
}

#[test]
fn token_invalid() {
    let origin = Origin::ok();
    told(End::TokenInvalid, || of_secret(&origin), |gateway| bearing(gateway, "a.b.c"));
}

#[test]
fn token_expired() {
    let origin = Origin::ok();
    told(End::TokenExpired, || of_secret(&origin), |gateway| with(gateway, "exp", now_s() - 1_000));
}

#[test]
fn token_claims() {
    let origin = Origin::ok();
    told(End::TokenClaims, || of_secret(&origin), |gateway| with(gateway, "iss", "others"));
}

#[test]
fn token_scope() {
    let origin = Origin::ok();
    told(End::TokenScope, || of_secret(&origin), |gateway| with(gateway, "scope", "write"));
}

#[test]
fn keys_missing() {
    let origin = Origin::ok();
    let url = format!("algorithms = [\"EdDSA\"]; jwks_url = \"http://127.0.0.1:{}/keys\"", free_port());
    told(End::KeysMissing, || asking(&origin, &url), |gateway| bearing(gateway, "a.b.c"));
}
