//! Every fault at once, each where it stands and with what to do.

use gatekeeper::config::{Fault, check, load_on};

use super::{HOST_NAME, fixture, held, load_files};

#[test]
fn every_fault_of_every_file_is_reported_at_once() {
    let folder = fixture("faulty");
    let mut faults = load_on(&folder.join("module.toml"), HOST_NAME).expect_err("faults");
    for fault in &mut faults {
        fault.file = fault.file.strip_prefix(&folder).expect("a file of the folder").into();
    }
    held(&folder.join("expected.txt"), &check::listing(&faults));
}

/// A service to which one table's keys are added.
fn module(base: &str, rules: &str, balance: &str, access: &str) -> String {
    format!(
        "[[module]]\n[module.base]\nname = \"a\"\n{base}\n{rules}\n[module.load_balance]\n{balance}\n\
         [module.access_control]\n{access}\n"
    )
}

const RULE: &str = "[[module.match_rule]]\nrule = \"/a\"";
const ENDPOINT: &str = "ip_list = \"127.0.0.1:1\"";

/// The messages of a module file: all of them where it does not load, the warnings where it does.
fn said(module: &str) -> Vec<Fault> {
    load_files(&[("module.toml", module)]).map_or_else(|faults| faults, |loaded| loaded.warnings)
}

#[track_caller]
fn says(module: &str, warning: bool, part: &str) {
    let faults = said(module);
    let found = faults.iter().any(|fault| fault.warning == warning && fault.message.contains(part));
    assert!(found, "{part}: {faults:#?}");
}

#[test]
fn what_the_values_mean_together_is_judged() {
    let two = "ip_list = \"127.0.0.1:1,127.0.0.1:2\"";
    let error = |text: &str, part| says(text, false, part);
    let warning = |text: &str, part| says(text, true, part);
    warning(&module("", RULE, &format!("{two}\nweight_list = \"0,0\""), ""), "every weight is 0");
    warning(
        &module("", RULE, &format!("{ENDPOINT}\nforbid_list = \"127.0.0.1:1\""), ""),
        "every endpoint is forbidden",
    );
    warning(&module("", RULE, ENDPOINT, "open = 1"), "everybody is refused");
    warning(&module("frontend_addr = \":1\"", RULE, ENDPOINT, ""), "frontend_addr has no effect");
    warning(&module("", "[[module.match_rule]]\nrule = \"/a/../../b\"", ENDPOINT, ""), "can never match");
    for list in ["black_list = \"10.0.0.1\"", "white_list_file = \"/nowhere\"", "url_white_list = \"/a\""] {
        let key = list.split(' ').next().expect("a key");
        says(&module("", RULE, ENDPOINT, list), true, &format!("{key} has no effect without open = 1"));
    }
    error(&module("", "", ENDPOINT, ""), "no [[module.match_rule]]");
    error(&module("", RULE, "ip_list = \"127.0.0.1:1,,127.0.0.1:2\"", ""), "has no port");
    error(&module("", RULE, &format!("{two}\nweight_list = \"50,\""), ""), "`` is not a weight");
    error(&module("", RULE, &format!("{ENDPOINT}\nweight_list = \"-1\""), ""), "`-1` is not a weight");
    for status in ["20", "199", "600", "300-200", "200-", "ok"] {
        error(
            &module("", RULE, &format!("{ENDPOINT}\ncheck_method = \"httpchk\"\ncheck_status = \"{status}\""), ""),
            "neither a status",
        );
    }
    warning(&module("", RULE, &format!("{ENDPOINT}\ncheck_host = \"a.test\""), ""), "check_host has no effect");
    error(&module("load_type = \"tcp\"\nfrontend_addr = \"8900\"", "", ENDPOINT, ""), "not an address with a port");
    let tcp = |base: &str, rules: &str| {
        module(&format!("load_type = \"tcp\"\nfrontend_addr = \":8900\"\n{base}"), rules, ENDPOINT, "")
    };
    warning(&tcp("host = \"a.test\"", ""), "host has no effect: a tcp module's bytes");
    warning(&tcp("trailers = true", ""), "trailers has no effect");
    warning(&tcp("", RULE), "match_rule has no effect");
    let many: Vec<_> = (1..=1_025).map(|port| format!("127.0.0.1:{port}")).collect();
    error(&module("", RULE, &format!("ip_list = \"{}\"", many.join(",")), ""), "1025 endpoints");
}

#[test]
fn an_endpoint_that_is_the_gateway_itself_is_told() {
    let at = |addr: &str, node: &str| {
        let module = module("", RULE, &format!("ip_list = \"{node}\""), "");
        let base = format!("[http]\naddr = \"{addr}\"\n");
        let loaded = load_files(&[("module.toml", &module), ("base.toml", &base)]).expect("it loads");
        loaded.warnings.iter().any(|fault| fault.message.contains("each request would come back here"))
    };
    assert!(at(":8080", "127.0.0.1:8080") && at("127.0.0.1:8080", "127.0.0.1:8080") && at("[::]:80", "[::1]:80"));
    assert!(!at(":8080", "127.0.0.1:8081") && !at(":8080", "192.0.2.1:8080") && !at("127.0.0.1:80", "127.0.0.2:80"));
}

#[test]
fn a_collector_that_cannot_be_reached_so_is_refused() {
    let module = module("", RULE, ENDPOINT, "");
    let faults = |line: &str| {
        let base = format!("[trace]\n{line}\n");
        load_files(&[("module.toml", &module), ("base.toml", &base)])
            .map_or_else(|faults| faults, |loaded| loaded.warnings)
    };
    for (line, part) in [
        ("endpoint = \"https://collector:4318\"", "cannot be sent over https yet"),
        ("endpoint = \"collector:4318\"", "is not a URL of a collector"),
        ("endpoint = \"grpc://collector:4317\"", "is not a URL of a collector"),
        ("endpoint = \"http://me:secret@collector:4318\"", "holds a name or a password"),
        ("headers = [\"no colon\"]", "the field `no colon` cannot be sent"),
        ("headers = [\"a: b\\r\\nc: d\"]", "the field `a` cannot be sent"),
        ("headers = [\"Content-Type: text/plain\"]", "is written by the gateway itself"),
        ("sample_ratio = 1.5", "`sample_ratio` must be 0 to 1"),
        ("sample_ratio = -0.5", "`sample_ratio` must be 0 to 1"),
        ("sample_ratio = nan", "`sample_ratio` must be 0 to 1"),
        ("sample_ratio = 0.0000001", "too small to tell from 0"),
        ("sample_ratio = \"1\"", "must be a number, not a string"),
    ] {
        let said = faults(line);
        let found = said.iter().any(|fault| !fault.warning && fault.line == 2 && fault.message.contains(part));
        assert!(found, "{line}: {said:#?}");
        assert!(said.iter().all(|fault| !fault.to_string().contains("secret")), "{said:#?}");
    }
}

#[test]
fn a_rewrite_that_gatekeeper_takes_in_silence_loads_with_a_warning() {
    let rule = "[[module.match_rule]]\nrule = \"/a\"\nurl_rewrite = \"^/a(.*), ^/a  $1,^/a(.*) /b$1c\"";
    let files = [("module.toml", &*module("", rule, ENDPOINT, ""))];
    let loaded = load_files(&files).expect("GateKeeper loads it");
    let places: Vec<_> = loaded.warnings.iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(places, [(7, 16), (7, 24), (7, 43)], "{:#?}", loaded.warnings);
    assert!(loaded.warnings.iter().all(|fault| fault.message.contains("GateKeeper")), "{:#?}", loaded.warnings);
    let items: Vec<_> = loaded.snapshot.routes.all()[0].rewrite.items().collect();
    assert_eq!(items, [("^/a(.*)", "/b$1c")]);
}

#[test]
fn a_protected_service_that_somebody_can_reach_is_not_complained_of() {
    let refused = |access: &str| {
        said(&module("", RULE, ENDPOINT, access)).iter().any(|fault| fault.message.contains("everybody is refused"))
    };
    assert!(refused("open = 1"));
    assert!(!refused("open = 0"));
    assert!(!refused("open = 1\nwhite_list = \"10.0.0.1\""));
    assert!(!refused(&format!("open = 1\nwhite_host_name = \"{HOST_NAME}\"")));
}

#[test]
fn a_file_without_a_service_is_an_error() {
    says("", false, "[[module]] is missing");
    says("module = []", false, "[[module]] is missing");
    says("# nothing", false, "[[module]] is missing");
}

#[test]
fn a_syntax_error_does_not_hide_the_faults_of_other_lines() {
    let text = module("", RULE, "ip_list = \"127.0.0.1:1\nrise = 0", "open = 3");
    let lines: Vec<_> = said(&text).iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [8, 9, 11], "{:#?}", said(&text));
}

#[test]
fn a_key_given_twice_is_an_error() {
    says(&module("name = \"b\"", RULE, ENDPOINT, ""), false, "duplicate key");
}

#[test]
fn a_fault_in_a_list_points_at_its_item() {
    let faults = said(&module("", RULE, "ip_list = \"127.0.0.1:1, 前:80\"", ""));
    let places: Vec<_> = faults.iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(places, [(8, 25)], "{faults:#?}");
}

#[test]
fn bytes_that_are_no_text_are_told_where_they_begin() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, b"# ok\n# \xff\n").expect("a file in it");
    let faults = load_on(&file, HOST_NAME).expect_err("not UTF-8");
    let first = faults.iter().find(|fault| fault.message.contains("UTF-8")).expect("the fault");
    assert_eq!((first.line, first.column), (2, 3), "{faults:#?}");
}

#[test]
fn a_path_that_is_no_module_file_is_told() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let told = |path: &std::path::Path| {
        let faults = load_on(path, HOST_NAME).expect_err("no module file");
        assert_eq!(faults.len(), 1, "{faults:#?}");
        faults[0].message.clone()
    };
    assert!(told(folder.path()).contains("is a folder"));
    assert!(told(&folder.path().join("module.toml")).contains("cannot be read"));
    assert!(told(&fixture("gatekeeper/base.toml")).contains("beside the module file"));
}

#[test]
fn a_tenants_table_that_cannot_be_read_stops_the_load() {
    let files = [("module.toml", &*module("", RULE, ENDPOINT, "open = 1")), ("app.toml", "[[authirized_apps]\n")];
    let faults = load_files(&files).expect_err("a protection that cannot be read");
    assert!(faults.iter().any(|fault| !fault.warning && fault.file.ends_with("app.toml")), "{faults:#?}");
}

#[test]
fn a_link_to_nowhere_is_not_an_absent_file() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, module("", RULE, ENDPOINT, "")).expect("a file in it");
    assert!(load_on(&file, HOST_NAME).is_ok());
    std::os::unix::fs::symlink("/nowhere/app.toml", folder.path().join("app.toml")).expect("a link in it");
    assert!(load_on(&file, HOST_NAME).is_err());
}

#[test]
fn what_is_wrong_with_the_logs_is_told_with_its_place() {
    let module =
        "[[module]]\nbase.name = \"a\"\nload_balance.ip_list = \"127.0.0.1:1\"\nmatch_rule = [{ rule = \"/\" }]\n";
    let told = |base: &str| {
        let faults = load_files(&[("module.toml", module), ("base.toml", base)]).expect_err("a fault");
        let fault = faults.iter().find(|fault| !fault.warning).expect("an error");
        (fault.line, fault.column, fault.message.clone(), fault.help.clone().unwrap_or_default())
    };
    let cases = [
        (
            "[base]\naccess_log_format = \"$uri $statsu\"",
            (2, 27),
            "there is no variable `$statsu`",
            "did you mean `status`?",
        ),
        (
            "[base]\naccess_log_format = \"combind\"",
            (2, 21),
            "there is no form `combind` built in",
            "did you mean `combined`?",
        ),
        ("[base]\naccess_log = \"yes\"", (2, 14), "`access_log`", ""),
        ("[log.file_writer]\non = true", (2, 6), "`log_path` names no file", "name one"),
        (
            "[log.file_writer]\non = true\nlog_path = \"a\"\nrotate_log_path = \"a.%S\"",
            (4, 22),
            "`%S` stands for no part of the time",
            "%m the minute",
        ),
        (
            "[syslog.file_writer]\non = true\nlog_path = \"a\"\nrotate_log_path = \"a.old\"",
            (4, 19),
            "would never be rotated",
            "%Y",
        ),
        ("[syslog]\nrooms = [\"control=debug\", \"cellar=debug\"]", (2, 28), "there is no room `cellar`", "worker"),
        ("[syslog]\nrooms = [\"control\"]", (2, 11), "gives no level", "control=debug"),
    ];
    for (base, place, message, help) in cases {
        let (line, column, said, advice) = told(base);
        assert_eq!((line, column), place, "{base}: {said}");
        assert!(said.contains(message) && advice.contains(help), "{base}: {said} / {advice}");
    }
}

#[test]
fn what_is_wrong_with_the_tables_against_failing_endpoints_is_said() {
    let with = |tables: &str| format!("{}\n{tables}", module("", RULE, ENDPOINT, ""));
    let tcp = |tables: &str| {
        format!("{}\n{tables}", module("load_type = \"tcp\"\nfrontend_addr = \":8900\"", "", ENDPOINT, ""))
    };
    let error = |text: &str, part| says(text, false, part);
    let warning = |text: &str, part| says(text, true, part);
    let retry = |rest: &str| with(&format!("[module.retry]\nattempts = 2\n{rest}"));
    error(&retry("on = \"closed,200\""), "`200` is nothing that is tried again");
    error(&retry("on = \"broken\""), "`broken` is nothing that is tried again");
    error(&retry("methods = \"GET,FETCH\""), "`FETCH` is not a method");
    error(&with("[module.mirror]\nservice = \"b\""), "there is no http module `b`");
    warning(&with("[module.mirror]\nservice = \"a\""), "`a` gets copies of its own requests");
    warning(&with("[module.retry]\npause = 10"), "[module.retry] has no effect without attempts");
    warning(&with("[module.breaker]\nprobes = 3"), "[module.breaker] has no effect without failures or error_rate");
    warning(&tcp("[module.ejection]\nfailures = 3"), "[module.ejection] has no effect: only http modules have it");
}
