//! `[module.jwt]` → `Jwt`, `[oauth]` → `Issuer`.
//!
//! Key files are read here, so that a wrong one is a fault of the load; what a URL has is not asked for at load.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::Uri;
use jsonwebtoken::{Algorithm, AlgorithmFamily};

use super::address::Wrong;
use super::{Desk, Page};
use crate::config::section::Section;
use crate::config::source::Faults;
use crate::limits::KEY_SET_BYTES_MAX;
use crate::proto::field;
use crate::wall::issuer::Issuer;
use crate::wall::jwt::{Claim, Jwt, Rules};
use crate::wall::keys::{Kept, Keys, Origin, Place};

const KEY_SOURCES: [&str; 4] = ["secret", "public_key_file", "jwks_file", "jwks_url"];

/// What a service asks of tokens, if it does.
pub(super) fn jwt(page: &Page, section: &Section, is_tcp: bool, faults: &mut Faults) -> Option<Box<Jwt>> {
    let mut desk = Desk { source: &page.source, section, faults };
    let algorithms: Box<[Algorithm]> = desk.each("algorithms", algorithm).into();
    let given: Vec<_> = KEY_SOURCES.into_iter().filter(|key| !section.text(key).is_empty()).collect();
    if algorithms.is_empty() {
        if let Some(key) = given.first().filter(|_| desk.items("algorithms").is_empty()) {
            desk.warn(key, format!("`{key}` without `algorithms`: no token is asked for"), "name the algorithms");
        }
        return None;
    }
    if is_tcp {
        desk.error("algorithms", "a tcp service cannot ask for tokens".into(), "remove [module.jwt]");
    }
    let [source] = given[..] else {
        let message = format!("{} sources of keys: there must be one", given.len());
        desk.error("algorithms", message, "give one of secret, public_key_file, jwks_file and jwks_url");
        return None;
    };
    let rules = Rules {
        issuers: texts(&desk, "issuers"),
        audiences: texts(&desk, "audiences"),
        scopes: texts(&desk, "scopes"),
        leeway_s: u64::from(section.int_u32("leeway")),
        required: section.flag("required"),
        passes: section.flag("pass_token"),
        claims: desk.each("claims_to_headers", claim).into(),
        algorithms,
    };
    if rules.issuers.is_empty() && source != "secret" {
        desk.warn("issuers", "no `issuers`: tokens of anybody who has such a key are taken".into(), "name the issuer");
    }
    let (place, kept) = keys(&mut desk, source, &rules.algorithms)?;
    Some(Box::new(Jwt::new(rules, place, kept)))
}

fn texts(desk: &Desk<'_>, key: &str) -> Box<[Box<str>]> {
    desk.items(key).iter().map(|item| item.text.as_str().into()).collect()
}

fn algorithm(text: &str) -> Result<Algorithm, Wrong> {
    let help = "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA";
    text.parse().map_err(|_| (format!("`{text}` is not an algorithm that tokens may be signed with"), help))
}

fn claim(text: &str) -> Result<Claim, Wrong> {
    let help = "write the claim, one space and the field, such as \"sub X-User\"";
    let (name, field) = text.split_once(' ').ok_or((format!("`{text}` is not a claim and a field"), help))?;
    if !field::is_token(field.as_bytes()) || !field::may_be_edited(field) {
        return Err((
            format!("`{field}` is not a field that may be set"),
            "fields that frame a message, or that the gateway sets itself, may not",
        ));
    }
    Ok(Claim { name: name.into(), field: field.into() })
}

/// Where the keys are, and where they come from if they may change.
fn keys(desk: &mut Desk<'_>, source: &str, algorithms: &[Algorithm]) -> Option<(Arc<Place>, Option<Kept>)> {
    let hmac = algorithms.iter().any(|algorithm| algorithm.family() == AlgorithmFamily::Hmac);
    let other = algorithms.iter().any(|algorithm| algorithm.family() != AlgorithmFamily::Hmac);
    let wrong = match source {
        "secret" => other.then_some("`secret` is for HS algorithms alone"),
        "public_key_file" if hmac || !of_one_kind(algorithms) => Some("one public key is for algorithms of one kind"),
        "jwks_url" if hmac => Some("a key set that everybody can fetch holds no secret for HS algorithms"),
        _ => (hmac && other).then_some("HS and other algorithms need different keys"),
    };
    if let Some(message) = wrong {
        desk.error("algorithms", message.into(), "name only algorithms that the keys are for");
        return None;
    }
    let text = desk.section.text(source);
    let refresh_ms = desk.section.ms("keys_refresh");
    let kept = |origin, place: &Arc<Place>| {
        Some(Kept { origin, refresh_ms, algorithms: algorithms.into(), place: place.clone() })
    };
    let read = match source {
        "secret" => secret(desk.section.raw("secret"), algorithms).map(|keys| (Place::with(keys), None)),
        "jwks_url" => url(text).map(|url| {
            let place = Arc::new(Place::default());
            let kept = kept(Origin::Url(url), &place);
            (place, kept)
        }),
        _ => {
            let path = beside(&desk.source.path, text);
            read(&path).and_then(|text| of_file(source, &text, algorithms)).map(|keys| {
                let place = Place::with(keys);
                let origin = if source == "jwks_file" { Origin::File(path) } else { Origin::Pem(path) };
                let kept = kept(origin, &place);
                (place, kept)
            })
        }
    };
    read.map_err(|message| desk.error(source, message, "")).ok()
}

fn of_one_kind(algorithms: &[Algorithm]) -> bool {
    algorithms.windows(2).all(|pair| pair[0].family() == pair[1].family())
}

fn of_file(source: &str, text: &str, algorithms: &[Algorithm]) -> Result<Keys, String> {
    if source == "jwks_file" { Keys::of_set(text, algorithms) } else { Keys::of_pem(text, algorithms) }
}

fn beside(module_file: &Path, path: &str) -> PathBuf {
    module_file.parent().unwrap_or(Path::new("")).join(path)
}

fn read(path: &Path) -> Result<String, String> {
    let told = |what: &str| format!("{}: {what}", path.display());
    let length = std::fs::metadata(path).map_err(|error| told(&error.to_string()))?.len();
    if length > KEY_SET_BYTES_MAX as u64 {
        return Err(told(&format!("{length} bytes: too large for keys")));
    }
    std::fs::read_to_string(path).map_err(|error| told(&error.to_string()))
}

/// A secret that RFC 7518 section 3.2 has no objection to.
fn secret(text: &str, algorithms: &[Algorithm]) -> Result<Keys, String> {
    let bytes_min = algorithms.iter().map(|algorithm| match algorithm {
        Algorithm::HS512 => 64,
        Algorithm::HS384 => 48,
        _ => 32,
    });
    let bytes_min = bytes_min.max().unwrap_or_default();
    if text.len() < bytes_min {
        return Err(format!("a secret of {} bytes: these algorithms want {bytes_min} or more", text.len()));
    }
    Keys::of_secret(text, algorithms)
}

fn url(text: &str) -> Result<Box<str>, String> {
    let url: Uri = text.parse().map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    let host = url.host().is_some_and(|host| !host.is_empty());
    let bare = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if known && host && bare {
        Ok(text.into())
    } else {
        Err(format!("`{text}` is not an http or https URL without a password"))
    }
}

/// Who gives tokens to tenants, if anybody does.
pub(super) fn issuer(desk: &mut Desk<'_>, merge_slashes: bool) -> Option<Box<Issuer>> {
    let section = desk.section;
    let key = section.raw("signing_key");
    if key.is_empty() {
        return None;
    }
    let path = super::rules::prefix(section.text("path"), merge_slashes);
    let path = path.map_err(|(message, help)| desk.error("path", message, help)).ok()?;
    if path.is_empty() {
        desk.error("path", "tokens cannot be asked for at every path".into(), "write a path such as /oauth/tokens");
    }
    let algorithms = [Algorithm::HS256];
    let keys = secret(key, &algorithms).map_err(|message| desk.error("signing_key", message, "")).ok()?;
    let name = section.text("issuer");
    let rules = Rules {
        algorithms: algorithms.into(),
        issuers: [name.into()].into(),
        audiences: [].into(),
        scopes: [].into(),
        leeway_s: 0,
        required: false,
        passes: false,
        claims: [].into(),
    };
    let jwt = Jwt::new(rules, Place::with(keys), None);
    let lifetime_s = u64::from(section.int_u32("lifetime"));
    let issuer = Issuer::new(path, name.into(), lifetime_s, texts(desk, "scopes"), key, jwt);
    issuer.map(Box::new).map_err(|message| desk.error("signing_key", message, "")).ok()
}
