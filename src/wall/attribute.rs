//! A named part of a request that rules look at: a header field, a cookie, a parameter of the query.
//!
//! In scope: its name in the files (`header.x-env`, `cookie.uid`, `query.lang`) and its value in a request. Out of
//! scope: what a rule makes of the value.

use httparse::Header;

use crate::proto::head::{self, RequestHead};
use crate::proto::{cookie, form};

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// The first value of a field, by its name in lower case.
    Header(Box<str>),
    /// The first cookie of this name.
    Cookie(Box<str>),
    /// The first parameter of this name, decoded.
    Query(Box<str>),
}

/// Where attributes are looked up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts<'a> {
    /// The query as received, without its question mark.
    pub query: Option<&'a [u8]>,
    /// Every field of the head.
    pub fields: &'a [Header<'a>],
}

impl<'a> Parts<'a> {
    /// The parts of a request.
    #[must_use]
    pub fn of(head: &RequestHead<'a>) -> Self {
        Self { query: head.query, fields: head.fields }
    }
}

impl Attribute {
    /// Reads `header.NAME`, `cookie.NAME` or `query.NAME`.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "write header.NAME, cookie.NAME or query.NAME";
        let (kind, name) = text.split_once('.').ok_or_else(|| format!("`{text}` is no part of a request: {SHAPE}"))?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match kind {
            _ if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(format!("`{text}` has no name that a request can have"))
            }
            "header" | "cookie" if !name.bytes().all(token) => Err(format!("`{name}` is no name of a {kind}")),
            "header" => Ok(Self::Header(name.to_ascii_lowercase().into())),
            "cookie" => Ok(Self::Cookie(name.into())),
            "query" => Ok(Self::Query(name.into())),
            _ => Err(format!("`{kind}` is no part of a request: {SHAPE}")),
        }
    }

    /// Its value in a request; `decoded` is room for one that had to be decoded.
    #[must_use]
    pub fn value<'a>(&self, parts: &Parts<'a>, decoded: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        match self {
            Self::Header(name) => head::field(parts.fields, name),
            Self::Cookie(name) => cookie::find(parts.fields, name.as_bytes()),
            Self::Query(name) => form::find(parts.query?, name.as_bytes(), decoded),
        }
    }
}

impl std::fmt::Display for Attribute {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(out, "header.{name}"),
            Self::Cookie(name) => write!(out, "cookie.{name}"),
            Self::Query(name) => write!(out, "query.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(attribute: &str) -> Option<Vec<u8>> {
        let fields = [Header { name: "X-Env", value: b"blue" }, Header { name: "Cookie", value: b"uid=7; a=b" }];
        let parts = Parts { query: Some(b"lang=d%65&lang=fr&flag"), fields: &fields };
        let attribute = Attribute::parse(attribute).expect("an attribute");
        attribute.value(&parts, &mut Vec::new()).map(<[u8]>::to_vec)
    }

    #[test]
    fn each_kind_is_found_where_it_stands() {
        assert_eq!(value("header.X-ENV").as_deref(), Some(b"blue".as_slice()));
        assert_eq!(value("cookie.uid").as_deref(), Some(b"7".as_slice()));
        assert_eq!(value("query.lang").as_deref(), Some(b"de".as_slice()));
        assert_eq!(value("query.flag").as_deref(), Some(b"".as_slice()));
        for absent in ["header.env", "cookie.UID", "query.LANG"] {
            assert_eq!(value(absent), None, "{absent}");
        }
    }

    #[test]
    fn what_no_request_has_is_refused() {
        for text in ["", "uid", "header.", "body.a", "header.a b", "cookie.a=b", "header.\u{e4}", ".x"] {
            assert!(Attribute::parse(text).is_err(), "{text}");
        }
    }
}
