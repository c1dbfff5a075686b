//! Where connections are accepted, and what they are.
//!
//! Made of the configuration, opened by control, served by workers. A listener is one address; it has one or
//! more sockets, a SO_REUSEPORT group, each served by one worker. Out of scope: opening sockets
//! (`control::bind`), accepting (`worker::accept`).

use std::fmt;
use std::net::SocketAddr;

/// One address that accepts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// Written without an address: IPv6 and IPv4 both.
    pub any: bool,
    /// What comes in.
    pub entrance: Entrance,
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// Requests, routed to http services.
    Http,
    /// The bytes of one tcp service, by its name.
    Tcp {
        /// The service.
        service: Box<str>,
    },
}

impl Listen {
    /// Whether both mean the same sockets, whatever comes in by them.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        (self.address, self.any) == (other.address, other.any)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.entrance {
            Entrance::Http => "http",
            Entrance::Tcp { .. } => "tcp",
        };
        write!(f, "{scheme}://{}", self.address)
    }
}
