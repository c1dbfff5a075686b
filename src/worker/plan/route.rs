//! Which service answers a request: the rule that takes it, and the service that it goes to when shares are split.
//!
//! In scope: asking the frozen rules (`wall::routes`, `wall::split`) with this core's memory, and dealing numbers to
//! requests that stick to nothing. Out of scope: what the service then demands (`policy`).

use std::cell::{Cell, RefCell};
use std::net::IpAddr;

use crate::ids::ServiceId;
use crate::wall::routes::{Asked, Route, RouteScratch, covers};
use crate::wall::snapshot::{Service, Snapshot};
use crate::wall::split::{Splits, scale};

/// What a core needs to route.
#[derive(Default)]
pub struct Router {
    scratch: RefCell<RouteScratch>,
    dealt: Cell<u32>,
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub struct Destination<'e> {
    /// The rule that took it.
    pub route: &'e Route,
    /// The service, which is the rule's unless a split took the request.
    pub id: ServiceId,
    /// That service.
    pub service: &'e Service,
}

impl Router {
    /// Where the request goes; `settled` where that was found before, which an attempt more must not change.
    /// `client` is asked for only where something sticks to it.
    pub fn find<'e>(
        &self,
        snapshot: &'e Snapshot,
        asked: &Asked<'_>,
        client: impl FnOnce() -> IpAddr,
        settled: Option<ServiceId>,
    ) -> Option<Destination<'e>> {
        if !covers(&snapshot.http.route_prefix, asked.path) {
            return None;
        }
        let scratch = &mut *self.scratch.borrow_mut();
        let route = snapshot.routes.find(asked, scratch)?;
        let id = match (settled, &snapshot.service(route.service).splits) {
            (Some(settled), _) => settled,
            (None, None) => route.service,
            (None, Some(splits)) => self.split(splits, asked, client(), scratch).unwrap_or(route.service),
        };
        Some(Destination { route, id, service: snapshot.service(id) })
    }

    fn split(
        &self,
        splits: &Splits,
        asked: &Asked<'_>,
        client: IpAddr,
        scratch: &mut RouteScratch,
    ) -> Option<ServiceId> {
        let number = splits.number(&asked.parts, client, || self.deal(), &mut scratch.value);
        splits.choose(number, &asked.parts, &mut scratch.value).map(|split| split.service)
    }

    /// Multiples of the golden ratio: any run of them is spread evenly (Knuth, TAOCP 6.4), so that the first hundred
    /// requests are split as well as a million.
    fn deal(&self) -> u32 {
        let next = self.dealt.get().wrapping_add(0x9e37_79b9);
        self.dealt.set(next);
        scale(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_hundred_numbers_in_a_row_are_split_to_within_two() {
        let router = Router::default();
        for _ in 0..100 {
            let low = (0..100).filter(|_| router.deal() < 100_000).count();
            assert!((8..=12).contains(&low), "{low} of a tenth");
        }
    }
}
