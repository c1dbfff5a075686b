//! What tells an upstream on whose behalf a request comes.

use super::policy::Permit;

/// What tells the upstream on whose behalf: GateKeeper's group headers and the tenant's name.
pub(super) struct Group<'p> {
    app_id: &'p [u8],
    id: [u8; 20],
    key: [u8; 40],
    lengths: (usize, usize),
}

impl<'p> Group<'p> {
    /// Of the tenant that was let pass, if there is one.
    pub(super) fn of(permit: &Permit<'p>) -> Self {
        use std::io::Write;
        let mut group = Self { app_id: b"", id: [0; 20], key: [0; 40], lengths: (0, 0) };
        let Some(tenant) = permit.tenant() else { return group };
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
    pub(super) fn fields(&self) -> ([(&'static str, &[u8]); 3], usize) {
        let group_id = ("didi-header-usergroup", &self.id[..self.lengths.0]);
        let group_key = ("didi-header-usergroupkey", &self.key[..self.lengths.1]);
        let tenant = ("x-gatekeeper-app", self.app_id);
        match (self.app_id.is_empty(), self.lengths.0) {
            (true, _) => ([tenant; 3], 0),
            (false, 0) => ([tenant; 3], 1),
            (false, _) => ([tenant, group_id, group_key], 3),
        }
    }
}
