//! Asking a service's filters: about a request before it is admitted, about the head of its answer, about its body.
//!
//! In scope: what filters are shown, what becomes of what they say. A service without filters costs a branch here and
//! there. Out of scope: reading a body whole (`answer/whole`), the filters (`filter`, `wall/filters`).

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use crate::end::End;
use crate::filter::{Connection, Refusal, Request, Response};
use crate::ids::TenantId;
use crate::limits::FILTERED_BODIES_BYTES_MAX;
use crate::proto::coding::Coding;
use crate::proto::edits::{self, Edit, Edits};
use crate::proto::framing::Framed;
use crate::proto::head::{self, RequestHead, ResponseBody, ResponseHead, Storage};
use crate::proto::target;
use crate::wall::filters::{Filters, narrow};
use crate::wall::snapshot::{Service, Snapshot};
use crate::worker::plan::Terms;
use crate::worker::shard::buffer::{Class, Lease};
use crate::worker::shard::{Shard, ShardEpoch};

/// What filters have said of the exchange in hand.
#[derive(Debug, Default)]
pub struct Said {
    /// Changes to the head that goes on, for every attempt.
    pub edits: Option<Lease>,
    /// What the client is told instead of an answer.
    pub refusal: Option<Refusal>,
}

/// A request as filters see it.
pub struct Asking<'a> {
    /// Its head.
    pub head: &'a RequestHead<'a>,
    /// Its normalised path.
    pub path: &'a [u8],
    /// The client.
    pub client: IpAddr,
    /// The tenant.
    pub tenant: Option<TenantId>,
}

impl<'a> Asking<'a> {
    fn view(&self, snapshot: &'a Snapshot, service: &'a Service, edits: Vec<u8>) -> Request<'a> {
        let tenant = self.tenant.map(|id| &*snapshot.tenants.all()[id.index()].app_id);
        Request::new(self.head, self.path, self.client, (&service.name, tenant), edits)
    }
}

/// Asks about a request; the service has filters.
///
/// # Errors
/// `End::FilterRefused`; what the client is told stands in `said`.
#[inline(never)]
pub fn request(
    shard: &Shard,
    (snapshot, service, filters): (&Snapshot, &Service, &Filters),
    asking: &Asking<'_>,
    said: &RefCell<Said>,
) -> Result<(), End> {
    let mut lease = shard.buffers.lease(Class::Small);
    narrow(asking.head.fields, &mut shard.scratch.borrow_mut().value, lease.vec());
    let mut view = asking.view(snapshot, service, std::mem::take(lease.vec()));
    let verdict = filters.request(&mut view);
    *lease.vec() = view.into_edits();
    match verdict {
        Ok(()) => {
            said.borrow_mut().edits = Some(lease).filter(|lease| !lease.is_empty());
            Ok(())
        }
        Err((_, refusal)) => {
            said.borrow_mut().refusal = Some(refusal);
            Err(End::FilterRefused)
        }
    }
}

/// Whether a tcp service's filters let a connection go on.
///
/// # Errors
/// `End::FilterRefused`.
pub fn connection(service: &Service, client: IpAddr) -> Result<(), End> {
    let Some(filters) = &service.filters else { return Ok(()) };
    let connection = Connection { client, service: &service.name };
    if filters.admit(&connection) { Ok(()) } else { Err(End::FilterRefused) }
}

/// What is needed to ask about the answer of one attempt.
pub struct Answering<'t> {
    /// Let go with the head, where the body is not read.
    epoch: RefCell<Option<Rc<ShardEpoch>>>,
    request: &'t [u8],
    peer: IpAddr,
    refusal: Cell<Option<Refusal>>,
}

/// What filters want of an answer.
pub struct Wish {
    /// What is done to its head.
    pub edits: Lease,
    /// Its body, whole.
    pub whole: Option<Whole>,
}

/// How a body is read whole.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    /// As it came and decoded, it has no more bytes.
    pub bytes_max: usize,
    /// What is undone.
    pub coding: Coding,
}

impl<'t> Answering<'t> {
    /// For an exchange on this epoch, of whose request these are the first bytes.
    #[must_use]
    pub fn new(epoch: Rc<ShardEpoch>, request: &'t [u8], peer: IpAddr) -> Self {
        Self { epoch: RefCell::new(Some(epoch)), request, peer, refusal: Cell::new(None) }
    }

    /// What the client is told, once a filter has refused.
    #[must_use]
    pub fn take_refusal(&self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// Asks about the head of the final answer, which is dressed so already.
    ///
    /// # Errors
    /// `End::FilterRefused`; `End::Unfilterable` where a body is wanted that cannot be had whole.
    pub fn head(
        &self,
        head: &Framed<ResponseHead<'_>>,
        shard: &Shard,
        terms: &Terms,
        worn: Edits<'_>,
    ) -> Result<Wish, End> {
        let (mut said, mut all) = (shard.buffers.lease(Class::Small), shard.buffers.lease(Class::Small));
        let mut response = Response::new(head, std::mem::take(said.vec()));
        let bound = self.ask(shard, terms, |filters, request| filters.response(request, &mut response))?;
        *said.vec() = response.into_edits();
        let whole = match bound {
            Some(bytes_max) => {
                untell(head, all.vec());
                whole(head, bytes_max)?
            }
            None => None,
        };
        if whole.is_none() {
            *self.epoch.borrow_mut() = None;
        }
        all.vec().extend_from_slice(worn.bytes());
        all.vec().extend_from_slice(said.bytes());
        Ok(Wish { edits: all, whole })
    }

    /// Gives the decoded body to the filters.
    ///
    /// # Errors
    /// `End::FilterRefused`.
    pub fn body(&self, body: &mut Vec<u8>, shard: &Shard, terms: &Terms) -> Result<(), End> {
        self.ask(shard, terms, |filters, request| filters.body(request, body))
    }

    /// Shows the filters the request again, read anew from its bytes.
    fn ask<T>(
        &self,
        shard: &Shard,
        terms: &Terms,
        question: impl FnOnce(&Filters, &Request<'_>) -> Result<T, Refusal>,
    ) -> Result<T, End> {
        let epoch = self.epoch.borrow().clone().ok_or(End::FilterRefused)?;
        let snapshot = epoch.snapshot();
        let rules = &snapshot.http;
        let service = snapshot.service(terms.service.ok_or(End::NoRoute)?);
        let filters = service.filters.as_deref().ok_or(End::NoRoute)?;
        let mut storage = Storage::new();
        let head = head::parse_request(self.request, &rules.head_limits(), &mut storage)?.ok_or(End::BadField)?;
        let client = rules.client(self.peer, head.fields);
        let mut normalised = std::mem::take(&mut shard.scratch.borrow_mut().path);
        let path = target::canonical(head.path, rules.merge_slashes, &mut normalised)?;
        let asking = Asking { head: &head, path, client, tenant: terms.tenant };
        let answer = question(filters, &asking.view(snapshot, service, Vec::new()));
        shard.scratch.borrow_mut().path = normalised;
        answer.map_err(|refusal| {
            self.refusal.set(Some(refusal));
            End::FilterRefused
        })
    }
}

/// How the body is read; `None` where there is none.
fn whole(head: &ResponseHead<'_>, bytes_max: usize) -> Result<Option<Whole>, End> {
    match Coding::of(head.fields) {
        _ if head.body == ResponseBody::None => Ok(None),
        Some(coding) if head.status != 206 => Ok(Some(Whole { bytes_max, coding })),
        _ => Err(End::Unfilterable),
    }
}

/// Fields that say what the body was before filters read it; they would be untrue of what the client gets.
const OF_THE_BODY: [&[u8]; 7] = [
    b"content-length",
    b"content-encoding",
    b"accept-ranges",
    b"content-md5",
    b"digest",
    b"content-digest",
    b"repr-digest",
];

/// The client is told nothing of the body that filters have read; a strong `ETag` becomes a weak one (RFC 9110 section
/// 8.8.3).
fn untell(head: &ResponseHead<'_>, list: &mut Vec<u8>) {
    for name in OF_THE_BODY {
        edits::push(list, Edit::Delete, name, b"");
    }
    if let Some(tag) = head::field(head.fields, "etag").filter(|tag| tag.starts_with(b"\"")) {
        let value = [b"W/", tag].concat();
        edits::push(list, Edit::Set, b"ETag", &value);
    }
}

/// Bytes of this core's answers that are read whole.
#[derive(Debug, Default)]
pub struct FilteredBodies(Cell<usize>);

/// What one answer takes of the room for all.
pub struct Held<'s> {
    all: &'s FilteredBodies,
    bytes: usize,
}

impl FilteredBodies {
    /// Nothing yet.
    #[must_use]
    pub fn hold(&self) -> Held<'_> {
        Held { all: self, bytes: 0 }
    }
}

impl Held<'_> {
    /// Holds so many bytes more.
    ///
    /// # Errors
    /// `End::FilterBusy`.
    pub fn grow(&mut self, bytes: usize) -> Result<(), End> {
        let held = self.all.0.get() + bytes;
        if held > FILTERED_BODIES_BYTES_MAX {
            return Err(End::FilterBusy);
        }
        self.all.0.set(held);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.all.0.set(self.all.0.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_for_filters_are_bounded_all_together_and_their_room_comes_back() {
        let all = FilteredBodies::default();
        let mut first = all.hold();
        assert_eq!(first.grow(FILTERED_BODIES_BYTES_MAX - 10), Ok(()));
        let mut second = all.hold();
        assert_eq!((second.grow(11), second.grow(10)), (Err(End::FilterBusy), Ok(())));
        drop(first);
        assert_eq!(second.grow(FILTERED_BODIES_BYTES_MAX - 10), Ok(()));
        drop(second);
        assert_eq!(all.0.get(), 0);
    }
}
