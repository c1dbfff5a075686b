//! Lengths that are not certain: `Content-Length` and `Transfer-Encoding` that two readers could take
//! for different messages.

use super::{Case, case, judge_all};

/// A POST with these framing lines and a body that some reader would take for a second request.
fn framed(row: u8, lines: impl AsRef<[u8]>, status: u16, reason: &'static str) -> Case {
    let head = b"POST /svc/a HTTP/1.1\r\nHost: a\r\n";
    case(row, [head, lines.as_ref(), b"\r\n\r\n0\r\n\r\n"].concat(), status, reason)
}

fn bad(row: u8, lines: impl AsRef<[u8]>) -> Case {
    framed(row, lines, 400, "bad_framing")
}

#[test]
fn both_framings_at_once() {
    judge_all(&[
        bad(17, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        bad(17, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
        bad(17, "Content-Length: 0\r\nTransfer-Encoding: chunked"),
        bad(17, "Transfer-Encoding: chunked\r\nContent-Length: 0"),
        bad(17, "content-length: 5\r\nX: y\r\ntransfer-encoding: CHUNKED"),
    ]);
}

#[test]
fn several_content_lengths() {
    judge_all(&[
        bad(18, "Content-Length: 5\r\nContent-Length: 6"),
        bad(18, "Content-Length: 0\r\nContent-Length: 5"),
        bad(18, "Content-Length: 5, 6"),
        bad(19, "Content-Length: 5\r\nContent-Length: 5"),
        bad(19, "Content-Length: 5, 5"),
        bad(19, "Content-Length: 5,"),
        bad(19, "Content-Length: ,5"),
    ]);
}

#[test]
fn content_lengths_that_are_not_digits() {
    let values = [
        "", "+5", "-5", "-0", "+0", "0x5", "1_0", "5 5", "5;", "1e1", "\"5\"", "5.0", "five", "5\t5", "'5'", "5h", "#5",
    ];
    judge_all(&values.map(|value| bad(20, format!("Content-Length: {value}"))));
}

#[test]
fn content_lengths_of_other_digits() {
    judge_all(&[
        bad(20, b"Content-Length: \xD9\xA5"),
        bad(20, b"Content-Length: \xEF\xBC\x95"),
        bad(20, b"Content-Length: 5\xA0"),
        bad(20, b"Content-Length: 5\x85"),
    ]);
}

#[test]
fn content_lengths_with_leading_zeros() {
    judge_all(&["05", "00", "0000000000000000000005", "010"].map(|value| bad(21, format!("Content-Length: {value}"))));
}

#[test]
fn content_lengths_that_overflow() {
    let values = [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999",
        "100000000000000000000000000000005",
    ];
    judge_all(&values.map(|value| bad(22, format!("Content-Length: {value}"))));
}

#[test]
fn transfer_encodings_that_are_not_exactly_chunked() {
    let values: [&[u8]; 21] = [
        b"gzip",
        b"identity",
        b"xchunked",
        b"chunkedx",
        b"",
        b",",
        b"chunked,",
        b",chunked",
        b"chunked, chunked",
        b"chunked, identity",
        b"chunked, gzip",
        b"\"chunked\"",
        b"'chunked'",
        b"chunked;a=b",
        b"chunked a",
        b"chunk ed",
        b"ch\xFFunked",
        b"chunked\xA0",
        b"\x85chunked",
        b"chunked, , chunked",
        b"chunked\r\nTransfer-Encoding: chunked",
    ];
    judge_all(&values.map(|value| bad(23, [b"Transfer-Encoding: ", value].concat())));
}

#[test]
fn transfer_codings_that_are_not_known() {
    let values = ["gzip, chunked", "identity, chunked", "deflate, gzip, chunked"];
    judge_all(&values.map(|value| framed(23, format!("Transfer-Encoding: {value}"), 501, "unknown_coding")));
}

#[test]
fn two_transfer_encodings() {
    judge_all(&[
        bad(23, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        bad(23, "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked"),
        bad(23, "Transfer-Encoding: chunked\r\nTransfer-Encoding: "),
    ]);
}

#[test]
fn controls_in_transfer_encodings() {
    let values: [&[u8]; 4] = [b"\x0Bchunked", b"chunked\x0B", b"\x0Cchunked", b"chunked\0"];
    judge_all(&values.map(|value| framed(23, [b"Transfer-Encoding: ", value].concat(), 400, "bad_field")));
}

#[test]
fn a_transfer_encoding_in_http_1_0() {
    let old = "POST /svc/a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    judge_all(&[
        case(25, old, 400, "bad_framing"),
        case(25, old.replace("chunked\r\n", "chunked\r\nConnection: keep-alive\r\n"), 400, "bad_framing"),
        case(25, old.replace("chunked\r\n", "chunked\r\nContent-Length: 5\r\n"), 400, "bad_framing"),
    ]);
}

#[test]
fn names_that_some_service_takes_for_a_framing_name() {
    judge_all(&[
        framed(26, "Transfer_Encoding: chunked", 400, "bad_framing"),
        framed(26, "Content_Length: 5", 400, "bad_framing"),
        framed(26, "content_length: 0", 400, "bad_framing"),
    ]);
}
