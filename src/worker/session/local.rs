//! What this gateway answers itself.
//!
//! In scope: what there is, and GateKeeper's own endpoints, which come before every rule. Out of scope: the answers
//! (`exchange`, `reply`).

use std::net::IpAddr;

use crate::end::End;
use crate::proto::head::{self, Method, RequestHead};
use crate::wall::forwarded;
use crate::wall::snapshot::HttpRules;

/// What this gateway answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// `GET /ping`.
    Ping,
    /// `GET /reload`, from somebody who may.
    Reload,
    /// `OPTIONS *`, or `OPTIONS` with `Max-Forwards: 0`.
    Options,
    /// A browser's question whether a page may ask.
    Preflight,
    /// What the service answers without being asked.
    Default,
}

impl Local {
    /// The endpoint of the gateway's that a request is for, where it is for one.
    ///
    /// # Errors
    /// `End::ReloadDenied`.
    pub fn at(path: &[u8], head: &RequestHead<'_>, peer: IpAddr, rules: &HttpRules) -> Result<Option<Self>, End> {
        match path {
            b"/ping" if matches!(head.method, Method::Get | Method::Head) => Ok(Some(Self::Ping)),
            b"/reload" if head.method == Method::Get => {
                let known = peer.is_loopback() || rules.cluster.contains(&peer);
                let relayed = forwarded::NAMES.iter().any(|name| head::field(head.fields, name).is_some());
                if known && !relayed { Ok(Some(Self::Reload)) } else { Err(End::ReloadDenied) }
            }
            _ => Ok(None),
        }
    }
}
