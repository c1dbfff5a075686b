//! Debian's slowhttptest, in each of its four modes, while a good client is served.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Conf, Gateway, Origin, Service};

const CONNECTIONS: u32 = 500;
const RATE: u32 = 500;
/// How long it attacks.
const SECONDS: u32 = 6;

#[track_caller]
fn withstands(mode: &[&str]) {
    let _turn = super::alone();
    let origin = Origin::echoing();
    let service = |path| Service::at(path, &[&origin]);
    let conf = Conf::new().service(service("/attacked")).service(service("/good")).cores(2);
    let gateway = Gateway::start(&conf.http("read_timeout", 3).http("write_timeout", 3).http("rate_grace", 3));
    let before = gateway.descriptors();
    let tool = Command::new("slowhttptest")
        .args(mode)
        .args(["-c", &CONNECTIONS.to_string(), "-r", &RATE.to_string(), "-l", &SECONDS.to_string()])
        .args(["-i", "2", "-u", &format!("http://{}/attacked/a", gateway.address())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let tool = tool.expect("slowhttptest is installed: tools/test-needs");
    let until = Instant::now() + Duration::from_secs(SECONDS.into());
    while Instant::now() < until {
        let answer = gateway.connect().patient(Duration::from_secs(5)).get("/good/a");
        assert_eq!(answer.status(), 200);
    }
    let said = tool.wait_with_output().expect("it ends by itself");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("slow HTTP test status"), "it attacked: {said}");
    let left = || gateway.descriptors().saturating_sub(before);
    assert!(crate::support::within(Duration::from_secs(20), || left() < 150), "{} descriptors are left over", left());
}

#[test]
fn slow_heads() {
    withstands(&["-H"]);
}

#[test]
fn slow_bodies() {
    withstands(&["-B"]);
}

#[test]
fn many_ranges() {
    withstands(&["-R"]);
}

#[test]
fn slow_reading() {
    withstands(&["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"]);
}
