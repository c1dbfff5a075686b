//! Chunk lines, data, extensions and trailers: one test for each rule, each input also cut at every byte boundary.

use super::*;
use crate::proto::cases::{decoded, unchunked};

/// The data of a body that must be good and complete.
fn data(body: &str) -> String {
    let (data, trailers, consumed) = unchunked(body.as_bytes(), false).unwrap().expect("a complete body");
    assert!(trailers.is_empty() && consumed == body.len());
    String::from_utf8(data).unwrap()
}

fn refused(body: impl AsRef<[u8]>) {
    assert_eq!(unchunked(body.as_ref(), true), Err(End::BadChunk), "{}", body.as_ref().escape_ascii());
}

/// The trailers that pass.
fn trailers(lines: &str) -> String {
    let body = format!("0\r\n{lines}\r\n");
    String::from_utf8(unchunked(body.as_bytes(), true).unwrap().expect("a complete body").1).unwrap()
}

#[test]
fn chunks_are_joined() {
    assert_eq!(data("5\r\nhello\r\n1\r\n \r\nA\r\nworldworld\r\n0\r\n\r\n"), "hello worldworld");
    assert_eq!(data("0\r\n\r\n"), "");
    assert_eq!(data("000\r\n\r\n"), "");
    assert_eq!(data("0000000000000001\r\na\r\n0\r\n\r\n"), "a");
    assert_eq!(data("b\r\n0\r\n\r\n0\r\n\r\n!\r\n0\r\n\r\n"), "0\r\n\r\n0\r\n\r\n!");
}

#[test]
fn what_follows_the_body_is_left() {
    let (data, _, consumed) = decoded([b"1\r\na\r\n0\r\n\r\nGET /".as_slice()], false).unwrap().unwrap();
    assert_eq!((data.as_slice(), consumed), (b"a".as_slice(), 11));
    let mut decoder = Decoder::new(false);
    assert!(decoder.decode(&mut b"0\r\n\r\n".to_vec()).unwrap().finished);
    assert_eq!(decoder.decode(&mut b"x".to_vec()), Ok(Decoded { consumed: 0, data: 0, finished: true }));
}

#[test]
fn an_unfinished_body_is_no_end() {
    for body in ["", "5", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "0\r\n\r"]
    {
        assert_eq!(unchunked(body.as_bytes(), false), Ok(None), "{body}");
    }
}

#[test]
fn chunk_size_is_hex_digits_only() {
    for size in ["", "0x5", "+5", "-5", "5_0", " 5", "5 ", "5\t", "5h", "g", "\u{665}", ";a", "\0", "5\0"] {
        refused(format!("{size}\r\nhello\r\n0\r\n\r\n"));
    }
}

#[test]
fn a_missing_size_is_not_the_last_chunk() {
    for body in ["\r\n\r\n", ";a\r\n\r\n", "1\r\na\r\n\r\n\r\n", "1\r\na\r\n;a\r\n\r\n"] {
        refused(body);
    }
}

#[test]
fn chunk_size_overflow() {
    refused("00000000000000005\r\nhello\r\n0\r\n\r\n");
    refused("10000000000000000\r\n");
    refused("fffffffffffffffff\r\n");
    assert_eq!(unchunked(b"ffffffffffffffff\r\nx", false), Ok(None), "sixteen digits are a size");
}

#[test]
fn bare_cr_in_chunk_line() {
    for body in
        ["5\rhello\r\n", "5\r\r\nhello\r\n", "5;a\rb\r\nhello\r\n", "5;a=\rb\r\nhello\r\n", "5;a=\"\r\"\r\nhello\r\n"]
    {
        refused(body);
    }
}

#[test]
fn bare_lf_in_chunk_line() {
    for body in
        ["5\nhello\r\n0\r\n\r\n", "5;a\nhello\r\n", "5;a=b\nhello\r\n", "5;a=\"\n\"\r\nhello\r\n", "0\n\r\n", "0\n\n"]
    {
        refused(body);
    }
}

#[test]
fn bare_lf_in_trailers() {
    for body in ["0\r\n\n", "0\r\nA: b\n\r\n", "0\r\nA: b\r\n\n", "0\r\nA\n: b\r\n\r\n"] {
        refused(body);
    }
}

#[test]
fn bare_cr_in_trailers() {
    for body in ["0\r\n\rX", "0\r\nA: b\rc\r\n\r\n", "0\r\nA\r: b\r\n\r\n", "0\r\nA: b\r\r\n\r\n"] {
        refused(body);
    }
}

#[test]
fn chunk_data_ends_in_crlf() {
    for body in [
        "5\r\nhello0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\rX",
        "5\r\nhelloXX0\r\n",
    ] {
        refused(body);
    }
}

#[test]
fn extensions_are_checked_and_gone() {
    for extension in [";a", ";a=b", ";a=b;c", ";a=\"b c\\\"\t;\\\\\u{e4}\"", ";a=\"\"", ";a=\"x\";b=y;c"] {
        assert_eq!(data(&format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n")), "hello", "{extension}");
    }
}

#[test]
fn extensions_that_break_the_grammar() {
    for extension in [
        ";",
        ";;a",
        ";a;",
        ";=b",
        ";a=",
        ";a==b",
        ";a=b=c",
        ";a b",
        "; a",
        ";a =b",
        ";a= b",
        ";a=\"b",
        ";a=\"b\"c",
        ";a=b\"c\"",
        ";a=\"\u{1}\"",
        ";a=\"\\\u{1}\"",
        ";a\u{0}",
        ";a=\u{7f}",
        ";a,b",
        ";\u{e4}",
        ";a=\"b\"\"c\"",
    ] {
        refused(format!("5{extension}\r\nhello\r\n0\r\n\r\n"));
    }
}

#[test]
fn a_line_end_in_a_quoted_extension() {
    refused("5;a=\"b\r\nhello\r\n0\r\n\r\n\"\r\n");
    refused("5;a=\"\\\r\n\"\r\nhello\r\n");
}

#[test]
fn a_chunk_line_is_bounded() {
    let extension = |bytes: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(bytes));
    assert_eq!(data(&extension(limits::CHUNK_LINE_BYTES_MAX - 4)), "a");
    refused(extension(limits::CHUNK_LINE_BYTES_MAX - 3));
}

#[test]
fn extensions_of_a_body_are_bounded() {
    let chunk = format!("1;{}\r\na\r\n", "x".repeat(1000));
    assert_eq!(decoded([chunk.repeat(4).as_bytes()], false), Ok(None));
    assert_eq!(decoded([chunk.repeat(5).as_bytes()], false), Err(End::BadChunk));
}

#[test]
fn chunk_overhead_attack() {
    let verdict = |chunk: &str, times: usize| {
        let mut decoder = Decoder::new(false);
        (0..times).try_for_each(|_| decoder.decode(&mut chunk.as_bytes().to_vec()).map(|_| ()))
    };
    // Five bytes around one.
    let most = limits::CHUNK_OVERHEAD_GRACE_BYTES as usize / 4;
    assert_eq!(verdict("1\r\na\r\n", most - 2), Ok(()));
    assert_eq!(verdict("1\r\na\r\n", most + 2), Err(End::BadChunk));
    assert_eq!(verdict("8\r\nabcdefgh\r\n", most * 4), Ok(()), "data that outweighs its frame never ends in a fault");
}

#[test]
fn trailers_are_dropped_unless_kept() {
    assert_eq!(data("1\r\na\r\n0\r\nA: b\r\nC:d\r\n\r\n"), "a");
    assert_eq!(trailers("A:b \t\r\nc-d:\t e\r\nF:\r\n"), "A: b\r\nc-d: e\r\nF: \r\n");
    assert_eq!(trailers(""), "");
}

#[test]
fn trailers_that_rule_are_never_passed() {
    for name in [
        "Host",
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Cache-Control",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Max-Forwards",
        "Date",
        "Location",
        "Via",
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "didi-header-rid",
        "X-Gatekeeper-App",
        "my_field",
        "WWW-Authenticate",
        "if-match",
    ] {
        assert_eq!(trailers(&format!("A: 1\r\n{name}: x\r\nB: 2\r\n")), "A: 1\r\nB: 2\r\n", "{name}");
    }
}

#[test]
fn trailers_that_frame_are_refused() {
    for name in ["Content-Length", "transfer-encoding", "Transfer_Encoding", "Content.Length"] {
        let body = format!("0\r\n{name}: 5\r\n\r\n");
        refused(&body);
        assert_eq!(unchunked(body.as_bytes(), false), Err(End::BadChunk), "also where trailers are dropped");
        refused(format!("0\r\nA: b\r\n{name}: 5\r\n\r\n"));
    }
}

#[test]
fn trailers_have_the_grammar_of_fields() {
    for line in [
        ": b",
        "A : b",
        "A",
        " A: b",
        "A: b\r\n c",
        "\u{e4}: b",
        "A: \u{0}",
        "A: \u{7f}",
        "A\t: b",
        "(: b",
        "A: b\r\n\tc: d",
    ] {
        refused(format!("0\r\n{line}\r\n\r\n"));
    }
    let (_, kept, _) = unchunked(b"0\r\nA: \x85\xff\r\n\r\n", true).unwrap().unwrap();
    assert_eq!(kept, b"A: \x85\xff\r\n");
}

#[test]
fn trailers_are_bounded() {
    let long = format!("0\r\nA: {}\r\n\r\n", "x".repeat(limits::TRAILER_BYTES_MAX));
    assert_eq!(decoded([long.as_bytes()], false), Err(End::HeadTooLarge));
    let many = format!("0\r\n{}\r\n", "A:b\r\n".repeat(limits::FIELDS_CEILING + 1));
    assert_eq!(decoded([many.as_bytes()], false), Err(End::HeadTooLarge));
    let most = format!("0\r\n{}\r\n", "A:b\r\n".repeat(limits::FIELDS_CEILING));
    assert!(decoded([most.as_bytes()], false).unwrap().is_some());
}

#[test]
fn a_chunk_head_is_the_shortest_hex() {
    for (len, expected) in
        [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0x1_0000, "10000\r\n"), (usize::MAX, "ffffffffffffffff\r\n")]
    {
        let mut out = Vec::new();
        put_chunk_head(&mut out, len);
        assert_eq!(out, expected.as_bytes());
    }
}

#[test]
fn what_we_chunk_decodes_to_itself() {
    let mut out = Vec::new();
    put_chunk_head(&mut out, 11);
    out.extend_from_slice(b"hello world");
    out.extend_from_slice(CHUNK_END);
    put_last_chunk(&mut out, b"A: b\r\n");
    let (data, kept, _) = unchunked(&out, true).unwrap().unwrap();
    assert_eq!((data.as_slice(), kept.as_slice()), (b"hello world".as_slice(), b"A: b\r\n".as_slice()));
}
