//! Reading requests: the head, and how much of what follows it is body.
//!
//! In scope: what the origin needs to answer and to find the next request.
//! Out of scope: validation beyond what keeps the framing right; keeping bodies.

use memchr::{memchr, memmem};

/// A head longer than this is refused.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The bytes are not HTTP/1.x as far as this origin understands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A request's head, borrowed from the bytes it came in.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) forwarded_for: Option<&'a str>,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    pub(crate) body: Body,
    /// Bytes of the head, the blank line included.
    pub(crate) bytes: usize,
}

/// The part of a request's body that has not arrived yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// This many bytes; none when zero.
    Length(u64),
    /// Chunks, at this place in one.
    Chunked(Place),
}

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the line with a chunk's size.
    Size,
    /// This many bytes before the end of a chunk.
    Data(u64),
    /// At the line end that follows a chunk.
    DataEnd,
    /// At a trailer line, or the blank one that ends the body.
    Trailer,
}

/// Reads the head at the start of `bytes`; `None` when it is not complete yet.
///
/// # Errors
///
/// [`Malformed`] when it never will be a head.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Head<'_>>, Malformed> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(Malformed) } else { Ok(None) };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| Malformed)?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().ok_or(Malformed)?.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(Malformed);
    };
    if !version.starts_with("HTTP/1.") {
        return Err(Malformed);
    }
    let mut head = Head {
        method,
        target,
        host: None,
        forwarded_for: None,
        keep_alive: version != "HTTP/1.0",
        expects_continue: false,
        body: Body::Length(0),
        bytes: end + 4,
    };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(Malformed)?;
        head.note(name, value.trim())?;
    }
    Ok(Some(head))
}

impl<'a> Head<'a> {
    fn note(&mut self, name: &str, value: &'a str) -> Result<(), Malformed> {
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => self.host = Some(value),
            6 if name.eq_ignore_ascii_case("expect") => self.expects_continue = true,
            10 if name.eq_ignore_ascii_case("connection") => {
                self.keep_alive = match value {
                    _ if value.eq_ignore_ascii_case("close") => false,
                    _ if value.eq_ignore_ascii_case("keep-alive") => true,
                    _ => self.keep_alive,
                };
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                self.body = Body::Length(value.parse().map_err(|_| Malformed)?);
            }
            15 if name.eq_ignore_ascii_case("x-forwarded-for") => self.forwarded_for = Some(value),
            17 if name.eq_ignore_ascii_case("transfer-encoding") => self.body = Body::Chunked(Place::Size),
            _ => {}
        }
        Ok(())
    }
}

/// What [`Body::drain`] passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drained {
    /// Bytes passed over.
    pub(crate) bytes: usize,
    /// Those of them that are not chunked framing.
    pub(crate) content_bytes: u64,
    /// The body ends there.
    pub(crate) over: bool,
}

impl Body {
    /// Passes over what `bytes` hold of the body.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when a chunk's size is no number.
    pub(crate) fn drain(&mut self, bytes: &[u8]) -> Result<Drained, Malformed> {
        match self {
            Self::Length(left) => {
                let passed = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= passed as u64;
                Ok(Drained { bytes: passed, content_bytes: passed as u64, over: *left == 0 })
            }
            Self::Chunked(place) => drain_chunks(place, bytes),
        }
    }
}

fn drain_chunks(place: &mut Place, bytes: &[u8]) -> Result<Drained, Malformed> {
    let mut drained = Drained { bytes: 0, content_bytes: 0, over: false };
    loop {
        let rest = &bytes[drained.bytes..];
        if let Place::Data(left) = place {
            let step = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= step as u64;
            drained.bytes += step;
            drained.content_bytes += step as u64;
            if *left > 0 {
                return Ok(drained);
            }
            *place = Place::DataEnd;
            continue;
        }
        let Some(line_end) = memchr(b'\n', rest) else {
            return if rest.len() > HEAD_BYTES_MAX { Err(Malformed) } else { Ok(drained) };
        };
        drained.bytes += line_end + 1;
        let line = rest[..line_end].trim_ascii();
        match place {
            Place::Size => *place = after_size(line)?,
            Place::DataEnd => *place = Place::Size,
            Place::Trailer if line.is_empty() => return Ok(Drained { over: true, ..drained }),
            Place::Trailer | Place::Data(_) => {}
        }
    }
}

fn after_size(line: &[u8]) -> Result<Place, Malformed> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    match u64::from_str_radix(digits, 16).map_err(|_| Malformed)? {
        0 => Ok(Place::Trailer),
        size => Ok(Place::Data(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let text = b"POST /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 3\r\n\r\nabc";
        let head_bytes = text.len() - 3;
        for cut in 0..head_bytes {
            assert!(parse(&text[..cut]).unwrap().is_none(), "complete at {cut}");
        }
        let head = parse(text).unwrap().unwrap();
        assert_eq!((head.method, head.target, head.bytes), ("POST", "/a", head_bytes));
        assert_eq!((head.host, head.forwarded_for), (Some("h"), Some("1.2.3.4")));
        assert_eq!(head.body, Body::Length(3));
        assert!(head.keep_alive);
    }

    #[test]
    fn connection_close_and_http_10_end_the_connection() {
        assert!(!parse(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap().unwrap().keep_alive);
        assert!(!parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().keep_alive);
        assert!(parse(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap().unwrap().keep_alive);
    }

    #[test]
    fn garbage_is_malformed() {
        assert_eq!(parse(b"\x16\x03\x01\r\n\r\n").unwrap_err(), Malformed);
        assert_eq!(parse(&[b'a'; HEAD_BYTES_MAX + 1]).unwrap_err(), Malformed);
    }

    #[test]
    fn a_chunked_body_ends_at_the_same_byte_however_it_is_cut() {
        let text = b"4;name=value\r\nabcd\r\n0010\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\nGET";
        let body_bytes = text.len() - 3;
        for cut in 0..body_bytes {
            let mut body = Body::Chunked(Place::Size);
            let first = body.drain(&text[..cut]).unwrap();
            assert!(!first.over, "over at {cut}");
            let second = body.drain(&text[first.bytes..]).unwrap();
            assert!(second.over, "not over, cut at {cut}");
            assert_eq!(first.bytes + second.bytes, body_bytes, "cut at {cut}");
            assert_eq!(first.content_bytes + second.content_bytes, 20, "cut at {cut}");
        }
    }

    #[test]
    fn a_chunk_size_that_is_no_number_is_malformed() {
        assert_eq!(Body::Chunked(Place::Size).drain(b"zz\r\n").unwrap_err(), Malformed);
        assert_eq!(Body::Chunked(Place::Size).drain(b"10000000000000000\r\n").unwrap_err(), Malformed);
    }
}
