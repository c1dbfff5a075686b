//! Limits of a service: how often whom, with what patience, and how that is told.
//!
//! In scope: the compiled form of `[[module.limit]]` and of `client_flow_limit`, whom a limit counts in a request, and
//! the items of the RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10). Out of scope: the buckets (`rate`), who
//! asks and what becomes of a refusal (`worker::policy::limits`).

use std::net::IpAddr;

use super::attribute::{Attribute, Parts};
use super::rate::{Owner, Rate, Scope, Taken};
use crate::end::End;

/// Every limit of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Asked when a request or connection comes, in file order.
    pub each: Box<[Limit]>,
    /// Asked when an endpoint is picked.
    pub endpoint: Box<[Limit]>,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Unique in its service.
    pub name: Box<str>,
    /// What keeps its buckets apart from those of every other limit.
    pub scope: Scope,
    /// Whom it counts.
    pub by: By,
    /// How often.
    pub rate: Rate,
    /// How long a request may wait for its turn instead of being refused; 0 is not at all.
    pub wait_ms: u32,
    /// Nothing is refused, only noted.
    pub dry_run: bool,
    /// Answers say what is left; refusals always do.
    pub told: bool,
}

/// Whom a limit counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// All who call the service, together.
    Service,
    /// Each client address, IPv6 by /64.
    Client,
    /// Each endpoint.
    Endpoint,
    /// Each tenant.
    Tenant,
    /// Each value of a header field, a cookie or a parameter of the query.
    Value(Attribute),
}

/// Somebody who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// From where, as far as proxies in between are trusted.
    pub client: IpAddr,
    /// On whose behalf, where that is known.
    pub tenant: Option<&'a str>,
    /// What values are looked for in.
    pub parts: Parts<'a>,
}

impl By {
    /// Whom of this kind the caller is; `None` where it is nobody, and the limit does not concern it.
    #[must_use]
    pub fn owner<'a>(&self, caller: &Caller<'a>, decoded: &'a mut Vec<u8>) -> Option<Owner<'a>> {
        match self {
            Self::Service => Some(Owner::Service),
            Self::Client => Some(Owner::Client(caller.client)),
            Self::Tenant => caller.tenant.map(Owner::Tenant),
            Self::Value(attribute) => attribute.value(&caller.parts, decoded).map(Owner::Value),
            Self::Endpoint => None,
        }
    }

    /// The reason of a refusal.
    #[must_use]
    pub const fn end(&self) -> End {
        match self {
            Self::Service => End::ServiceRate,
            Self::Client => End::ClientRate,
            Self::Endpoint => End::EndpointRate,
            Self::Tenant => End::TenantRate,
            Self::Value(_) => End::ValueRate,
        }
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service => out.write_str("service"),
            Self::Client => out.write_str("client"),
            Self::Endpoint => out.write_str("endpoint"),
            Self::Tenant => out.write_str("tenant"),
            Self::Value(attribute) => attribute.fmt(out),
        }
    }
}

impl Limit {
    /// Its patience.
    #[must_use]
    pub fn wait_ns(&self) -> u64 {
        u64::from(self.wait_ms) * 1_000_000
    }

    /// Appends its item of `RateLimit-Policy`: so many (`q`) in so many seconds (`w`).
    pub fn put_policy(&self, out: &mut Vec<u8>) {
        self.put_name(out);
        put_number(out, b";q=", self.rate.requests.into());
        put_number(out, b";w=", self.rate.window_s.into());
    }

    /// Appends its item of `RateLimit`: so many (`r`) may come at once, and one more in so many seconds (`t`).
    pub fn put_standing(&self, out: &mut Vec<u8>, left: u64, more_s: u64) {
        self.put_name(out);
        put_number(out, b";r=", left);
        put_number(out, b";t=", more_s);
    }

    /// An item of a list begins with the name, a quoted string (RFC 9651 section 3.3.3).
    fn put_name(&self, out: &mut Vec<u8>) {
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        out.push(b'"');
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'"');
    }
}

fn put_number(out: &mut Vec<u8>, key: &[u8], number: u64) {
    /// The largest integer of a structured field (RFC 9651 section 3.3.1).
    const MOST: u64 = 999_999_999_999_999;
    out.extend_from_slice(key);
    out.extend_from_slice(itoa::Buffer::new().format(number.min(MOST)).as_bytes());
}

/// What is told of a bucket from which a request was taken: how many are left, and in how many seconds one more is.
#[must_use]
pub fn standing(taken: &Taken) -> (u64, u64) {
    let (left, more_ms) = taken.standing();
    (left, more_ms.div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use httparse::Header;

    use super::*;

    fn limit(name: &str, by: By) -> Limit {
        let rate = Rate { requests: 100, window_s: 60, burst: 10 };
        let scope = Scope::of_limit("s", name, rate);
        Limit { name: name.into(), scope, by, rate, wait_ms: 0, dry_run: false, told: true }
    }

    #[test]
    fn items_are_told_as_the_draft_writes_them() {
        let (mut policy, mut standing) = (Vec::new(), Vec::new());
        for limit in [limit("a", By::Client), limit("b-1", By::Service)] {
            limit.put_policy(&mut policy);
            limit.put_standing(&mut standing, 9, 1);
        }
        assert_eq!(policy, b"\"a\";q=100;w=60, \"b-1\";q=100;w=60");
        assert_eq!(standing, b"\"a\";r=9;t=1, \"b-1\";r=9;t=1");
    }

    #[test]
    fn who_lacks_what_a_limit_counts_by_is_not_its_concern() {
        let fields = [Header { name: "X-Key", value: b"k" }];
        let client = "192.0.2.1".parse().expect("an address");
        let caller = Caller { client, tenant: None, parts: Parts { query: None, fields: &fields } };
        let concerns = |by: By| by.owner(&caller, &mut Vec::new()).is_some();
        assert!(concerns(By::Service) && concerns(By::Client));
        assert!(concerns(By::Value(Attribute::parse("header.x-key").expect("a field"))));
        assert!(!concerns(By::Tenant) && !concerns(By::Value(Attribute::parse("cookie.k").expect("a cookie"))));
    }
}
