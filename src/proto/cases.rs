//! How the tests of this room judge an input: whole, and cut at every byte boundary with the same verdict.
//!
//! In scope: verdicts, the corpus under tests/corpus and its runner. Out of scope: the rules themselves,
//! which are tested beside the code.

use std::fs;
use std::path::Path;

use super::chunked::Decoder;
use super::framing::Framed;
use super::head::{
    Asked, HeadLimits, Method, RequestHead, ResponseBody, ResponseHead, Storage, parse_request, parse_response,
};
use crate::end::End;
use crate::limits;

pub(super) const LIMITS: HeadLimits =
    HeadLimits { head_bytes_max: 4096, uri_bytes_max: 1024, fields_max: limits::FIELDS_CEILING };

pub(super) const GET: Asked = Asked { method: Method::Get, upgrade_websocket: false };

/// Judges a request; when it is complete, `look` sees the head. Every shorter prefix is incomplete or has
/// the same fault already.
pub(super) fn request<T>(
    bytes: &[u8],
    limits: &HeadLimits,
    look: impl FnOnce(&Framed<RequestHead<'_>>) -> T,
) -> Result<Option<T>, End> {
    let mut storage = Storage::new();
    let whole = parse_request(bytes, limits, &mut storage);
    let complete = whole.as_ref().ok().and_then(Option::as_ref).map(|head| head.head_bytes);
    for cut in 0..complete.unwrap_or(bytes.len()) {
        let mut storage = Storage::new();
        match parse_request(&bytes[..cut], limits, &mut storage) {
            Ok(None) => {}
            Ok(Some(_)) => panic!("complete at {cut}, whole is {:?}", whole.err()),
            Err(end) => assert_eq!(whole.as_ref().err(), Some(&end), "cut at {cut}"),
        }
    }
    whole.map(|head| head.as_ref().map(look))
}

/// Judges a response likewise.
pub(super) fn response<T>(
    bytes: &[u8],
    asked: &Asked,
    bytes_max: usize,
    look: impl FnOnce(&Framed<ResponseHead<'_>>) -> T,
) -> Result<Option<T>, End> {
    let mut storage = Storage::new();
    let whole = parse_response(bytes, asked, bytes_max, &mut storage);
    let complete = whole.as_ref().ok().and_then(Option::as_ref).map(|head| head.head_bytes);
    for cut in 0..complete.unwrap_or(bytes.len()) {
        let mut storage = Storage::new();
        match parse_response(&bytes[..cut], asked, bytes_max, &mut storage) {
            Ok(None) => {}
            Ok(Some(_)) => panic!("complete at {cut}, whole is {:?}", whole.err()),
            Err(end) => assert_eq!(whole.as_ref().err(), Some(&end), "cut at {cut}"),
        }
    }
    whole.map(|head| head.as_ref().map(look))
}

/// The head of a request that must be good.
pub(super) fn accepted<T>(bytes: &[u8], look: impl FnOnce(&Framed<RequestHead<'_>>) -> T) -> T {
    match request(bytes, &LIMITS, look) {
        Ok(Some(seen)) => seen,
        other => panic!("{:?} for {}", other.map(|_| "incomplete"), bytes.escape_ascii()),
    }
}

/// A request that must be refused so.
pub(super) fn refused(bytes: &[u8], end: End) {
    assert_eq!(request(bytes, &LIMITS, |_| ()), Err(end), "{}", bytes.escape_ascii());
}

/// The fields in a plain request; the lines end in CRLF.
pub(super) fn post(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

/// The head of a response that must be good.
pub(super) fn answered<T>(bytes: &[u8], asked: &Asked, look: impl FnOnce(&Framed<ResponseHead<'_>>) -> T) -> T {
    match response(bytes, asked, limits::RESPONSE_HEAD_BYTES_MAX, look) {
        Ok(Some(seen)) => seen,
        other => panic!("{:?} for {}", other.map(|_| "incomplete"), bytes.escape_ascii()),
    }
}

/// A response that must be refused.
pub(super) fn rejected(bytes: &[u8], asked: &Asked) {
    let verdict = response(bytes, asked, limits::RESPONSE_HEAD_BYTES_MAX, |_| ());
    assert_eq!(verdict, Err(End::BadResponse), "{}", bytes.escape_ascii());
}

/// What a chunked body comes to: its data, its trailers, the bytes it took; `None` while incomplete.
pub(super) type Outcome = Result<Option<(Vec<u8>, Vec<u8>, usize)>, End>;

/// Decodes a body that arrives in these pieces.
pub(super) fn decoded<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, keep_trailers: bool) -> Outcome {
    let mut decoder = Decoder::new(keep_trailers);
    let mut data = Vec::new();
    let mut consumed = 0;
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let step = decoder.decode(&mut bytes)?;
        assert!(step.data <= step.consumed && step.consumed <= piece.len());
        data.extend_from_slice(&bytes[..step.data]);
        consumed += step.consumed;
        if step.finished {
            return Ok(Some((data, decoder.trailers().to_vec(), consumed)));
        }
        assert_eq!(step.consumed, piece.len(), "an unfinished body takes everything");
    }
    assert!(decoder.trailers().is_empty(), "trailers before the end");
    Ok(None)
}

/// Decodes a body whole, byte by byte, and cut in two everywhere, with one outcome.
pub(super) fn unchunked(body: &[u8], keep_trailers: bool) -> Outcome {
    let whole = decoded([body], keep_trailers);
    assert_eq!(decoded(body.chunks(1), keep_trailers), whole, "byte by byte");
    for cut in 0..body.len() {
        let (first, second) = body.split_at(cut);
        assert_eq!(decoded([first, second], keep_trailers), whole, "cut at {cut}");
    }
    whole
}

/// The verdict of a corpus file in its own words.
fn verdict<T>(outcome: Result<Option<T>, End>, word: impl FnOnce(T) -> String) -> String {
    match outcome {
        Ok(Some(seen)) => word(seen),
        Ok(None) => "incomplete".to_owned(),
        Err(end) => end.code().to_owned(),
    }
}

/// Whether a connection lives on, as the corpus says it.
fn life(keep_alive: bool) -> &'static str {
    if keep_alive { "keep" } else { "close" }
}

fn request_verdict(bytes: &[u8]) -> String {
    verdict(
        request(bytes, &LIMITS, |head| format!("{:?} {}", head.body, life(head.keep_alive)).to_lowercase()),
        |word| word,
    )
}

fn response_verdict(bytes: &[u8]) -> String {
    let word = |head: &Framed<ResponseHead<'_>>| match head.body {
        ResponseBody::UntilClose => "untilclose".to_owned(),
        body => format!("{body:?} {}", life(head.keep_alive)).to_lowercase(),
    };
    verdict(response(bytes, &GET, limits::RESPONSE_HEAD_BYTES_MAX, word), |word| word)
}

fn chunked_verdict(bytes: &[u8]) -> String {
    verdict(unchunked(bytes, true), |(data, _, consumed)| match bytes.len() - consumed {
        0 => format!("data={}", data.escape_ascii()),
        left => format!("data={} left={left}", data.escape_ascii()),
    })
}

/// One input of a corpus file: its name, its bytes, its verdict.
struct Case {
    name: String,
    bytes: Vec<u8>,
    expected: String,
}

/// Reads a corpus file: `== name: verdict` begins a case, `#` a comment; the lines after it, joined, are
/// its bytes with `\r`, `\n`, `\t`, `\\` and `\xHH` for what a text file cannot show.
fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix("== ") {
            let (name, expected) = title.split_once(": ").expect("a case has a name and a verdict");
            cases.push(Case { name: name.to_owned(), bytes: Vec::new(), expected: expected.to_owned() });
        } else if let Some(case) = cases.last_mut() {
            unescape(line.as_bytes(), &mut case.bytes);
        }
    }
    cases
}

fn unescape(mut line: &[u8], out: &mut Vec<u8>) {
    while let [byte, rest @ ..] = line {
        (line, _) = match (byte, rest) {
            (b'\\', [b'r', rest @ ..]) => (rest, out.push(b'\r')),
            (b'\\', [b'n', rest @ ..]) => (rest, out.push(b'\n')),
            (b'\\', [b't', rest @ ..]) => (rest, out.push(b'\t')),
            (b'\\', [b'\\', rest @ ..]) => (rest, out.push(b'\\')),
            (b'\\', [b'x', high, low, rest @ ..]) => {
                (rest, out.push(super::target::escaped(*high, *low).expect("two hex digits")))
            }
            (b'\\', _) => panic!("unknown escape in {}", line.escape_ascii()),
            (byte, rest) => (rest, out.push(*byte)),
        };
    }
}

fn run(folder: &str, verdict: impl Fn(&[u8]) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut cases_total = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&folder).expect("the corpus is in the repository") {
        let path = entry.unwrap().path();
        for case in cases(&fs::read_to_string(&path).unwrap()) {
            cases_total += 1;
            let found = verdict(&case.bytes);
            if found != case.expected {
                wrong.push(format!("{}: {}: {found}, not {}", path.display(), case.name, case.expected));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases_total > 0, "no case in {}", folder.display());
}

#[test]
fn corpus_of_requests() {
    run("requests", request_verdict);
}

#[test]
fn corpus_of_responses() {
    run("responses", response_verdict);
}

#[test]
fn corpus_of_chunked_bodies() {
    run("chunked", chunked_verdict);
}
