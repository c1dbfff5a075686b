//! Tokens that the gateway itself gives to tenants (client credentials, RFC 6749 section 4.4), and takes from them.
//!
//! A token is a JWT signed with the key of the file (HS256), whose `sub` is the tenant's `app_id`. In scope: what a tenant
//! must say for one, and what it gets. Out of scope: the request around it (`worker/policy/grant`).

use std::fmt;

use aws_lc_rs::rand;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use super::jwt::Jwt;
use crate::proto::authorization::hexadecimal;

/// Who gives tokens.
pub struct Issuer {
    /// Where they are asked for.
    pub path: Box<[u8]>,
    /// `iss`.
    pub name: Box<str>,
    /// How long a token holds.
    pub lifetime_s: u64,
    /// What may be asked for, and what is given where nothing is.
    pub scopes: Box<[Box<str>]>,
    /// What is asked of a token of ours.
    pub jwt: Jwt,
    key: EncodingKey,
}

/// Without the key, which `jwt` has a print of.
impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, name, lifetime_s, scopes, jwt, key: _ } = self;
        let path = String::from_utf8_lossy(path);
        let mut shown = f.debug_struct("Issuer");
        shown.field("path", &path).field("name", name).field("lifetime_s", lifetime_s).field("scopes", scopes);
        shown.field("jwt", jwt).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'c> {
    iss: &'c str,
    sub: &'c str,
    client_id: &'c str,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: &'c str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'c str,
}

/// The answer to whom a token is given (RFC 6749 section 5.1).
#[derive(Serialize)]
struct Given<'g> {
    access_token: &'g str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'g str,
}

/// Why no token is given (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Something is missing, repeated or malformed.
    InvalidRequest,
    /// The tenant or its secret is wrong.
    InvalidClient,
    /// Another grant than client credentials.
    UnsupportedGrantType,
    /// A scope that is not given.
    InvalidScope,
    /// The request is good, and no token can be made for it now.
    TemporarilyUnavailable,
}

impl Denial {
    /// Its name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The HTTP status that it is told with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::UnsupportedGrantType | Self::InvalidScope => 400,
            Self::InvalidClient => 401,
            Self::TemporarilyUnavailable => 503,
        }
    }
}

impl Issuer {
    /// One that signs with this secret.
    ///
    /// # Errors
    /// What is wrong with the secret.
    pub fn new(
        path: Box<[u8]>,
        name: Box<str>,
        lifetime_s: u64,
        scopes: Box<[Box<str>]>,
        secret: &str,
        jwt: Jwt,
    ) -> Result<Self, String> {
        let key = EncodingKey::from_secret(secret.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self { path, name, lifetime_s, scopes, jwt, key })
    }

    /// The body of the answer that gives a tenant a token.
    ///
    /// # Errors
    /// A scope that is not given, or a fault of our own: then the request is to be made again.
    pub fn give(&self, app_id: &str, asked: Option<&str>, now_s: u64) -> Result<String, Denial> {
        let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let asked = asked.map(words).unwrap_or_default();
        let known = |word: &String| self.scopes.iter().any(|scope| **scope == **word);
        if !asked.iter().all(known) {
            return Err(Denial::InvalidScope);
        }
        let scope = if asked.is_empty() { self.scopes.join(" ") } else { asked.join(" ") };
        let mut random = [0; 32];
        rand::fill(&mut random).map_err(|_| Denial::TemporarilyUnavailable)?;
        let number = hexadecimal(&random);
        let claims = Claims {
            iss: &self.name,
            sub: app_id,
            client_id: app_id,
            iat: now_s,
            nbf: now_s,
            exp: now_s.saturating_add(self.lifetime_s),
            jti: std::str::from_utf8(&number[..32]).unwrap_or_default(),
            scope: &scope,
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.key);
        let token = token.map_err(|_| Denial::TemporarilyUnavailable)?;
        let given = Given { access_token: &token, token_type: "Bearer", expires_in: self.lifetime_s, scope: &scope };
        serde_json::to_string(&given).map_err(|_| Denial::TemporarilyUnavailable)
    }
}
