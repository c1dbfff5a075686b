//! Tunnels: how they begin, what they carry, how they end.

mod clients;
mod farewell;
mod relay;
mod switch;

use std::time::Duration;

use crate::support::{Client, Conf, Gateway, Origin, Service};

/// The handshake of RFC 6455 section 1.3.
const ASK: &str = "GET /svc/chat HTTP/1.1\r\nHost: gate.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// Its answer.
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Switches, greets at once and then sends back whatever comes, until the other side closes.
fn echo_tunnel() -> Origin {
    Origin::scripted(|peer| {
        peer.request();
        peer.send(format!("{SWITCH}early"));
        peer.wire.patience = Duration::from_secs(10);
        while let Ok(byte) = peer.wire.exactly(1) {
            let mut bytes = byte;
            let waiting = peer.wire.pending().len();
            bytes.extend(peer.wire.exactly(waiting).expect("they wait"));
            peer.send(&bytes);
        }
        peer.send("bye");
    })
}

/// A gateway with `/svc` in front of the origin and nothing else said.
fn gate(origin: &Origin) -> Gateway {
    Gateway::start(&Conf::of(origin))
}

/// A gateway whose service has these keys of its load balance.
fn gate_with(origin: &Origin, keys: &[(&'static str, i64)]) -> Gateway {
    let service = Service::at("/svc", &[origin]);
    Gateway::start(
        &Conf::new().service(keys.iter().fold(service, |service, (key, value)| service.balance(key, *value))),
    )
}

/// A client that has switched.
#[track_caller]
fn switched(gateway: &Gateway) -> Client {
    let mut client = gateway.connect();
    assert_eq!(client.ask(ASK).status(), 101);
    client
}
