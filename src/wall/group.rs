//! On whose behalf a request goes on, as the upstream is told: GateKeeper's group headers and the tenant's name.

use super::tenants::Tenant;

/// What tells the upstream on whose behalf: GateKeeper's group headers and the tenant's name.
pub struct Group<'p> {
    app_id: &'p [u8],
    id: [u8; 20],
    key: [u8; 40],
    lengths: (usize, usize),
}

impl<'p> Group<'p> {
    /// For a request on this tenant's behalf, or on nobody's.
    #[must_use]
    pub fn of(tenant: Option<&'p Tenant>) -> Self {
        use std::io::Write;
        let mut group = Self { app_id: b"", id: [0; 20], key: [0; 40], lengths: (0, 0) };
        let Some(tenant) = tenant else { return group };
        group.app_id = tenant.app_id.as_bytes();
        if tenant.group_id > 0 {
            let (mut id, mut key) = (&mut group.id[..], &mut group.key[..]);
            // Both arrays hold the longest u64 with its prefix.
            let _ = write!(id, "{}", tenant.group_id);
            let _ = write!(key, "gatekeeper_upm_{}", tenant.group_id);
            group.lengths = (20 - id.len(), 40 - key.len());
        }
        group
    }

    /// The fields, and how many of them are to be sent.
    #[must_use]
    pub fn fields(&self) -> ([(&'static str, &[u8]); 4], usize) {
        let group_id = ("didi-header-usergroup", &self.id[..self.lengths.0]);
        let group_key = ("didi-header-usergroupkey", &self.key[..self.lengths.1]);
        let tenant = ("x-gatekeeper-app", self.app_id);
        match (self.app_id.is_empty(), self.lengths.0) {
            (true, _) => ([tenant; 4], 0),
            (false, 0) => ([tenant; 4], 1),
            (false, _) => ([tenant, group_id, group_key, tenant], 3),
        }
    }
}
