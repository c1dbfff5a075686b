//! What an embedder of this library writes: filters, which see requests, answers and tcp connections of the services
//! that the files enable them for.
//!
//! A filter is registered by name with [`Gateway`](crate::Gateway) and enabled with `[[module.filter]]`. One value
//! serves every worker, so it is `Sync`; it is made anew from its `options` whenever the files are loaded. Filters run
//! on the cores that serve: they must not wait (no files, no network, no locks that others hold for long), and what
//! they spend every other connection of the core waits for. A filter that panics costs one connection.
//!
//! Out of scope: when filters are asked (`worker`), how they are enabled (`config`).

mod registry;
mod view;

use std::borrow::Cow;
use std::fmt;

use crate::proto::edits::{self, Edit};
use crate::proto::field::{self, Kind};

pub use registry::Registry;
pub use view::{Connection, Request, Response};

/// What a filter says: go on, or the answer that the client gets instead.
pub type Verdict = Result<(), Refusal>;

/// A filter of http services. Each method does nothing unless it is written.
///
/// A service's filters are asked about a request in the order of the file, and about its answer in the opposite one.
/// The first that refuses is the last that is asked.
pub trait HttpFilter: Send + Sync + 'static {
    /// A request is about to be admitted: its service is known, lists, tenant and rates have let it pass, and nothing
    /// of it was sent on. It is asked once, whatever number of endpoints is then tried.
    ///
    /// # Errors
    /// The answer in the request's stead.
    fn on_request(&self, request: &mut Request<'_>) -> Verdict {
        let _ = request;
        Ok(())
    }

    /// The head of the service's final answer has come, and nothing of it was sent to the client. Answers that the
    /// gateway gives itself are not shown, and neither are those that open a WebSocket.
    ///
    /// # Errors
    /// The answer in its stead.
    fn on_response(&self, request: &Request<'_>, response: &mut Response<'_>) -> Verdict {
        let _ = (request, response);
        Ok(())
    }

    /// The whole body of an answer of which some filter of the service asked for it
    /// ([`Response::read_body`]), with its content coding undone. What is left in it is what the client gets.
    ///
    /// # Errors
    /// The answer in its stead.
    fn on_body(&self, request: &Request<'_>, body: &mut Vec<u8>) -> Verdict {
        let _ = (request, body);
        Ok(())
    }
}

/// A filter of tcp services.
pub trait TcpFilter: Send + Sync + 'static {
    /// Whether a fresh connection may go on: lists and rates have let it pass, and no endpoint was dialled. One that
    /// may not is closed without a byte, because what it speaks is not known.
    fn admits(&self, connection: &Connection<'_>) -> bool;
}

/// Statuses of redirections that an answer of the gateway's own can have.
const REDIRECTIONS: [u16; 5] = [301, 302, 303, 307, 308];
/// Fields that a refusal has at most.
pub(crate) const REFUSAL_FIELDS_MAX: usize = 4;

/// The answer that a filter gives in place of the service: the gateway's JSON envelope, with this status and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    text: Cow<'static, str>,
    fields: Vec<(&'static str, Box<str>)>,
}

impl Refusal {
    /// With a status from 400 to 599, or that of a redirection (301, 302, 303, 307, 308); any other becomes 500. The
    /// text is the client's to read (`errmsg`).
    #[must_use]
    pub fn new(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        let is_fit = matches!(status, 400..=599) || REDIRECTIONS.contains(&status);
        Self { status: if is_fit { status } else { 500 }, text: text.into(), fields: Vec::new() }
    }

    /// With a further field, such as `Location` or `WWW-Authenticate`; four at most.
    ///
    /// # Errors
    /// Where the answer cannot have such a field.
    pub fn with(mut self, name: &'static str, value: &str) -> Result<Self, BadField> {
        check(name, value.as_bytes())?;
        if self.fields.len() == REFUSAL_FIELDS_MAX {
            return Err(BadField::TooMany);
        }
        self.fields.push((name, value.trim().into()));
        Ok(self)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.fields.iter().map(|(name, value)| (*name, value.as_bytes()))
    }
}

/// Why a field cannot be set, added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadField {
    /// The name is no token (RFC 9110 section 5.1), or the value holds a byte that no field may (section 5.5).
    Malformed,
    /// The field frames the message, names its target or rules one hop, such as `Content-Length`, `Host` and
    /// `Connection`: it is the gateway's alone.
    Reserved,
    /// A refusal has four further fields at most.
    TooMany,
}

/// Whether a filter may set such a field.
fn check(name: &str, value: &[u8]) -> Result<(), BadField> {
    if !field::is_token(name.as_bytes()) || !value.iter().all(|byte| field::is_value_byte(*byte)) {
        return Err(BadField::Malformed);
    }
    // A filter is the gateway's own word: it may say what a rule of a file may not.
    let may = field::may_be_edited(name) || field::classify(name) == Kind::Owned;
    if may { Ok(()) } else { Err(BadField::Reserved) }
}

/// Notes an edit of a head.
fn note(list: &mut Vec<u8>, edit: Edit, name: &str, value: &[u8]) -> Result<(), BadField> {
    check(name, value)?;
    if edits::push(list, edit, name.as_bytes(), field::trim(value)) { Ok(()) } else { Err(BadField::Malformed) }
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a name or value that no field may have",
            Self::Reserved => "a field that only the gateway may set",
            Self::TooMany => "too many fields",
        })
    }
}

impl std::error::Error for BadField {}

/// So that `?` refuses with 500 what a filter could not set.
impl From<BadField> for Refusal {
    fn from(bad: BadField) -> Self {
        Self::new(500, format!("a filter sets {bad}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_frames_a_message_or_rules_a_hop_may_change() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Upgrade",
            "Host",
            "Expect",
            "Via",
            "Max-Forwards",
            "Proxy-Connection",
            "content_length",
            "Transfer.Encoding",
            "X_Forwarded_For",
            "X-Forwarded-For",
            "X-Real-IP",
        ] {
            let mut list = Vec::new();
            for edit in [Edit::Add, Edit::Set, Edit::Delete] {
                assert_eq!(note(&mut list, edit, name, b"1"), Err(BadField::Reserved), "{name}");
            }
            assert!(list.is_empty());
        }
    }

    #[test]
    fn no_value_and_no_name_can_hold_another_line() {
        for (name, value) in [("X-A", &b"1\r\nX-B: 2"[..]), ("X-A", b"\n"), ("X-A", b"\0"), ("X A", b""), ("", b"")] {
            assert_eq!(note(&mut Vec::new(), Edit::Add, name, value), Err(BadField::Malformed), "{name:?} {value:?}");
        }
        assert_eq!(note(&mut Vec::new(), Edit::Delete, "X-A: 1\r\nX-B", b""), Err(BadField::Malformed));
        assert_eq!(note(&mut Vec::new(), Edit::Set, "X-A", &[b'a'; 70_000]), Err(BadField::Malformed));
    }

    #[test]
    fn a_refusal_has_a_status_that_can_carry_it() {
        let statuses = [99, 101, 200, 204, 301, 304, 307, 400, 451, 599, 600].map(|status| Refusal::new(status, ""));
        let statuses = statuses.map(|refusal| refusal.status());
        assert_eq!(statuses, [500, 500, 500, 500, 301, 500, 307, 400, 451, 599, 500]);
    }

    #[test]
    fn a_refusal_takes_fields_that_break_nothing() {
        let refusal = Refusal::new(302, "over there");
        assert_eq!(refusal.clone().with("Location", "/a\r\nX: b"), Err(BadField::Malformed));
        assert_eq!(refusal.clone().with("Content-Length", "0"), Err(BadField::Reserved));
        let full = (0..REFUSAL_FIELDS_MAX).try_fold(refusal, |refusal, _| refusal.with("Location", "/a"));
        let full = full.expect("as many as there may be");
        assert_eq!(full.fields().count(), REFUSAL_FIELDS_MAX);
        assert_eq!(full.with("Location", "/a"), Err(BadField::TooMany));
    }
}
