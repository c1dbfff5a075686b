//! What the files may say of filters, and what is said back.

use std::process::Command;

use super::program;
use crate::support::{Conf, Origin, Service};

/// What `check` says of this service, by a program.
fn check(program: &str, service: Service) -> (bool, String) {
    said(program, service, "check", &[])
}

fn said(name: &str, service: Service, command: &str, further: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    Conf::new().service(service).write(folder.path(), 1);
    let path = if name == "gatekeeper" { env!("CARGO_BIN_EXE_gatekeeper").into() } else { program(name) };
    let mut run = Command::new(path);
    run.arg(command).arg(folder.path().join("module.toml")).args(further);
    let said = run.output().expect("the program runs");
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    (said.status.success(), text)
}

fn service() -> Service {
    Service::with_nodes("/svc", vec!["127.0.0.1:1".into()])
}

#[test]
fn a_filter_that_the_program_does_not_have_is_a_fault() {
    let (good, text) = check("gatekeeper", service().filter("city", ""));
    assert!(!good && text.contains("this program has no http filter `city`"), "{text}");
    assert!(text.contains("it has no http filters at all: docs/filters.md"), "{text}");
    let (good, text) = check("filters-of-tests", service().filter("capitels", ""));
    assert!(!good && text.contains("did you mean `capitals`?"), "{text}");
    let (good, text) = check("filters-of-tests", service().filter("only", "client = \"::1\"\nservice = \"svc\""));
    assert!(!good && text.contains("it is a filter of tcp services"), "{text}");
}

#[test]
fn options_that_a_filter_cannot_be_made_of_are_a_fault_with_its_place() {
    let (good, text) = check("filters-of-tests", service().filter("refuse", "at = \"request\""));
    assert!(!good && text.contains("the filter `refuse` cannot be made: missing field `status`"), "{text}");
    assert!(text.contains("module.toml:") && text.contains("correct its options"), "{text}");
    let (good, text) = check("city_filter", service().filter("city", "city_ids = [1]\npaths = []"));
    assert!(!good && text.contains("`paths` is empty"), "{text}");
    let (good, text) = check("city_filter", service().filter("city", "city_ids = [1]\npaths = [\"/a\"]"));
    assert!(good, "{text}");
}

#[test]
fn explain_asks_the_filters() {
    let origin = Origin::ok();
    let refusing = service().filter("count", "mark = \"one\"").filter("refuse", "at = \"request\"\nstatus = 451");
    let (_, text) = said("filters-of-tests", refusing, "explain", &["GET", "/svc/a"]);
    assert!(text.contains("filters    count, refuse"), "{text}");
    assert!(text.contains("refuse refuses: 451 refused at the request"), "{text}");
    assert!(text.contains("verdict    451 filter_refused"), "{text}");
    let (_, text) =
        said("filters-of-tests", service().filter("count", "mark = \"one\""), "explain", &["GET", "/svc/a"]);
    assert!(text.contains("x-asked: one 1"), "{text}");
    assert_eq!(origin.heads().len(), 0);
}
