//! A place: one address of the file, checked in one way, however many services share it.
//!
//! A fixed address has one spot to dial; a name has one for each address it resolves to. Each spot has
//! a checker and a tally of its own, so that one dead address of a name takes no traffic while the
//! others do. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::tally::Tally;
use super::{Effect, Level};
use crate::ids::EpochId;
use crate::wall::health::{EndpointHealth, Verdict};
use crate::wall::snapshot::{Address, Check};

/// One checker, for as long as its spot exists. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CheckerId(pub(crate) u64);

/// What a checker probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where.
    pub(crate) spot: Spot,
    /// `Host` of a GET.
    pub(crate) host: Box<str>,
    /// How.
    pub(crate) check: Check,
}

/// Something that can be dialled as it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    /// An IP address and port.
    Socket(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Endpoints with equal keys share one place.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) address: Address,
    pub(super) check: Check,
}

/// What is known of a place.
#[derive(Debug)]
pub(super) struct Place {
    key: Arc<Key>,
    /// A name whose first lookup has not ended has none and is not down yet.
    looked_up: bool,
    members: Vec<Member>,
    /// The epoch that published the present state; `None` while that waits for publication.
    told_in: Option<EpochId>,
    /// Whether workers have been told that it is up, and since when if that is not from the start.
    up: bool,
    back_since: Option<Instant>,
    /// It is there from the start, and was not down yet.
    at_start: bool,
}

#[derive(Debug)]
struct Member {
    checker: CheckerId,
    spot: Spot,
    tally: Tally,
    /// Why it is down, as last said.
    said: Option<Box<str>>,
}

impl Place {
    /// A place nothing is known of.
    pub(super) fn new(key: Arc<Key>, at_start: bool) -> Self {
        Self { key, looked_up: false, members: Vec::new(), told_in: None, up: false, back_since: None, at_start }
    }

    /// What makes it this place.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Everybody who probes here.
    pub(super) fn checkers(&self) -> impl Iterator<Item = CheckerId> {
        self.members.iter().map(|member| member.checker)
    }

    /// Gives it one member for each spot there is to dial, keeping those it has; `found` is what a name
    /// resolves to, if that is known. Returns the checkers that have nothing to do any more.
    pub(super) fn man(
        &mut self,
        found: Option<&[IpAddr]>,
        added: &mut Vec<(CheckerId, Target)>,
        mut number: impl FnMut() -> CheckerId,
    ) -> Vec<CheckerId> {
        let spots = match &self.key.address {
            Address::Socket(address) => vec![Spot::Socket(*address)],
            Address::Unix(path) => vec![Spot::Unix(path.clone())],
            Address::Name(_, port) => {
                found.unwrap_or_default().iter().map(|ip| Spot::Socket((*ip, *port).into())).collect()
            }
        };
        self.looked_up = found.is_some();
        self.told_in = None;
        let gone: Vec<CheckerId> =
            self.members.extract_if(.., |member| !spots.contains(&member.spot)).map(|member| member.checker).collect();
        for spot in spots {
            if self.members.iter().all(|member| member.spot != spot) {
                let checker = number();
                let (host, check) = (host_of(&self.key.address), self.key.check.clone());
                added.push((checker, Target { spot: spot.clone(), host, check }));
                self.members.push(Member { checker, spot, tally: Tally::new(), said: None });
            }
        }
        self.members.sort_unstable_by(|one, other| one.spot.cmp(&other.spot));
        gone
    }

    /// A probe of one member has ended; true when its verdict changed.
    pub(super) fn record(&mut self, checker: CheckerId, failure: Option<&str>, out: &mut Vec<Effect>) -> bool {
        let Some(member) = self.members.iter_mut().find(|member| member.checker == checker) else { return false };
        let before = member.tally.verdict();
        let changed = member.tally.record(failure.is_none(), &self.key.check);
        let shown = Shown(&self.key.address, &member.spot);
        let (level, text) = match (failure, member.tally.verdict()) {
            (Some(why), Verdict::Down) if changed => (Level::Warn, format!("endpoint {shown} is down: {why}")),
            (Some(why), Verdict::Down) if member.said.as_deref() != Some(why) => {
                (Level::Warn, format!("endpoint {shown} is still down: {why}"))
            }
            (None, _) if changed && before == Verdict::Down => (Level::Info, format!("endpoint {shown} is up")),
            (None, _) if changed => (Level::Debug, format!("endpoint {shown} is up")),
            _ => return false,
        };
        member.said = failure.map(Into::into);
        out.push(Effect::SayOfHealth(level, text));
        if changed {
            self.told_in = None;
        }
        changed
    }

    /// A worker could not connect here on this epoch; true when a verdict changed. What a worker saw
    /// before it knew the present state says nothing about it, and what is down is probed anyway.
    pub(super) fn connect_failed(&mut self, epoch: EpochId, out: &mut Vec<Effect>) -> bool {
        let outdated = self.told_in.is_none_or(|told| epoch < told);
        if outdated || self.verdict() == Verdict::Down {
            return false;
        }
        out.extend(self.checkers().map(Effect::ProbeNow));
        // Which of several addresses it was the report does not say; the probes find out.
        match self.members[..] {
            [Member { checker, .. }] => self.record(checker, Some("a worker could not connect"), out),
            _ => false,
        }
    }

    /// Workers learn the present state with this epoch.
    pub(super) fn told(&mut self, epoch: EpochId, now: Instant) {
        self.told_in = Some(epoch);
        let verdict = self.verdict();
        let was_up = std::mem::replace(&mut self.up, verdict == Verdict::Up);
        match (was_up, self.up) {
            (false, true) => self.back_since = (!self.at_start).then_some(now),
            (_, false) => self.back_since = None,
            (true, true) => {}
        }
        self.at_start &= verdict == Verdict::Unprobed;
    }

    /// As good as its best member; a name without any is down once it has been looked up.
    fn verdict(&self) -> Verdict {
        let any = |verdict| self.members.iter().any(|member| member.tally.verdict() == verdict);
        let waits = self.members.is_empty() && !self.looked_up;
        match (any(Verdict::Up), any(Verdict::Unprobed) || waits) {
            (true, _) => Verdict::Up,
            (false, true) => Verdict::Unprobed,
            (false, false) => Verdict::Down,
        }
    }

    /// What workers are told: the verdict, and the addresses for which it holds.
    pub(super) fn health(&self) -> EndpointHealth {
        let verdict = self.verdict();
        let addresses = self.members.iter().filter(|member| member.tally.verdict() == verdict);
        let addresses = addresses.filter_map(|member| match member.spot {
            Spot::Socket(address) => Some(address),
            Spot::Unix(_) => None,
        });
        EndpointHealth { verdict, back_since: self.back_since, addresses: addresses.collect() }
    }
}

/// What a GET says as `Host`: the address as the file writes it.
fn host_of(address: &Address) -> Box<str> {
    match address {
        Address::Socket(address) => address.to_string().into(),
        Address::Name(name, port) => format!("{name}:{port}").into(),
        Address::Unix(_) => "localhost".into(),
    }
}

/// A member as the log names it.
struct Shown<'a>(&'a Address, &'a Spot);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Address::Name(name, port), spot) => write!(f, "{name}:{port} ({spot})"),
            Self(_, spot) => spot.fmt(f),
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wall::snapshot::CheckMethod;

    fn said(failures: &[Option<&str>]) -> Vec<String> {
        let check = Check { method: CheckMethod::Tcp, interval_ms: 1_000, timeout_ms: 1_000, rise: 1, fall: 1 };
        let address = Address::Socket(SocketAddr::from(([10, 0, 0, 1], 80)));
        let mut place = Place::new(Arc::new(Key { address, check }), true);
        place.man(None, &mut Vec::new(), || CheckerId(1));
        let mut out = Vec::new();
        for failure in failures {
            place.record(CheckerId(1), *failure, &mut out);
        }
        let text = |effect| match effect {
            Effect::SayOfHealth(_, text) => text,
            other => panic!("{other:?}"),
        };
        out.into_iter().map(text).collect()
    }

    #[test]
    fn another_reason_is_said_while_an_endpoint_stays_down_and_the_same_one_once() {
        let failures =
            [Some("refused"), Some("refused"), Some("status 404"), Some("status 404"), None, Some("refused")];
        assert_eq!(
            said(&failures),
            [
                "endpoint 10.0.0.1:80 is down: refused",
                "endpoint 10.0.0.1:80 is still down: status 404",
                "endpoint 10.0.0.1:80 is up",
                "endpoint 10.0.0.1:80 is down: refused",
            ]
        );
    }
}
