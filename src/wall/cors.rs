//! `[module.cors]`: which pages of other origins may read a service's answers (Fetch standard, section 3.2).
//!
//! A preflight is answered by the gateway and never reaches a service. A service's own `Access-Control-*` fields do not
//! go down beside ours: two words on the same thing are none to a browser. What is said goes on every answer to the
//! request, a refusal included, so that a page can read why. In scope: the rules, which origins they allow, what is said.
//! Out of scope: putting it on the answer (`worker/policy/dressing`).

use crate::end::End;
use crate::proto::edits::Edit;
use crate::proto::field;
use crate::proto::head::{self, Method, RequestHead};

const ALLOW_ORIGIN: &[u8] = b"Access-Control-Allow-Origin";
const ALLOW_METHODS: &[u8] = b"Access-Control-Allow-Methods";
const ALLOW_HEADERS: &[u8] = b"Access-Control-Allow-Headers";
const ALLOW_CREDENTIALS: &[u8] = b"Access-Control-Allow-Credentials";
const EXPOSE_HEADERS: &[u8] = b"Access-Control-Expose-Headers";
const MAX_AGE: &[u8] = b"Access-Control-Max-Age";

/// The rules of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Who may.
    pub origins: Origins,
    /// For `Access-Control-Allow-Methods`; `*` is whatever is asked for.
    pub methods: Box<str>,
    /// For `Access-Control-Allow-Headers`; `*` is whatever is asked for.
    pub headers: Box<str>,
    /// For `Access-Control-Expose-Headers`; empty sends none.
    pub exposed: Box<str>,
    /// Whether cookies and credentials may come along.
    pub credentials: bool,
    /// How long a browser may remember a preflight, in seconds, as text.
    pub max_age_s: Box<str>,
}

/// What becomes of a request to a service with such rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// It goes on; its answer is dressed.
    Goes,
    /// It was a question only, which the dressing answers.
    Preflight,
}

/// Origins that may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every one.
    Any,
    /// These.
    Listed(Box<[OriginRule]>),
}

/// One origin, or all hosts below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginRule {
    /// `https://` of `https://*.example.com`, else the whole, in lower case.
    front: Box<str>,
    /// `.example.com` of it, with a port where there is one.
    below: Option<Box<str>>,
}

impl Cors {
    /// Says what the answer is given.
    ///
    /// # Errors
    /// `End::CorsOrigin` for a preflight from where nobody may.
    pub fn cross(&self, head: &RequestHead<'_>, mut say: impl FnMut(Edit, &[u8], &[u8])) -> Result<Crossing, End> {
        for name in [ALLOW_ORIGIN, ALLOW_METHODS, ALLOW_HEADERS, ALLOW_CREDENTIALS, EXPOSE_HEADERS, MAX_AGE] {
            say(Edit::Delete, name, b"");
        }
        if self.origins != Origins::Any {
            say(Edit::Add, b"Vary", b"Origin");
        }
        let Some(origin) = head::field(head.fields, "origin") else { return Ok(Crossing::Goes) };
        let asked = head::field(head.fields, "access-control-request-method");
        let preflight = asked.filter(|_| head.method == Method::Options);
        if !self.origins.allow(origin) {
            return if preflight.is_some() { Err(End::CorsOrigin) } else { Ok(Crossing::Goes) };
        }
        say(Edit::Set, ALLOW_ORIGIN, if self.origins == Origins::Any { b"*" } else { origin });
        if self.credentials {
            say(Edit::Set, ALLOW_CREDENTIALS, b"true");
        }
        let Some(method) = preflight else {
            if !self.exposed.is_empty() {
                say(Edit::Set, EXPOSE_HEADERS, self.exposed.as_bytes());
            }
            return Ok(Crossing::Goes);
        };
        say(Edit::Add, b"Vary", b"Access-Control-Request-Method, Access-Control-Request-Headers");
        let method = if field::is_token(method) { method } else { b"" };
        say(Edit::Set, ALLOW_METHODS, if &*self.methods == "*" { method } else { self.methods.as_bytes() });
        let wanted = head::field(head.fields, "access-control-request-headers").unwrap_or_default();
        let headers = if &*self.headers == "*" { wanted } else { self.headers.as_bytes() };
        if !headers.is_empty() {
            say(Edit::Set, ALLOW_HEADERS, headers);
        }
        say(Edit::Set, MAX_AGE, self.max_age_s.as_bytes());
        Ok(Crossing::Preflight)
    }
}

impl OriginRule {
    /// Reads `https://app.example.com`, `https://*.example.com`, either with a port, or `null`.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        if lower == "null" {
            return Ok(Self { front: lower.into(), below: None });
        }
        let Some((scheme, authority)) = lower.split_once("://") else {
            return Err(format!("`{text}` is no origin: it has no scheme"));
        };
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
        let host = authority.strip_prefix("*.").unwrap_or(authority);
        let ends_legally = !host.is_empty() && !host.ends_with(['.', '-', ':']) && !host.starts_with(['.', '-', ':']);
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            return Err(format!("`{text}` is no origin: its scheme is none"));
        }
        if !ends_legally || !host.bytes().all(legal) {
            return Err(format!(
                "`{text}` is no origin: behind the scheme stands a host, and a port where it is not the usual one"
            ));
        }
        Ok(match authority.strip_prefix('*') {
            Some(below) => Self { front: format!("{scheme}://").into(), below: Some(below.into()) },
            None => Self { front: lower.into(), below: None },
        })
    }

    fn allows(&self, origin: &[u8]) -> bool {
        let front = self.front.as_bytes();
        match &self.below {
            None => origin.eq_ignore_ascii_case(front),
            Some(below) => {
                let Some((scheme, host)) = origin.split_at_checked(front.len()) else { return false };
                let Some(at) = host.len().checked_sub(below.len()).filter(|at| *at > 0) else { return false };
                scheme.eq_ignore_ascii_case(front)
                    && host[at..].eq_ignore_ascii_case(below.as_bytes())
                    && host[..at].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
            }
        }
    }
}

impl Origins {
    /// Whether pages of this origin may.
    #[must_use]
    pub fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(rules) => rules.iter().any(|rule| rule.allows(origin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, origin: &str) -> bool {
        OriginRule::parse(rule).expect(rule).allows(origin.as_bytes())
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert!(allows("https://App.example", "https://app.example"));
        assert!(!allows("https://app.example", "http://app.example"));
        assert!(!allows("https://app.example", "https://app.example:8443"));
        assert!(!allows("https://app.example", "https://app.example.evil"));
        assert!(allows("http://localhost:3000", "http://localhost:3000"));
        assert!(allows("null", "null") && !allows("https://app.example", "null"));
    }

    #[test]
    fn a_star_is_any_host_below_and_not_the_host_itself() {
        assert!(allows("https://*.example.com", "https://a.example.com"));
        assert!(allows("https://*.example.com", "https://A.b.Example.com"));
        assert!(!allows("https://*.example.com", "https://example.com"));
        assert!(!allows("https://*.example.com", "https://.example.com"));
        assert!(!allows("https://*.example.com", "https://evilexample.com"));
        assert!(!allows("https://*.example.com", "https://evil.test/.example.com"));
        assert!(!allows("https://*.example.com", "https://evil.test:1.example.com"));
        assert!(!allows("https://*.example.com", "http://a.example.com"));
        assert!(allows("https://*.example.com:8443", "https://a.example.com:8443"));
        assert!(!allows("https://*.example.com:8443", "https://a.example.com"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in
            ["", "example.com", "https://", "https://a/b", "https://a*b.c", "://a", "https://*.", "https://a:", "*.a"]
        {
            assert!(OriginRule::parse(text).is_err(), "{text}");
        }
    }
}
