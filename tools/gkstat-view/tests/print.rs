//! What gkstat prints: once, as JSON, as CSV, and where there is no gateway.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::busy;

fn gkstat(folder: &Path, words: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_gkstat");
    Command::new(program).args(["--dir"]).arg(folder).args(words).output().expect("the binary runs")
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn once_is_a_table_of_everything() {
    let text = said(&gkstat(busy(), &["--once", "--interval", "0.5"]));
    let line =
        |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {text}"));
    assert!(line("gatekeeper ").contains(&std::process::id().to_string()));
    assert!(line("orders ").split_whitespace().nth(1).is_some_and(|qps| qps != "0"), "{text}");
    let wires: Vec<_> = line("wires ").split_whitespace().collect();
    assert!(wires[6] == "1" && wires[7] != "0" && wires[9] != "0", "a connection and its bytes: {text}");
    assert!(line("orders 127.0.0.1:").contains(" up "), "{text}");
    assert!(line("no_route").split_whitespace().nth(2).is_some_and(|total| total != "0"), "{text}");
    assert!(text.contains("\n0 ") && text.contains("\n1 "), "both cores: {text}");
}

#[test]
fn json_is_one_object_for_each_interval() {
    let text = said(&gkstat(busy(), &["--json", "--once", "--interval", "0.5"]));
    assert_eq!(text.lines().count(), 1);
    let frame: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(frame["process"]["pid"], std::process::id());
    assert_eq!(frame["process"]["state"], "running");
    assert_eq!(frame["cores"].as_array().map(Vec::len), Some(2));
    let service = |name: &str| {
        let services = frame["services"].as_array().expect("services");
        services.iter().find(|service| service["name"] == name).expect("the service").clone()
    };
    let qps = |name: &str| service(name)["qps"].as_f64().expect("a number");
    assert!(qps("orders") > qps("payments") && qps("payments") > 0.0, "{frame}");
    assert!(service("orders")["p99_us"].as_u64().is_some_and(|us| us > 0), "{frame}");
    assert_eq!(frame["endpoints"][0]["health"], "up");
    assert!(frame["reasons"].as_array().expect("reasons").iter().any(|reason| reason["reason"] == "no_route"));
}

#[test]
fn csv_has_one_head_and_lines_of_the_same_columns() {
    let text = said(&gkstat(busy(), &["--csv", "--once", "--interval", "0.3"]));
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0][..4], ["unix_ms", "kind", "name", "qps"]);
    assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
    let of = |kind: &str| lines.iter().filter(|line| line[1] == kind).count();
    assert_eq!((of("total"), of("core"), of("service"), of("endpoint")), (1, 2, 3, 3));
    let total: f64 = lines.iter().find(|line| line[1] == "total").expect("a line")[3].parse().expect("a number");
    assert!(total > 0.0);
}

#[test]
fn a_gateway_is_named_by_its_number() {
    let pid = std::process::id().to_string();
    let text = said(&gkstat(busy(), &["--once", "--interval", "0.1", "--pid", &pid]));
    assert!(text.contains(&pid));
    let output = gkstat(busy(), &["--once", "--pid", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no gatekeeper of number 1 has a stats file in "));
}

#[test]
fn without_a_gateway_it_says_so_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = gkstat(folder.path(), &["--once"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.starts_with("gkstat: no gatekeeper has a stats file in "), "{told}");
    assert!(told.contains("is one running here?") && told.contains("--dir"), "{told}");
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let output = gkstat(busy(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "gkstat: no terminal: use --once, --json or --csv\n");
}

#[test]
fn an_interval_that_makes_no_sense_is_refused() {
    let output = gkstat(busy(), &["--once", "--interval", "0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("must be 0.1 to 3600"));
}

#[test]
fn the_launcher_runs_as_typed_from_the_root_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new("tools/gkstat");
    command.current_dir(root).env("GKSTAT_PROFILE", "dev").args(["--once", "--interval", "0.1", "--dir"]);
    let output = command.arg(busy()).output().expect("the launcher runs");
    assert!(said(&output).contains("orders"));
}
