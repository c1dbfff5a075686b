//! What a service's requests and answers are given, held to and answered with.

mod answers;
mod cors;
mod headers;
mod identity;
mod targets;
mod validation;

use crate::support::{Conf, Gateway, Origin, Service};

/// A gateway with one service at `/svc` that has these tables too.
fn gateway(origin: &Origin, tables: &str) -> Gateway {
    Gateway::start(&Conf::new().service(Service::at("/svc", &[origin]).further(tables)))
}
