//! Rules beyond the prefix: whole paths, patterns, expressions, hosts, methods, conditions; splits and switches.

mod demands;
mod kinds;
mod splits;
mod switch;

use crate::support::{Client, Gateway, Origin};

/// An origin that says its name.
fn named(name: &str) -> Origin {
    Origin::replying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len()))
}

/// Who answered, or why nobody did.
fn said(client: &mut Client, method: &str, target: &str, host: &str, fields: &str) -> String {
    let answer = client.ask(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
    if answer.status() == 200 { answer.text() } else { answer.reason().to_owned() }
}

/// The same for a `GET` that says nothing more.
fn who(gateway: &Gateway, target: &str) -> String {
    said(&mut gateway.connect(), "GET", target, "gate.test", "")
}
