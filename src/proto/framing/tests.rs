//! Lengths, hosts, persistence and what is asked for: one test for each rule, each input also cut at every byte boundary.

use super::*;
use crate::proto::cases::{GET, LIMITS, accepted, answered, post, refused, rejected, request, response};
use crate::proto::head::{Storage, parse_request};

fn body(lines: &str) -> Body {
    accepted(&post(lines), |head| head.body)
}

fn get(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

fn old(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.0\r\n{lines}\r\n").into_bytes()
}

fn answer(lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes()
}

#[test]
fn cl_te_conflict() {
    refused(&post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), End::BadFraming);
    refused(&post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), End::BadFraming);
    refused(&post("Content-Length: 5\r\nTransfer-Encoding: x\r\n"), End::BadFraming);
}

#[test]
fn several_content_lengths_that_differ() {
    refused(&post("Content-Length: 5\r\nContent-Length: 6\r\n"), End::BadFraming);
    refused(&post("Content-Length: 5, 6\r\n"), End::BadFraming);
}

#[test]
fn several_content_lengths_that_agree() {
    refused(&post("Content-Length: 5\r\ncontent-length: 5\r\n"), End::BadFraming);
    refused(&post("Content-Length: 5, 5\r\n"), End::BadFraming);
    refused(&post("Content-Length: 0\r\nContent-Length: 0\r\n"), End::BadFraming);
}

#[test]
fn content_length_is_digits_only() {
    for value in ["", "+5", "-5", "-0", "0x5", "1_0", "5 5", "5;", "1e1", "\"5\"", "5.", "\u{665}", "5,", ",5", "a"] {
        refused(&post(&format!("Content-Length: {value}\r\n")), End::BadFraming);
    }
    assert_eq!(body("Content-Length:5\r\n"), Body::Length(5));
    assert_eq!(body("content-LENGTH: \t5 \t\r\n"), Body::Length(5));
    assert_eq!(body("Content-Length: 0\r\n"), Body::Length(0));
    assert_eq!(body(""), Body::None);
}

#[test]
fn content_length_has_no_leading_zero() {
    for value in ["00", "05", "010", "0000000000000000000005"] {
        refused(&post(&format!("Content-Length: {value}\r\n")), End::BadFraming);
    }
}

#[test]
fn content_length_overflow() {
    for value in ["9223372036854775808", "18446744073709551616", "18446744073709551621", "99999999999999999999999"] {
        refused(&post(&format!("Content-Length: {value}\r\n")), End::BadFraming);
    }
    assert_eq!(body("Content-Length: 9223372036854775807\r\n"), Body::Length(i64::MAX as u64));
}

#[test]
fn transfer_encoding_is_exactly_chunked() {
    for value in [
        "identity",
        "xchunked",
        "chunkedx",
        "gzip",
        "chunked, identity",
        "chunked, chunked",
        "chunked, gzip, chunked",
        "",
        "chunked,",
        ",chunked",
        ", chunked",
        "chunked;a=b",
        "gzip;q=1, chunked",
        "\"chunked\"",
        "chun ked",
        "chunked chunked",
        "gzip,, chunked",
        "x",
        "\u{e4}, chunked",
    ] {
        refused(&post(&format!("Transfer-Encoding: {value}\r\n")), End::BadFraming);
    }
    for control in ["\u{b}", "\u{c}", "\0"] {
        refused(&post(&format!("Transfer-Encoding: {control}chunked\r\n")), End::BadField);
        refused(&post(&format!("Transfer-Encoding: chunked{control}\r\n")), End::BadField);
    }
}

#[test]
fn unknown_coding_before_chunked_is_not_implemented() {
    for value in ["gzip, chunked", "identity, chunked", "x,\tgzip , CHUNKED"] {
        refused(&post(&format!("Transfer-Encoding: {value}\r\n")), End::UnknownCoding);
    }
}

#[test]
fn two_transfer_encodings() {
    refused(&post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), End::BadFraming);
    refused(&post("Transfer-Encoding: gzip\r\ntransfer-encoding: chunked\r\n"), End::BadFraming);
}

#[test]
fn chunked_in_any_case() {
    assert_eq!(body("Transfer-Encoding: Chunked\r\n"), Body::Chunked);
    assert_eq!(body("TRANSFER-ENCODING:  cHUNKED\t\r\n"), Body::Chunked);
}

#[test]
fn transfer_encoding_in_http_10() {
    refused(&old("Transfer-Encoding: chunked\r\n"), End::BadFraming);
    refused(&old("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"), End::BadFraming);
    rejected(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &GET);
}

#[test]
fn names_that_read_like_framing() {
    for name in ["Transfer_Encoding", "Content_Length", "content.length", "TRANSFER_encoding"] {
        refused(&post(&format!("{name}: 5\r\n")), End::BadFraming);
    }
}

#[test]
fn a_request_is_never_framed_by_close() {
    assert_eq!(accepted(&old(""), |head| (head.body, head.keep_alive)), (Body::None, false));
    assert_eq!(accepted(&post("Connection: close\r\n"), |head| (head.body, head.keep_alive)), (Body::None, false));
}

#[test]
fn a_body_is_framed_as_declared_under_any_method() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "X"] {
        let bytes = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(accepted(bytes.as_bytes(), |head| head.body), Body::Length(3), "{method}");
    }
}

#[test]
fn what_follows_the_head_is_left_to_the_next() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(accepted(bytes, |head| head.head_bytes), 27);
    assert_eq!(accepted(&bytes[27..], |head| head.path.to_vec()), b"/2");
}

#[test]
fn host_is_demanded_once_and_whole() {
    refused(b"GET / HTTP/1.1\r\n\r\n", End::BadHost);
    refused(b"GET http://a/ HTTP/1.1\r\n\r\n", End::BadHost);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", End::BadHost);
    refused(b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", End::BadHost);
    for host in [
        "", "a,b", "a, a", "u@a", "u:p@a", "a/b", "a:x", "a:", "a:70000", "a:0", "a b", "http://a", "a?b", "a#b",
        "[::1",
    ] {
        refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), End::BadHost);
    }
    assert_eq!(accepted(b"GET / HTTP/1.0\r\n\r\n", |head| head.host.to_vec()), b"");
}

#[test]
fn authority_of_the_target_wins() {
    accepted(b"GET HTTP://b:81/c?d HTTP/1.1\r\nHost: a\r\n\r\n", |head| {
        assert_eq!((head.host, head.path), (b"b:81".as_slice(), b"/c".as_slice()));
        assert_eq!(head.query, Some(b"d".as_slice()));
    });
    accepted(b"GET http://b?d HTTP/1.0\r\n\r\n", |head| {
        assert_eq!((head.host, head.path, head.query), (b"b".as_slice(), b"/".as_slice(), Some(b"d".as_slice())));
    });
    refused(b"GET http://b/ HTTP/1.1\r\nHost: x,y\r\n\r\n", End::BadHost);
}

#[test]
fn connect_is_read_so_that_it_can_be_refused() {
    accepted(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", |head| {
        assert_eq!((head.method, head.host), (Method::Connect, b"a:443".as_slice()));
    });
    refused(b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", End::BadTarget);
    refused(b"GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", End::BadTarget);
}

#[test]
fn asterisk_is_for_options() {
    assert!(accepted(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", |head| head.asterisk && head.path == b"*"));
    assert!(accepted(b"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", |head| head.asterisk && head.host == b"b"));
    assert!(!accepted(b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", |head| head.asterisk));
    refused(b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", End::BadTarget);
    refused(b"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", End::BadTarget);
}

#[test]
fn max_forwards_of_options_and_trace() {
    let of = |method: &str, value: &str| format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n");
    for (value, expected) in [("0", 0), ("007", 7), ("99999999999", u32::MAX)] {
        assert_eq!(accepted(of("OPTIONS", value).as_bytes(), |head| head.max_forwards), Some(expected));
        assert_eq!(accepted(of("TRACE", value).as_bytes(), |head| head.max_forwards), Some(expected));
    }
    for value in ["", "-1", "+1", "1,2", "x"] {
        refused(of("OPTIONS", value).as_bytes(), End::BadField);
    }
    refused(b"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nMax-Forwards: 1\r\n\r\n", End::BadField);
    assert_eq!(accepted(of("GET", "x").as_bytes(), |head| head.max_forwards), None);
}

#[test]
fn connection_decides_whether_it_lives_on() {
    for (lines, lives_on) in [
        ("", true),
        ("Connection: close\r\n", false),
        ("Connection: keep-alive\r\n", true),
        ("Connection: a, CLOSE\r\n", false),
        ("Connection: a\r\nConnection: ,close,\r\n", false),
        ("Connection: keep-alive, close\r\n", false),
        ("Proxy-Connection: close\r\n", true),
        ("Connection: closed\r\n", true),
    ] {
        assert_eq!(accepted(&post(lines), |head| head.keep_alive), lives_on, "{lines}");
    }
    for (lines, lives_on) in [
        ("", false),
        ("Connection: keep-alive\r\n", true),
        ("Connection: Keep-Alive, close\r\n", false),
        ("Proxy-Connection: keep-alive\r\n", false),
        ("Keep-Alive: timeout=5\r\n", false),
    ] {
        assert_eq!(accepted(&old(lines), |head| head.keep_alive), lives_on, "{lines}");
    }
}

#[test]
fn a_client_may_not_nominate_what_protects() {
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Authorization",
        "Cookie",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-Forwarded-Port",
        "Forwarded",
        "X-Real-IP",
        "Via",
        "Max-Forwards",
        "didi-header-rid",
        "didi-header-usergroup",
        "didi-header-anything",
        "x-gatekeeper-app",
        "X_Forwarded_For",
        "Content_Length",
    ] {
        refused(&post(&format!("Connection: {name}\r\n")), End::BadNomination);
        refused(&post(&format!("Connection: close, {}\r\n", name.to_uppercase())), End::BadNomination);
    }
    refused(&post("Connection: close\r\nConnection: a,authorization\r\n"), End::BadNomination);
}

#[test]
fn connection_is_a_list_of_tokens() {
    for value in ["a b", "a;b", "\"a\"", "\u{e4}", "a=b", "@"] {
        refused(&post(&format!("Connection: {value}\r\n")), End::BadField);
    }
    refused(&post(&format!("Connection: {}\r\n", "a,".repeat(65))), End::HeadTooLarge);
}

#[test]
fn expectations() {
    let with_body = |value: &str| post(&format!("Expect: {value}\r\nContent-Length: 1\r\n"));
    assert!(accepted(&with_body("100-Continue"), |head| head.expects_continue));
    assert!(!accepted(&post("Expect: 100-continue\r\n"), |head| head.expects_continue), "nothing to wait for");
    for value in ["", "100-continue, x", "200-ok", "100", "100-continue;a=b"] {
        refused(&with_body(value), End::ExpectationFailed);
    }
    refused(&post("Expect: 100-continue\r\nExpect: x\r\n"), End::ExpectationFailed);
    for value in ["100-continue", "x"] {
        let bytes = old(&format!("Expect: {value}\r\nContent-Length: 1\r\n"));
        assert!(!accepted(&bytes, |head| head.expects_continue), "none for HTTP/1.0");
    }
}

#[test]
fn websocket_is_the_only_upgrade() {
    let asks = |bytes: &[u8]| accepted(bytes, |head| head.upgrade_websocket);
    assert!(asks(&get("Connection: Upgrade\r\nUpgrade: WebSocket\r\n")));
    assert!(asks(&get("Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n")));
    for lines in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: websocket/13\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert!(!asks(&get(lines)), "{lines}");
    }
    assert!(!asks(&post("Connection: upgrade\r\nUpgrade: websocket\r\n")));
    assert!(!asks(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"));
}

#[test]
fn trailers_are_welcome_only_if_named() {
    let takes = |lines: &str| accepted(&get(lines), |head| head.te_trailers);
    assert!(takes("TE: trailers\r\n") && takes("TE: gzip, Trailers\r\nConnection: te\r\n"));
    assert!(!takes("") && !takes("TE: gzip\r\n") && !takes("TE: trailers;q=0\r\n") && !takes("TE: xtrailers\r\n"));
}

#[test]
fn forms_are_told_by_media_type() {
    let is_form = |value: &str| accepted(&post(&format!("Content-Type: {value}\r\n")), |head| head.is_form);
    assert!(
        is_form("application/x-www-form-urlencoded") && is_form("Application/X-WWW-Form-URLEncoded ; charset=utf-8")
    );
    assert!(!is_form("application/json") && !is_form("") && !is_form("x; application/x-www-form-urlencoded"));
}

#[test]
fn content_length_on_204_and_1xx() {
    for (status, keep_alive) in [("204 x\r\nContent-Length: 0", true), ("204 x\r\nContent-Length: 5", false)] {
        answered(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes(), &GET, |head| {
            assert_eq!((head.body, head.keep_alive), (ResponseBody::None, keep_alive), "{status}");
        });
    }
    answered(b"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", &GET, |head| {
        assert_eq!((head.body, head.keep_alive), (ResponseBody::None, false));
    });
    rejected(b"HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\n", &GET);
    rejected(b"HTTP/1.1 100 x\r\nTransfer-Encoding: chunked\r\n\r\n", &GET);
}

#[test]
fn head_204_and_304_have_no_body() {
    let head = Asked { method: Method::Head, upgrade_websocket: false };
    for (text, asked) in [
        ("200 OK\r\nContent-Length: 5", &head),
        ("200 OK\r\nTransfer-Encoding: chunked", &head),
        ("200 OK", &head),
        ("304 x\r\nContent-Length: 5", &GET),
        ("304 x", &GET),
        ("204 x", &GET),
        ("100 x", &GET),
        ("199 x", &GET),
    ] {
        answered(format!("HTTP/1.1 {text}\r\n\r\n").as_bytes(), asked, |head| {
            assert_eq!((head.body, head.keep_alive), (ResponseBody::None, true), "{text}");
        });
    }
    answered(b"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", &GET, |head| assert_eq!(head.content_length, Some(5)));
}

#[test]
fn response_framing_faults() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: x\r\n",
        "Content-Length: \r\n",
        "Content-Length: +5\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \r\n",
    ] {
        rejected(&answer(lines), &GET);
        rejected(&answer(lines), &Asked { method: Method::Head, upgrade_websocket: false });
    }
}

#[test]
fn response_without_length_runs_to_the_close() {
    answered(&answer(""), &GET, |head| {
        assert_eq!((head.body, head.keep_alive), (ResponseBody::UntilClose, false));
    });
    assert_eq!(ResponseBody::UntilClose.onward(Version::Http11), ResponseBody::Chunked);
    assert_eq!(ResponseBody::Chunked.onward(Version::Http10), ResponseBody::UntilClose);
    assert_eq!(ResponseBody::Length(1).onward(Version::Http10), ResponseBody::Length(1));
    assert_eq!(ResponseBody::None.onward(Version::Http11), ResponseBody::None);
}

#[test]
fn an_upstream_connection_lives_on_as_it_says() {
    for (version, lines, lives_on) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let bytes = format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{lines}\r\n");
        assert_eq!(answered(bytes.as_bytes(), &GET, |head| head.keep_alive), lives_on, "{version} {lines}");
    }
}

#[test]
fn keep_alive_timeout_is_advice() {
    let advice =
        |value: &str| answered(&answer(&format!("Keep-Alive: {value}\r\n")), &GET, |head| head.keep_alive_timeout_s);
    assert_eq!(advice("timeout=5, max=100"), Some(5));
    assert_eq!(advice("max=100,Timeout=7"), Some(7));
    for value in ["", "timeout", "timeout=", "timeout=x", "timeout=99999999999", "max=1"] {
        assert_eq!(advice(value), None, "{value}");
    }
}

#[test]
fn switching_protocols_only_as_asked() {
    let asked = Asked { method: Method::Get, upgrade_websocket: true };
    let good = b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
    answered(good, &asked, |head| assert_eq!((head.status, head.body), (101, ResponseBody::None)));
    rejected(good, &GET);
    for lines in [
        "",
        "Connection: upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
    ] {
        rejected(format!("HTTP/1.1 101 x\r\n{lines}\r\n").as_bytes(), &asked);
    }
    rejected(b"HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", &asked);
    answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", &asked, |head| {
        assert_eq!(head.body, ResponseBody::Length(2), "another answer is an ordinary one");
    });
}

#[test]
fn interim_responses_are_told_apart() {
    for (status, is_interim) in [(100, true), (103, true), (199, true), (200, false), (599, false)] {
        let bytes = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answered(bytes.as_bytes(), &GET, |head| head.is_interim()), is_interim);
    }
}

#[test]
fn the_date_counts_unless_it_is_nominated_away() {
    let has_date = |lines: &str| answered(&answer(lines), &GET, |head| head.has_date);
    assert!(has_date("Date: x\r\n") && !has_date("") && !has_date("Date: x\r\nConnection: date\r\n"));
}

#[test]
fn a_verdict_needs_the_whole_head() {
    assert_eq!(request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n", &LIMITS, |_| ()), Ok(None));
    assert_eq!(response(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n", &GET, 4096, |_| ()), Ok(None));
    assert!(parse_request(b"", &LIMITS, &mut Storage::new()).is_ok_and(|head| head.is_none()));
}
