//! Tenants of app.toml: their credentials, the paths they may call, and the order of those tests.
//!
//! A tenant proves who it is with its secret itself, with a signature (`wall::signing`), or with a token that the gateway gave
//! it. Out of scope: where those stand in a request, the tenant's rate and the group
//! fields (all `worker`).

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use super::access::AddressSet;
use super::quota::Quota;
use super::rate::Rate;
use super::routes::covers;
use super::secret;
use super::signing::{Signable, Signing};
use crate::end::End;
use crate::ids::TenantId;

/// One `[[authirized_apps]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// `app_id`.
    pub app_id: Box<str>,
    /// `name`, for people.
    pub name: Box<str>,
    /// `secret`, compared with `sign`.
    pub secret: Box<str>,
    /// `sign_method = "hmac-sha256"`: requests are signed with the secret, which is itself no proof.
    pub signing: Option<Signing>,
    /// `open_api`: canonical path prefixes it may call, by whole segments. The empty prefix (from an
    /// item `/`) is every path; no prefix at all is no path.
    pub allowed: Box<[Box<[u8]>]>,
    /// `white_ips`: these need no `sign`.
    pub white: AddressSet,
    /// `qps`, burst 3 ×.
    pub rate: Option<Rate>,
    /// `total_query_daily`.
    pub quota: Option<Quota>,
    /// `usage_headers`: its answers say what is left.
    pub usage_told: bool,
    /// `group_id`; 0 is none.
    pub group_id: u64,
}

impl Tenant {
    /// Whether `open_api` has the path, by whole segments.
    #[must_use]
    pub fn may_call(&self, path: &[u8]) -> bool {
        self.allowed.iter().any(|prefix| covers(prefix, path))
    }

    /// Whether the claim is proven.
    fn proves(&self, proof: &Proof<'_>) -> Result<(), End> {
        match (proof, &self.signing) {
            (Proof::Token, _) => Ok(()),
            (Proof::Secret(sign), None) if self.sign_matches(sign) => Ok(()),
            (Proof::Signature(request), Some(signing)) => signing.check(request),
            _ => Err(End::TenantSign),
        }
    }

    /// Whether this is the secret, in constant time. An empty secret matches nothing.
    #[must_use]
    pub fn sign_matches(&self, sign: &[u8]) -> bool {
        secret::matches(self.secret.as_bytes(), sign)
    }
}

/// What a request says of itself.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// `app_id`, decoded.
    pub app_id: &'a [u8],
    /// What stands behind it.
    pub proof: Proof<'a>,
}

/// How a request proves whose it is.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// `sign`, decoded: the secret itself; empty when the request has none.
    Secret(&'a [u8]),
    /// Its head is signed.
    Signature(&'a Signable<'a>),
    /// A token that this gateway gave to the tenant, and that was found valid.
    Token,
}

/// Every tenant, indexed by `app_id`.
#[derive(Debug, Default)]
pub struct Tenants {
    tenants: Box<[Tenant]>,
    index: HashMap<Box<[u8]>, usize>,
}

impl Tenants {
    /// Indexes the tenants, given in file order. Of several with one `app_id` the first is found.
    #[must_use]
    pub fn new(tenants: Vec<Tenant>) -> Self {
        let mut index = HashMap::with_capacity(tenants.len());
        for (position, tenant) in tenants.iter().enumerate() {
            index.entry(tenant.app_id.as_bytes().into()).or_insert(position);
        }
        Self { tenants: tenants.into(), index }
    }

    /// Every tenant in file order.
    #[must_use]
    pub fn all(&self) -> &[Tenant] {
        &self.tenants
    }

    /// The tenant with this `app_id`.
    #[must_use]
    pub fn find(&self, app_id: &[u8]) -> Option<&Tenant> {
        self.index.get(app_id).map(|&position| &self.tenants[position])
    }

    /// Goes on with the counts and the signatures of another configuration's tenants of the same `app_id`.
    pub fn go_on(&mut self, before: &Self, now_s: u64) {
        for tenant in &mut self.tenants {
            let Some(known) = before.find(tenant.app_id.as_bytes()) else { continue };
            if let (Some(quota), Some(known)) = (&mut tenant.quota, &known.quota) {
                quota.count = Arc::clone(&known.count);
            }
            if let (Some(signing), Some(known)) = (&mut tenant.signing, &known.signing) {
                signing.go_on(known, now_s);
            }
        }
    }

    /// GateKeeper's order: an `app_id` is named, it is known, the sign is right (or the address is on the
    /// tenant's white list), the path is allowed. `path` is the one before any rewrite.
    ///
    /// # Errors
    /// `End::TenantMissing`, `End::TenantUnknown`, `End::TenantSign`, `End::TenantPath`.
    pub fn admit(&self, claim: Claim<'_>, client: IpAddr, path: &[u8]) -> Result<(TenantId, &Tenant), End> {
        if claim.app_id.is_empty() {
            return Err(End::TenantMissing);
        }
        let position = *self.index.get(claim.app_id).ok_or(End::TenantUnknown)?;
        let tenant = &self.tenants[position];
        if !tenant.white.contains(client) {
            tenant.proves(&claim.proof)?;
        }
        if !tenant.may_call(path) {
            return Err(End::TenantPath);
        }
        Ok((TenantId(u32::try_from(position).unwrap_or(u32::MAX)), tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn tenant(app_id: &str, secret: &str, allowed: &[&str], white: &[&str]) -> Tenant {
        Tenant {
            app_id: app_id.into(),
            name: "".into(),
            secret: secret.into(),
            signing: None,
            allowed: allowed.iter().map(|prefix| prefix.as_bytes().into()).collect(),
            white: AddressSet::new(white.iter().map(|item| AddressSet::parse_item(item).expect(item)).collect()),
            rate: None,
            quota: None,
            usage_told: false,
            group_id: 0,
        }
    }

    fn admit(tenant: Tenant, app_id: &str, sign: &str, path: &str) -> Result<(), End> {
        let tenants = Tenants::new(vec![tenant]);
        let claim = Claim { app_id: app_id.as_bytes(), proof: Proof::Secret(sign.as_bytes()) };
        tenants.admit(claim, CLIENT, path.as_bytes()).map(|_| ())
    }

    #[test]
    fn the_right_sign_on_an_allowed_path_is_admitted() {
        assert_eq!(admit(tenant("a", "s3cret", &["/api"], &[]), "a", "s3cret", "/api/x"), Ok(()));
    }

    #[test]
    fn the_first_test_that_fails_names_the_end() {
        let nothing_right = || tenant("a", "s3cret", &["/api"], &[]);
        assert_eq!(admit(nothing_right(), "", "wrong", "/other"), Err(End::TenantMissing));
        assert_eq!(admit(nothing_right(), "b", "wrong", "/other"), Err(End::TenantUnknown));
        assert_eq!(admit(nothing_right(), "a", "wrong", "/other"), Err(End::TenantSign));
        assert_eq!(admit(nothing_right(), "a", "s3cret", "/other"), Err(End::TenantPath));
    }

    #[test]
    fn a_white_address_is_spared_the_sign_and_nothing_else() {
        let white = || tenant("a", "s3cret", &["/api"], &["192.0.2.0/24"]);
        assert_eq!(admit(white(), "a", "", "/api"), Ok(()));
        assert_eq!(admit(white(), "a", "", "/other"), Err(End::TenantPath));
        assert_eq!(admit(white(), "b", "", "/api"), Err(End::TenantUnknown));
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let tenant = tenant("a", "abab", &[], &[]);
        assert!(tenant.sign_matches(b"abab"));
        for wrong in ["", "a", "ab", "aba", "ababa", "abababab", "abac", "bbab", "abab\0"] {
            assert!(!tenant.sign_matches(wrong.as_bytes()), "{wrong:?}");
        }
    }

    #[test]
    fn the_secret_of_a_tenant_that_signs_proves_nothing() {
        let signs = || Tenant { signing: Some(Signing::new(b"s3cret", 300)), ..tenant("a", "s3cret", &["/api"], &[]) };
        assert_eq!(admit(signs(), "a", "s3cret", "/api/x"), Err(End::TenantSign));
    }

    #[test]
    fn an_empty_secret_matches_nothing() {
        let tenant = tenant("a", "", &["/api"], &[]);
        assert!(!tenant.sign_matches(b""));
        assert!(!tenant.sign_matches(b"x"));
    }

    #[test]
    fn paths_are_allowed_by_whole_segments() {
        let some = tenant("a", "s", &["/gatekeeper/a", "/b"], &[]);
        assert!(some.may_call(b"/gatekeeper/a"));
        assert!(some.may_call(b"/gatekeeper/a/x"));
        assert!(some.may_call(b"/b"));
        assert!(!some.may_call(b"/gatekeeper/abc"));
        assert!(!some.may_call(b"/gatekeeper"));
    }

    #[test]
    fn no_prefix_is_no_path_and_the_empty_prefix_is_every_path() {
        assert!(!tenant("a", "s", &[], &[]).may_call(b"/"));
        assert!(tenant("a", "s", &[""], &[]).may_call(b"/any"));
    }

    #[test]
    fn the_first_of_two_equal_app_ids_is_found() {
        let tenants = Tenants::new(vec![tenant("a", "one", &[], &[]), tenant("a", "two", &[], &[])]);
        assert_eq!(tenants.find(b"a").map(|tenant| &*tenant.secret), Some("one"));
        assert_eq!(tenants.find(b"A"), None);
        assert_eq!(tenants.all().len(), 2);
    }
}
