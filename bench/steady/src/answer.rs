//! Reading answers: where one ends, and whether it is a good one.
//!
//! In scope: heads with a `Content-Length`. Out of scope: keeping bodies; any other framing is a fault here.

/// The most fields of a head.
const FIELDS_MAX: usize = 32;
/// A head that is longer than this is a fault.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How far an answer is.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The beginning of a head whose end has not come.
    head: Vec<u8>,
    /// Bytes of the body that are still to come, once the head was read.
    body: Option<Body>,
}

#[derive(Debug, Clone, Copy)]
struct Body {
    left: usize,
    is_good: bool,
}

/// What the bytes made of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More must come.
    Unfinished,
    /// It is whole; true for a status of 2xx.
    Whole(bool),
    /// It is not understood, or more came than one answer.
    Strange,
}

impl Answer {
    /// Takes received bytes.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Step {
        let mut body = match self.body {
            Some(body) => body,
            None => {
                self.head.extend_from_slice(bytes);
                let (end, body) = match read_head(&self.head) {
                    Ok(Some(found)) => found,
                    Ok(None) if self.head.len() <= HEAD_BYTES_MAX => return Step::Unfinished,
                    _ => return Step::Strange,
                };
                bytes = &bytes[bytes.len() - (self.head.len() - end)..];
                self.head.clear();
                body
            }
        };
        if bytes.len() > body.left {
            return Step::Strange;
        }
        body.left -= bytes.len();
        self.body = (body.left > 0).then_some(body);
        if body.left > 0 { Step::Unfinished } else { Step::Whole(body.is_good) }
    }
}

/// The end of the head and what follows it; none when it has not come whole.
fn read_head(bytes: &[u8]) -> Result<Option<(usize, Body)>, ()> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(end) = response.parse(bytes).map_err(|_| ())? else { return Ok(None) };
    let is_good = response.code.is_some_and(|code| (200..300).contains(&code));
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length")).ok_or(())?;
    let left = std::str::from_utf8(length.value).map_err(|_| ())?.trim().parse().map_err(|_| ())?;
    Ok(Some((end, Body { left, is_good })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn an_answer_is_whole_at_its_last_byte_however_it_is_cut() {
        for cut in 1..GOOD.len() {
            let mut answer = Answer::default();
            assert_eq!(answer.take(&GOOD[..cut]), Step::Unfinished, "cut at {cut}");
            assert_eq!(answer.take(&GOOD[cut..]), Step::Whole(true), "cut at {cut}");
            assert_eq!(answer.take(GOOD), Step::Whole(true), "the next one, cut at {cut}");
        }
    }

    #[test]
    fn a_refusal_is_not_good() {
        let refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(Answer::default().take(refusal), Step::Whole(false));
    }

    #[test]
    fn what_is_not_one_answer_is_strange() {
        for bytes in
            [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", b"hello\r\n\r\n"]
        {
            assert_eq!(Answer::default().take(bytes), Step::Strange);
        }
    }
}
