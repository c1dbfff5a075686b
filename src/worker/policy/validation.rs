//! Asking a service's validation rules, once it is known who sends the request.
//!
//! Out of scope: the rules (`wall/validation`), reading the body that they want (`body`).

use crate::end::End;
use crate::proto::head::{Body, RequestHead};
use crate::wall::attribute::Parts;
use crate::wall::validation::Validation;
use crate::worker::shard::Shard;

/// Whether the request may go on; `false` where its body must be read first.
///
/// # Errors
/// `End::Invalid`.
pub fn check(shard: &Shard, rules: &Validation, head: &RequestHead<'_>, body: Option<&[u8]>) -> Result<bool, End> {
    let decoded = &mut shard.scratch.borrow_mut().other;
    if rules.broken_by_head(&Parts::of(head), decoded).is_some() {
        return Err(End::Invalid);
    }
    if rules.body.is_empty() {
        return Ok(true);
    }
    let body = match body {
        None if head.body != Body::None => return Ok(false),
        body => body.unwrap_or_default(),
    };
    if rules.broken_by_body(body, decoded).is_some() { Err(End::Invalid) } else { Ok(true) }
}
