//! What passes through the gateway: methods, bodies, connections, fields, interim answers.

mod bodies;
mod boundaries;
mod connections;
mod fields;
mod forwarding;
mod greedy;
mod idle;
mod interim;
mod messages;

use crate::support::{Conf, Gateway, Origin};

/// A gateway with `/svc` in front of the origin and nothing else said.
fn gate(origin: &Origin) -> Gateway {
    Gateway::start(&Conf::of(origin))
}
