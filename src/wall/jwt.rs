//! Tokens: JSON Web Tokens (RFC 7519) that a service wants its clients to bear, and what is asked of them.
//!
//! Algorithms are those that the file names, each with a key of its kind; `none` is no algorithm. Issuer, audience and
//! scope are compared, times are held against the worker's clock. What is found valid becomes [`Verified`]: until when,
//! whose, and the fields that tell the service so. Out of scope: where the token stands and which were verified before
//! (`worker/policy/tokens`), where keys come from (`wall::keys`).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::keys::{Kept, Keys, Origin, Place};
use crate::end::End;
use crate::proto::authorization;
use crate::proto::edits::{self, Edit};

/// What a service asks of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The only ones allowed.
    pub algorithms: Box<[Algorithm]>,
    /// `iss` must be one of these, if there are any.
    pub issuers: Box<[Box<str>]>,
    /// `aud` must have one of these, if there are any.
    pub audiences: Box<[Box<str>]>,
    /// `scope` must have all of these.
    pub scopes: Box<[Box<str>]>,
    /// How far clocks may differ.
    pub leeway_s: u64,
    /// A request without a token is refused.
    pub required: bool,
    /// The token goes on to the service.
    pub passes: bool,
    /// Which claims become which fields.
    pub claims: Box<[Claim]>,
}

/// The same, and where the keys are.
#[derive(Debug)]
pub struct Jwt {
    /// What is asked.
    pub rules: Rules,
    /// Stands for the rules, so that what was verified by others is not taken for verified by these.
    pub print: u64,
    /// What is done to the head of a request without a token, as `proto::edits` has it: it shall not name claims itself.
    pub anonymous: Box<[u8]>,
    /// Where the keys are.
    pub place: Arc<Place>,
    /// Where they come from, if they may change.
    pub kept: Option<Kept>,
}

/// A claim that becomes a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Its name in the token.
    pub name: Box<str>,
    /// The field's name.
    pub field: Box<str>,
}

/// What a valid token says.
#[derive(Debug)]
pub struct Verified {
    /// It holds before this second.
    pub until_s: u64,
    /// `sub`.
    pub subject: Box<str>,
    /// What is done to the head on its way, as `proto::edits` has it.
    pub edits: Box<[u8]>,
}

impl Jwt {
    /// Rules with the place of their keys, which control keeps up to date or nobody.
    #[must_use]
    pub fn new(rules: Rules, place: Arc<Place>, kept: Option<Kept>) -> Self {
        let mut hasher = DefaultHasher::new();
        rules.hash(&mut hasher);
        Self { print: hasher.finish(), anonymous: rules.edits(None), rules, place, kept }
    }

    /// Goes on with the key set of another configuration's tokens, if it comes from the same URL for the same
    /// algorithms: nobody is refused until it has been fetched again.
    pub fn go_on_with(&mut self, before: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (&mut self.kept, &before.kept) else { return false };
        let same = ours.origin == theirs.origin && ours.algorithms == theirs.algorithms;
        if same && matches!(ours.origin, Origin::Url(_)) {
            self.place = theirs.place.clone();
            ours.place = theirs.place.clone();
        }
        same
    }
}

impl Rules {
    /// Verifies a token with these keys at this time.
    ///
    /// # Errors
    /// `End::TokenInvalid`, `End::TokenExpired`, `End::TokenClaims`, `End::TokenScope`.
    pub fn verify(&self, token: &[u8], keys: &Keys, now_s: u64) -> Result<Verified, End> {
        let head = decode_header(token).map_err(|_| End::TokenInvalid)?;
        if !self.algorithms.contains(&head.alg) {
            return Err(End::TokenInvalid);
        }
        let rules = self.validation(head.alg);
        let mut outcome = Err(End::TokenInvalid);
        for key in keys.candidates(head.kid.as_deref(), head.alg) {
            outcome = claims(token, key, &rules);
            if outcome != Err(End::TokenInvalid) {
                break;
            }
        }
        let claims = outcome?;
        let until_s = self.holds(&claims, now_s)?;
        if !self.scopes.iter().all(|wanted| has_scope(&claims, wanted)) {
            return Err(End::TokenScope);
        }
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().into();
        Ok(Verified { until_s, subject, edits: self.edits(Some(&claims)) })
    }

    /// Times are the caller's: this library would ask the system's clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut rules = Validation::new(algorithm);
        (rules.validate_exp, rules.validate_nbf) = (false, false);
        let mut required = vec!["exp"];
        if !self.issuers.is_empty() {
            rules.set_issuer(&self.issuers);
            required.push("iss");
        }
        rules.validate_aud = !self.audiences.is_empty();
        if rules.validate_aud {
            rules.set_audience(&self.audiences);
            required.push("aud");
        }
        rules.set_required_spec_claims(&required);
        rules
    }

    /// Until when the token holds.
    fn holds(&self, claims: &Map<String, Value>, now_s: u64) -> Result<u64, End> {
        let until_s = seconds(claims, "exp")?.ok_or(End::TokenClaims)?.saturating_add(self.leeway_s);
        let from_s = seconds(claims, "nbf")?.unwrap_or(0);
        if now_s >= until_s || from_s > now_s.saturating_add(self.leeway_s) {
            return Err(End::TokenExpired);
        }
        Ok(until_s)
    }

    /// A field for each claim that is text, a number or a list of them; whatever the client says by those names is
    /// taken off.
    fn edits(&self, claims: Option<&Map<String, Value>>) -> Box<[u8]> {
        let mut said = Vec::new();
        for Claim { name, field } in &self.claims {
            let value = claims.and_then(|claims| claims.get(&**name)).and_then(as_text);
            let put = value.is_some_and(|value| edits::push(&mut said, Edit::Set, field.as_bytes(), value.as_bytes()));
            if !put {
                edits::push(&mut said, Edit::Delete, field.as_bytes(), b"");
            }
        }
        if claims.is_some() && !self.passes {
            edits::push(&mut said, Edit::Delete, authorization::FIELD, b"");
        }
        said.into()
    }
}

/// The claims of a token that this key has signed, if they are as the rules have it.
fn claims(token: &[u8], key: &DecodingKey, rules: &Validation) -> Result<Map<String, Value>, End> {
    decode(token, key, rules).map(|token| token.claims).map_err(|error| match error.kind() {
        ErrorKind::InvalidIssuer
        | ErrorKind::InvalidAudience
        | ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidClaimFormat(_) => End::TokenClaims,
        _ => End::TokenInvalid,
    })
}

/// A NumericDate (RFC 7519 section 2), which may have a fraction.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, End> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(whole) = value.as_u64() {
        return Ok(Some(whole));
    }
    let fraction = value.as_f64().filter(|seconds| (0.0..9e15).contains(seconds));
    fraction.map(|seconds| Some(seconds as u64)).ok_or(End::TokenClaims)
}

/// `scope` is words with blanks between them (RFC 8693 section 4.2); `scp`, which some issuers write, may be a list.
fn has_scope(claims: &Map<String, Value>, wanted: &str) -> bool {
    ["scope", "scp"].iter().filter_map(|name| claims.get(*name)).any(|value| match value {
        Value::String(words) => words.split(' ').any(|word| word == wanted),
        Value::Array(words) => words.iter().any(|word| word.as_str() == Some(wanted)),
        _ => false,
    })
}

/// What may stand in a field: no control, and nothing that is empty.
fn as_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(items) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts?.join(",")
        }
        Value::Null | Value::Object(_) => return None,
    };
    (!text.trim().is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests;
