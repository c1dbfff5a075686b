//! Access lists of a service: black, white and host name, with GateKeeper's precedence.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::end::End;

/// A set of addresses and CIDR ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    nets: Box<[IpNet]>,
}

impl AddressSet {
    /// The set of these ranges; an exact address is a range of one.
    #[must_use]
    pub fn new(nets: Vec<IpNet>) -> Self {
        Self { nets: nets.into() }
    }

    /// Whether the address lies in any range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(&address))
    }

    /// Whether the set has no range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty()
    }
}

/// What a service's lists say, compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `open = 1`: the lists and the tenant demand are in force.
    pub open: bool,
    /// `black_list`.
    pub black: AddressSet,
    /// `white_list`.
    pub white: AddressSet,
    /// `white_host_name` names this machine.
    pub host_listed: bool,
}

/// What the lists say of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Come in.
    Allowed,
    /// Only as a tenant.
    TenantNeeded,
}

impl Access {
    /// Black list, white list, host name, tenant: the first that decides.
    ///
    /// # Errors
    /// `End::BlackListed`.
    pub fn decide(&self, client: IpAddr) -> Result<Admission, End> {
        if !self.open {
            return Ok(Admission::Allowed);
        }
        if self.black.contains(client) {
            return Err(End::BlackListed);
        }
        if self.white.contains(client) || self.host_listed {
            return Ok(Admission::Allowed);
        }
        Ok(Admission::TenantNeeded)
    }
}
