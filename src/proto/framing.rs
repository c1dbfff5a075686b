//! The one certain length of a message: from a head as read to [`Framed`], or to an `End`.
//!
//! In scope: body length (RFC 9112 section 6), which host a request is for, whether the connection
//! lives on, what is asked for and agreed. Out of scope: syntax (`head`), reading the body (`chunked`).

use std::ops::Deref;

use super::authority;
use super::field;
use super::head::{Asked, Body, Method, RequestHead, RequestText, ResponseBody, ResponseHead, ResponseText, Version};
use super::survey::{self, Options, Upgrade};
use super::target;
use crate::end::End;

/// The proof that a head's framing was decided here: nothing else can make one, and nothing is
/// forwarded without one.
#[derive(Clone, Copy, Debug)]
pub struct Framed<H>(H);

impl<H> Deref for Framed<H> {
    type Target = H;

    #[inline]
    fn deref(&self) -> &H {
        &self.0
    }
}

/// Decides a request.
#[inline(always)]
pub(super) fn request<'h>(text: &RequestText<'h>) -> Result<Framed<RequestHead<'h>>, End> {
    let survey = survey::request(text.fields, text.method, text.version)?;
    let body = request_body(text.version, survey.content_length, survey.transfer_encoding)?;
    let target = target::split(text.method, text.target)?;
    let host = host(text.version, survey.host, target.authority)?;
    let has_body = !matches!(body, Body::None | Body::Length(0));
    let is_11 = text.version == Version::Http11;
    Ok(Framed(RequestHead {
        method: text.method,
        method_text: text.method_text,
        path: target.path,
        query: target.query,
        version: text.version,
        host,
        fields: text.fields,
        body,
        head_bytes: text.head_bytes,
        keep_alive: lives_on(text.version, survey.options),
        expects_continue: survey.expects_continue && has_body,
        upgrade_websocket: is_11
            && text.method == Method::Get
            && !has_body
            && survey.options.upgrade
            && survey.upgrade == Upgrade::Websocket,
        te_trailers: survey.te_trailers && is_11,
        asterisk: target.asterisk,
        max_forwards: survey.max_forwards,
        is_form: survey.is_form,
        marks: survey.marks,
    }))
}

/// Decides a response.
#[inline]
pub(super) fn response<'h>(text: &ResponseText<'h>, asked: &Asked) -> Result<Framed<ResponseHead<'h>>, End> {
    let survey = survey::response(text.fields)?;
    let (content_length, chunked) = response_length(text.version, survey.content_length, survey.transfer_encoding)?;
    check_status(text, asked, survey.options, survey.upgrade)?;
    if text.status < 200 && (chunked || content_length.unwrap_or(0) > 0) {
        return Err(End::BadResponse);
    }
    let body = if asked.method == Method::Head || matches!(text.status, 100..=199 | 204 | 304) {
        ResponseBody::None
    } else if chunked {
        ResponseBody::Chunked
    } else {
        content_length.map_or(ResponseBody::UntilClose, ResponseBody::Length)
    };
    // A 204 that declares a body is likely to send one: what follows belongs to no one.
    let contradicts = text.status == 204 && (chunked || content_length.unwrap_or(0) > 0);
    Ok(Framed(ResponseHead {
        version: text.version,
        status: text.status,
        reason: text.reason,
        fields: text.fields,
        body,
        content_length,
        head_bytes: text.head_bytes,
        keep_alive: lives_on(text.version, survey.options) && body != ResponseBody::UntilClose && !contradicts,
        keep_alive_timeout_s: survey.keep_alive_timeout_s,
        has_date: survey.has_date,
        marks: survey.marks,
    }))
}

/// RFC 9112 section 6.3 without its leniencies: both, a repeated one, an unclear one are refused.
fn request_body(version: Version, length: Option<&[u8]>, coding: Option<&[u8]>) -> Result<Body, End> {
    match (length, coding) {
        (None, None) => Ok(Body::None),
        (Some(value), None) => field::decimal(value).map(Body::Length).ok_or(End::BadFraming),
        (Some(_), Some(_)) => Err(End::BadFraming),
        (None, Some(_)) if version == Version::Http10 => Err(End::BadFraming),
        (None, Some(value)) => transfer_coding(value).map(|()| Body::Chunked),
    }
}

/// The length and whether it is chunked, under the same rules.
fn response_length(version: Version, length: Option<&[u8]>, coding: Option<&[u8]>) -> Result<(Option<u64>, bool), End> {
    match request_body(version, length, coding) {
        Ok(Body::None) => Ok((None, false)),
        Ok(Body::Length(length)) => Ok((Some(length), false)),
        Ok(Body::Chunked) => Ok((None, true)),
        Err(_) => Err(End::BadResponse),
    }
}

/// Exactly `chunked`; a well-formed list of others that ends in it is not implemented, and the rest is
/// no framing at all (RFC 9112 sections 6.1 and 7).
fn transfer_coding(value: &[u8]) -> Result<(), End> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut chunked_total = 0;
    let mut is_last_chunked = false;
    for coding in field::elements(value) {
        if !field::is_token(coding) {
            return Err(End::BadFraming);
        }
        is_last_chunked = coding.eq_ignore_ascii_case(b"chunked");
        chunked_total += usize::from(is_last_chunked);
    }
    if is_last_chunked && chunked_total == 1 { Err(End::UnknownCoding) } else { Err(End::BadFraming) }
}

/// The one authority: the target's where it has one (RFC 9112 section 3.2.2), else `Host`, which must be
/// there and good in either case.
fn host<'h>(version: Version, host: Option<&'h [u8]>, target: Option<&'h [u8]>) -> Result<&'h [u8], End> {
    let received = match host {
        Some(host) if authority::is_authority(host) => host,
        None if version == Version::Http10 => b"",
        _ => return Err(End::BadHost),
    };
    Ok(target.unwrap_or(received))
}

/// RFC 9112 section 9.3.
fn lives_on(version: Version, options: Options) -> bool {
    !options.close && (version == Version::Http11 || options.keep_alive)
}

/// The status is one of HTTP, and 101 only what was asked for (RFC 9110 sections 15 and 7.8).
fn check_status(text: &ResponseText<'_>, asked: &Asked, options: Options, upgrade: Upgrade) -> Result<(), End> {
    let fits = match text.status {
        101 => {
            asked.upgrade_websocket
                && text.version == Version::Http11
                && options.upgrade
                && upgrade == Upgrade::Websocket
        }
        100..=599 => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(End::BadResponse) }
}

#[cfg(test)]
mod tests;
