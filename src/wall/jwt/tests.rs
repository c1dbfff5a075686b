//! Tokens that are right, and each way in which one may be wrong.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW_S: u64 = 1_700_000_000;

/// RFC 7515 appendix A.1 and A.3: the same claims, signed with a secret and on a curve.
const RFC_CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const RFC_EXPIRES_S: u64 = 1_300_819_380;

fn rules(algorithms: &[Algorithm]) -> Rules {
    Rules {
        algorithms: algorithms.into(),
        issuers: [].into(),
        audiences: [].into(),
        scopes: [].into(),
        leeway_s: 0,
        required: true,
        passes: false,
        claims: [].into(),
    }
}

fn hs() -> (Rules, Keys) {
    (rules(&[Algorithm::HS256]), Keys::of_secret(SECRET, &[Algorithm::HS256]).unwrap())
}

fn signed(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes()).unwrap()).unwrap()
}

fn good() -> Value {
    json!({ "iss": "them", "sub": "u-1", "aud": ["orders", "bills"], "exp": NOW_S + 60, "scope": "read write" })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = good();
    claims[name] = value.into();
    claims
}

fn without(name: &str) -> Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn ends(rules: &Rules, claims: &Value) -> Result<(), End> {
    rules.verify(signed(claims).as_bytes(), &hs().1, NOW_S).map(|_| ())
}

#[test]
fn the_published_tokens_are_valid_until_they_expire() {
    let secret = json!({ "keys": [{ "kty": "oct",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" }] });
    let curve = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }] });
    let tokens = [
        (
            Algorithm::HS256,
            secret,
            format!(
                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{RFC_CLAIMS}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
            ),
        ),
        (
            Algorithm::ES256,
            curve,
            format!(
                "eyJhbGciOiJFUzI1NiJ9.{RFC_CLAIMS}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
            ),
        ),
    ];
    for (algorithm, set, token) in tokens {
        let (rules, keys) = (rules(&[algorithm]), Keys::of_set(&set.to_string(), &[algorithm]).unwrap());
        let at = |now_s| rules.verify(token.as_bytes(), &keys, now_s).map(|verified| verified.until_s);
        assert_eq!(at(RFC_EXPIRES_S - 1), Ok(RFC_EXPIRES_S), "{algorithm:?}");
        assert_eq!(at(RFC_EXPIRES_S), Err(End::TokenExpired), "{algorithm:?}");
    }
}

#[test]
fn each_claim_is_held_against_its_rule() {
    let some = Rules { issuers: ["them".into()].into(), audiences: ["orders".into()].into(), ..hs().0 };
    assert_eq!(ends(&some, &good()), Ok(()));
    assert_eq!(ends(&some, &with("aud", "orders")), Ok(()));
    for claims in [with("iss", "others"), without("iss"), with("aud", "x"), with("aud", json!([])), without("aud")] {
        assert_eq!(ends(&some, &claims), Err(End::TokenClaims), "{claims}");
    }
    assert_eq!(ends(&hs().0, &with("aud", "anybody")), Ok(()), "no audience is asked for");
    for claims in [without("exp"), with("exp", "tomorrow"), with("exp", -1), with("nbf", "x")] {
        assert_eq!(ends(&some, &claims), Err(End::TokenClaims), "{claims}");
    }
}

#[test]
fn times_count_with_their_leeway() {
    let exact = hs().0;
    let lenient = Rules { leeway_s: 30, ..hs().0 };
    for (claims, one, other) in [
        (with("exp", NOW_S + 1), Ok(()), Ok(())),
        (with("exp", NOW_S), Err(End::TokenExpired), Ok(())),
        (with("exp", NOW_S - 29), Err(End::TokenExpired), Ok(())),
        (with("exp", NOW_S - 30), Err(End::TokenExpired), Err(End::TokenExpired)),
        (with("exp", NOW_S as f64 + 1.5), Ok(()), Ok(())),
        (with("nbf", NOW_S), Ok(()), Ok(())),
        (with("nbf", NOW_S + 30), Err(End::TokenExpired), Ok(())),
        (with("nbf", NOW_S + 31), Err(End::TokenExpired), Err(End::TokenExpired)),
    ] {
        assert_eq!((ends(&exact, &claims), ends(&lenient, &claims)), (one, other), "{claims}");
    }
}

#[test]
fn every_scope_that_is_wanted_must_be_there() {
    let both = Rules { scopes: ["read".into(), "write".into()].into(), ..hs().0 };
    assert_eq!(ends(&both, &good()), Ok(()));
    let mut listed = without("scope");
    listed["scp"] = json!(["write", "read"]);
    assert_eq!(ends(&both, &listed), Ok(()));
    for claims in [with("scope", "read"), with("scope", "readwrite"), without("scope"), with("scope", 1)] {
        assert_eq!(ends(&both, &claims), Err(End::TokenScope), "{claims}");
    }
}

#[test]
fn a_token_that_was_changed_is_not_valid() {
    let (rules, keys) = hs();
    let token = signed(&good());
    for at in 0..token.len() {
        let mut wrong = token.clone().into_bytes();
        wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
        // The last digit of a part may have bits that mean nothing; those must be zero.
        assert!(rules.verify(&wrong, &keys, NOW_S).is_err(), "{at}");
    }
    for wrong in ["", ".", "..", "a.b.c", &token[..token.len() - 1], &format!("{token}."), &format!("{token}.x")] {
        assert_eq!(rules.verify(wrong.as_bytes(), &keys, NOW_S).err(), Some(End::TokenInvalid), "{wrong}");
    }
}

fn forged(head: &str, claims: &Value, signature: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{signature}", part(head), part(&claims.to_string()))
}

#[test]
fn none_is_no_algorithm() {
    let (rules, keys) = hs();
    for name in ["none", "None", "NONE", "nOnE", ""] {
        for signature in ["", "AAAA"] {
            let token = forged(&json!({ "typ": "JWT", "alg": name }).to_string(), &good(), signature);
            assert_eq!(rules.verify(token.as_bytes(), &keys, NOW_S).err(), Some(End::TokenInvalid), "{name}");
        }
    }
}

/// As PEM has it.
fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

/// A pair of an algorithm: how the issuer signs, and its public key in PEM.
fn pair(algorithm: Algorithm) -> (EncodingKey, String) {
    let public = |der: PublicKeyX509Der<'_>| pem("PUBLIC KEY", der.as_ref());
    match algorithm {
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let private = pair.to_pkcs8v1().unwrap();
            (EncodingKey::from_ec_der(private.as_ref()), public(pair.public_key().as_der().unwrap()))
        }
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let private = pair.to_pkcs8v1().unwrap();
            (EncodingKey::from_ed_der(private.as_ref()), public(pair.public_key().as_der().unwrap()))
        }
        _ => {
            let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
            let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            let private = pem("PRIVATE KEY", private.as_ref());
            (EncodingKey::from_rsa_pem(private.as_bytes()).unwrap(), public(pair.public_key().as_der().unwrap()))
        }
    }
}

const PUBLIC: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

#[test]
fn public_keys_verify_from_pem_and_from_a_set_by_their_id() {
    for algorithm in PUBLIC {
        let ((key, pem), (other, _)) = (pair(algorithm), pair(algorithm));
        let rules = rules(&[algorithm]);
        let token = |key: &EncodingKey, id: Option<&str>| {
            encode(&Header { kid: id.map(str::to_owned), ..Header::new(algorithm) }, &good(), key).unwrap()
        };
        let judge = |keys: &Keys, token: String| rules.verify(token.as_bytes(), keys, NOW_S).map(|_| ());
        let wrong = Err(End::TokenInvalid);
        let of_pem = Keys::of_pem(&pem, &[algorithm]).unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
        assert_eq!(judge(&of_pem, token(&key, None)), Ok(()), "{algorithm:?}");
        assert_eq!(judge(&of_pem, token(&other, None)), wrong, "{algorithm:?}");

        let jwk = |key: &EncodingKey, id: &str| {
            let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
            jwk["kid"] = id.into();
            jwk
        };
        let set = json!({ "keys": [jwk(&key, "one"), jwk(&other, "two")] }).to_string();
        let of_set = Keys::of_set(&set, &[algorithm]).unwrap();
        assert_eq!(judge(&of_set, token(&key, Some("one"))), Ok(()), "{algorithm:?}");
        assert_eq!(judge(&of_set, token(&other, Some("two"))), Ok(()), "{algorithm:?}");
        assert_eq!(judge(&of_set, token(&other, None)), Ok(()), "{algorithm:?}: without an id each is tried");
        assert_eq!(judge(&of_set, token(&key, Some("two"))), wrong, "{algorithm:?}");
        assert_eq!(judge(&of_set, token(&key, Some("three"))), wrong, "{algorithm:?}");
    }
}

/// The attack: what verifies signatures is public, so whoever takes it for a secret lets everybody sign.
#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    for algorithm in PUBLIC {
        let (_, pem) = pair(algorithm);
        for text in [pem.as_str(), pem.trim_end()] {
            let secret = EncodingKey::from_secret(text.as_bytes()).unwrap();
            let token = encode(&Header::new(Algorithm::HS256), &good(), &secret).unwrap();
            let keys = Keys::of_pem(&pem, &[algorithm]).unwrap();
            let outcome = rules(&[algorithm]).verify(token.as_bytes(), &keys, NOW_S).err();
            assert_eq!(outcome, Some(End::TokenInvalid), "{algorithm:?}");
            // Even where the rules were so careless as to allow both.
            let both = rules(&[algorithm, Algorithm::HS256]);
            let keys = Keys::of_pem(&pem, &both.algorithms).unwrap();
            assert_eq!(both.verify(token.as_bytes(), &keys, NOW_S).err(), Some(End::TokenInvalid), "{algorithm:?}");
        }
    }
}

#[test]
fn keys_for_other_uses_are_left_out() {
    let (key, _) = pair(Algorithm::ES256);
    let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
    let set = |change: &dyn Fn(&mut Value)| {
        let mut jwk = jwk.clone();
        change(&mut jwk);
        Keys::of_set(&json!({ "keys": [jwk, { "kty": "new" }, 1] }).to_string(), &[Algorithm::ES256])
    };
    assert_eq!(set(&|_| ()).map(|keys| keys.count()), Ok(1));
    assert!(set(&|jwk| jwk["use"] = "enc".into()).is_err());
    assert!(set(&|jwk| jwk["alg"] = "ES384".into()).is_err());
    assert!(Keys::of_set(&json!({ "keys": [jwk] }).to_string(), &[Algorithm::RS256]).is_err());
    assert!(Keys::of_set("{}", &[Algorithm::ES256]).is_err() && Keys::of_set("<html>", &[Algorithm::ES256]).is_err());
}

#[test]
fn claims_become_fields_and_take_the_clients_away() {
    let claim = |name: &str, field: &str| Claim { name: name.into(), field: field.into() };
    let claims =
        [claim("sub", "X-User"), claim("aud", "X-Aud"), claim("n", "X-N"), claim("o", "X-O"), claim("bad", "X-Bad")];
    let rules = Rules { claims: claims.into(), ..hs().0 };
    let mut said = with("n", 7);
    said["o"] = json!({ "nested": 1 });
    said["bad"] = "a\r\nX-Forged: 1".into();
    let verified = rules.verify(signed(&said).as_bytes(), &hs().1, NOW_S).unwrap();
    assert_eq!(&*verified.subject, "u-1");
    let (edits, mut lines) = (edits::Edits::new(&verified.edits), Vec::new());
    edits.put(&mut lines);
    assert_eq!(String::from_utf8(lines).unwrap(), "X-User: u-1\r\nX-Aud: orders,bills\r\nX-N: 7\r\n");
    for name in ["x-user", "x-o", "x-bad", "authorization"] {
        assert!(edits.take_away(name.as_bytes()), "{name}");
    }
    let anonymous = Jwt::new(rules, Place::with(hs().1), None).anonymous;
    let (edits, mut lines) = (edits::Edits::new(&anonymous), Vec::new());
    edits.put(&mut lines);
    assert!(lines.is_empty() && edits.take_away(b"x-user") && !edits.take_away(b"authorization"));
}

#[test]
fn rules_of_another_demand_are_told_apart() {
    let print = |change: fn(&mut Rules)| {
        let mut rules = rules(&[Algorithm::HS256]);
        change(&mut rules);
        Jwt::new(rules, Arc::default(), None).print
    };
    assert_eq!(print(|_| ()), print(|_| ()));
    let mut prints = [
        print(|_| ()),
        print(|rules| rules.algorithms = [Algorithm::HS384].into()),
        print(|rules| rules.issuers = ["a".into()].into()),
        print(|rules| rules.audiences = ["a".into()].into()),
        print(|rules| rules.scopes = ["a".into()].into()),
        print(|rules| rules.leeway_s = 1),
        print(|rules| rules.required = false),
        print(|rules| rules.passes = true),
        print(|rules| rules.claims = [Claim { name: "a".into(), field: "b".into() }].into()),
        print(|rules| rules.claims = [Claim { name: "b".into(), field: "a".into() }].into()),
    ];
    prints.sort_unstable();
    assert!(prints.windows(2).all(|pair| pair[0] != pair[1]));
}
