//! `[[module.validation]]`: what a service's requests must have.
//!
//! In scope: the rules, asking them. Where a part comes more than once every one of its values is looked at, because
//! nobody knows which of them the service takes. Out of scope: getting a body to look into (`worker/policy/validation`).

use super::attribute::{Attribute, Parts};
use super::expression::Expression;
use crate::proto::{cookie, form, json};

/// The rules of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// About its head.
    pub head: Box<[HeadRule]>,
    /// About its body, which is JSON.
    pub body: Box<[BodyRule]>,
}

/// A rule about the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadRule {
    /// What is looked at.
    pub part: Attribute,
    /// What is demanded.
    pub demand: Demand,
}

/// A rule about a value in a JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyRule {
    /// The names that lead to it.
    pub path: Box<[Box<str>]>,
    /// What is demanded.
    pub demand: Demand,
}

/// What is demanded of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// It must be there.
    pub required: bool,
    /// All of these must match it.
    pub matches: Box<[Expression]>,
}

impl Demand {
    fn is_met_by(&self, value: &[u8]) -> bool {
        self.matches.iter().all(|expression| expression.is_match(value))
    }
}

impl HeadRule {
    /// Whether the request meets it; `decoded` is room.
    #[must_use]
    pub fn is_met(&self, parts: &Parts<'_>, decoded: &mut Vec<u8>) -> bool {
        let (mut any, mut met) = (false, true);
        let mut look = |value: &[u8]| {
            any = true;
            met = met && self.demand.is_met_by(value);
        };
        match &self.part {
            Attribute::Header(name) => {
                let named = parts.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
                named.for_each(|field| look(field.value));
            }
            Attribute::Cookie(name) => cookie::each(parts.fields, name.as_bytes(), look),
            Attribute::Query(name) => form::each(parts.query.unwrap_or_default(), name.as_bytes(), decoded, look),
        }
        met && (any || !self.demand.required)
    }
}

impl Validation {
    /// The first rule about the head that the request does not meet; `decoded` is room.
    #[must_use]
    pub fn broken_by_head(&self, parts: &Parts<'_>, decoded: &mut Vec<u8>) -> Option<&HeadRule> {
        self.head.iter().find(|rule| !rule.is_met(parts, decoded))
    }

    /// The first rule about the body that it does not meet. An empty body has no values; one that is no JSON meets
    /// none.
    #[must_use]
    pub fn broken_by_body(&self, body: &[u8], decoded: &mut Vec<u8>) -> Option<&BodyRule> {
        self.body.iter().find(|rule| {
            let value = if body.is_empty() { Ok(None) } else { json::find(body, &rule.path, decoded) };
            !value.is_ok_and(|value| value.map_or(!rule.demand.required, |value| rule.demand.is_met_by(value)))
        })
    }
}

#[cfg(test)]
mod tests {
    use httparse::Header;

    use super::*;

    fn demand(required: bool, expressions: &[&str]) -> Demand {
        let matches = expressions.iter().map(|text| Expression::parse(text).expect(text)).collect();
        Demand { required, matches }
    }

    fn head(part: &str, required: bool, expressions: &[&str], query: &str, cookie: &str) -> bool {
        let rule = HeadRule { part: Attribute::parse(part).unwrap(), demand: demand(required, expressions) };
        let fields = [Header { name: "Cookie", value: cookie.as_bytes() }, Header { name: "X-A", value: b"1" }];
        rule.is_met(&Parts { query: Some(query.as_bytes()), fields: &fields }, &mut Vec::new())
    }

    #[test]
    fn what_is_required_must_be_there_and_what_is_there_must_match() {
        assert!(head("query.p", false, &["^[0-9]+$"], "", "") && !head("query.p", true, &["^[0-9]+$"], "", ""));
        assert!(head("query.p", true, &["^[0-9]+$"], "p=%31", "") && !head("query.p", false, &["^[0-9]+$"], "p=x", ""));
        assert!(head("header.x-a", true, &["1"], "", "") && !head("header.x-b", true, &[], "", ""));
        assert!(head("cookie.c", true, &["^v$"], "", "b=1; c=v") && !head("cookie.c", true, &["^v$"], "", "c=w"));
    }

    #[test]
    fn every_expression_must_match() {
        assert!(head("query.p", true, &["a", "b"], "p=xaby", "") && !head("query.p", true, &["a", "b"], "p=xay", ""));
    }

    #[test]
    fn every_value_must_match() {
        assert!(!head("query.p", true, &["^[0-9]+$"], "p=1&p=x", ""));
        assert!(!head("cookie.c", true, &["^v$"], "", "c=v; c=w"));
    }

    #[test]
    fn a_value_in_a_body_must_match() {
        let rule = BodyRule { path: ["user".into(), "age".into()].into(), demand: demand(true, &["^[0-9]{1,3}$"]) };
        let validation = Validation { head: Box::default(), body: [rule].into() };
        let met = |body: &[u8]| validation.broken_by_body(body, &mut Vec::new()).is_none();
        assert!(met(br#"{"user":{"age":17}}"#) && met(br#"{"user":{"age":"17"}}"#));
        for body in
            [&b"{\"user\":{\"age\":-1}}"[..], b"{\"user\":{}}", b"", b"age=17", b"{\"user\":{\"age\":1,\"age\":-1}}"]
        {
            assert!(!met(body), "{}", String::from_utf8_lossy(body));
        }
    }
}
