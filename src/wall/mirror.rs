//! Traffic copy: which requests of a service are also sent to another one, whose answers nobody sees.
//!
//! In scope: the frozen rules. Out of scope: sending copies and their bounds (`worker::upstream::mirror`).

use crate::ids::ServiceId;

/// Which requests, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorRules {
    /// The service that gets the copies.
    pub service: ServiceId,
    /// Which share of the requests is copied, in millionths.
    pub millionths: u32,
    /// Copies under way or waiting for a connection, over the whole process; more are dropped.
    pub copies_max: u32,
    /// How long a copy may take in all.
    pub timeout_ms: u64,
}
