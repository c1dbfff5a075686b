//! `POST /oauth/tokens`: a tenant asks for a token with its secret (RFC 6749 section 4.4).
//!
//! The secret comes by Basic authentication, or as `client_id` and `client_secret` in the form; not both. In scope: reading
//! that, and the answer. Out of scope: what is in a token (`wall::issuer`).

use crate::end::End;
use crate::proto::authorization;
use crate::proto::form;
use crate::proto::head::{Body, Method, RequestHead};
use crate::wall::issuer::{Denial, Issuer};
use crate::wall::tenants::{Tenant, Tenants};
use crate::worker::shard::Shard;

/// An answer, or what is needed for it.
pub enum Grant {
    /// The body, which is not here yet.
    NeedBody,
    /// This.
    Answer(Answer),
}

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub json: String,
}

/// Answers a tenant that asks for a token.
///
/// # Errors
/// `End::MethodNotAllowed`.
pub fn ask(
    shard: &Shard,
    tenants: &Tenants,
    issuer: &Issuer,
    head: &RequestHead<'_>,
    body: Option<&[u8]>,
) -> Result<Grant, End> {
    if head.method != Method::Post {
        return Err(End::MethodNotAllowed);
    }
    if body.is_none() && !matches!(head.body, Body::None) {
        return Ok(Grant::NeedBody);
    }
    let form = body.filter(|_| head.is_form).unwrap_or_default();
    let given = judge(tenants, head, form).and_then(|(tenant, scope)| {
        let scope = scope.map(|scope| String::from_utf8_lossy(&scope).into_owned());
        issuer.give(&tenant.app_id, scope.as_deref(), shard.clock.unix_s())
    });
    Ok(Grant::Answer(match given {
        Ok(json) => Answer { status: 200, json },
        Err(denial) => Answer { status: denial.status(), json: format!("{{\"error\":\"{}\"}}", denial.code()) },
    }))
}

/// Who asks, and for which scope.
fn judge<'t>(
    tenants: &'t Tenants,
    head: &RequestHead<'_>,
    form: &[u8],
) -> Result<(&'t Tenant, Option<Vec<u8>>), Denial> {
    let mut scratch = Vec::new();
    let mut value = |name: &[u8]| form::find(form, name, &mut scratch).map(<[u8]>::to_vec);
    let grant_type = value(b"grant_type").ok_or(Denial::InvalidRequest)?;
    if grant_type != b"client_credentials" {
        return Err(Denial::UnsupportedGrantType);
    }
    let in_form = value(b"client_id").zip(value(b"client_secret"));
    let basic = authorization::of_scheme(head.fields, "Basic");
    let (app_id, said) = match (basic, in_form) {
        (Some(_), Some(_)) => return Err(Denial::InvalidRequest),
        (Some(basic), None) => authorization::basic(basic).ok_or(Denial::InvalidClient)?,
        (None, Some(pair)) => pair,
        (None, None) => return Err(Denial::InvalidClient),
    };
    let tenant = tenants.find(&app_id).ok_or(Denial::InvalidClient)?;
    if !tenant.sign_matches(&said) {
        return Err(Denial::InvalidClient);
    }
    Ok((tenant, value(b"scope").filter(|scope| !scope.is_empty())))
}
