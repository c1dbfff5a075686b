//! What a service's requests and answers are given, held to and answered with.

mod answers;
mod cors;
mod headers;
mod identity;
mod targets;
mod validation;

use crate::support::{Conf, Gateway, Origin, Service, eventually};

/// An origin to be dropped, on an address where no other test comes to listen on its port afterwards.
fn leaving() -> Origin {
    Origin::scripted_at(([127, 0, 0, 77], 0).into(), |peer| while peer.request().is_some() {})
}

/// The gateway has found the origin healthy; now it goes.
fn leave(origin: Origin) {
    assert!(eventually(|| origin.probes() > 0), "it is probed");
    // The verdict is on its way to the workers.
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(origin);
}

/// A gateway with one service at `/svc` that has these tables too.
fn gateway(origin: &Origin, tables: &str) -> Gateway {
    Gateway::start(&Conf::new().service(Service::at("/svc", &[origin]).further(tables)))
}
