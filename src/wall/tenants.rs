//! Tenants of app.toml and their credentials.

use super::access::AddressSet;
use super::rate::Rate;

/// One `[[authirized_apps]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// `app_id`.
    pub app_id: Box<str>,
    /// `name`, for people.
    pub name: Box<str>,
    /// `secret`, compared with `sign`.
    pub secret: Box<str>,
    /// `open_api`: canonical path prefixes it may call, by whole segments.
    pub allowed: Box<[Box<[u8]>]>,
    /// `white_ips`: these need no `sign`.
    pub white: AddressSet,
    /// `qps`, burst 3 ×.
    pub rate: Option<Rate>,
    /// `group_id`; 0 is none.
    pub group_id: u64,
}

/// Every tenant, indexed by `app_id`.
#[derive(Debug, Default)]
pub struct Tenants {
    tenants: Box<[Tenant]>,
}

impl Tenants {
    /// Indexes the tenants, given in file order.
    #[must_use]
    pub fn new(tenants: Vec<Tenant>) -> Self {
        Self { tenants: tenants.into() }
    }

    /// Every tenant in file order.
    #[must_use]
    pub fn all(&self) -> &[Tenant] {
        &self.tenants
    }
}
