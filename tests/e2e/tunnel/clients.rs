//! A WebSocket client and server that others wrote: `websockets` for Python, with its extension.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Conf, Gateway, Service};

#[test]
fn websockets_of_python_talk_through_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new("python3")
        .arg(root.join("tests/e2e/tunnel/clients.py"))
        // Where tools/test-needs installs it.
        .env("PYTHONPATH", root.join("target/test-python"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut port = String::new();
    BufReader::new(python.stdout.take().expect("piped")).read_line(&mut port).expect("a line");
    let port: u16 = port.trim().parse().expect("the server's port; tools/test-needs installs what it needs");
    let service = Service::with_nodes("/svc", vec![format!("127.0.0.1:{port}")]).balance("check_method", "tcpchk");
    let gateway = Gateway::start(&Conf::new().service(service));
    let mut told = python.stdin.take().expect("piped");
    writeln!(told, "{}", gateway.address().port()).expect("it reads");
    assert!(python.wait().expect("our own child").success(), "what it missed is above");
}
