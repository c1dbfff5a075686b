//! Tunnels are logged when they are over, and what came to nothing is logged as that. Every early end of a request is
//! held to the log by the suite that provokes it.

use std::time::Duration;

use serde_json::Value;

use super::{Folder, expect_json, expect_lines, lines, logged, logging};
use crate::support::gateway::free_port;
use crate::support::{Client, Conf, Gateway, Origin, Service};

const ASK: &str = "GET /svc/chat HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[test]
fn a_websocket_is_logged_once_when_it_is_over() {
    let origin = Origin::scripted(|peer| {
        peer.request();
        peer.send(SWITCH);
        let _ = peer.wire.exactly(5);
        peer.send("answer");
    });
    let folder = Folder::new();
    let gateway = Gateway::start(&logging(&origin, &folder, "json"));
    let mut client = gateway.connect();
    assert_eq!(client.ask(ASK).status(), 101);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(lines(&folder.path("access.log")).len(), 0, "it lasts");
    client.send("hello");
    assert_eq!(client.wire.exactly(6).as_deref(), Ok(b"answer".as_slice()));
    drop(client);
    let line = expect_json(&folder.path("access.log"), 1).remove(0);
    let told: [Value; 6] = ["kind", "method", "target", "status", "service", "upstream"].map(|key| line[key].clone());
    let wanted: [Value; 6] =
        ["tunnel".into(), "GET".into(), "/svc/chat".into(), 101.into(), "svc".into(), origin.node().into()];
    assert_eq!(told, wanted);
    assert_eq!(line["bytes_in"], (ASK.len() + 5) as u64, "{line}");
    assert!(line["total_us"].as_u64() >= Some(150_000), "{line}");
}

#[test]
fn a_connection_of_a_tcp_service_is_logged_with_what_it_carried() {
    let origin = Origin::ok();
    let (folder, port) = (Folder::new(), free_port());
    let service = Service::at("/line", &[&origin]).base("load_type", "tcp").balance("check_method", "tcpchk");
    let conf = Conf::new().service(service.base("frontend_addr", format!("127.0.0.1:{port}")));
    let _gateway = Gateway::start(&logged(conf, &folder, "json"));
    let mut client = Client::connect(([127, 0, 0, 1], port).into());
    let request = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(client.ask(request).status(), 200);
    drop(client);
    let line = expect_json(&folder.path("access.log"), 1).remove(0);
    let told: [Value; 6] = ["kind", "protocol", "method", "status", "service", "upstream"].map(|key| line[key].clone());
    let wanted: [Value; 6] =
        ["tunnel".into(), "TCP".into(), Value::Null, Value::Null, "line".into(), origin.node().into()];
    assert_eq!(told, wanted);
    assert_eq!((&line["bytes_in"], &line["attempts"]), (&(request.len() as u64).into(), &1.into()), "{line}");
    assert!(line["bytes_out"].as_u64() > Some(10), "{line}");
}

#[test]
fn a_connection_that_is_turned_away_is_logged_with_whom_it_came_from() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = logging(&origin, &folder, "$kind $remote_addr $status $end").http("address_connections_max", 1);
    let gateway = Gateway::start(&conf);
    let mut first = gateway.connect();
    assert_eq!(first.get("/svc/a").status(), 200);
    assert_eq!(gateway.connect().answer().status(), 429);
    let found = expect_lines(&folder.path("access.log"), 2);
    let wanted = "connection 127.0.0.1 429 address_connections";
    assert_eq!(found.iter().filter(|line| *line == wanted).count(), 1, "{found:?}");
}

#[test]
fn a_request_that_is_not_understood_is_logged_by_its_first_line() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let gateway = Gateway::start(&logging(&origin, &folder, "[$request] $status $end").http("read_timeout", 1));
    let mut client = gateway.connect();
    assert_eq!(client.ask("GET  /svc/a HTTP/1.1\r\nHost: a\r\n\r\n").status(), 400);
    let mut slow = gateway.connect();
    assert_eq!(slow.ask("GET /svc/slow HTTP/1.1\r\nHost: a\r\n").status(), 408);
    let mut garbage = gateway.connect();
    assert_eq!(garbage.ask("\x16\x03\x01\x02\x00\x01\"\\\r\n\r\n").status(), 400);
    let mut found = expect_lines(&folder.path("access.log"), 3);
    found.sort();
    let wanted = [
        "[GET  /svc/a HTTP/1.1] 400 bad_request_line",
        "[GET /svc/slow HTTP/1.1] 408 head_timeout",
        "[\\x16\\x03\\x01\\x02\\x00\\x01\\x22\\x5C] 400 bad_request_line",
    ];
    assert_eq!(found, wanted);
}
