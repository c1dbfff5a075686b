//! What a rule demands beside the path: host, method, conditions.
//!
//! In scope: their compiled forms, and asking them. Out of scope: finding the rules of one host among many (`hosts`).

use crate::proto::head::Method;
use crate::wall::attribute::Parts;
use crate::wall::condition::{Condition, all_hold};

/// The demands of one rule; the default demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// One of these hosts; empty is any.
    pub hosts: Box<[Host]>,
    /// One of these methods.
    pub methods: Methods,
    /// All of these.
    pub conditions: Box<[Condition]>,
}

impl Demands {
    /// Whether every request that passes the other one passes this one too, as far as their texts tell.
    #[must_use]
    pub fn is_wider(&self, other: &Self) -> bool {
        (self.hosts.is_empty() || self.hosts == other.hosts)
            && self.methods.is_wider(&other.methods)
            && (self.conditions.is_empty() || self.conditions == other.conditions)
    }

    /// Whether passing takes more than a host and a method that has a bit.
    pub(super) fn is_guarded(&self) -> bool {
        !self.conditions.is_empty() || !self.methods.others.is_empty()
    }

    /// Whether the normalised host is one of its own.
    pub(super) fn has_host(&self, host: &[u8]) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|one| one.is(host))
    }

    /// What `is_guarded` announces.
    pub(super) fn lets(&self, method: &[u8], parts: &Parts<'_>, decoded: &mut Vec<u8>) -> bool {
        self.methods.names(method) && all_hold(&self.conditions, parts, decoded)
    }
}

/// A host that a rule is for, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// This one.
    Name(Box<[u8]>),
    /// Every one that ends so and is longer: `.example.com` for `*.example.com`.
    Below(Box<[u8]>),
}

impl Host {
    fn is(&self, host: &[u8]) -> bool {
        match self {
            Self::Name(name) => **name == *host,
            Self::Below(tail) => host.len() > tail.len() && host.ends_with(tail),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => out.write_str(&String::from_utf8_lossy(name)),
            Self::Below(tail) => write!(out, "*{}", String::from_utf8_lossy(tail)),
        }
    }
}

/// The bit of a method; all methods without a name of their own here share one.
pub(super) const fn bit(method: Method) -> u16 {
    1 << method as u16
}

/// The methods that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods {
    /// A bit for each method.
    pub(super) bits: u16,
    /// Where the bit of all others is set: those that are meant. Empty means every one.
    others: Box<[Box<[u8]>]>,
}

impl Default for Methods {
    fn default() -> Self {
        Self { bits: u16::MAX, others: Box::default() }
    }
}

impl Methods {
    /// These methods; none is every one.
    #[must_use]
    pub fn of(names: &[&str]) -> Self {
        if names.is_empty() {
            return Self::default();
        }
        let mut methods = Self { bits: 0, others: Box::default() };
        let mut others: Vec<Box<[u8]>> = Vec::new();
        for name in names {
            let method = Method::of(name.as_bytes());
            methods.bits |= bit(method);
            if method == Method::Other {
                others.push(name.as_bytes().into());
            }
        }
        Self { others: others.into(), ..methods }
    }

    /// Whether every method will do.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.bits == u16::MAX
    }

    fn is_wider(&self, other: &Self) -> bool {
        self.is_any() || (self.bits & other.bits == other.bits && self.others == other.others)
    }

    /// Of a method whose bit is set: whether it is meant.
    pub(super) fn names(&self, method: &[u8]) -> bool {
        self.others.is_empty() || Method::of(method) != Method::Other || self.others.iter().any(|one| **one == *method)
    }
}

impl std::fmt::Display for Methods {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
        let known = KNOWN.into_iter().filter(|name| self.bits & bit(Method::of(name.as_bytes())) != 0);
        let others = self.others.iter().map(|name| str::from_utf8(name).unwrap_or_default());
        out.write_str(&known.chain(others).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_takes_every_depth_below_but_not_the_name_itself() {
        let host = Host::Below((*b".example.com").into());
        assert!(host.is(b"a.example.com") && host.is(b"b.a.example.com"));
        assert!(!host.is(b"example.com") && !host.is(b".example.com") && !host.is(b"badexample.com"));
    }

    #[test]
    fn methods_that_share_a_bit_are_told_apart_by_name() {
        let methods = Methods::of(&["GET", "PURGE"]);
        assert!(methods.names(b"GET") && methods.names(b"PURGE") && !methods.names(b"PROPFIND"));
        assert_eq!(methods.to_string(), "GET,PURGE");
    }

    #[test]
    fn wider_is_what_demands_less() {
        let get = Demands { methods: Methods::of(&["GET"]), ..Demands::default() };
        let both = Demands { methods: Methods::of(&["GET", "POST"]), ..Demands::default() };
        assert!(Demands::default().is_wider(&get) && both.is_wider(&get) && get.is_wider(&get));
        assert!(!get.is_wider(&both) && !get.is_wider(&Demands::default()));
    }
}
