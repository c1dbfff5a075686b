//! What the gateway says of itself: by level and room, as text or JSON, on standard error or in files, and changed
//! while it runs.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{Folder, lines};
use crate::support::{Conf, Gateway, Origin, eventually};

/// A reload of other files, which says a line at `info` and some at `debug`.
fn reload(gateway: &Gateway, conf: &Conf) {
    gateway.rewrite_files(conf);
    let answer = gateway.connect().get("/reload");
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

fn to_file(conf: Conf, folder: &Folder, log: &'static str, name: &str) -> Conf {
    conf.log(log, "on", true).log(log, "log_path", folder.text(name))
}

#[test]
fn the_system_log_goes_to_its_file_and_warnings_to_theirs() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = to_file(Conf::of(&origin), &folder, "syslog.file_writer", "sys");
    let conf = conf.log("syslog.file_writer", "wf_log_path", folder.text("sys.wf"));
    let mut gateway = Gateway::start(&conf);
    // A key without effect is a warning.
    reload(&gateway, &conf.base("debug_mode", "debug"));
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait(Duration::from_secs(10)).code(), Some(0));
    let (all, warnings) = (lines(&folder.path("sys")), lines(&folder.path("sys.wf")));
    assert!(all.iter().any(|line| line.contains(" INFO ") && line.contains("gateway config loaded")), "{all:#?}");
    assert!(all.last().is_some_and(|line| line.contains("stopped: ")), "the last word is written: {all:#?}");
    assert!(!all.iter().any(|line| line.contains(" WARN ")), "{all:#?}");
    assert!(warnings.iter().any(|line| line.contains(" WARN ") && line.contains("`debug_mode`")), "{warnings:#?}");
    assert_eq!(gateway.stderr(), "", "nothing is said twice");
}

#[test]
fn a_warning_of_a_file_says_so_once() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).base("debug_mode", "debug"));
    let said = gateway.stderr();
    let line = said.lines().find(|line| line.contains("`debug_mode`")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains(" WARN ") && !line.contains("warning"), "{line}");
}

#[test]
fn a_level_and_a_rooms_level_change_at_a_reload() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = to_file(Conf::of(&origin), &folder, "syslog.file_writer", "sys");
    let quiet = conf.clone().log("syslog", "log_level", "error");
    let gateway = Gateway::start(&quiet);
    reload(&gateway, &quiet.clone().http("via", false));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(lines(&folder.path("sys")), [""; 0]);
    reload(&gateway, &quiet.log("syslog", "rooms", ["control = info"]));
    let loaded = || lines(&folder.path("sys")).iter().filter(|line| line.contains("gateway config loaded")).count();
    assert!(eventually(|| loaded() == 1), "{:#?}", lines(&folder.path("sys")));
    reload(&gateway, &conf);
    assert!(eventually(|| loaded() == 2), "{:#?}", lines(&folder.path("sys")));
}

#[test]
fn lines_are_json_where_the_file_says_so() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = to_file(Conf::of(&origin), &folder, "syslog.file_writer", "sys").log("syslog", "format", "json");
    let gateway = Gateway::start(&conf);
    reload(&gateway, &conf.clone().http("via", false));
    assert!(eventually(|| !lines(&folder.path("sys")).is_empty()));
    let line = lines(&folder.path("sys")).pop().expect("a line");
    let value: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(value["level"], "INFO", "{line}");
    assert!(value["fields"]["message"].as_str().is_some_and(|text| text.contains("gateway config loaded")), "{line}");
    value["timestamp"].as_str().expect("a time").parse::<jiff::Timestamp>().expect("RFC 3339");
}

#[test]
fn health_has_a_log_of_its_own() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let service = crate::support::Service::at("/svc", &[&origin]).balance("check_interval", 200).balance("fall", 1);
    let conf = to_file(Conf::new().service(service), &folder, "checklog.file_writer", "check");
    let gateway = Gateway::start(&conf.log("checklog", "log_level", "debug"));
    assert!(eventually(|| lines(&folder.path("check")).iter().any(|line| line.contains(" passed"))));
    origin.set_sick(true);
    let down = || lines(&folder.path("check")).iter().any(|line| line.contains(" WARN ") && line.contains("is down"));
    assert!(eventually(down), "{:#?}", lines(&folder.path("check")));
    assert!(!gateway.stderr().contains("is down"), "{}", gateway.stderr());
}

#[test]
fn statistics_are_logged_each_interval() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = to_file(Conf::of(&origin), &folder, "statlog.file_writer", "stat").log("statlog", "interval", 1);
    let gateway = Gateway::start(&conf);
    let mut client = gateway.connect();
    for _ in 0..20 {
        assert_eq!(client.get("/svc/a").status(), 200);
    }
    assert_eq!(client.get("/nowhere").status(), 404);
    let number = |line: &str, key: &str| {
        let value = line.split(' ').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok());
        value.unwrap_or_else(|| panic!("{key} is not in {line}"))
    };
    let sum = |service: bool, key: &str| {
        let all = lines(&folder.path("stat")).into_iter().filter(|line| line.contains("service=\"svc\"") == service);
        all.map(|line| number(&line, key)).sum::<u64>()
    };
    // The lines of one interval are written one after the other: a reader may come between them.
    let counts =
        || (sum(false, "requests"), sum(false, "2xx"), sum(false, "4xx"), sum(true, "requests"), sum(true, "2xx"));
    assert!(eventually(|| counts() == (21, 20, 1, 20, 20)), "{:#?}", lines(&folder.path("stat")));
    assert!(lines(&folder.path("stat")).iter().any(|line| line.ends_with(" no_route=1")));
    assert!(lines(&folder.path("stat")).iter().all(|line| line.contains(" INFO gatekeeper::stat: ")));
}

#[test]
fn the_environment_goes_before_the_files() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).log("syslog", "log_level", "error");
    let gateway = Gateway::start_with(&conf, |command| _ = command.env("GATEKEEPER_LOG", "gatekeeper=debug"));
    reload(&gateway, &conf.clone().http("via", false));
    assert!(eventually(|| gateway.stderr().contains("gateway config loaded")), "{}", gateway.stderr());
    let gateway = Gateway::start_with(&conf, |command| _ = command.env("GATEKEEPER_LOG", "a=b=c"));
    assert!(gateway.stderr().contains("GATEKEEPER_LOG=a=b=c has no effect"), "{}", gateway.stderr());
}

#[test]
fn the_console_is_coloured_where_the_file_says_so() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).log("log.console_writer", "on", true).log("log.console_writer", "color", true);
    let conf = conf.base("access_log_format", "line of $uri").log("syslog.console_writer", "on", true);
    let gateway = Gateway::start(&conf.log("syslog.console_writer", "color", true).base("debug_mode", "debug"));
    let mut client = gateway.connect();
    assert_eq!((client.get("/svc/a").status(), client.get("/nowhere").status()), (200, 404));
    let printed = || {
        (
            gateway.stdout().contains("\nline of /svc/a\n"),
            gateway.stdout().contains("\x1b[33mline of /nowhere\x1b[0m\n"),
        )
    };
    assert!(eventually(|| printed() == (true, true)), "{:?}", gateway.stdout());
    assert!(gateway.stderr().lines().any(|line| line.starts_with("\x1b[33m") && line.contains("`debug_mode`")));
}

#[test]
fn the_reason_is_told_unless_the_file_says_not_to() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin).http("address_connections_max", 1);
    for (conf, told) in [(conf.clone(), true), (conf.http("reason_header", false), false)] {
        let gateway = Gateway::start(&conf);
        let mut client = gateway.connect();
        let reasons = ["/nowhere", "/svc/%00"].map(|path| client.get(path).reason().to_owned());
        let methods = client.ask("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(methods.head.field("allow").is_some(), "{methods:?}");
        let refused = gateway.connect().answer();
        assert_eq!(refused.status(), 429);
        let all = [reasons[0].as_str(), &reasons[1], methods.reason(), refused.reason()];
        let wanted = ["no_route", "bad_path", "method_not_allowed", "address_connections"];
        assert_eq!(all, if told { wanted } else { [""; 4] });
    }
}
