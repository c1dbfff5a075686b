//! Cross-origin requests: what a browser is told of who may read the answer (Fetch standard, section 3.2).
//!
//! A preflight is answered here and never reaches a service. A service's own `Access-Control-*` fields do not go down
//! beside ours: two words on the same thing are none to a browser. What is said goes on every answer to the request, a
//! refusal included, so that a page can read why. Out of scope: the rules (`wall/cors`).

use super::dressing::Dressing;
use super::shard::Shard;
use crate::end::End;
use crate::proto::edits::Edit;
use crate::proto::field;
use crate::proto::head::{self, Method, RequestHead};
use crate::wall::cors::{Cors, Origins};

const ALLOW_ORIGIN: &[u8] = b"Access-Control-Allow-Origin";
const ALLOW_METHODS: &[u8] = b"Access-Control-Allow-Methods";
const ALLOW_HEADERS: &[u8] = b"Access-Control-Allow-Headers";
const ALLOW_CREDENTIALS: &[u8] = b"Access-Control-Allow-Credentials";
const EXPOSE_HEADERS: &[u8] = b"Access-Control-Expose-Headers";
const MAX_AGE: &[u8] = b"Access-Control-Max-Age";

/// What becomes of a request to a service with such rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// It goes on; its answer is dressed.
    Goes,
    /// It was a question only, which the dressing answers.
    Preflight,
}

/// Dresses the answer.
///
/// # Errors
/// `End::CorsOrigin` for a preflight from where nobody may.
pub fn cross(shard: &Shard, cors: &Cors, head: &RequestHead<'_>, dressing: &Dressing) -> Result<Crossing, End> {
    let say = |edit: Edit, name: &[u8], value: &[u8]| dressing.say(&shard.buffers, edit, name, value);
    for name in [ALLOW_ORIGIN, ALLOW_METHODS, ALLOW_HEADERS, ALLOW_CREDENTIALS, EXPOSE_HEADERS, MAX_AGE] {
        say(Edit::Delete, name, b"");
    }
    if cors.origins != Origins::Any {
        say(Edit::Add, b"Vary", b"Origin");
    }
    let Some(origin) = head::field(head.fields, "origin") else { return Ok(Crossing::Goes) };
    let asked = head::field(head.fields, "access-control-request-method");
    let preflight = asked.filter(|_| head.method == Method::Options);
    if !cors.origins.allow(origin) {
        return if preflight.is_some() { Err(End::CorsOrigin) } else { Ok(Crossing::Goes) };
    }
    say(Edit::Set, ALLOW_ORIGIN, if cors.origins == Origins::Any { b"*" } else { origin });
    if cors.credentials {
        say(Edit::Set, ALLOW_CREDENTIALS, b"true");
    }
    let Some(method) = preflight else {
        if !cors.exposed.is_empty() {
            say(Edit::Set, EXPOSE_HEADERS, cors.exposed.as_bytes());
        }
        return Ok(Crossing::Goes);
    };
    say(Edit::Add, b"Vary", b"Access-Control-Request-Method, Access-Control-Request-Headers");
    let method = if field::is_token(method) { method } else { b"" };
    say(Edit::Set, ALLOW_METHODS, if &*cors.methods == "*" { method } else { cors.methods.as_bytes() });
    let wanted = head::field(head.fields, "access-control-request-headers").unwrap_or_default();
    let headers = if &*cors.headers == "*" { wanted } else { cors.headers.as_bytes() };
    if !headers.is_empty() {
        say(Edit::Set, ALLOW_HEADERS, headers);
    }
    say(Edit::Set, MAX_AGE, cors.max_age_s.as_bytes());
    Ok(Crossing::Preflight)
}
