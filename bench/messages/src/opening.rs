//! How a connection begins: the shape of its messages is told, in a greeting or in a WebSocket handshake's path.
//!
//! In scope: both ends' bytes, and the two questions of a benchmark (`/count`, anything else). Out of scope: HTTP
//! beyond that; a handshake's key is always the same, so that its answer is too.

use crate::args::Shape;

const GREETING: &[u8] = b"messages";
const GREETING_BYTES: usize = GREETING.len() + 8;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// An opening that is longer is none.
const OPENING_BYTES_MAX: usize = 8 * 1024;
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The origin's answer to a handshake.
pub(crate) const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What a client sends first.
pub(crate) fn first_words(shape: Shape) -> Vec<u8> {
    let Shape { ask_bytes, answer_bytes, websocket } = shape;
    if websocket {
        return format!(
            "GET /bench/{ask_bytes}/{answer_bytes} HTTP/1.1\r\nHost: bench.test\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        )
        .into_bytes();
    }
    let sizes = [ask_bytes, answer_bytes].map(|bytes| (bytes as u32).to_le_bytes());
    [GREETING, &sizes[0], &sizes[1]].concat()
}

/// What the first bytes of a connection mean to the origin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// More must come.
    Unfinished,
    /// Messages follow, from that place on.
    Messages { shape: Shape, from: usize },
    /// How many exchanges there were.
    Count,
    /// A health check.
    Ping,
    /// Nothing that is understood.
    Strange,
}

/// Reads an opening.
pub(crate) fn read(bytes: &[u8]) -> Opening {
    let known = bytes.len().min(GREETING.len());
    if bytes[..known] == GREETING[..known] {
        return greeting(bytes);
    }
    let Some(end) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        return if bytes.len() > OPENING_BYTES_MAX { Opening::Strange } else { Opening::Unfinished };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let path = head.split(' ').nth(1).unwrap_or_default();
    if head.to_ascii_lowercase().contains("\r\nupgrade: websocket") {
        let mut sizes = path.rsplit('/').map(|part| part.parse().unwrap_or(0));
        let (answer_bytes, ask_bytes) = (sizes.next().unwrap_or(0), sizes.next().unwrap_or(0));
        return messages(Shape { ask_bytes, answer_bytes, websocket: true }, end + HEAD_END.len());
    }
    if path == "/count" { Opening::Count } else { Opening::Ping }
}

fn greeting(bytes: &[u8]) -> Opening {
    let Some(sizes) = bytes.get(GREETING.len()..GREETING_BYTES) else { return Opening::Unfinished };
    let number = |at: usize| sizes[at..at + 4].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    messages(Shape { ask_bytes: number(0), answer_bytes: number(4), websocket: false }, GREETING_BYTES)
}

fn messages(shape: Shape, from: usize) -> Opening {
    if shape.is_possible() { Opening::Messages { shape, from } } else { Opening::Strange }
}

/// Where the origin's answer to a handshake ends, if all of it is there.
///
/// # Errors
///
/// Its first line, when it is a refusal.
pub(crate) fn switched(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) else { return Ok(None) };
    if bytes.starts_with(b"HTTP/1.1 101 ") {
        return Ok(Some(end + HEAD_END.len()));
    }
    Err(String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_openings_tell_the_shape_wherever_they_are_split() {
        for websocket in [false, true] {
            let shape = Shape { ask_bytes: 64, answer_bytes: 100, websocket };
            let mut words = first_words(shape);
            let from = words.len();
            for split in 1..from {
                assert_eq!(read(&words[..split]), Opening::Unfinished, "{split}");
            }
            words.extend_from_slice(b"first message");
            assert_eq!(read(&words), Opening::Messages { shape, from });
        }
    }

    #[test]
    fn other_requests_are_questions_of_a_benchmark() {
        assert_eq!(read(b"GET /count HTTP/1.1\r\n\r\n"), Opening::Count);
        assert_eq!(read(b"GET /ping HTTP/1.1\r\n\r\n"), Opening::Ping);
    }
}
