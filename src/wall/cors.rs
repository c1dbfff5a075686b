//! `[module.cors]`: which pages of other origins may read a service's answers (Fetch standard, section 3.2).
//!
//! In scope: the rules and which origins they allow. Out of scope: what is answered (`worker/cors`).

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
            return Err(format!("`{text}` is no origin: behind the scheme stands a host, and a port where it is not the usual one"));
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
        for text in ["", "example.com", "https://", "https://a/b", "https://a*b.c", "://a", "https://*.", "https://a:", "*.a"] {
            assert!(OriginRule::parse(text).is_err(), "{text}");
        }
    }
}
