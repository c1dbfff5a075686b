//! Policy: may this request go on? Lists, tenant, rates, in GateKeeper's order.
//!
//! Black list → white list → host name → tenant (identity, path, its rate, its calls of the day) → the client address's
//! rate.
//! In scope: asking the frozen rules (`wall`) and the limits table. Out of scope: what the rules are.

use std::cell::Cell;
use std::net::IpAddr;

use super::shard::{Scratch, Shard};
use crate::end::End;
use crate::ids::TenantId;
use crate::proto::form;
use crate::proto::head::{Body, Method, RequestHead};
use crate::wall::access::Admission;
use crate::wall::calendar::Calendar;
use crate::wall::quota::Quota;
use crate::wall::rate::{Rate, RateKey, Refused};
use crate::wall::snapshot::{Service, Snapshot};
use crate::wall::tenants::{Claim, Tenant};

/// Proof that policy let a request pass. Its fields are private, so that only `admit` makes it.
pub struct Permit<'e> {
    tenant: Option<&'e Tenant>,
    strip_credentials: bool,
}

impl<'e> Permit<'e> {
    /// On whose behalf, where the service demands a tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<&'e Tenant> {
        self.tenant
    }

    /// `app_id` and `sign` are credentials here and must not go on.
    #[must_use]
    pub fn strips_credentials(&self) -> bool {
        self.strip_credentials
    }
}

/// What policy says.
pub enum Verdict<'e> {
    /// Go on.
    Admitted(Permit<'e>),
    /// A rule looks into the body, which is not here yet.
    NeedBody,
}

/// Why not, and when to come back.
#[derive(Clone, Copy, Debug)]
pub struct Denied {
    /// The reason.
    pub end: End,
    /// For 429: when a place comes free.
    pub retry_after_s: u64,
}

impl From<End> for Denied {
    fn from(end: End) -> Self {
        Self { end, retry_after_s: 0 }
    }
}

/// A request as policy sees it.
pub struct Applicant<'a> {
    /// Its head.
    pub head: &'a RequestHead<'a>,
    /// Its normalised path.
    pub path: &'a [u8],
    /// The body, once it is here.
    pub body: Option<&'a [u8]>,
    /// The client, as far as proxies in between are trusted.
    pub client: IpAddr,
    /// The tenant, once it has proven who it is.
    pub named: &'a Cell<Option<TenantId>>,
}

impl Applicant<'_> {
    /// Whether credentials may be in a form body; a `GET` has them in its query.
    fn may_name_in_form(&self) -> bool {
        self.head.is_form && self.head.method != Method::Get
    }

    /// Whether there is a body that is not here yet.
    fn awaits_body(&self) -> bool {
        self.body.is_none() && !matches!(self.head.body, Body::None)
    }
}

/// The permit of a request that every rule has let pass before, on this snapshot.
#[must_use]
pub fn admitted_before<'e>(snapshot: &'e Snapshot, service: &Service, tenant: Option<TenantId>) -> Permit<'e> {
    let tenant = tenant.map(|id| &snapshot.tenants.all()[id.index()]);
    Permit { tenant, strip_credentials: service.access.open }
}

/// Asks every rule of the service.
///
/// # Errors
/// The first rule that refuses.
pub fn admit<'e>(
    shard: &Shard,
    snapshot: &'e Snapshot,
    service: &Service,
    applicant: &Applicant<'_>,
) -> Result<Verdict<'e>, Denied> {
    let mut tenant = None;
    if service.access.decide(applicant.client)? == Admission::TenantNeeded {
        if applicant.may_name_in_form() && applicant.awaits_body() {
            return Ok(Verdict::NeedBody);
        }
        let admitted = identify(shard, snapshot, applicant)?;
        if let Some(rate) = admitted.rate {
            let key = shard.shared.rates.tenant_key(&admitted.app_id);
            spend(shard, key, rate, End::TenantRate)?;
        }
        if let Some(quota) = admitted.quota.as_ref() {
            count(shard, &snapshot.calendar, quota)?;
        }
        tenant = Some(admitted);
    }
    if let Some(rate) = service.client_rate {
        let key = shard.shared.rates.client_key(&service.name, applicant.client);
        spend(shard, key, rate, End::ClientRate)?;
    }
    Ok(Verdict::Admitted(Permit { tenant, strip_credentials: service.access.open }))
}

/// The same for a connection to a tcp service, which has lists and a rate but can name no tenant.
///
/// # Errors
/// The first rule that refuses.
pub fn admit_connection(shard: &Shard, service: &Service, client: IpAddr) -> Result<(), End> {
    if service.access.decide(client)? == Admission::TenantNeeded {
        return Err(End::NotListed);
    }
    let Some(rate) = service.client_rate else { return Ok(()) };
    let key = shard.shared.rates.client_key(&service.name, client);
    spend(shard, key, rate, End::ClientRate).map_err(|denied| denied.end)
}

/// Who is this? Credentials come from the form body first, then from the query; a `GET` has only the query.
fn identify<'e>(shard: &Shard, snapshot: &'e Snapshot, applicant: &Applicant<'_>) -> Result<&'e Tenant, End> {
    let Scratch { value, other, .. } = &mut *shard.scratch.borrow_mut();
    let form = applicant.body.filter(|_| applicant.may_name_in_form());
    let places = [form, applicant.head.query];
    let Some(app_id) = credential(places, b"app_id", value) else { return Err(End::TenantMissing) };
    let sign = credential(places, b"sign", other).unwrap_or_default();
    let (id, tenant) = snapshot.tenants.admit(Some(Claim { app_id, sign }), applicant.client, applicant.path)?;
    applicant.named.set(Some(id));
    Ok(tenant)
}

/// The first place's value that has the name.
fn credential<'a>(places: [Option<&'a [u8]>; 2], name: &[u8], decoded: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let place = places.into_iter().flatten().find(|place| form::find(place, name, decoded).is_some())?;
    form::find(place, name, decoded)
}

/// Counts a call of the tenant's day.
fn count(shard: &Shard, calendar: &Calendar, quota: &Quota) -> Result<(), Denied> {
    let now_s = shard.clock.unix_s();
    if quota.count.take(calendar.day(now_s), quota.daily_max) {
        return Ok(());
    }
    Err(Denied { end: End::TenantQuota, retry_after_s: calendar.day_ends_s(now_s).saturating_sub(now_s).max(1) })
}

fn spend(shard: &Shard, key: RateKey, rate: Rate, end: End) -> Result<(), Denied> {
    match shard.shared.rates.admit(key, rate, shard.clock.precise_ns()) {
        Ok(()) => Ok(()),
        Err(Refused::Limited { retry_after_ms }) => {
            Err(Denied { end, retry_after_s: retry_after_ms.div_ceil(1_000).max(1) })
        }
        Err(Refused::Full) => Err(End::RateTableFull.into()),
    }
}
