//! On whose behalf the request comes, and why that is believed or not.
//!
//! A nonce is not spent and a body not looked at: the question has none.

use std::net::IpAddr;

use super::story::{self, Story};
use crate::config::now_s;
use crate::end::End;
use crate::proto::authorization::{self, SIGNED, Signed};
use crate::proto::edits::{self, Edit};
use crate::proto::form;
use crate::proto::head::RequestHead;
use crate::wall::signing::Signable;
use crate::wall::snapshot::{Service, Snapshot};
use crate::wall::tenants::{Claim, Proof, Tenant};

/// A request to a service that wants to know its tenant.
pub(super) struct Asked<'a> {
    pub(super) service: &'a Service,
    pub(super) head: &'a RequestHead<'a>,
    pub(super) client: IpAddr,
    pub(super) path: &'a [u8],
}

/// The tenant, by the code that serves; and what is done to the head because of what it bears.
pub(super) fn tell<'s>(
    story: &mut Story,
    snapshot: &'s Snapshot,
    asked: &Asked<'_>,
    edits: &mut Vec<u8>,
) -> Result<&'s Tenant, End> {
    let Asked { service, head, client, path } = *asked;
    if let Some(credentials) = authorization::of_scheme(head.fields, SIGNED) {
        let Some(signed) = Signed::parse(credentials) else {
            story.line("tenant", "the signature in Authorization is malformed: docs/tenants.md has its form");
            return Err(End::TenantSign);
        };
        let now_s = now_s();
        let request = Signable { signed, method: head.method_text, path: head.path, query: head.query, now_s };
        let claim = Claim { app_id: signed.app_id, proof: Proof::Signature(&request) };
        edits::push(edits, Edit::Delete, authorization::FIELD, b"");
        return judge(story, snapshot, Some(claim), client, path);
    }
    let query = head.query.unwrap_or_default();
    let named = form::find(query, b"app_id", &mut Vec::new()).is_some();
    if let Some(issuer) = snapshot.issuer.as_ref().filter(|_| service.jwt.is_none() && !named)
        && let Some(token) = authorization::of_scheme(head.fields, "Bearer")
    {
        let place = issuer.jwt.place.look();
        let keys = place.as_ref().ok_or(End::KeysMissing)?;
        let verified = issuer.jwt.rules.verify(token, keys, now_s());
        if let Err(end) = &verified {
            story.line("tenant", &format!("the token: {}", end.meaning().text));
        }
        let verified = verified?;
        edits::push(edits, Edit::Delete, authorization::FIELD, b"");
        let claim = Claim { app_id: verified.subject.as_bytes(), proof: Proof::Token };
        return judge(story, snapshot, Some(claim), client, path);
    }
    let (mut id_scratch, mut sign_scratch) = (Vec::new(), Vec::new());
    let app_id = form::find(query, b"app_id", &mut id_scratch);
    let sign = form::find(query, b"sign", &mut sign_scratch).unwrap_or_default();
    if head.is_form {
        story.line("tenant", "app_id and sign of the form body would count before those of the query");
    }
    let claim = app_id.map(|app_id| Claim { app_id, proof: Proof::Secret(sign) });
    judge(story, snapshot, claim, client, path)
}

fn judge<'s>(
    story: &mut Story,
    snapshot: &'s Snapshot,
    claim: Option<Claim<'_>>,
    client: IpAddr,
    path: &[u8],
) -> Result<&'s Tenant, End> {
    let admitted = claim.ok_or(End::TenantMissing).and_then(|claim| snapshot.tenants.admit(claim, client, path));
    let admitted = admitted.map(|(_, tenant)| tenant);
    let app_id = claim.map_or(&b""[..], |claim| claim.app_id);
    let named = story::text(app_id);
    let signs = snapshot.tenants.find(app_id).is_some_and(|tenant| tenant.signing.is_some());
    let signed = claim.is_some_and(|claim| matches!(claim.proof, Proof::Signature(_)));
    let told = match admitted {
        Ok(tenant) if tenant.white.contains(client) => {
            format!("{named}: {client} is on its white_ips, no sign needed; may call this path")
        }
        Ok(_) if signed => {
            format!("{named}: signature right (its nonce and body were not looked at), may call this path")
        }
        Ok(_) if claim.is_some_and(|claim| matches!(claim.proof, Proof::Token)) => {
            format!("{named}: by a token that this gateway gave, may call this path")
        }
        Ok(_) => format!("{named}: sign right, may call this path"),
        Err(End::TenantMissing) => "neither a signature nor an app_id in the query".to_owned(),
        Err(End::TenantUnknown) => format!("app.toml has no tenant {named}"),
        Err(End::SignExpired) => format!("{named}: its timestamp is too far from now"),
        Err(End::TenantSign) if signs && !signed => format!("{named}: its sign_method wants a signed request"),
        Err(End::TenantSign) if signed && !signs => format!("{named}: its sign_method is secret, not a signature"),
        Err(End::TenantSign) if signed => format!("{named}: the signature is not that of this request"),
        Err(End::TenantSign) => format!("{named}: the query's sign is not its secret"),
        Err(_) => format!("{named}: its open_api has no prefix of this path"),
    };
    story.line("tenant", &told);
    admitted
}
