//! Texts with parts of the request in them: `/v2$(origin.path)?user=$(origin.cookie.uid)`.
//!
//! What stands outside `$( )` is itself; `$$(` is a `$(` that begins nothing. A part that the request does not have is
//! empty. Every value is escaped for the place where it stands, so that no client can add a segment, a parameter or a
//! header field through one: in a path and in a query all but unreserved characters become escapes (RFC 3986 section
//! 2.3), in a field what no field may hold. In scope: reading such a text at load, writing it for a request. Out of
//! scope: where the texts stand (`rewrite`, `headers`).

use httparse::Header;

use super::attribute::{Attribute, Parts};
use super::routes::{Kind, Route};
use crate::proto::{field, target};

/// What a text may take from a request.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The path, normalised.
    pub path: &'a [u8],
    /// The query that goes on, without its question mark.
    pub query: &'a [u8],
    /// The fields of its head.
    pub fields: &'a [Header<'a>],
    /// Its method.
    pub method: &'a [u8],
    /// The host that it names.
    pub host: &'a [u8],
    /// The client's address.
    pub client: &'a [u8],
    /// Its id.
    pub request_id: &'a [u8],
    /// What its rule has taken out of the path.
    pub params: &'a dyn Params,
}

/// What a rule has taken out of a path.
pub trait Params {
    /// The part of this name, as it stands in the path; `*` is the rest behind the rule, without its first slash.
    fn param(&self, name: &str) -> Option<&[u8]>;
}

/// A path and the rule that took it.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// The rule.
    pub route: &'a Route,
    /// The path.
    pub path: &'a [u8],
}

impl Params for Taken<'_> {
    fn param(&self, name: &str) -> Option<&[u8]> {
        match &self.route.kind {
            Kind::Pattern(pattern) => {
                let named = pattern.parameters().iter().find(|(known, _)| **known == *name);
                named.map(|(_, parameter)| parameter.of(self.path))
            }
            Kind::Prefix if name == "*" => {
                let rest = self.path.strip_prefix(&*self.route.rule)?;
                Some(rest.strip_prefix(b"/").unwrap_or(rest))
            }
            Kind::Prefix | Kind::Exact | Kind::Regex => None,
        }
    }
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is a path and maybe a query.
    Target,
    /// It is the value of a field.
    Field,
}

/// A text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    text: Box<str>,
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<[u8]>),
    Value(Value, Escape),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Path,
    Query,
    Method,
    Host,
    Client,
    RequestId,
    Part(Attribute),
    Param(Box<str>),
}

/// How a value is made fit for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// In a path: one segment, or part of one.
    Segment,
    /// In a query: one value.
    Parameter,
    /// In a field.
    Field,
}

const KNOWN: &str = "there are origin.path, origin.query, origin.query.NAME, origin.header.NAME, origin.cookie.NAME, \
                     origin.method, origin.host, param.NAME, param.*, client.address and request.id";

impl Composition {
    /// Takes a text apart.
    ///
    /// # Errors
    /// The byte at which something is wrong, and what.
    pub fn parse(text: &str, place: Place) -> Result<Self, (usize, String)> {
        let mut reader = Reader { place, escape: Escape::Segment, ended: false, pieces: Vec::new(), plain: Vec::new() };
        if place == Place::Field {
            reader.escape = Escape::Field;
        }
        let mut at = 0;
        while let Some(found) = text[at..].find("$(") {
            let begin = at + found;
            if text[at..begin].ends_with('$') {
                reader.text(&text[at..begin - 1], at)?;
                reader.text("$(", begin)?;
                at = begin + 2;
                continue;
            }
            reader.text(&text[at..begin], at)?;
            let inside = &text[begin + 2..];
            let length = inside.find(')').ok_or_else(|| (begin, "`$(` without its `)`".to_owned()))?;
            reader.value(&inside[..length], begin)?;
            at = begin + 2 + length + 1;
        }
        reader.text(&text[at..], at)?;
        reader.flush();
        let composition = Self { text: text.into(), pieces: reader.pieces.into() };
        if place == Place::Target { composition.checked_target() } else { Ok(composition) }
    }

    fn checked_target(self) -> Result<Self, (usize, String)> {
        let rooted = match self.pieces.first() {
            Some(Piece::Text(text)) => text.starts_with(b"/"),
            Some(Piece::Value(value, _)) => *value == Value::Path,
            None => false,
        };
        if rooted { Ok(self) } else { Err((0, "a target begins with `/` or `$(origin.path)`".to_owned())) }
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of a rule's parameters that it takes.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(Value::Param(name), _) => Some(&**name),
            _ => None,
        })
    }

    /// The whole, where nothing in it is of the request.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        match &*self.pieces {
            [] => Some(b""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the text for a request; `decoded` is room for a value that has to be decoded.
    pub fn write(&self, origin: &Origin<'_>, decoded: &mut Vec<u8>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Value(value, escape) => value.write(origin, *escape, decoded, out),
            }
        }
    }

    /// Writes a target in place of `out`, which it leaves at the path; the query follows from there. `None` where a
    /// value made the path climb.
    #[must_use]
    pub fn target<'o>(&self, origin: &Origin<'_>, decoded: &mut Vec<u8>, out: &'o mut Vec<u8>) -> Option<Target<'o>> {
        out.clear();
        self.write(origin, decoded, out);
        let end = memchr::memchr(b'?', out).unwrap_or(out.len());
        let (path, query) = out.split_at(end);
        let query = query.strip_prefix(b"?").map(|query| query.strip_suffix(b"&").unwrap_or(query));
        // As a path that comes: a service may decode it before it resolves dots.
        let climbs = path.split(|&byte| byte == b'/').any(target::hides_dots);
        if climbs { None } else { Some(Target { path, query: query.filter(|query| !query.is_empty()) }) }
    }
}

/// A target that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// Its query, where it has one.
    pub query: Option<&'a [u8]>,
}

/// Takes a text apart, piece by piece.
struct Reader {
    place: Place,
    escape: Escape,
    /// The query that came stands at the end of the path: nothing may follow.
    ended: bool,
    pieces: Vec<Piece>,
    plain: Vec<u8>,
}

impl Reader {
    fn text(&mut self, text: &str, at: usize) -> Result<(), (usize, String)> {
        if self.ended && !text.is_empty() {
            return Err((
                at,
                "nothing follows `$(origin.query)` behind a path: write `?a=b&$(origin.query)`".to_owned(),
            ));
        }
        for (offset, byte) in text.bytes().enumerate() {
            match (self.place, byte) {
                (Place::Field, byte) if !field::is_value_byte(byte) => {
                    return Err((at + offset, "a header field cannot hold control characters".to_owned()));
                }
                (Place::Field, byte) => self.plain.push(byte),
                (Place::Target, b'#') => return Err((at + offset, "a target has no `#` part".to_owned())),
                (Place::Target, byte) if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) => {
                    if byte == b'?' {
                        self.escape = Escape::Parameter;
                    }
                    self.plain.push(byte);
                }
                (Place::Target, byte) => target::push_escape(byte, &mut self.plain),
            }
        }
        Ok(())
    }

    fn value(&mut self, name: &str, at: usize) -> Result<(), (usize, String)> {
        if self.ended {
            return self.text("$", at);
        }
        let value = Value::parse(name).map_err(|message| (at, message))?;
        self.flush();
        self.ended = value == Value::Query && self.escape == Escape::Segment;
        self.pieces.push(Piece::Value(value, self.escape));
        Ok(())
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.plain).into()));
        }
    }
}

impl Value {
    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "origin.path" => Self::Path,
            "origin.query" => Self::Query,
            "origin.method" => Self::Method,
            "origin.host" => Self::Host,
            "client.address" => Self::Client,
            "request.id" => Self::RequestId,
            _ => match name.split_once('.') {
                Some(("origin", part)) if !part.starts_with("body") => Self::Part(
                    Attribute::parse(part).map_err(|_| format!("`{name}` is no part of a request: {KNOWN}"))?,
                ),
                Some(("param", param)) if !param.is_empty() => Self::Param(param.into()),
                _ => return Err(format!("`{name}` is no part of a request: {KNOWN}")),
            },
        })
    }

    fn write(&self, origin: &Origin<'_>, escape: Escape, decoded: &mut Vec<u8>, out: &mut Vec<u8>) {
        let value = match self {
            // Path and query have the form that they have in a target.
            Self::Path if escape == Escape::Segment => return out.extend_from_slice(origin.path),
            Self::Query if escape == Escape::Segment => return put_query(origin.query, out),
            Self::Query if escape == Escape::Parameter => return out.extend_from_slice(origin.query),
            Self::Param(name) if escape == Escape::Segment => {
                return out.extend_from_slice(origin.params.param(name).unwrap_or_default());
            }
            Self::Path => origin.path,
            Self::Query => origin.query,
            Self::Param(name) => origin.params.param(name).unwrap_or_default(),
            Self::Method => origin.method,
            Self::Host => origin.host,
            Self::Client => origin.client,
            Self::RequestId => origin.request_id,
            Self::Part(part) => {
                let parts = Parts { query: Some(origin.query), fields: origin.fields };
                part.value(&parts, decoded).unwrap_or_default()
            }
        };
        for &byte in value {
            if escape.passes(byte) { out.push(byte) } else { target::push_escape(byte, out) }
        }
    }
}

/// The query behind a path; an empty one needs no question mark.
fn put_query(query: &[u8], out: &mut Vec<u8>) {
    if !query.is_empty() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
}

impl Escape {
    const fn passes(self, byte: u8) -> bool {
        match self {
            Self::Segment | Self::Parameter => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
            }
            Self::Field => field::is_value_byte(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIELDS: &[Header<'_>] =
        &[Header { name: "X-Team", value: b"a/b c?d" }, Header { name: "Cookie", value: b"uid=7; up=..; nl=a%0Ab" }];

    struct Rest;

    impl Params for Rest {
        fn param(&self, name: &str) -> Option<&[u8]> {
            (name == "*").then_some(b"r/s")
        }
    }

    fn origin<'a>(path: &'a str, query: &'a str) -> Origin<'a> {
        Origin {
            path: path.as_bytes(),
            query: query.as_bytes(),
            fields: FIELDS,
            method: b"GET",
            host: b"gate.test",
            client: b"192.0.2.1",
            request_id: b"id-1",
            params: &Rest,
        }
    }

    fn target(text: &str, query: &str) -> Option<String> {
        let composition = Composition::parse(text, Place::Target).expect(text);
        let mut out = Vec::new();
        let target = composition.target(&origin("/a/b", query), &mut Vec::new(), &mut out)?;
        let mut whole = String::from_utf8(target.path.to_vec()).unwrap();
        if let Some(query) = target.query {
            whole.push('?');
            whole.push_str(str::from_utf8(query).unwrap());
        }
        Some(whole)
    }

    fn value(text: &str, query: &str) -> String {
        let mut out = Vec::new();
        let composition = Composition::parse(text, Place::Field).expect(text);
        composition.write(&origin("/a/b", query), &mut Vec::new(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_part_of_a_request_stands_where_it_is_asked_for() {
        assert_eq!(target("/v2$(origin.path)$(origin.query)", "x=1&y").as_deref(), Some("/v2/a/b?x=1&y"));
        assert_eq!(target("$(origin.path)$(origin.query)", "").as_deref(), Some("/a/b"));
        assert_eq!(target("/u/$(origin.cookie.uid)?q=$(origin.query.q)&z=1", "q=7").as_deref(), Some("/u/7?q=7&z=1"));
        assert_eq!(target("/$(param.*)", "").as_deref(), Some("/r/s"));
        assert_eq!(
            value("$(origin.method) $(origin.host) $(client.address) $(request.id)", ""),
            "GET gate.test 192.0.2.1 id-1"
        );
    }

    #[test]
    fn what_a_request_does_not_have_is_empty() {
        assert_eq!(target("/x$(origin.header.x-none)/y?a=$(origin.cookie.none)", "").as_deref(), Some("/x/y?a="));
        assert_eq!(target("/x$(param.id)", "").as_deref(), Some("/x"));
    }

    #[test]
    fn a_value_stays_one_segment_and_one_parameter() {
        assert_eq!(target("/t/$(origin.header.x-team)/z", "").as_deref(), Some("/t/a%2Fb%20c%3Fd/z"));
        assert_eq!(
            target("/t?a=$(origin.query.q)&b=1", "q=x%26y%3Dz%23+%0d%0a").as_deref(),
            Some("/t?a=x%26y%3Dz%23%20%0D%0A&b=1")
        );
    }

    #[test]
    fn a_value_cannot_climb() {
        assert_eq!(target("/safe/$(origin.cookie.up)/x", ""), None);
        assert_eq!(target("/safe/.$(origin.query.q)", "q=."), None);
        assert_eq!(target("/safe/a$(origin.cookie.up)/x", "").as_deref(), Some("/safe/a../x"));
        for hidden in ["q=x/../../admin", "q=/../admin", "q=x%255C..%255Cadmin", "q=x%252F..%252Fadmin", "q=%252e%252e"]
        {
            assert_eq!(target("/safe/$(origin.query.q)", hidden), None, "{hidden}");
        }
    }

    #[test]
    fn a_value_cannot_begin_another_field() {
        assert_eq!(value("$(origin.query.q)", "q=a%0d%0aX-Evil:%201"), "a%0D%0AX-Evil: 1");
    }

    #[test]
    fn the_query_that_came_joins_one_that_is_written() {
        assert_eq!(target("/x?a=1&$(origin.query)", "b=2").as_deref(), Some("/x?a=1&b=2"));
        assert_eq!(target("/x?a=1&$(origin.query)", "").as_deref(), Some("/x?a=1"));
        assert_eq!(target("/x?$(origin.query)", "").as_deref(), Some("/x"));
    }

    #[test]
    fn two_dollars_begin_nothing() {
        assert_eq!(value("$$(x) $5 $", ""), "$(x) $5 $");
    }

    #[test]
    fn what_cannot_be_composed_is_told_with_its_place() {
        for (text, at) in [
            ("/a$(origin.path", 2),
            ("/$(origin.body.a)", 1),
            ("/$(depend.a)", 1),
            ("/$(param.)", 1),
            ("a$(origin.path)", 0),
            ("$(origin.host)", 0),
            ("", 0),
            ("/a$(origin.query)&b=1", 17),
            ("/a#b", 2),
        ] {
            assert_eq!(Composition::parse(text, Place::Target).expect_err(text).0, at, "{text}");
        }
        assert!(Composition::parse("a\nb", Place::Field).is_err());
    }

    #[test]
    fn a_constant_is_known_as_one() {
        assert_eq!(Composition::parse("a b", Place::Field).unwrap().constant(), Some(b"a b".as_slice()));
        assert_eq!(Composition::parse("$(request.id)", Place::Field).unwrap().constant(), None);
    }

    proptest! {
        #[test]
        fn whatever_the_values_are_the_target_has_the_shape_that_was_written(value in "\\PC{0,12}|[./%?&#=\\\\]{0,12}") {
            let mut query = String::from("q=");
            for byte in value.bytes() {
                query.push_str(&format!("%{byte:02X}"));
            }
            let Some(target) = target("/a/$(origin.query.q)/c?d=$(origin.query.q)&e=f", &query) else {
                // Dots alone between slashes of either kind, or what decodes to them.
                prop_assert!(value.contains(['.', '%']), "{value}");
                return Ok(());
            };
            prop_assert!(target.bytes().all(|byte| byte.is_ascii_graphic()));
            let (path, query) = target.split_once('?').unwrap();
            prop_assert_eq!((path.split('/').count(), query.split('&').count(), query.split('=').count()), (4, 2, 3), "{}", target);
            prop_assert!(!target.contains('#'));
        }
    }
}
