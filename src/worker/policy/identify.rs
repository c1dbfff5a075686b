//! Who is this? Finding what names a tenant in a request, and asking whether it is true.
//!
//! A signature stands in `Authorization`, or a token that the gateway gave the tenant; else `app_id` and `sign` stand in the form body, then in the query. The head of a
//! signed request is checked before its body is read, so that nobody else can have bodies read; its nonce is spent last.
//! In scope: those places and that order. Out of scope: what is proof (`wall::tenants`, `wall::signing`).

use super::tokens;
use crate::end::End;
use crate::proto::authorization::{self, SIGNED, Signed};
use crate::proto::form;
use crate::proto::head::RequestHead;
use crate::wall::issuer::Issuer;
use crate::wall::nonces::Refused;
use crate::wall::signing::{Signable, is_body};
use crate::wall::snapshot::{Service, Snapshot};
use crate::wall::tenants::{Claim, Proof, Tenant};
use crate::worker::policy::Applicant;
use crate::worker::shard::{Scratch, Shard};

/// Who asks.
pub enum Who<'e> {
    /// This tenant.
    Tenant(&'e Tenant),
    /// Whoever: that is not asked, or nobody is refused for it.
    Anybody,
    /// The body tells, which is not here yet.
    NeedBody,
}

/// Asks on whose behalf the request comes.
///
/// # Errors
/// The first test that fails.
pub fn ask<'e>(
    shard: &Shard,
    snapshot: &'e Snapshot,
    service: &Service,
    applicant: &Applicant<'_>,
) -> Result<Who<'e>, End> {
    if let Some(credentials) = authorization::of_scheme(applicant.head.fields, SIGNED) {
        let signed = Signed::parse(credentials).ok_or(End::TenantSign)?;
        return by_signature(shard, snapshot, applicant, signed);
    }
    if let Some(issuer) = own_token(snapshot, service, applicant.head)
        && let Some(verified) = tokens::ask(shard, &issuer.jwt, applicant.head.fields)?
    {
        let claim = Claim { app_id: verified.subject.as_bytes(), proof: Proof::Token };
        return admit(snapshot, applicant, claim).map(Who::Tenant);
    }
    if applicant.may_name_in_form() && applicant.awaits_body() {
        return Ok(Who::NeedBody);
    }
    by_secret(shard, snapshot, applicant).map(Who::Tenant)
}

/// Who has given the token that a request names its tenant by, if it does. There is one place for tokens: where the
/// service has an issuer of its own it is that one's, and where the query has an `app_id` it is for the service.
#[must_use]
pub fn own_token<'e>(snapshot: &'e Snapshot, service: &Service, head: &RequestHead<'_>) -> Option<&'e Issuer> {
    let issuer = snapshot.issuer.as_deref().filter(|_| service.jwt.is_none())?;
    authorization::of_scheme(head.fields, "Bearer")?;
    let named = head.query.is_some_and(|query| matches!(form::first(query, [b"app_id"]), [Some(_)]));
    (!named).then_some(issuer)
}

fn by_signature<'e>(
    shard: &Shard,
    snapshot: &'e Snapshot,
    applicant: &Applicant<'_>,
    signed: Signed<'_>,
) -> Result<Who<'e>, End> {
    let head = applicant.head;
    let now_s = shard.clock.unix_s();
    let request = Signable { signed, method: head.method_text, path: head.path, query: head.query, now_s };
    let claim = Claim { app_id: signed.app_id, proof: Proof::Signature(&request) };
    let tenant = admit(snapshot, applicant, claim)?;
    let Some(signing) = tenant.signing.as_ref().filter(|_| !tenant.white.contains(applicant.client)) else {
        return Ok(Who::Tenant(tenant));
    };
    if applicant.awaits_body() {
        return Ok(Who::NeedBody);
    }
    if !is_body(&signed, applicant.body.unwrap_or_default()) {
        return Err(End::TenantSign);
    }
    let (nonce, until_s) = signing.nonce(&signed);
    match shard.shared.nonces.spend(nonce, until_s, now_s) {
        Ok(()) => Ok(Who::Tenant(tenant)),
        Err(Refused::Spent) => Err(End::SignReplayed),
        Err(Refused::Full) => Err(End::NoncesFull),
    }
}

/// Credentials come from the form body first, then from the query; a `GET` has only the query.
fn by_secret<'e>(shard: &Shard, snapshot: &'e Snapshot, applicant: &Applicant<'_>) -> Result<&'e Tenant, End> {
    let Scratch { value, other, .. } = &mut *shard.scratch.borrow_mut();
    let form = applicant.body.filter(|_| applicant.may_name_in_form());
    let mut found = [None; 2];
    for place in [form, applicant.head.query].into_iter().flatten() {
        for (found, value) in found.iter_mut().zip(form::first(place, [b"app_id", b"sign"])) {
            *found = found.or(value);
        }
    }
    let [Some(app_id), sign] = found else { return Err(End::TenantMissing) };
    let proof = Proof::Secret(form::plain(sign.unwrap_or_default(), other));
    admit(snapshot, applicant, Claim { app_id: form::plain(app_id, value), proof })
}

fn admit<'e>(snapshot: &'e Snapshot, applicant: &Applicant<'_>, claim: Claim<'_>) -> Result<&'e Tenant, End> {
    let (id, tenant) = snapshot.tenants.admit(claim, applicant.client, applicant.path)?;
    applicant.named.set(Some(id));
    Ok(tenant)
}
