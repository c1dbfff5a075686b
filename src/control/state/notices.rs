//! What workers notice of services and endpoints, as lines of the log of health. Pure.

use super::roll::Roll;
use super::{Effect, Level};
use crate::wall::epoch::Epoch;
use crate::wall::link::{Notice, Noticed};

/// Says it, where the snapshot in force is the one that the worker spoke of.
pub(super) fn tell(roll: &Roll, epoch: &Epoch, noticed: Noticed, out: &mut Vec<Effect>) {
    if !roll.is_of_newest(noticed.epoch) {
        return;
    }
    let Noticed { service, endpoint, notice, .. } = noticed;
    let service = epoch.snapshot.service(service);
    let endpoint = endpoint.and_then(|id| service.upstream.endpoints.iter().find(|endpoint| endpoint.id == id));
    let whose = match endpoint {
        Some(endpoint) => format!("endpoint {} of {}", endpoint.node, service.name),
        None => format!("service {}", service.name),
    };
    let (level, what) = match notice {
        Notice::BreakerOpened => (Level::Warn, "its breaker opened: it is not asked for a while"),
        Notice::BreakerClosed => (Level::Info, "its breaker closed"),
        Notice::Ejected => (Level::Warn, "ejected for a while: its attempts fail"),
    };
    out.push(Effect::SayOfHealth(level, format!("{whose}: {what}")));
}
