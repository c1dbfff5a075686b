//! Policy: may this request go on? Lists, then the tenant: identity, path, its rate, its calls of the day.
//!
//! In scope: asking the frozen rules (`wall`) and the limits table; who is spared where the lists are in dry run. Out of
//! scope: what the rules are, a service's limits (`limits`).

use std::cell::Cell;
use std::net::IpAddr;

use super::limits;
use super::shard::{Scratch, Shard};
use crate::end::End;
use crate::ids::TenantId;
use crate::proto::form;
use crate::proto::head::{Body, Method, RequestHead};
use crate::wall::access::Admission;
use crate::wall::addresses::Counted;
use crate::wall::attribute::Parts;
use crate::wall::calendar::Calendar;
use crate::wall::limit::Caller;
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
    /// For what a rule in dry run would have refused it.
    pub spared: &'a Cell<Option<End>>,
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
    let who = match who(shard, snapshot, service, applicant) {
        Err(end) if service.access.dry_run => {
            applicant.spared.set(Some(end));
            Who::Anybody
        }
        who => who?,
    };
    if let Who::Unknown = who {
        return Ok(Verdict::NeedBody);
    }
    if let Who::Tenant(admitted) = who {
        if let Some(rate) = admitted.rate {
            let key = shard.shared.rates.tenant_key(&admitted.app_id);
            spend(shard, key, rate, End::TenantRate)?;
        }
        if let Some(quota) = admitted.quota.as_ref() {
            count(shard, &snapshot.calendar, quota)?;
        }
        tenant = Some(admitted);
    }
    Ok(Verdict::Admitted(Permit { tenant, strip_credentials: service.access.open }))
}

/// Who somebody is to the lists.
enum Who<'e> {
    /// Whoever: the lists let it in.
    Anybody,
    /// This tenant.
    Tenant(&'e Tenant),
    /// That is in the body, which is not here yet.
    Unknown,
}

fn who<'e>(
    shard: &Shard,
    snapshot: &'e Snapshot,
    service: &Service,
    applicant: &Applicant<'_>,
) -> Result<Who<'e>, End> {
    if service.access.decide(applicant.client, applicant.path)? == Admission::Allowed {
        return Ok(Who::Anybody);
    }
    if applicant.may_name_in_form() && applicant.awaits_body() {
        return Ok(Who::Unknown);
    }
    identify(shard, snapshot, applicant).map(Who::Tenant)
}

/// The same for a connection to a tcp service, which has lists and limits but can name no tenant. Gives for what it
/// would have been refused by a rule in dry run, and puts its places into `places`.
///
/// # Errors
/// The first rule that refuses.
pub fn admit_connection(
    shard: &Shard,
    service: &Service,
    client: IpAddr,
    places: &mut Vec<Counted>,
) -> Result<Option<End>, End> {
    let mut spared = None;
    let mut spare = |asked: Result<(), End>| match asked {
        Err(end) if service.access.dry_run => {
            spared = spared.or(Some(end));
            Ok(())
        }
        asked => asked,
    };
    spare(service.access.decide(client, b"").and_then(|admission| match admission {
        Admission::Allowed => Ok(()),
        Admission::TenantNeeded => Err(End::NotListed),
    }))?;
    spare(limits::take_places(shard, service, client, places))?;
    let caller = Caller { client, tenant: None, parts: Parts::default() };
    let spent = limits::spend(shard, service, &caller, None).map_err(|denied| denied.end)?;
    Ok(spared.or(spent.spared))
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
