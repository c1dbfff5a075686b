//! Chunk lines, chunk data and trailers that two readers could cut differently.

use super::{Case, case, judge_all};

const HEAD: &[u8] = b"POST /svc/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A chunked POST with this body, which is refused.
fn bad(row: u8, body: impl AsRef<[u8]>) -> Case {
    case(row, [HEAD, body.as_ref()].concat(), 400, "bad_chunk")
}

#[test]
fn chunk_sizes_that_are_not_hexadecimal_digits() {
    let sizes =
        ["", "0x3", "+3", "-3", "3_", "_3", " 3", "3 ", "\t3", "3\t", "g", "3,", "3 3", "\"3\"", "-0", "0x", "3h"];
    judge_all(&sizes.map(|size| bad(27, format!("{size}\r\nabc\r\n0\r\n\r\n"))));
}

#[test]
fn chunk_sizes_that_overflow() {
    let sizes = ["10000000000000000", "FFFFFFFFFFFFFFFF0", "00000000000000003", "fffffffffffffffffffffffffffffff3"];
    judge_all(&sizes.map(|size| bad(27, format!("{size}\r\nabc\r\n0\r\n\r\n"))));
}

#[test]
fn chunk_lines_that_end_in_one_byte() {
    judge_all(&[
        bad(3, "3\nabc\r\n0\r\n\r\n"),
        bad(3, "3\r\nabc\n0\r\n\r\n"),
        bad(3, "3\r\nabc\r\n0\n\r\n"),
        bad(3, "3\r\nabc\r\n0\r\n\n"),
        bad(3, "3;a\nabc\r\n0\r\n\r\n"),
        bad(3, "3;a=b\nabc\r\n0\r\n\r\n"),
        bad(3, "3;\nabc\r\n0\r\n\r\n"),
        bad(3, "3\r\nabc\r\n0\r\nX: y\n\r\n"),
        bad(1, "3\rabc\r\n0\r\n\r\n"),
        bad(1, "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        bad(1, "3\r\r\nabc\r\n0\r\n\r\n"),
        bad(1, "3\r\nabc\r0\r\n\r\n"),
        bad(1, "3\r\nabc\r\r\n0\r\n\r\n"),
    ]);
}

#[test]
fn chunk_data_that_is_not_followed_by_a_line_end() {
    judge_all(&[
        bad(28, "3\r\nabcd\r\n0\r\n\r\n"),
        bad(28, "3\r\nabc0\r\n\r\n"),
        bad(28, "3\r\nab\r\n0\r\n\r\n"),
        bad(28, "3\r\nabcXX0\r\n\r\n"),
        bad(28, "5\r\nabc\r\n0\r\n\r\n"),
        bad(28, "0\r\nX\r\n\r\n"),
    ]);
}

#[test]
fn chunk_extensions_outside_the_grammar() {
    let lines: [&[u8]; 16] = [
        b"3;",
        b"3; ",
        b"3;;a",
        b"3;a=",
        b"3;=b",
        b"3;a=\"b",
        b"3;a=b\"",
        b"3;a b",
        b"3;a=b c",
        b"3;a\0",
        b"3;a=\x01",
        b"3;a=\"\x01\"",
        b"3;(a)",
        b"3;a=\"\x7f\"",
        b"3 a",
        b"3,a",
    ];
    judge_all(&lines.map(|line| bad(29, [line, b"\r\nabc\r\n0\r\n\r\n"].concat())));
}

#[test]
fn a_line_end_inside_a_quoted_extension() {
    judge_all(&[
        bad(29, "3;a=\"x\r\nabc\r\n0\r\n\r\n\"\r\nabc\r\n0\r\n\r\n"),
        bad(29, "3;a=\"x\ny\"\r\nabc\r\n0\r\n\r\n"),
        bad(29, "3;a=\"x\\\r\ny\"\r\nabc\r\n0\r\n\r\n"),
    ]);
}

#[test]
fn trailers_outside_the_grammar() {
    let lines: [&[u8]; 13] = [
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"content_length: 3",
        b"X",
        b"X y",
        b": y",
        b"X : y",
        b" X: y",
        b"X: y\r\n z",
        b"X: \0",
        b"X: a\rb",
        b"X(: y",
        b"GET /svc/b HTTP/1.1",
    ];
    judge_all(&lines.map(|line| bad(31, [b"3\r\nabc\r\n0\r\n".as_slice(), line, b"\r\n\r\n"].concat())));
}
