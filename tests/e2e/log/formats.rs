//! The forms that are built in, as their readers expect them, and texts of the user's.

use super::{Folder, expect_json, expect_lines, logging};
use crate::support::{Gateway, Origin};

const REQUEST: &str = "GET /svc/a?x=1 HTTP/1.1\r\nHost: gate.test\r\nReferer: http://from.test/\r\n\
                       User-Agent: tester/1\r\ndidi-header-rid: id-1\r\n\r\n";

#[track_caller]
fn line_of(form: &str, request: &str) -> (String, Origin) {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let gateway = Gateway::start(&logging(&origin, &folder, form));
    assert_eq!(gateway.connect().ask(request).status(), 200);
    (expect_lines(&folder.path("access.log"), 1).remove(0), origin)
}

/// What stands between two texts, the second of which may be the end.
#[track_caller]
fn between<'l>(line: &'l str, from: &str, to: &str) -> &'l str {
    let rest = line.split_once(from).unwrap_or_else(|| panic!("{from:?} is not in {line}")).1;
    if to.is_empty() { rest } else { rest.split_once(to).unwrap_or_else(|| panic!("{to:?} is not in {line}")).0 }
}

#[test]
fn combined_is_nginxs() {
    let (line, _origin) = line_of("combined", REQUEST);
    let time = between(&line, "127.0.0.1 - - [", "] ");
    assert!(jiff::Zoned::strptime("%d/%b/%Y:%H:%M:%S %z", time).is_ok() || time.ends_with(" +0000"), "{time}");
    jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", time).expect("nginx's form of a time");
    let rest = between(&line, "] ", "");
    assert_eq!(rest, "\"GET /svc/a?x=1 HTTP/1.1\" 200 2 \"http://from.test/\" \"tester/1\"");
}

#[test]
fn gatekeepers_form_has_its_tag_its_keys_and_ours_after_them() {
    let (line, origin) = line_of("gatekeeper", REQUEST);
    let time = between(&line, "[INFO][", "][gatekeeper] _com_request_out||");
    jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M:%S%.3f", time).expect("GateKeeper's form of a time");
    let pairs: Vec<_> = line.split("||").skip(1).map(|pair| pair.split_once('=').expect("a pair")).collect();
    let value = |key: &str| pairs.iter().find(|(known, _)| *known == key).unwrap_or_else(|| panic!("{key}: {line}")).1;
    let wanted = [
        ("traceid", "id-1"),
        ("uri", "/svc/a"),
        ("method", "GET"),
        ("args", "x=1"),
        ("from", "127.0.0.1"),
        ("status", "200"),
        ("end", ""),
        ("kind", "request"),
        ("module", "svc"),
        ("app_id", ""),
        ("upstream", origin.node()),
        ("attempts", "1"),
        ("host", "gate.test"),
        ("referer", "http://from.test/"),
        ("agent", "tester/1"),
    ];
    for (key, wanted) in wanted {
        assert_eq!(value(key), wanted, "{key}");
    }
    assert!(value("proc_time").parse::<f64>().expect("seconds") < 5.0);
    assert_eq!(value("timers").split('/').count(), 5);
    assert_eq!(value("bytes_in"), REQUEST.len().to_string());
}

#[test]
fn gatekeepers_form_is_the_one_where_none_is_named() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = crate::support::Conf::of(&origin).log("log.file_writer", "on", true);
    let gateway = Gateway::start(&conf.log("log.file_writer", "log_path", folder.text("access.log")));
    assert_eq!(gateway.connect().get("/nowhere").status(), 404);
    let line = expect_lines(&folder.path("access.log"), 1).remove(0);
    assert!(line.starts_with("[WARN][") && line.contains("] _com_request_out||"), "{line}");
}

#[test]
fn a_text_of_the_users_has_every_variable_it_names() {
    let form = "$remote_addr|$peer_addr|$remote_user|$request_method|$request_uri|$uri|$args|$server_protocol|$host|\
                $http_referer|$http_user_agent|$status|$body_bytes_sent|$request_length|$upstream_addr|$request_id|\
                $trace_id|$kind|$service|$tenant|$end|$side|$attempts|$retries|$reused|$$|${status}s";
    let (line, origin) = line_of(form, REQUEST);
    let (length, node) = (REQUEST.len(), origin.node());
    let wanted = format!(
        "127.0.0.1|127.0.0.1|-|GET|/svc/a?x=1|/svc/a|x=1|HTTP/1.1|gate.test|http://from.test/|tester/1|200|2|{length}|\
         {node}|id-1|id-1|request|svc|-|-|-|1|0|0|$|200s"
    );
    assert_eq!(line, wanted);
}

#[test]
fn variables_of_time_are_numbers_in_their_unit_and_agree() {
    let form = "$time_iso8601 $msec $request_time $upstream_connect_time $upstream_header_time \
                $upstream_response_time $timers $TR/$Tw/$Tc/$Tr/$Ta $worker $pid $bytes_sent";
    let (line, _origin) = line_of(form, REQUEST);
    let words: Vec<_> = line.split(' ').collect();
    let start: jiff::Timestamp = words[0].parse().expect("a time");
    let msec: f64 = words[1].parse().expect("seconds");
    assert!((msec - start.as_second() as f64) < 1.0, "{line}");
    let [total, connect, header, response] = [2, 3, 4, 5].map(|word| words[word].parse::<f64>().expect("seconds"));
    assert!(connect <= total && header <= response && response <= total, "{line}");
    assert_eq!(words[6], words[7]);
    assert!(words[6].split('/').all(|timer| timer.parse::<i64>().expect("milliseconds") >= 0), "{line}");
    assert!(words[8..].iter().all(|word| word.parse::<u64>().is_ok()), "{line}");
}

#[test]
fn times_are_those_of_the_zone_that_the_file_names() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let conf = logging(&origin, &folder, "$time_iso8601 $time_local").base("time_location", "Asia/Chongqing");
    let gateway = Gateway::start(&conf.base("debug_mode", "debug"));
    assert_eq!(gateway.connect().get("/svc/a").status(), 200);
    let line = expect_lines(&folder.path("access.log"), 1).remove(0);
    assert!(line.contains("+08:00 ") && line.ends_with(" +0800"), "{line}");
    assert!(gateway.stderr().lines().any(|line| line.contains("+08:00 ") && line.contains("`debug_mode`")));
}

#[test]
fn what_did_not_take_place_has_no_timer() {
    let (origin, folder) = (Origin::ok(), Folder::new());
    let gateway = Gateway::start(&logging(&origin, &folder, "$Tw/$Tc/$Tr $upstream_connect_time"));
    assert_eq!(gateway.connect().get("/nowhere").status(), 404);
    assert_eq!(expect_lines(&folder.path("access.log"), 1), ["-1/-1/-1 -"]);
}

#[test]
fn a_client_ends_no_line_and_begins_no_value_of_its_own() {
    let agent = "a\"||traceid=forged||\u{9b}31m\\\u{202e}|\t\" 200 \"";
    for form in ["json", "gatekeeper", "combined", "$http_user_agent"] {
        let (origin, folder) = (Origin::ok(), Folder::new());
        let gateway = Gateway::start(&logging(&origin, &folder, form));
        let request = format!("GET /svc/a HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n\r\n");
        assert_eq!(gateway.connect().ask(request).status(), 200, "{form}");
        let line = expect_lines(&folder.path("access.log"), 1).remove(0);
        assert!(!line.chars().any(|letter| letter.is_control() || letter == '\u{202e}'), "{form}: {line:?}");
        match form {
            "json" => assert_eq!(expect_json(&folder.path("access.log"), 1)[0]["user_agent"], agent),
            "gatekeeper" => assert_eq!(line.matches("||traceid=").count(), 1, "{line}"),
            "combined" => assert_eq!(line.matches('"').count(), 6, "{line}"),
            _ => assert!(!line.contains('"'), "{line}"),
        }
    }
}
