//! Traffic copy: a request once more, to another service, whose answer nobody sees.
//!
//! A copy is made when its request is planned and sent by a task of its own, so that it neither delays nor fails the
//! request. In scope: which requests are copied, how many copies there are at once, sending one, and reading its
//! answer to the end so that its connection may serve again. A copy that meets a bound, its deadline or a fault is
//! dropped and counted, never tried again. Out of scope: the copy's head (`plan`).

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use crate::end::{End, Retry};
use crate::ids::EpochId;
use crate::limits::{INTERIM_RESPONSES_MAX, RESPONSE_HEAD_BYTES_MAX};
use crate::proto::chunked::Decoder;
use crate::proto::head::{self, Asked, Body, Method, ResponseBody, Storage};
use crate::wall::mirror::MirrorRules;
use crate::wall::timing::Timing;
use crate::worker::io::{Connection, Received};
use crate::worker::runtime;
use crate::worker::session::exchange::report_failed_dial;
use crate::worker::shard::Shard;
use crate::worker::shard::buffer::{Class, Lease};
use crate::worker::shard::deadline::Deadline;
use crate::worker::upstream::connect::{self, Leased};
use crate::worker::upstream::replica::Replica;

/// The field that tells a copy from its original, in lower case.
pub const FIELD: (&str, &[u8]) = ("x-gatekeeper-copy", b"1");

/// The copies of one service's requests on this core.
#[derive(Debug, Default)]
pub struct Copies {
    /// Requests that could have been copied.
    seen: Cell<u64>,
    under_way: Cell<usize>,
}

/// A copy that is about to be sent.
pub struct Mirrored {
    /// The upstream that gets it.
    pub replica: Rc<Replica>,
    /// Which of its endpoints.
    pub endpoint: usize,
    /// The head, and a form body that was read first.
    pub out: Lease,
    /// Asked by which method.
    pub method: Method,
    /// The epoch it was planned on.
    pub epoch: EpochId,
    /// How long it may take.
    pub timeout_ms: u64,
    /// Its place among the copies.
    pub place: Place,
}

/// A copy's place among those under way, given back when dropped.
pub struct Place(Rc<Copies>);

impl Copies {
    /// Whether the next request is among those that are copied: they come evenly.
    #[must_use]
    pub fn is_next(&self, rules: &MirrorRules) -> bool {
        let seen = self.seen.get();
        self.seen.set(seen + 1);
        let copied = |seen: u64| u128::from(seen) * u128::from(rules.millionths) / 1_000_000;
        copied(seen + 1) > copied(seen)
    }

    /// A place for one more, if there is one on this core.
    #[must_use]
    pub fn enter(self: &Rc<Self>, rules: &MirrorRules, workers: usize) -> Option<Place> {
        let most = (rules.copies_max as usize).div_ceil(workers);
        if self.under_way.get() >= most {
            return None;
        }
        self.under_way.set(self.under_way.get() + 1);
        Some(Place(self.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

/// Sends the copy with the body that came with its request's head, or drops it where that is not all of the body.
pub fn send(shard: &Rc<Shard>, mut copy: Box<Mirrored>, body: Body, here: &[u8], form_is_in: bool) {
    let bytes = match body {
        _ if form_is_in => &[][..],
        Body::None => &[],
        Body::Length(length) => match usize::try_from(length).ok().and_then(|length| here.get(..length)) {
            Some(bytes) => bytes,
            None => return shard.meter.copy_dropped(),
        },
        Body::Chunked => return shard.meter.copy_dropped(),
    };
    if copy.out.bytes().len() + bytes.len() > copy.out.capacity() {
        copy.out = copy.out.moved_to(shard.buffers.lease(Class::Large));
    }
    copy.out.append(bytes);
    shard.meter.copy();
    let shard = shard.clone();
    runtime::spawn(async move {
        if run(&shard, *copy).await.is_err() {
            shard.meter.copy_failed();
        }
    });
}

async fn run(shard: &Shard, copy: Mirrored) -> Result<(), End> {
    let Mirrored { replica, endpoint, out, method, epoch, timeout_ms, place: _place } = copy;
    let (whole, waiting) = (shard.deadlines.register(), shard.deadlines.register());
    // Nobody waits for it at a stop.
    whole.arm_idle(timeout_ms);
    let trip = async {
        let mut timing = Timing::default();
        let leased = connect::acquire(&replica, endpoint, false, &waiting, &shard.buffers, &mut timing).await;
        let Leased { mut connection, seat, .. } = leased.inspect_err(|end| {
            if end.meaning().retry == Retry::Unsent {
                report_failed_dial(shard, epoch, &replica, endpoint);
            }
        })?;
        let sent = connection.tx.send(out, &waiting, timeout_ms).await;
        sent.map_err(|_| End::UpstreamClosed)?;
        match receive(&mut connection, method).await {
            Ok(Some(peer_timeout_ms)) => seat.keep(connection, peer_timeout_ms, shard.clock.now_ms()),
            Ok(None) => connection.tx.sever(),
            Err(end) => {
                connection.tx.sever();
                return Err(end);
            }
        }
        Ok(())
    };
    bounded(&whole, trip).await
}

async fn bounded(whole: &Deadline, trip: impl Future<Output = Result<(), End>>) -> Result<(), End> {
    whole.bound(pin!(trip)).await.unwrap_or(Err(End::RequestTimeout))
}

/// Reads the answer to its end. Gives how long the connection may be kept, where it may.
async fn receive(connection: &mut Connection, method: Method) -> Result<Option<u64>, End> {
    let mut lease = next(connection).await?.ok_or(End::UpstreamClosed)?;
    for _ in 0..=INTERIM_RESPONSES_MAX {
        let shape = loop {
            if let Some(shape) = shape(&lease, method)? {
                break shape;
            }
            let more = next(connection).await?.ok_or(End::BadResponse)?;
            lease.append(more.bytes());
        };
        lease.advance(shape.head_bytes);
        if shape.status >= 200 {
            let clean = drain(connection, shape.body, lease).await?;
            return Ok((clean && shape.keep_alive).then_some(shape.peer_timeout_ms));
        }
    }
    Err(End::BadResponse)
}

/// The next bytes; `None` at the end.
async fn next(connection: &mut Connection) -> Result<Option<Lease>, End> {
    match connection.rx.receive(Class::Small).await {
        Received::Data(lease) => Ok(Some(lease)),
        Received::End => Ok(None),
        Received::Broken => Err(End::UpstreamClosed),
    }
}

struct Shape {
    head_bytes: usize,
    status: u16,
    body: ResponseBody,
    keep_alive: bool,
    peer_timeout_ms: u64,
}

fn shape(lease: &Lease, method: Method) -> Result<Option<Shape>, End> {
    let asked = Asked { method, upgrade_websocket: false };
    let mut storage = Storage::new();
    let head = head::parse_response(lease.bytes(), &asked, RESPONSE_HEAD_BYTES_MAX, &mut storage)?;
    Ok(head.map(|head| Shape {
        head_bytes: head.head_bytes,
        status: head.status,
        body: head.body,
        keep_alive: head.keep_alive,
        peer_timeout_ms: head.idle_timeout_ms(),
    }))
}

/// Reads and forgets the body. True where the upstream sent exactly that and its connection lives.
async fn drain(connection: &mut Connection, body: ResponseBody, mut lease: Lease) -> Result<bool, End> {
    let mut left = match body {
        ResponseBody::None => 0,
        ResponseBody::Length(length) => length,
        ResponseBody::Chunked | ResponseBody::UntilClose => u64::MAX,
    };
    let mut decoder = matches!(body, ResponseBody::Chunked).then(|| Decoder::new(false));
    loop {
        let here = lease.bytes().len() as u64;
        match &mut decoder {
            Some(decoder) => {
                let decoded = decoder.decode(lease.bytes_mut()).map_err(|_| End::ResponseTruncated)?;
                if decoded.finished {
                    return Ok(decoded.consumed as u64 == here);
                }
            }
            None if here >= left => return Ok(here == left),
            None => left -= here,
        }
        drop(lease);
        lease = match next(connection).await? {
            Some(lease) => lease,
            None if matches!(body, ResponseBody::UntilClose) => return Ok(false),
            None => return Err(End::ResponseTruncated),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ServiceId;

    fn rules(millionths: u32, copies_max: u32) -> MirrorRules {
        MirrorRules { service: ServiceId(0), millionths, copies_max, timeout_ms: 1 }
    }

    #[test]
    fn a_share_is_copied_evenly() {
        let (copies, rules) = (Copies::default(), rules(250_000, 1));
        let copied: Vec<_> = (0..8).map(|_| copies.is_next(&rules)).collect();
        assert_eq!(copied, [false, false, false, true, false, false, false, true]);
    }

    #[test]
    fn no_more_copies_at_once_than_the_cores_share_and_every_place_comes_back() {
        let (copies, rules) = (Rc::new(Copies::default()), rules(1_000_000, 5));
        let places: Vec<_> = std::iter::from_fn(|| copies.enter(&rules, 2)).take(9).collect();
        assert_eq!(places.len(), 3);
        drop(places);
        assert!(copies.enter(&rules, 2).is_some());
    }
}
