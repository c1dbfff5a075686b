//! Policy: may this request go on? Lists, then the tenant: identity, path, its rate, its calls of the day.
//!
//! Lists → token → tenant, and for the tenant who it is, its path, its rate, its calls of the day. In scope: asking the frozen
//! rules (`wall`) and the limits table; who is spared where the lists are in dry run. Out of scope: what the rules are, who
//! asks (`identify`), a service's limits (`limits`).

pub mod concurrency;
pub mod dressing;
pub mod filters;
pub mod grant;
pub mod headers;
pub mod identify;
pub mod limits;
pub mod tokens;
pub mod usage;
pub mod validation;

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::LazyLock;

use self::dressing::Dressing;
use self::identify::Who;
use super::shard::Shard;
use crate::end::End;
use crate::ids::TenantId;
use crate::proto::authorization::{self, SIGNED};
use crate::proto::edits::{self, Edit};
use crate::proto::head::{Body, Method, RequestHead};
use crate::wall::access::Admission;
use crate::wall::addresses::Counted;
use crate::wall::attribute::Parts;
use crate::wall::calendar::Calendar;
use crate::wall::jwt::{Jwt, Verified};
use crate::wall::limit::Caller;
use crate::wall::quota::Quota;
use crate::wall::rate::{Rate, RateKey, Refused};
use crate::wall::snapshot::{Service, Snapshot};
use crate::wall::tenants::Tenant;

/// Proof that policy let a request pass. Its fields are private, so that only this file makes it.
pub struct Permit<'e> {
    tenant: Option<&'e Tenant>,
    credentials: Credentials,
    token: Token<'e>,
}

/// What the service's own tokens say.
enum Token<'e> {
    /// The service asks for none, or by other means.
    None,
    /// It asks for one that need not be there.
    Anonymous(&'e Jwt),
    /// This.
    Verified(Rc<Verified>),
}

impl<'e> Token<'e> {
    fn ask(shard: &Shard, service: &'e Service, head: &RequestHead<'_>) -> Result<Self, End> {
        let Some(jwt) = service.jwt.as_deref() else { return Ok(Self::None) };
        Ok(tokens::ask(shard, jwt, head.fields)?.map_or(Self::Anonymous(jwt), Self::Verified))
    }
}

/// Which of a request's own words were for this gateway, and must not go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credentials {
    None,
    /// `app_id` and `sign`, in query and form.
    Pair,
    /// `Authorization`.
    Authorization,
}

/// What is done to a head whose signature, or token of ours, was for us.
static AUTHORIZATION_OFF: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut off = Vec::new();
    edits::push(&mut off, Edit::Delete, authorization::FIELD, b"");
    off
});

impl<'e> Permit<'e> {
    fn new(
        snapshot: &Snapshot,
        service: &Service,
        tenant: Option<&'e Tenant>,
        token: Token<'e>,
        head: &RequestHead<'_>,
    ) -> Self {
        let bears = |scheme| authorization::of_scheme(head.fields, scheme).is_some();
        let signs = tenant.is_some_and(|tenant| tenant.signing.is_some()) && bears(SIGNED);
        let given = || tenant.is_some() && identify::own_token(snapshot, service, head).is_some();
        let credentials = if signs || given() {
            Credentials::Authorization
        } else if service.access.open {
            Credentials::Pair
        } else {
            Credentials::None
        };
        Self { tenant, credentials, token }
    }

    /// On whose behalf, where the service demands a tenant.
    #[must_use]
    pub fn tenant(&self) -> Option<&'e Tenant> {
        self.tenant
    }

    /// What is done to the head on its way, as `proto::edits` has it.
    #[must_use]
    pub fn edits(&self) -> &[u8] {
        match &self.token {
            Token::Verified(verified) => &verified.edits,
            Token::Anonymous(jwt) => &jwt.anonymous,
            Token::None => &[],
        }
    }

    /// The same for what proved to this gateway whose request it is.
    #[must_use]
    pub fn credentials_off(&self) -> &'static [u8] {
        if self.credentials == Credentials::Authorization { &AUTHORIZATION_OFF } else { &[] }
    }

    /// `app_id` and `sign` are credentials here and must not go on.
    #[must_use]
    pub fn strips_credentials(&self) -> bool {
        self.credentials == Credentials::Pair
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
    /// In how many seconds it is worth another try (429, and 503 of a breaker); 0 is not known.
    pub retry_after_s: u64,
}

impl Denied {
    /// For this reason, for so long.
    #[must_use]
    pub const fn for_ms(end: End, ms: u64) -> Self {
        let seconds = ms.div_ceil(1_000);
        Self { end, retry_after_s: if seconds == 0 { 1 } else { seconds } }
    }
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
    /// Where is said what its answer is dressed with.
    pub dressing: &'a Dressing,
    /// The tenant, once it has proven who it is.
    pub named: &'a Cell<Option<TenantId>>,
    /// For what a rule in dry run would have refused it.
    pub spared: &'a Cell<Option<End>>,
}

impl Applicant<'_> {
    /// Whether credentials may be in a form body; a `GET` has them in its query.
    pub(super) fn may_name_in_form(&self) -> bool {
        self.head.is_form && self.head.method != Method::Get
    }

    /// What the lists say, but that nobody is refused where they are in dry run.
    fn spare<T>(&self, service: &Service, asked: Result<T, End>, otherwise: T) -> Result<T, End> {
        match asked {
            Err(end) if service.access.dry_run => {
                self.spared.set(Some(end));
                Ok(otherwise)
            }
            asked => asked,
        }
    }

    /// Whether there is a body that is not here yet.
    pub(super) fn awaits_body(&self) -> bool {
        self.body.is_none() && !matches!(self.head.body, Body::None)
    }
}

/// The permit of a request that every rule has let pass before, on this snapshot.
///
/// # Errors
/// When its token has expired since.
pub fn admitted_before<'e>(
    shard: &Shard,
    snapshot: &'e Snapshot,
    service: &'e Service,
    tenant: Option<TenantId>,
    head: &RequestHead<'_>,
) -> Result<Permit<'e>, End> {
    let token = Token::ask(shard, service, head)?;
    let tenant = tenant.map(|id| &snapshot.tenants.all()[id.index()]);
    Ok(Permit::new(snapshot, service, tenant, token, head))
}

/// Asks every rule of the service.
///
/// # Errors
/// The first rule that refuses.
pub fn admit<'e>(
    shard: &Shard,
    snapshot: &'e Snapshot,
    service: &'e Service,
    applicant: &Applicant<'_>,
) -> Result<Verdict<'e>, Denied> {
    let mut tenant = None;
    let listed = service.access.decide(applicant.client, applicant.path);
    let admission = applicant.spare(service, listed, Admission::Allowed)?;
    let token = Token::ask(shard, service, applicant.head)?;
    let who = match admission {
        Admission::Allowed => Who::Anybody,
        Admission::TenantNeeded => {
            applicant.spare(service, identify::ask(shard, snapshot, service, applicant), Who::Anybody)?
        }
    };
    if let Who::NeedBody = who {
        return Ok(Verdict::NeedBody);
    }
    if let Who::Tenant(admitted) = who {
        let spent = spend_own(shard, &snapshot.calendar, admitted);
        if admitted.usage_told {
            usage::tell(shard, &snapshot.calendar, admitted, applicant.dressing);
        }
        spent?;
        tenant = Some(admitted);
    }
    Ok(Verdict::Admitted(Permit::new(snapshot, service, tenant, token, applicant.head)))
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

/// The tenant's own rate and quota.
fn spend_own(shard: &Shard, calendar: &Calendar, tenant: &Tenant) -> Result<(), Denied> {
    if let Some(rate) = tenant.rate {
        let key = shard.shared.rates.tenant_key(&tenant.app_id);
        spend(shard, key, rate, End::TenantRate)?;
    }
    tenant.quota.as_ref().map_or(Ok(()), |quota| count(shard, calendar, quota))
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
        Err(Refused::Limited { retry_after_ms }) => Err(Denied::for_ms(end, retry_after_ms)),
        Err(Refused::Full) => Err(End::RateTableFull.into()),
    }
}
