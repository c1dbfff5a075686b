//! From received bytes to a head: request line or status line, fields, limits.
//!
//! In scope: syntax (RFC 9112 sections 2 to 5) on top of httparse, made strict where httparse is
//! lenient: bare LF, lengths, what a fault is called. Every verdict depends on the bytes alone, never on
//! how they were split into reads. Out of scope: the request line's faults (`request_line`), what
//! the fields mean together (`survey`, `framing`), the chunked body, reading.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use super::framing::{self, Framed};
use super::request_line;
use super::survey::Marks;
use crate::end::End;
use crate::limits;

/// What a user allows of one request head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the whole head, leading empty lines and the final one included.
    pub head_bytes_max: usize,
    /// Bytes of the request target.
    pub uri_bytes_max: usize,
    /// Fields; no more than [`limits::FIELDS_CEILING`] count.
    pub fields_max: usize,
}

/// Where the fields of one head are kept while it is looked at. Costs nothing to make.
pub struct Storage<'b> {
    fields: [MaybeUninit<Header<'b>>; limits::FIELDS_CEILING],
}

impl Storage<'_> {
    /// An empty place.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { fields: [const { MaybeUninit::uninit() }; limits::FIELDS_CEILING] }
    }
}

impl Default for Storage<'_> {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

/// The methods this gateway treats differently from one another; names are case-sensitive
/// (RFC 9110 section 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `CONNECT`; to be answered with `End::MethodNotAllowed`.
    Connect,
    /// `OPTIONS`.
    Options,
    /// `TRACE`; to be answered with `End::MethodNotAllowed`.
    Trace,
    /// `PATCH`.
    Patch,
    /// Any other token.
    Other,
}

impl Method {
    /// The method of this name.
    #[inline]
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        match text {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }

    /// Whether a request may be sent twice with the effect of once (RFC 9110 section 9.2.2).
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace)
    }

    /// Whether `Max-Forwards` rules it (RFC 9110 section 7.6.2).
    #[must_use]
    pub const fn counts_forwards(self) -> bool {
        matches!(self, Self::Options | Self::Trace)
    }

    /// Whether a request without a body says so with `Content-Length: 0` (RFC 9110 section 8.6).
    #[must_use]
    pub const fn expects_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// The versions this gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The framing of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None declared.
    None,
    /// So many bytes; zero where the client said zero.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// The framing of a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// None, by the status or the request's method.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Whatever comes until the connection is closed.
    UntilClose,
}

impl ResponseBody {
    /// The framing towards the client: what has no length is chunked for HTTP/1.1 and closes the
    /// connection of HTTP/1.0, which knows no chunks.
    #[must_use]
    pub const fn onward(self, client: Version) -> Self {
        match (self, client) {
            (Self::Chunked | Self::UntilClose, Version::Http11) => Self::Chunked,
            (Self::Chunked | Self::UntilClose, Version::Http10) => Self::UntilClose,
            (known, _) => known,
        }
    }
}

/// A request head whose length, target and host are certain.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'h> {
    /// The method.
    pub method: Method,
    /// The method as received.
    pub method_text: &'h [u8],
    /// The path as received; `*` where `asterisk`; the whole target for `CONNECT`.
    pub path: &'h [u8],
    /// The query as received, without its question mark.
    pub query: Option<&'h [u8]>,
    /// The client's version.
    pub version: Version,
    /// The authority: the target's where it has one, else `Host`. Empty only for HTTP/1.0.
    pub host: &'h [u8],
    /// Every field, in order, as received.
    pub fields: &'h [Header<'h>],
    /// The framing of the body.
    pub body: Body,
    /// Bytes the head took, leading empty lines included.
    pub head_bytes: usize,
    /// Whether the client lets the connection live on.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before its body.
    pub expects_continue: bool,
    /// Whether this asks for a WebSocket: `GET`, HTTP/1.1, no body, exactly `Upgrade: websocket`.
    pub upgrade_websocket: bool,
    /// Whether the client takes trailers (`TE: trailers`).
    pub te_trailers: bool,
    /// Whether this is `OPTIONS *`.
    pub asterisk: bool,
    /// `Max-Forwards` of `OPTIONS` and `TRACE`; 0 must be answered, not forwarded.
    pub max_forwards: Option<u32>,
    /// Whether the body is `application/x-www-form-urlencoded`.
    pub is_form: bool,
    pub(super) marks: Marks,
}

/// A response head whose length is certain.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'h> {
    /// The upstream's version.
    pub version: Version,
    /// From 100 to 599.
    pub status: u16,
    /// The reason as received; may be empty.
    pub reason: &'h [u8],
    /// Every field, in order, as received.
    pub fields: &'h [Header<'h>],
    /// The framing of the body.
    pub body: ResponseBody,
    /// The valid `Content-Length`, also where no body follows it.
    pub content_length: Option<u64>,
    /// Bytes the head took.
    pub head_bytes: usize,
    /// Whether the connection may be used again after the body.
    pub keep_alive: bool,
    /// `Keep-Alive: timeout=N`, in seconds.
    pub keep_alive_timeout_s: Option<u32>,
    /// Whether there is a `Date`.
    pub has_date: bool,
    pub(super) marks: Marks,
}

impl ResponseHead<'_> {
    /// Whether this is an interim response (RFC 9110 section 15.2): another one follows, but for 101.
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// How long its connection may be kept, by what the upstream says; 0 is not said. A second less than that, which a
    /// request may be under way when the upstream closes.
    #[must_use]
    pub fn idle_timeout_ms(&self) -> u64 {
        self.keep_alive_timeout_s.map_or(0, |seconds| u64::from(seconds).saturating_sub(1).max(1) * 1_000)
    }
}

/// What a response answers.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The request's method.
    pub method: Method,
    /// Whether the request asked for a WebSocket.
    pub upgrade_websocket: bool,
}

/// A request head as read, before its meaning is decided.
pub(super) struct RequestText<'h> {
    pub(super) method: Method,
    pub(super) method_text: &'h [u8],
    pub(super) target: &'h [u8],
    pub(super) version: Version,
    pub(super) fields: &'h [Header<'h>],
    pub(super) head_bytes: usize,
}

/// A response head as read, before its meaning is decided.
pub(super) struct ResponseText<'h> {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: &'h [u8],
    pub(super) fields: &'h [Header<'h>],
    pub(super) head_bytes: usize,
}

/// Reads a request head; `None` while it is incomplete.
///
/// # Errors
/// The first fault in the order of the bytes; the limits are enforced on an incomplete head too.
pub fn parse_request<'s, 'b: 's>(
    bytes: &'b [u8],
    limits: &HeadLimits,
    storage: &'s mut Storage<'b>,
) -> Result<Option<Framed<RequestHead<'s>>>, End> {
    let (window, cut) = window(bytes, limits.head_bytes_max);
    let Some(skipped) = request_line::skip_empty_lines(window)? else { return incomplete(cut, End::HeadTooLarge) };
    let text = &window[skipped..];
    let fields_max = limits.fields_max.min(limits::FIELDS_CEILING);

    let mut request = httparse::Request::new(&mut []);
    let outcome = request.parse_with_uninit_headers(text, &mut storage.fields[..fields_max]);
    let (Some(method_text), Some(target)) = (request.method, request.path) else {
        request_line::check_unfinished(text, limits)?;
        return incomplete(cut, End::HeadTooLarge);
    };
    let (method_text, target) = (method_text.as_bytes(), target.as_bytes());
    request_line::check(method_text, target, limits)?;
    let version = match request.version {
        Some(0) => Version::Http10,
        Some(_) => Version::Http11,
        None => {
            request_line::check_unfinished(text, limits)?;
            return incomplete(cut, End::HeadTooLarge);
        }
    };
    request_line::check_end(text, method_text, target)?;
    let head_bytes = match outcome {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return incomplete(cut, End::HeadTooLarge),
        Err(httparse::Error::TooManyHeaders) => return Err(End::HeadTooLarge),
        Err(_) => return Err(End::BadField),
    };
    let fields: &'s [Header<'s>] = request.headers;
    if !ends_every_line_in_crlf(&text[..head_bytes], fields) {
        return Err(End::BadField);
    }
    framing::request(&RequestText {
        method: Method::of(method_text),
        method_text,
        target,
        version,
        fields,
        head_bytes: skipped + head_bytes,
    })
    .map(Some)
}

/// Reads a response head; `None` while it is incomplete.
///
/// # Errors
/// [`End::BadResponse`], or [`End::ResponseHeadTooLarge`] past `bytes_max` or too many fields.
pub fn parse_response<'s, 'b: 's>(
    bytes: &'b [u8],
    asked: &Asked,
    bytes_max: usize,
    storage: &'s mut Storage<'b>,
) -> Result<Option<Framed<ResponseHead<'s>>>, End> {
    let (window, cut) = window(bytes, bytes_max);
    if let [b'\r' | b'\n', ..] = window {
        return Err(End::BadResponse);
    }
    let mut config = ParserConfig::default();
    // White space before the colon MUST be removed from a response, not refused (RFC 9112 section 5.1).
    config.allow_spaces_after_header_name_in_responses(true);
    let mut response = httparse::Response::new(&mut []);
    let head_bytes = match config.parse_response_with_uninit_headers(&mut response, window, &mut storage.fields) {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return incomplete(cut, End::ResponseHeadTooLarge),
        Err(httparse::Error::TooManyHeaders) => return Err(End::ResponseHeadTooLarge),
        Err(_) => return Err(End::BadResponse),
    };
    let fields: &'s [Header<'s>] = response.headers;
    let head = &window[..head_bytes];
    let (Some(version), Some(status), Some(reason)) = (response.version, response.code, reason(head)) else {
        return Err(End::BadResponse);
    };
    if !ends_every_line_in_crlf(head, fields) {
        return Err(End::BadResponse);
    }
    let text = ResponseText {
        version: if version == 0 { Version::Http10 } else { Version::Http11 },
        status,
        reason,
        fields,
        head_bytes,
    };
    framing::response(&text, asked).map(Some)
}

/// The first value of a field, by name without case.
#[must_use]
pub fn field<'h>(fields: &'h [Header<'h>], name: &str) -> Option<&'h [u8]> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// Whether the bytes received after the first `seen_bytes` can complete a head: a reader that asks
/// before it parses again pays for a trickled head once, not once per read.
#[must_use]
pub fn may_be_complete(bytes: &[u8], seen_bytes: usize) -> bool {
    // The last two line ends of a head are at most three bytes apart.
    let from = seen_bytes.saturating_sub(3).min(bytes.len());
    let mut ends = memchr::memchr_iter(b'\n', &bytes[from..]).map(|at| from + at);
    ends.any(|at| matches!(bytes[..at], [.., b'\n'] | [.., b'\n', b'\r']))
}

/// The bytes that may belong to the head, and whether they are all that ever may.
#[inline]
fn window(bytes: &[u8], bytes_max: usize) -> (&[u8], bool) {
    (&bytes[..bytes.len().min(bytes_max)], bytes.len() >= bytes_max)
}

#[inline]
fn incomplete<T>(cut: bool, fault: End) -> Result<Option<T>, End> {
    if cut { Err(fault) } else { Ok(None) }
}

/// httparse takes a bare LF for a line end, but no bare CR: so every line ends in CRLF if a CR follows
/// every value, white space aside, and the empty line is two bytes long.
#[inline]
fn ends_every_line_in_crlf(head: &[u8], fields: &[Header<'_>]) -> bool {
    head.ends_with(b"\r\n") && fields.iter().all(|field| is_cr_next(head, field.value))
}

/// Whether a CR follows this part of the head, white space aside.
#[inline]
fn is_cr_next(head: &[u8], value: &[u8]) -> bool {
    let end = (value.as_ptr().addr() + value.len()).wrapping_sub(head.as_ptr().addr());
    let mut rest = head.get(end..).unwrap_or_default();
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    rest.first() == Some(&b'\r')
}

/// The reason phrase of a status line that httparse accepted; `None` if the line ends in a bare LF.
fn reason(head: &[u8]) -> Option<&[u8]> {
    const BEFORE_REASON_BYTES: usize = "HTTP/1.1 200 ".len();
    let line = head[..memchr::memchr(b'\n', head)?].strip_suffix(b"\r")?;
    Some(line.get(BEFORE_REASON_BYTES..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
