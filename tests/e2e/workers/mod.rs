//! The workers as a whole: how connections spread over them, what becomes of one that dies.

pub(crate) mod even;
#[cfg(debug_assertions)]
mod faults;
mod steady;

use std::process::Command;

use crate::support::{Conf, Gateway};

/// A gateway that breaks on demand, if this is a debug build.
pub(crate) fn fragile(conf: &Conf) -> Gateway {
    Gateway::start_with(conf, |command: &mut Command| {
        command.env("GATEKEEPER_FAULTS", "1");
    })
}

pub(crate) fn asking_for(fault: &str) -> String {
    format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nX-Gatekeeper-Fault: {fault}\r\n\r\n")
}
