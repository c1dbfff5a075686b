//! This gateway's own answers: refusals, `/ping`, `/reload`, `OPTIONS *`.

use crate::end::End;
use crate::filter::{REFUSAL_FIELDS_MAX, Refusal};
use crate::proto::head::{Method, Version};
use crate::proto::reply::{self, Content, REASON, Reply};
use crate::wall::default_answer::DefaultAnswer;
use crate::worker::plan::Terms;
use crate::worker::policy::Denied;
use crate::worker::policy::grant::Answer;
use crate::worker::session::downstream::Downstream;
use crate::worker::shard::Shard;
use crate::worker::shard::buffer::Class;

/// Methods this gateway forwards, for `Allow` (RFC 9110 section 10.2.1).
const ALLOW: &[u8] = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The one that asks for a token.
const ALLOW_FOR_TOKENS: &[u8] = b"POST";

/// What a client without good credentials is told (RFC 6750 section 3).
const CHALLENGE: &str = "WWW-Authenticate";

/// What an answer of our own says.
pub struct Own<'a> {
    /// HTTP status.
    pub status: u16,
    /// `data` where the status is 200, else `errmsg`.
    pub text: &'a str,
    /// Its body.
    pub content: Content<'a>,
    /// Further fields.
    pub fields: &'a [(&'static str, &'a [u8])],
    /// The connection is closed after it.
    pub close: bool,
}

impl<'a> Own<'a> {
    /// A service's default answer.
    #[must_use]
    pub fn standing_in(answer: &'a DefaultAnswer, close: bool) -> Self {
        let content = match answer.status {
            204 | 304 => Content::Nothing,
            _ => Content::Bytes { content_type: answer.content_type.as_bytes(), bytes: &answer.body },
        };
        Self { status: answer.status, text: "", content, fields: &[], close }
    }

    /// What it fits into, with its head.
    fn class(&self) -> Class {
        match self.content {
            Content::Bytes { bytes, .. } => Class::for_bytes(bytes.len() as u64 + 1_024),
            Content::Envelope | Content::Nothing => Class::Small,
        }
    }
}

/// Sends an answer of our own.
///
/// # Errors
/// `End::WriteTimeout`, `End::ClientLeft`.
pub async fn send(shard: &Shard, down: &mut Downstream, terms: &Terms, own: &Own<'_>) -> Result<(), End> {
    let mut out = shard.buffers.lease(own.class());
    let fault = own.status >= 400;
    let worn = down.dressing.worn();
    let reply = Reply {
        status: own.status,
        content: own.content,
        errno: if fault { own.status } else { 0 },
        errmsg: if fault { own.text } else { "" },
        data: if fault { "" } else { own.text },
        trace_id: terms.request_id.bytes(),
        date: &shard.clock.date(),
        close: own.close,
        head_only: terms.method == Method::Head,
        http10_keep_alive: terms.version == Version::Http10 && !own.close,
        fields: own.fields,
        edits: worn.edits(),
    };
    let head_bytes = reply::render(out.vec(), &reply);
    drop(worn);
    down.tab.get().answered(own.status, head_bytes);
    if own.close {
        down.tx.ends_next();
    }
    match down.tx.send(out, &down.writing, terms.progress_timeout_ms).await {
        Ok(_) => Ok(()),
        Err(fault) => Err(if fault.late { End::WriteTimeout } else { End::ClientLeft }),
    }
}

/// Refuses a request, where it can still be told.
pub async fn refuse(
    shard: &Shard,
    down: &mut Downstream,
    terms: &Terms,
    denied: Denied,
    stand_in: Option<&DefaultAnswer>,
    close: bool,
) -> Result<(), End> {
    if denied.end == End::FilterRefused
        && let Some(refusal) = down.tab.said().refusal.take()
    {
        return refuse_by_filter(shard, down, terms, &refusal, close).await;
    }
    let Some(status) = denied.end.status(terms.legacy_status) else { return Err(denied.end) };
    let status = if denied.end == End::RequestTimeout && terms.request_timeout_408 { 408 } else { status };
    let reason = (REASON, denied.end.code().as_bytes());
    let mut number = itoa::Buffer::new();
    let further = match denied.end {
        End::MethodNotAllowed => Some(("Allow", allowed(terms.method))),
        End::TokenMissing => Some((CHALLENGE, b"Bearer".as_slice())),
        End::TokenInvalid | End::TokenExpired | End::TokenClaims => {
            Some((CHALLENGE, b"Bearer error=\"invalid_token\"".as_slice()))
        }
        End::TokenScope => Some((CHALLENGE, b"Bearer error=\"insufficient_scope\"".as_slice())),
        _ if denied.retry_after_s > 0 => Some(("Retry-After", number.format(denied.retry_after_s).as_bytes())),
        _ => None,
    };
    let both = [reason, further.unwrap_or(reason)];
    let fields = &both[usize::from(!terms.reason)..1 + usize::from(further.is_some())];
    let own = match stand_in {
        Some(answer) => Own { fields: &fields[..usize::from(terms.reason)], ..Own::standing_in(answer, close) },
        None => Own { status, text: denied.end.meaning().text, content: Content::Envelope, fields, close },
    };
    send(shard, down, terms, &own).await
}

/// What is allowed where this method is not: a method that is forwarded is refused only where tokens are asked for.
fn allowed(refused: Method) -> &'static [u8] {
    if matches!(refused, Method::Connect | Method::Trace) { ALLOW } else { ALLOW_FOR_TOKENS }
}

/// Gives the answer that a filter wants given.
async fn refuse_by_filter(
    shard: &Shard,
    down: &mut Downstream,
    terms: &Terms,
    refusal: &Refusal,
    close: bool,
) -> Result<(), End> {
    let reason = (REASON, End::FilterRefused.code().as_bytes());
    let mut fields = [reason; REFUSAL_FIELDS_MAX + 1];
    let mut count = usize::from(terms.reason);
    for (place, field) in fields[count..].iter_mut().zip(refusal.fields()) {
        *place = field;
        count += 1;
    }
    let content = Content::Envelope;
    let own = Own { status: refusal.status(), text: refusal.text(), content, fields: &fields[..count], close };
    send(shard, down, terms, &own).await
}

/// Answers who asked for a token, in the words of RFC 6749 section 5.
///
/// # Errors
/// As `send`.
pub async fn grant(
    shard: &Shard,
    down: &mut Downstream,
    terms: &Terms,
    answer: &Answer,
    close: bool,
) -> Result<(), End> {
    let fields: [(&str, &[u8]); 2] = [("Cache-Control", b"no-store"), (CHALLENGE, b"Basic realm=\"gatekeeper\"")];
    let fields = &fields[..1 + usize::from(answer.status == 401)];
    let content = Content::Bytes { content_type: b"application/json", bytes: answer.json.as_bytes() };
    send(shard, down, terms, &Own { status: answer.status, text: "", content, fields, close }).await
}

/// Answers `OPTIONS *`.
///
/// # Errors
/// As `send`.
pub async fn options(shard: &Shard, down: &mut Downstream, terms: &Terms, close: bool) -> Result<(), End> {
    let own = Own { status: 200, text: "", content: Content::Envelope, fields: &[("Allow", ALLOW)], close };
    send(shard, down, terms, &own).await
}
