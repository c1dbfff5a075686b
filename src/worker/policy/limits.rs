//! Limits: what a request or connection takes of the buckets of its service, and the wait for its turn.
//!
//! A request takes of every limit that concerns it or of none: what it took of the first is given back when a later
//! one refuses it, so that who is refused uses nothing up. In scope: that, and what the answer says of it. Out of scope:
//! the buckets (`wall::rate`), which limits there are (`wall::limit`).

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use super::dressing::Dressing;
use crate::end::End;
use crate::limits::LIMITS_PER_SERVICE_MAX;
use crate::wall::addresses::{Counted, NotCounted};
use crate::wall::limit::{Caller, Limit, standing};
use crate::wall::rate::{Owner, RateKey, Refused, Taken};
use crate::wall::snapshot::Service;
use crate::worker::plan::Terms;
use crate::worker::policy::Denied;
use crate::worker::runtime;
use crate::worker::session::downstream::{Downstream, in_time};
use crate::worker::shard::{Scratch, Shard};

/// What it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How long the request waits for its turn.
    pub wait_ns: u64,
    /// For what a limit in dry run would have refused it.
    pub spared: Option<End>,
}

/// Takes a request of every limit of the service that concerns the caller, and says on the answer what is left.
///
/// # Errors
/// The first limit that refuses; then nothing is taken.
pub fn spend(
    shard: &Shard,
    service: &Service,
    caller: &Caller<'_>,
    dressing: Option<&Dressing>,
) -> Result<Spent, Denied> {
    let mut spent = Spent::default();
    let Some(limits) = &service.limits else { return Ok(spent) };
    let now_ns = shard.clock.precise_ns();
    let Scratch { query: decoded, value: policies, other: standings, .. } = &mut *shard.scratch.borrow_mut();
    policies.clear();
    standings.clear();
    let mut fields = Fields { policies, standings };
    let mut keys = [None; LIMITS_PER_SERVICE_MAX];
    let mut denied = None;
    for (limit, place) in limits.each.iter().zip(&mut keys) {
        let Some(owner) = limit.by.owner(caller, decoded) else { continue };
        let key = shard.shared.rates.limit_key(limit.scope, owner);
        match shard.shared.rates.take(key, limit.rate, now_ns, limit.wait_ns()) {
            Ok(taken) => {
                *place = Some(key);
                if !limit.dry_run {
                    spent.wait_ns = spent.wait_ns.max(taken.wait_ns);
                } else if taken.wait_ns > 0 {
                    spent.spared = spent.spared.or(Some(limit.by.end()));
                }
                fields.left(limit, &taken);
            }
            Err(refused) if limit.dry_run => spent.spared = spent.spared.or(Some(refusal(limit, refused).end)),
            Err(refused) => {
                let refusal = refusal(limit, refused);
                fields.none_left(limit, &refusal);
                denied = Some(refusal);
                break;
            }
        }
    }
    if let Some(dressing) = dressing {
        fields.say(shard, dressing);
    }
    let Some(denied) = denied else { return Ok(spent) };
    give_back(shard, &limits.each, &keys);
    Err(denied)
}

/// Takes a request of the endpoint's limits. What a limit in dry run would refuse goes into `spared`.
///
/// # Errors
/// The first limit that refuses; then nothing is taken.
pub fn spend_endpoint(
    shard: &Shard,
    service: &Service,
    node: &str,
    spared: &mut Option<End>,
    dressing: &Dressing,
) -> Result<(), Denied> {
    let Some(limits) = &service.limits else { return Ok(()) };
    let mut keys = [None; LIMITS_PER_SERVICE_MAX];
    let now_ns = shard.clock.precise_ns();
    for (limit, place) in limits.endpoint.iter().zip(0..) {
        let owner = Owner::Endpoint(node);
        let key = shard.shared.rates.limit_key(limit.scope, owner);
        match shard.shared.rates.take(key, limit.rate, now_ns, 0) {
            Ok(_) => keys[place] = Some(key),
            Err(refused) if limit.dry_run => *spared = spared.or(Some(refusal(limit, refused).end)),
            Err(refused) => {
                give_back(shard, &limits.endpoint, &keys);
                let refusal = refusal(limit, refused);
                let Scratch { value: policies, other: standings, .. } = &mut *shard.scratch.borrow_mut();
                policies.clear();
                standings.clear();
                let mut fields = Fields { policies, standings };
                fields.none_left(limit, &refusal);
                fields.say(shard, dressing);
                return Err(refusal);
            }
        }
    }
    Ok(())
}

/// Counts a connection among those of its tcp service, and of its client there.
///
/// # Errors
/// `End::ClientConnections`, `End::ServiceConnections`, `End::CoreConnections`.
pub fn take_places(shard: &Shard, service: &Service, client: IpAddr, places: &mut Vec<Counted>) -> Result<(), End> {
    let Some(rules) = &service.tcp else { return Ok(()) };
    let bounds = [
        (rules.client_connections_max, Owner::Client(client), End::ClientConnections),
        (rules.service_connections_max, Owner::Service, End::ServiceConnections),
    ];
    for (most, owner, end) in bounds.into_iter().filter(|(most, ..)| *most > 0) {
        match shard.shared.addresses.enter_service(&service.name, owner, most) {
            Ok(counted) => places.push(counted),
            Err(NotCounted::Over) => return Err(end),
            Err(NotCounted::Full) => return Err(End::CoreConnections),
        }
    }
    Ok(())
}

fn give_back(shard: &Shard, limits: &[Limit], keys: &[Option<RateKey>]) {
    for (limit, key) in limits.iter().zip(keys) {
        if let Some(key) = key {
            shard.shared.rates.give_back(*key, limit.rate);
        }
    }
}

fn refusal(limit: &Limit, refused: Refused) -> Denied {
    match refused {
        Refused::Limited { retry_after_ms } => Denied::for_ms(limit.by.end(), retry_after_ms),
        Refused::Full => End::RateTableFull.into(),
    }
}

/// The RateLimit fields of an answer, as far as they are written.
struct Fields<'s> {
    policies: &'s mut Vec<u8>,
    standings: &'s mut Vec<u8>,
}

impl Fields<'_> {
    fn left(&mut self, limit: &Limit, taken: &Taken) {
        if limit.told {
            let (left, more_s) = standing(taken);
            limit.put_policy(self.policies);
            limit.put_standing(self.standings, left, more_s);
        }
    }

    fn none_left(&mut self, limit: &Limit, denied: &Denied) {
        if denied.retry_after_s > 0 {
            limit.put_policy(self.policies);
            limit.put_standing(self.standings, 0, denied.retry_after_s);
        }
    }

    fn say(&self, shard: &Shard, dressing: &Dressing) {
        if !self.policies.is_empty() {
            dressing.set(&shard.buffers, b"RateLimit-Policy", self.policies);
            dressing.set(&shard.buffers, b"RateLimit", self.standings);
        }
    }
}

/// Waits for a request's turn, for as long as its client waits for it.
///
/// # Errors
/// `End::ClientLeft`, `End::RequestTimeout`, `End::Drained`.
pub async fn wait(shard: &Shard, down: &mut Downstream, terms: &Terms, wait_ns: u64) -> Result<(), End> {
    let Downstream { source, whole, .. } = down;
    // The runtime's finest timer is a millisecond: rounded up, so that nobody comes before its turn.
    let turn = runtime::sleep(Duration::from_millis(wait_ns.div_ceil(1_000_000)));
    let turn = pin!(async {
        turn.await;
        Ok(())
    });
    let waited = pin!(source.while_there(terms.half_close_grace_ms, turn));
    in_time(shard, (whole.as_ref(), None), waited).await
}
