//! Lists beyond GateKeeper's own: other precedences, paths that are let in, lists in files, dry run.

use std::net::Ipv4Addr;
use std::path::Path;

use tempfile::TempDir;

use crate::support::conf::{App, replace};
use crate::support::{Client, Conf, Gateway, Origin, Service, eventually};

fn service(origin: &Origin, keys: &[(&'static str, &str)]) -> Service {
    let service = Service::at("/svc", &[origin]).access("open", 1);
    keys.iter().fold(service, |service, (key, value)| service.access(key, *value))
}

fn listed(origin: &Origin, keys: &[(&'static str, &str)]) -> Gateway {
    Gateway::start(&Conf::new().service(service(origin, keys)))
}

fn refusal_of(gateway: &Gateway, last: u8, target: &str) -> String {
    Client::connect_from(Ipv4Addr::new(127, 0, 0, last), gateway.address()).get(target).reason().to_owned()
}

/// The reasons for which clients of these addresses are refused; empty when they are served.
fn refusals<const N: usize>(gateway: &Gateway, lasts: [u8; N]) -> [String; N] {
    lasts.map(|last| refusal_of(gateway, last, "/svc/a"))
}

#[test]
fn a_white_list_may_decide_alone() {
    let origin = Origin::ok();
    let mode = ("precedence", "white_decides");
    let gateway = listed(&origin, &[mode, ("white_list", "127.0.0.2"), ("black_list", "127.0.0.2,127.0.0.3")]);
    assert_eq!(refusals(&gateway, [2, 3, 4]), ["", "not_listed", "not_listed"]);
    let gateway = listed(&origin, &[mode, ("black_list", "127.0.0.3")]);
    assert_eq!(refusals(&gateway, [3, 4]), ["black_listed", ""]);
}

#[test]
fn both_lists_may_have_to_let_a_client_pass() {
    let origin = Origin::ok();
    let mode = ("precedence", "both_pass");
    let gateway = listed(&origin, &[mode, ("white_list", "127.0.0.0/29"), ("black_list", "127.0.0.3")]);
    assert_eq!(refusals(&gateway, [2, 3, 9]), ["", "black_listed", "not_listed"]);
    let gateway = listed(&origin, &[mode, ("black_list", "127.0.0.3")]);
    assert_eq!(refusals(&gateway, [3, 4]), ["black_listed", ""]);
}

#[test]
fn whom_the_lists_let_pass_may_have_to_be_a_tenant_too() {
    let origin = Origin::ok();
    let keys = [("precedence", "white_decides"), ("white_list", "127.0.0.2")];
    let conf = Conf::new().service(service(&origin, &keys).access("tenant_demanded", true)).app(App::new("shop", "s"));
    let gateway = Gateway::start(&conf);
    assert_eq!(refusals(&gateway, [2, 3]), ["tenant_missing", "not_listed"]);
    assert_eq!(refusal_of(&gateway, 2, "/svc/a?app_id=shop&sign=s"), "");
}

#[test]
fn paths_on_the_url_white_list_need_no_tenant_and_no_listed_address() {
    let origin = Origin::ok();
    let gateway = listed(&origin, &[("black_list", "127.0.0.3"), ("url_white_list", "/svc/open, /svc/free/")]);
    for path in ["/svc/open", "/svc/open/x", "/svc/free", "/svc/x/../open/y"] {
        assert_eq!(refusal_of(&gateway, 2, path), "", "{path}");
    }
    for path in ["/svc/opened", "/svc", "/svc/a"] {
        assert_eq!(refusal_of(&gateway, 2, path), "tenant_missing", "{path}");
    }
    assert_eq!(refusal_of(&gateway, 3, "/svc/open"), "black_listed");
}

fn in_file(origin: &Origin, key: &'static str, file: &Path) -> Service {
    let service = service(origin, &[("precedence", "both_pass")]);
    service.access(key, file.display().to_string())
}

#[test]
fn a_list_may_stand_in_a_file_of_its_own_that_is_watched() {
    let (origin, folder) = (Origin::ok(), TempDir::new().expect("a temporary folder"));
    let file = folder.path().join("black.list");
    replace(&file, "# whom we know\n127.0.0.2\n\n  127.0.0.64/26  # and those\n");
    let conf = Conf::new().base("watch", true).service(in_file(&origin, "black_list_file", &file));
    let gateway = Gateway::start(&conf);
    assert_eq!(refusals(&gateway, [2, 3, 100]), ["black_listed", "", "black_listed"]);
    replace(&file, "127.0.0.3\n");
    assert!(eventually(|| refusals(&gateway, [2, 3, 100]) == ["", "black_listed", ""]));
}

#[test]
fn a_file_with_a_line_that_is_no_address_is_refused_and_the_lists_in_force_stay() {
    let (origin, folder) = (Origin::ok(), TempDir::new().expect("a temporary folder"));
    let file = folder.path().join("white.list");
    replace(&file, "127.0.0.2\n");
    let gateway = Gateway::start(&Conf::new().service(in_file(&origin, "white_list_file", &file)));
    assert_eq!(refusals(&gateway, [2, 3]), ["", "not_listed"]);
    replace(&file, "127.0.0.3\nlocalhost\n");
    let answer = gateway.connect().get("/reload");
    assert_ne!(answer.status(), 200);
    assert!(eventually(|| gateway.stderr().contains("white.list:2:1")), "{}", gateway.stderr());
    assert_eq!(refusals(&gateway, [2, 3]), ["", "not_listed"]);
    replace(&file, "");
    assert_eq!(gateway.connect().get("/reload").status(), 200);
    assert!(eventually(|| refusals(&gateway, [2, 3]) == ["not_listed", "not_listed"]), "an empty list has nobody");
}

#[test]
fn a_hundred_thousand_addresses_in_a_file_are_a_list_as_any_other() {
    let (origin, folder) = (Origin::ok(), TempDir::new().expect("a temporary folder"));
    let file = folder.path().join("black.list");
    let others = (0..100_000_u32).map(|n| format!("{}\n", Ipv4Addr::from(0x0a00_0000 + n * 3)));
    replace(&file, &others.chain(["127.0.0.2\n".to_owned()]).collect::<String>());
    let gateway = Gateway::start(&Conf::new().service(in_file(&origin, "black_list_file", &file)));
    assert_eq!(refusals(&gateway, [2, 3]), ["black_listed", ""]);
}

#[test]
fn lists_in_dry_run_refuse_nobody_and_the_log_has_whom_they_would_have() {
    let (origin, folder) = (Origin::ok(), TempDir::new().expect("a temporary folder"));
    let path = folder.path().join("log");
    let service = service(&origin, &[("black_list", "127.0.0.2")]).access("dry_run", true);
    let conf = Conf::new().service(service).base("access_log_format", "$remote_addr $status $dry_run|");
    let conf = conf.base("access_log_sample", 1_000_000).log("log.file_writer", "on", true);
    let gateway = Gateway::start(&conf.log("log.file_writer", "log_path", path.display().to_string()));
    assert_eq!(refusals(&gateway, [2, 3]), ["", ""]);
    let text = || std::fs::read_to_string(&path).unwrap_or_default();
    for line in ["127.0.0.2 200 black_listed|", "127.0.0.3 200 tenant_missing|"] {
        assert!(eventually(|| text().contains(line)), "{line}: {}", text());
    }
    assert!(gateway.stderr().contains("these lists refuse nobody"), "{}", gateway.stderr());
}
