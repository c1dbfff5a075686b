//! Request lines, field lines and targets that are refused before anything reaches a service.

use super::{Case, case, judge_all, with_line};

fn line(row: u8, line: &str, status: u16, reason: &'static str) -> Case {
    case(row, format!("{line}\r\nHost: a\r\n\r\n"), status, reason)
}

fn target(row: u8, target: &str, reason: &'static str) -> Case {
    case(row, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400, reason)
}

#[test]
fn request_lines_that_are_not_one() {
    let bad = |text| line(11, text, 400, "bad_request_line");
    judge_all(&[
        bad("GET  /svc/a HTTP/1.1"),
        bad("GET /svc/a  HTTP/1.1"),
        bad("GET /svc/a HTTP/1.1 "),
        bad(" GET /svc/a HTTP/1.1"),
        bad("GET\t/svc/a HTTP/1.1"),
        bad("GET /svc/a\tHTTP/1.1"),
        bad("GET /svc/a"),
        bad("GET"),
        bad("GET HTTP/1.1"),
        line(11, "GET /svc/a b HTTP/1.1", 400, "bad_target"),
        bad("GET /svc/a http/1.1"),
        bad("GET /svc/a HTTP/1"),
        bad("GET /svc/a HTTP/01.1"),
        bad("GET /svc/a HTTP/1.10"),
        bad("GET /svc/a HTTP/1.1x"),
        bad("GET /svc/a HTTP 1.1"),
        bad("GET /svc/a HTTPS/1.1"),
        bad("GET /svc/a XTTP/1.1"),
        line(11, "GET /svc/a HTTP/2.0", 505, "version_unsupported"),
        line(11, "GET /svc/a HTTP/1.2", 505, "version_unsupported"),
        line(11, "GET /svc/a HTTP/0.9", 505, "version_unsupported"),
        line(11, "GET /svc/a HTTP/3.1", 505, "version_unsupported"),
    ]);
}

#[test]
fn methods_that_are_not_tokens_or_too_long() {
    let bad = |text| line(13, text, 400, "bad_request_line");
    judge_all(&[
        bad("GE(T /svc/a HTTP/1.1"),
        bad("GE\u{7f}T /svc/a HTTP/1.1"),
        bad("G\u{e9}T /svc/a HTTP/1.1"),
        bad("\"GET\" /svc/a HTTP/1.1"),
        bad("GET, /svc/a HTTP/1.1"),
        case(13, b"G\0T /svc/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line"),
        line(13, "ABCDEFGHIJKLMNOPQRSTUVWXY /svc/a HTTP/1.1", 501, "method_too_long"),
    ]);
}

#[test]
fn a_first_message_of_http_2_is_refused() {
    judge_all(&[case(16, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_unsupported")]);
}

#[test]
fn a_tls_hello_is_refused() {
    judge_all(&[case(11, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", 400, "bad_request_line")]);
}

#[test]
fn a_proxy_protocol_header_is_refused() {
    let get = b"GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n".as_slice();
    let binary =
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x1f\x90\x1f\x91".as_slice(), get].concat();
    let text = [b"PROXY TCP4 127.0.0.1 127.0.0.1 8080 8081\r\n".as_slice(), get].concat();
    judge_all(&[case(59, text, 400, "bad_request_line"), case(59, binary, 400, "bad_request_line")]);
}

#[test]
fn too_many_empty_lines_before_a_request() {
    judge_all(&[
        case(12, "\r\n\r\n\r\nGET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line"),
        case(12, "\nGET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line"),
        case(12, "\r\n GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line"),
    ]);
}

#[test]
fn bare_carriage_returns_and_line_feeds() {
    judge_all(&[
        case(1, "GET /svc/a HTTP/1.1\rHost: a\r\n\r\n", 400, "bad_request_line"),
        case(1, "GET /svc/a\rb HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request_line"),
        case(1, with_line("X: a\rb"), 400, "bad_field"),
        case(1, with_line("X: a\r"), 400, "bad_field"),
        case(1, with_line("\rX: a"), 400, "bad_field"),
        case(1, with_line("X\r: a"), 400, "bad_field"),
        case(1, with_line("X: a\rTransfer-Encoding: chunked"), 400, "bad_field"),
        case(2, "GET /svc/a HTTP/1.1\nHost: a\r\n\r\n", 400, "bad_request_line"),
        case(2, "GET /svc/a HTTP/1.1\r\nHost: a\n\r\n", 400, "bad_field"),
        case(2, "GET /svc/a HTTP/1.1\r\nHost: a\r\n\n", 400, "bad_field"),
        case(2, "GET /svc/a HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "bad_field"),
        case(2, "GET /svc/a HTTP/1.1\nHost: a\n\n", 400, "bad_request_line"),
    ]);
}

#[test]
fn controls_in_field_values() {
    let mut cases = Vec::new();
    for control in (0..0x20).chain([0x7f]).filter(|byte| ![b'\t', b'\r', b'\n'].contains(byte)) {
        cases.push(case(4, with_line([b"X: a", [control].as_slice(), b"b"].concat()), 400, "bad_field"));
    }
    judge_all(&cases);
}

#[test]
fn field_names_that_are_not_tokens() {
    let bad = |row, line: &[u8]| case(row, with_line(line), 400, "bad_field");
    judge_all(&[
        bad(6, b": a"),
        bad(6, b"X(: a"),
        bad(6, b"X/Y: a"),
        bad(6, b"X\"Y\": a"),
        bad(6, b"X@Y: a"),
        bad(6, b"X\0: a"),
        bad(6, b"X Y: a"),
        bad(5, b"X\xE9: a"),
        bad(5, b"Transfer-Encoding\x85: chunked"),
        bad(5, b"Transfer-Encoding\xA0: chunked"),
        bad(5, b"\x80Content-Length: 5"),
        bad(7, b"X : a"),
        bad(7, b"X\t: a"),
        bad(7, b"Content-Length : 5"),
        bad(7, b"Transfer-Encoding : chunked"),
        bad(10, b"X"),
        bad(10, b"X a"),
        bad(10, b"GET /svc/b HTTP/1.1"),
    ]);
}

#[test]
fn white_space_before_the_first_field_and_folded_fields() {
    judge_all(&[
        case(8, "GET /svc/a HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n", 400, "bad_field"),
        case(8, "GET /svc/a HTTP/1.1\r\n\tX: a\r\nHost: a\r\n\r\n", 400, "bad_field"),
        case(8, "GET /svc/a HTTP/1.1\r\n \r\nHost: a\r\n\r\n", 400, "bad_field"),
        case(9, with_line("X: a\r\n b"), 400, "bad_field"),
        case(9, with_line("X: a\r\n\tb"), 400, "bad_field"),
        case(9, with_line("X: a\r\n "), 400, "bad_field"),
        case(9, with_line("Transfer-Encoding:\r\n chunked"), 400, "bad_field"),
    ]);
}

#[test]
fn targets_with_bytes_or_forms_that_are_not_allowed() {
    let mut cases = vec![
        target(14, "/svc/a#b", "bad_target"),
        target(14, "/svc/a?b#c", "bad_target"),
        target(14, "/svc/a\\b", "bad_target"),
        target(14, "svc/a", "bad_target"),
        target(14, "?a", "bad_target"),
        target(14, "http:/svc/a", "bad_target"),
        target(14, "http:///svc/a", "bad_target"),
        target(14, "ftp://gate.test/svc/a", "bad_target"),
        target(14, "://gate.test/svc/a", "bad_target"),
        target(41, "http://user@gate.test/svc/a", "bad_target"),
        target(41, "http://gate.test:99999/svc/a", "bad_target"),
        target(41, "http://gate.test:x/svc/a", "bad_target"),
        target(44, "*", "bad_target"),
        case(44, "POST * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        case(43, "GET gate.test:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
    ];
    for byte in [0x01_u8, 0x0b, 0x1f, 0x7f, 0x80, 0xff] {
        let bytes = [b"GET /svc/a", [byte].as_slice(), b"b HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        cases.push(case(14, bytes, 400, "bad_target"));
    }
    judge_all(&cases);
}

#[test]
fn paths_that_hide_something() {
    let bad = |text| target(54, text, "bad_path");
    judge_all(&[
        bad("/svc/%00"),
        bad("/svc/a%0"),
        bad("/svc/a%"),
        bad("/svc/a%zz"),
        bad("/svc/%0d%0aX"),
        bad("/svc/%0a"),
        bad("/.."),
        bad("/../svc/a"),
        bad("/svc/../../a"),
        bad("/%2e%2e/svc/a"),
        bad("/svc/..%2f..%2fa"),
        bad("/svc/%2e%2e%2fa"),
        bad("/svc/..;/a"),
        bad("/svc/%2e%2e;x=y/a"),
        bad("/svc/..%5ca"),
        bad("/svc/%252e%252e%252fa/../../../b"),
    ]);
}

#[test]
fn hosts_that_are_missing_repeated_or_not_an_authority() {
    let bad = |lines: &str| case(41, format!("GET /svc/a HTTP/1.1\r\n{lines}\r\n"), 400, "bad_host");
    judge_all(&[
        bad(""),
        bad("X: a\r\n"),
        bad("Host: a\r\nHost: a\r\n"),
        bad("Host: a\r\nhost: b\r\n"),
        bad("Host: a, b\r\n"),
        bad("Host: a,b\r\n"),
        bad("Host: a b\r\n"),
        bad("Host: user@a\r\n"),
        bad("Host: a/b\r\n"),
        bad("Host: /\r\n"),
        bad("Host: a?b\r\n"),
        bad("Host: a#b\r\n"),
        bad("Host: http://a\r\n"),
        bad("Host: a:x\r\n"),
        bad("Host: a:99999\r\n"),
        bad("Host: a:80:80\r\n"),
        bad("Host: a:-1\r\n"),
        bad("Host: [::1\r\n"),
        bad("Host: [::g]\r\n"),
        bad("Host: a\\b\r\n"),
        bad("Host: a%zz\r\n"),
        case(41, "GET http://gate.test/svc/a HTTP/1.1\r\n\r\n", 400, "bad_host"),
        case(41, "GET http://gate.test/svc/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_host"),
        case(41, "GET /svc/a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_host"),
    ]);
}

#[test]
fn connection_options_that_would_remove_a_protection() {
    let bad = |name: &str| case(47, with_line(format!("Connection: {name}")), 400, "bad_nomination");
    judge_all(&[
        bad("Host"),
        bad("content-length"),
        bad("Transfer-Encoding"),
        bad("close, Authorization"),
        bad("Cookie"),
        bad("keep-alive,X-Forwarded-For"),
        bad("x-real-ip"),
        bad("Via"),
    ]);
}

#[test]
fn expectations_and_methods_that_are_not_served() {
    judge_all(&[case(51, with_line("Expect: 200-ok"), 417, "expectation_failed")]);
}
