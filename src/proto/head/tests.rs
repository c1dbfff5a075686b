//! Request and status lines, fields and limits: one test for each rule, each input also cut at every byte boundary.

use super::*;
use crate::proto::cases::{GET, LIMITS, accepted, answered, post, refused, rejected, request, response};

fn line(text: &str) -> Vec<u8> {
    format!("{text}\r\nHost: a\r\n\r\n").into_bytes()
}

#[test]
fn a_plain_request_is_read_whole() {
    accepted(b"GET /a/b?c=d HTTP/1.1\r\nHost: example.com:80\r\nAccept: */*\r\n\r\nrest", |head| {
        assert_eq!((head.method, head.method_text), (Method::Get, b"GET".as_slice()));
        assert_eq!((head.path, head.query), (b"/a/b".as_slice(), Some(b"c=d".as_slice())));
        assert_eq!((head.version, head.host), (Version::Http11, b"example.com:80".as_slice()));
        assert_eq!((head.body, head.head_bytes), (Body::None, 60));
        assert!(head.keep_alive && !head.expects_continue && !head.upgrade_websocket && !head.asterisk);
        assert_eq!(field(head.fields, "ACCEPT"), Some(b"*/*".as_slice()));
        assert_eq!(field(head.fields, "cookie"), None);
    });
}

#[test]
fn bare_cr_in_head() {
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\r\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nA\r: b\r\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\rHost: a\r\n\r\n", End::BadRequestLine);
    refused(b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", End::BadRequestLine);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\n\rX", End::BadField);
}

#[test]
fn bare_lf_ends_no_line() {
    refused(b"GET / HTTP/1.1\nHost: a\r\n\r\n", End::BadRequestLine);
    refused(b"GET / HTTP/1.1\r\nHost: a\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nB: c\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\n\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nA:\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nA: \t\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nA: b \n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\n\n", End::BadField);
    accepted(b"GET / HTTP/1.1\r\nHost: a\r\nA: \t\r\nB:\r\nC: d \t\r\n\r\n", |head| assert_eq!(head.fields.len(), 4));
    rejected(b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", &GET);
    rejected(b"HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", &GET);
    rejected(b"HTTP/1.1 200\nContent-Length: 0\r\n\r\n", &GET);
}

#[test]
fn control_in_field_value() {
    for control in (0..=0x1f).chain([0x7f]).filter(|byte| !matches!(byte, b'\t')) {
        // Short and long, because the fast path of a parser is a different code.
        for pad in [0, 40] {
            let mut bytes = b"GET / HTTP/1.1\r\nHost: a\r\nA: b".to_vec();
            bytes.extend(vec![b'x'; pad]);
            bytes.push(control);
            bytes.extend(vec![b'y'; pad]);
            bytes.extend(b"c\r\n\r\n");
            refused(&bytes, End::BadField);
        }
    }
    accepted(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\tc\r\n\r\n", |head| {
        assert_eq!(field(head.fields, "a"), Some(b"b\tc".as_slice()));
    });
}

#[test]
fn obs_text_passes_in_values_untouched_and_not_in_names() {
    accepted(b"GET / HTTP/1.1\r\nHost: a\r\nA: \x85\xa0b\xff\x85\r\n\r\n", |head| {
        assert_eq!(field(head.fields, "a"), Some(b"\x85\xa0b\xff\x85".as_slice()));
    });
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\x85: chunked\r\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\n\xe4: b\r\n\r\n", End::BadField);
}

#[test]
fn field_name_is_a_token() {
    refused(&post(": b\r\n"), End::BadField);
    for byte in (0..=0xff_u8).filter(|&byte| !crate::proto::field::is_token_byte(byte) && byte != b':') {
        let mut bytes = b"GET / HTTP/1.1\r\nHost: a\r\nA".to_vec();
        bytes.push(byte);
        bytes.extend(b"B: c\r\n\r\n");
        refused(&bytes, End::BadField);
    }
}

#[test]
fn space_before_colon() {
    refused(&post("A : b\r\n"), End::BadField);
    refused(&post("Content-Length : 5\r\n"), End::BadField);
    refused(&post("Transfer-Encoding\t: chunked\r\n"), End::BadField);
}

#[test]
fn space_before_colon_is_removed_from_a_response() {
    answered(b"HTTP/1.1 200 OK\r\nContent-Length \t: 5\r\n\r\n", &GET, |head| {
        assert_eq!((head.body, head.fields[0].name), (ResponseBody::Length(5), "Content-Length"));
    });
}

#[test]
fn space_before_first_field() {
    refused(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", End::BadField);
    refused(b"GET / HTTP/1.1\r\n\tA: b\r\nHost: a\r\n\r\n", End::BadField);
    rejected(b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", &GET);
}

#[test]
fn folded_field() {
    refused(&post("A: b\r\n c\r\n"), End::BadField);
    refused(&post("Transfer-Encoding:\r\n chunked\r\n"), End::BadField);
    refused(&post("A: b\r\n\tc\r\n"), End::BadField);
    rejected(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", &GET);
}

#[test]
fn line_without_colon() {
    refused(&post("Ab\r\n"), End::BadField);
    refused(&post("Content-Length 5\r\n"), End::BadField);
    rejected(b"HTTP/1.1 200 OK\r\nAb\r\n\r\n", &GET);
}

#[test]
fn request_line_has_one_shape() {
    for text in [
        "GET  / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        "GET /",
        "GET ",
        "GET",
        "GET / HTTP/1.1 ",
        "GET /\tHTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/01.1",
        "GET / HTTP/1.10",
        "GET / HTTP/1.1x",
        "GET / HTTP/+1.1",
        "GET / HTTP/1,1",
        "GET / HTTP /1.1",
        "GET / HTTPS/1.1",
        "GET / ",
        "GET HTTP/1.1",
        "\u{16}\u{3}\u{1}\u{2}",
        "G(T / HTTP/1.1",
        "GET / ICY/1.1",
    ] {
        refused(&line(text), End::BadRequestLine);
    }
}

#[test]
fn other_versions_are_not_supported() {
    for text in ["GET / HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/0.9", "GET / HTTP/3.0", "GET / HTTP/9.9"] {
        refused(&line(text), End::VersionUnsupported);
    }
}

#[test]
fn preface_of_http2() {
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", End::VersionUnsupported);
}

#[test]
fn two_empty_lines_are_skipped_and_no_more() {
    accepted(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(head.head_bytes, 31));
    refused(b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", End::BadRequestLine);
    refused(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", End::BadRequestLine);
    refused(b"\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", End::BadRequestLine);
    rejected(b"\r\nHTTP/1.1 200 OK\r\n\r\n", &GET);
}

#[test]
fn method_is_a_token_of_bounded_length() {
    refused(&line("GE(T / HTTP/1.1"), End::BadRequestLine);
    refused(&line("GET\u{e4} / HTTP/1.1"), End::BadRequestLine);
    refused(&line(&format!("{} / HTTP/1.1", "A".repeat(25))), End::MethodTooLong);
    refused("A".repeat(25).as_bytes(), End::MethodTooLong);
    let longest = "A".repeat(24);
    accepted(&line(&format!("{longest} / HTTP/1.1")), |head| {
        assert_eq!((head.method, head.method_text), (Method::Other, longest.as_bytes()));
    });
}

#[test]
fn methods_are_told_apart_by_case() {
    for (text, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("DELETE", Method::Delete),
        ("OPTIONS", Method::Options),
        ("TRACE", Method::Trace),
        ("PATCH", Method::Patch),
        ("get", Method::Other),
        ("GETS", Method::Other),
        ("PROPFIND", Method::Other),
    ] {
        accepted(&line(&format!("{text} / HTTP/1.1")), |head| assert_eq!(head.method, method, "{text}"));
    }
}

#[test]
fn target_holds_visible_ascii_without_hash_and_backslash() {
    for target in
        ["/a#b", "/a?b#c", "/a\\b", "/a?b\\c", "/\u{e4}", "/a b", "/a b c", "/a\u{7f}b", "/a\u{1}b", "/a\u{0}b"]
    {
        refused(&line(&format!("GET {target} HTTP/1.1")), End::BadTarget);
    }
    refused(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", End::BadTarget);
    accepted(&line("GET /a\"<>^`{|}b?%0A%zz HTTP/1.1"), |head| {
        assert_eq!(head.query, Some(b"%0A%zz".as_slice()), "the query passes as received");
    });
}

#[test]
fn uri_too_long() {
    let limits = HeadLimits { uri_bytes_max: 5, ..LIMITS };
    assert_eq!(request(&line("GET /2345 HTTP/1.1"), &limits, |head| head.path.len()), Ok(Some(5)));
    for text in ["GET /23456 HTTP/1.1", "GET /23456#", "GET /23456", "GET /234\u{e4} HTTP/2.0"] {
        assert_eq!(request(&line(text), &limits, |_| ()), Err(End::UriTooLong), "{text}");
    }
    assert_eq!(request(b"GET /23456", &limits, |_| ()), Err(End::UriTooLong), "before the line is complete");
}

#[test]
fn head_too_large() {
    let bytes = line("GET / HTTP/1.1");
    let exact = HeadLimits { head_bytes_max: bytes.len(), ..LIMITS };
    assert_eq!(request(&bytes, &exact, |head| head.head_bytes), Ok(Some(bytes.len())));
    let short = HeadLimits { head_bytes_max: bytes.len() - 1, ..LIMITS };
    assert_eq!(request(&bytes, &short, |_| ()), Err(End::HeadTooLarge));
    assert_eq!(request(&bytes[..bytes.len() - 1], &short, |_| ()), Err(End::HeadTooLarge), "while incomplete");
    let tiny = HeadLimits { head_bytes_max: 1, ..LIMITS };
    assert_eq!(request(&bytes, &tiny, |_| ()), Err(End::HeadTooLarge));
    assert_eq!(request(b"\r\n\r\n", &tiny, |_| ()), Err(End::HeadTooLarge));
    let none = HeadLimits { head_bytes_max: 0, ..LIMITS };
    assert_eq!(parse_request(b"", &none, &mut Storage::new()).err(), Some(End::HeadTooLarge));
}

#[test]
fn too_many_fields() {
    let limits = HeadLimits { fields_max: 2, ..LIMITS };
    assert_eq!(request(&post("A: b\r\n"), &limits, |head| head.fields.len()), Ok(Some(2)));
    assert_eq!(request(&post("A: b\r\nC: d\r\n"), &limits, |_| ()), Err(End::HeadTooLarge));
    let above = HeadLimits { fields_max: usize::MAX, ..LIMITS };
    assert_eq!(request(&post(&"A: b\r\n".repeat(limits::FIELDS_CEILING)), &above, |_| ()), Err(End::HeadTooLarge));
}

#[test]
fn response_head_too_large() {
    let bytes = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    assert_eq!(response(bytes, &GET, bytes.len(), |head| head.status), Ok(Some(200)));
    assert_eq!(response(bytes, &GET, bytes.len() - 1, |_| ()), Err(End::ResponseHeadTooLarge));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(limits::FIELDS_CEILING + 1));
    assert_eq!(
        response(many.as_bytes(), &GET, limits::RESPONSE_HEAD_BYTES_MAX, |_| ()),
        Err(End::ResponseHeadTooLarge)
    );
}

#[test]
fn status_line_has_one_shape() {
    for text in [
        "HTTP/1.1 99 x",
        "HTTP/1.1 099 x",
        "HTTP/1.1 600 x",
        "HTTP/1.1 2000 x",
        "HTTP/1.1 20 x",
        "HTTP/1.1  200 x",
        "HTTP/1.2 200 x",
        "HTTP/2.0 200 x",
        "HTTP/1.10 200 x",
        "http/1.1 200 x",
        "ICY 200 OK",
        "HTTP/1.1 2x0 x",
        "HTTP/1.1\t200 x",
        "HTTP/1.1 200 a\u{0}b",
        "HTTP/1.1 200 a\rb",
        "HTTP/1.1",
        "",
    ] {
        rejected(format!("{text}\r\nContent-Length: 0\r\n\r\n").as_bytes(), &GET);
    }
}

#[test]
fn reason_is_kept_as_received() {
    for reason in ["OK", "", "a b\tc", "Not\u{e4}"] {
        let bytes = format!("HTTP/1.0 404 {reason}\r\n\r\n");
        answered(bytes.as_bytes(), &GET, |head| {
            assert_eq!((head.status, head.reason, head.version), (404, reason.as_bytes(), Version::Http10));
        });
    }
    answered(b"HTTP/1.1 204\r\n\r\n", &GET, |head| assert_eq!((head.status, head.reason), (204, b"".as_slice())));
}

#[test]
fn a_head_completes_only_with_its_last_two_lines() {
    let bytes = line("GET / HTTP/1.1");
    for seen in 0..bytes.len() {
        assert!(may_be_complete(&bytes, seen), "seen {seen}");
        assert!(!may_be_complete(&bytes[..bytes.len() - 1], seen), "seen {seen}");
    }
    assert!(!may_be_complete(&bytes, bytes.len() + 9) && !may_be_complete(b"", 0));
    assert!(may_be_complete(b"GET / HTTP/1.1\nA: b\n\n", 20), "a head that will be refused is complete too");
}

#[test]
fn a_method_is_idempotent_as_rfc_9110_says() {
    let idempotent = [Method::Get, Method::Head, Method::Put, Method::Delete, Method::Options, Method::Trace];
    assert!(idempotent.iter().all(|method| method.is_idempotent()));
    assert!(![Method::Post, Method::Patch, Method::Connect, Method::Other].iter().any(|method| method.is_idempotent()));
}
